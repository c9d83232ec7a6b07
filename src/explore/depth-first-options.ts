import type { Visited } from './fingerprint-set.ts';
import type { Property } from './search.ts';

export interface DepthFirstOptions {
  readonly properties: readonly Property[];
  /** Distinct states to stop at; absent for none. */
  readonly maxStates?: number;
  /** Shared with others; one of its own if absent. */
  readonly visited?: Visited;
  /** Partial-order reduction. */
  readonly ample?: boolean;
  /** Called in every state in which nothing can happen any more. */
  readonly onEnd?: () => void;
}
