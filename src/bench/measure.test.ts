import { expect, test } from 'vitest';
import { BENCHMARKS, measure, nanoseconds, shuffled } from './index.ts';
import { VtdGuest } from './vtd-guest.ts';

/** Steps by so many milliseconds at each look. */
function clock(...steps: number[]): { now(): number } {
  let time = 0;
  let i = 0;
  return { now: () => (time += steps[i++ % steps.length] as number) };
}

test('median, least and most of the runs after the warm-up', () => {
  const figures = [99, 98, 5, 1, 4, 2];
  let prepared = 0;
  const rows = [
    { name: 'a', unit: 'ns', what: '' },
    { name: 'b', unit: 'x', what: '' },
  ];
  const prepare = () => {
    prepared++;
    return () => [figures.shift() as number, 7];
  };
  expect(measure({ rows, runs: 4, warmUp: 2, prepare }, clock(1))).toEqual([
    { ...rows[0], median: 3, min: 1, max: 5, runs: 4 },
    { ...rows[1], median: 7, min: 7, max: 7, runs: 4 },
  ]);
  expect(prepared).toBe(1);
});

test('nanoseconds a call', () => {
  expect(nanoseconds(clock(0, 3), 1000, () => undefined)).toBe(3000);
});

test('a shuffled order has every number once, and no pattern', () => {
  const order = shuffled(1000);
  expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect(order.filter((page, i) => page === i).length).toBeLessThan(10);
  const steps = new Set(Array.from(order.slice(1), (page, i) => page - (order[i] as number)));
  expect(steps.size).toBeGreaterThan(500);
});

test('names are those that scripts rely on, each once', () => {
  const names = BENCHMARKS.flatMap(({ rows }) => rows.map(({ name }) => name));
  expect(new Set(names).size).toBe(names.length);
  for (const last of ['hit-1k', 'hit-64k', 'miss-3', 'miss-4', 'invalidate-register', 'invalidate-queue'])
    expect(names).toContain(`translate/vtd/${last}`);
  for (const last of ['states-per-second', 'bytes-per-state', 'seconds']) expect(names).toContain(`explore/D1/${last}`);
});

test.each([3, 4] as const)('the guest of the benchmarks, %i levels: hits are hits, misses are misses', (levels) => {
  const guest = new VtdGuest(2000, levels);
  const order = shuffled(2000);
  expect(guest.translate(order, 1990, 2000)).toBe(1990);
  guest.clearLeaves();
  guest.translate(order, 0, 2000);
  const small = new VtdGuest(2000, levels, { iotlbSets: 1, iotlbWays: 1 });
  small.translate(order, 0, 2000);
  small.clearLeaves();
  // All but the one that its only entry holds.
  expect(() => small.translate(order, 0, 2000)).toThrow('1999 of 2000');
});

test('an entry where the walk reads it last', () => {
  const guest = new VtdGuest(2000, 4);
  guest.words[guest.leafAt(1234)] = 0;
  const order = shuffled(2000);
  expect(() => guest.translate(order, 0, 2000)).toThrow('1 of 2000');
});

test('invalidations: both kinds drop what the IOTLB has, and are complete', () => {
  const [byRegister, byQueue] = BENCHMARKS.filter(({ rows }) => rows[0]?.name.includes('/invalidate-'));
  for (const benchmark of [byRegister, byQueue]) {
    const [perSecond] = (benchmark as (typeof BENCHMARKS)[number]).prepare(clock(1000))();
    expect(perSecond).toBe(20_000);
  }
});
