/** A device is put into a domain in legacy mode (`dmar_domain_attach_device`, `domain_context_mapping_one`). */
import { encode, hex } from '../../bits/index.ts';
import { CONTEXT_ENTRY } from '../../iommu/vtd/structures.ts';
import type { Cpu, Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import type { InvalidationQueue } from './invalidation.ts';
import type { SyncState } from './new-mapping.ts';
import type { WriteBuffers } from './write-buffer.ts';

export interface AttachOptions {
  readonly sid: number;
  readonly did: number;
  /** Byte address of the context entry, and of the top page table, which has 4 levels. */
  readonly contextEntry: bigint;
  readonly root: bigint;
  readonly cachingMode: boolean;
  /** Some unit of the domain must be told of new mappings: CAP.CM or CAP.RWBF (`domain_need_iotlb_sync_map`). */
  readonly needsSync: boolean;
  /**
   * Where {@link SyncState.flag} is set: at the end of the attach (12724ce3fe1a), or before anybody could see the domain
   * (cee686775f9c), where an attach that needs it finds it set.
   */
  readonly flagSet: 'by-attach' | 'at-allocation';
  /** When the unit comes on the domain's list: v6.10 and v6.11 before the context entry is there, later versions after it. */
  readonly tagged: 'before-context' | 'after-context';
  /** Nothing is flushed behind the new context entry: a mutant. */
  readonly left?: boolean;
}

export class LegacyAttach {
  private readonly cpu: Cpu;
  private readonly queue: InvalidationQueue;
  private readonly buffers: WriteBuffers;
  private readonly state: SyncState;
  private readonly options: AttachOptions;

  constructor(cpu: Cpu, queue: InvalidationQueue, buffers: WriteBuffers, state: SyncState, options: AttachOptions) {
    this.cpu = cpu;
    this.queue = queue;
    this.buffers = buffers;
    this.state = state;
    this.options = options;
  }

  *attach(): Program {
    const { needsSync, flagSet, tagged } = this.options;
    if (tagged === 'before-context') yield* this.state.tagged.set(1);
    yield* this.contextMapping();
    if (tagged === 'after-context') yield* this.state.tagged.set(1);
    if (flagSet === 'by-attach' && needsSync) yield* this.state.flag.set(1);
  }

  /** The upper word first, as P is in the lower one; then whatever may hide the entry is flushed (`context_present_cache_flush`). */
  private *contextMapping(): Program {
    const { sid, did, contextEntry, root, cachingMode, left = false } = this.options;
    const [lo, hi] = encode(CONTEXT_ENTRY, { P: 1, FPD: 0, SSPTPTR: root, AW: 2, DID: did });
    yield* this.cpu.write64(contextEntry + 8n, hi, `context entry of ${bdf(sid)}, upper word = ${hex(hi)}`);
    yield* this.cpu.write64(contextEntry, lo, `context entry of ${bdf(sid)}, lower word = ${hex(lo)}: present`);
    if (left) return;
    if (!cachingMode) return yield* this.buffers.flush(this.cpu);
    yield* this.queue.flushContext(0, sid);
    yield* this.queue.flushDomain(did);
  }
}
