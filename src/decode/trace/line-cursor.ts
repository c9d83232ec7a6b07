/** Reads words and numbers of a line where it stands in a larger text. */

export const PAGE_BYTES = 4096;
export const SPACE = 0x20;

/** Value of a hexadecimal digit; 16 for what is none. As long as there are characters: so no index is beyond it. */
const DIGIT = new Uint8Array(0x10000).fill(16);
for (let i = 0; i < 16; i++) {
  DIGIT[i.toString(16).charCodeAt(0)] = i;
  DIGIT[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

export class LineCursor {
  protected text = '';
  /** Where it reads next, and where the line ends and began. */
  protected at = 0;
  protected last = 0;
  protected lineStart = 0;
  /** Halves of the number that was read last. */
  protected low = 0;
  protected high = 0;

  /** Up to 16 digits, with or without `0x`. */
  protected readHex(): boolean {
    const { text, last } = this;
    let { at } = this;
    if (text.charCodeAt(at) === 48 && (text.charCodeAt(at + 1) | 0x20) === 0x78) at += 2;
    const from = at;
    let high = 0;
    let low = 0;
    for (; at < last; at++) {
      const digit = DIGIT[text.charCodeAt(at)];
      if (digit === 16) break;
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | digit;
    }
    this.at = at;
    this.high = high;
    this.low = low;
    return at > from && at - from <= 16;
  }

  /** 16 digits, of which the characters before and behind are no more. */
  protected readFixedHex(at: number): boolean {
    const { text } = this;
    if (at + 16 > this.last || text.charCodeAt(at - 1) !== 0x78 || text.charCodeAt(at + 16) !== SPACE) return false;
    let high = 0;
    let low = 0;
    let bad = 0;
    for (let i = at; i < at + 8; i++) {
      const digit = DIGIT[text.charCodeAt(i)];
      bad |= digit;
      high = (high << 4) | digit;
    }
    for (let i = at + 8; i < at + 16; i++) {
      const digit = DIGIT[text.charCodeAt(i)];
      bad |= digit;
      low = (low << 4) | digit;
    }
    this.high = high;
    this.low = low;
    return bad < 16;
  }

  /** Page of the number that was read. */
  protected page(): number {
    return (this.high >>> 0) * 2 ** 20 + (this.low >>> 12);
  }

  /** Whole pages of a size in bytes, decimal, or hexadecimal with `0x`; -1 if it is none. */
  protected readSize(): number {
    const { text, last } = this;
    if ((text.charCodeAt(this.at + 1) | 0x20) === 0x78)
      return this.readHex() && (this.low & (PAGE_BYTES - 1)) === 0 ? this.page() : -1;
    const from = this.at;
    let size = 0;
    for (; this.at < last && isDigit(text.charCodeAt(this.at)); this.at++) {
      size = size * 10 + text.charCodeAt(this.at) - 48;
    }
    return this.at > from && size <= 2 ** 64 && size % PAGE_BYTES === 0 ? size / PAGE_BYTES : -1;
  }

  protected readCount(): number {
    const { text, last } = this;
    let count = 0;
    for (; this.at < last && isDigit(text.charCodeAt(this.at)) && count < 1e12; this.at++)
      count = count * 10 + text.charCodeAt(this.at) - 48;
    return count;
  }

  protected skipSpaces(): void {
    while (this.at < this.last && this.text.charCodeAt(this.at) === SPACE) this.at++;
  }

  protected skipKey(key: string): boolean {
    this.skipSpaces();
    if (!this.is(this.at, key)) return false;
    this.at += key.length;
    this.skipSpaces();
    return true;
  }

  protected is(at: number, word: string): boolean {
    const { length } = word;
    if (at + length > this.last) return false;
    for (let i = 0; i < length; i++) if (this.text.charCodeAt(at + i) !== word.charCodeAt(i)) return false;
    return true;
  }

  protected backOverSpaces(from: number): number {
    let at = from;
    while (at > this.lineStart && this.text.charCodeAt(at - 1) === SPACE) at--;
    return at;
  }

  protected backOverToken(from: number): number {
    let at = from;
    while (at > this.lineStart && this.text.charCodeAt(at - 1) !== SPACE) at--;
    return at;
  }

  /** Where the character stands that is looked for; the start of the line if nowhere. */
  protected backTo(from: number, char: number): number {
    let at = from - 1;
    while (at > this.lineStart && this.text.charCodeAt(at) !== char) at--;
    return at;
  }
}

export function isDigit(c: number): boolean {
  return c >= 48 && c <= 57;
}
