/** Accesses to a register block as a bus may send them: of any size and alignment, or none that a bus could send. */

/** Most bytes of one access. */
const MAX_BYTES = 8;

/** Answer to a read: bytes 3:0 and 7:4, as int32. */
export interface ReadValue {
  lo: number;
  hi: number;
}

/** Whether offset and size are those of an access of 1 to 8 bytes that begins below 2^31. */
export function isAccess(offset: number, size: number): boolean {
  return (
    Number.isInteger(offset) &&
    offset >= 0 &&
    offset <= 0x7fffffff &&
    Number.isInteger(size) &&
    size >= 1 &&
    size <= MAX_BYTES
  );
}

/**
 * Reads `size` bytes from `offset` on as the double-words that they touch, lowest first.
 * @param load gives the 32-bit word at a multiple of 4
 */
export function readBytes(offset: number, size: number, load: (offset: number) => number): ReadValue {
  const into: ReadValue = { lo: 0, hi: 0 };
  for (let word = offset & ~3; word < offset + size; word += 4) {
    const value = load(word);
    for (let i = Math.max(word, offset); i < Math.min(word + 4, offset + size); i++) {
      const byte = (value >>> (8 * (i - word))) & 0xff;
      if (i - offset < 4) into.lo |= byte << (8 * (i - offset));
      else into.hi |= byte << (8 * (i - offset - 4));
    }
  }
  return into;
}

/**
 * Writes `size` bytes as the double-words that they touch, lowest first.
 * @param store takes the 32-bit word at a multiple of 4 and a mask of its bits that are written
 */
export function writeBytes(
  offset: number,
  size: number,
  lo: number,
  hi: number,
  store: (offset: number, value: number, lanes: number) => void,
): void {
  for (let word = offset & ~3; word < offset + size; word += 4) {
    let value = 0;
    let lanes = 0;
    for (let i = Math.max(word, offset); i < Math.min(word + 4, offset + size); i++) {
      const byte = (i - offset < 4 ? lo >>> (8 * (i - offset)) : hi >>> (8 * (i - offset - 4))) & 0xff;
      value |= byte << (8 * (i - word));
      lanes |= 0xff << (8 * (i - word));
    }
    store(word, value, lanes);
  }
}
