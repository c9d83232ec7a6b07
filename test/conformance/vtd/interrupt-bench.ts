/** Helpers of the tests of interrupt remapping: a unit with a remapping table, requests and entries written by hand. */
import { messageAddress, messageData, SLOT, sendMessage } from '../../../src/machine/index.ts';
import type { Outcome } from './drivers/driver.ts';
import type { BenchOptions, Descriptor } from './unit.ts';
import { Bench, Flight } from './unit.ts';

/** Where the interrupt remapping table is: 64 KiB of memory from here on. */
export const IRT = 0x40000n;
export const IRTA = 0xb8;

export const IRE = 1 << 25;
export const SIRTP = 1 << 24;
export const CFI = 1 << 23;
export const EIME = 1n << 11n;

export type { Outcome } from './drivers/driver.ts';

export interface InterruptBenchOptions extends BenchOptions {
  /** The table has 2^(size + 1) entries; 7 (256) if absent. */
  readonly size?: number;
  readonly extended?: boolean;
}

/** Fields of an entry (9.9); what is not named is 0, but P. */
export interface Entry {
  readonly p?: number;
  readonly fpd?: number;
  readonly dm?: number;
  readonly rh?: number;
  readonly tm?: number;
  readonly dlm?: number;
  readonly avail?: number;
  readonly im?: number;
  readonly vector?: number;
  readonly dst?: number;
  readonly sid?: number;
  readonly sq?: number;
  readonly svt?: number;
}

/** An entry's two words. */
export function entry(of: Entry = {}): [bigint, bigint] {
  const { p = 1, fpd = 0, dm = 0, rh = 0, tm = 0, dlm = 0, avail = 0, im = 0, vector = 0, dst = 0 } = of;
  const { sid = 0, sq = 0, svt = 0 } = of;
  const low =
    p | (fpd << 1) | (dm << 2) | (rh << 3) | (tm << 4) | (dlm << 5) | (avail << 8) | (im << 15) | (vector << 16);
  return [BigInt(low) | (BigInt(dst) << 32n), BigInt(sid) | (BigInt(sq) << 16n) | (BigInt(svt) << 18n)];
}

/** Address of a request in remappable format. @param handle 16 bits */
export function remappable(handle: number, shv = 0): number {
  return (0xfee00010 | ((handle & 0x7fff) << 5) | (shv << 3) | ((handle >>> 15) << 2)) >>> 0;
}

export function iecInv(g: number, index = 0, mask = 0): Descriptor {
  return [4n | (BigInt(g) << 4n) | (BigInt(mask) << 27n) | (BigInt(index) << 32n), 0n];
}

/** A unit with ECAP.IR and EIM, and CAP.NFR + 1 = 2 fault records, unless it is asked for others. */
export class InterruptBench extends Bench {
  readonly size: number;
  readonly extended: boolean;
  /** Interrupts that arrived, in order, of a unit in steps. */
  readonly arrived: { readonly sid: number; readonly address: bigint; readonly data: number }[] = [];

  constructor(options: InterruptBenchOptions = {}) {
    const { size = 7, extended = false, ...unit } = options;
    super(
      { ...unit, cap: { NFR: 1, ...unit.cap }, ecap: { IR: 1, EIM: 1, MHMV: 15, ...unit.ecap } },
      { ...unit, ecap: { IR: 1, EIM: 1, ...unit.ecap } },
    );
    this.size = size;
    this.extended = extended;
    if (unit.dmaSlots === undefined) return;
    const { dma } = this.machine as NonNullable<typeof this.machine>;
    dma.messages = {
      deliver: (slot) => {
        const lo = 0xfee00000 | (dma.get(slot, SLOT.pfnLo) << 12) | (dma.get(slot, SLOT.word) << 2);
        const address = (BigInt(dma.get(slot, SLOT.pfnHi) >>> 0) << 32n) | BigInt(lo >>> 0);
        const { sid } = dma.requesters[dma.get(slot, SLOT.device)] as { sid: number };
        this.arrived.push({ sid, address, data: messageData(dma, slot) });
      },
    };
  }

  /** Index of the device with a source id, which is made where there is none. */
  device(sid: number): number {
    const dma = (this.machine as NonNullable<typeof this.machine>).dma;
    const known = dma.requesters.findIndex((one) => one.sid === sid);
    return known >= 0 ? known : dma.declare({ name: `device ${sid}`, sid, did: 0 });
  }

  /** An interrupt request in flight. */
  send(sid: number, address: number, data = 0): Flight {
    const dma = (this.machine as NonNullable<typeof this.machine>).dma;
    const slot = sendMessage(dma, this.device(sid), address, data, false);
    if (!dma.immediate && messageAddress(dma, slot) !== address) throw new Error('the slot has another address');
    return new Flight(this, slot);
  }

  /** Table pointer set and remapping on. @param besides CFI, or what else GCMD is to hold */
  remap(besides = 0): this {
    this.setTable();
    const state = this.read32(0x1c) & ~((1 << 30) | SIRTP);
    this.write32(0x18, state | besides);
    this.write32(0x18, state | besides | IRE);
    return this;
  }

  setTable(at = IRT): void {
    this.write64(IRTA, at | BigInt(this.size) | (this.extended ? EIME : 0n));
    this.write32(0x18, (this.read32(0x1c) & ~(1 << 30)) | SIRTP);
  }

  setEntry(index: number, [lo, hi]: readonly [bigint, bigint], table = IRT): void {
    this.poke(table + BigInt(index) * 16n, lo);
    this.poke(table + BigInt(index) * 16n + 8n, hi);
  }

  interrupt(sid: number, address: number, data = 0): Outcome {
    return this.driver.interrupt(sid, address, data);
  }

  /** Fault record `n`: reason, source id, FI; null where F is clear. */
  record(n = 0): { reason: number; sid: number; fi: bigint; type: number } | null {
    const at = 0x220 + 16 * n;
    const top = this.read32(at + 12);
    if (top >>> 31 === 0) return null;
    const type = ((top >>> 30) & 1) * 2 + ((this.read32(at + 8) >>> 28) & 1);
    return { reason: top & 0xff, sid: this.read32(at + 8) & 0xffff, fi: this.read64(at), type };
  }
}
