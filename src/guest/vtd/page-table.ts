/** Page tables of both stages as the kernel's VT-d driver handles them: each store is a step. */
import { encode64, hex } from '../../bits/index.ts';
import { FS_PAGE, FS_TABLE } from '../../iommu/vtd/scalable-structures.ts';
import { ENTRY_NAME, SS_PAGE, SS_TABLE } from '../../iommu/vtd/structures.ts';
import type { Cpu, Pool, Program } from '../../machine/index.ts';
import type { TableFormat, TablePlace } from '../kit/page-table.ts';
import { PageTable as KitPageTable, pagesUnder } from '../kit/page-table.ts';

/** What makes a leaf above 4 KiB one, in both stages. */
export const LARGE = encode64(SS_PAGE, { PS: 1 });

/** What entries of both stages have in common. */
const BOTH = { names: ENTRY_NAME, address: 0xffffffffff000n, size: LARGE } as const;

const RW = encode64(SS_TABLE, { R: 1, W: 1 });

/** Rights and attributes of a leaf as the kernel of the reports sets them: R, W and SNP. */
export const LEAF = RW | encode64(SS_PAGE, { SNP: 1 });

export const SECOND_STAGE: TableFormat = { ...BOTH, present: RW, table: RW, leaf: LEAF };

/** As the DMA API uses it (`use_first_level`): flags are set beforehand, so that hardware never has to. */
export const FIRST_STAGE: TableFormat = {
  ...BOTH,
  present: encode64(FS_TABLE, { P: 1 }),
  table: encode64(FS_TABLE, { P: 1, RW: 1, US: 1, A: 1 }),
  leaf: encode64(FS_PAGE, { P: 1, RW: 1, US: 1, A: 1, D: 1 }),
};

/** Whether a second-stage entry is. */
export function isPresent(entry: bigint): boolean {
  return (entry & RW) !== 0n;
}

export class PageTable extends KitPageTable {
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
    super(cpu, pool, root, levels, owner, writesBack, format);
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
      if (level > 1 && !this.isLarge(value)) {
        yield* this.clearInLevel({ table: this.target(value), level: level - 1, base: pfn }, first, last, bits, had);
        continue;
      }
      const note = `tests and clears D of ${this.name(level, pfn)} at ${hex(addr)}`;
      const old = yield* this.cpu.locked64(addr, ~bits, 0n, note);
      if ((old & bits) !== 0n) had.push({ pfn, level });
    }
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
      if (!this.isPresent(value) || this.isLarge(value)) continue;
      const below = this.target(value);
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
      const leaf = level === 1 || this.isLarge(value);
      if (pfn >= first && pfn + size - 1 <= last) {
        if (!leaf) yield* this.listTables(this.target(value), level - 1, freed);
        yield* this.clear(addr, level, pfn);
      } else if (!leaf) {
        yield* this.clearLevel(this.target(value), level - 1, pfn, first, last, freed);
      }
    }
  }

  private *listTables(table: bigint, level: number, freed: bigint[]): Program {
    freed.push(table);
    if (level === 1) return;
    for (let i = 0; i < 512; i++) {
      const value = yield* this.read(table + 8n * BigInt(i));
      if (this.isPresent(value) && !this.isLarge(value)) yield* this.listTables(this.target(value), level - 1, freed);
    }
  }
}
