/** The three conducts are one model (DESIGN §1): what `prompt` and every `adversary` seed come to is among the outcomes that the exhaustive search finds. */
import { describe, expect, test } from 'vitest';
import { Instance, randomFrom, runAdversary, runPrompt, Search } from '../../src/explore/index.ts';
import type { Subject } from '../random-programs.ts';

const ADVERSARIES = 3;

/** Random programs that are run under each conduct. */
export interface Refinement {
  /** The program of a seed: built anew for every run, always the same. */
  readonly subject: (seed: number) => Subject;
  readonly programs: number;
  /** Tests that the programs are divided among; divides them. */
  readonly shards: number;
  /** A program with more distinct states than these is skipped: its outcomes are not all known. */
  readonly maxStates: number;
  /** Part of the programs of a shard that must not be skipped, from 0 to 1. */
  readonly searched: number;
}

/** What the programs of a shard came to. */
interface Figures {
  /** Programs whose outcomes were all found. */
  searched: number;
  /** Seeds of the others. */
  readonly skipped: number[];
  /** Outcomes of these, counted for each. */
  outcomes: number;
  /** Runs of adversaries that came to something else than `prompt` did. */
  nasty: number;
}

/** Declares the tests of a refinement, one for each shard. */
export function testRefinement(of: Refinement): void {
  const { shards } = of;
  const programs = of.programs / shards;
  describe('prompt and adversary refine explore', () => {
    for (let shard = 0; shard < shards; shard++) {
      test(`${programs} random programs, shard ${shard}`, () => {
        const figures: Figures = { searched: 0, skipped: [], outcomes: 0, nasty: 0 };
        for (let i = 0; i < programs; i++) refine(of, shard * 1_000_003 + i, figures);
        const { searched, skipped, outcomes, nasty } = figures;
        expect(searched / programs, `more than ${of.maxStates} states: seeds ${skipped}`).toBeGreaterThanOrEqual(
          of.searched,
        );
        // The test would be worth nothing if programs had one outcome, or the adversary did what prompt does.
        expect(outcomes / searched).toBeGreaterThan(1.5);
        expect(nasty).toBeGreaterThan(programs / 10);
      });
    }
  });
}

function refine(of: Refinement, seed: number, figures: Figures): void {
  const all = explored(of, seed);
  if (all === null) {
    figures.skipped.push(seed);
    return;
  }
  figures.searched++;
  figures.outcomes += all.size;
  const turn = randomFrom(seed + 7);
  const prompt = conducted(of, seed, (instance) => runPrompt(instance, turn));
  expect(all, `prompt, seed ${seed}`).toContain(prompt);
  for (let a = 0; a < ADVERSARIES; a++) {
    const adversary = conducted(of, seed, (instance) => runAdversary(instance, seed * ADVERSARIES + a));
    expect(all, `adversary ${a}, seed ${seed}`).toContain(adversary);
    if (adversary !== prompt) figures.nasty++;
  }
}

/** Every outcome that the exhaustive search finds; null if there are too many states. */
function explored({ subject, maxStates }: Refinement, seed: number): Set<string> | null {
  const { machine, outcome } = subject(seed);
  const outcomes = new Set<string>();
  const search = new Search(new Instance(machine), {
    properties: [],
    maxStates,
    onEnd: () => outcomes.add(outcome()),
  });
  while (!search.advance(10_000)) {}
  return search.exhausted ? outcomes : null;
}

function conducted({ subject }: Refinement, seed: number, conduct: (instance: Instance) => void): string {
  const { machine, outcome } = subject(seed);
  conduct(new Instance(machine));
  return outcome();
}
