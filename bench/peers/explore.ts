import { DepthFirst, Instance, REDUCTIONS } from '../../src/explore/index.ts';
import type { ToyOptions } from '../toy/toy.ts';
import { NO_LATE_DMA, toy } from '../toy/toy.ts';

/** What an exhaustive search of the toy came to. */
export interface Explored {
  readonly states: number;
  readonly transitions: number;
  readonly violated: boolean;
  /** False where it stopped at the violation. */
  readonly exhausted: boolean;
  /** Wall clock of the search alone: neither the start of Node nor the building of the machine. */
  readonly seconds: number;
}

/**
 * Pinhole's explorer on the toy; the only file here that knows how it is called.
 * @param reduced with every reduction it has; else every state and transition there is
 */
export function explore(options: Omit<ToyOptions, 'symmetric'>, reduced: boolean): Explored {
  const machine = toy({ ...options, symmetric: reduced });
  const instance = new Instance(machine, reduced ? {} : { without: REDUCTIONS });
  const begun = performance.now();
  const search = new DepthFirst(instance, { properties: [NO_LATE_DMA], ample: reduced });
  search.begin();
  while (!search.advance(1_000_000)) {}
  return {
    states: search.states,
    transitions: search.transitions,
    violated: search.violations.length > 0,
    exhausted: search.exhausted,
    seconds: (performance.now() - begun) / 1000,
  };
}
