/**
 * QEMU as a driver of the conformance tests. What a test writes is kept until it wants to know something: only then it is known which unit and
 * which devices it needs. Where it turns out later that one is missing, another machine that has it is told everything again.
 */
import { QEMU_11_REASONS } from '../../../../src/iommu/vtd/recorded-reasons.ts';
import type { Answer, Asked, BenchOptions, Driver, Need, Outcome } from './driver.ts';
import { needsModel, READ, UNTOLD, WRITE } from './driver.ts';
import type { QemuMachine } from './qemu-machine.ts';
import { isMemory, machineWith, RAM_BYTES, UNIT } from './qemu-machine.ts';
import type { Identity } from './qemu-options.ts';
import { compareIdentity, ecapOf, refuseModelOptions, unitOptions } from './qemu-options.ts';

/** Devices that most tests use; a machine with many is slow, as each has an address space of its own. */
const USUAL = [0x08, 0x10, 0x18, 0x100];
/** Functions of the chip set: 00:00.x, 00:1f.0, .2 and .3. */
const TAKEN = [0, 1, 2, 3, 4, 5, 6, 7, 0xf8, 0xfa, 0xfb];
/** Each has a root port, and each device an address space. */
const MOST_BUSES = 8;
/** Where in its page a request is: where tests have neither entries nor descriptors. */
const IN_PAGE = 0xff0n;
/** Registers are accessed in their page only: what is beyond is not the unit. */
const REGISTER_PAGE = 0x1000;
/** Offsets of FSTS, and of the word of the fault record that has F. */
const [FSTS, FRCD_F] = [0x34, 0x22c];
const COMMAND_SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'l', 8: 'q' };

const identities = new Map<string, Identity>();
/** Whose story a machine was told last. */
const told = new WeakMap<QemuMachine, QemuDriver>();

const hex = (value: bigint | number) => `0x${value.toString(16)}`;
const wholeOf = (lo: number, hi: number) => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
const isInterruptAddress = (address: bigint) => address >> 20n === 0xfeen;

export class QemuDriver implements Driver {
  readonly stepped = false;
  readonly lastPage = BigInt(RAM_BYTES - 4096);
  private readonly asked: BenchOptions;
  private readonly needed = new Set<Need>();
  private readonly sids = new Set(USUAL);
  private machine: QemuMachine | null = null;
  /** Commands that no machine was told yet. */
  private pending: string[] = [];
  /** What the machine was told, in order. */
  private readonly story: ((machine: QemuMachine) => unknown)[] = [];
  /** How much of it the machine of {@link reasonOnTwin} was told. */
  private twinTold = 0;
  /** Words that the test has written, by address. */
  private readonly poked = new Map<number, bigint>();
  /** Pages of these, which no machine was told to clear yet. */
  private pages = new Set<number>();
  private readonly sent: [number, number, number][] = [];

  constructor(asked: BenchOptions) {
    refuseModelOptions(asked);
    this.asked = asked;
  }

  // ---- memory and registers -------------------------------------------------------------------------------------

  poke(addr: bigint, value: bigint): void {
    const at = Number(addr);
    if (!isMemory(at)) needsModel('inside', `memory at ${hex(addr)}`);
    const word = BigInt.asUintN(64, value);
    this.poked.set(at, word);
    this.pages.add(Math.floor(at / 4096));
    this.pending.push(`writeq ${at} ${word}`);
  }

  peek(addr: bigint): bigint {
    return BigInt(this.ready().qtest.run([`readq ${addr}`])[0]);
  }

  read(offset: number, size: number): { readonly lo: number; readonly hi: number } {
    const text = this.ready().qtest.run([`read${suffix(offset, size)} ${UNIT + offset}`])[0];
    const value = BigInt(text);
    return { lo: Number(BigInt.asIntN(32, value)), hi: Number(BigInt.asIntN(32, value >> 32n)) };
  }

  write(offset: number, size: number, lo: number, hi: number): void {
    const value = BigInt.asUintN(8 * size, wholeOf(lo, size > 4 ? hi : 0));
    this.pending.push(`write${suffix(offset, size)} ${UNIT + offset} ${value}`);
  }

  run(): number {
    return 0;
  }

  get messages(): readonly (readonly [number, number, number])[] {
    this.ready();
    return this.sent;
  }

  // ---- requests -------------------------------------------------------------------------------------------------

  request({ sid, address, kind, pasid = -1, prefix = 0 }: Asked): Answer {
    if (pasid >= 0 || prefix !== 0) needsModel('request', 'with a PASID');
    if (kind !== READ && kind !== WRITE) needsModel('request', `kind ${kind}: neither a read nor an ordinary write`);
    this.wants(sid);
    const at = (BigInt.asUintN(64, address) & ~0xfffn) | IN_PAGE;
    const machine = this.ready();
    this.story.push((again) => void this.transfer(again, sid, at, kind === WRITE));
    return this.transfer(machine, sid, at, kind === WRITE);
  }

  interrupt(sid: number, address: number, data: number): Outcome {
    if (data >>> 16 !== 0) needsModel('request', 'messages of more than 16 bits');
    if (!isInterruptAddress(BigInt(address >>> 0))) needsModel('request', 'messages to other addresses');
    this.wants(sid);
    const send = (machine: QemuMachine) => this.listen(machine.message(sid, address, data));
    const lines = send(this.ready());
    const went = match(lines, /^vtd_ir_remap_msi .* -> \(addr (\w+), data (\w+)\)/);
    const fault = went === null ? (recordedReason(lines) ?? this.reasonOnTwin(send)) : 0;
    this.story.push(send);
    return went === null ? { fault } : { address: BigInt(went[1]), data: Number(went[2]) };
  }

  /**
   * Why an interrupt was refused that found the fault record in use: a second machine is told the same, and its record is cleared first. In
   * that alone the two differ, and nothing is refused or not for it.
   */
  private reasonOnTwin(send: (machine: QemuMachine) => string[]): number {
    const sent = [...this.sent];
    const twin = machineWith((this.machine as QemuMachine).unit, [...this.sids], 1);
    if (told.get(twin) !== this) {
      twin.reset();
      told.set(twin, this);
      this.twinTold = 0;
    }
    for (; this.twinTold < this.story.length; this.twinTold++) this.story[this.twinTold](twin);
    twin.qtest.run([`writel ${UNIT + FRCD_F} ${0x8000_0000}`, `writel ${UNIT + FSTS} 1`]);
    const reason = recordedReason(send(twin));
    this.twinTold++;
    this.sent.splice(0, this.sent.length, ...sent);
    return reason ?? needsModel('unseen', 'the reason of a fault that FPD suppresses');
  }

  reasonFor(reason: number, access: number): number {
    if (this.asked.ecap?.SMTS !== 1) return reason;
    const own = QEMU_11_REASONS.find((each) => each.reason === reason);
    if (own === undefined || (own.secondStage === true && this.needed.has('FSTS'))) return reason;
    return access === READ ? (own.ofReads ?? own.recorded) : own.recorded;
  }

  private transfer(machine: QemuMachine, sid: number, at: bigint, write: boolean): Answer {
    const lines = this.listen(machine.dma(sid, at, write));
    const fault = match(lines, /^vtd_dmar_fault .* fault (\d+) /);
    if (fault !== null) return { fault: Number(fault[1]) };
    if (match(lines, /^vtd_fault_disabled/) !== null) needsModel('unseen', 'the reason of a fault that FPD suppresses');
    const translated = match(lines, /^vtd_dmar_translate .* -> gpa (\w+) mask (\w+)/);
    // Without a translation: it is off, or this device passes through.
    const mask = translated === null ? 0n : BigInt(translated[2]);
    const to = translated === null ? at : (BigInt(translated[1]) & ~mask) | (at & mask);
    if (translated === null && isInterruptAddress(at) && write && this.asked.ecap?.IR === 1)
      needsModel('request', 'a write that is an interrupt, but is not to be one');
    if (translated === null && isInterruptAddress(at)) return write ? { page: at & ~0xfffn } : { fault: UNTOLD };
    const where = Number(to);
    if (isMemory(where)) {
      // Refused where the translation has not the right, which QEMU does not tell.
      if (match(lines, /^Invalid (read|write) at .*rejected/) !== null) return { fault: UNTOLD };
      if (write) this.checkLanded(machine, sid, where);
    }
    return { page: to & ~0xfffn };
  }

  /** A write is where QEMU says that it went; what was there before is put back. */
  private checkLanded(machine: QemuMachine, sid: number, where: number): void {
    if (!machine.holdsPattern(sid, where)) throw new Error(`QEMU says that a write went to ${hex(where)}; it did not`);
    machine.touch(where);
    machine.qtest.run([`writel ${where} ${BigInt.asUintN(32, this.poked.get(where) ?? 0n)}`]);
  }

  // ---- the machine ----------------------------------------------------------------------------------------------

  needs(field: Need): void {
    if (this.needed.has(field)) return;
    this.needed.add(field);
    if (this.needed.has('FSTS') && this.needed.has('SSTS'))
      needsModel('capability', 'ECAP.FSTS and ECAP.SSTS; QEMU’s unit has one of them');
    // The one that was chosen without knowing of it may be another.
    this.machine = null;
  }

  private wants(sid: number): void {
    if (this.sids.has(sid)) return;
    if (TAKEN.includes(sid)) needsModel('request', `from ${hex(sid)}, which is a q35 machine’s own`);
    this.sids.add(sid);
    if (new Set([...this.sids].map((each) => each >> 8)).size > MOST_BUSES)
      needsModel('request', `from more than ${MOST_BUSES} buses`);
    this.machine = null;
  }

  /** The machine, told everything. */
  private ready(): QemuMachine {
    if (this.machine === null || told.get(this.machine) !== this) this.machine = this.begin();
    if (this.pending.length === 0) return this.machine;
    const commands = this.pending;
    const pages = [...this.pages];
    this.pending = [];
    this.pages = new Set();
    this.story.push((machine) => void this.tell(machine, commands, pages));
    this.tell(this.machine, commands, pages);
    return this.machine;
  }

  private tell(machine: QemuMachine, commands: readonly string[], pages: readonly number[]): void {
    for (const page of pages) machine.touch(page * 4096);
    machine.qtest.run(commands);
    this.listen(machine.told());
  }

  private begin(): QemuMachine {
    const { asked, needed } = this;
    const first = needed.has('FSTS') || (asked.ecap?.FSTS === 1 && !needed.has('SSTS'));
    const pasids = needed.has('PASID') || asked.ecap?.PASID === 1;
    const machine = machineWith(unitOptions(asked, first, pasids), [...this.sids]);
    machine.reset();
    told.set(machine, this);
    const identity = identityOf(machine);
    compareIdentity(asked, identity);
    for (const field of needed)
      if (ecapOf(identity, field) === 0) needsModel('capability', `ECAP.${field} 1; QEMU’s unit has 0`);
    this.sent.length = 0;
    for (const telling of this.story) telling(machine);
    return machine;
  }

  /** Takes the unit's own messages out of QEMU's log. @returns it */
  private listen(lines: string[]): string[] {
    for (const line of lines) {
      const [, address, data] = /^vtd_irq_generate addr (\w+) data (\w+)/.exec(line) ?? [];
      if (address === undefined) continue;
      const whole = BigInt(address);
      this.sent.push([Number(whole >> 32n), Number(whole & 0xffff_ffffn), Number(data)]);
    }
    return lines;
  }
}

function identityOf(machine: QemuMachine): Identity {
  const known = identities.get(machine.unit);
  if (known !== undefined) return known;
  const [ver, cap, ecap] = machine.qtest.run([`readl ${UNIT}`, `readq ${UNIT + 8}`, `readq ${UNIT + 16}`]).map(BigInt);
  const identity = { ver, cap, ecap };
  identities.set(machine.unit, identity);
  return identity;
}

/** Of the fault that QEMU says that it has recorded. */
function recordedReason(lines: readonly string[]): number | null {
  const recorded = match(lines, /^vtd_frr_new index \d+ high (\w+)/);
  return recorded === null ? null : Number((BigInt(recorded[1]) >> 32n) & 0xffn);
}

function suffix(offset: number, size: number): string {
  const found = COMMAND_SUFFIX[size];
  if (found === undefined) needsModel('inside', `accesses of ${size} bytes`);
  if (offset < 0 || offset + size > REGISTER_PAGE) needsModel('inside', 'accesses beyond the page of registers');
  return found;
}

function match(lines: readonly string[], pattern: RegExp): RegExpExecArray | null {
  for (let i = lines.length; i-- > 0; ) {
    const found = pattern.exec(lines[i]);
    if (found !== null) return found;
  }
  return null;
}
