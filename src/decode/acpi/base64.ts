/** Base64 (RFC 4648, 4): browsers and Node have it under a name that src/ may not use. */
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Whole groups of four letters; what ends with = has fewer bytes. @returns null where a letter is none */
export function fromBase64(text: string): number[] | null {
  const bytes: number[] = [];
  const letters = text.replace(/=+$/, '');
  let [bits, count] = [0, 0];
  for (const letter of letters) {
    const value = LETTERS.indexOf(letter);
    if (value < 0) return null;
    bits = ((bits << 6) | value) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push((bits >> count) & 0xff);
  }
  return bytes;
}

/** The letters that bytes begin with, whatever follows them. */
export function base64Prefix(bytes: readonly number[]): string {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{6}/g) ?? []).map((six) => LETTERS[Number.parseInt(six, 2)]).join('');
}
