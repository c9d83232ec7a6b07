/** An SMMU’s programming interface alone: registers, queues, interrupts. */
import type { Fields, Layout, Values } from '../../../src/bits/index.ts';
import { decode, encode } from '../../../src/bits/index.ts';
import type { SmmuCore } from '../../../src/iommu/smmuv3/core.ts';
import type { EventSource } from '../../../src/iommu/smmuv3/event-record.ts';
import { CLASS, EVENT, eventSource } from '../../../src/iommu/smmuv3/event-record.ts';
import { EVENTS } from '../../../src/iommu/smmuv3/events.ts';
import type { ProgrammingInterface } from '../../../src/iommu/smmuv3/programming-interface.ts';
import type { TlbScope } from '../../../src/iommu/smmuv3/tlb-scope.ts';
import type { RamMemory } from '../../../src/machine/index.ts';
import { needsModel, ON_QEMU } from '../drivers/needs-model.ts';
import type { Wire } from './drivers/driver.ts';
import { MEMORY } from './drivers/driver.ts';
import type { InterfaceDriver } from './drivers/interface.ts';
import { STREAMS, STREAMS_LOG2 } from './drivers/interface.ts';
import type { Options } from './drivers/interface-model.ts';
import { ModelInterface } from './drivers/interface-model.ts';
import { QemuInterface } from './drivers/interface-qemu.ts';

export { modelOnly, ON_QEMU } from '../drivers/needs-model.ts';
export { MEMORY } from './drivers/driver.ts';
export type { Options } from './drivers/interface-model.ts';

/** Offsets as the specification's table 6.2 has them, and not as the declarations do. */
export const REG = {
  IDR0: 0x0,
  IDR1: 0x4,
  IDR2: 0x8,
  IDR3: 0xc,
  IDR4: 0x10,
  IDR5: 0x14,
  IIDR: 0x18,
  AIDR: 0x1c,
  CR0: 0x20,
  CR0ACK: 0x24,
  CR1: 0x28,
  CR2: 0x2c,
  STATUSR: 0x40,
  GBPA: 0x44,
  AGBPA: 0x48,
  IRQ_CTRL: 0x50,
  IRQ_CTRLACK: 0x54,
  GERROR: 0x60,
  GERRORN: 0x64,
  GERROR_IRQ_CFG0: 0x68,
  GERROR_IRQ_CFG1: 0x70,
  GERROR_IRQ_CFG2: 0x74,
  STRTAB_BASE: 0x80,
  STRTAB_BASE_CFG: 0x88,
  CMDQ_BASE: 0x90,
  CMDQ_PROD: 0x98,
  CMDQ_CONS: 0x9c,
  EVENTQ_BASE: 0xa0,
  EVENTQ_IRQ_CFG0: 0xb0,
  EVENTQ_IRQ_CFG1: 0xb8,
  EVENTQ_IRQ_CFG2: 0xbc,
  PRIQ_BASE: 0xc0,
  PRIQ_IRQ_CFG0: 0xd0,
  PRIQ_IRQ_CFG1: 0xd8,
  PRIQ_IRQ_CFG2: 0xdc,
  EVENTQ_PROD: 0x100a8,
  EVENTQ_CONS: 0x100ac,
  PRIQ_PROD: 0x100c8,
  PRIQ_CONS: 0x100cc,
} as const;

/** CR0 (6.3.9), GERROR (6.3.19). */
export const [SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK] = [1, 2, 4, 8, 16];
export const [CMDQ_ERR, EVENTQ_ABT_ERR, PRIQ_ABT_ERR] = [1, 4, 8];
export const [MSI_CMDQ_ABT_ERR, MSI_EVENTQ_ABT_ERR, MSI_PRIQ_ABT_ERR, MSI_GERROR_ABT_ERR] = [0x10, 0x20, 0x40, 0x80];

/** Where the queues are. */
const BASE = Number(MEMORY);
export const [CMDQ, EVENTQ, PRIQ] = [BASE + 0x4000, BASE + 0x8000, BASE + 0xc000];

/** Another one than the model's: halves of the words of commands as chapter 4 has them. */
export type Command = readonly [bigint, bigint];

export function command<F extends Fields>(of: Layout<F>, values: Partial<Values<F>> = {}): Command {
  const [first, second] = encode(of, values);
  return [first, second];
}

export class InterfaceBench {
  readonly driver: InterfaceDriver;

  /** @param asked of `options` what the test asks for: all of it, if absent. The rest is what a bench has by itself */
  constructor(options: Options = {}, asked: Options = options) {
    this.driver = ON_QEMU ? new QemuInterface(asked) : new ModelInterface(options);
  }

  // ---- what only the model shows --------------------------------------------------------------------------------

  private model(what: string): ModelInterface {
    return this.driver instanceof ModelInterface ? this.driver : needsModel('inside', what);
  }

  get memory(): RamMemory {
    return this.model('memory as an array').memory;
  }

  get core(): SmmuCore {
    return this.model('the unit itself').core;
  }

  get unit(): ProgrammingInterface {
    return this.model('the unit itself').unit;
  }

  /** What was asked of caches and of requests in flight, in order. */
  get calls(): string[] {
    return this.model('what caches are asked').calls;
  }

  get messages(): number[][] {
    return this.model('messages of interrupts').messages;
  }

  get responses(): number[][] {
    return this.model('responses to page requests').responses;
  }

  get atcRequests(): object[] {
    return this.model('invalidations of ATCs').atcRequests;
  }

  get resolved(): number[][] {
    return this.model('stalled transactions').resolved;
  }

  get sentEvents(): number {
    return this.model('events of a processor (SEV)').sentEvents;
  }

  forgetCalls(): void {
    this.model('what caches are asked').forget();
  }

  /** Whether a device completes an ATC invalidation. */
  set completes(value: boolean) {
    this.model('invalidations of ATCs').completes = value;
  }

  /** Whether accesses are followed by all that they set off. */
  set settles(value: boolean) {
    this.model('an SMMU in steps').settles = value;
  }

  // ---- what everybody shows -------------------------------------------------------------------------------------

  get pulses(): readonly Wire[] {
    return this.driver.pulses;
  }

  /** Invalidations of translations. */
  get scopes(): readonly TlbScope[] {
    return this.driver.scopes;
  }

  /** How often caches or devices were asked to do something. */
  get asked(): number {
    return this.driver.asked;
  }

  read32(offset: number): number {
    return Number(this.driver.read(offset, 4));
  }

  read64(offset: number): bigint {
    return this.driver.read(offset, 8);
  }

  write32(offset: number, value: number): void {
    this.driver.write(offset, 4, BigInt(value >>> 0));
  }

  write64(offset: number, value: bigint): void {
    this.driver.write(offset, 8, value);
  }

  peek(address: number): bigint {
    return this.driver.peek(BigInt(address) & ~7n);
  }

  poke(address: number, value: bigint): void {
    this.driver.poke(BigInt(address) & ~7n, value);
  }

  /** Has a stream table, which transactions that {@link fault} come from. */
  streams(): this {
    this.write64(REG.STRTAB_BASE, STREAMS);
    this.write32(REG.STRTAB_BASE_CFG, STREAMS_LOG2);
    return this;
  }

  /** Sets up and enables the queues. @param log2 of the command queue's entries; events and page requests have as many */
  start(log2 = 4, cr0 = SMMUEN | EVENTQEN | CMDQEN | PRIQEN): this {
    this.streams();
    this.write64(REG.CMDQ_BASE, BigInt(CMDQ | log2));
    this.write64(REG.EVENTQ_BASE, BigInt(EVENTQ | log2));
    this.write64(REG.PRIQ_BASE, BigInt(PRIQ | log2));
    this.write32(REG.CR0, cr0);
    return this;
  }

  private slot = 0;

  /** Writes commands behind the last one, and tells of them. */
  submit(...commands: readonly Command[]): void {
    const log2 = this.read32(REG.CMDQ_BASE) & 0x1f;
    for (const [first, second] of commands) {
      const at = CMDQ + 16 * (this.slot % 2 ** log2);
      this.poke(at, first);
      this.poke(at + 8, second);
      this.slot = (this.slot + 1) % 2 ** (log2 + 1);
    }
    this.write32(REG.CMDQ_PROD, this.slot);
  }

  /** CMDQ_CONS.RD and ERR, and whether GERROR.CMDQ_ERR is active. */
  get commandState(): { rd: number; err: number; active: boolean } {
    const cons = this.read32(REG.CMDQ_CONS);
    const active = ((this.read32(REG.GERROR) ^ this.read32(REG.GERRORN)) & CMDQ_ERR) !== 0;
    return { rd: cons & 0xfffff, err: (cons >>> 24) & 0x7f, active };
  }

  /** Whether a read of a stream passes while SMMUEN is 0. */
  passes(sid: number): boolean {
    return this.driver.passes(sid);
  }

  /** A fault of a transaction, a write of 0x1234_5678 by stream 5 if not said otherwise. @returns see OUTCOME */
  fault(of: Partial<EventSource> = {}): number {
    return this.driver.fault({
      ...eventSource(),
      ...{ event: EVENT.F_TRANSLATION, sid: 5, class: CLASS.IN, lo: 0x12345678, r: 1, a: 1 },
      ...of,
    });
  }

  /** The words of event `n` of the queue. */
  eventWords(n: number): bigint[] {
    return [0, 8, 16, 24].map((at) => this.peek(EVENTQ + 32 * n + at));
  }

  /** Event `n`, decoded by its declaration. */
  event(n: number): Record<string, number | bigint> {
    const words = this.eventWords(n);
    return decode(EVENTS[Number(words[0] & 0xffn)].record, ...words);
  }
}

/** A bench that has done some commands. */
export function benchAfter(commands: readonly Command[], options: Options = {}): InterfaceBench {
  const bench = new InterfaceBench(options).start();
  bench.submit(...commands);
  return bench;
}
