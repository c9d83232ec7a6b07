/** Page tables of both stages as the kernel's VT-d driver handles them: each store is a step. */
import { encode64, hex } from '../../bits/index.ts';
import { FS_PAGE, FS_TABLE } from '../../iommu/vtd/scalable-structures.ts';
import { ENTRY_NAME, SS_PAGE, SS_TABLE } from '../../iommu/vtd/structures.ts';
import type { Cpu, Pool, Program } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';

/** Pages under one entry of a level: 1 for a PTE, 512 for a PDE, … */
export function pagesUnder(level: number): number {
  return 512 ** (level - 1);
}

/** What makes a leaf above 4 KiB one, in both stages. */
export const LARGE = encode64(SS_PAGE, { PS: 1 });
const ADDRESS = 0xffffffffff000n;

/** Bits of entries as the driver writes them. */
export interface TableFormat {
  /** One of them says that an entry is present. */
  readonly present: bigint;
  /** Of an entry that references a table, and of a leaf. */
  readonly table: bigint;
  readonly leaf: bigint;
}

const RW = encode64(SS_TABLE, { R: 1, W: 1 });

/** Rights and attributes of a leaf as the kernel of the reports sets them: R, W and SNP. */
export const LEAF = RW | encode64(SS_PAGE, { SNP: 1 });

export const SECOND_STAGE: TableFormat = { present: RW, table: RW, leaf: LEAF };

/** As the DMA API uses it (`use_first_level`): flags are set beforehand, so that hardware never has to. */
export const FIRST_STAGE: TableFormat = {
  present: encode64(FS_TABLE, { P: 1 }),
  table: encode64(FS_TABLE, { P: 1, RW: 1, US: 1, A: 1 }),
  leaf: encode64(FS_PAGE, { P: 1, RW: 1, US: 1, A: 1, D: 1 }),
};

/** Whether a second-stage entry is. */
export function isPresent(entry: bigint): boolean {
  return (entry & RW) !== 0n;
}

function isSuperpage(entry: bigint): boolean {
  return (entry & LARGE) !== 0n;
}

/** Where an entry is. */
interface Place {
  readonly addr: bigint;
  readonly value: bigint;
  /** Level that was reached, 1 for a PTE. */
  readonly level: number;
}

/** A table, its level, and the first page below it. */
interface TablePlace {
  readonly table: bigint;
  readonly level: number;
  readonly base: number;
}

export class PageTable {
  readonly levels: number;
  private readonly cpu: Cpu;
  private readonly pool: Pool;
  private readonly root: bigint;
  private readonly owner: number;
  private readonly writesBack: boolean;
  private readonly format: TableFormat;

  /**
   * @param root byte address of the top table
   * @param owner of its table pages
   * @param writesBack whether each store is written back for a walker that does not snoop (`domain_flush_cache`)
   */
  constructor(
    cpu: Cpu,
    pool: Pool,
    root: bigint,
    levels: number,
    owner: number,
    writesBack = true,
    format: TableFormat = SECOND_STAGE,
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

  private addressIn(table: bigint, level: number, pfn: number): bigint {
    return table + 8n * BigInt(Math.floor(pfn / pagesUnder(level)) % 512);
  }

  private name(level: number, pfn: number): string {
    return `${ENTRY_NAME[level]}[${Math.floor(pfn / pagesUnder(level)) % 512}]`;
  }

  /** An entry of a table; one that a scaled-down case leaves out is 0. */
  private *read(addr: bigint): Program<bigint> {
    return this.cpu.named(addr) ? yield* this.cpu.readOwn64(addr) : 0n;
  }

  /** Stores an entry, and writes its cache line back for a walker that does not snoop. */
  private *store(addr: bigint, value: bigint, note: string): Program {
    yield* this.cpu.write64(addr, value, note);
    if (this.writesBack) yield* this.cpu.clflush(addr);
  }

  /** Clears an entry (`dma_clear_pte`); one that the case leaves out is clear already. */
  private *clear(addr: bigint, level: number, pfn: number): Program {
    if (this.cpu.named(addr)) yield* this.store(addr, 0n, `clears ${this.name(level, pfn)} at ${hex(addr)}`);
  }

  /** Finds the entry for a page without allocating: where the walk ends, at a leaf or at nothing. */
  *find(pfn: number, downTo = 1): Program<Place> {
    let table = this.root;
    for (let level = this.levels; ; level--) {
      const addr = this.addressIn(table, level, pfn);
      const value = yield* this.read(addr);
      if (level === downTo || !this.isPresent(value) || isSuperpage(value)) return { addr, value, level };
      table = value & ADDRESS;
    }
  }

  /** Finds the entry for a page at a level, allocating tables on the way (`pfn_to_dma_pte`). */
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
      table = value & ADDRESS;
    }
  }

  private *link(addr: bigint, level: number, pfn: number): Program<bigint> {
    const page = yield* this.pool.alloc(this.owner);
    const entry = page | this.format.table;
    yield* this.cpu.write64(addr, entry, `${this.name(level, pfn)} = ${hex(entry)} at ${hex(addr)}`);
    return entry;
  }

  /** Stores a leaf where nothing is. */
  *setLeaf(pfn: number, level: number, frame: number): Program {
    const { addr, value } = yield* this.ensure(pfn, level);
    if (value !== 0n) throw new Error(`${this.name(level, pfn)} at ${hex(addr)} is already ${hex(value)}`);
    const leaf = (BigInt(frame) << 12n) | this.format.leaf | (level > 1 ? LARGE : 0n);
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
   * Puts an entry in the place of another by one locked exchange, so that no flag that hardware sets meanwhile is lost (VT-d 3.7.2).
   * @returns the entry that was there
   */
  *exchangeEntry(addr: bigint, level: number, pfn: number, entry: bigint): Program<bigint> {
    const what = `exchanges ${this.name(level, pfn)} for ${hex(entry)} at ${hex(addr)}`;
    const old = yield* this.cpu.locked64(addr, 0n, entry, what);
    if (this.writesBack) yield* this.cpu.clflush(addr);
    return old;
  }

  /**
   * Clears bits of every leaf in a range by locked instructions; ones that the case leaves out are clear.
   * @returns by leaf that had one of them: its first page and its level
   */
  *clearInLeaves(first: number, last: number, bits: bigint): Program<{ pfn: number; level: number }[]> {
    const had: { pfn: number; level: number }[] = [];
    yield* this.clearInLevel({ table: this.root, level: this.levels, base: 0 }, first, last, bits, had);
    return had;
  }

  private *clearInLevel(
    { table, level, base }: TablePlace,
    first: number,
    last: number,
    bits: bigint,
    had: { pfn: number; level: number }[],
  ): Program {
    const size = pagesUnder(level);
    for (let i = 0; i < 512; i++) {
      const pfn = base + i * size;
      const addr = table + 8n * BigInt(i);
      if (pfn + size <= first || pfn > last || !this.cpu.named(addr)) continue;
      const value = yield* this.read(addr);
      if (!this.isPresent(value)) continue;
      if (level > 1 && !isSuperpage(value)) {
        yield* this.clearInLevel({ table: value & ADDRESS, level: level - 1, base: pfn }, first, last, bits, had);
        continue;
      }
      const note = `tests and clears D of ${this.name(level, pfn)} at ${hex(addr)}`;
      const old = yield* this.cpu.locked64(addr, ~bits, 0n, note);
      if ((old & bits) !== 0n) had.push({ pfn, level });
    }
  }

  /** Makes a table that nothing leads to yet, of what a 2 MiB leaf says in 4 KiB leaves. @returns the entry that leads to it */
  *prepareSplit(leaf: bigint): Program<bigint> {
    const frames = leaf & ADDRESS;
    const rights = leaf & ~ADDRESS & ~LARGE;
    const fill = this.fill.bind(this);
    return yield* atomic(() => fill(frames | rights));
  }

  private *fill(first: bigint): Program<bigint> {
    const { cpu } = this;
    const page = yield* this.pool.alloc(this.owner);
    for (let i = 0n; i < 512n; i++) {
      const addr = page + 8n * i;
      if (!cpu.named(addr)) continue;
      const entry = first + i * 4096n;
      yield* cpu.write64(addr, entry, `PTE[${i}] = ${hex(entry)} at ${hex(addr)}`);
      if (this.writesBack) yield* cpu.clflush(addr);
    }
    return page | this.format.table;
  }

  /** Clears every leaf of pages first … last (`dma_pte_clear_range`). */
  *clearRange(first: number, last: number): Program {
    for (let pfn = first; pfn <= last; ) {
      const { addr, value, level } = yield* this.find(pfn);
      const size = pagesUnder(level);
      if (level > 1) {
        if (this.isPresent(value)) yield* this.clear(addr, level, pfn);
        pfn = (Math.floor(pfn / size) + 1) * size;
        continue;
      }
      // A table is looked for once; then its entries follow each other.
      const table = addr - 8n * BigInt(pfn % 512);
      const end = Math.min(last, pfn - (pfn % 512) + 511);
      for (; pfn <= end; pfn++) yield* this.clear(table + 8n * BigInt(pfn % 512), level, pfn);
    }
  }

  /**
   * Takes tables out that lie wholly in first … last, below `retain` (`dma_pte_free_level`).
   * @param when `at once`: each goes back to the allocator when it is out; `later`: the caller frees them
   * @returns the tables that are to be freed later
   */
  *freeTables(first: number, last: number, retain: number, when: 'at once' | 'later'): Program<bigint[]> {
    const gathered: bigint[] = [];
    yield* this.freeLevel({ table: this.root, level: this.levels, base: 0 }, first, last, retain, when, gathered);
    return gathered;
  }

  private *freeLevel(
    at: TablePlace,
    first: number,
    last: number,
    retain: number,
    when: 'at once' | 'later',
    gathered: bigint[],
  ): Program {
    const { table, level, base } = at;
    const size = pagesUnder(level);
    for (let i = 0; i < 512; i++) {
      const pfn = base + i * size;
      if (pfn + size <= first || pfn > last) continue;
      const addr = table + 8n * BigInt(i);
      const value = yield* this.read(addr);
      if (!this.isPresent(value) || isSuperpage(value)) continue;
      const below = value & ADDRESS;
      if (level > 2)
        yield* this.freeLevel({ table: below, level: level - 1, base: pfn }, first, last, retain, when, gathered);
      if (level < retain && pfn >= first && pfn + size - 1 <= last) {
        yield* this.clear(addr, level, pfn);
        if (when === 'at once') yield* this.pool.release(below);
        else gathered.push(below);
      }
    }
  }

  /**
   * Takes pages first … last out of the tables (`dma_pte_clear_level`). Tables that lie wholly in the range are put on the list
   * as they are.
   * @returns the tables, to be freed after the flush
   */
  *unmap(first: number, last: number): Program<bigint[]> {
    const freed: bigint[] = [];
    yield* this.clearLevel(this.root, this.levels, 0, first, last, freed);
    return freed;
  }

  private *clearLevel(
    table: bigint,
    level: number,
    base: number,
    first: number,
    last: number,
    freed: bigint[],
  ): Program {
    const size = pagesUnder(level);
    for (let i = 0; i < 512; i++) {
      const pfn = base + i * size;
      if (pfn + size <= first || pfn > last) continue;
      const addr = table + 8n * BigInt(i);
      const value = yield* this.read(addr);
      if (!this.isPresent(value)) continue;
      const leaf = level === 1 || isSuperpage(value);
      if (pfn >= first && pfn + size - 1 <= last) {
        if (!leaf) yield* this.listTables(value & ADDRESS, level - 1, freed);
        yield* this.clear(addr, level, pfn);
      } else if (!leaf) {
        yield* this.clearLevel(value & ADDRESS, level - 1, pfn, first, last, freed);
      }
    }
  }

  private *listTables(table: bigint, level: number, freed: bigint[]): Program {
    freed.push(table);
    if (level === 1) return;
    for (let i = 0; i < 512; i++) {
      const value = yield* this.read(table + 8n * BigInt(i));
      if (this.isPresent(value) && !isSuperpage(value)) yield* this.listTables(value & ADDRESS, level - 1, freed);
    }
  }
}
