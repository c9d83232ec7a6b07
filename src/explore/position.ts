import type { Op } from '../machine/index.ts';

/** How an operation belongs to the steps around it. */
export const JOIN = { none: 0, before: 1, after: 2 } as const;
/** What an operation's result is; {@link Op}. */
export const RETURNS = { undeclared: 0, nothing: 1, number: 2, word: 3 } as const;

/**
 * One position of a program, known by the results that it has had so far, with the operation that comes next. Operations are objects of
 * many shapes; here their parts lie in one.
 */
export class Position {
  /** What comes next; null at the program's end. */
  readonly op: Op | null;
  readonly run: ((choice: number) => number | void) | null;
  readonly ready: (() => boolean) | null;
  readonly choices: number;
  /** {@link JOIN}; none where every operation is a step of its own. */
  readonly join: number;
  /** Happens with the operation before it. */
  readonly follows: boolean;
  /** {@link RETURNS}. */
  readonly returns: number;
  readonly parent: number;
  /** Result of the parent's operation that leads here. */
  readonly lo: number;
  readonly hi: number;
  readonly depth: number;
  /** Positions after this one, one for each result that was seen. */
  readonly children: number[] = [];
  /**
   * What stands for the position in the state, 64 bits: of the path that leads here, the same in every process; in a program that is known
   * as a whole, of all that can still come, so that positions with one future are one.
   */
  keyA = 0;
  keyB = 0;
  /** Next position with the same key, in a ring of all that have it; −1 where it is alone. */
  twin = -1;
  /** Choices of its operation in which the positions of the ring were compared. */
  compared = 0;

  constructor(op: Op | null, parent: number, lo: number, hi: number, depth: number, split: boolean) {
    this.op = op;
    this.run = op === null ? null : op.run;
    this.ready = op?.ready ?? null;
    this.choices = op?.choices ?? 1;
    this.join = split || op?.join === undefined ? JOIN.none : JOIN[op.join];
    this.follows = !split && (op?.join === 'after' || op?.bound === true);
    this.returns = RETURNS[op?.returns ?? 'undeclared'];
    this.parent = parent;
    this.lo = lo;
    this.hi = hi;
    this.depth = depth;
  }

  /** Whether the operation can happen now, in one way. */
  isPlain(): boolean {
    return this.choices === 1 && (this.ready === null || this.ready());
  }
}
