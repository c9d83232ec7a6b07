/** The unit's registers as software sees them (VT-d 11.2, 11.4): accesses of any size, and what a write sets off. */
import type { ReadValue } from '../kit/access.ts';
import { isAccess, readBytes, writeBytes } from '../kit/access.ts';
import type { VtdCore } from './core.ts';
import { FAULT_EVENT, INVALIDATION_EVENT, PAGE_REQUEST_EVENT, sendPending, settleEvents } from './events.ts';
import { refreshPending } from './fault-records.ts';
import type { GlobalCommands } from './global-command.ts';
import type { RegisterInvalidation } from './register-invalidation.ts';
import { CCMD, FECTL, FRCD_BYTES, FSTS, GCMD, ICS, IECTL, PECTL, PMEN, PQT, PRS } from './registers.ts';

/** The byte of a register's upper half whose write starts the command in it. */
const UPPERMOST_BYTE = 0xff << 24;

/** Registers whose reads push page requests (7.5), bytes from … to − 1. */
const PUSHING = [
  { from: PQT.offset, to: PQT.offset + 8 },
  { from: PRS.offset, to: PRS.offset + 4 },
  { from: PECTL.offset, to: PECTL.offset + 4 },
];

export class RegisterInterface {
  private readonly core: VtdCore;
  private readonly commands: GlobalCommands;
  private readonly invalidations: RegisterInvalidation;
  private readonly load = (offset: number) => this.core.regs.load32(offset);
  private readonly store = (offset: number, value: number, lanes: number) => this.store32(offset, value, lanes);

  constructor(core: VtdCore, commands: GlobalCommands, invalidations: RegisterInvalidation) {
    this.core = core;
    this.commands = commands;
    this.invalidations = invalidations;
  }

  /**
   * A read of `size` bytes at a byte offset, done as the double-words that it touches, lowest first. What is no access
   * of 1 to 8 bytes, and bytes of no register, read as zero.
   */
  read(offset: number, size: number): ReadValue {
    if (!isAccess(offset, size)) return { lo: 0, hi: 0 };
    if (PUSHING.some((at) => offset < at.to && offset + size > at.from)) this.onPageRequestRead();
    return this.peek(offset, size);
  }

  /** Set by who has page requests under way: what a read of PQT, PRS or PECTL pushes is delivered before it is answered (7.5). */
  onPageRequestRead: () => void = () => {};

  /** As {@link read}, for who only wants to know what a read would find: it pushes nothing. */
  peek(offset: number, size: number): ReadValue {
    if (!isAccess(offset, size)) return { lo: 0, hi: 0 };
    if ((offset & 3) === 0 && size === 4) return { lo: this.load(offset), hi: 0 };
    return readBytes(offset, size, this.load);
  }

  /**
   * A write, done likewise; bytes that it does not carry stay as they are. What is no access is dropped.
   * @param lo bytes 3:0. @param hi bytes 7:4
   */
  write(offset: number, size: number, lo: number, hi: number): void {
    if (!isAccess(offset, size)) return;
    if ((offset & 3) === 0 && (size === 4 || size === 8)) {
      this.store32(offset, lo | 0, -1);
      if (size === 8) this.store32(offset + 4, hi | 0, -1);
    } else writeBytes(offset, size, lo, hi, this.store);
  }

  private store32(offset: number, value: number, lanes: number): void {
    const { core } = this;
    const { IOTLB, records } = core.has;
    if (offset === GCMD.offset) return this.commands.command(value, lanes);
    if (this.isOwned(offset)) return;
    core.regs.write32(offset, value, lanes);
    switch (offset) {
      case CCMD.offset + 4:
        // The act of writing the uppermost byte with ICC set (11.4.6.1), and with IVT set (11.4.6.3).
        if (value < 0 && (lanes & UPPERMOST_BYTE) !== 0) this.invalidations.requestContext();
        return;
      case IOTLB.offset + 4:
        if (value < 0 && (lanes & UPPERMOST_BYTE) !== 0) this.invalidations.requestIotlb();
        return;
      case FECTL.offset:
        return sendPending(core, FAULT_EVENT);
      case IECTL.offset:
        if (core.has.ecap.QI === 1) sendPending(core, INVALIDATION_EVENT);
        return;
      case PECTL.offset:
        if (core.has.ecap.PRS === 1) sendPending(core, PAGE_REQUEST_EVENT);
        return;
      case PRS.offset:
      case FSTS.offset:
      case ICS.offset:
        return settleEvents(core);
      case PMEN.offset:
        if (core.has.cap.PLMR === 1 || core.has.cap.PHMR === 1) this.commands.protect();
        return;
      default: {
        const inRecords = offset - records[0].LO.offset;
        if (inRecords < 0 || inRecords >= records.length * FRCD_BYTES || inRecords % FRCD_BYTES !== 12) return;
        refreshPending(core);
        settleEvents(core);
      }
    }
  }

  /** Whether a register is hardware's own until the command in it is complete (6.9): a write is dropped. */
  private isOwned(offset: number): boolean {
    const { regs, has } = this.core;
    const { IVA, IOTLB } = has;
    if (offset === CCMD.offset || offset === CCMD.offset + 4) return regs.get(CCMD, CCMD.ICC) === 1;
    const iotlb = offset >= IVA.offset && offset < IOTLB.offset + 8;
    return iotlb && regs.get(IOTLB, IOTLB.IVT) === 1;
  }
}
