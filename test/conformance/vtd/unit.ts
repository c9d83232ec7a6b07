/** Helpers of the VT-d conformance tests: a unit over plain memory, tables and descriptors written by hand. */
import type { Vtd } from '../../../src/iommu/vtd/index.ts';
import type { Arena, Machine, RamMemory } from '../../../src/machine/index.ts';
import { PHASE, SLOT } from '../../../src/machine/index.ts';
import { needsModel, ON_QEMU } from '../drivers/needs-model.ts';
import type { Answer, BenchOptions, Driver } from './drivers/driver.ts';
import { READ } from './drivers/driver.ts';
import { ModelDriver } from './drivers/model.ts';
import { QemuDriver } from './drivers/qemu.ts';

export { modelOnly, ON_QEMU } from '../drivers/needs-model.ts';
export type { Answer, BenchOptions } from './drivers/driver.ts';
export { READ, UNTOLD, WRITE } from './drivers/driver.ts';
export { Random } from './random.ts';

/** Register offsets (VT-d 11.4), written again on purpose. */
export const REG = {
  VER: 0x00,
  CAP: 0x08,
  ECAP: 0x10,
  GCMD: 0x18,
  GSTS: 0x1c,
  RTADDR: 0x20,
  CCMD: 0x28,
  FSTS: 0x34,
  FECTL: 0x38,
  FEDATA: 0x3c,
  FEADDR: 0x40,
  FEUADDR: 0x44,
  PMEN: 0x64,
  PLMBASE: 0x68,
  PLMLIMIT: 0x6c,
  PHMBASE: 0x70,
  PHMLIMIT: 0x78,
  IQH: 0x80,
  IQT: 0x88,
  IQA: 0x90,
  ICS: 0x9c,
  IECTL: 0xa0,
  IEDATA: 0xa4,
  IEADDR: 0xa8,
  IEUADDR: 0xac,
  IQERCD: 0xb0,
  IVA: 0xf0,
  IOTLB: 0xf8,
  FRCD: 0x220,
} as const;

export const TE = 1 << 31;
export const SRTP = 1 << 30;
export const QIE = 1 << 26;

export const FSTS = { PFO: 1, PPF: 2, IQE: 0x10, ICE: 0x20, ITE: 0x40 } as const;

/** Where the tables and queues of a bench are. */
export const ROOT = 0x1000n;
export const CONTEXT = 0x2000n;
export const QUEUE = 0x10000n;
export const STATUS = 0x20000n;
const FIRST_TABLE = 0x30000n;

const MASK64 = (1n << 64n) - 1n;

/** A second-stage page table: its top table, its levels. */
export interface Tree {
  readonly top: bigint;
  readonly levels: number;
}

/** A unit over plain memory. */
export class Bench {
  readonly driver: Driver;
  private nextTable = FIRST_TABLE;

  /** @param asked of `options` what the test asks for: all of it, if absent. The rest is what a bench has by itself */
  constructor(options: BenchOptions = {}, asked: BenchOptions = options) {
    this.driver = ON_QEMU ? new QemuDriver(asked) : new ModelDriver(options);
  }

  // ---- what only the model shows --------------------------------------------------------------------------------

  private model(what: string): ModelDriver {
    return this.driver instanceof ModelDriver ? this.driver : needsModel('inside', what);
  }

  get unit(): Vtd {
    return this.model('the unit itself').unit;
  }

  get ram(): RamMemory {
    return this.model('memory as an array').ram;
  }

  get arena(): Arena {
    return this.model('the unit’s state').arena;
  }

  get machine(): Machine | null {
    return this.model('requests in steps').machine;
  }

  /** How often the unit had the write buffers flushed. */
  get flushes(): number {
    return this.model('flushes of write buffers').flushes;
  }

  /** Address of the last page of memory. */
  get lastPage(): bigint {
    return this.driver.lastPage;
  }

  // ---- memory ---------------------------------------------------------------------------------------------------

  poke(addr: bigint, value: bigint): void {
    this.driver.poke(addr, value);
  }

  peek(addr: bigint): bigint {
    return this.driver.peek(addr);
  }

  // ---- registers ------------------------------------------------------------------------------------------------

  read32(offset: number): number {
    return this.driver.read(offset, 4).lo >>> 0;
  }

  read64(offset: number): bigint {
    const { lo, hi } = this.driver.read(offset, 8);
    return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  }

  write32(offset: number, value: number): void {
    this.driver.write(offset, 4, value | 0, 0);
  }

  write64(offset: number, value: bigint): void {
    this.driver.write(offset, 8, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }

  /** Interrupt messages of the unit: upper and lower address, data. */
  get messages(): readonly (readonly [number, number, number])[] {
    return this.driver.messages;
  }

  /** Calls when a message is sent, instead of keeping it. */
  watchMessages(seen: () => number): void {
    this.model('when a message is sent').messages.push = seen;
  }

  /** @returns how many there were */
  forgetMessages(): number {
    return this.model('messages one by one').messages.splice(0).length;
  }

  /** Whether what is told to the unit waits for {@link run}. QEMU does it at once. */
  get stepped(): boolean {
    return this.driver.stepped;
  }

  /**
   * Lets the unit step until it is at rest, or for `limit` steps.
   * @returns the number of steps
   */
  run(limit = 40_000): number {
    return this.driver.run(limit);
  }

  /** Whether nothing was left to do. Of a unit that does all at once this says nothing. */
  rests(): boolean {
    return !this.stepped || this.run() === 0;
  }

  /** Root pointer and translation on. */
  start(): this {
    this.write64(REG.RTADDR, ROOT);
    this.write32(REG.GCMD, SRTP);
    this.write32(REG.GCMD, TE);
    return this;
  }

  /** Queued invalidation on, with an empty queue of 2^qs pages. */
  startQueue(qs = 0): this {
    this.write64(REG.IQT, 0n);
    this.write64(REG.IQA, QUEUE | BigInt(qs));
    this.write32(REG.GCMD, (this.read32(REG.GSTS) & TE) | QIE);
    return this;
  }

  // ---- queue ----------------------------------------------------------------------------------------------------

  /** Writes descriptors behind the tail, moves the tail, and runs the unit. @returns its steps */
  submit(...descriptors: readonly (readonly [bigint, bigint])[]): number {
    const size = 4096 << (Number(this.read64(REG.IQA)) & 7);
    let tail = this.read32(REG.IQT);
    for (const [lo, hi] of descriptors) {
      this.poke(QUEUE + BigInt(tail), lo);
      this.poke(QUEUE + BigInt(tail) + 8n, hi);
      tail = (tail + 16) % size;
    }
    this.write32(REG.IQT, tail);
    return this.run();
  }

  /** Forgets everything that is cached, by registers. */
  flush(): void {
    this.write64(REG.CCMD, (1n << 63n) | (1n << 61n));
    this.run();
    this.write64(REG.IOTLB, (1n << 63n) | (1n << 60n));
    this.run();
  }

  // ---- tables ---------------------------------------------------------------------------------------------------

  newTable(): bigint {
    const at = this.nextTable;
    this.nextTable += 0x1000n;
    return at;
  }

  /** Points bus `bus` of the root table at a context table. */
  setRoot(bus: number, lo: bigint, hi = 0n): void {
    this.poke(ROOT + BigInt(bus * 16), lo);
    this.poke(ROOT + BigInt(bus * 16) + 8n, hi);
  }

  /** Writes the context entry of a function of bus 0, whose table is at {@link CONTEXT}. */
  setContext(sid: number, lo: bigint, hi: bigint): void {
    this.setRoot(0, CONTEXT | 1n);
    this.poke(CONTEXT + BigInt((sid & 0xff) * 16), lo);
    this.poke(CONTEXT + BigInt((sid & 0xff) * 16) + 8n, hi);
  }

  tree(levels = 4): Tree {
    return { top: this.newTable(), levels };
  }

  attach(sid: number, tree: Tree, did: number): void {
    this.setContext(sid, tree.top | 1n, BigInt(tree.levels - 2) | (BigInt(did) << 8n));
  }

  /** Address of the entry of `iova` at a level; tables above it are made where there are none. */
  entryAt(tree: Tree, iova: bigint, level: number): bigint {
    let table = tree.top;
    for (let l = tree.levels; ; l--) {
      const at = table + ((iova >> BigInt(12 + 9 * (l - 1))) & 511n) * 8n;
      if (l === level) return at;
      if ((this.peek(at) & 3n) === 0n) this.poke(at, this.newTable() | 3n);
      table = this.peek(at) & 0xffffffffff000n;
    }
  }

  /** Writes the entry of `iova` at a level. */
  map(tree: Tree, iova: bigint, entry: bigint, level = 1): void {
    this.poke(this.entryAt(tree, iova, level), entry);
  }

  // ---- requests -------------------------------------------------------------------------------------------------

  translate(sid: number, iova: bigint, access = READ): Answer {
    return this.driver.request({ sid, address: iova, kind: access });
  }

  /** As {@link translate}, for kinds of requests (see REQUEST). */
  request(sid: number, iova: bigint, kind: number): Answer {
    return this.driver.request({ sid, address: iova, kind });
  }

  /** A DMA in flight, and a device for each source id that sends one. */
  issue(sid: number, iova: bigint, access = READ, words = 1, pasid?: number): Flight {
    const { dma } = this.machine as Machine;
    let device = dma.requesters.findIndex((r) => r.sid === sid && r.pasid === pasid);
    const prefix = pasid === undefined ? {} : { pasid };
    if (device < 0) device = dma.requesters.push({ name: `device ${sid}`, sid, did: 0, ...prefix }) - 1;
    return new Flight(this, dma.issue(device, iova, access, false, words));
  }

  /** Drops a recorded fault and the fault status. */
  clearFaults(): void {
    this.write32(REG.FRCD + 12, 1 << 31);
    this.write32(REG.FSTS, 0x7f);
  }

  /** Reason in the fault record; 0 where F is clear. */
  recordedReason(): number {
    return this.read32(REG.FRCD + 12) >>> 31 === 0 ? 0 : this.read32(REG.FRCD + 12) & 0xff;
  }
}

/** One DMA transaction in its slot. */
export class Flight {
  readonly slot: number;
  private readonly bench: Bench;

  constructor(bench: Bench, slot: number) {
    this.bench = bench;
    this.slot = slot;
  }

  private word(field: number): number {
    return (this.bench.machine as Machine).dma.get(this.slot, field);
  }

  private get agent() {
    const { dma } = this.bench.machine as Machine;
    return dma.agents[(this.slot - dma.at(0)) / (dma.at(1) - dma.at(0))];
  }

  /** `over` is completed or aborted. */
  get state(): 'issued' | 'translating' | 'translated' | 'over' {
    const phase = this.word(SLOT.phase);
    if (phase === PHASE.issued) return 'issued';
    if (phase === PHASE.translating) return 'translating';
    return phase === PHASE.translated ? 'translated' : 'over';
  }

  get page(): bigint {
    return ((BigInt(this.word(SLOT.pfnHi)) << 20n) | BigInt(this.word(SLOT.pfnLo))) << 12n;
  }

  /** In how many ways its next step can go; 0 while it cannot take one. */
  get choices(): number {
    return this.agent.choices();
  }

  /** One step. @param pick takes the number of ways, gives the one to go */
  step(pick: (choices: number) => number = () => 0): void {
    this.agent.step(pick(this.agent.choices()));
  }

  /** Steps until it is translated or aborted. @returns whether it is translated */
  walk(pick?: (choices: number) => number): boolean {
    // A nested one of five levels twice reads 35 paging entries.
    for (let i = 0; i < 80; i++) {
      if (this.state === 'translated') return true;
      if (this.state === 'over') return false;
      this.step(pick);
    }
    throw new Error('a walk of more than 80 steps');
  }

  /** A translated one takes effect. */
  perform(): void {
    this.step();
  }
}

/** IQERCD.IQEI: why the queue has stopped. `wanted` where it is 0, no information, as older hardware has it and QEMU (11.4.9.9); never of the model. */
export function queueErrorInfo(bench: Bench, wanted: number): number {
  const told = bench.read32(REG.IQERCD) & 0xf;
  return told === 0 && ON_QEMU ? wanted : told;
}

// ---- descriptors (VT-d 6.5.2), written by hand ---------------------------------------------------------------------

export type Descriptor = readonly [bigint, bigint];

export function contextInv(g: number, did = 0, sid = 0, fm = 0): Descriptor {
  return [1n | (BigInt(g) << 4n) | (BigInt(did) << 16n) | (BigInt(sid) << 32n) | (BigInt(fm) << 48n), 0n];
}

export interface IotlbInv {
  readonly g: number;
  readonly did?: number;
  readonly addr?: bigint;
  readonly am?: number;
  readonly ih?: number;
  readonly dr?: number;
  readonly dw?: number;
}

export function iotlbInv({ g, did = 0, addr = 0n, am = 0, ih = 0, dr = 0, dw = 0 }: IotlbInv): Descriptor {
  return [
    2n | (BigInt(g) << 4n) | (BigInt(dw) << 6n) | (BigInt(dr) << 7n) | (BigInt(did) << 16n),
    (addr & MASK64) | (BigInt(ih) << 6n) | BigInt(am),
  ];
}

export interface WaitDsc {
  readonly sw?: number;
  readonly flag?: number;
  readonly fn?: number;
  readonly data?: bigint;
  readonly addr?: bigint;
}

export function wait({ sw = 0, flag = 0, fn = 0, data = 0n, addr = 0n }: WaitDsc): Descriptor {
  return [5n | (BigInt(flag) << 4n) | (BigInt(sw) << 5n) | (BigInt(fn) << 6n) | (data << 32n), addr];
}
