/**
 * What a conformance test can see of an SMMU, whoever has built it: registers, memory, what becomes of transactions of devices. The model has one
 * (model.ts), a real QEMU another (qemu.ts); PINHOLE_CONFORMANCE_ON chooses.
 */
import type { SmmuUnitOptions } from '../../../../src/iommu/smmuv3/index.ts';
import { ON_QEMU } from '../../drivers/needs-model.ts';

/**
 * Where the memory of tests begins, aligned to more than there is of it: QEMU’s `virt` has memory from 1 GiB on, with its device tree in the first MiB.
 * At 0 it has flash memory, which reads as zero, and where reads of devices may go.
 */
export const MEMORY = ON_QEMU ? 0x4200_0000n : 0n;

export interface BenchOptions extends SmmuUnitOptions {
  /** Pages of memory; 1024 if absent. */
  readonly frames?: number;
  /** DMA transactions in flight; without any, requests are translated at once. */
  readonly dmaSlots?: number;
}

/** A transaction of a device. */
export interface Asked {
  readonly sid: number;
  /** −1 or absent: none. */
  readonly ssid?: number;
  /** As the device sends it: 64 bits. */
  readonly address: bigint;
  /** A code of REQUEST. */
  readonly kind: number;
}

/** Where it went, or the number of the event that it led to; 0: it was refused without one. */
export type Answer = { readonly address: bigint } | { readonly event: number };

export interface Driver {
  /** @param size of the access in bytes */
  read(offset: number, size: number): bigint;
  write(offset: number, size: number, value: bigint): void;
  /** @throws RangeError where there is no memory */
  poke(address: bigint, value: bigint): void;
  peek(address: bigint): bigint;
  /** Lets the SMMU go on until it rests. */
  run(): void;
  request(asked: Asked): Answer;
}

/** An interrupt as the SMMU has it. */
export type Wire = 'eventq' | 'priq' | 'cmd-sync' | 'gerror';
