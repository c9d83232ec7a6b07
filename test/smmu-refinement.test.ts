/**
 * The conducts of an SMMU are one model (DESIGN §1), as `refinement.test.ts` says of VT-d: what `prompt` and every `adversary` seed come to is among
 * the outcomes that the exhaustive search finds, for random small programs of stage 1, stage 2 and both.
 */
import { describe, expect, test } from 'vitest';
import { Instance, randomFrom, runAdversary, runPrompt, Search } from '../src/explore/index.ts';
import { randomSmmu } from './random-smmu.ts';

const PROGRAMS = 240;
const SHARDS = 4;
const ADVERSARIES = 3;
const MAX_STATES = 60_000;

/** Every outcome that the exhaustive search finds; null if there are too many states. */
function explored(seed: number): Set<string> | null {
  const subject = randomSmmu(seed);
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
  const subject = randomSmmu(seed);
  conduct(new Instance(subject.machine));
  return subject.outcome();
}

describe('prompt and adversary refine explore', () => {
  for (let shard = 0; shard < SHARDS; shard++) {
    test(`${PROGRAMS / SHARDS} random programs, shard ${shard}`, () => {
      let outcomes = 0;
      let nasty = 0;
      let done = 0;
      for (let i = 0; i < PROGRAMS / SHARDS; i++) {
        const seed = shard * 1_000_003 + i;
        const all = explored(seed);
        if (all === null) continue;
        done++;
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
      expect(done).toBeGreaterThan((PROGRAMS / SHARDS) * 0.9);
      expect(outcomes / done).toBeGreaterThan(1.5);
      expect(nasty).toBeGreaterThan(PROGRAMS / SHARDS / 10);
    }, 120_000);
  }
});
