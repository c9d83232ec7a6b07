/**
 * What a conformance test can see of a VT-d unit, whoever has built it: registers, memory, what becomes of requests of devices. The model
 * has one (model.ts), a real QEMU another (qemu.ts); PINHOLE_CONFORMANCE_ON chooses.
 */
import type { DeviceTlbSink, PageGroupResponseSink, VtdOptions } from '../../../../src/iommu/vtd/index.ts';

export interface BenchOptions extends VtdOptions {
  /** Pages of memory; 256 if absent. */
  readonly frames?: number;
  /** DMA transactions in flight; without any, requests are translated at once. */
  readonly dmaSlots?: number;
  /** See VtdParts. */
  readonly interruptEntriesChanged?: (first: number, count: number) => void;
  readonly invalidateDeviceTlb?: DeviceTlbSink;
  readonly pageGroupResponse?: PageGroupResponseSink;
  /** With `dmaSlots`: translations that devices can have cached (ATS). */
  readonly atcEntries?: number;
  /** With `atcEntries`: page requests that can be under way. */
  readonly pageRequests?: number;
}

/** What became of a translation: the page, or why it was refused; {@link UNTOLD} where nothing was told. */
export type Answer = { readonly fault: number } | { readonly page: bigint };

/** What an interrupt request came to. */
export type Outcome = { readonly fault: number } | { readonly address: bigint; readonly data: number };

/** A request was refused, and no fault was reported that would say why. */
export const UNTOLD = -1;

export const READ = 1;
export const WRITE = 2;

/** A request of a device. */
export interface Asked {
  readonly sid: number;
  /** As the device sends it: 64 bits, of either sign. */
  readonly address: bigint;
  /** READ, WRITE, or a code of REQUEST. */
  readonly kind: number;
  /** −1: none. */
  readonly pasid?: number;
  /** Bits of a PASID prefix: 1 supervisor, 2 execution. */
  readonly prefix?: number;
}

/** Fields of CAP and ECAP that a test may need besides those that it asks for. */
export type Need = keyof NonNullable<VtdOptions['ecap']>;

export interface Driver {
  /** Whether some of what a unit has to do waits for {@link run}. */
  readonly stepped: boolean;
  /** Address of the last page of memory. */
  readonly lastPage: bigint;
  /** Interrupt messages of the unit: upper and lower address, data. */
  readonly messages: readonly (readonly [number, number, number])[];
  /** @param size of the access in bytes. @returns halves, as the model's registers give them */
  read(offset: number, size: number): { readonly lo: number; readonly hi: number };
  write(offset: number, size: number, lo: number, hi: number): void;
  /** @throws RangeError where there is no memory */
  poke(addr: bigint, value: bigint): void;
  peek(addr: bigint): bigint;
  /** Lets the unit go on until it rests, or for `limit` steps. @returns the number of steps */
  run(limit: number): number;
  request(asked: Asked): Answer;
  /** A message of a device to 0xFEEx_xxxx. */
  interrupt(sid: number, address: number, data: number): Outcome;
  /** What is recorded of a fault of table 30: the same, but for an implementation that has reasons of its own and says so in a profile. */
  reasonFor(reason: number, access: number): number;
  /** The test is one of a unit that has this; one that has not skips it. */
  needs(field: Need): void;
}
