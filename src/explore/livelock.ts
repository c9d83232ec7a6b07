import type { Machine } from '../machine/index.ts';
import type { InstanceOptions, Reduction } from './instance.ts';
import { Instance } from './instance.ts';
import type { Lasso } from './lasso.ts';
import { Component, ShortestPaths } from './lasso.ts';
import { MAY_REST } from './may-rest.ts';
import { BEYOND, StateGraph } from './state-graph.ts';
import { strongComponents } from './strong-components.ts';

export interface LivelockOptions {
  /** Distinct states to stop at; absent for none. */
  readonly maxStates?: number;
  /** Names of agents to which a run need not be fair; {@link MAY_REST} if absent. */
  readonly mayRest?: readonly string[];
  /** Names of actors that may go on for ever; all others must come to their end. None if absent. */
  readonly endless?: readonly string[];
  readonly instance?: InstanceOptions;
}

export interface Livelock extends Lasso {
  /** Names of the actors that do not come to their end. */
  readonly waiting: readonly string[];
}

/** Bits of what is known of a state: an actor that must end has not; there, only agents that may rest can step. */
const WAITING = 1;
const RESTING = 2;

/**
 * Looks for runs that go on for ever while an actor does not come to its end (I9): a path and a cycle, over the graph of all states.
 * Nothing is reduced, and a state with its edges takes about 100 bytes: it is for machines of up to some million states.
 *
 * A run counts if it is weakly fair to every agent but those that may rest: an agent that can step in every state from some time on does
 * step, again and again. Not more than that is asked: an agent that can step only now and then may miss every occasion (a waiter whose
 * guard comes and goes starves), and which of its choices an agent takes is nobody's promise (a walk may decline a cached entry each time).
 * So a livelock that is found needs no luck but unfair timing, and `holds` needs no assumption but that everybody goes on.
 *
 * A run may also end for good where only agents that may rest can step: then the cycle has no steps. Where nothing at all can step,
 * that is a deadlock, which {@link Search} reports.
 */
export class LivelockSearch {
  /** Made for this search: fairness is to agents, so the fingerprint tells apart which of two equal agents is where. */
  readonly instance: Instance;
  /** The livelock that is reached in fewest steps; null where there is none, and until the search is over. */
  found: Livelock | null = null;
  private readonly graph: StateGraph;
  private readonly actors: readonly { hasFinished(): boolean; readonly name: string }[];
  /** By agent: a run must be fair to it. */
  private readonly isOwed: readonly boolean[];
  private over = false;

  constructor(machine: Machine, options: LivelockOptions = {}) {
    const { mayRest = MAY_REST, endless = [], maxStates } = options;
    const without: readonly Reduction[] = [...(options.instance?.without ?? []), 'symmetry'];
    this.instance = new Instance(machine, { ...options.instance, without });
    this.actors = this.instance.actors.filter((actor) => !endless.includes(actor.name));
    this.isOwed = this.instance.agents.map((agent) => !mayRest.includes(agent.name));
    const look = (enabled: readonly boolean[]) => this.look(enabled);
    this.graph = new StateGraph(this.instance, maxStates === undefined ? { look } : { look, maxStates });
  }

  get states(): number {
    return this.graph.states;
  }

  get transitions(): number {
    return this.graph.transitions;
  }

  /** Whether the states explored so far have a cycle at all, fair or not; without one, no run goes on for ever. */
  get isCyclic(): boolean {
    return this.graph.isCyclic;
  }

  /** `bounded`: none was found, and states were left out. A livelock that is found is one whatever was left out. */
  get verdict(): 'violated' | 'holds' | 'bounded' {
    if (this.found !== null) return 'violated';
    return this.over && !this.graph.bounded ? 'holds' : 'bounded';
  }

  /** Explores up to `count` transitions; the cycles are looked at when all states are known. @returns whether the search is over */
  advance(count: number): boolean {
    if (this.over) return true;
    if (!this.graph.advance(count)) return false;
    this.over = true;
    this.found = this.livelock();
    return true;
  }

  private look(enabled: readonly boolean[]): number {
    if (this.actors.every((actor) => actor.hasFinished())) return 0;
    let canStep = false;
    for (let a = 0; a < enabled.length; a++) {
      if (enabled[a] && this.isOwed[a]) return WAITING;
      canStep ||= enabled[a];
    }
    return canStep ? WAITING | RESTING : WAITING;
  }

  private livelock(): Livelock | null {
    const { graph } = this;
    const isCyclic = graph.isCyclic;
    const components = isCyclic ? strongComponents(graph) : { of: new Int32Array(0), count: 0 };
    const isFair = this.fairComponents(components.of, components.count);
    const paths = new ShortestPaths(graph);
    let nearest = -1;
    for (let state = 0; state < graph.states; state++) {
      const component = isCyclic ? components.of[state] : -1;
      const rests = (graph.seen(state) & RESTING) !== 0;
      if (!rests && (component < 0 || isFair[component] === 0)) continue;
      if (nearest < 0 || paths.distance[state] < paths.distance[nearest]) nearest = state;
    }
    if (nearest < 0) return null;
    const rests = (graph.seen(nearest) & RESTING) !== 0;
    const path = paths.to(nearest);
    const owed = this.isOwed.flatMap((is, agent) => (is ? [agent] : []));
    const cycle = rests ? [] : new Component(graph, components.of, components.of[nearest]).fairCycle(nearest, owed);
    return { path, cycle, waiting: this.waitingAfter(path) };
  }

  /**
   * Which components have a weakly fair cycle on which an actor waits: in one of its states the agent cannot step, or one of its steps
   * does not leave it, for each agent. Ends are for good, so an actor that has not come to its end in one state has not in any.
   * @returns 1 or 0 by component
   */
  private fairComponents(of: Int32Array, count: number): Uint8Array {
    const { graph, isOwed } = this;
    const agents = isOwed.length;
    const isFair = new Uint8Array(count);
    const size = new Int32Array(count);
    /** By component and agent: states in which it can step; whether a step of its stays. */
    const able = new Int32Array(count * agents);
    const stays = new Uint8Array(count * agents);
    for (let state = 0; state < of.length; state++) {
      const component = of[state];
      if (component < 0) continue;
      size[component]++;
      if ((graph.seen(state) & WAITING) !== 0) isFair[component] = 1;
      let last = -1;
      for (let e = graph.first.at[state]; e >= 0; e = graph.next.at[e]) {
        const agent = graph.agentOf(e);
        if (agent !== last) able[component * agents + agent]++;
        last = agent;
        const to = graph.target.at[e];
        if (to !== BEYOND && of[to] === component) stays[component * agents + agent] = 1;
      }
    }
    for (let i = 0; i < able.length; i++) {
      const component = Math.floor(i / agents);
      if (isOwed[i % agents] && able[i] === size[component] && stays[i] === 0) isFair[component] = 0;
    }
    return isFair;
  }

  private waitingAfter(path: Lasso['path']): string[] {
    const { instance } = this;
    instance.rewind();
    for (const { agent, choice } of path) instance.agents[agent].step(choice);
    return this.actors.filter((actor) => !actor.hasFinished()).map((actor) => actor.name);
  }
}

/**
 * Whether any run goes on for ever, by whatever timing: the cheap question before {@link LivelockSearch}, for which edges need not be kept.
 * Symmetry does not matter to it: a cycle up to a change of places is a cycle when it has been gone round often enough.
 * @param maxStates states to look at most
 */
export function hasCycle(instance: Instance, maxStates = Number.POSITIVE_INFINITY): boolean | 'bounded' {
  const graph = new StateGraph(instance, { edges: false, maxStates });
  while (!graph.isCyclic && !graph.advance(10_000)) {}
  instance.rewind();
  if (graph.isCyclic) return true;
  return graph.bounded ? 'bounded' : false;
}
