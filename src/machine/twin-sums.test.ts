import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena } from './arena.ts';
import { Tracker } from './tracker.ts';
import type { TwinLayout } from './twin-sums.ts';

/** Three twins (names 7, 8, 9) and a stranger (5): 2 own words each, 3 slots of (valid, name, content), 2 ordered records of (content, name). */
const OWN = 1;
const SLOTS = 7;
const RECORDS = 16;
const WORDS = 20;
const NAMES = [7, 8, 9];

const members = new Map(NAMES.map((name, i) => [name, i]));
const common = { by: 'sid', implied: [] } as const;
const LAYOUT: TwinLayout = {
  groups: [0, 0, 0],
  own: [0, 1, 2].map((m) => [OWN + 2 * m, OWN + 2 * m + 1]),
  units: [
    { naming: { base: SLOTS, units: 3, length: 3, owner: 1, valid: 0, ordered: false, ...common }, members },
    { naming: { base: RECORDS, units: 2, length: 2, owner: 1, valid: -1, ordered: true, ...common }, members },
  ],
  fixed: [],
};

function tracked(layout: TwinLayout | null = LAYOUT) {
  const arena = new Arena(WORDS);
  arena.region('shared', ['value']);
  arena.region('own', ['a', 'b'], 3);
  arena.region('slots', ['valid', 'name', 'content'], 3, true);
  arena.region('records', ['content', 'name'], 2);
  return { arena, tracker: new Tracker(arena, layout === null ? {} : { twins: layout }) };
}

const of = (tracker: Tracker) => (BigInt(tracker.fpA >>> 0) << 32n) | BigInt(tracker.fpB >>> 0);

function fingerprint(state: readonly number[], layout = LAYOUT): bigint {
  const { arena, tracker } = tracked(layout);
  state.forEach((value, at) => arena.set(at, value));
  return of(tracker);
}

/** A name where the word is one, few values elsewhere, so that states meet. */
const word = (at: number) => {
  const isName = (at >= SLOTS && at < RECORDS && (at - SLOTS) % 3 === 1) || (at >= RECORDS && (at - RECORDS) % 2 === 1);
  return isName ? fc.constantFrom(0, 5, ...NAMES) : fc.nat(2);
};
const state = fc.tuple(...Array.from({ length: WORDS }, (_, at) => word(at)));
const write = fc.nat(WORDS - 1).chain((at) => fc.tuple(fc.constant(at), word(at)));
const writes = fc.array(write, { maxLength: 60 });
const permutation = fc.shuffledSubarray([0, 1, 2], { minLength: 3 });

/** The state in which member m has the place of member to[m]. */
function moved(words: readonly number[], to: readonly number[]): number[] {
  const out = [...words];
  for (let m = 0; m < 3; m++) for (let i = 0; i < 2; i++) out[OWN + 2 * to[m] + i] = words[OWN + 2 * m + i];
  const rename = (at: number) => {
    const m = NAMES.indexOf(words[at]);
    if (m >= 0) out[at] = NAMES[to[m]];
  };
  for (let u = 0; u < 3; u++) if (words[SLOTS + 3 * u] !== 0) rename(SLOTS + 3 * u + 1);
  for (let u = 0; u < 2; u++) rename(RECORDS + 2 * u + 1);
  return out;
}

/** The least of all states that are one with this. */
function canonical(words: readonly number[]): string {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  const texts = orders.map((to) => {
    const out = moved(words, to);
    const slots = [0, 1, 2].map((u) => out.slice(SLOTS + 3 * u, SLOTS + 3 * u + 3).join()).sort();
    return [out.slice(0, SLOTS).join(), ...slots, out.slice(RECORDS).join()].join(';');
  });
  return texts.sort()[0];
}

describe('the fingerprint with twins', () => {
  test('is that of every state in which whole devices changed places', () => {
    fc.assert(
      fc.property(state, permutation, (words, to) => fingerprint(words) === fingerprint(moved(words, to))),
      { numRuns: 1000 },
    );
  });

  test('is one exactly where the states are one: 100,000 random ones', () => {
    const { arena, tracker } = tracked();
    const byFingerprint = new Map<bigint, string>();
    const byState = new Map<string, bigint>();
    let seed = 1;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      return (seed >>> 8) % n;
    };
    for (let i = 0; i < 100_000; i++) {
      const at = random(WORDS);
      const isName =
        (at >= SLOTS && at < RECORDS && (at - SLOTS) % 3 === 1) || (at > RECORDS && (at - RECORDS) % 2 === 1);
      arena.set(at, isName ? [0, 5, 7, 8, 9][random(5)] : random(2));
      const text = canonical([...arena.words.slice(0, WORDS)]);
      const fp = of(tracker);
      if ((byFingerprint.get(fp) ?? text) !== text)
        throw new Error(`one fingerprint: ${text}, ${byFingerprint.get(fp)}`);
      if ((byState.get(text) ?? fp) !== fp) throw new Error(`two fingerprints: ${text}`);
      byFingerprint.set(fp, text);
      byState.set(text, fp);
    }
    expect(byState.size).toBeGreaterThan(30_000);
    expect(byState.size).toBe(byFingerprint.size);
  });

  test('depends on the state, not on the writes that led there', () => {
    fc.assert(
      fc.property(state, writes, (words, sequence) => {
        const { arena, tracker } = tracked();
        for (const [at, v] of sequence) arena.set(at, v);
        words.forEach((v, at) => arena.set(at, v));
        expect(of(tracker)).toBe(fingerprint(words));
      }),
    );
  });

  test('is restored by undo, with all sums', () => {
    fc.assert(
      fc.property(state, fc.array(writes, { maxLength: 5 }), writes, (words, blocks, later) => {
        const { arena, tracker } = tracked();
        words.forEach((v, at) => arena.set(at, v));
        tracker.journaling = true;
        const stack: { mark: number; fp: bigint; words: Int32Array }[] = [];
        for (const block of blocks) {
          stack.push({ mark: tracker.mark(), fp: of(tracker), words: arena.snapshot() });
          for (const [at, v] of block) arena.set(at, v);
        }
        for (const { mark, fp, words: before } of stack.reverse()) {
          tracker.undo(mark);
          expect(of(tracker)).toBe(fp);
          expect(arena.snapshot()).toEqual(before);
        }
        for (const [at, v] of later) arena.set(at, v);
        expect(of(tracker)).toBe(fingerprint([...arena.snapshot()]));
      }),
    );
  });

  test('tells twins of two groups apart', () => {
    const two: TwinLayout = { ...LAYOUT, groups: [0, 0, 1] };
    const at = (offset: number) =>
      fingerprint(
        Array.from({ length: WORDS }, (_, i) => (i === offset ? 1 : 0)),
        two,
      );
    expect(at(OWN)).toBe(at(OWN + 2));
    expect(at(OWN)).not.toBe(at(OWN + 4));
  });

  test('without symmetry tells all apart', () => {
    const at = (offset: number) => {
      const { arena } = tracked(null);
      const tracker = new Tracker(arena, { symmetry: false, twins: LAYOUT });
      arena.set(offset, 1);
      return of(tracker);
    };
    expect(at(OWN)).not.toBe(at(OWN + 2));
  });
});

test('a word that has to stay may not change', () => {
  const { arena } = tracked({ ...LAYOUT, fixed: [0] });
  expect(() => arena.set(0, 1)).toThrow('shared.value is what hardware knows of a twin');
});
