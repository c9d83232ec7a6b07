import type { InstanceOptions, Violation } from '../explore/index.ts';
import { countBlocks, Instance, Search, tidy } from '../explore/index.ts';
import type { VtdProfile } from '../iommu/vtd/profiles.ts';
import type { Case, Feature, Setup, Verdict } from './define.ts';
import { expectedOf, lacking } from './define.ts';
import type { Invariant, InvariantId } from './invariants.ts';
import { INVARIANTS } from './invariants.ts';

export interface RunOptions extends InstanceOptions {
  readonly maxStates?: number;
  readonly mutant?: string | null;
}

/** One broken invariant with its shortest run. */
export interface Broken {
  readonly invariant: Invariant;
  readonly run: Violation['run'];
  readonly blocks: number;
}

/** What is known of a run, at any time. */
export interface Outcome {
  readonly expected: Verdict;
  readonly verdict: Verdict;
  readonly broken: readonly Broken[];
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly exhausted: boolean;
  /** Rules of the hardware that never fired. */
  readonly unfiredRules: readonly string[];
  /** Parts that the case needs and the profile lacks. */
  readonly lacks: readonly Feature[];
  readonly expectedCollisions: number;
}

/** One variant of a case under one profile, searched in portions so that a caller can show progress and stop. */
export class CaseRun {
  readonly definition: Case;
  readonly setup: Setup;
  readonly search: Search;
  private readonly instance: Instance;
  private readonly invariants: readonly Invariant[];
  private readonly broken: Broken[] = [];

  constructor(definition: Case, variant: string, profile: VtdProfile, options: RunOptions = {}) {
    this.definition = definition;
    this.setup = { variant, profile, mutant: options.mutant ?? null };
    const ids: InvariantId[] = [...definition.invariants];
    if (!ids.includes('I9')) ids.push('I9');
    this.invariants = ids.map((id) => INVARIANTS[id]);
    this.instance = new Instance(definition.build(this.setup), options);
    const properties = this.invariants;
    this.search = new Search(
      this.instance,
      options.maxStates === undefined ? { properties } : { properties, maxStates: options.maxStates },
    );
  }

  /** Expands up to `count` states. @returns whether the run is over */
  advance(count: number): boolean {
    const over = this.search.advance(count);
    if (over) {
      // Each in a machine of its own, in which no other actor has run.
      this.instance.actors.forEach((actor, i) => actor.verify(this.definition.build(this.setup).actors[i].program()));
    }
    return over;
  }

  /** Runs to the end. */
  finish(): Outcome {
    while (!this.advance(100_000)) {}
    return this.outcome();
  }

  outcome(): Outcome {
    const { search, definition, setup } = this;
    for (const violation of search.violations.slice(this.broken.length)) this.broken.push(this.breakage(violation));
    const fired = this.instance.machine.rules;
    const unfiredRules = fired.list.filter((_, i) => fired.fired[i] === 0).map((rule) => rule.id);
    const absent = [...lacking(setup.profile), ...(definition.lacks ?? [])];
    const lacks = [...new Set(absent)].filter((feature) => definition.needs?.includes(feature));
    const verdict = this.broken.length > 0 ? 'violated' : search.exhausted ? 'holds' : 'bounded';
    return {
      expected: expectedOf(definition, setup.variant, setup.profile.name),
      verdict,
      unfiredRules,
      lacks,
      // The verdict's invariant is the one that breaks soonest; among equals, the one that the case names first.
      broken: [...this.broken].sort((a, b) => a.run.length - b.run.length || this.rank(a) - this.rank(b)),
      states: search.states,
      transitions: search.transitions,
      depth: search.depth,
      exhausted: search.exhausted,
      expectedCollisions: search.expectedCollisions,
    };
  }

  private rank(broken: Broken): number {
    return this.invariants.indexOf(broken.invariant);
  }

  private breakage(violation: Violation): Broken {
    const invariant = INVARIANTS[violation.property as InvariantId];
    // A deadlock is no step's fact; its run is left as it was found.
    const run = invariant.id === 'I9' ? violation.run : tidy(this.fresh(), violation.run, invariant);
    return { invariant, run, blocks: countBlocks(run) };
  }

  /** The machine once more, at its start: for replays. */
  fresh(options: InstanceOptions = {}): Instance {
    return new Instance(this.definition.build(this.setup), options);
  }
}
