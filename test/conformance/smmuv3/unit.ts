/** An SMMU with its registers and queues in place: what the conformance tests of this chapter tree are written with. */
import type { Fields, Layout, Values } from '../../../src/bits/index.ts';
import { decodeHalves, encodeHalves, get } from '../../../src/bits/index.ts';
import type { Smmu } from '../../../src/iommu/smmuv3/index.ts';
import {
  CD,
  CMD_CFGI_ALL,
  CMD_SYNC,
  CMD_TLBI_EL2_ALL,
  CMD_TLBI_NSNH_ALL,
  CR0,
  CR0ACK,
  CR2,
  eventRecordAt,
  IDR0,
  REQUEST,
  STE,
  STRTAB_BASE,
  STRTAB_BASE_CFG,
} from '../../../src/iommu/smmuv3/index.ts';
import type { Arena, Machine, RamMemory } from '../../../src/machine/index.ts';
import { needsModel, ON_QEMU } from '../drivers/needs-model.ts';
import type { Answer, Asked, BenchOptions, Driver } from './drivers/driver.ts';
import { MEMORY } from './drivers/driver.ts';
import { ModelDriver } from './drivers/model.ts';
import { QemuDriver } from './drivers/qemu.ts';
import { needsImplied } from './implied.ts';

export { modelOnly, ON_QEMU } from '../drivers/needs-model.ts';
export type { BenchOptions } from './drivers/driver.ts';
export { MEMORY } from './drivers/driver.ts';

export const { read: READ, write: WRITE, atomic: ATOMIC, instruction: INSTRUCTION, privileged: PRIVILEGED } = REQUEST;

/** Where the queues are: the last pages of memory. */
const QUEUE_LOG2 = 7;
const COMMAND_QUEUE = { base: 0x90n, prod: 0x98, cons: 0x9c } as const;
const EVENT_QUEUE = { base: 0xa0n, prod: 0x100a8, cons: 0x100ac } as const;
const INDEX = (1n << BigInt(QUEUE_LOG2)) - 1n;
const POINTERS = (2n << BigInt(QUEUE_LOG2)) - 1n;

/** What a request comes to that is refused by a fault which is not recorded: the model alone says which. */
export const unrecorded = (event: number): Answer => ({ event: ON_QEMU ? 0 : event });

/** Fields of an event record by name; ID first. */
export type EventRecord = Readonly<Record<string, number | bigint>>;

export class Bench {
  readonly driver: Driver;
  private readonly stated: BenchOptions;
  readonly commands: bigint;
  readonly events: bigint;

  /** @param asked of `options` what the test asks for: all of it, if absent. The rest is what a bench has by itself */
  constructor(options: BenchOptions = {}, asked: BenchOptions = options) {
    this.driver = ON_QEMU ? new QemuDriver(asked) : new ModelDriver(options);
    this.stated = asked;
    const frames = BigInt(options.frames ?? 1024);
    this.commands = MEMORY + ((frames - 1n) << 12n);
    this.events = MEMORY + ((frames - 2n) << 12n);
    this.write(Number(COMMAND_QUEUE.base), 8, this.commands | BigInt(QUEUE_LOG2));
    this.write(Number(EVENT_QUEUE.base), 8, this.events | BigInt(QUEUE_LOG2));
    this.write(CR2.offset, 4, 2n);
    this.enable(0);
  }

  // ---- what only the model shows --------------------------------------------------------------------------------

  private model(what: string): ModelDriver {
    return this.driver instanceof ModelDriver ? this.driver : needsModel('inside', what);
  }

  get unit(): Smmu {
    return this.model('the unit itself').unit;
  }

  get ram(): RamMemory {
    return this.model('memory as an array').ram;
  }

  get arena(): Arena {
    return this.model('the unit’s state').arena;
  }

  /** Null where requests are translated at once. */
  get machine(): Machine | null {
    return this.model('requests in steps').machine;
  }

  // ---- registers and memory -------------------------------------------------------------------------------------

  read(offset: number, size: 4 | 8): bigint {
    return this.driver.read(offset, size);
  }

  write(offset: number, size: 4 | 8, value: bigint): void {
    this.driver.write(offset, size, value);
  }

  /** @throws RangeError where there is no memory */
  poke(address: bigint, value: bigint): void {
    this.driver.poke(address, value);
  }

  peek(address: bigint): bigint {
    return this.driver.peek(address);
  }

  /** Lets the SMMU go on until it rests. QEMU’s does all at once. */
  run(): void {
    this.driver.run();
  }

  /** Sets CR0: queues are always on. @param more bits of it */
  enable(more: number): void {
    this.write(CR0.offset, 4, BigInt(more | (1 << CR0.CMDQEN.lo) | (1 << CR0.EVENTQEN.lo)));
    this.run();
  }

  get acknowledged(): number {
    return Number(this.read(CR0ACK.offset, 4));
  }

  /** A linear stream table, or one of two levels with `split`. */
  streamTable(base: bigint, log2: number, split = 0): void {
    this.write(STRTAB_BASE.offset, 8, base);
    const fmt = split === 0 ? 0 : 1;
    this.write(STRTAB_BASE_CFG.offset, 4, BigInt(log2 | (split << 6) | (fmt << 16)));
  }

  /** Stores a structure. */
  put<F extends Fields>(of: Layout<F>, address: bigint, values: Partial<Values<F>>): void {
    this.putHalves(address, encodeHalves(of, values));
  }

  putHalves(address: bigint, halves: Int32Array): void {
    for (let i = 0; i < halves.length; i += 2) {
      const value = (BigInt(halves[i + 1] >>> 0) << 32n) | BigInt(halves[i] >>> 0);
      this.poke(address + BigInt(4 * i), value);
    }
  }

  ste(address: bigint, values: Partial<Values<typeof STE.fields>>): void {
    this.implies(values);
    this.put(STE, address, { V: 1, ...values });
  }

  cd(address: bigint, values: Partial<Values<typeof CD.fields>>): void {
    this.implies(values);
    this.put(CD, address, { V: 1, AA64: 1, R: 1, A: 1, ...values });
  }

  /** The model has everything that a test does not say that it has not. */
  private implies(values: object): void {
    if (ON_QEMU) needsImplied(this.stated, values, (offset) => Number(this.read(offset, 4)) | 0);
  }

  /** Has commands executed, and a CMD_SYNC. */
  command<F extends Fields>(of: Layout<F>, values: Partial<Values<F>> = {}): void {
    for (const halves of [encodeHalves(of, values), encodeHalves(CMD_SYNC, {})]) {
      if (!this.submit(halves)) throw new Error('a command was refused');
    }
  }

  /** Has a command executed, without a CMD_SYNC. @returns whether it was consumed */
  execute<F extends Fields>(of: Layout<F>, values: Partial<Values<F>> = {}): boolean {
    return this.submit(encodeHalves(of, values));
  }

  private submit(halves: Int32Array): boolean {
    const prod = this.read(COMMAND_QUEUE.prod, 4);
    this.putHalves(this.commands + (prod & INDEX) * 16n, halves);
    this.write(COMMAND_QUEUE.prod, 4, (prod + 1n) & POINTERS);
    this.run();
    return this.isIdle;
  }

  /** Whether all commands were consumed. */
  get isIdle(): boolean {
    return this.read(COMMAND_QUEUE.cons, 4) === this.read(COMMAND_QUEUE.prod, 4);
  }

  /** Has everything that is cached dropped. */
  forget(): void {
    this.command(CMD_CFGI_ALL);
    this.command(CMD_TLBI_NSNH_ALL);
    if (get(IDR0.Hyp, Int32Array.of(Number(this.read(IDR0.offset, 4)))) === 1) this.command(CMD_TLBI_EL2_ALL);
  }

  /** The events since it was last called, oldest first. */
  takeEvents(): EventRecord[] {
    const out: EventRecord[] = [];
    let cons = this.read(EVENT_QUEUE.cons, 4) & POINTERS;
    const prod = this.read(EVENT_QUEUE.prod, 4) & POINTERS;
    for (; cons !== prod; cons = (cons + 1n) & POINTERS) {
      const halves = new Int32Array(8);
      for (let i = 0; i < 4; i++) {
        const value = this.peek(this.events + (cons & INDEX) * 32n + BigInt(8 * i));
        halves[2 * i] = Number(BigInt.asIntN(32, value));
        halves[2 * i + 1] = Number(BigInt.asIntN(32, value >> 32n));
      }
      const of = eventRecordAt(halves);
      if (of === null) throw new Error(`an event without a declaration: ${halves[0] & 0xff}`);
      out.push(decodeHalves(of, halves));
    }
    this.write(EVENT_QUEUE.cons, 4, cons);
    return out;
  }

  request(asked: Asked): Answer {
    return this.driver.request(asked);
  }

  ask(sid: number, address: bigint, kind: number = READ, ssid = -1): Answer {
    return this.request({ sid, ssid, address, kind });
  }
}
