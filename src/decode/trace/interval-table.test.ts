/** The table against an array that is looked through. */
import { expect, test } from 'vitest';
import { IntervalTable } from './interval-table.ts';

interface Plain {
  start: number;
  end: number;
  line: number;
  target: number;
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function all(table: IntervalTable): Plain[] {
  const found: Plain[] = [];
  table.each(() => {
    const { line, target } = table.found;
    found.push({ start: table.foundStart, end: table.foundEnd, line, target });
  });
  return found;
}

function removePlain(plain: readonly Plain[], start: number, end: number): Plain[] {
  return plain.flatMap((range) => {
    if (range.end <= start || range.start >= end) return [range];
    const rests: Plain[] = [];
    if (range.start < start) rests.push({ ...range, end: start });
    if (range.end > end) rests.push({ ...range, start: end, target: range.target + end - range.start });
    return rests;
  });
}

test.each([
  [1, 64],
  [2, 500],
  [3, 4000],
  [4, 40_000],
])('as a plain array (seed %i, %i pages)', (seed, pages) => {
  const below = random(seed);
  const table = new IntervalTable();
  let plain: Plain[] = [];
  for (let line = 1; line <= 6000; line++) {
    const start = below(pages);
    const end = start + 1 + below(12);
    const first = plain.find((range) => range.end > start && range.start < end);
    expect(table.find(start, end)).toBe(first !== undefined);
    if (first !== undefined) expect([table.foundStart, table.found.line]).toEqual([first.start, first.line]);
    const covered = plain.reduce((sum, r) => sum + Math.max(0, Math.min(end, r.end) - Math.max(start, r.start)), 0);
    expect(table.covered(start, end)).toBe(covered);
    const before = plain.filter((range) => range.start < start).at(-1);
    expect(table.findBefore(start) ? table.foundStart : -1).toBe(before?.start ?? -1);
    // More is put in than taken out, then the other way round: leaves are split, merged and dropped.
    const grows = (line >> 11) % 2 === 0;
    if (first === undefined && (grows || below(4) === 0)) {
      table.insert(start, end, { time: 0, line, target: start + 7, tag: 0, other: 0 });
      plain.push({ start, end, line, target: start + 7 });
      plain.sort((a, b) => a.start - b.start);
    } else if (!grows || below(3) === 0) {
      const wide = end + below(grows ? 4 : 400);
      table.remove(start, wide);
      plain = removePlain(plain, start, wide);
    }
    expect(table.size).toBe(plain.length);
    if (line % 200 === 0) expect(all(table)).toEqual(plain);
  }
  table.clear();
  expect([table.size, table.find(0, pages), table.findBefore(pages)]).toEqual([0, false, false]);
});

test.each(['upwards', 'downwards', 'anyhow'])(
  'memory of a mapping is bounded, if they are made %s and most are taken away',
  (how) => {
    const table = new IntervalTable();
    const below = random(9);
    const order = Array.from({ length: 50_000 }, (_, i) => (how === 'downwards' ? 50_000 - i : i));
    if (how === 'anyhow') order.sort(() => below(3) - 1);
    for (const page of order) table.insert(page * 2, page * 2 + 1, { time: 0, line: 0, target: 0, tag: 0, other: 0 });
    expect(table.bytes / table.size).toBeLessThanOrEqual(224);
    for (const page of order) if (page % 97 !== 5) table.remove(page * 2, page * 2 + 1);
    expect(table.size).toBeGreaterThan(500);
    expect(table.bytes / table.size).toBeLessThanOrEqual(224 + 8);
  },
);
