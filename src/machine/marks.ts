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
  /** Its device looks for a translation of its own first (ATS), and has not yet. */
  ats: 64,
  /** It is a translation request of its device. */
  asks: 128,
  /** The translation that its device asked for is on its way to it. */
  answered: 256,
  /** It goes to the address that its device got from the IOMMU earlier. */
  direct: 512,
  /** A device-TLB invalidation completes only after it is over, and what it is answered is not kept. */
  holdAtc: 1024,
  /** Its device has sent a page request for it, and waits for the answer. */
  page: 2048,
} as const;

/** Where the marks say how many page requests were sent for it, while it is in its device. */
export const PAGES_SENT = { at: 12, most: 15, mask: 15 << 12 } as const;
