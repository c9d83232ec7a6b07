import type { Decided, InstanceOptions, SavedSearch, SavedShortest, Violation } from '../explore/index.ts';
import { countBlocks, DepthFirst, decidedBy, Instance, LivelockSearch, Search, tidy } from '../explore/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Case, Setup, Verdict } from './define.ts';
import { expectedOf } from './define.ts';
import type { Invariant, InvariantId } from './invariants.ts';
import { INVARIANTS } from './invariants.ts';
import type { Feature, ModelName, ProfileOf } from './models.ts';
import { lacking } from './models.ts';

export interface RunOptions extends InstanceOptions {
  readonly maxStates?: number;
  readonly mutant?: string | null;
}

/** One broken invariant with the run that is told. */
export interface Broken {
  readonly invariant: Invariant;
  readonly run: Violation['run'];
  readonly blocks: number;
  /** No run that breaks it is shorter. */
  readonly shortest: boolean;
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
  /** How often each rule of the hardware fired. */
  readonly rules: Readonly<Record<string, number>>;
  /** Parts that the case needs and the profile lacks. */
  readonly lacks: readonly Feature[];
  readonly expectedCollisions: number;
  /** Bytes of the visited set, a state. */
  readonly bytesPerState: number;
}

/** A run that was interrupted, as plain data: while the verdict was being decided, or when it was known and what was left was to find the shortest runs. */
export type SavedRun =
  | { readonly phase: 'deciding'; readonly search: SavedSearch }
  | { readonly phase: 'telling'; readonly decided: Decided; readonly shortest: SavedShortest | null };

/** Whether this is no broken rule, but a state in which the specification leaves open what happens. */
export function isOpen({ invariant }: Broken): boolean {
  return invariant.id === INVARIANTS.OPEN.id;
}

/** @param sure every run was seen, so that nothing more can be found */
export function verdictOf(broken: readonly Broken[], sure: boolean): Verdict {
  if (broken.some((b) => !isOpen(b))) return 'violated';
  if (!sure) return 'bounded';
  return broken.length > 0 ? 'undefined' : 'holds';
}

/**
 * Compares each program, as far as an instance knows it, with itself: in a machine of its own, in which no other actor has run.
 * @throws ProgramError where it is another
 */
export function verifyAlone(instance: Instance, build: () => Machine): void {
  instance.actors.forEach((actor, i) => actor.verify(build().actors[i].program));
}

/**
 * One variant of a case under one profile, searched in portions so that a caller can show progress and stop. First, depth-first with every
 * reduction, the verdict; then, where something is broken, breadth-first and without partial-order reduction, the shortest run of each.
 */
export class CaseRun {
  readonly definition: Case;
  readonly setup: Setup<ModelName>;
  /** Where the verdict is decided. */
  readonly instance: Instance;
  /** Properties that are looked for, I9 always among them. */
  readonly properties: readonly Invariant[];
  search: DepthFirst;
  private readonly options: RunOptions;
  /** The verdict, when it is known: from {@link search} or from several threads. */
  private decided: Decided | null = null;
  private telling: Search | null = null;
  /** Where some run comes back to where it was: whether a run goes on for ever that way. */
  private livelock: LivelockSearch | null = null;

  constructor(definition: Case, variant: string, profile: ProfileOf[ModelName], options: RunOptions = {}) {
    this.definition = definition;
    this.options = options;
    this.setup = { variant, profile, mutant: options.mutant ?? null };
    const ids: InvariantId[] = [...definition.invariants];
    if (!ids.includes('I9')) ids.push('I9');
    this.properties = ids.map((id) => INVARIANTS[id]);
    this.instance = this.fresh(options);
    this.search = this.depthFirst();
    this.search.begin();
  }

  private depthFirst(): DepthFirst {
    const { maxStates, without = [] } = this.options;
    const bound = maxStates === undefined ? {} : { maxStates };
    return new DepthFirst(this.instance, {
      properties: this.properties,
      ample: !without.includes('ample'),
      ...bound,
    });
  }

  /** Everything that is known, to go on later; null where that was {@link isCut}: what the search had left then is what there is to go on with. */
  whole(): SavedRun | null {
    const { decided, search, telling, isCut } = this;
    if (decided === null) return { phase: 'deciding', search: search.whole() };
    return isCut ? null : { phase: 'telling', decided, shortest: telling?.whole() ?? null };
  }

  /** The verdict is one of a search that ended before it had seen all that it was to see. */
  get isCut(): boolean {
    const { decided, properties } = this;
    return decided !== null && !decided.exhausted && decided.violations.length < properties.length;
  }

  /** Goes on from {@link whole}, instead of from the start. */
  restore(saved: SavedRun): void {
    if (saved.phase === 'deciding') {
      this.search = this.depthFirst();
      this.search.restore(saved.search);
      return;
    }
    this.adopt(saved.decided);
    if (saved.shortest !== null) this.telling?.restore(saved.shortest);
  }

  /** The verdict is not known yet. */
  get isDeciding(): boolean {
    return this.decided === null;
  }

  /** Goes on for a portion: `count` transitions or states. @returns whether the run is over */
  advance(count: number): boolean {
    if (this.decided === null) {
      if (!this.search.advance(count)) return false;
      this.adopt(decidedBy(this.search));
    }
    if (this.livelock !== null && !this.livelock.advance(count)) return false;
    return this.telling === null || this.telling.advance(count);
  }

  /** Takes the verdict over that this or another search has come to; what is left is to find the shortest runs. */
  adopt(decided: Decided): void {
    this.decided = decided;
    this.verify();
    const broken = decided.violations.map((v) => v.property);
    const { maxStates } = this.options;
    const bound = maxStates === undefined ? {} : { maxStates };
    if (decided.exhausted && decided.cyclic && !broken.includes('I9')) {
      const machine = this.definition.build(this.setup);
      this.livelock = new LivelockSearch(machine, { instance: this.options, ...bound });
    }
    if (broken.length === 0) return;
    const properties = this.properties.filter((p) => broken.includes(p.id));
    this.telling = new Search(this.fresh(this.options), { properties, ...bound });
  }

  /** See {@link verifyAlone}; for what several threads have searched, each calls it. */
  verify(): void {
    verifyAlone(this.instance, () => this.definition.build(this.setup));
  }

  /** Runs to the end. */
  finish(): Outcome {
    while (!this.advance(100_000)) {}
    return this.outcome();
  }

  /** How far it is. */
  get progress(): { states: number; depth: number; frontier: number } {
    const { search, telling, livelock } = this;
    if (telling === null && livelock !== null) return { states: livelock.states, depth: search.depth, frontier: 0 };
    if (telling !== null) return { states: telling.states, depth: telling.depth, frontier: telling.frontier };
    return { states: search.states, depth: search.depth, frontier: search.position };
  }

  /** The machine that is searched at the moment. */
  get current(): Instance {
    return this.telling?.instance ?? this.instance;
  }

  outcome(): Outcome {
    const { definition, setup } = this;
    const decided = this.decided ?? decidedBy(this.search);
    const { list } = this.instance.machine.rules;
    const absent = [...lacking(definition.model, setup.profile), ...(definition.lacks ?? [])];
    const lacks = [...new Set(absent)].filter((feature) => definition.needs?.includes(feature));
    const broken = decided.violations.map((violation) => this.breakage(violation));
    const lasso = this.livelock?.found;
    if (lasso) {
      const run = [...lasso.path, ...lasso.cycle];
      // The path is the shortest to where a run may stay for ever; the cycle after it only is short.
      broken.push({ invariant: INVARIANTS.I9, run, blocks: countBlocks(run), shortest: false });
    }
    const sure = decided.exhausted && (this.livelock === null || this.livelock.verdict !== 'bounded');
    return {
      expected: expectedOf(definition, setup.variant, setup.profile.name),
      verdict: verdictOf(broken, sure),
      unfiredRules: list.filter((_, i) => decided.fired[i] === 0).map((rule) => rule.id),
      rules: Object.fromEntries(list.map((rule, i) => [rule.id, decided.fired[i]])),
      lacks,
      // The verdict's invariant is the one that breaks soonest; among equals, the one that the case names first.
      broken: broken.sort(
        (a, b) => Number(isOpen(a)) - Number(isOpen(b)) || a.run.length - b.run.length || this.rank(a) - this.rank(b),
      ),
      states: decided.states,
      transitions: decided.transitions,
      depth: decided.depth,
      exhausted: decided.exhausted,
      expectedCollisions: decided.expectedCollisions,
      bytesPerState: decided.bytesPerState,
    };
  }

  private rank(broken: Broken): number {
    return this.properties.indexOf(broken.invariant);
  }

  private breakage(found: Violation): Broken {
    const invariant = INVARIANTS[found.property as InvariantId];
    const shortest = this.telling?.violations.find((v) => v.property === found.property);
    const { run: told } = shortest ?? found;
    // A deadlock is no step's fact; its run is left as it was found.
    const run = invariant.id === 'I9' ? told : tidy(this.fresh(), told, invariant);
    return { invariant, run, blocks: countBlocks(run), shortest: shortest !== undefined };
  }

  /** The machine once more, at its start: for replays. */
  fresh(options: InstanceOptions = {}): Instance {
    return new Instance(this.definition.build(this.setup), options);
  }
}
