/** A domain of the kernel's SMMUv3 driver: map and unmap. */
import type { Machine, Program } from '../../machine/index.ts';
import { iommuMap, iommuUnmap } from '../kit/iommu-api.ts';
import { largestLeaf, pagesUnder } from '../kit/page-table.ts';
import type { SplitOrder } from '../kit/split.ts';
import { splitLargePage } from '../kit/split.ts';
import type { PageRange, SmmuInvalidation } from './invalidation.ts';
import type { ArmPageTable } from './page-table.ts';
import type { SmmuDriverVersion } from './versions.ts';

export interface SmmuDomainOptions {
  /** By which the machine knows it. */
  readonly did: number;
  readonly version: SmmuDriverVersion;
  /** Largest leaf: 1 4 KiB, 2 2 MiB, 3 1 GiB. */
  readonly largestLeaf: number;
  /** Mutants: an unmap invalidates nothing; a table is freed before what leads to it is invalidated. */
  readonly noUnmapFlush?: boolean;
  readonly freesFirst?: boolean;
}

/** Pages gathered for one invalidation (`struct iommu_iotlb_gather`): neighbours of one size. */
class Gathered {
  private range: PageRange | null = null;
  private readonly flush: (range: PageRange) => Program;

  constructor(flush: (range: PageRange) => Program) {
    this.flush = flush;
  }

  *add(first: number, level: number): Program {
    const { range } = this;
    const pages = pagesUnder(level);
    if (range !== null && range.level === level && range.first + range.pages === first) {
      this.range = { ...range, pages: range.pages + pages };
      return;
    }
    yield* this.sync();
    this.range = { first, pages, level, leafOnly: true };
  }

  /** `iommu_iotlb_sync`: nothing where nothing was gathered. */
  *sync(): Program {
    const { range } = this;
    this.range = null;
    if (range !== null) yield* this.flush(range);
  }
}

export class SmmuDomain {
  private readonly machine: Machine;
  private readonly table: ArmPageTable;
  private readonly invalidation: SmmuInvalidation;
  private readonly options: SmmuDomainOptions;

  constructor(machine: Machine, table: ArmPageTable, invalidation: SmmuInvalidation, options: SmmuDomainOptions) {
    this.machine = machine;
    this.table = table;
    this.invalidation = invalidation;
    this.options = options;
  }

  /** `iommu_map`. @param iova and @param phys byte addresses. @param size bytes, a multiple of 4096 */
  *map(iova: bigint, phys: bigint, size: bigint): Program {
    const [first, frame, pages] = [iova >> 12n, phys >> 12n, size >> 12n].map(Number);
    yield* iommuMap(this.machine, this.options.did, [first, frame, pages], () => this.install(first, frame, pages));
  }

  /** What {@link map} does, but for what it promises. Arguments in pages. */
  *install(first: number, frame: number, pages: number): Program {
    for (let done = 0; done < pages; ) {
      const level = this.levelFor(first + done, frame + done, pages - done);
      yield* this.table.mapLeaf(first + done, level, frame + done, this.flushWalk);
      done += pagesUnder(level);
    }
    yield* this.table.publish();
  }

  /**
   * `iommu_unmap`: takes pages out, the largest sizes first that fit; what was gathered is invalidated at the end.
   * @throws Error where part of a block is refused: nothing may rely on it then
   */
  *unmap(iova: bigint, size: bigint): Program {
    const [first, pages] = [iova >> 12n, size >> 12n].map(Number);
    yield* iommuUnmap(this.machine, this.options.did, first, pages, () => this.remove(first, pages));
  }

  private *remove(first: number, pages: number): Program {
    const { freesFirst = false, noUnmapFlush = false, version } = this.options;
    const gathered = new Gathered((range) => this.invalidation.flushRange(range));
    const { flushWalk } = this;
    for (let done = 0; done < pages; ) {
      const level = this.levelFor(first + done, first + done, pages - done);
      const gather = () => gathered.add(first + done, level);
      const { partOfBlock } = version;
      if (!(yield* this.table.unmapOne(first + done, level, { gather, flushWalk, freesFirst, partOfBlock })))
        throw new Error('part of a block cannot be unmapped: this version refuses it');
      done += pagesUnder(level);
    }
    if (!noUnmapFlush) yield* gathered.sync();
  }

  /** Splits the 2 MiB block of an address, and promises that DMA does not notice. */
  *split(iova: bigint, order: SplitOrder): Program {
    const page = Number(iova >> 12n);
    const first = page - (page % pagesUnder(2));
    const range = { first, pages: pagesUnder(2), level: 1, leafOnly: false };
    yield* splitLargePage(this.table, page, order, () => this.invalidation.flushRange(range));
    yield* this.machine.note('the split is done');
  }

  /** A table was taken out: what leads to it goes as well, and it is waited for (`arm_smmu_tlb_inv_walk`). */
  private readonly flushWalk = (first: number, pages: number): Program =>
    this.options.noUnmapFlush === true
      ? nothing()
      : this.invalidation.flushRange({ first, pages, level: 1, leafOnly: false });

  /** `iommu_pgsize`. */
  private levelFor(page: number, frame: number, pages: number): number {
    return largestLeaf(this.options.largestLeaf, page, frame, pages);
  }
}

function* nothing(): Program {}
