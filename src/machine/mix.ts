/** First of two independent mixers of (position, value) to 32 bits; each is a bijection of the value at a position. */
export function mixA(position: number, value: number): number {
  let h = Math.imul(value ^ Math.imul(position + 1, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h ^ position, 0xc2b2ae35);
  h ^= h >>> 13;
  h = Math.imul(h, 0x27d4eb2f);
  return h ^ (h >>> 16);
}

/** Second mixer, other constants and shifts. */
export function mixB(position: number, value: number): number {
  let h = Math.imul(value + Math.imul(position ^ 0x5bd1e995, 0x2c1b3c6d), 0x297a2d39);
  h ^= h >>> 16;
  h = Math.imul(h + position, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return h ^ (h >>> 14);
}
