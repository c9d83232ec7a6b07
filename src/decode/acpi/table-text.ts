/**
 * Tables written out as text: what `iasl -d` makes of one (`[000h 0000   4]  Signature : "DMAR"`, with lengths in decimal before 2021 and as
 * `004h` since, or as a template `[0004]  Signature : "DMAR"`), the hexadecimal lines of iasl's "Raw Table Data" and of acpidump, and dumps of bytes.
 */
import type { DumpedTable } from './dump-text.ts';
import { DUMP_NEEDLE, dumpBeginning, PLAIN_BEGIN } from './dump-text.ts';
import { TABLE_KINDS } from './table.ts';

export interface TableFromText {
  readonly bytes: Uint8Array;
  /** Bytes that no line gave: they are read as 0. */
  readonly missing: number;
  /** The fields say something else than the hexadecimal lines, which are taken. */
  readonly differs: boolean;
}

const SIGNATURES = TABLE_KINDS.map(({ signature }) => signature).join('|');
/** The first line of a table. */
const BEGIN = new RegExp(
  String.raw`^[ \t]{0,8}(?:\[[0-9a-f]{3,6}h? ?[^\]\n]{0,20}\][ \t]{1,60}Signature : "(?:${SIGNATURES})"|(?:${SIGNATURES}) @ (?:0x)?[0-9a-f]{1,16})`,
  'i',
);
/** What a text has in which a table may begin: all text is searched for it. */
const NEEDLE = new RegExp(`Signature : "(?:${SIGNATURES})"|(?:${SIGNATURES}) @ |${DUMP_NEEDLE}`);
/** Offset, length, name and value. */
const FIELD = /^\s{0,8}\[([0-9a-f]{3,6})h\s{1,4}\d{1,7}\s{1,8}([0-9a-f]{1,4})(h?)\]\s{1,60}([^:]{1,60}?) : (.*)$/i;
const TEMPLATE = /^\s{0,8}\[(\d{3,6})\]\s{1,60}([^:]{1,60}?) : (.*)$/;
/** The first line of any table of acpidump. */
const OTHER = /^[A-Z0-9_!]{4} @ /;
const HEX = /^\s{0,8}([0-9a-f]{4,8}): ((?:[0-9a-f]{2}(?: |$)){1,16})/i;

/** Bytes of a table as text: far beyond what a machine has. */
const MAX_BYTES = 1 << 20;
/** Bytes of a field: names are the longest. */
const MAX_FIELD = 1024;
/** Characters of a line that are looked at, before a table has begun and within one: base64 may be a line of its own. */
const MAX_LINE = 4096;
const MAX_TABLE_LINE = 2 * MAX_BYTES;

/** Finds tables in text that comes in pieces. */
export class TableText {
  private readonly found: (table: TableFromText) => void;
  private rest = '';
  private table: Collected | null = null;
  private dump: DumpedTable | null = null;
  /** No line of the input has ended. */
  private isFirst = true;
  /** The hexadecimal lines are those of a table that is none of an IOMMU. */
  private isOther = false;

  constructor(found: (table: TableFromText) => void) {
    this.found = found;
  }

  push(text: string): void {
    const all = this.rest + text;
    // A line that is no table's is not kept beyond what a first line has.
    const begins = NEEDLE.test(all) || (this.isFirst && PLAIN_BEGIN.test(all));
    this.isFirst &&= !all.includes('\n');
    if (this.table === null && this.dump === null && !begins) {
      this.rest = all.slice(all.lastIndexOf('\n') + 1).slice(0, MAX_LINE);
      return;
    }
    const lines = all.split('\n');
    this.rest = (lines.pop() ?? '').slice(0, MAX_TABLE_LINE);
    for (const line of lines) this.line(line);
  }

  /** The end of an input. */
  end(): void {
    if (this.rest !== '') this.line(this.rest);
    this.rest = '';
    this.isFirst = true;
    this.finish();
  }

  private line(line: string): void {
    const text = line.slice(0, MAX_TABLE_LINE).trimEnd();
    if (BEGIN.test(text)) {
      // Fields and hexadecimal lines of one table follow each other; a new first line is a new table.
      this.finish();
      this.isOther = false;
      this.table = new Collected();
      this.table.line(text);
      return;
    }
    if (OTHER.test(text)) {
      this.finish();
      this.isOther = true;
    }
    if (this.isOther && (text === '' || HEX.test(text))) return;
    this.isOther = OTHER.test(text);
    // The hexadecimal lines of a table that is written out are no dump of another.
    const begins = this.table === null || this.table.hasRaw ? dumpBeginning(text) : null;
    if (begins !== null) {
      this.finish();
      this.dump = begins;
    } else if (this.table !== null) this.table.line(text);
    else if (this.dump?.take(text) === false) this.finish();
  }

  private finish(): void {
    const { dump, table } = this;
    [this.table, this.dump] = [null, null];
    const written = table?.whole() ?? null;
    if (written !== null) this.found(written);
    if (dump !== null) this.found({ bytes: dump.whole(), missing: 0, differs: false });
  }
}

/** Bytes as they come. */
class Collected {
  private readonly fields = new Sparse();
  private readonly raw = new Sparse();
  /** Of a template: lines have no offsets. */
  private next = 0;

  get hasRaw(): boolean {
    return this.raw.end > 0;
  }

  line(text: string): void {
    const hex = HEX.exec(text);
    if (hex !== null) {
      const [, offset, bytes] = hex;
      this.raw.put(
        Number.parseInt(offset, 16),
        bytes
          .trim()
          .split(' ')
          .map((byte) => Number.parseInt(byte, 16)),
      );
      return;
    }
    const field = FIELD.exec(text);
    if (field !== null) {
      const [, offset, length, isHex, , value] = field;
      this.put(Number.parseInt(offset, 16), Number.parseInt(length, isHex === '' ? 10 : 16), value);
      return;
    }
    const template = TEMPLATE.exec(text);
    if (template === null) return;
    const [, length, , value] = template;
    this.put(this.next, Number.parseInt(length, 10), value);
  }

  private put(offset: number, length: number, value: string): void {
    if (length > MAX_FIELD) return;
    this.next = offset + length;
    const bytes = valueBytes(value, length);
    if (bytes !== null) this.fields.put(offset, bytes);
  }

  whole(): TableFromText | null {
    const { fields, raw } = this;
    const isRaw = raw.missing === 0 && raw.end > 0;
    const taken = isRaw || raw.end > fields.end ? raw : fields;
    // Few bytes far apart are no table, and would cost as much as a whole one.
    if (taken.end === 0 || taken.missing * 2 > taken.end) return null;
    return {
      bytes: taken.bytes(),
      missing: taken.missing,
      differs: taken === raw && fields.missing === 0 && fields.end === raw.end && !fields.equals(raw),
    };
  }
}

/** Bytes some of which are there. */
class Sparse {
  private readonly values = new Map<number, number>();
  /** Behind the last. */
  end = 0;

  put(offset: number, bytes: readonly number[]): void {
    if (offset + bytes.length > MAX_BYTES) return;
    bytes.forEach((byte, i) => {
      this.values.set(offset + i, byte);
    });
    this.end = Math.max(this.end, offset + bytes.length);
  }

  get missing(): number {
    return this.end - this.values.size;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.end);
    for (const [offset, byte] of this.values) bytes[offset] = byte;
    return bytes;
  }

  equals(other: Sparse): boolean {
    return [...this.values].every(([offset, byte]) => other.values.get(offset) === byte);
  }
}

/**
 * Bytes of a value as iasl writes it: characters in quotes, bytes with spaces or commas between them, otherwise one number, whose lowest
 * byte is the first. What iasl says of the value stands in brackets behind it.
 */
function valueBytes(value: string, length: number): number[] | null {
  const quoted = /^"([^"]*)"/.exec(value);
  if (quoted !== null) {
    const whole = quoted[1];
    const characters = whole.length > length ? whole.replaceAll('\\\\', '\\') : whole;
    return Array.from({ length }, (_, i) => (i < characters.length ? characters.charCodeAt(i) & 0xff : 0));
  }
  const [, digits] = /^([0-9a-f]{1,2}(?:[ ,][0-9a-f]{2})+|[0-9a-f]+)(?:\s|$)/i.exec(value) ?? [];
  if (digits === undefined) return null;
  if (/[ ,]/.test(digits)) {
    const bytes = digits.split(/[ ,]/).map((byte) => Number.parseInt(byte, 16));
    return bytes.length === length ? bytes : null;
  }
  if (digits.length > length * 2) return null;
  const padded = digits.padStart(length * 2, '0');
  return Array.from({ length }, (_, i) =>
    Number.parseInt(padded.slice(padded.length - 2 * i - 2, padded.length - 2 * i), 16),
  );
}
