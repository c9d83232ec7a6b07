import type { Violation } from './search.ts';

/** A depth-first search that was interrupted, as plain data. */
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

/**
 * A breadth-first search that was interrupted, as plain data: the tree of the states that were seen, in the order in which they were found. States
 * themselves are made anew by taking the steps that lead to them, each once, as two processes number positions of programs differently.
 */
export interface SavedShortest {
  /** By state: the state that it was found from, −1 for the first; and the decision that led there, packed. */
  readonly parents: Int32Array;
  readonly decisions: Int32Array;
  /** State that is expanded next, and where the level after it begins. */
  readonly next: number;
  readonly levelEnd: number;
  readonly depth: number;
  readonly transitions: number;
  readonly violations: readonly Violation[];
}
