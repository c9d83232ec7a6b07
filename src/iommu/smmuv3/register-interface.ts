/** The registers as software sees them (IHI 0070, 6.2, 6.3): accesses, Guarded fields, and what a write sets off. */
import type { ReadValue } from '../kit/access.ts';
import type { SmmuCore } from './core.ts';
import type { GlobalControl } from './global-control.ts';
import { log2Of } from './queue-memory.ts';
import { CMDQ_BASE, CMDQ_CONS, EVENTQ_BASE, PRIQ_BASE, STRTAB_BASE, STRTAB_BASE_CFG } from './queue-registers.ts';
import { EVENTQ_CONS, EVENTQ_PROD, PAGE_1, PRIQ_CONS, PRIQ_PROD, REGISTER_BYTES } from './register-block.ts';
import {
  AGBPA,
  CR0,
  CR0ACK,
  CR1,
  CR2,
  EVENTQ_IRQ_CFG0,
  EVENTQ_IRQ_CFG1,
  EVENTQ_IRQ_CFG2,
  GBPA,
  GERROR_IRQ_CFG0,
  GERROR_IRQ_CFG1,
  GERROR_IRQ_CFG2,
  GERRORN,
  IRQ_CTRL,
  IRQ_CTRLACK,
  PRIQ_IRQ_CFG0,
  PRIQ_IRQ_CFG1,
  PRIQ_IRQ_CFG2,
} from './registers.ts';

/** A field that is 0, and acknowledged to be, while the registers that it guards may be written (6.2). */
interface Guard {
  readonly control: typeof CR0 | typeof IRQ_CTRL;
  readonly ack: typeof CR0ACK | typeof IRQ_CTRLACK;
  readonly field: typeof CR0.SMMUEN;
}

const guardOf = (field: typeof CR0.SMMUEN): Guard => ({ control: CR0, ack: CR0ACK, field });
const guardOfInterrupts = (field: typeof CR0.SMMUEN): Guard => ({ control: IRQ_CTRL, ack: IRQ_CTRLACK, field });

const BY_SMMUEN = guardOf(CR0.SMMUEN);
const BY_CMDQEN = guardOf(CR0.CMDQEN);
const BY_EVENTQEN = guardOf(CR0.EVENTQEN);
const BY_PRIQEN = guardOf(CR0.PRIQEN);

/** CR1 has two groups of fields (6.3.11): TABLE_*, and QUEUE_*, which all queues guard. */
const TABLE_FIELDS = 0xfc0;
const QUEUE_FIELDS = 0x03f;

const GUARDED: readonly (readonly [guard: Guard, registers: readonly { offset: number; width: number }[]])[] = [
  [BY_SMMUEN, [CR2, STRTAB_BASE, STRTAB_BASE_CFG]],
  [BY_CMDQEN, [CMDQ_BASE, CMDQ_CONS]],
  [BY_EVENTQEN, [EVENTQ_BASE, EVENTQ_PROD]],
  [BY_PRIQEN, [PRIQ_BASE, PRIQ_PROD]],
  [guardOfInterrupts(IRQ_CTRL.GERROR_IRQEN), [GERROR_IRQ_CFG0, GERROR_IRQ_CFG1, GERROR_IRQ_CFG2]],
  [guardOfInterrupts(IRQ_CTRL.EVENTQ_IRQEN), [EVENTQ_IRQ_CFG0, EVENTQ_IRQ_CFG1, EVENTQ_IRQ_CFG2]],
  [guardOfInterrupts(IRQ_CTRL.PRIQ_IRQEN), [PRIQ_IRQ_CFG0, PRIQ_IRQ_CFG1, PRIQ_IRQ_CFG2]],
];

/** By offset of the 32-bit word. */
const GUARD: (Guard | undefined)[] = [];
for (const [guard, registers] of GUARDED)
  for (const { offset, width } of registers) for (let at = offset; at < offset + width / 8; at += 4) GUARD[at] = guard;

/**
 * Indexes that the SMMU keeps, which have no bits above the wrap bit: they read as zero, and are truncated where LOG2SIZE becomes less (6.3.28, 6.3.95,
 * 6.3.97). Those of software are stored as they are written.
 */
const INDEXES = [
  { base: CMDQ_BASE, register: CMDQ_CONS, field: CMDQ_CONS.RD, most: 'CMDQS' },
  { base: EVENTQ_BASE, register: EVENTQ_PROD, field: EVENTQ_PROD.WR, most: 'EVENTQS' },
  { base: PRIQ_BASE, register: PRIQ_PROD, field: PRIQ_PROD.WR, most: 'PRIQS' },
] as const;

const PAGE_1_REGISTERS: readonly number[] = [EVENTQ_PROD, EVENTQ_CONS, PRIQ_PROD, PRIQ_CONS].map(
  ({ offset }) => offset,
);

export class RegisterInterface {
  private readonly core: SmmuCore;
  private readonly control: GlobalControl;
  /** Fields that this SMMU has not, by offset of the word: RES0. */
  private readonly absent = new Map<number, number>();

  constructor(core: SmmuCore, control: GlobalControl) {
    this.core = core;
    this.control = control;
    this.declareAbsent();
  }

  private declareAbsent(): void {
    const { idr0 } = this.core.has;
    const lacks = (word: { offset: number }, field: { lo: number; hi: number }) => {
      for (let bit = field.lo; bit <= field.hi; bit++)
        this.absent.set(word.offset, (this.absent.get(word.offset) ?? 0) | (1 << bit));
    };
    if (idr0.Hyp === 0) lacks(CR2, CR2.E2H);
    if (idr0.BTM === 0) lacks(CR2, CR2.PTM);
    if (idr0.ATSRECERR === 0) lacks(CR2, CR2.REC_CFG_ATS);
    if (idr0.ST_LEVEL === 0) {
      lacks(STRTAB_BASE_CFG, STRTAB_BASE_CFG.FMT);
      lacks(STRTAB_BASE_CFG, STRTAB_BASE_CFG.SPLIT);
    }
    lacks(GERRORN, GERRORN.CMDQP_ERR);
    lacks(GERRORN, GERRORN.DPT_ERR);
    if (idr0.PRI === 0) for (const field of [GERRORN.PRIQ_ABT_ERR, GERRORN.MSI_PRIQ_ABT_ERR]) lacks(GERRORN, field);
    if (idr0.MSI === 0) {
      const { MSI_CMDQ_ABT_ERR, MSI_EVENTQ_ABT_ERR, MSI_GERROR_ABT_ERR, MSI_PRIQ_ABT_ERR } = GERRORN;
      for (const field of [MSI_CMDQ_ABT_ERR, MSI_EVENTQ_ABT_ERR, MSI_GERROR_ABT_ERR, MSI_PRIQ_ABT_ERR])
        lacks(GERRORN, field);
    }
  }

  /**
   * Where the register file has the word at an offset, or −1: registers of page 1 at the same offsets of page 0, and nothing else in page 1 (6.2).
   */
  private wordOf(offset: number): number {
    const isInPage1 = offset >= PAGE_1;
    const folded = isInPage1 ? offset - PAGE_1 : offset;
    if (folded >= REGISTER_BYTES || (isInPage1 && !PAGE_1_REGISTERS.includes(folded))) return -1;
    return folded;
  }

  /** Whether an access is one of those that an SMMU supports: 4 or 8 bytes, aligned (6.2). Others read as zero, and are dropped when written. */
  private isSupported(offset: number, size: number): boolean {
    return (
      (size === 4 || size === 8) && Number.isInteger(offset) && offset >= 0 && offset % size === 0 && offset < 2 ** 31
    );
  }

  /** What a read finds: of 8 bytes the lower word is read first. @param offset bytes from page 0. @param size 4 or 8 */
  read(offset: number, size: number): ReadValue {
    if (!this.isSupported(offset, size)) return { lo: 0, hi: 0 };
    return { lo: this.load(offset), hi: size === 8 ? this.load(offset + 4) : 0 };
  }

  private load(offset: number): number {
    const word = this.wordOf(offset);
    return word < 0 ? 0 : this.core.regs.load32(word);
  }

  /** A write; of 8 bytes the lower word is written first. @param lo bytes 3:0. @param hi bytes 7:4 */
  write(offset: number, size: number, lo: number, hi: number): void {
    if (!this.isSupported(offset, size)) return;
    this.store(offset, lo | 0);
    if (size === 8) this.store(offset + 4, hi | 0);
  }

  private isGuarded({ control, ack, field }: Guard): boolean {
    const { profile, regs } = this.core;
    return profile.guardsRegisters && (regs.get(control, field) !== 0 || regs.get(ack, field) !== 0);
  }

  private store(offset: number, written: number): void {
    const word = this.wordOf(offset);
    if (word < 0) return;
    const guard = GUARD[word];
    if (guard !== undefined && this.isGuarded(guard)) return;
    const { core, control } = this;
    const { regs } = core;
    const value = written & ~(this.absent.get(word) ?? 0);
    switch (word) {
      case CR0.offset:
        return control.writeCr0(value);
      case CR1.offset:
        return regs.write32(word, value, this.openFieldsOfCr1());
      case GBPA.offset:
        return control.writeGbpa(value);
      case AGBPA.offset:
        // What an implementation defines there, this one has not.
        return;
      case IRQ_CTRL.offset:
        return control.writeIrqCtrl(value);
      case GERRORN.offset:
      case EVENTQ_CONS.offset:
        regs.write32(word, value);
        return core.events.refresh();
      default:
        regs.write32(word, value);
        if (core.profile.guardsRegisters) this.truncateIndex(word);
    }
  }

  /** @param word which was written: an index, or the lower half of its queue's base */
  private truncateIndex(word: number): void {
    const { has, regs } = this.core;
    for (const { base, register, field, most } of INDEXES) {
      if (word !== base.offset && word !== register.offset) continue;
      const wrap = 1 << log2Of(regs.read32(base.offset), has.idr1[most]);
      regs.put(register, field, regs.get(register, field) & (2 * wrap - 1));
    }
  }

  private openFieldsOfCr1(): number {
    const queues = [BY_CMDQEN, BY_EVENTQEN, BY_PRIQEN].some((guard) => this.isGuarded(guard));
    return (this.isGuarded(BY_SMMUEN) ? 0 : TABLE_FIELDS) | (queues ? 0 : QUEUE_FIELDS);
  }
}
