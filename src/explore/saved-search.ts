import type { Violation } from './search.ts';

/** A search that was interrupted, as plain data. */
export interface SavedSearch {
  /** What is left to do, as {@link DepthFirst.save} gave it. */
  readonly stacks: readonly number[][];
  /** Fingerprints of the states that were seen, two halves each. */
  readonly entries: Int32Array;
  readonly transitions: number;
  readonly depth: number;
  readonly reduced: number;
  readonly cyclic: boolean;
  readonly violations: readonly Violation[];
  readonly fired: readonly number[];
}
