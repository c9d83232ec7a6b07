/**
 * CR0, IRQ_CTRL and GBPA (IHI 0070, 6.3.9, 6.3.14, 6.3.16): what is written there takes effect later, and CR0ACK, IRQ_CTRLACK and GBPA.Update say when that is
 * complete. Each Update is a step of its own.
 */
import type { Field } from '../../bits/index.ts';
import { maskOf } from '../../bits/index.ts';
import type { Agent } from '../../machine/index.ts';
import { MARK, PHASE, SLOT } from '../../machine/index.ts';
import type { SmmuCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { CR0, CR0ACK, GBPA, IRQ_CTRL, IRQ_CTRLACK } from './registers.ts';

/** Bits of a field in a register of 32 bits. */
const bitsOf = (field: Field) => maskOf(field, 1)[0];

/** Fields of CR0 that are Updated one by one, SMMUEN last: it has two steps. */
const CR0_FIELDS = [CR0.VMW, CR0.ATSCHK, CR0.CMDQEN, CR0.EVENTQEN, CR0.PRIQEN].map(bitsOf);
const SMMUEN = bitsOf(CR0.SMMUEN);
const UPDATE = bitsOf(GBPA.Update);
const ALL_CR0 = CR0_FIELDS.reduce((all, field) => all | field, SMMUEN);
const IRQ_FIELDS = [IRQ_CTRL.GERROR_IRQEN, IRQ_CTRL.PRIQ_IRQEN, IRQ_CTRL.EVENTQ_IRQEN].map(bitsOf);

/** Steps that an Update can take: all fields, and SMMUEN once more. */
const MOST_STEPS = CR0_FIELDS.length + 2;

export class GlobalControl {
  readonly agent: Agent;
  private readonly core: SmmuCore;
  /** Fields of CR0, IRQ_CTRL and CR2 that this SMMU has; the others are RES0. */
  private readonly usableCr0: number;
  private readonly usableIrq: number;

  constructor(core: SmmuCore) {
    this.core = core;
    const { ATS, PRI, VMW } = core.has.idr0;
    const lacking = [
      ...(VMW === 0 ? [CR0.VMW] : []),
      ...(ATS === 0 ? [CR0.ATSCHK] : []),
      ...(PRI === 0 ? [CR0.PRIQEN] : []),
      CR0.DPT_WALK_EN,
    ];
    this.usableCr0 = lacking.reduce((usable, field) => usable & ~bitsOf(field), ALL_CR0);
    this.usableIrq = PRI === 0 ? ~bitsOf(IRQ_CTRL.PRIQ_IRQEN) : -1;
    this.agent = {
      name: `${core.name} registers`,
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => this.steps(-1),
      left: () => this.left(),
      step: (choice) => {
        this.steps(choice);
      },
    };
  }

  /** A write of CR0. A field whose Update is under way keeps the value that it is Updated to (6.3.9: may ignore the new one). */
  writeCr0(value: number): void {
    this.core.regs.force32(
      CR0.offset,
      this.merged(CR0.offset, CR0ACK.offset, value & this.usableCr0, [...CR0_FIELDS, SMMUEN]),
    );
  }

  /** A write of IRQ_CTRL, likewise (6.3.16). */
  writeIrqCtrl(value: number): void {
    this.core.regs.force32(
      IRQ_CTRL.offset,
      this.merged(IRQ_CTRL.offset, IRQ_CTRLACK.offset, value & this.usableIrq & 7, IRQ_FIELDS),
    );
  }

  /** A write of GBPA: ignored unless it sets Update, and while an Update is under way (6.3.14.1). */
  writeGbpa(value: number): void {
    const { regs } = this.core;
    if ((value & UPDATE) === 0 || regs.get(GBPA, GBPA.Update) === 1) return;
    regs.write32(GBPA.offset, value);
  }

  private merged(offset: number, ackOffset: number, value: number, fields: readonly number[]): number {
    const { regs, profile } = this.core;
    const old = regs.read32(offset);
    if (!profile.guardsRegisters) return value;
    const changing = old ^ regs.read32(ackOffset);
    let locked = 0;
    for (const field of fields) if ((changing & field) !== 0) locked |= field;
    return (old & locked) | (value & ~locked);
  }

  /**
   * Goes through the steps that can be taken now, in order.
   * @param choice the one to take; −1 to count them
   */
  private steps(choice: number): number {
    const { regs } = this.core;
    const changing = regs.read32(CR0.offset) ^ regs.read32(CR0ACK.offset);
    let n = 0;
    for (const field of CR0_FIELDS) {
      if ((changing & field) === 0) continue;
      if (n === choice) this.updateField(field);
      n++;
    }
    const interrupts = regs.read32(IRQ_CTRL.offset) !== regs.read32(IRQ_CTRLACK.offset);
    if (interrupts && n++ === choice) regs.force32(IRQ_CTRLACK.offset, regs.read32(IRQ_CTRL.offset));
    if (regs.get(GBPA, GBPA.Update) === 1 && n++ === choice) this.updateBypass();
    if ((changing & SMMUEN) !== 0) {
      if (!this.hasTakenEffect()) {
        if (n++ === choice) this.switch();
      } else if (!this.hasWalks() && n++ === choice) this.acknowledge(SMMUEN);
    }
    return n;
  }

  private left(): number {
    const { regs } = this.core;
    const changing = regs.read32(CR0.offset) ^ regs.read32(CR0ACK.offset);
    let left = regs.read32(IRQ_CTRL.offset) === regs.read32(IRQ_CTRLACK.offset) ? 0 : 1;
    left += regs.get(GBPA, GBPA.Update);
    for (const field of CR0_FIELDS) if ((changing & field) !== 0) left++;
    if ((changing & SMMUEN) !== 0) left += this.hasTakenEffect() ? 1 : 2;
    return Math.min(left, MOST_STEPS + 2);
  }

  private acknowledge(field: number): void {
    const { regs } = this.core;
    const [value, ack] = [regs.read32(CR0.offset), regs.read32(CR0ACK.offset)];
    regs.force32(CR0ACK.offset, (ack & ~field) | (value & field));
    if (this.core.telling)
      this.core.say(`CR0ACK is 0x${regs.read32(CR0ACK.offset).toString(16)}: the Update is complete`);
  }

  private updateField(field: number): void {
    this.acknowledge(field);
    if (field === bitsOf(CR0.EVENTQEN)) this.core.events.refresh();
  }

  private updateBypass(): void {
    const { core } = this;
    core.setInternal(INTERNAL.abort, core.regs.get(GBPA, GBPA.ABORT));
    core.regs.put(GBPA, GBPA.Update, 0);
    if (core.telling)
      core.say(`GBPA is Updated: transactions ${core.aborts ? 'are aborted' : 'bypass'} while SMMUEN is 0`);
  }

  private hasTakenEffect(): boolean {
    const { core } = this;
    return core.enabled === (core.regs.get(CR0, CR0.SMMUEN) === 1);
  }

  /** New transactions are treated with the new value. A transaction that has begun goes on with the old one (6.3.9.6). */
  private switch(): void {
    const { core } = this;
    const on = core.regs.get(CR0, CR0.SMMUEN);
    core.setInternal(INTERNAL.enabled, on);
    if (core.telling)
      core.say(`SMMUEN = ${on} takes effect: new transactions ${on === 1 ? 'are translated' : 'bypass'}`);
    if (on === 0) {
      core.stalls.terminateAll();
      this.holdWalks();
    }
    if (!this.hasWalks()) this.acknowledge(SMMUEN);
  }

  /** With SMMUEN = 0 no structures are read any more (6.3.9.6): walks that read some now are waited for. */
  private holdWalks(): void {
    const { core } = this;
    const { dma, profile } = core;
    if (dma === null || !profile.syncWaits) return;
    for (let i = 0; i < dma.slots; i++)
      if (dma.get(dma.at(i), SLOT.phase) === PHASE.translating && core.isMine(dma.at(i)))
        dma.mark(dma.at(i), MARK.stale | MARK.holdWalk);
  }

  private hasWalks(): boolean {
    const { core } = this;
    return !core.enabled && core.profile.syncWaits && core.anyMarked(MARK.holdWalk);
  }
}
