/**
 * Indexes of a circular queue of 2^log2 entries (IHI 0070, 3.5.1): the entry's number, and above it the wrap bit. Bits above that one are ignored.
 */

/** Whether nothing can be consumed. */
export function isEmpty(prod: number, cons: number, log2: number): boolean {
  return ((prod ^ cons) & ((2 << log2) - 1)) === 0;
}

/** Whether nothing can be produced. */
export function isFull(prod: number, cons: number, log2: number): boolean {
  return ((prod ^ cons) & ((2 << log2) - 1)) === 1 << log2;
}

/** Entries that can be consumed. More than 2^log2: software has written an index that cannot be (3.5.1). */
export function entriesIn(prod: number, cons: number, log2: number): number {
  return (prod - cons) & ((2 << log2) - 1);
}

/** Whether the indexes say that there are more entries than the queue has. */
export function isInconsistent(prod: number, cons: number, log2: number): boolean {
  return entriesIn(prod, cons, log2) > 1 << log2;
}

/** The index after one. */
export function next(index: number, log2: number): number {
  return (index + 1) & ((2 << log2) - 1);
}

/** The entry's number, without the wrap bit. */
export function entryOf(index: number, log2: number): number {
  return index & ((1 << log2) - 1);
}
