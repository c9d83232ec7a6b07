/** What a conformance test can see of an SMMU's programming interface, whoever has built it. The model's is interface-model.ts, QEMU's interface-qemu.ts. */
import type { EventSource } from '../../../../src/iommu/smmuv3/event-record.ts';
import type { TlbScope } from '../../../../src/iommu/smmuv3/tlb-scope.ts';
import type { Wire } from './driver.ts';
import { MEMORY } from './driver.ts';

/** Where the stream table is that requests which fault come from: linear, of 2^{@link STREAMS_LOG2} streams. */
export const STREAMS = MEMORY + 0x4_0000n;
export const STREAMS_LOG2 = 4;

export interface InterfaceDriver {
  /** @param size of the access in bytes. What it sets off has happened at the end */
  read(offset: number, size: number): bigint;
  write(offset: number, size: number, value: bigint): void;
  peek(address: bigint): bigint;
  poke(address: bigint, value: bigint): void;
  /** Interrupts by wire, in order. */
  readonly pulses: readonly Wire[];
  /** Invalidations of translations that commands have led to, in order. */
  readonly scopes: readonly TlbScope[];
  /** How often caches or devices were asked to do something. */
  readonly asked: number;
  /** Whether a read of a stream passes while the SMMU is disabled. */
  passes(sid: number): boolean;
  /** A fault of a transaction. @returns see OUTCOME */
  fault(of: EventSource): number;
}
