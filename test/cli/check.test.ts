/** `pinhole check` on the cases that ship: output, exit status, names that there are not. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { folderWith, pinhole } from './pinhole.ts';

describe.concurrent('what it prints', () => {
  test('--json: one array, an object a run', async () => {
    const { stdout, stderr, status } = await pinhole(['check', 'D3', 'K5', '--json']);
    const runs = JSON.parse(stdout);
    expect(runs.map((r: Record<string, unknown>) => [r.case, r.variant, r.verdict, r.expected])).toEqual([
      ['D3', 'ih-1', 'violated', 'violated'],
      ['K5', 'buggy', 'holds', 'holds'],
      ['K5', 'fixed', 'holds', 'holds'],
    ]);
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('a story for a person, without colours where nobody sees them', async () => {
    const { stdout, stderr, status } = await pinhole(['check', 'vtd-merge-psc', '--variant', 'buggy']);
    expect(stdout).toMatch(/^vtd-merge-psc buggy \(spec\): violated, as expected; I4 in 39 steps, 8 blocks/);
    expect(stdout).toMatch(/\n {3}1 {2}iommu_map\(0x0, 0x21d200000, 0x4000\)\n/);
    expect(stdout).toMatch(/✗ I4 MAP-VISIBLE is broken in step 39/);
    expect(stdout).toMatch(/ {2}replay: pinhole replay ph1\.\S+\n/);
    expect(stdout).not.toContain('\u001b');
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('a letter is all cases of its arguments; --table; another profile', async () => {
    const { stdout, status } = await pinhole(['check', 'A', '--profile', 'qemu-10', '--table']);
    expect(stdout.match(/ A[127] +(vtd|smmuv3) +\S+ +qemu-10 +violated +✓/g)).toHaveLength(23);
    expect(stdout).toContain('A1: this model drains nothing, whatever CAP says');
    expect(stdout).toMatch(/\n29 runs, .*: 28 violated, 1 holds; all as expected\.\n$/);
    expect(status).toBe(0);
  });

  test('several workers: the same, in the same order', async () => {
    const [one, two] = await Promise.all(
      [
        ['--workers', '1'],
        ['--workers', '3'],
      ].map(async (more) => {
        const { stdout, status } = await pinhole(['check', 'D', 'vtd-merge-psc', '--json', ...more]);
        expect(status).toBe(0);
        return JSON.parse(stdout).map((run: object) => ({ ...run, seconds: 0 }));
      }),
    );
    expect(two).toEqual(one);
  });

  test('--mutant: violated is what is expected then', async () => {
    const { stdout, status } = await pinhole(['check', 'D1', '--mutant', 'hint-set', '--json']);
    expect(JSON.parse(stdout)).toMatchObject([{ variant: 'ideal', mutant: 'hint-set', verdict: 'violated' }]);
    expect(status).toBe(0);
  });

  test('list: every case with what is expected of it', async () => {
    const { stdout, status } = await pinhole(['list', '--json']);
    const { cases, models, profiles } = JSON.parse(stdout);
    expect(cases.find((c: { id: string }) => c.id === 'D3')).toMatchObject({
      thread: '003',
      tags: ['core'],
      variants: [{ name: 'ih-1', expected: { spec: 'violated', 'qemu-10': 'holds' } }],
    });
    expect(models).toMatchObject([{ name: 'vtd' }, { name: 'smmuv3' }]);
    expect(profiles.map((p: { name: string }) => p.name)).toEqual(expect.arrayContaining(['spec', 'qemu-10']));
    expect(status).toBe(0);
    expect((await pinhole(['list'])).stdout).toMatch(/^D3 {2}a table was freed.*\n {4}ih-1 .*qemu-10: holds/m);
  });

  test('help and version', async () => {
    const [alone, help, version] = await Promise.all([pinhole([]), pinhole(['--help']), pinhole(['--version'])]);
    expect(alone).toEqual(help);
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toMatch(/^USAGE\n {2}pinhole check /);
    expect(version).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});

describe.concurrent('bounds', () => {
  test('--max-states: bounded, status 3', async () => {
    const { stdout, status } = await pinhole(['check', 'D1', '--variant', 'ideal', '--max-states', '100']);
    expect(stdout).toMatch(/^D1 ideal \(spec\): bounded, expected: holds\n {2}not exhausted, 1\d\d states/);
    expect(status).toBe(3);
  });

  test('what is violated within the bound is violated', async () => {
    const { stdout, status } = await pinhole(['check', 'vtd-merge-psc', '--json', '--max-states', '55']);
    expect(JSON.parse(stdout).map((r: { verdict: string }) => r.verdict)).toEqual(['violated', 'bounded']);
    expect(status).toBe(3);
  });
});

// In this process, which is quicker; one of them as a user runs it.
describe('bad usage: one line, status 2', () => {
  test('as a user sees it', async () => {
    const ended = await pinhole(['check', 'D9']);
    expect(ended).toEqual({
      stdout: '',
      stderr: "pinhole: no case 'D9'; did you mean D1, D2 or D3?\n",
      status: 2,
    });
  });

  test.each<[string[], string]>([
    [['chekc'], "no command 'chekc'; did you mean check?"],
    [['check', 'd1'], "no case 'd1'; did you mean D1?"],
    [['check', 'vtd-merge'], "no case 'vtd-merge'; did you mean vtd-merge-psc?"],
    [['check', 'D3', '--variant', 'ih1'], "no variant 'ih1' of D3; did you mean ih-1?"],
    [['check', 'D3', '--profile', 'qemu'], "no profile 'qemu'; did you mean qemu-10 or qemu-11?"],
    [['check', 'D3', '--model', 'vdt'], "no model 'vdt'; did you mean vtd?"],
    [
      ['check', 'D3', '--format', 'csv'],
      '--format csv is of figures, and none of these cases is measured; --json has all of them',
    ],
    [['check', '--tag', 'cor'], "no tag 'cor'; did you mean core or corpus?"],
    [['check', 'D1', '--mutant', 'hintset'], "no mutant 'hintset' of D1; did you mean hint-set?"],
    [['check', 'D3', '--json', '--table'], '--json, --table and --format are different outputs; leave all but one out'],
    [
      ['check', '--max-states', '0', '--workers', '1e9'],
      "--workers 1e9: give a whole number from 1 up; 'pinhole --help' tells the options",
    ],
    [
      ['check', '--max-states', '99999999999999999999'],
      "--max-states 99999999999999999999: give at most 9007199254740991; 'pinhole --help' tells the options",
    ],
    [
      ['check', '--random', '3', '--seed', '4294967296'],
      "--seed 4294967296: give at most 4294967295; 'pinhole --help' tells the options",
    ],
    [
      ['check', '--wrokers', '2'],
      "No flag registered for --wrokers, did you mean --workers; 'pinhole --help' tells the options",
    ],
    [['replay'], "TRACE is missing; name one; 'pinhole --help' tells the options"],
    [['new', 'a.txt'], 'a.txt: is not a .ts file; give it that extension'],
    [['check', 'none.ts'], "none.ts: there is no such file; mend the path, or make the file with 'pinhole new'"],
  ])('%s', async (args, message) => {
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const status = await main(args);
    const [stdout, stderr] = [out, err].map((spy) => spy.mock.calls.map(([text]) => text).join(''));
    vi.restoreAllMocks();
    expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: `pinhole: ${message}\n`, status: 2 });
  });
});

test('a trace that is kept is replayed, and one that is damaged is refused', async () => {
  const folder = folderWith({});
  const made = await pinhole(['check', 'D3', '--json', '--trace', 't.json'], folder);
  const [{ trace }] = JSON.parse(made.stdout);
  const kept = JSON.parse(readFileSync(join(folder, 't.json'), 'utf8'));
  expect(kept.map((t: { invariant: string }) => t.invariant)).toEqual(['I2', 'I4']);
  expect(kept[0]).toMatchObject({ format: 'pinhole-trace', version: 1, case: 'D3', file: null, mutant: null });
  expect(kept[0].steps).toHaveLength(kept[0].decisions.length);

  const other = { ...kept[0], fingerprint: '0'.repeat(16) };
  const impossible = { ...kept[0], decisions: [...kept[0].decisions.slice(0, 4), [0, 7]] };
  const more = folderWith({
    'other.json': JSON.stringify(other),
    'impossible.json': JSON.stringify(impossible),
    'cut.json': JSON.stringify(kept).slice(0, 200),
  });
  const [token, file, differs, fails, damaged, cut] = await Promise.all([
    pinhole(['replay', trace]),
    pinhole(['replay', 't.json'], folder),
    pinhole(['replay', 'other.json'], more),
    pinhole(['replay', 'impossible.json'], more),
    pinhole(['replay', trace.slice(0, -3)]),
    pinhole(['replay', 'cut.json'], more),
  ]);
  expect(token).toMatchObject({ status: 0, stderr: '' });
  expect(token.stdout).toMatch(
    /✗ I2 NO-UAF-WALK is broken in step 31[\s\S]*\nreproduced: the same run, the same state/,
  );
  expect(file.status).toBe(0);
  expect(file.stdout.match(/^reproduced: /gm)).toHaveLength(2);
  expect(differs.status).toBe(1);
  expect(differs.stdout).toMatch(/no longer reproduces: I2 .* in another state than when the trace was kept/);
  expect(fails.status).toBe(1);
  expect(fails.stdout).toMatch(
    /\nno longer reproduces: step 5 of 5 of D3 ih-1, by vfio-pci, cannot be taken \(it is at 'vfio-pci DMA read 0x0'\)/,
  );
  expect(damaged).toMatchObject({ status: 2, stdout: '' });
  expect(damaged.stderr).toBe(
    "pinhole: the replay token is damaged (its checksum does not fit); copy all of it, from 'ph1.' to its end\n",
  );
  expect(cut).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringMatching(/^pinhole: cut\.json: is not JSON .*\n$/),
  });
});
