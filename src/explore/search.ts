import { FACT } from '../machine/index.ts';
import type { Decision } from './decision.ts';
import { packed, unpacked } from './decision.ts';
import { FingerprintSet } from './fingerprint-set.ts';
import type { Instance } from './instance.ts';
import { RowQueue } from './row-queue.ts';
import type { SavedShortest } from './saved-search.ts';
import { isDue, takeTwice } from './twice.ts';

/** A property of every step, as the search needs it. */
export interface Property {
  readonly id: string;
  /** Whether a step that showed these facts ({@link FACT}) broke it. */
  broken(facts: number): boolean;
}

export interface Violation {
  readonly property: string;
  /** A run that breaks it; from `Search`, a shortest one. */
  readonly run: readonly Decision[];
}

export interface SearchOptions {
  readonly properties: readonly Property[];
  /** Distinct states to stop at; absent for none. */
  readonly maxStates?: number;
  /** Called in every state in which nothing can happen any more. */
  readonly onEnd?: () => void;
}

/**
 * Exhaustive breadth-first search over the states of a machine: every agent, every choice, in every order. The first run found that
 * breaks a property is a shortest one. Invariants of a step are checked before its state is looked up.
 */
export class Search {
  readonly instance: Instance;
  readonly violations: Violation[] = [];
  transitions = 0;
  /** Steps from the start to the deepest state. */
  depth = 0;
  /** Nothing is left to explore. */
  exhausted = false;
  /** Stopped by {@link SearchOptions.maxStates}. */
  bounded = false;
  private readonly options: SearchOptions;
  private readonly visited = new FingerprintSet();
  private readonly queue = new RowQueue();
  private parents = new Int32Array(1 << 10);
  private decisions = new Int32Array(1 << 10);
  /** Number of the state that is expanded next, and where the level after it begins. */
  private next = 0;
  private levelEnd = 1;
  private open: readonly Property[];

  constructor(instance: Instance, options: SearchOptions) {
    this.instance = instance;
    this.options = options;
    this.open = options.properties;
    const { tracker, machine } = instance;
    this.visited.add(tracker.fpA, tracker.fpB);
    this.queue.push(machine.arena.words, tracker.live);
    this.parents[0] = -1;
  }

  get states(): number {
    return this.visited.size;
  }

  /** Bytes of the visited set, the parents and the frontier's share, a state. */
  get bytesPerState(): number {
    return (this.visited.bytes + this.parents.byteLength * 2) / this.states;
  }

  /** States that are still to be expanded. */
  get frontier(): number {
    return this.queue.length;
  }

  get expectedCollisions(): number {
    return this.visited.expectedCollisions;
  }

  /** Expands up to `count` states. @returns whether the search is over */
  advance(count: number): boolean {
    for (let i = 0; i < count; i++) {
      if (this.queue.length === 0) {
        this.exhausted = !this.bounded;
        return true;
      }
      if (this.open.length === 0 && this.options.properties.length > 0) return true;
      const { maxStates = Number.POSITIVE_INFINITY } = this.options;
      if (this.visited.isFull || this.states >= maxStates) {
        this.bounded = true;
        return true;
      }
      this.expand();
    }
    return false;
  }

  private expand(): void {
    const { instance } = this;
    const { agents, machine, tracker } = instance;
    const { facts } = machine;
    const state = this.next++;
    if (state === this.levelEnd) {
      this.depth++;
      this.levelEnd = this.visited.size;
    }
    this.shift();
    const mark = tracker.mark();
    let enabled = false;
    let owed = false;
    for (let a = 0; a < agents.length; a++) {
      const choices = agents[a].choices();
      for (let choice = 0; choice < choices; choice++) {
        enabled = true;
        owed ||= !instance.mayRest[a];
        facts.bits = 0;
        const isCompared = isDue(instance, a, choice, this.transitions);
        agents[a].step(choice);
        if (isCompared) takeTwice(instance, a, choice, mark);
        this.transitions++;
        if (facts.bits !== 0) this.check(facts.bits, state, packed(a, choice));
        if (this.visited.add(tracker.fpA, tracker.fpB)) this.remember(state, packed(a, choice));
        tracker.undo(mark);
      }
    }
    // Whoever may rest need not end anybody's wait.
    if (!owed && instance.hasWaiting()) this.check(FACT.deadlock, state, -1);
    if (!enabled) this.options.onEnd?.();
  }

  /** Puts the machine into the first state of the queue. */
  private shift(): void {
    const { machine, tracker } = this.instance;
    tracker.journaling = false;
    this.queue.shift(tracker.live, tracker.initial, (offset, value) => machine.arena.set(offset, value));
    tracker.journaling = true;
  }

  /** Everything that this search knows, to go on later. */
  whole(): SavedShortest {
    const { next, levelEnd, depth, transitions, violations, states } = this;
    const parents = this.parents.slice(0, states);
    const decisions = this.decisions.slice(0, states);
    return { parents, decisions, next, levelEnd, depth, transitions, violations: [...violations] };
  }

  /** Goes on from {@link whole}, in a search that has just begun: takes every step that led to a new state once more, and no other. */
  restore({ parents, decisions, ...saved }: SavedShortest): void {
    const { agents, tracker } = this.instance;
    for (let state = 0, found = 1; state < saved.next; state++) {
      this.shift();
      const mark = tracker.mark();
      // States were numbered as they were found, so that those that were found from one follow each other.
      for (; parents[found] === state; found++) {
        const { agent, choice } = unpacked(decisions[found]);
        agents[agent].step(choice);
        if (!this.visited.add(tracker.fpA, tracker.fpB))
          throw new Error('[internal] a saved state is not where it was');
        this.remember(state, decisions[found]);
        tracker.undo(mark);
      }
    }
    if (this.states !== parents.length) throw new Error('[internal] saved states that nothing leads to');
    this.next = saved.next;
    this.levelEnd = saved.levelEnd;
    this.depth = saved.depth;
    this.transitions = saved.transitions;
    this.violations.push(...saved.violations);
    this.open = this.open.filter((p) => !saved.violations.some((v) => v.property === p.id));
  }

  private remember(parent: number, decision: number): void {
    const state = this.visited.size - 1;
    if (state === this.parents.length) {
      this.parents = grown(this.parents);
      this.decisions = grown(this.decisions);
    }
    this.parents[state] = parent;
    this.decisions[state] = decision;
    this.queue.push(this.instance.machine.arena.words, this.instance.tracker.live);
  }

  private check(facts: number, state: number, decision: number): void {
    const broken = this.open.filter((property) => property.broken(facts));
    if (broken.length === 0) return;
    const run = this.runTo(state);
    if (decision >= 0) run.push(unpacked(decision));
    this.open = this.open.filter((property) => !broken.includes(property));
    for (const { id } of broken) this.violations.push({ property: id, run });
  }

  private runTo(state: number): Decision[] {
    const run: Decision[] = [];
    for (let s = state; s > 0; s = this.parents[s]) run.push(unpacked(this.decisions[s]));
    return run.reverse();
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(array.length * 2);
  bigger.set(array);
  return bigger;
}
