import { MAX_CHOICES } from '../machine/index.ts';
import { packed } from './decision.ts';
import { FingerprintMap } from './fingerprint-map.ts';
import type { Instance } from './instance.ts';
import { IntList } from './int-list.ts';
import { isDue, takeTwice } from './twice.ts';

/** Target of an edge whose state was not numbered any more. */
export const BEYOND = -1;

/** Words of a frame: state, agent, next choice, number of choices, mark of the journal. */
const FRAME = 5;

/** Bit of a state's flags; {@link StateGraphOptions.look}'s are above it. */
const ON_PATH = 1;

export interface StateGraphOptions {
  /** States to number at most; absent for no bound. */
  readonly maxStates?: number;
  /** Keep the edges; true if absent. Without them, only {@link StateGraph.isCyclic} is to be had. */
  readonly edges?: boolean;
  /** Called in each state once, with the agents that can step there. @returns what is to be known of it, as a number of up to 30 bits */
  readonly look?: (enabled: readonly boolean[]) => number;
}

/**
 * All states of an instance as a graph: states are numbers (0 is the start), an edge has its decision. Depth-first with undo, so that
 * no state is kept but its fingerprint. The machine is in the middle of it between two calls of {@link advance}: nobody else may step it.
 *
 * Edges name agents, so the instance must be one whose fingerprint tells agents apart: made `without` symmetry.
 */
export class StateGraph {
  readonly instance: Instance;
  /** The states explored so far have a cycle: an edge led back to a state of the path that was being followed. */
  isCyclic = false;
  /** States were left out because of {@link StateGraphOptions.maxStates}. Every state that has a number has all its edges. */
  bounded = false;
  states = 0;
  transitions = 0;
  /** By state: its first edge, −1 for none. Edges of one agent follow each other. */
  readonly first = new IntList();
  /** By edge: the next one of the same state, −1 for none. */
  readonly next = new IntList();
  /** By edge: the state that it leads to, {@link BEYOND} where that has no number. */
  readonly target = new IntList();
  /** By edge: its decision, packed. */
  readonly decision = new IntList();
  private readonly options: StateGraphOptions;
  private readonly numbers = new FingerprintMap();
  private readonly flags = new IntList();
  private readonly stack = new IntList();
  private readonly enabled: boolean[];

  constructor(instance: Instance, options: StateGraphOptions = {}) {
    this.instance = instance;
    this.options = options;
    this.enabled = instance.agents.map(() => false);
    instance.rewind();
    this.enter();
  }

  /** Follows up to `count` edges. @returns whether the graph is complete, or as large as it may be */
  advance(count: number): boolean {
    for (let i = 0; i < count; i++) {
      if (this.stack.length === 0) return true;
      this.follow();
    }
    return this.stack.length === 0;
  }

  /** What {@link StateGraphOptions.look} returned in the state. */
  seen(state: number): number {
    return this.flags.at[state] >> 1;
  }

  /** Index of the agent whose step the edge is. */
  agentOf(edge: number): number {
    return Math.floor(this.decision.at[edge] / MAX_CHOICES);
  }

  /** Numbers the state that the machine is in, and begins with its edges. */
  private enter(): void {
    const { agents, tracker } = this.instance;
    const { enabled, stack } = this;
    const state = this.states++;
    this.numbers.set(tracker.fpA, tracker.fpB, state);
    let flags = ON_PATH;
    if (this.options.look !== undefined) {
      for (let a = 0; a < agents.length; a++) enabled[a] = agents[a].choices() > 0;
      flags |= this.options.look(enabled) << 1;
    }
    this.flags.push(flags);
    this.first.push(-1);
    stack.push(state);
    stack.push(-1);
    stack.push(0);
    stack.push(0);
    stack.push(tracker.mark());
  }

  /** Takes the next edge of the state on top, or leaves it. */
  private follow(): void {
    const { agents, tracker } = this.instance;
    const { stack, flags } = this;
    const top = stack.length - FRAME;
    const state = stack.at[top];
    let agent = stack.at[top + 1];
    let choice = stack.at[top + 2];
    while (choice === stack.at[top + 3]) {
      agent++;
      if (agent === agents.length) return this.leave(state);
      choice = 0;
      stack.at[top + 1] = agent;
      stack.at[top + 3] = agents[agent].choices();
    }
    stack.at[top + 2] = choice + 1;
    const isCompared = isDue(this.instance, agent, choice, this.transitions);
    agents[agent].step(choice);
    if (isCompared) takeTwice(this.instance, agent, choice, stack.at[top + 4]);
    this.transitions++;
    let to = this.numbers.get(tracker.fpA, tracker.fpB);
    if (to >= 0) {
      if ((flags.at[to] & ON_PATH) !== 0) this.isCyclic = true;
      tracker.undo(stack.at[top + 4]);
    } else if (this.states >= (this.options.maxStates ?? Number.POSITIVE_INFINITY)) {
      this.bounded = true;
      to = BEYOND;
      tracker.undo(stack.at[top + 4]);
    } else {
      to = this.states;
      this.enter();
    }
    if (this.options.edges !== false) this.connect(state, packed(agent, choice), to);
  }

  private leave(state: number): void {
    const { stack, flags } = this;
    flags.at[state] &= ~ON_PATH;
    stack.length -= FRAME;
    if (stack.length > 0) this.instance.tracker.undo(stack.at[stack.length - 1]);
  }

  private connect(state: number, decision: number, to: number): void {
    this.next.push(this.first.at[state]);
    this.first.at[state] = this.next.length - 1;
    this.target.push(to);
    this.decision.push(decision);
  }
}
