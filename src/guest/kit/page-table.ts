/**
 * Page tables of 4 levels at most, of 512 entries each, as drivers handle them: each store is a step. Levels are counted from the pages up: 1 is the
 * table whose entries are pages of 4 KiB.
 */
import { hex } from '../../bits/index.ts';
import type { Cpu, Pool, Program } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';

/** Pages under one entry of a level: 1 for a page's, 512 for that of a table of pages, … */
export function pagesUnder(level: number): number {
  return 512 ** (level - 1);
}

/** Level of the largest leaf that alignment and size permit. @param largest that there may be. Page, frame and size are in pages */
export function largestLeaf(largest: number, page: number, frame: number, pages: number): number {
  let level = 1;
  while (level < largest) {
    const size = pagesUnder(level + 1);
    if (page % size !== 0 || frame % size !== 0 || pages < size) break;
    level++;
  }
  return level;
}

/** Bits of entries as a driver writes them. */
export interface TableFormat {
  /** What an entry is called, by level. */
  readonly names: readonly string[];
  /** Bits of an entry that are an address. */
  readonly address: bigint;
  /** One of them says that an entry is present. */
  readonly present: bigint;
  /** Of an entry that references a table, and of a page. */
  readonly table: bigint;
  readonly leaf: bigint;
  /** The bits in which a leaf above level 1 differs from {@link leaf}: with them as there, it is no table. */
  readonly size: bigint;
  /** The bit of a leaf above level 1 that keeps it out of caches, where there is one. */
  readonly notCached?: bigint;
}

/** Where an entry is. */
export interface Place {
  readonly addr: bigint;
  readonly value: bigint;
  /** Level that was reached. */
  readonly level: number;
}

/** A table, its level, and the first page below it. */
export interface TablePlace {
  readonly table: bigint;
  readonly level: number;
  readonly base: number;
}

export class PageTable {
  readonly levels: number;
  protected readonly cpu: Cpu;
  protected readonly pool: Pool;
  protected readonly root: bigint;
  protected readonly owner: number;
  protected readonly writesBack: boolean;
  protected readonly format: TableFormat;

  /**
   * @param root byte address of the top table
   * @param owner of its table pages
   * @param writesBack whether each store is written back for a walker that does not snoop
   */
  constructor(
    cpu: Cpu,
    pool: Pool,
    root: bigint,
    levels: number,
    owner: number,
    writesBack: boolean,
    format: TableFormat,
  ) {
    this.cpu = cpu;
    this.pool = pool;
    this.root = root;
    this.levels = levels;
    this.owner = owner;
    this.writesBack = writesBack;
    this.format = format;
  }

  isPresent(entry: bigint): boolean {
    return (entry & this.format.present) !== 0n;
  }

  /** Whether an entry that is present and above level 1 is a leaf. */
  isLarge(entry: bigint): boolean {
    const { leaf, size } = this.format;
    return ((entry ^ leaf ^ size) & size) === 0n;
  }

  /** What a leaf of a level says beside its address. */
  leaf(level: number): bigint {
    const { leaf, size } = this.format;
    return level > 1 ? leaf ^ size : leaf;
  }

  /** A large leaf with the bit that keeps it out of caches. */
  notCached(entry: bigint): bigint {
    const { notCached } = this.format;
    if (notCached === undefined) throw new Error('entries of this format have no bit that keeps them out of caches');
    return entry | notCached;
  }

  /** Where an entry points. */
  protected target(entry: bigint): bigint {
    return entry & this.format.address;
  }

  protected addressIn(table: bigint, level: number, pfn: number): bigint {
    return table + 8n * BigInt(Math.floor(pfn / pagesUnder(level)) % 512);
  }

  protected name(level: number, pfn: number): string {
    return `${this.format.names[level]}[${Math.floor(pfn / pagesUnder(level)) % 512}]`;
  }

  /** An entry of a table; one that a scaled-down case leaves out is 0. */
  protected *read(addr: bigint): Program<bigint> {
    return this.cpu.named(addr) ? yield* this.cpu.readOwn64(addr) : 0n;
  }

  /** Stores an entry, and writes its cache line back for a walker that does not snoop. */
  protected *store(addr: bigint, value: bigint, note: string): Program {
    yield* this.cpu.write64(addr, value, note);
    if (this.writesBack) yield* this.cpu.clflush(addr);
  }

  /** Clears an entry; one that the case leaves out is clear already. */
  protected *clear(addr: bigint, level: number, pfn: number): Program {
    if (this.cpu.named(addr)) yield* this.store(addr, 0n, `clears ${this.name(level, pfn)} at ${hex(addr)}`);
  }

  /** Finds the entry for a page without allocating: where the walk ends, at a leaf or at nothing. */
  *find(pfn: number, downTo = 1): Program<Place> {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const addr = this.addressIn(table, level, pfn);
      const value = yield* this.read(addr);
      if (level === downTo || !this.isPresent(value) || this.isLarge(value)) return { addr, value, level };
      table = this.target(value);
    }
  }

  /** Finds the entry for a page at a level, allocating tables on the way. */
  *ensure(pfn: number, target: number): Program<Place> {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const addr = this.addressIn(table, level, pfn);
      let value = yield* this.read(addr);
      if (level === target) return { addr, value, level };
      if (!this.isPresent(value)) {
        const made = yield* atomic(() => this.link(addr, level, pfn));
        if (this.writesBack) yield* this.cpu.clflush(addr);
        value = made;
      }
      table = this.target(value);
    }
  }

  protected *link(addr: bigint, level: number, pfn: number): Program<bigint> {
    const page = yield* this.pool.alloc(this.owner);
    const entry = page | this.format.table;
    yield* this.cpu.write64(addr, entry, `${this.name(level, pfn)} = ${hex(entry)} at ${hex(addr)}`);
    return entry;
  }

  /** Stores a leaf where nothing is. */
  *setLeaf(pfn: number, level: number, frame: number): Program {
    const { addr, value } = yield* this.ensure(pfn, level);
    if (value !== 0n) throw new Error(`${this.name(level, pfn)} at ${hex(addr)} is already ${hex(value)}`);
    const leaf = (BigInt(frame) << 12n) | this.leaf(level);
    yield* this.store(addr, leaf, `${this.name(level, pfn)} = ${hex(leaf)} at ${hex(addr)}`);
  }

  /** Stores any entry over any other; 0 clears it. */
  *storeEntry(addr: bigint, level: number, pfn: number, entry: bigint): Program {
    const name = this.name(level, pfn);
    yield* this.store(
      addr,
      entry,
      entry === 0n ? `clears ${name} at ${hex(addr)}` : `${name} = ${hex(entry)} at ${hex(addr)}`,
    );
  }

  /**
   * Puts an entry in the place of another by one locked exchange, so that no flag that hardware sets meanwhile is lost.
   * @returns the entry that was there
   */
  *exchangeEntry(addr: bigint, level: number, pfn: number, entry: bigint): Program<bigint> {
    const what = `exchanges ${this.name(level, pfn)} for ${hex(entry)} at ${hex(addr)}`;
    const old = yield* this.cpu.locked64(addr, 0n, entry, what);
    if (this.writesBack) yield* this.cpu.clflush(addr);
    return old;
  }

  /**
   * Makes a table that nothing leads to yet, of what a 2 MiB leaf says in 4 KiB leaves.
   * @param leftOut indices of entries that stay empty
   * @returns the entry that leads to it
   */
  *prepareSplit(leaf: bigint, leftOut: readonly number[] = []): Program<bigint> {
    const first = leaf ^ this.format.size;
    const fill = this.fill.bind(this);
    return yield* atomic(() => fill(first, leftOut));
  }

  private *fill(first: bigint, leftOut: readonly number[]): Program<bigint> {
    const { cpu } = this;
    const page = yield* this.pool.alloc(this.owner);
    for (let i = 0n; i < 512n; i++) {
      const addr = page + 8n * i;
      if (!cpu.named(addr) || leftOut.includes(Number(i))) continue;
      const entry = first + i * 4096n;
      yield* cpu.write64(addr, entry, `${this.format.names[1]}[${i}] = ${hex(entry)} at ${hex(addr)}`);
      if (this.writesBack) yield* cpu.clflush(addr);
    }
    return page | this.format.table;
  }
}
