/**
 * One operation of a program: what it is called, when it can happen, what it does. Driver and device code yields
 * operations and gets their results back (`yield* cpu.write64(…)`); who runs them in which order is the conduct's affair.
 */
export interface Op {
  /** What it does and to what. Two runs of one program must agree on it, or the program is not deterministic. */
  readonly name: string;
  /** When it can happen; always, if absent. A wait is a guard, never a poll. */
  readonly ready?: () => boolean;
  /**
   * What `ready` depends on beside the machine and {@link requester}, as numbers: guards of one name and one text with equal operands wait for one thing. Absent,
   * nobody can tell what a function has captured: then two guards are one only if they are the same function, and two positions of
   * a program that differ in nothing else stay two.
   */
  readonly on?: readonly number[];
  /** In how many ways it can go; one, if absent. */
  readonly choices?: number;
  /** Does it. The result of an op that returns a number is what this returns. */
  readonly run: (choice: number) => number | void;
  /** `nothing`: whatever `run` returns is dropped. `word`: a 64-bit value, left in {@link Result}. Programs branch on results, so an op that needs none returns none. */
  readonly returns?: 'nothing' | 'number' | 'word';
  /** Results that a `number` op may have; checked when it runs. */
  readonly results?: readonly number[];
  /**
   * `after`: takes no step of its own, it happens with the step before it (a read of what only this actor writes, a
   * note that a call has returned). `before`: happens with the step after it (a note that a call begins).
   */
  readonly join?: 'after' | 'before';
  /**
   * Its footprint: offsets of all words that `ready` and `run` read or write, and no fact shows; anything, if absent. The explorer
   * then need not try it in every order with what touches other words. Verified at the first steps of every search.
   */
  readonly touches?: readonly number[];
  /** Part of an {@link atomic} block that has begun: follows the op before it without anybody in between. */
  readonly bound?: boolean;
  /** Index of the one requester that it is about, if there is one. */
  readonly requester?: number;
}

/** Where an op that returns a 64-bit word leaves it. */
export interface Result {
  lo: number;
  hi: number;
}

/** Driver or device code. @typeParam T what it returns */
export type Program<T = void> = Generator<Op, T, number | bigint | undefined>;

/** A user's own operation. One that returns a number declares which (`results`); programs branch on results. */
export function* operation(
  name: string,
  what: { ready?: () => boolean; on?: readonly number[]; run: () => number | void; results?: readonly number[] },
): Program<number> {
  const op: Op = what.results === undefined ? { name, ...what } : { name, returns: 'number', ...what };
  return Number((yield op) ?? 0);
}

/** Most ways in which one operation can go. */
export const MAX_CHOICES = 4096;

/** A free choice among `n` (1 to {@link MAX_CHOICES}), taken by whoever conducts the run. @returns 0 … n−1 */
export function* choose(what: string, n: number): Program<number> {
  if (!Number.isInteger(n) || n < 1 || n > MAX_CHOICES) {
    throw new RangeError(`choose ${what} of ${n}: give a whole number of ways from 1 to ${MAX_CHOICES}`);
  }
  const results = Array.from({ length: n }, (_, i) => i);
  return Number(
    yield {
      name: `choose ${what} of ${n}`,
      choices: n,
      run: (choice) => choice,
      returns: 'number',
      results,
      touches: [],
    },
  );
}

/** Runs a block as one step. Only for what no other actor can see in parts; its first op may wait, the others may not. */
export function* atomic<T>(block: () => Program<T>): Program<T> {
  const program = block();
  let next = program.next();
  let bound = false;
  while (!next.done) {
    const op: Op = bound ? { ...next.value, bound: true } : next.value;
    if (op.join === undefined) bound = true;
    next = program.next(yield op);
  }
  return next.value;
}
