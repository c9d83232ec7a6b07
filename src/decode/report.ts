/** What was found, put together: what repeats is one group, with its count and where it was first and last. */
import type { Address, Finding, Found, Position } from './finding.ts';

/** A page that faulted, and how often. */
export interface PageCount {
  /** Byte address of the page. */
  readonly page: bigint;
  count: number;
}

/** Findings of one requester, one access and one code. */
export interface Group {
  /** Of the first: its summary, causes and words. */
  readonly finding: Finding;
  count: number;
  readonly first: Position;
  last: Position;
  /** In the order in which they came first; at most {@link MAX_PAGES}. */
  readonly pages: PageCount[];
  /** Findings at further pages. */
  otherPages: number;
}

/** A line that should be known and is not. */
export interface Unknown {
  readonly line: string;
  readonly at: Position;
}

/** Pages that are told apart in a group: a device that runs through memory would otherwise take the reader's. */
export const MAX_PAGES = 4096;
/** Groups that are told apart. */
export const MAX_GROUPS = 10_000;
/** Lines of no known format that are kept to be shown. */
export const MAX_UNKNOWN = 20;

export class Report {
  readonly groups: Group[] = [];
  readonly unknown: Unknown[] = [];
  /** All lines of no known format, shown or not. */
  unknownCount = 0;
  /** Lines that were too long to be looked at whole. */
  cutCount = 0;
  /** Findings beyond {@link MAX_GROUPS}, which are in no group. */
  ungrouped = 0;
  private readonly byKey = new Map<string, Group>();
  private readonly pagesOf = new Map<Group, Map<bigint, PageCount>>();

  add({ finding, at }: Found): void {
    const key = keyOf(finding);
    let group = this.byKey.get(key);
    if (group === undefined) {
      if (this.groups.length >= MAX_GROUPS) {
        this.ungrouped++;
        return;
      }
      group = { finding, count: 0, first: at, last: at, pages: [], otherPages: 0 };
      this.groups.push(group);
      this.byKey.set(key, group);
    }
    group.count++;
    group.last = at;
    if (finding.address !== null) this.addPage(group, finding.address);
  }

  addUnknown(line: string, at: Position): void {
    this.unknownCount++;
    if (this.unknown.length < MAX_UNKNOWN) this.unknown.push({ line, at });
  }

  private addPage(group: Group, { value, space }: Address): void {
    const page = space === 'interrupt index' ? value : value & ~0xfffn;
    let pages = this.pagesOf.get(group);
    if (pages === undefined) {
      pages = new Map();
      this.pagesOf.set(group, pages);
    }
    let counted = pages.get(page);
    if (counted === undefined) {
      if (pages.size >= MAX_PAGES) {
        group.otherPages++;
        return;
      }
      counted = { page, count: 0 };
      pages.set(page, counted);
      group.pages.push(counted);
    }
    counted.count++;
  }
}

function keyOf({ kind, requester, access, code, summary }: Finding): string {
  // What has no requester is one with another only if it says the same, whatever its numbers.
  const what = requester === null ? summary.replace(/0x[0-9a-f]+/g, '') : '';
  return `${kind}|${requester?.text}|${requester?.pasid}|${access}|${code?.name}|${code?.value}|${code?.meaning}|${what}`;
}

/** How the pages of a group lie. */
export type Pattern = 'one' | 'run' | 'scattered';

/** A run: consecutive pages, at least four, as of a device that runs through memory. */
export function patternOf({ pages, otherPages }: Group): Pattern {
  if (pages.length + otherPages <= 1) return 'one';
  const values = pages.map(({ page }) => page);
  const low = values.reduce((a, b) => (b < a ? b : a));
  const high = values.reduce((a, b) => (b > a ? b : a));
  return otherPages === 0 && values.length >= 4 && (high - low) >> 12n === BigInt(values.length - 1)
    ? 'run'
    : 'scattered';
}
