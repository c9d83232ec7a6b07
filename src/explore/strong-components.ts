import type { StateGraph } from './state-graph.ts';
import { BEYOND } from './state-graph.ts';

/** States that can all reach each other, and take at least one step doing so, have one component. */
export interface Components {
  /** By state: the number of its component, −1 where it is on no cycle. */
  readonly of: Int32Array;
  readonly count: number;
}

/** Tarjan's strongly connected components, without recursion. Those of one state that has no edge to itself are left out. */
export function strongComponents(graph: StateGraph): Components {
  const { states } = graph;
  const first = graph.first.at;
  const next = graph.next.at;
  const target = graph.target.at;
  /** 0 for a state not seen, else its place in the order of visits, from 1. */
  const index = new Int32Array(states);
  const low = new Int32Array(states);
  const of = new Int32Array(states).fill(-1);
  /** States whose component is not known yet. */
  const open = new Int32Array(states);
  const isOpen = new Uint8Array(states);
  /** The path that is followed, and the next edge to look at of each of its states. */
  const path = new Int32Array(states);
  const cursor = new Int32Array(states);
  let openEnd = 0;
  let pathEnd = 0;
  let visits = 0;
  let count = 0;
  const visit = (state: number) => {
    index[state] = ++visits;
    low[state] = visits;
    open[openEnd++] = state;
    isOpen[state] = 1;
    cursor[pathEnd] = first[state];
    path[pathEnd++] = state;
  };
  for (let root = 0; root < states; root++) {
    if (index[root] === 0) visit(root);
    while (pathEnd > 0) {
      const state = path[pathEnd - 1];
      const edge = cursor[pathEnd - 1];
      if (edge >= 0) {
        cursor[pathEnd - 1] = next[edge];
        const to = target[edge];
        if (to === BEYOND) continue;
        if (index[to] === 0) visit(to);
        else if (isOpen[to] === 1 && index[to] < low[state]) low[state] = index[to];
        continue;
      }
      pathEnd--;
      if (pathEnd > 0 && low[state] < low[path[pathEnd - 1]]) low[path[pathEnd - 1]] = low[state];
      if (low[state] !== index[state]) continue;
      const isCycle = open[openEnd - 1] !== state || hasLoop(graph, state);
      for (let member = -1; member !== state; ) {
        member = open[--openEnd];
        isOpen[member] = 0;
        if (isCycle) of[member] = count;
      }
      if (isCycle) count++;
    }
  }
  return { of, count };
}

function hasLoop({ first, next, target }: StateGraph, state: number): boolean {
  for (let e = first.at[state]; e >= 0; e = next.at[e]) if (target.at[e] === state) return true;
  return false;
}
