import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { Tracker } from './tracker.ts';

/** 16 plain words, then 4 interchangeable units of 3, then 2 of 2. */
const WORDS = 16 + 12 + 4;

function tracked(initial: readonly number[] = []) {
  const arena = new Arena(WORDS);
  arena.region('plain', ['a', 'b', 'c', 'd'], 4);
  arena.region('slots', ['x', 'y', 'z'], 4, true);
  arena.region('ways', ['x', 'y'], 2, true);
  initial.forEach((value, at) => arena.set(at, value));
  return { arena, tracker: new Tracker(arena) };
}

/** The fingerprint as one number. */
const of = (tracker: Tracker) => (BigInt(tracker.fpA >>> 0) << 32n) | BigInt(tracker.fpB >>> 0);

/** Few values, so that sequences meet; a few large ones. */
const value = fc.oneof(fc.nat(3), fc.integer());
const writes = fc.array(fc.tuple(fc.nat(WORDS - 1), value), { maxLength: 200 });
const contents = fc.array(value, { minLength: WORDS, maxLength: WORDS });

describe('the fingerprint', () => {
  test('is 0 at the start, and again whenever the start is reached', () => {
    fc.assert(
      fc.property(contents, writes, (initial, sequence) => {
        const { arena, tracker } = tracked(initial);
        expect(of(tracker)).toBe(0n);
        for (const [at, v] of sequence) arena.set(at, v);
        initial.forEach((v, at) => arena.set(at, v));
        expect(of(tracker)).toBe(0n);
      }),
    );
  });

  test('depends on the state, not on the writes that led there', () => {
    fc.assert(
      fc.property(contents, writes, (initial, sequence) => {
        const wandering = tracked(initial);
        for (const [at, v] of sequence) wandering.arena.set(at, v);
        const direct = tracked(initial);
        wandering.arena.words.forEach((v, at) => direct.arena.set(at, v));
        expect(of(direct.tracker)).toBe(of(wandering.tracker));
      }),
      { numRuns: 300 },
    );
  });

  test('is the same for a value written signed and unsigned', () => {
    const signed = tracked();
    const unsigned = tracked();
    for (const at of [0, 17, 30]) {
      signed.arena.set(at, -5);
      unsigned.arena.set(at, -5 >>> 0);
    }
    expect(of(unsigned.tracker)).toBe(of(signed.tracker));
  });
});

describe('interchangeable units', () => {
  const unit = fc.tuple(value, value, value);
  const units = fc.tuple(unit, unit, unit, unit);

  function withUnits(content: readonly (readonly number[])[]): bigint {
    const { arena, tracker } = tracked();
    content.flat().forEach((v, i) => arena.set(16 + i, v));
    return of(tracker);
  }

  test('may be permuted', () => {
    fc.assert(
      fc.property(
        units.chain((u) => fc.tuple(fc.constant(u), fc.shuffledSubarray(u, { minLength: 4 }))),
        ([content, permuted]) => withUnits(content) === withUnits(permuted),
      ),
      { numRuns: 500 },
    );
  });

  test('may be permuted where they began unequal', () => {
    const { arena, tracker } = tracked([...new Array(16).fill(0), 1, 2, 3, 4, 5, 6]);
    [4, 5, 6, 1, 2, 3].forEach((v, i) => arena.set(16 + i, v));
    expect(of(tracker)).toBe(0n);
  });

  test('keep their words together: a word swapped between two units is another state', () => {
    fc.assert(
      fc.property(units, fc.nat(2), (content, word) => {
        const swapped = content.map((u) => [...u]);
        [swapped[0][word], swapped[1][word]] = [swapped[1][word], swapped[0][word]];
        const sorted = (u: readonly (readonly number[])[]) => u.map(String).sort().join(';');
        expect(withUnits(swapped) === withUnits(content)).toBe(sorted(swapped) === sorted(content));
      }),
      { numRuns: 500 },
    );
  });

  test('keep their words together in each half of the fingerprint', () => {
    const halves = (content: readonly number[][]) => {
      const { arena, tracker } = tracked();
      content.flat().forEach((v, i) => arena.set(16 + i, v));
      return tracker;
    };
    const [one, other] = [
      halves(
        [
          [1, 2],
          [3, 4],
        ].map((u) => [...u, 0]),
      ),
      halves(
        [
          [1, 4],
          [3, 2],
        ].map((u) => [...u, 0]),
      ),
    ];
    expect(one.fpA).not.toBe(other.fpA);
    expect(one.fpB).not.toBe(other.fpB);
  });

  test('of two regions of one shape do not stand for each other', () => {
    const withWord = (at: number) => {
      const arena = new Arena();
      arena.region('iotlb', ['tag', 'page'], 2, true);
      arena.region('context', ['tag', 'page'], 2, true);
      const tracker = new Tracker(arena);
      arena.set(at, 1);
      return of(tracker);
    };
    expect(withWord(0)).toBe(withWord(2));
    expect(withWord(4)).not.toBe(withWord(0));
  });

  test('plain units may not be permuted', () => {
    const first = tracked();
    first.arena.set(0, 1);
    const second = tracked();
    second.arena.set(4, 1);
    expect(of(first.tracker)).not.toBe(of(second.tracker));
  });
});

describe('distinct states have distinct fingerprints', () => {
  const collisions = (seen: ArrayLike<number | bigint>) => seen.length - new Set(Array.from(seen)).size;

  test('200,000 random ones', () => {
    const { arena, tracker } = tracked();
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      return seed >>> 8;
    };
    const states = new Set<string>();
    const seen = new Map<bigint, string>();
    while (states.size < 200_000) {
      arena.set(random() % WORDS, random() % 5 === 0 ? random() : random() % 4);
      const units = (from: number, size: number, n: number) =>
        Array.from({ length: n }, (_, i) => arena.words.slice(from + i * size, from + (i + 1) * size).join()).sort();
      const state = [arena.words.slice(0, 16).join(), ...units(16, 3, 4), ...units(28, 2, 2)].join(';');
      states.add(state);
      const known = seen.get(of(tracker));
      if (known !== undefined && known !== state) throw new Error(`one fingerprint for ${known} and ${state}`);
      seen.set(of(tracker), state);
    }
    expect(seen.size).toBe(states.size);
  });

  test('all 531,441 of twelve words that count to three, and few share a half', () => {
    const { arena, tracker } = tracked();
    const total = 3 ** 12;
    const seen = new BigUint64Array(total);
    const a = new Int32Array(total);
    const b = new Int32Array(total);
    for (let n = 0; n < total; n++) {
      for (let at = 0, rest = n; at < 12; at++, rest = Math.floor(rest / 3)) arena.set(at, rest % 3);
      seen[n] = of(tracker);
      a[n] = tracker.fpA;
      b[n] = tracker.fpB;
    }
    expect(collisions(seen)).toBe(0);
    // n²/2^33 = 33 are expected; sums of truly random tables reach 300 now and then, as one coincidence of some words recurs with
    // every content of the others.
    expect(collisions(a)).toBeLessThan(1000);
    expect(collisions(b)).toBeLessThan(1000);
  });
});

describe('undo', () => {
  test('restores words and fingerprint exactly, at every mark', () => {
    fc.assert(
      fc.property(contents, fc.array(writes, { maxLength: 6 }), (initial, blocks) => {
        const { arena, tracker } = tracked(initial);
        tracker.journaling = true;
        const stack: { mark: number; words: Int32Array; fingerprint: bigint }[] = [];
        for (const block of blocks) {
          stack.push({ mark: tracker.mark(), words: arena.snapshot(), fingerprint: of(tracker) });
          for (const [at, v] of block) arena.set(at, v);
        }
        for (const { mark, words, fingerprint } of stack.reverse()) {
          tracker.undo(mark);
          expect(arena.snapshot()).toEqual(words);
          expect(of(tracker)).toBe(fingerprint);
        }
      }),
    );
  });

  test('leaves nothing behind that a later fingerprint would show', () => {
    fc.assert(
      fc.property(writes, writes, (undone, kept) => {
        const there = tracked();
        there.tracker.journaling = true;
        for (const [at, v] of undone) there.arena.set(at, v);
        there.tracker.undo(0);
        const fresh = tracked();
        for (const [at, v] of kept) {
          there.arena.set(at, v);
          fresh.arena.set(at, v);
        }
        expect(of(there.tracker)).toBe(of(fresh.tracker));
      }),
    );
  });

  test('reaches back past any number of writes', () => {
    const { arena, tracker } = tracked();
    tracker.journaling = true;
    for (let i = 1; i <= 5000; i++) arena.set(i % WORDS, i);
    tracker.undo(0);
    expect(of(tracker)).toBe(0n);
    expect(arena.snapshot()).toEqual(tracker.initial);
  });

  test('reaches back no further than what was forgotten', () => {
    const { arena, tracker } = tracked();
    tracker.journaling = true;
    arena.set(0, 1);
    tracker.forget();
    arena.set(1, 1);
    tracker.undo(tracker.mark());
    tracker.undo(0);
    expect([arena.words[0], arena.words[1]]).toEqual([1, 0]);
  });

  test('journals no write that changes nothing, and none at all while off', () => {
    const { arena, tracker } = tracked();
    arena.set(0, 1);
    tracker.journaling = true;
    arena.set(0, 1);
    expect(tracker.mark()).toBe(0);
  });
});

test('the list of live words only grows, in order of first change', () => {
  const { arena, tracker } = tracked();
  tracker.journaling = true;
  arena.set(9, 1);
  arena.set(3, 1);
  arena.set(5, 0);
  arena.set(9, 0);
  expect(tracker.live).toEqual([9, 3]);
  tracker.undo(0);
  arena.set(20, 1);
  arena.set(9, 2);
  expect(tracker.live).toEqual([9, 3, 20]);
});
