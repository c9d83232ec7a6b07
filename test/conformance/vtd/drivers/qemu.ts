/**
 * QEMU as a driver of the VT-d conformance tests.
 */
import { QEMU_11_REASONS } from '../../../../src/iommu/vtd/recorded-reasons.ts';
import { needsModel } from '../../drivers/needs-model.ts';
import { match } from '../../drivers/qemu-process.ts';
import { ToldDriver } from '../../drivers/told-driver.ts';
import type { Answer, Asked, BenchOptions, Driver, Need, Outcome } from './driver.ts';
import { READ, UNTOLD, WRITE } from './driver.ts';
import type { QemuMachine } from './qemu-machine.ts';
import { isMemory, MACHINES, RAM_BYTES, UNIT } from './qemu-machine.ts';
import type { Identity } from './qemu-options.ts';
import { compareIdentity, ecapOf, refuseModelOptions, unitOptions } from './qemu-options.ts';

const PLACE = {
  registers: UNIT,
  // Registers are accessed in their page only: what is beyond is not the unit.
  registerBytes: 0x1000,
  beyond: 'the page of registers',
  isMemory,
  usual: [0x08, 0x10, 0x18, 0x100],
  // Functions of the chip set: 00:00.x, 00:1f.0, .2 and .3.
  taken: [0, 1, 2, 3, 4, 5, 6, 7, 0xf8, 0xfa, 0xfb],
  owner: 'a q35 machine’s',
};
/** Where in its page a request is: where tests have neither entries nor descriptors. */
const IN_PAGE = 0xff0n;
/** Offsets of FSTS, and of the word of the fault record that has F. */
const [FSTS, FRCD_F] = [0x34, 0x22c];

const identities = new Map<string, Identity>();

const isInterruptAddress = (address: bigint) => address >> 20n === 0xfeen;

export class QemuDriver extends ToldDriver<QemuMachine> implements Driver {
  readonly stepped = false;
  readonly lastPage = BigInt(RAM_BYTES - 4096);
  private readonly asked: BenchOptions;
  private readonly needed = new Set<Need>();
  private readonly sent: [number, number, number][] = [];

  constructor(asked: BenchOptions) {
    refuseModelOptions(asked);
    super(PLACE);
    this.asked = asked;
  }

  // ---- registers ------------------------------------------------------------------------------------------------

  read(offset: number, size: number): { readonly lo: number; readonly hi: number } {
    const value = this.readRegister(offset, size);
    return { lo: Number(BigInt.asIntN(32, value)), hi: Number(BigInt.asIntN(32, value >> 32n)) };
  }

  write(offset: number, size: number, lo: number, hi: number): void {
    this.writeRegister(offset, size, (BigInt((size > 4 ? hi : 0) >>> 0) << 32n) | BigInt(lo >>> 0));
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
    return this.tellAll((machine) => this.transfer(machine, sid, at, kind === WRITE));
  }

  interrupt(sid: number, address: number, data: number): Outcome {
    if (data >>> 16 !== 0) needsModel('request', 'messages of more than 16 bits');
    if (!isInterruptAddress(BigInt(address >>> 0))) needsModel('request', 'messages to other addresses');
    this.wants(sid);
    const send = (machine: QemuMachine) => this.listen(machine.message(sid, address, data));
    const lines = send(this.ready());
    const went = match(lines, /^vtd_ir_remap_msi .* -> \(addr (\w+), data (\w+)\)/);
    const fault = went === null ? (recordedReason(lines) ?? this.reasonOnTwin(send)) : 0;
    this.remember(send);
    return went === null ? { fault } : { address: BigInt(went[1]), data: Number(went[2]) };
  }

  /**
   * Why an interrupt was refused that found the fault record in use: a second machine is told the same, and its record is cleared first. In
   * that alone the two differ, and nothing is refused or not for it.
   */
  private reasonOnTwin(send: (machine: QemuMachine) => string[]): number {
    const sent = [...this.sent];
    const twin = MACHINES.with((this.machine as QemuMachine).unit, [...this.sids], 1);
    this.tellTwin(twin);
    twin.qtest.run([`writel ${UNIT + FRCD_F} ${0x8000_0000}`, `writel ${UNIT + FSTS} 1`]);
    const reason = recordedReason(send(twin));
    this.twinKnows();
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

  // ---- the machine ----------------------------------------------------------------------------------------------

  needs(field: Need): void {
    if (this.needed.has(field)) return;
    this.needed.add(field);
    if (this.needed.has('FSTS') && this.needed.has('SSTS'))
      needsModel('capability', 'ECAP.FSTS and ECAP.SSTS; QEMU’s unit has one of them');
    // The one that was chosen without knowing of it may be another.
    this.machine = null;
  }

  protected choose(): QemuMachine {
    const { asked, needed } = this;
    const first = needed.has('FSTS') || (asked.ecap?.FSTS === 1 && !needed.has('SSTS'));
    const pasids = needed.has('PASID') || asked.ecap?.PASID === 1;
    const machine = MACHINES.with(unitOptions(asked, first, pasids), [...this.sids]);
    machine.reset();
    const identity = identityOf(machine);
    compareIdentity(asked, identity);
    for (const field of needed)
      if (ecapOf(identity, field) === 0) needsModel('capability', `ECAP.${field} 1; QEMU’s unit has 0`);
    this.sent.length = 0;
    return machine;
  }

  /** Takes the unit’s own messages out of QEMU’s log. @returns it */
  protected listen(lines: string[]): string[] {
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
