/**
 * Dirty tracking by the flags of the second stage (SSADE): `intel_iommu_set_dirty_tracking`, `intel_iommu_read_and_clear_dirty`, and the
 * split of a large page as seed 003 plans it for that: prepare the table, switch the entry, flush.
 */
import { encode64, hex } from '../../bits/index.ts';
import { SS_FLAGS } from '../../iommu/vtd/scalable-structures.ts';
import type { Cpu, Machine, Program } from '../../machine/index.ts';
import { pagesUnder } from '../kit/page-table.ts';
import type { VtdDomain } from './domain.ts';
import type { PageTable } from './page-table.ts';

const D = encode64(SS_FLAGS, { D: 1 });

export interface DirtyTrackingOptions {
  /** Mutants: a flush that is left out; the new entry is stored over the old one, whatever flags that has got meanwhile. */
  readonly leaves?: 'split-flush' | 'report-flush' | 'all-flushes';
  readonly stores?: boolean;
}

export class DirtyTracking {
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly table: PageTable;
  private readonly domain: VtdDomain;
  private readonly options: DirtyTrackingOptions;

  constructor(machine: Machine, cpu: Cpu, table: PageTable, domain: VtdDomain, options: DirtyTrackingOptions = {}) {
    this.machine = machine;
    this.cpu = cpu;
    this.table = table;
    this.domain = domain;
    this.options = options;
  }

  /**
   * Splits the large page of an input page while DMA goes on.
   * @returns whether any of it was dirty until then: who tracks has to report all of it, as nobody knows which page was
   */
  *split(pfn: number): Program<boolean> {
    const { cpu, domain, options, table } = this;
    const { addr, level } = yield* table.find(pfn);
    if (level === 1) throw new Error(`page ${hex(pfn)} is a small one; there is nothing to split`);
    // Hardware sets flags in it, so that this load is a step of its own.
    const leaf = yield* cpu.read64(addr);
    yield* this.machine.note(`reads the entry of the large page: ${hex(leaf)}`);
    const entry = yield* table.prepareSplit(leaf & ~D);
    let old = leaf;
    if (options.stores === true) yield* table.storeEntry(addr, level, pfn, entry);
    else old = yield* table.exchangeEntry(addr, level, pfn, entry);
    const first = pfn - (pfn % pagesUnder(level));
    if (options.leaves === undefined || options.leaves === 'report-flush')
      yield* domain.flush(first, pagesUnder(level), false);
    return (old & D) !== 0n;
  }

  /**
   * Reads and clears what was written in a range of pages, and flushes, as translations that are cached as dirty set no flag.
   * @param dirty whether all of the range is known to be dirty
   * @returns by leaf that was dirty: first page and level
   */
  *readAndClear(first: number, pages: number, dirty = false): Program<{ pfn: number; level: number }[]> {
    const found = yield* this.table.clearInLeaves(first, first + pages - 1, D);
    const what = found.map(({ pfn, level }) => `${pagesUnder(level)} from ${hex(pfn * 4096)}`).join(', ');
    yield* this.machine.note(`dirty: ${dirty ? 'all, as the large page was' : what === '' ? 'nothing' : what}`);
    const { leaves } = this.options;
    const flushes = leaves === undefined || leaves === 'split-flush';
    if (dirty && flushes) yield* this.domain.flush(first, pages, true);
    else if (flushes && found.length > 0) {
      const last = found[found.length - 1];
      const count = last.pfn + pagesUnder(last.level) - found[0].pfn;
      yield* this.domain.flush(found[0].pfn, count, true);
    }
    return found;
  }
}
