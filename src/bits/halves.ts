/**
 * 64-bit words as two signed 32-bit halves. Inside the models a 64-bit word is always such a pair;
 * `bigint` exists at the public edge only (DESIGN §2).
 */

/** Low half of a 64-bit value, as int32. */
export function low(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

/** High half of a 64-bit value, as int32. */
export function high(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n));
}

/** The unsigned 64-bit value of two halves. */
export function join(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

/** `0x…`, lower case, unpadded: how addresses and entries are printed in kernel logs. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** `0x…` of two halves. */
export function hex64(lo: number, hi: number): string {
  return hex(join(lo, hi));
}

/**
 * log2 of the size of the range that an address encodes in itself: the ones that trail bit 12 say how far it goes, so that bit 12 clear is
 * 8 KiB (PCI Express ATS; IOMMUs use it in commands and entries of their own).
 * @returns 13 to 64; 65 where every bit from 12 on is set, which encodes no range
 */
export function encodedRangeBits(lo: number, hi: number): number {
  // The lowest bit that is clear, of 31:12 and then of 63:32.
  const inLow = ~lo & -4096;
  if (inLow !== 0) return 32 - Math.clz32(inLow & -inLow);
  const inHigh = ~hi;
  return inHigh === 0 ? 65 : 64 - Math.clz32(inHigh & -inHigh);
}
