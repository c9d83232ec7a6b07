/** What every format of a line must do: its example is known, whatever stands before it, and damage never throws. */
import { describe, expect, test } from 'vitest';
import { CAUSES, explain, LINE_FORMATS } from './index.ts';
import { SHORTEST } from './needle-search.ts';

const PREFIXES = [
  ['none', ''],
  ['kernel time', '[   34.000002] '],
  ['level and time', '<3>[   34.000002] '],
  ['syslog', 'Nov 21 13:00:00 host kernel: [   34.000002] '],
  ['ISO', '2026-11-21T13:00:00.123456+01:00 host kernel: '],
  ['trace of another tool', '12:00:00.000 | node7 | kern.err | '],
] as const;

describe.each(LINE_FORMATS.map((format) => [format.id, format] as const))('%s', (_, format) => {
  test('has its needle in its example, and no global or sticky pattern', () => {
    expect(format.example).toContain(format.needle);
    expect(format.needle.length).toBeGreaterThanOrEqual(SHORTEST);
    expect(format.pattern.flags).not.toMatch(/[gy]/);
    expect(format.printedBy).not.toBe('');
  });

  test.each(PREFIXES)('is known by its example behind a prefix: %s', (name, prefix) => {
    const { groups, unknownCount } = explain(`${prefix}${format.example}\n`);
    expect(unknownCount).toBe(0);
    expect(groups).toHaveLength(1);
    const [{ count, finding, first }] = groups;
    expect(count).toBe(1);
    expect(format.id.startsWith(finding.kind)).toBe(true);
    expect(first.line).toBe(1);
    if (name.includes('time')) expect(first.time).toBe('34.000002');
    for (const { id } of finding.causes) expect(CAUSES).toHaveProperty(id);
    expect(finding.summary).not.toMatch(/undefined|NaN|null/);
  });

  test('as an entry of the journal in JSON', () => {
    const entry = { MESSAGE: format.example, __REALTIME_TIMESTAMP: '1795000000000000', PRIORITY: '3' };
    const { groups } = explain(JSON.stringify(entry));
    expect(groups).toHaveLength(1);
    expect(groups[0].first.time).toBe('2026-11-18T11:06:40.000Z');
  });

  test('is the only format of its example', () => {
    const others = LINE_FORMATS.filter((other) => other.pattern.test(format.example));
    expect(others.map(({ id }) => id)).toEqual([format.id]);
  });
});

const FOLLOWED = LINE_FORMATS.flatMap((format) => (format.follow === undefined ? [] : [{ format, ...format.follow }]));

test.each(FOLLOWED.map((of) => [of.format.id, of] as const))(
  '%s: the lines behind it belong to it, and say more',
  (_, { count: most, example, format, pattern }) => {
    expect(example.length).toBeGreaterThan(0);
    expect(example.length).toBeLessThanOrEqual(most);
    for (const line of example) expect(line).toMatch(pattern);
    const lines = [format.example, ...example.flatMap((line) => ['usb 1-1: in between', line])];
    const { groups, unknownCount } = explain(lines.join('\n'));
    expect(unknownCount).toBe(0);
    expect(groups.map(({ count }) => count)).toEqual([1]);
    const [alone] = explain(format.example).groups;
    expect(groups[0].finding).not.toEqual(alone.finding);
  },
);

/** They say that something failed, and another line of the same moment says what. */
const WITHOUT_CAUSES: ReadonlySet<string> = new Set(['amdvi.qemu-trace.err', 'linux.assign-unable-to-continue']);

test('each error that an example tells has a cause to look for', () => {
  const bare = LINE_FORMATS.filter(({ example, follow }) => {
    const { groups } = explain([example, ...(follow?.example ?? [])].join('\n'));
    return groups.some(({ finding }) => finding.severity === 'error' && finding.causes.length === 0);
  });
  expect(new Set(bare.map(({ id }) => id))).toEqual(WITHOUT_CAUSES);
});

test('each code that an example has is of a clause', () => {
  const bare = LINE_FORMATS.filter(({ example }) =>
    explain(example).groups.some(({ finding: { code } }) => code !== null && !code.clause?.trim()),
  );
  expect(bare.map(({ id }) => id)).toEqual([]);
});
