/** Finds, in text of any size that comes in pieces, the lines that a format knows. */
import { takeMemoryLine } from './dump/memory-lines.ts';
import { takeRootLine } from './dump/roots.ts';
import type { Tables } from './dump/tables.ts';
import type { Finding, Found, Position } from './finding.ts';
import type { FollowingLines, Groups, LineFormat } from './line-format.ts';
import { NeedleSearch } from './needle-search.ts';
import type { Section } from './section.ts';
import { messageOf } from './text.ts';

/** Characters of a line that are looked at: more is no line of a log. */
const MAX_LINE = 16384;
/** Lines that may stand between a line and one that belongs to it. */
const MAX_BETWEEN = 64;

/** What the scanner gives to. */
export interface Sink {
  found(found: Found): void;
  /** A line that looks like a fault, and is of no format, or has a number that the format cannot have. */
  unknown(line: string, at: Position): void;
  /** A line that was too long: the rest of it was not looked at. */
  cut(at: Position): void;
}

/** Text of lines that should be known, whatever their format. */
const SUSPICIOUS = [
  'Event logged [',
  '[fault reason',
  'fault addr',
  'IO_PAGE_FAULT',
  'riscv-iommu',
  'arm-smmu',
  'virtio_iommu',
];
const LOOKS_LIKE_FAULT =
  /Event logged \[|\[fault reason|fault addr|IO_PAGE_FAULT|(?:riscv-iommu|arm-smmu|virtio_iommu).{0,80}(?:fault|error|event)/i;

/** A line whose followers are waited for. */
interface Pending {
  readonly section: Section;
  readonly text: string;
  readonly at: Position;
  /** Lines since the last that belonged. */
  between: number;
}

export class LineScanner {
  private readonly formats: readonly LineFormat[];
  private readonly needles: NeedleSearch;
  /** By needle, the formats that have it, by their place among all. */
  private readonly byNeedle: readonly (readonly number[])[];
  private readonly sink: Sink;
  private readonly tables: Tables | null;
  private input = '-';
  private line = 0;
  private rest = '';
  private pending: Pending | null = null;

  /** @param tables keeps what dumps say of memory, if it is to be walked */
  constructor(formats: readonly LineFormat[], sink: Sink, tables: Tables | null = null) {
    this.formats = formats;
    this.sink = sink;
    this.tables = tables;
    const literals = [...new Set([...formats.map(({ needle }) => needle), ...SUSPICIOUS])];
    this.needles = new NeedleSearch(literals);
    this.byNeedle = literals.map((literal) =>
      formats.flatMap(({ needle }, place) => (needle === literal ? [place] : [])),
    );
  }

  /** Lines so far, of this input. */
  get lines(): number {
    return this.line;
  }

  /** Another input: what was not ended is. */
  begin(input: string): void {
    this.end();
    this.input = input;
    this.line = 0;
  }

  /** A piece of the input; it may end amid a line. */
  push(text: string): void {
    let all = this.rest === '' ? text : this.rest + text;
    const last = all.lastIndexOf('\n');
    this.rest = last < 0 ? all : all.slice(last + 1);
    if (last < 0) {
      // A line without end: what is beyond the limit is never looked at.
      if (this.rest.length > MAX_LINE) this.rest = this.rest.slice(0, MAX_LINE + 1);
      return;
    }
    all = all.slice(0, last);
    this.scan(all);
  }

  /** Whole lines that another has read. */
  skip(lines: number): void {
    this.line += lines;
  }

  /** The end of an input. */
  end(): void {
    if (this.rest !== '') this.scan(this.rest);
    this.rest = '';
    this.settle();
  }

  /** Whole lines. Only those with a needle in them are cut out; while something is pending, every one. */
  private scan(text: string): void {
    let at = 0;
    for (;;) {
      if (this.pending === null && this.tables === null) {
        const hit = this.needles.next(text, at);
        if (hit < 0) break;
        const start = text.lastIndexOf('\n', hit) + 1;
        this.line += countLines(text, at, start);
        at = start;
      }
      const end = text.indexOf('\n', at);
      this.line++;
      this.take(text.slice(at, end < 0 ? text.length : end));
      if (end < 0) return;
      at = end + 1;
    }
    this.line += countLines(text, at, text.length) + 1;
  }

  private take(whole: string): void {
    const at = { input: this.input, line: this.line };
    const long = whole.length > MAX_LINE;
    const { text, time } = messageOf((long ? whole.slice(0, MAX_LINE) : whole).replace(/\r$/, ''));
    const position = { ...at, time };
    if (long) this.sink.cut(position);
    if (this.belongs(text)) return;
    let known = false;
    for (const place of this.candidates(text)) {
      const format = this.formats[place];
      const match = format.pattern.exec(text);
      if (match === null) continue;
      const section = sectionOf(format, match.groups ?? {}, this.tables);
      if (section !== null) {
        this.settle();
        this.pending = { section, text, at: position, between: 0 };
        return;
      }
      const finding = format.decode?.(match.groups ?? {}) ?? null;
      known = finding !== null;
      if (finding !== null) this.sink.found({ finding, at: position });
      break;
    }
    if (known || (this.tables !== null && (takeMemoryLine(text, this.tables) || takeRootLine(text, this.tables))))
      return;
    if (LOOKS_LIKE_FAULT.test(text)) this.sink.unknown(text, position);
  }

  /** Places of the formats whose needles the line has, first one first. */
  private candidates(text: string): number[] {
    const places = this.needles.all(text).flatMap((id) => this.byNeedle[id]);
    return places.sort((a, b) => a - b);
  }

  /** Whether the line is one of what is pending. */
  private belongs(text: string): boolean {
    const { pending } = this;
    if (pending === null) return false;
    if (!pending.section.take(text)) {
      if (++pending.between > MAX_BETWEEN) this.settle();
      return false;
    }
    pending.between = 0;
    if (pending.section.isFull === true) this.settle();
    return true;
  }

  /** What is pending is told with what has come. */
  private settle(): void {
    const { pending } = this;
    if (pending === null) return;
    this.pending = null;
    const { at, section, text } = pending;
    const findings = section.close();
    for (const finding of findings) this.sink.found({ finding, at });
    if (findings.length === 0) this.sink.unknown(text, at);
  }
}

/** What waits for the lines behind the line; null if there are none. */
function sectionOf(format: LineFormat, groups: Groups, tables: Tables | null): Section | null {
  if (format.section !== undefined) return format.section(groups, tables);
  return format.follow === undefined ? null : new Following(format, format.follow, groups);
}

/** A line with a few of one pattern behind it. */
class Following implements Section {
  private readonly format: LineFormat;
  private readonly follow: FollowingLines;
  private readonly first: Groups;
  private readonly rest: Groups[] = [];

  constructor(format: LineFormat, follow: FollowingLines, first: Groups) {
    this.format = format;
    this.follow = follow;
    this.first = first;
  }

  get isFull(): boolean {
    return this.rest.length === this.follow.count;
  }

  take(line: string): boolean {
    const match = this.follow.pattern.exec(line);
    if (match !== null) this.rest.push(match.groups ?? {});
    return match !== null;
  }

  close(): Finding[] {
    const { first, follow, format, rest } = this;
    const finding = rest.length === 0 ? format.decode?.(first) : follow.decode(first, rest);
    return finding == null ? [] : [finding];
  }
}

/** Line ends from `from` to before `to`. */
function countLines(text: string, from: number, to: number): number {
  let n = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) n++;
  return n;
}
