/** Second-stage page tables as the kernel's VT-d driver handles them: each store is a step. */
import { encode64, hex } from '../../bits/index.ts';
import { ENTRY_NAME, SS_PAGE, SS_TABLE } from '../../iommu/vtd/structures.ts';
import type { Cpu, Pool, Program } from '../../machine/index.ts';
import { atomic } from '../../machine/index.ts';

/** Pages under one entry of a level: 1 for a PTE, 512 for a PDE, … */
export function pagesUnder(level: number): number {
  return 512 ** (level - 1);
}

const R = encode64(SS_TABLE, { R: 1 });
const W = encode64(SS_TABLE, { W: 1 });
const PS = encode64(SS_PAGE, { PS: 1 });
const SNP = encode64(SS_PAGE, { SNP: 1 });
const ADDRESS = 0xffffffffff000n;

/** What makes a leaf above 4 KiB one. */
export const LARGE = PS;

/** Rights and attributes of a leaf as the kernel of the reports sets them: R, W and SNP. */
export const LEAF = R | W | SNP;

export function isPresent(entry: bigint): boolean {
  return (entry & (R | W)) !== 0n;
}

function isSuperpage(entry: bigint): boolean {
  return (entry & PS) !== 0n;
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

  /**
   * @param root byte address of the top table
   * @param owner of its table pages
   * @param writesBack whether each store is written back for a walker that does not snoop (`domain_flush_cache`)
   */
  constructor(cpu: Cpu, pool: Pool, root: bigint, levels: number, owner: number, writesBack = true) {
    this.cpu = cpu;
    this.pool = pool;
    this.root = root;
    this.levels = levels;
    this.owner = owner;
    this.writesBack = writesBack;
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
      if (level === downTo || !isPresent(value) || isSuperpage(value)) return { addr, value, level };
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
      if (!isPresent(value)) {
        const made = yield* atomic(() => this.link(addr, level, pfn));
        if (this.writesBack) yield* this.cpu.clflush(addr);
        value = made;
      }
      table = value & ADDRESS;
    }
  }

  private *link(addr: bigint, level: number, pfn: number): Program<bigint> {
    const page = yield* this.pool.alloc(this.owner);
    const entry = page | R | W;
    yield* this.cpu.write64(addr, entry, `${this.name(level, pfn)} = ${hex(entry)} at ${hex(addr)}`);
    return entry;
  }

  /** Stores a leaf where nothing is. */
  *setLeaf(pfn: number, level: number, frame: number): Program {
    const { addr, value } = yield* this.ensure(pfn, level);
    if (value !== 0n) throw new Error(`${this.name(level, pfn)} at ${hex(addr)} is already ${hex(value)}`);
    const leaf = (BigInt(frame) << 12n) | LEAF | (level > 1 ? PS : 0n);
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

  /** Makes a table that nothing leads to yet, of what a 2 MiB leaf says in 4 KiB leaves. @returns the entry that leads to it */
  *prepareSplit(leaf: bigint): Program<bigint> {
    const frames = leaf & ADDRESS;
    const rights = leaf & ~ADDRESS & ~PS;
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
    return page | R | W;
  }

  /** Clears every leaf of pages first … last (`dma_pte_clear_range`). */
  *clearRange(first: number, last: number): Program {
    for (let pfn = first; pfn <= last; ) {
      const { addr, value, level } = yield* this.find(pfn);
      const size = pagesUnder(level);
      if (level > 1) {
        if (isPresent(value)) yield* this.clear(addr, level, pfn);
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
      if (!isPresent(value) || isSuperpage(value)) continue;
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
      if (!isPresent(value)) continue;
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
      if (isPresent(value) && !isSuperpage(value)) yield* this.listTables(value & ADDRESS, level - 1, freed);
    }
  }
}
