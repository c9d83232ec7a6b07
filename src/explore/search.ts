import { FACT } from '../machine/index.ts';
import type { Decision } from './decision.ts';
import { packed, unpacked } from './decision.ts';
import { FingerprintSet } from './fingerprint-set.ts';
import type { Instance } from './instance.ts';
import { RowQueue } from './row-queue.ts';
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
  private readonly open: Property[];

  constructor(instance: Instance, options: SearchOptions) {
    this.instance = instance;
    this.options = options;
    this.open = [...options.properties];
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
    const { arena, facts } = machine;
    const state = this.next++;
    if (state === this.levelEnd) {
      this.depth++;
      this.levelEnd = this.visited.size;
    }
    tracker.journaling = false;
    this.queue.shift(tracker.live, tracker.initial, (offset, value) => arena.set(offset, value));
    tracker.journaling = true;
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
    for (let i = this.open.length - 1; i >= 0; i--) {
      if (!this.open[i].broken(facts)) continue;
      const run = this.runTo(state);
      if (decision >= 0) run.push(unpacked(decision));
      this.violations.push({ property: this.open[i].id, run });
      this.open.splice(i, 1);
    }
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
