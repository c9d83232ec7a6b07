import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { Tracker } from './tracker.ts';

test('regions lie one behind the other, all zero', () => {
  const arena = new Arena();
  expect(arena.region('a', ['x', 'y'], 3)).toMatchObject({ base: 0, units: 3, interchangeable: false });
  expect(arena.region('b', ['z'], 2, true)).toMatchObject({ base: 6, units: 2, interchangeable: true });
  expect(arena.used).toBe(8);
  expect([...arena.snapshot()]).toEqual(new Array(8).fill(0));
});

test('a word is called by region, unit and field', () => {
  const arena = new Arena();
  arena.region('head', ['x']);
  arena.region('slots', ['phase', 'device'], 2);
  expect([0, 1, 4, 5].map((at) => arena.nameOf(at))).toEqual(['head.x', 'slots[0].phase', 'slots[1].device', 'word 5']);
});

test('set writes a word', () => {
  const arena = new Arena();
  arena.region('a', ['x', 'y']);
  arena.set(1, -7);
  expect([...arena.snapshot()]).toEqual([0, -7]);
});

test('a snapshot does not follow later writes', () => {
  const arena = new Arena();
  arena.region('a', ['x']);
  const before = arena.snapshot();
  arena.set(0, 1);
  expect(before[0]).toBe(0);
});

test('restore brings back any snapshot, seen by the tracker', () => {
  const writes = fc.array(fc.tuple(fc.nat(15), fc.integer()));
  fc.assert(
    fc.property(writes, writes, (first, second) => {
      const arena = new Arena();
      arena.region('a', ['x', 'y'], 4);
      arena.region('b', ['x', 'y'], 4, true);
      const tracker = new Tracker(arena);
      for (const [at, value] of first) arena.set(at, value);
      const snapshot = arena.snapshot();
      const fingerprint = [tracker.fpA, tracker.fpB];
      for (const [at, value] of second) arena.set(at, value);
      arena.restore(snapshot);
      expect(arena.snapshot()).toEqual(snapshot);
      expect([tracker.fpA, tracker.fpB]).toEqual(fingerprint);
    }),
  );
});

test('diff names the words that differ, from and to', () => {
  const arena = new Arena();
  arena.region('a', ['x', 'y'], 2);
  const before = arena.snapshot();
  arena.set(3, 5);
  expect(arena.diff(before, arena.snapshot())).toEqual([{ word: 'a[1].y', from: 0, to: 5 }]);
  expect(arena.diff(before, before)).toEqual([]);
});

describe('a region is refused', () => {
  test('where the arena is too small, and nothing has changed', () => {
    const arena = new Arena(4);
    expect(() => arena.region('big', ['x'], 5)).toThrow('arena of 4 words is too small for big');
    expect(arena.regions).toEqual([]);
    expect(arena.region('fits', ['x'], 4).base).toBe(0);
  });

  test('after the machine has started', () => {
    const arena = new Arena();
    new Tracker(arena);
    expect(() => arena.region('late', ['x'])).toThrow('region late declared after the machine started');
  });
});
