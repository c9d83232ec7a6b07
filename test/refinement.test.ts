/**
 * The three conducts are one model (DESIGN §1): what `prompt` and every `adversary` seed come to is among the outcomes that the
 * exhaustive search finds. 10,000 random small programs: page-table stores, invalidations of all kinds by either interface, DMA, stray DMA, canaries.
 */
import { describe, expect, test } from 'vitest';
import { Instance, randomFrom, runAdversary, runPrompt, Search } from '../src/explore/index.ts';
import { randomVtd } from './random-programs.ts';

const PROGRAMS = 10_000;
const SHARDS = 10;
const ADVERSARIES = 3;
const MAX_STATES = 20_000;

/** Every outcome that the exhaustive search finds; null if there are too many states. */
function explored(seed: number): Set<string> | null {
  const subject = randomVtd(seed);
  const outcomes = new Set<string>();
  const search = new Search(new Instance(subject.machine), {
    properties: [],
    maxStates: MAX_STATES,
    onEnd: () => outcomes.add(subject.outcome()),
  });
  while (!search.advance(10_000)) {}
  return search.exhausted ? outcomes : null;
}

function conducted(seed: number, conduct: (instance: Instance) => void): string {
  const subject = randomVtd(seed);
  conduct(new Instance(subject.machine));
  return subject.outcome();
}

describe('prompt and adversary refine explore', () => {
  for (let shard = 0; shard < SHARDS; shard++) {
    test(`${PROGRAMS / SHARDS} random programs, shard ${shard}`, () => {
      let outcomes = 0;
      let nasty = 0;
      for (let i = 0; i < PROGRAMS / SHARDS; i++) {
        const seed = shard * 1_000_003 + i;
        const all = explored(seed);
        if (all === null) throw new Error(`program ${seed} has more than ${MAX_STATES} states`);
        outcomes += all.size;
        const turn = randomFrom(seed + 7);
        const prompt = conducted(seed, (instance) => runPrompt(instance, turn));
        expect(all, `prompt, seed ${seed}`).toContain(prompt);
        for (let a = 0; a < ADVERSARIES; a++) {
          const adversary = conducted(seed, (instance) => runAdversary(instance, seed * ADVERSARIES + a));
          expect(all, `adversary ${a}, seed ${seed}`).toContain(adversary);
          if (adversary !== prompt) nasty++;
        }
      }
      // The test would be worth nothing if programs had one outcome, or the adversary did what prompt does.
      expect(outcomes / (PROGRAMS / SHARDS)).toBeGreaterThan(1.5);
      expect(nasty).toBeGreaterThan(PROGRAMS / SHARDS / 10);
    });
  }
});
