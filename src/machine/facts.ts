/**
 * What a step showed to be true, one bit each. Facts are not state: they are cleared before every step and read after
 * it by the invariants of a case.
 */
export const FACT = {
  /** A DMA was translated by a mapping whose unmap had returned. */
  staleTranslation: 1 << 0,
  /** A page walk read a frame that is not a table of that domain any more. */
  foreignWalk: 1 << 1,
  /** A DMA write became visible in a frame that has another owner now. */
  foreignWrite: 1 << 2,
  /** A DMA to a range that the last call mapped faulted or went elsewhere. */
  deniedInside: 1 << 3,
  /**
   * Hardware acted on a mix of old and new words of one entry. Raised by the unit: for parts that were never in memory together, and for
   * what is none of the versions that software declared (`Dma.versions`).
   */
  tornEntry: 1 << 4,
  /** An entry cached for one domain served another. Raised by who watches in a case: caches know tags, not what software means by them. */
  crossedDomain: 1 << 5,
  /** A DMA write is missing from the dirty report. Raised by a case, which makes the report. */
  lostDirty: 1 << 6,
  /** A fault or page request was neither delivered nor accounted for. */
  lostFault: 1 << 7,
  /** Nothing can happen while somebody waits. */
  deadlock: 1 << 8,
  /** A DMA to a range that the last call had nothing to do with faulted or went elsewhere. */
  deniedOutside: 1 << 9,
  /** A status disagreed with what was done. */
  wrongStatus: 1 << 10,
  /** A reader got bytes of a frame that has another owner now. */
  leakedRead: 1 << 11,
  /** A shadow differed from the tables in force. */
  shadowDiffers: 1 << 12,
  /** The specification leaves open what happens now. No rule is broken by that; what follows is one of the ways in which it may go on. */
  leftOpen: 1 << 13,
} as const;

export type FactName = keyof typeof FACT;

export class Facts {
  /** Bits of {@link FACT}. */
  bits = 0;
}
