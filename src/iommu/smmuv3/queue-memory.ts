/** Where the entries of a queue are in memory (IHI 0070, 6.3.26, 6.3.29, 6.3.33). */

/** What an entry has at least, and a queue's base is aligned to (6.3.26). */
const LEAST_BYTES = 32;

/** @param lo lower half of CMDQ_BASE, EVENTQ_BASE or PRIQ_BASE. @param most CMDQS, EVENTQS or PRIQS: a larger size counts as this */
export function log2Of(lo: number, most: number): number {
  return Math.min(lo & 0x1f, most);
}

/**
 * Byte address of an entry below 2^53, from the base that is aligned to the queue's size.
 * @param hi, lo halves of the register. @param hiMask bits of `hi` below the physical address size. @param bytes of an entry
 */
export function entryAddress(
  hi: number,
  lo: number,
  hiMask: number,
  log2: number,
  bytes: number,
  entry: number,
): number {
  const size = Math.max(LEAST_BYTES, bytes * 2 ** log2);
  const base = (hi & hiMask) * 2 ** 32 + ((lo & -32) >>> 0);
  return Math.floor(base / size) * size + entry * bytes;
}
