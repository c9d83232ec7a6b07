/** A domain of the kernel's VT-d driver: map and unmap, in the version asked for. */
import { hex } from '../../bits/index.ts';
import type { Machine, Pool, Program } from '../../machine/index.ts';
import { iommuMap, iommuUnmap } from '../kit/iommu-api.ts';
import { largestLeaf, pagesUnder } from '../kit/page-table.ts';
import type { SplitOrder } from '../kit/split.ts';
import { splitLargePage } from '../kit/split.ts';
import type { FlushQueue } from './flush-queue.ts';
import type { Invalidator } from './invalidation.ts';
import type { NewMapping } from './new-mapping.ts';
import type { PageTable } from './page-table.ts';
import type { DriverVersion } from './versions.ts';

export interface DomainOptions {
  readonly did: number;
  readonly version: DriverVersion;
  /** Which interface carries invalidations. */
  readonly via: 'queue' | 'register';
  /** Largest leaf level that the unit supports: 1 4 KiB, 2 2 MiB, 3 1 GiB. */
  readonly largestLeaf: number;
  /** CAP.MAMV: a larger mask makes the driver invalidate the whole domain. */
  readonly maxAddressMask: number;
  /** What is done for a new mapping; nothing, if absent: neither CAP.CM nor CAP.RWBF. */
  readonly newMapping?: NewMapping;
}

/** What a case may leave out or change of the driver, to show that a verdict depends on it. */
export interface Mutation {
  /** No invalidation when a superpage takes the place of a table. */
  readonly noSuperpageFlush?: boolean;
  /** No invalidation on unmap. */
  readonly noUnmapFlush?: boolean;
  /** No cache line of a page table is written back (matters where the walker does not snoop). */
  readonly noCacheFlush?: boolean;
  /** IH of every page-selective invalidation. */
  readonly hint?: boolean;
}

export class VtdDomain {
  private readonly machine: Machine;
  private readonly table: PageTable;
  private readonly pool: Pool;
  private readonly invalidator: Invalidator;
  private readonly options: DomainOptions;
  private readonly mutation: Mutation;

  constructor(
    machine: Machine,
    table: PageTable,
    pool: Pool,
    invalidator: Invalidator,
    options: DomainOptions,
    mutation: Mutation = {},
  ) {
    this.machine = machine;
    this.table = table;
    this.pool = pool;
    this.invalidator = invalidator;
    this.options = options;
    this.mutation = mutation;
  }

  /** `iommu_map`. @param iova and @param phys byte addresses. @param size bytes, a multiple of 4096 */
  *map(iova: bigint, phys: bigint, size: bigint): Program {
    const [first, frame, pages] = [iova >> 12n, phys >> 12n, size >> 12n].map(Number);
    const install = () => this.install(first, frame, pages);
    yield* iommuMap(this.machine, this.options.did, [first, frame, pages], install);
  }

  /** What {@link map} does, but for what it promises: for cases in which that depends on somebody else as well. Arguments in pages. */
  *install(first: number, frame: number, pages: number): Program {
    yield* this.domainMapping(first, frame, pages);
    const { newMapping } = this.options;
    if (newMapping !== undefined) yield* newMapping.sync(() => this.flush(first, pages, false));
  }

  /** `iommu_unmap`: takes the mapping out, invalidates, then frees tables. A superpage that is hit goes whole. */
  *unmap(iova: bigint, size: bigint): Program {
    const first = Number(iova >> 12n);
    let pages = Number(size >> 12n);
    const at = yield* this.table.find(first);
    if (this.table.isPresent(at.value)) pages = Math.max(pages, pagesUnder(at.level));
    yield* iommuUnmap(this.machine, this.options.did, first, pages, () => this.remove(first, pages));
  }

  private *remove(first: number, pages: number): Program {
    const freed = yield* this.table.unmap(first, first + pages - 1);
    if (this.mutation.noUnmapFlush !== true) yield* this.flush(first, pages, freed.length === 0);
    for (const table of freed) yield* this.pool.release(table);
  }

  /**
   * As {@link unmap} for pages of 4 KiB that leave no table empty, but for the flush: `queue` sees to that later, and to what the unmap
   * promises (`iommu_dma_unmap` with a flush queue).
   */
  *unmapLazily(iova: bigint, queue: FlushQueue): Program {
    const page = Number(iova >> 12n);
    const what = `iommu_unmap(${hex(iova)}, 0x1000)`;
    yield* this.machine.note(what, 'before', () => this.machine.grants.begin(this.options.did, page, 1));
    const freed = yield* this.table.unmap(page, page);
    if (freed.length > 0) throw new Error('the flush queue carries no tables here');
    yield* queue.queue(page);
  }

  /**
   * Splits the 2 MiB page of an address, and promises that DMA does not notice.
   * @param alsoFlush what else holds translations: the TLBs of CPUs that walk the same tables
   */
  *split(iova: bigint, order: SplitOrder, alsoFlush?: () => Program): Program {
    const page = Number(iova >> 12n);
    const [first, pages, flush] = [page - (page % 512), 512, this.flush.bind(this)];
    yield* splitLargePage(this.table, page, order, function* () {
      yield* flush(first, pages, false);
      if (alsoFlush !== undefined) yield* alsoFlush();
    });
    yield* this.machine.note('the split is done');
  }

  /** `intel_flush_iotlb_all`. */
  flushAll(): Program {
    return this.invalidator.flushDomain(this.options.did);
  }

  /** `__domain_mapping`: the largest leaves that alignment and size permit (`hardware_largepage_caps`). */
  private *domainMapping(first: number, firstFrame: number, count: number): Program {
    let [pfn, frame, pages] = [first, firstFrame, count];
    let run = -1;
    while (pages > 0) {
      const level = largestLeaf(this.options.largestLeaf, pfn, frame, pages);
      const size = pagesUnder(level);
      // Room is made once for a run of leaves in one table page.
      if (level > 1 && run !== level) yield* this.makeRoom(pfn, pages, level);
      run = level;
      yield* this.table.setLeaf(pfn, level, frame);
      pfn += size;
      frame += size;
      pages -= size;
      if (pfn % (size * 512) === 0) run = -1;
    }
  }

  /** Removes page tables where superpages of a level will be stored, as the version does. */
  private *makeRoom(pfn: number, pages: number, level: number): Program {
    const { version } = this.options;
    const size = pagesUnder(level);
    const toTableEnd = (512 - (Math.floor(pfn / size) % 512)) * size;
    const whole = Math.floor(pages / size) * size;
    const end =
      pfn + (version.makesRoom === 'under-superpages' ? Math.min(whole, toTableEnd) : Math.min(pages, toTableEnd)) - 1;
    if (version.freesTables === 'unflushed') {
      yield* this.freePageTable(pfn, end, level, 'at once');
      return;
    }
    // switch_to_super_page(), slot by slot.
    for (let slot = pfn; slot <= end; slot += size) {
      const { value, level: reached } = yield* this.table.find(slot, level);
      if (reached !== level || !this.table.isPresent(value)) continue;
      const when = version.freesTables === 'before-flush' ? 'at once' : 'later';
      const gathered = yield* this.freePageTable(slot, slot + size - 1, level, when);
      if (this.mutation.noSuperpageFlush !== true) yield* this.flush(slot, size, false);
      for (const table of gathered) yield* this.pool.release(table);
    }
  }

  /** `dma_pte_free_pagetable`. @returns tables that are to be freed later */
  private *freePageTable(first: number, last: number, level: number, when: 'at once' | 'later'): Program<bigint[]> {
    yield* this.table.clearRange(first, last);
    return yield* this.table.freeTables(first, last, level + 1, when);
  }

  /** `iommu_flush_iotlb_psi` / `cache_tag_flush_range`. @param leafOnly no table was freed */
  *flush(first: number, pages: number, leafOnly: boolean): Program {
    const { did, version, via, maxAddressMask } = this.options;
    let am = maskFor(version, first, pages);
    let hint = leafOnly && version.hint[via] === 'sent';
    if (leafOnly && version.hint[via] === 'in-address-mask') am |= 1;
    if (this.mutation.hint !== undefined) hint = this.mutation.hint;
    if (am > maxAddressMask) {
      yield* this.invalidator.flushDomain(did);
      return;
    }
    const aligned = version.addressMask === 'shared-bits' ? first - (first % 2 ** am) : first;
    yield* this.invalidator.flushPages({ did, pfn: aligned, am, hint });
  }
}

/** The address mask that a version computes for a range. */
export function maskFor(version: DriverVersion, first: number, pages: number): number {
  let mask = Math.ceil(Math.log2(pages));
  if (version.addressMask === 'rounded-up') return mask;
  // An unaligned range: up to the first bit that its first and last page have in common.
  const last = first + pages - 1;
  while (Math.floor(first / 2 ** mask) !== Math.floor(last / 2 ** mask)) mask++;
  return mask;
}
