import type { DepthFirst } from './depth-first.ts';
import type { Violation } from './search.ts';

/** What a search has come to, as plain data. */
export interface Decided {
  /** Each property that broke, with some run that breaks it. */
  readonly violations: readonly Violation[];
  readonly states: number;
  readonly transitions: number;
  /** Steps of the deepest state. */
  readonly depth: number;
  readonly exhausted: boolean;
  /** How often each rule of the hardware fired, in their order. */
  readonly fired: readonly number[];
  readonly expectedCollisions: number;
  readonly bytesPerState: number;
  /** Some run comes back to where it was. */
  readonly cyclic: boolean;
  /** States of which only one agent was expanded. */
  readonly reduced: number;
}

export function decidedBy(search: DepthFirst): Decided {
  const { violations, states, transitions, depth, exhausted, expectedCollisions, bytesPerState, cyclic, reduced } =
    search;
  const fired = [...search.instance.machine.rules.fired];
  return {
    violations,
    states,
    transitions,
    depth,
    exhausted,
    fired,
    expectedCollisions,
    bytesPerState,
    cyclic,
    reduced,
  };
}
