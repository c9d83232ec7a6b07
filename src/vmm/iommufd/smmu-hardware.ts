/** A physical SMMUv3 as the kernel's driver uses it; the model, or a record of what is done, stands behind it. */
import type { Errno } from './errno.ts';
import type { DirtyTracking, Rights } from './hardware.ts';
import type { CommandSink } from './invalidate.ts';
import type { GuestSte, Stage2Root } from './nested-ste.ts';
import type { CommandFeatures } from './supported-bits.ts';

/** What was unmapped, of leaves of one size. */
export interface Unmapped {
  readonly iova: bigint;
  readonly length: bigint;
  /** Bytes of each leaf. */
  readonly leaf: bigint;
}

/** A page table in memory that is the kernel's. It is not invalidated here: that is the domain's. */
export interface HostTable {
  readonly root: Stage2Root;
  readonly pageSizes: bigint;
  /** Bits of its input addresses. */
  readonly bits: number;
  readonly dirty: DirtyTracking | null;
  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null;
  unmap(iova: bigint, length: bigint): readonly Unmapped[];
  free(): void;
}

/** What the STE of a stream shall do. */
export type Stream =
  | { readonly kind: 'abort' }
  | { readonly kind: 'stage 1'; readonly table: HostTable; readonly asid: number; readonly stalls: boolean }
  | { readonly kind: 'stage 2'; readonly table: HostTable; readonly vmid: number }
  | { readonly kind: 'nested'; readonly table: HostTable; readonly vmid: number; readonly guest: GuestSte };

/** Command queues that guests have for themselves; see src/iommu/cmdqv. */
export interface CmdqvHardware {
  readonly queuesPerInterface: number;
  readonly streamsPerInterface: number;
  /** Most entries of a queue, as log2 (IDR1.CMDQS). */
  readonly mostEntriesLog2: number;
  /**
   * Takes an interface for a guest: every command of it has this VMID.
   * @param told which of its queues have an error, as halves of two 64-bit words @returns −1 where none is left
   */
  open(vmid: number, told: (errors: Int32Array) => void): number;
  close(vintf: number): void;
  /** Where user space maps the page of the interface that a guest uses. */
  mmapOffset(vintf: number): bigint;
  /** The guest's StreamID becomes the host's; `vsid` −1 clears the slot. */
  setStream(vintf: number, slot: number, vsid: number, sid: number): void;
  /** Gives a queue its memory; 0 entries take it away. */
  setQueue(vintf: number, queue: number, address: bigint, entriesLog2: number): void;
  clearQueue(vintf: number, queue: number): void;
}

export interface SmmuHardware {
  readonly name: string;
  readonly features: CommandFeatures;
  /** IDR0.S1P, S2P. */
  readonly stages: { readonly s1: boolean; readonly s2: boolean };
  /** Guests cannot make DMA non-coherent: S2FWB, or devices that never are. */
  readonly forcesCoherency: boolean;
  /** IDR0.VMID16. */
  readonly vmidBits: number;
  /** IDR0 to IDR5, IIDR and AIDR. */
  readonly registers: readonly number[];
  readonly queue: CommandSink;
  readonly cmdqv: CmdqvHardware | null;
  /** A new table that is empty. @param isParent a guest's tables will be behind it. @param tracksDirty with HTTU; of stage 1 only */
  table(stage: 1 | 2, isParent: boolean, tracksDirty: boolean): HostTable;
  /** Rewrites the STE so that no transaction sees a mixture, and invalidates what is cached of it. */
  install(sid: number, stream: Stream): void;
}
