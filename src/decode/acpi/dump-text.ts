/**
 * Tables as tools and kernels dump bytes: hexdump (-C and plain), xxd (plain, -g, -p), od (-x, -t x1), print_hex_dump of Linux, base64. A line may have a
 * prefix, as in a log. How its groups are to be read is told by the signature that the first line begins with.
 */
import { base64Prefix, fromBase64 } from './base64.ts';
import { headOf } from './header.ts';
import { TABLE_KINDS } from './table.ts';

const SIGNATURES = TABLE_KINDS.map(({ signature }) => signature);
/** Bytes of a table: far beyond what a machine has. */
const MAX_BYTES = 1 << 20;
/** Lines of others that may stand between two of a dump. */
const MAX_BETWEEN = 64;
/** Bytes of a line: of all these tools, and what print_hex_dump can have too. */
const USUAL_ROW = 16;
const LONG_ROW = 32;

const hexOf = (signature: string) => Array.from(signature, (of) => of.charCodeAt(0).toString(16));
/** Either case, without the flag that would slow the search down. */
const eitherCase = (hex: string) => hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);

/** Groups of digits that a signature makes: bytes, and words of 16, 32 and 64 bits with the first byte first or last. */
const FIRST_GROUPS = SIGNATURES.flatMap((signature) => {
  const [a, b, c, d] = hexOf(signature) as [string, string, string, string];
  const little = eitherCase(`${d}${c}${b}${a}`);
  return [
    ...[`${a} ${b} ${c} ${d}`, `${a}${b} ?${c}${d}`, `${b}${a} ${d}${c}`].map(eitherCase),
    `(?:[0-9a-fA-F]{8})?${little}`,
  ];
});
/** What base64 makes of the first 30 bits of a signature. */
const BASE64 = SIGNATURES.map((signature) => base64Prefix(Array.from(signature, (of) => of.charCodeAt(0))));

const FIRST_DIGITS = SIGNATURES.map((signature) => eitherCase(hexOf(signature).join(''))).join('|');

/** What a text has in which a dumped table may begin: all text is searched for it. `xxd -p` is known at the beginning of an input alone. */
export const DUMP_NEEDLE = `0000h?:?[ \\t]{1,8}(?:${FIRST_GROUPS.join('|')})|${BASE64.join('|')}`;
export const PLAIN_BEGIN = new RegExp(`^\\s{0,8}(?:${FIRST_DIGITS})[0-9a-fA-F]{8}`);

const FIRST_ROW = new RegExp(`(?:^|[\\s:\\]])0{4,16}h?:?[ \\t]{1,8}(?=${FIRST_GROUPS.join('|')})`);
const FIRST_PLAIN = new RegExp(`^\\s*(?:${FIRST_DIGITS})[0-9a-fA-F]{8,}\\s*$`);
const FIRST_BASE64 = new RegExp(`(?:^|[^A-Za-z0-9+/])((?:${BASE64.join('|')})[A-Za-z0-9+/]{5,}={0,2})\\s*$`);
/** Offset and what follows. */
const ROW = /(?:^|[\s:\]])([0-9a-f]{4,16})h?(:?)[ \t]{1,8}((?:[0-9a-f]{2,16}(?:[ \t]{1,2}|\s*$|(?=[|>]))){1,32})/i;

/** A table that lines give bit by bit. */
export interface DumpedTable {
  /** @returns whether it goes on: no if the table is whole, or other lines have come for too long */
  take(line: string): boolean;
  /** Bytes so far. */
  whole(): Uint8Array;
}

/** The table that begins with a line; null if none does. */
export function dumpBeginning(line: string): DumpedTable | null {
  if (FIRST_ROW.test(line)) return rowsBeginning(line);
  if (FIRST_PLAIN.test(line)) return new Lines(line, plainBytes);
  const encoded = FIRST_BASE64.exec(line)?.[1];
  return encoded === undefined ? null : new Lines(encoded, base64Lines(encoded.length));
}

/** Bytes in the order in which they come, up to the length that the head says. */
class Bytes {
  private readonly values: number[] = [];

  get count(): number {
    return this.values.length;
  }

  push(bytes: readonly number[]): void {
    if (this.count + bytes.length <= MAX_BYTES) for (const byte of bytes) this.values.push(byte);
  }

  /** Repeats the last `size` bytes up to an offset. */
  repeat(size: number, until: number): void {
    if (size === 0 || until > MAX_BYTES) return;
    while (this.count < until) this.values.push(this.values[this.count - size] as number);
  }

  /** Bytes that are still to come, as the head says; infinite where it is not there yet. */
  get left(): number {
    const head = headOf(Uint8Array.from(this.values.slice(0, 8)));
    return head === null ? Number.POSITIVE_INFINITY : head.length - this.count;
  }

  get isWhole(): boolean {
    return this.left <= 0;
  }

  cut(): Uint8Array {
    const all = Uint8Array.from(this.values);
    return all.subarray(0, headOf(all)?.length ?? all.length);
  }
}

/** Bytes of a line; null where it is none. @param left bytes that the table lacks; infinite where its head is not whole */
type Decode = (line: string, left: number) => number[] | null;

/** Lines of bytes without offsets: `xxd -p`, base64. */
class Lines implements DumpedTable {
  private readonly bytes = new Bytes();
  private readonly decode: Decode;
  private between = 0;

  constructor(first: string, decode: Decode) {
    this.decode = decode;
    this.take(first);
  }

  take(line: string): boolean {
    const found = this.decode(line, this.bytes.left);
    this.between = found === null ? this.between + 1 : 0;
    if (found !== null) this.bytes.push(found);
    return !this.bytes.isWhole && this.between <= MAX_BETWEEN;
  }

  whole(): Uint8Array {
    return this.bytes.cut();
  }
}

const plainBytes: Decode = (line) => {
  const text = line.trim();
  return /^(?:[0-9a-f]{2})+$/i.test(text) ? (text.match(/../g) as string[]).map((of) => Number.parseInt(of, 16)) : null;
};

/** The last word of each line, as logs put prefixes before it: as long as the first one, or what the table lacks. */
function base64Lines(length: number): Decode {
  // Groups of four may go over the end of a line.
  let rest = '';
  return (line, left) => {
    const word = /(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]+={0,2})\s*$/.exec(line)?.[1];
    if (
      word === undefined ||
      (word.length !== length && Math.floor(((rest + word).replace(/=+$/, '').length * 3) / 4) !== left)
    )
      return null;
    const text = rest + word;
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    return fromBase64(text.slice(0, whole));
  };
}

/** Lines with an offset, and groups of so many bytes. */
function rowsBeginning(line: string): DumpedTable | null {
  const groups = groupsOf(line, LONG_ROW);
  if (groups === null) return null;
  const size = (groups.words[0] as string).length / 2;
  const width = groups.words.length * size < LONG_ROW ? USUAL_ROW : LONG_ROW;
  const signature = (bytes: readonly number[]) => String.fromCharCode(...bytes.slice(0, 4));
  const isLittle = !SIGNATURES.includes(signature(bytesOf(groups.words, size, false)));
  return new Rows(line, { size, width, isLittle });
}

/** Of rows: bytes of a group, bytes of a row at most, and whether a group's lowest byte stands last. */
interface Form {
  readonly size: number;
  readonly width: number;
  readonly isLittle: boolean;
}

class Rows implements DumpedTable {
  private readonly bytes = new Bytes();
  private readonly form: Form;
  /** Of the offsets, once one of them tells: od has octal ones. */
  private base: 8 | 16 | null = null;
  private between = 0;
  private row = 0;
  private repeats = false;

  constructor(first: string, form: Form) {
    this.form = form;
    this.take(first);
  }

  take(line: string): boolean {
    if (/(?:^|\s)\*\s*$/.test(line)) this.repeats = true;
    else if (this.takeRow(line)) this.between = 0;
    else this.between++;
    return !this.bytes.isWhole && this.between <= MAX_BETWEEN;
  }

  private takeRow(line: string): boolean {
    const { isLittle, size, width } = this.form;
    const groups = groupsOf(line, width);
    if (groups === null || groups.words.some((word) => word.length !== 2 * size)) return false;
    const at = this.offsetOf(groups.offset);
    if (at === null) return false;
    this.bytes.repeat(this.row, at);
    const bytes = bytesOf(groups.words, size, isLittle);
    this.bytes.push(bytes);
    this.row = bytes.length;
    this.repeats = false;
    return true;
  }

  /** Where the bytes go; null where the line is no next one. */
  private offsetOf(text: string): number | null {
    const { count } = this.bytes;
    const read = ([16, 8] as const)
      .filter((base) => (this.base ?? base) === base && (base === 16 || /^[0-7]+$/.test(text)))
      .map((base) => ({ base, at: Number.parseInt(text, base) }));
    const next = read.find(({ at }) => at === count);
    // A line that says that the one before is repeated leaves its offsets out.
    const found =
      next ??
      (this.repeats
        ? read.find(({ at }) => at > count && at <= MAX_BYTES && (at - count) % Math.max(1, this.row) === 0)
        : undefined);
    if (found === undefined) return null;
    if (count > 0) this.base = found.base;
    return found.at;
  }

  whole(): Uint8Array {
    return this.bytes.cut();
  }
}

/** Offset and groups of a line, of `width` bytes at most; text behind them, which tools set off by two blanks or a bar, is left out. */
function groupsOf(line: string, width: number): { offset: string; words: string[] } | null {
  const [, offset, , rest] = ROW.exec(line) ?? [];
  if (offset === undefined) return null;
  const words = (rest as string).trim().split(/[ \t]+/);
  const [first] = words as [string];
  if (![2, 4, 8, 16].includes(first.length)) return null;
  const end = words.findIndex((word) => word.length !== first.length);
  // The characters of the bytes may look like a group of their own.
  const most = Math.ceil(width / (first.length / 2));
  return { offset, words: words.slice(0, Math.min(most, end < 0 ? words.length : end)) };
}

function bytesOf(words: readonly string[], size: number, isLittle: boolean): number[] {
  return words.flatMap((word) => {
    const bytes = (word.match(/../g) as string[]).map((byte) => Number.parseInt(byte, 16));
    return isLittle && size > 1 ? bytes.reverse() : bytes;
  });
}
