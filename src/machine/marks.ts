/** Marks on a transaction. */
export const MARK = {
  /** The promise about its page has not changed since it was issued. */
  steady: 1,
  /** Its walk read an entry that was invalidated since: it may not fill a cache. */
  stale: 2,
  /** An invalidation completes only after its walk has finished. */
  holdWalk: 4,
  /** An invalidation completes only after it has drained. */
  holdDrain: 8,
  /** Its device waits for the status. */
  waited: 16,
  /** It is an interrupt request: a write of `SLOT.data` to a word of 32 bits, whose index in its page `SLOT.word` is then. */
  message: 32,
} as const;
