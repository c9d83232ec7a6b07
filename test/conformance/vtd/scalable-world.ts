/** A unit in scalable mode with devices, in the memory of a case: for what takes steps. Positions of bits are written again on purpose. */
import type { VtdOptions } from '../../../src/iommu/vtd/index.ts';
import { SCALABLE_SLOT_WORDS, Vtd } from '../../../src/iommu/vtd/index.ts';
import type { MachineOptions, Requester } from '../../../src/machine/index.ts';
import { Machine, PHASE, SLOT } from '../../../src/machine/index.ts';

export const AT = {
  root: 0x1000n,
  context: 0x2000n,
  directory: 0x3000n,
  entries: 0x4000n,
  queue: 0x5000n,
  status: 0x6000n,
  pages: 0x7000n,
  second: [0x10000n, 0x11000n, 0x12000n, 0x13000n],
  first: [0x20000n, 0x21000n, 0x22000n, 0x23000n],
  page: 0x24000n,
} as const;
export const SID = 0x10;

export const PGTT = { first: 1, second: 2, nested: 3, pass: 4 } as const;

/** Words of the context entry of {@link SID}. */
export const CONTEXT = AT.context + BigInt(SID * 32);

export interface WorldOptions {
  readonly pgtt?: number;
  readonly machine?: MachineOptions;
  readonly unit?: VtdOptions;
  /** Bits of the context entry besides P, PASIDE and the directory. */
  readonly context?: bigint;
}

/** Words of a PASID-table entry with this bench's tables. */
export function entryWords(pgtt: number, did = 1, first: bigint = AT.first[0]): bigint[] {
  const low = AT.second[0] | 1n | (2n << 2n) | (BigInt(pgtt) << 6n);
  return [low, BigInt(did) | (1n << 23n), first, 0n, 0n, 0n, 0n, 0n];
}

/**
 * Requests without PASID and with PASIDs 0 to 3 have one PASID-table entry's contents. The first stage maps page 0 to {@link AT}.page; the
 * second stage maps guest pages 0x20 to 0x24 to themselves.
 */
export class World {
  readonly machine: Machine;
  readonly unit: Vtd;

  constructor({ pgtt = PGTT.first, machine: options = {}, unit = {}, context = 0n }: WorldOptions = {}) {
    const machine = new Machine({ dmaSlots: 1, translatorWords: SCALABLE_SLOT_WORDS, ...options });
    this.machine = machine;
    const tables = machine.owner('tables', 'table', 1);
    const kernel = machine.owner('kernel', 'other');
    const frame = (at: bigint, words: readonly number[], owner = tables) =>
      machine.frame(`frame ${at.toString(16)}`, at, owner, words);
    const guest = Array.from({ length: 5 }, (_, i) => 0x20 + i);
    frame(AT.root, [0, 1]);
    frame(AT.context, [64, 65, 66, 67, 68, 69, 70, 71]);
    frame(AT.directory, [0]);
    frame(
      AT.entries,
      Array.from({ length: 32 }, (_, i) => i),
    );
    frame(
      AT.queue,
      Array.from({ length: 64 }, (_, i) => i),
      kernel,
    );
    frame(AT.status, [0], kernel);
    frame(
      AT.pages,
      Array.from({ length: 512 }, (_, i) => i).filter((i) => i < 32 || i >= 508),
      kernel,
    );
    AT.second.forEach((at, i) => void frame(at, i === 3 ? guest : [0]));
    for (const at of AT.first) frame(at, [0]);
    frame(AT.page, [0], machine.owner('buffer', 'buffer', 1));
    machine.poke(AT.root, AT.context | 1n);
    this.attach(SID, context);
    machine.poke(AT.directory, AT.entries | 1n);
    for (let pasid = 0; pasid < 4; pasid++) this.setEntry(pasid, entryWords(pgtt));
    for (let i = 0; i < 3; i++) {
      machine.poke(AT.second[i] as bigint, (AT.second[i + 1] as bigint) | 3n);
      machine.poke(AT.first[i] as bigint, (AT.first[i + 1] as bigint) | 7n);
    }
    for (const page of guest) machine.poke(AT.second[3] + BigInt(page) * 8n, (BigInt(page) << 12n) | 3n);
    machine.poke(AT.first[3], AT.page | 7n);
    const { arena, dma, log, memory } = machine;
    const ecap = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, SMPWCS: 1, PASID: 1, PSS: 19, RPS: 1, PRS: 0, ...unit.ecap };
    this.unit = new Vtd(
      { arena, tables: memory.walkerView(), memory, dma, log, rules: machine.rules },
      { ...unit, ecap },
    );
    dma.translator = this.unit;
    machine.hardware.push(...this.unit.agents);
    this.write64(0x20, AT.root | (1n << 10n));
    this.unit.write(0x18, 4, 1 << 30, 0);
    this.unit.write(0x18, 4, 1 << 31, 0);
    this.write64(0x90, AT.queue | (1n << 11n));
    this.unit.write(0x18, 4, (1 << 31) | (1 << 26), 0);
    if (ecap.PRS === 1) this.write64(0xd0, AT.pages);
  }

  /** Writes the context entry of a function, SID or the one behind it. @param more bits besides P, PASIDE and the directory */
  attach(sid: number, more = 0n): void {
    const at = AT.context + BigInt(sid * 32);
    this.machine.poke(at, AT.directory | 9n | more);
    this.machine.configures(sid, at, 4);
  }

  write64(offset: number, value: bigint): void {
    this.unit.write(offset, 8, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  read32(offset: number): number {
    return this.unit.read(offset, 4).lo >>> 0;
  }

  peek(addr: bigint): bigint {
    const { memory } = this.machine;
    const at = memory.locate(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
    return (BigInt(memory.hi(at) >>> 0) << 32n) | BigInt(memory.lo(at) >>> 0);
  }

  /** @param words of a PASID-table entry */
  setEntry(pasid: number, words: readonly bigint[]): void {
    words.forEach((word, i) => void this.machine.poke(AT.entries + BigInt(pasid * 64 + 8 * i), word));
  }

  /** Declares a device. @returns its index */
  device(requester: Partial<Requester> = {}): number {
    return this.machine.dma.declare({ name: 'nic', sid: SID, did: 1, ...requester });
  }

  /** Puts 256-bit descriptors into the queue, and does not let it run. */
  queue(...descriptors: readonly (readonly bigint[])[]): void {
    let tail = this.read32(0x88);
    for (const words of descriptors) {
      for (let i = 0; i < 4; i++) this.machine.poke(AT.queue + BigInt(tail + 8 * i), words[i] ?? 0n);
      tail += 32;
    }
    this.unit.write(0x88, 4, tail, 0);
  }

  /** What hardware says that it can still take, all together. */
  left(): number {
    let sum = 0;
    for (const agent of [...this.machine.hardware, ...this.machine.dma.agents]) sum += agent.left?.() ?? -1000;
    return sum;
  }

  /** State of a transaction: `over` where its slot is free, or its status is waited for. */
  phase(slot: number): 'issued' | 'translating' | 'translated' | 'over' {
    const phase = this.machine.dma.get(slot, SLOT.phase);
    if (phase === PHASE.issued) return 'issued';
    if (phase === PHASE.translating) return 'translating';
    return phase === PHASE.translated ? 'translated' : 'over';
  }
}
