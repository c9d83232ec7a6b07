/** The log that `explain/dmesg` reads is one: of the share of faults that it says, all of which are known. */
import { expect, test } from 'vitest';
import { explain } from '../decode/index.ts';
import { dmesg } from './dmesg.ts';

test.each([0, 1, 100])('%d of a hundred lines are of faults', (share) => {
  const text = dmesg(400_000, share);
  const { groups, unknownCount } = explain(text);
  expect(unknownCount).toBe(0);
  const lines = text.split('\n').length - 1;
  expect(lines).toBeGreaterThan(2000);
  const linesOf: Readonly<Record<string, number>> = { 'smmuv3.event': 7 };
  const found = groups.reduce((sum, { count, finding }) => sum + count * (linesOf[finding.kind] ?? 1), 0);
  expect(Math.abs(found - (lines * share) / 100)).toBeLessThan(lines / 1000 + 8);
  const models = new Set(groups.map(({ finding }) => finding.model));
  expect(models.size).toBe(share === 0 ? 0 : 5);
});

test('it is the same each time', () => {
  expect(dmesg(10_000, 1)).toBe(dmesg(10_000, 1));
});
