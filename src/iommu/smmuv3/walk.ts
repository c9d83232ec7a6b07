/**
 * Walks of VMSAv8-64 tables, a descriptor at a time and either stage by the same function (IHI 0070, 3.4, 3.13, 7.3.22, 13.4; DDI 0487, D8).
 * Emulation loops over it, the explorer calls it once a step.
 */
import type { Memory } from '../../machine/index.ts';
import { WRITES } from './cache-entries.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { CD_TAG, CONTROL } from './configuration.ts';
import { EVENT, RIGHT } from './event-record.ts';
import { LAST_LEVEL } from './geometry.ts';

/** Outcome of a descriptor. `update`: flags of it are to be set, see {@link StageWalk.update}. */
export const STEP = { more: 0, done: 1, update: 2, fault: 3 } as const;

// Again as this module's own, which V8 folds.
const { F_WALK_EABT, F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION } = EVENT;
const { uR: UR, uW: UW, uX: UX, pR: PR, pW: PW, pX: PX } = RIGHT;
const MORE = STEP.more;
const DONE = STEP.done;
const UPDATE = STEP.update;
const FAULT = STEP.fault;
const LAST = LAST_LEVEL;

/** Bits of a descriptor's lower half and, from DBM on, of its upper half (DDI 0487, D8.3.1); where bits 62:59 of a stage-1 table are there. */
export const DESCRIPTOR = {
  ...{ AP_READ_ONLY: 1 << 7, AP_UNPRIVILEGED: 1 << 6, S2AP_READ: 1 << 6, S2AP_WRITE: 1 << 7 },
  ...{ AF: 1 << 10, NOT_GLOBAL: 1 << 11, NT: 1 << 16 },
  ...{ DBM: 1 << 19, CONTIGUOUS: 1 << 20, PXN: 1 << 21, UXN: 1 << 22, HIERARCHY_SHIFT: 27 },
} as const;
const { AP_READ_ONLY, AP_UNPRIVILEGED, S2AP_READ, S2AP_WRITE, AF, NOT_GLOBAL, NT } = DESCRIPTOR;
const { DBM, CONTIGUOUS, PXN, UXN, HIERARCHY_SHIFT } = DESCRIPTOR;
/** What becomes of bits 62:59 in `restrict`. */
const RESTRICT = { pxn: 1, uxn: 2, unprivileged: 4, write: 8 } as const;

/** Of `StageWalk.flags`, besides what a CD's tag has: there is no unprivileged access (EL2 without E2H). */
export const SINGLE_PRIVILEGE = 1 << 16;
const WXN = 1 << CD_TAG.wxn;
const PAN = 1 << CD_TAG.pan;
const EPAN = 1 << CD_TAG.epan;

function swap(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** Rights by a stage-1 leaf, `lo` with the AP[2] that is in effect (13.4.1; DDI 0487, D8.4). */
export function stage1Rights(lo: number, hi: number, restrict: number, flags: number): number {
  const mayWrite = (lo & AP_READ_ONLY) === 0 && (restrict & RESTRICT.write) === 0;
  if ((flags & SINGLE_PRIVILEGE) !== 0) {
    let rights = mayWrite ? UR | UW | PR | PW : UR | PR;
    const executes = (hi & UXN) === 0 && (restrict & RESTRICT.uxn) === 0;
    if (executes && !((flags & WXN) !== 0 && mayWrite)) rights |= UX | PX;
    return rights;
  }
  const unprivileged = (lo & AP_UNPRIVILEGED) !== 0 && (restrict & RESTRICT.unprivileged) === 0;
  let rights = PR;
  if (mayWrite) rights |= PW;
  if (unprivileged) rights |= mayWrite ? UR | UW : UR;
  if ((hi & UXN) === 0 && (restrict & RESTRICT.uxn) === 0) rights |= UX;
  // What unprivileged accesses may write privileged ones may not execute.
  if ((hi & PXN) === 0 && (restrict & RESTRICT.pxn) === 0 && (rights & UW) === 0) rights |= PX;
  if ((flags & PAN) !== 0 && (rights & ((flags & EPAN) !== 0 ? UR | UW | UX : UR | UW)) !== 0) rights &= ~(PR | PW);
  if ((flags & WXN) !== 0) {
    if ((rights & UW) !== 0) rights &= ~UX;
    if ((rights & PW) !== 0) rights &= ~PX;
  }
  return rights;
}

/** DDI 0487, D8.4: read, write and execute by themselves; XN[1:0] with XNX, else bit 54 alone. */
export function stage2Rights(lo: number, hi: number, xnx: boolean): number {
  let rights = 0;
  if ((lo & S2AP_READ) !== 0) rights |= UR | PR;
  if ((lo & S2AP_WRITE) !== 0) rights |= UW | PW;
  const xn = (hi & UXN) !== 0;
  const other = xnx && (hi & PXN) !== 0;
  // 00 all, 01 unprivileged, 10 none, 11 privileged.
  if (!xn) rights |= other ? UX : UX | PX;
  else if (other) rights |= PX;
  return rights;
}

export class StageWalk {
  private readonly second: boolean;
  /** IDR3.XNX: stage 2 tells privileged from unprivileged execution. */
  private readonly xnx: boolean;
  /** Blocks of level 1 with 64 KiB, and bits 51:48 of addresses in bits 15:12 (DDI 0487, FEAT_LPA). */
  private readonly wide: boolean;

  /** See {@link CONTROL}. */
  control = 0;
  /** What a CD's tag says of rights. */
  flags = 0;
  /** Level of the descriptor that is read next, or was read last. */
  level = 0;
  /** The table that it is in; of stage 1 an IPA if stage 2 translates. */
  tableHi = 0;
  tableLo = 0;
  /** The address that is translated. */
  inHi = 0;
  inLo = 0;
  /** Rights that are wanted, see {@link RIGHT}; and of those that make a writable-clean page dirty, if it grants them. */
  want = 0;
  dirties = 0;
  /** Hierarchical attributes of the tables so far, see {@link RESTRICT}. */
  restrict = 0;
  /** Where the descriptor is. */
  fetchHi = 0;
  fetchLo = 0;
  /** The descriptor, as a little-endian one; what it is to become. */
  lo = 0;
  hi = 0;
  newLo = 0;
  /** Of a leaf: where it leads, the address's place in it included; log2 of its bytes; the rights that it grants as it is. */
  outHi = 0;
  outLo = 0;
  bits = 0;
  rights = 0;
  /** Of stage 2: what it gave last was in a cache. */
  cached = false;
  /** After {@link STEP}.fault. */
  event = 0;
  /** Whether the fault is one of reading: a write that may be written, but not read as it has to be (13.1.1). */
  faultsRead = false;

  constructor(has: SmmuCapabilities, second: boolean) {
    this.second = second;
    this.xnx = has.idr3.XNX === 1;
    this.wide = has.oas === 52;
  }

  get granule(): number {
    return (this.control >>> CONTROL.granule) & 31;
  }

  /** Bits of the input address that a descriptor of the level leaves. */
  get covers(): number {
    const granule = (this.control >>> CONTROL.granule) & 31;
    return granule + (granule - 3) * (LAST - this.level);
  }

  /** Begins at the first level. @param control see {@link CONTROL} */
  begin(control: number, tableHi: number, tableLo: number): void {
    this.control = control;
    this.level = (control >>> CONTROL.level) & 3;
    this.tableHi = tableHi;
    this.tableLo = tableLo;
    this.restrict = 0;
  }

  /** Finds where the descriptor of the level is. */
  locate(): void {
    const { control, inHi, inLo, level } = this;
    const granule = (control >>> CONTROL.granule) & 31;
    const stride = granule - 3;
    const shift = granule + stride * (LAST - level);
    // The first level has as many descriptors as the input has bits for it, up to 16 tables of them.
    const width = level === ((control >>> CONTROL.level) & 3) ? (control & 63) - shift : stride;
    const from = shift >= 32 ? inHi >>> (shift - 32) : (inLo >>> shift) | (inHi << (32 - shift));
    this.fetchHi = this.tableHi;
    this.fetchLo = this.tableLo | ((from & ((1 << width) - 1)) << 3);
  }

  /**
   * Reads the descriptor and acts on it.
   * @param hi where it is in memory: of stage 1 with stage 2 what that has made of {@link fetchHi}, {@link fetchLo}
   */
  read(memory: Memory, hi: number, lo: number): number {
    const at = memory.locate(hi * 0x100000 + (lo >>> 12), (lo >>> 3) & 511);
    if (at < 0) return this.fault(F_WALK_EABT);
    if (((this.control >>> CONTROL.endi) & 1) === 0) return this.act(memory.lo(at), memory.hi(at));
    return this.act(swap(memory.hi(at)), swap(memory.lo(at)));
  }

  private fault(event: number): number {
    this.event = event;
    return FAULT;
  }

  /** The order is that of 7.3.22. */
  private act(lo: number, hi: number): number {
    const { control, level } = this;
    this.lo = lo;
    this.hi = hi;
    if ((lo & 1) === 0) return this.fault(F_TRANSLATION);
    const granule = (control >>> CONTROL.granule) & 31;
    const isTable = (lo & 2) !== 0 && level !== LAST;
    if (!isTable && (lo & 2) === 0 && !this.hasBlocks(granule, level)) return this.fault(F_TRANSLATION);
    const bits = granule + (granule - 3) * (LAST - level);
    let outHi = hi & 0xffff;
    let outLo = lo & (-1 << granule);
    if (this.wide && granule === 16) outHi |= ((lo >>> 12) & 15) << 16;
    if (!isTable) {
      if (bits >= 32) {
        outHi &= -1 << (bits - 32);
        outLo = 0;
      } else outLo &= -1 << bits;
    }
    const output = (control >>> CONTROL.output) & 63;
    if (outHi >>> (output - 32) !== 0) return this.fault(F_ADDR_SIZE);
    if (!isTable) return this.leaf(lo, hi, bits, outHi, outLo);
    this.tableHi = outHi;
    this.tableLo = outLo;
    if (!this.second && ((control >>> CONTROL.had) & 1) === 0) this.restrict |= (hi >>> HIERARCHY_SHIFT) & 15;
    this.level = level + 1;
    return MORE;
  }

  /** Whether a block can be at a level (DDI 0487, AArch64.BlockDescSupported, without FEAT_LPA2). */
  private hasBlocks(granule: number, level: number): boolean {
    if (level === LAST) return false;
    if (level === 2) return true;
    if (level === 1) return granule === 12 || (granule === 16 && this.wide);
    return false;
  }

  private leaf(lo: number, hi: number, bits: number, outHi: number, outLo: number): number {
    const { control, dirties, second, want } = this;
    this.bits = bits;
    this.outHi = bits <= 32 ? outHi : outHi | (this.inHi & ~(-1 << (bits - 32)));
    this.outLo = bits >= 32 ? this.inLo : outLo | (this.inLo & ~(-1 << bits));
    let next = lo;
    if ((lo & AF) === 0) {
      if (((control >>> CONTROL.ha) & 1) !== 0) next |= AF;
      else if (((control >>> CONTROL.affd) & 1) === 0) return this.fault(F_ACCESS);
    }
    // 3.13.3: with DBM a page is as good as writable, and marked so when it is written.
    const managed = ((control >>> CONTROL.hd) & 1) !== 0 && (hi & DBM) !== 0;
    let clean = false;
    let asWritable = lo;
    if (managed) {
      clean = second ? (lo & S2AP_WRITE) === 0 : (lo & AP_READ_ONLY) !== 0;
      asWritable = second ? lo | S2AP_WRITE : lo & ~AP_READ_ONLY;
    }
    const rights = second
      ? stage2Rights(asWritable, hi, this.xnx)
      : stage1Rights(asWritable, hi, this.restrict, this.flags);
    const lacks = want & ~rights;
    if (lacks !== 0) {
      this.faultsRead = (lacks & WRITES) === 0;
      return this.fault(F_PERMISSION);
    }
    if (clean && (rights & dirties) !== 0) {
      next = second ? next | S2AP_WRITE : next & ~AP_READ_ONLY;
      clean = false;
    }
    this.rights = clean ? rights & ~WRITES : rights;
    this.newLo = next;
    return next === lo ? DONE : UPDATE;
  }

  /** Sets the flags of what was read in this step, atomically with it (3.13). @param hi as of {@link read} */
  update(memory: Memory, hi: number, lo: number): void {
    const at = memory.locate(hi * 0x100000 + (lo >>> 12), (lo >>> 3) & 511);
    if (((this.control >>> CONTROL.endi) & 1) !== 0) memory.write(at, swap(this.hi), swap(this.newLo));
    else memory.write(at, this.newLo, this.hi);
    this.lo = this.newLo;
  }

  /** Of a leaf of stage 1: every ASID has it. */
  get global(): boolean {
    return (this.lo & NOT_GLOBAL) === 0;
  }

  /** Of a leaf: a block with nT (3.21.1.1). */
  get notCached(): boolean {
    return this.level !== LAST && (this.lo & NT) !== 0;
  }

  get contiguous(): boolean {
    return (this.hi & CONTIGUOUS) !== 0;
  }

  /** Of a leaf of stage 2: any Device type (STE.S2PTW; MemAttr with and without FWB, DDI 0487, D8.5). */
  get device(): boolean {
    return ((this.control >>> CONTROL.fwb) & 1) !== 0 ? (this.lo & 0x10) === 0 : (this.lo & 0x30) === 0;
  }
}
