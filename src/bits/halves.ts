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
