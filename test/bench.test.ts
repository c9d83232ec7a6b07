/** `pinhole bench`, end to end; figures are not judged here, as a busy machine would make liars of them. */
import { expect, test } from 'vitest';
import { pinhole } from './cli/pinhole.ts';

test('bench --json NAME: one array of rows', async () => {
  const { stdout, stderr, status } = await pinhole([
    'bench',
    '--json',
    'translate/vtd/hit-1k',
    'translate/reference/map-lookup',
  ]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const rows = JSON.parse(stdout);
  expect(rows.map((row: { name: string }) => row.name)).toEqual([
    'translate/vtd/hit-1k',
    'translate/reference/map-lookup',
  ]);
  for (const row of rows) {
    expect(Object.keys(row)).toEqual(['name', 'unit', 'median', 'min', 'max', 'runs', 'build']);
    expect(row).toMatchObject({ unit: 'ns', runs: 15, build: 'sources' });
    expect(row.min).toBeGreaterThan(0);
    expect(row.median).toBeGreaterThanOrEqual(row.min);
    expect(row.max).toBeGreaterThanOrEqual(row.median);
  }
});

test('the table says what each row is, and what was measured', async () => {
  const { stdout, status } = await pinhole(['bench', 'explore/D1']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^explore\/D1\/states-per-second .* states of D1 ideal \(spec\), one thread$/m);
  expect(stdout).toMatch(/^explore\/D1\/bytes-per-state /m);
  expect(stdout).not.toMatch(/translate/);
  expect(stdout).toMatch(/^Measured: the sources/m);
});

test('a name like none of them: what there is', async () => {
  const { stderr } = await pinhole(['bench', 'memory']);
  expect(stderr).toBe("pinhole: no benchmark 'memory'; did you mean translate or explore?\n");
});

test('a name that is none: one line, status 2', async () => {
  const { stdout, stderr, status } = await pinhole(['bench', 'translate/vtd/hit-2k']);
  expect(stdout).toBe('');
  expect(stderr).toMatch(
    /^pinhole: no benchmark 'translate\/vtd\/hit-2k'; did you mean translate\/vtd\/hit-1k,.*\?\n$/,
  );
  expect(status).toBe(2);
});
