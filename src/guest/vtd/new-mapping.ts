/** What has to be done for a mapping that was not there before (`iotlb_sync_map`; `__mapping_notify_one` before v6.10). */
import type { Cpu, Machine, Program, SoftwareWord } from '../../machine/index.ts';
import type { WriteBuffers } from './write-buffer.ts';

/** The words of a domain's state that `iotlb_sync_map` goes by, as they are shared by all CPUs. */
export interface SyncState {
  /** `dmar_domain.iotlb_sync_map`: some unit of the domain must be told of new mappings. */
  readonly flag: SoftwareWord;
  /** The unit is on the domain's list of caches (`cache_tag_assign_domain`). */
  readonly tagged: SoftwareWord;
}

export interface NewMappingOptions {
  /** CAP.CM: the unit may have cached that there was nothing. */
  readonly cachingMode: boolean;
  readonly buffers: WriteBuffers;
  /** Absent in versions without them (before v6.10): the domain always knows its unit. */
  readonly state?: SyncState;
  /** Neither of both is done: a mutant. */
  readonly left?: boolean;
}

export class NewMapping {
  private readonly machine: Machine;
  private readonly cpu: Cpu;
  private readonly options: NewMappingOptions;

  /** @param cpu on which the caller maps */
  constructor(machine: Machine, cpu: Cpu, options: NewMappingOptions) {
    this.machine = machine;
    this.cpu = cpu;
    this.options = options;
  }

  /** @param invalidate page-selective invalidation of what was mapped, IH = 0. It flushes the write buffers too (VT-d 6.8) */
  *sync(invalidate: () => Program): Program {
    const { state, cachingMode, buffers, left = false } = this.options;
    if (state !== undefined) {
      if ((yield* state.flag.get([0, 1])) === 0)
        return yield* this.machine.note('iotlb_sync_map is 0: nothing to flush');
      yield* this.machine.note('iotlb_sync_map is 1');
      // cache_tag_flush_range_np(): for each unit on the list.
      if ((yield* state.tagged.get([0, 1])) === 0)
        return yield* this.machine.note('no unit is on the list of the domain: nothing to flush');
    }
    if (left) return;
    if (cachingMode) yield* invalidate();
    else yield* buffers.flush(this.cpu);
  }
}
