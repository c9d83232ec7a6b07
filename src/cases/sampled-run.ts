import type { InstanceOptions, PreemptionBounded, RandomSearch, Violation } from '../explore/index.ts';
import {
  PreemptionBounded as Bounded,
  countBlocks,
  Ends,
  Instance,
  RandomSearch as Random,
  shrink,
} from '../explore/index.ts';
import type { Case, Setup } from './define.ts';
import { expectedOf } from './define.ts';
import type { Invariant, InvariantId } from './invariants.ts';
import { INVARIANTS } from './invariants.ts';
import type { ModelName, ProfileOf } from './models.ts';
import { lacking } from './models.ts';
import type { Broken, Outcome, RunOptions } from './run.ts';
import { isOpen, verdictOf, verifyAlone } from './run.ts';

/**
 * Some runs instead of all. `random`: so many of them, from a seed. `preemptions`: all with at most so many changes away from an agent that
 * could have gone on, which is a proof where one more leads nowhere new.
 */
export type Sample =
  | { readonly kind: 'random'; readonly runs: number; readonly seed: number; readonly maxPreemptions?: number }
  | { readonly kind: 'preemptions'; readonly maxPreemptions: number };

/** Steps after which a random run is cut off. */
const MAX_STEPS = 100_000;

/** As {@link CaseRun}, for a sample of the runs; what it finds is shrunk. */
export class SampledRun {
  readonly definition: Case;
  readonly setup: Setup<ModelName>;
  /** Properties that are looked for, I9 always among them. */
  readonly properties: readonly Invariant[];
  private readonly search: RandomSearch | PreemptionBounded;
  private readonly sample: Sample;

  constructor(
    definition: Case,
    variant: string,
    profile: ProfileOf[ModelName],
    sample: Sample,
    options: RunOptions = {},
  ) {
    this.definition = definition;
    this.sample = sample;
    this.setup = { variant, profile, mutant: options.mutant ?? null };
    const ids: InvariantId[] = [...definition.invariants];
    if (!ids.includes('I9')) ids.push('I9');
    this.properties = ids.map((id) => INVARIANTS[id]);
    const { properties } = this;
    const bound = options.maxStates === undefined ? {} : { maxStates: options.maxStates };
    if (sample.kind === 'random') {
      const { seed, maxPreemptions } = sample;
      const preemptions = maxPreemptions === undefined ? {} : { maxPreemptions };
      this.search = new Random(this.fresh(options), { seed, properties, maxSteps: MAX_STEPS, ...preemptions });
    } else {
      const { maxPreemptions } = sample;
      this.search = new Bounded(definition.build(this.setup), {
        properties,
        maxPreemptions,
        instance: options,
        ...bound,
      });
    }
  }

  /** Goes on for a portion of some `count` transitions. @returns whether it is over */
  advance(count: number): boolean {
    const { definition, setup, search } = this;
    if (!this.take(count)) return false;
    verifyAlone(search.instance, () => definition.build(setup));
    return true;
  }

  private take(count: number): boolean {
    const { sample, search } = this;
    if (sample.kind !== 'random' || !(search instanceof Random)) return search.advance(count);
    const runs = Math.min(Math.max(1, count >> 6), sample.runs - search.runs);
    return search.advance(runs) || search.runs >= sample.runs;
  }

  /** How far it is. */
  get progress(): { states: number; depth: number; frontier: number } {
    return { states: this.search.states, depth: this.search.depth, frontier: 0 };
  }

  outcome(): Outcome {
    const { definition, setup, search } = this;
    const { rules } = search.instance.machine;
    const broken = search.violations.map((violation) => this.breakage(violation));
    // Cycles are not looked for: where hardware could go on for ever, all that was seen proves nothing of I9.
    const exhausted = search instanceof Bounded && search.exhausted && Ends.of(search.instance) !== null;
    return {
      expected: expectedOf(definition, setup.variant, setup.profile.name),
      verdict: verdictOf(broken, exhausted),
      unfiredRules: rules.list.filter((_, i) => rules.fired[i] === 0).map((rule) => rule.id),
      rules: Object.fromEntries(rules.list.map((rule, i) => [rule.id, rules.fired[i]])),
      lacks: [...new Set([...lacking(definition.model, setup.profile), ...(definition.lacks ?? [])])].filter(
        (feature) => definition.needs?.includes(feature),
      ),
      broken: broken.sort((a, b) => Number(isOpen(a)) - Number(isOpen(b)) || a.run.length - b.run.length),
      states: search.states,
      transitions: search instanceof Random ? search.steps : search.transitions,
      depth: search.depth,
      exhausted,
      expectedCollisions: search.states ** 2 / 2 ** 65,
      bytesPerState: 0,
    };
  }

  private breakage({ property, run }: Violation): Broken {
    const invariant = INVARIANTS[property as InvariantId];
    const shrunk = shrink(this.fresh(), run, invariant);
    return { invariant, run: shrunk.run, blocks: countBlocks(shrunk.run), shortest: false };
  }

  /** The machine once more, at its start: for replays. */
  fresh(options: InstanceOptions = {}): Instance {
    return new Instance(this.definition.build(this.setup), options);
  }
}
