/** Head and tail of a queue in memory, in bytes from its base; empty when they are equal. */

/** The offset after `offset` in a ring of `size` bytes with entries of `entry` bytes. */
export function nextInRing(offset: number, entry: number, size: number): number {
  const next = offset + entry;
  return next >= size ? 0 : next;
}
