/** VMSAv8-64 page tables with the granule of 4 KiB as `io-pgtable-arm` handles them: each store is a step. */
import { encode64, hex } from '../../bits/index.ts';
import { STAGE1, STAGE2 } from '../../iommu/smmuv3/translation-structures.ts';
import type { Program } from '../../machine/index.ts';
import type { Place, TableFormat } from '../kit/page-table.ts';
import { PageTable, pagesUnder } from '../kit/page-table.ts';

/** Levels of tables that begin at level 1, as for addresses of 39 bits. */
export const LEVELS_39 = 3;

/** By how many tables are below: levels are counted from the top in the architecture. */
const NAMES = ['', 'L3', 'L2', 'L1', 'L0'] as const;

const [table1, page1, block1] = [STAGE1[4].table, STAGE1[4].leaf[3], STAGE1[4].leaf[2]];
const [table2, page2, block2] = [STAGE2[4].table, STAGE2[4].leaf[3], STAGE2[4].leaf[2]];

/** MAIR index of Normal Write-Back memory, as the driver sets MAIR up. */
export const MAIR_CACHE = 1;

/** Shareability of coherent devices' pages: Inner Shareable. */
const INNER = 3;

/** Read/write for both privileges, Write-Back, not global, the Access flag set: a page of the DMA API. */
const LEAF1 = { AttrIndx: MAIR_CACHE, AP: 1, SH: INNER, AF: 1, nG: 1 } as const;
/** Read/write, Write-Back (0b1111), the Access flag set. */
const LEAF2 = { MemAttr: 15, S2AP: 3, SH: INNER, AF: 1 } as const;

/** Bits 47:12; above them lie GP, DBM and Contiguous. */
const ADDRESS = encode64(table1, { ADDR: 0xfffffffff000n }) & ~encode64(table1, {});

export const STAGE_1: TableFormat = {
  names: NAMES,
  address: ADDRESS,
  present: encode64(page1, {}) & encode64(block1, {}),
  table: encode64(table1, {}),
  leaf: encode64(page1, LEAF1),
  size: encode64(page1, LEAF1) ^ encode64(block1, LEAF1),
  notCached: encode64(block1, { nT: 1 }) ^ encode64(block1, {}),
};

export const STAGE_2: TableFormat = {
  names: NAMES,
  address: ADDRESS,
  present: encode64(page2, {}) & encode64(block2, {}),
  table: encode64(table2, {}),
  leaf: encode64(page2, LEAF2),
  size: encode64(page2, LEAF2) ^ encode64(block2, LEAF2),
  notCached: encode64(block2, { nT: 1 }) ^ encode64(block2, {}),
};

/** What an unmap gathers for the invalidation that ends it (`iommu_iotlb_gather_add_page`). */
export type Gather = (first: number, pages: number) => Program;

/** What a table that is taken out needs before it is freed: its translations and what leads to it invalidated (`io_pgtable_tlb_flush_walk`). */
export type FlushWalk = (first: number, pages: number) => Program;

export interface UnmapOptions {
  readonly gather: Gather;
  readonly flushWalk: FlushWalk;
  /**
   * Part of a block is unmapped: `split`, by a table of pages that is stored over it (`arm_lpae_split_blk_unmap`, up to v6.12); `refused`
   * (33729a5fc0ca, v6.13).
   */
  readonly partOfBlock: 'split' | 'refused';
  /** Mutant: a table is freed before what leads to it is invalidated. */
  readonly freesFirst?: boolean;
}

export class ArmPageTable extends PageTable {
  /**
   * Stores a leaf, over nothing or over a table, which is taken out before (`arm_lpae_init_pte`).
   * @param level 1 for a page, 2 for a block of 2 MiB, 3 of 1 GiB
   */
  *mapLeaf(pfn: number, level: number, frame: number, flushWalk: FlushWalk): Program {
    const place = yield* this.ensure(pfn, level);
    if (level > 1 && this.isPresent(place.value) && !this.isLarge(place.value))
      yield* this.dropTable(place, pfn, { flushWalk });
    yield* this.setLeaf(pfn, level, frame);
  }

  /** What a map ends with: walks see it from then on (`wmb` in `arm_lpae_map_pages`). */
  publish(): Program {
    return this.cpu.fence();
  }

  /**
   * Unmaps one page or block, or part of a block (`__arm_lpae_unmap`).
   * @param level whose size is asked for: 1 a page, 2 2 MiB, 3 1 GiB
   * @returns whether it is unmapped: not where part of a block is refused
   */
  *unmapOne(pfn: number, level: number, options: UnmapOptions): Program<boolean> {
    const place = yield* this.find(pfn, level);
    if (!this.isPresent(place.value)) throw new Error(`nothing is mapped at ${hex(pfn * 4096)}`);
    if (place.level > level) return yield* this.unmapPart(place, pfn, level, options);
    if (level > 1 && !this.isLarge(place.value)) yield* this.dropTable(place, pfn, options);
    else {
      yield* this.clear(place.addr, level, pfn);
      yield* options.gather(pfn, pagesUnder(level));
    }
    return true;
  }

  /** A table is taken out: its entry cleared, what was cached of it invalidated, its page freed. Tables below it are not there in these cases. */
  private *dropTable(
    { addr, value, level }: Place,
    pfn: number,
    options: Pick<UnmapOptions, 'flushWalk' | 'freesFirst'>,
  ): Program {
    const first = pfn - (pfn % pagesUnder(level));
    yield* this.clear(addr, level, pfn);
    if (options.freesFirst === true) yield* this.pool.release(this.target(value));
    yield* options.flushWalk(first, pagesUnder(level));
    if (options.freesFirst !== true) yield* this.pool.release(this.target(value));
  }

  private *unmapPart(place: Place, pfn: number, level: number, options: UnmapOptions): Program<boolean> {
    if (options.partOfBlock === 'refused') return false;
    if (place.level !== 2 || level !== 1) throw new Error('only a block of 2 MiB is split here, into pages');
    const entry = yield* this.prepareSplit(place.value, [pfn % pagesUnder(place.level)]);
    // Over the block, which may be cached: no break before make.
    yield* this.storeEntry(place.addr, place.level, pfn, entry);
    yield* options.gather(pfn, 1);
    return true;
  }

  /** The table's content is visible before what leads to it (`dma_wmb` in `arm_lpae_install_table`). */
  override *prepareSplit(leaf: bigint, leftOut: readonly number[] = []): Program<bigint> {
    const entry = yield* super.prepareSplit(leaf, leftOut);
    yield* this.cpu.fence();
    return entry;
  }
}
