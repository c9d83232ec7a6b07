import type { Decision } from './decision.ts';
import { unpacked } from './decision.ts';
import type { StateGraph } from './state-graph.ts';
import { BEYOND } from './state-graph.ts';

/** A path from the start and, from where it ends, a cycle. */
export interface Lasso {
  readonly path: readonly Decision[];
  readonly cycle: readonly Decision[];
}

/** Shortest paths from the start to every state. */
export class ShortestPaths {
  /** Steps from the start, by state; −1 where no path is known. */
  readonly distance: Int32Array;
  private readonly graph: StateGraph;
  private readonly before: Int32Array;
  private readonly edge: Int32Array;

  constructor(graph: StateGraph) {
    this.graph = graph;
    const { states, first, next, target } = graph;
    this.distance = new Int32Array(states).fill(-1);
    this.before = new Int32Array(states);
    this.edge = new Int32Array(states);
    const queue = new Int32Array(states);
    this.distance[0] = 0;
    let end = 1;
    for (let head = 0; head < end; head++) {
      const state = queue[head];
      for (let e = first.at[state]; e >= 0; e = next.at[e]) {
        const to = target.at[e];
        if (to === BEYOND || this.distance[to] >= 0) continue;
        this.distance[to] = this.distance[state] + 1;
        this.before[to] = state;
        this.edge[to] = e;
        queue[end++] = to;
      }
    }
  }

  to(state: number): Decision[] {
    const path: Decision[] = [];
    for (let s = state; s !== 0; s = this.before[s]) path.push(unpacked(this.graph.decision.at[this.edge[s]]));
    return path.reverse();
  }
}

/** One strongly connected component of a graph, and walks that stay in it. */
export class Component {
  private readonly graph: StateGraph;
  private readonly of: Int32Array;
  private readonly number: number;

  /** @param of component by state @param number of this one */
  constructor(graph: StateGraph, of: Int32Array, number: number) {
    this.graph = graph;
    this.of = of;
    this.number = number;
  }

  /**
   * A cycle from `start` that is fair to each agent of `fairTo`: one of its steps is the agent's, or the agent cannot step in one of its
   * states. There is one for all agents together if there is one for each, as every two states of a component can reach each other.
   */
  fairCycle(start: number, fairTo: readonly number[]): Decision[] {
    const edges: number[] = [];
    const { target, decision } = this.graph;
    let here = start;
    const states = [start];
    const isServed = (agent: number) =>
      edges.some((e) => this.graph.agentOf(e) === agent) || states.some((s) => !this.canStep(s, agent));
    const walk = (more: readonly number[]) => {
      for (const e of more) {
        edges.push(e);
        here = target.at[e];
        states.push(here);
      }
    };
    for (const agent of fairTo) {
      if (isServed(agent)) continue;
      walk(this.walk(here, (e) => this.graph.agentOf(e) === agent || !this.canStep(target.at[e], agent)));
    }
    // A cycle has a step, even where nobody is owed one.
    if (edges.length === 0) walk(this.walk(here, () => true));
    if (here !== start) walk(this.walk(here, (e) => target.at[e] === start));
    return edges.map((e) => unpacked(decision.at[e]));
  }

  private canStep(state: number, agent: number): boolean {
    const { first, next } = this.graph;
    for (let e = first.at[state]; e >= 0; e = next.at[e]) if (this.graph.agentOf(e) === agent) return true;
    return false;
  }

  /** The edges of a shortest walk within the component whose last edge is wanted; at least one edge. */
  private walk(from: number, isWanted: (edge: number) => boolean): number[] {
    const { first, next, target } = this.graph;
    /** By state: the edge that led there first, and the state that it came from. */
    const came = new Map<number, { edge: number; from: number }>();
    const queue = [from];
    for (const state of queue) {
      for (let e = first.at[state]; e >= 0; e = next.at[e]) {
        const to = target.at[e];
        if (to === BEYOND || this.of[to] !== this.number) continue;
        if (isWanted(e)) {
          const edges = [e];
          for (let s = state; s !== from; ) {
            const step = came.get(s);
            if (step === undefined) throw new Error('[internal] a walk that has no beginning');
            edges.push(step.edge);
            s = step.from;
          }
          return edges.reverse();
        }
        if (to === from || came.has(to)) continue;
        came.set(to, { edge: e, from: state });
        queue.push(to);
      }
    }
    throw new Error('[internal] a component that is not one');
  }
}
