/**
 * Root, context, PASID-directory and PASID-table entries of scalable mode (VT-d 3.4.3, 9.2, 9.4 – 9.6), as they are read: entries of up to
 * 128 bits at once, larger ones in aligned parts of 128 bits, lowest first (chapter 9). The order of checks in one entry, where the
 * specification gives none: presence, reserved bits, values.
 */
import { get } from '../../bits/index.ts';
import type { Memory } from '../../machine/index.ts';
import type { Capabilities } from './capabilities.ts';
import { SM_FAULT } from './scalable-faults.ts';
import type { ScalableReserved } from './scalable-reserved.ts';
import {
  SM_CONTEXT_ENTRY as CONTEXT,
  PASID_DIRECTORY_ENTRY as DIRECTORY,
  PASID_TABLE_ENTRY as ENTRY,
  PGTT,
} from './scalable-structures.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { STAGE } from './scalable-walk.ts';
import { STEP } from './walk.ts';

/** 64-bit words of an entry. */
export const CONTEXT_WORDS = 4;
export const ENTRY_WORDS = 8;

export class ScalableTables {
  private readonly memory: Memory;
  private readonly has: Capabilities;
  private readonly reserved: ScalableReserved;
  /** The part that was read last, up to six words, in its place. */
  readonly halves = new Int32Array(2 * ENTRY_WORDS);
  /** Upper parts of page numbers from here on are beyond the second stage's width, by AW. */
  private readonly vpnHiLimit: Int32Array;
  /** 1 where flags are set without snooping (a decision of the profile): as if paging entries were snooped. */
  private readonly unsnooped: number;

  constructor(
    memory: Memory,
    has: Capabilities,
    reserved: ScalableReserved,
    vpnHiLimit: Int32Array,
    setsUnsnoopedFlags: boolean,
  ) {
    this.unsnooped = setsUnsnoopedFlags ? 1 : 0;
    this.memory = memory;
    this.has = has;
    this.reserved = reserved;
    this.vpnHiLimit = vpnHiLimit;
  }

  /** Reads words `from` … `from + count − 1` of a structure into their places in {@link halves}. @returns false where nothing decodes */
  private read(walk: ScalableWalk, at: number, from: number, count: number): boolean {
    const { halves, memory } = this;
    for (let i = from; i < from + count; i++) {
      const found = memory.locate(walk.pfnHi * 0x100000 + walk.pfnLo, at + i);
      if (found < 0) return false;
      halves[2 * i] = memory.lo(found);
      halves[2 * i + 1] = memory.hi(found);
    }
    walk.entryLo = halves[2 * from];
    walk.entryHi = halves[2 * from + 1];
    return true;
  }

  /** Whether a bit of words `from` … `to` that must be 0 is set. */
  private wrong(masks: Int32Array, from: number, to: number): boolean {
    for (let i = 2 * from; i <= 2 * to + 1; i++) if ((this.halves[i] & masks[i]) !== 0) return true;
    return false;
  }

  /** SRT.1 – 3. The other half of the entry is other devices': what it says does not matter. */
  root(walk: ScalableWalk): number {
    const { halves } = this;
    if (!this.read(walk, (walk.sid >>> 8) * 2, 0, 2)) return refuse(walk, SM_FAULT.rootAccess);
    const half = (walk.sid >>> 7) & 1;
    if ((halves[2 * half] & 1) === 0) return refuse(walk, SM_FAULT.rootNotPresent);
    if (this.wrong(this.reserved.root, half, half)) return refuse(walk, SM_FAULT.rootReserved);
    walk.takePointer(halves[2 * half], halves[2 * half + 1]);
    walk.stage = STAGE.context;
    return STEP.more;
  }

  /** The lower half of the context entry. FPD counts whatever P is. */
  context(walk: ScalableWalk): number {
    const { halves } = this;
    if (!this.read(walk, (walk.sid & 0x7f) * CONTEXT_WORDS, 0, 2)) return refuse(walk, SM_FAULT.contextAccess);
    walk.fpd = get(CONTEXT.FPD, halves) !== 0;
    if (get(CONTEXT.P, halves) === 0) return refuse(walk, SM_FAULT.contextNotPresent);
    if (this.wrong(this.reserved.context, 0, 1)) return refuse(walk, SM_FAULT.contextReserved);
    walk.ridPasid = get(CONTEXT.RID_PASID, halves);
    walk.ridPriv = get(CONTEXT.RID_PRIV, halves);
    walk.pdts = get(CONTEXT.PDTS, halves);
    walk.paside = get(CONTEXT.PASIDE, halves);
    walk.dte = get(CONTEXT.DTE, halves);
    walk.pre = get(CONTEXT.PRE, halves);
    walk.directoryHi = halves[1] & 0xfffff;
    walk.directoryLo = halves[0] >>> 12;
    walk.stage = STAGE.contextHigh;
    return STEP.more;
  }

  /** The upper half, in which nothing may be set; then what the whole entry says (SCT.4 – 9). */
  contextHigh(walk: ScalableWalk): number {
    if (!this.read(walk, (walk.sid & 0x7f) * CONTEXT_WORDS, 2, 2)) return refuse(walk, SM_FAULT.contextAccess);
    if (this.wrong(this.reserved.context, 2, 3)) return refuse(walk, SM_FAULT.contextReserved);
    if (walk.pre === 1 && walk.dte === 0) return refuse(walk, SM_FAULT.contextInvalid);
    if (walk.ridPasid >>> (walk.pdts + 13) !== 0) return refuse(walk, SM_FAULT.contextInvalid);
    return this.select(walk);
  }

  /** The context entry is known, read or cached: under which PASID the request is translated (SCT.6, SCT.7, SCT.9, SGN.10). */
  select(walk: ScalableWalk): number {
    walk.pfnHi = walk.directoryHi;
    walk.pfnLo = walk.directoryLo;
    walk.stage = STAGE.directory;
    walk.tablePasid = walk.ridPasid;
    walk.supervisor = walk.ridPriv === 1;
    if (walk.pasid < 0) return STEP.more;
    if (walk.paside === 0) return refuse(walk, SM_FAULT.pasidDisabled);
    if (walk.pasid >>> (this.has.ecap.PSS + 1) !== 0) return refuse(walk, SM_FAULT.pasidTooLarge);
    if (walk.pasid >>> (walk.pdts + 13) !== 0) return refuse(walk, SM_FAULT.pasidBeyondDirectory);
    if (walk.pasid === walk.ridPasid) return refuse(walk, SM_FAULT.pasidIsOfRequester);
    walk.tablePasid = walk.pasid;
    walk.supervisor = walk.privileged;
    return STEP.more;
  }

  /** SPD.1 – 3. */
  directory(walk: ScalableWalk): number {
    const { halves } = this;
    // The directory may be longer than a page.
    const index = walk.tablePasid >>> 6;
    const table = walk.pfnHi * 0x100000 + walk.pfnLo + (index >>> 9);
    const at = this.memory.locate(table, index & 511);
    if (at < 0) return refuse(walk, SM_FAULT.directoryAccess);
    halves[0] = walk.entryLo = this.memory.lo(at);
    halves[1] = walk.entryHi = this.memory.hi(at);
    walk.fpd ||= get(DIRECTORY.FPD, halves) !== 0;
    if (get(DIRECTORY.P, halves) === 0) return refuse(walk, SM_FAULT.directoryNotPresent);
    if (this.wrong(this.reserved.directory, 0, 0)) return refuse(walk, SM_FAULT.directoryReserved);
    walk.takePointer(halves[0], halves[1]);
    walk.stage = STAGE.entry;
    return STEP.more;
  }

  /** The first quarter of the PASID-table entry. */
  entry(walk: ScalableWalk): number {
    const { halves } = this;
    if (!this.read(walk, (walk.tablePasid & 63) * ENTRY_WORDS, 0, 2)) return refuse(walk, SM_FAULT.entryAccess);
    walk.fpd ||= get(ENTRY.FPD, halves) !== 0;
    if (get(ENTRY.P, halves) === 0) return refuse(walk, SM_FAULT.entryNotPresent);
    if (this.wrong(this.reserved.entry, 0, 1)) return refuse(walk, SM_FAULT.entryReserved);
    walk.pgtt = get(ENTRY.PGTT, halves);
    walk.aw = get(ENTRY.AW, halves);
    walk.ssade = get(ENTRY.SSADE, halves);
    walk.did = get(ENTRY.DID, halves);
    walk.snooped = get(ENTRY.PWSNP, halves) | this.unsnooped;
    walk.secondTopHi = halves[1] & 0xfffff;
    walk.secondTopLo = halves[0] >>> 12;
    walk.stage = STAGE.entryHigh;
    return STEP.more;
  }

  /** The other quarters; then what the whole entry says (SPT.4). The entry is good for the PASID cache then. */
  entryHigh(walk: ScalableWalk): number {
    const { halves } = this;
    if (!this.read(walk, (walk.tablePasid & 63) * ENTRY_WORDS, 2, 6)) return refuse(walk, SM_FAULT.entryAccess);
    if (this.wrong(this.reserved.entry, 2, 7)) return refuse(walk, SM_FAULT.entryReserved);
    walk.sre = get(ENTRY.SRE, halves);
    walk.fspm = get(ENTRY.FSPM, halves);
    walk.wpe = get(ENTRY.WPE, halves);
    walk.eafe = get(ENTRY.EAFE, halves);
    walk.firstTopHi = halves[5] & 0xfffff;
    walk.firstTopLo = halves[4] >>> 12;
    if (!this.isValid(walk)) return refuse(walk, SM_FAULT.entryInvalid);
    walk.pfnHi = 0;
    walk.pfnLo = 0;
    walk.stage = STAGE.known;
    return STEP.more;
  }

  /** SPT.4.1 – 4.4; FSPM is not said to be ignored in any entry. */
  private isValid(walk: ScalableWalk): boolean {
    const { cap, ecap } = this.has;
    const { aw, fspm, pgtt } = walk;
    const supported =
      (pgtt === PGTT.firstStage && ecap.FSTS === 1) ||
      (pgtt === PGTT.secondStage && ecap.SSTS === 1) ||
      (pgtt === PGTT.nested && ecap.NEST === 1) ||
      (pgtt === PGTT.passThrough && ecap.PT === 1);
    if (!supported) return false;
    const second = pgtt === PGTT.secondStage || pgtt === PGTT.nested;
    if (second && ((cap.SAGAW >>> aw) & 1) === 0) return false;
    if (fspm > cap.FS5LP) return false;
    if (pgtt !== PGTT.nested) return true;
    return frameVpnHi(walk.firstTopHi, walk.firstTopLo) < this.vpnHiLimit[aw];
  }
}

/** Upper part, bits above 18, of a page number that comes as a frame's: upper and lower 20 bits. */
export function frameVpnHi(pfnHi: number, pfnLo: number): number {
  return (pfnHi << 2) | (pfnLo >>> 18);
}

/** The walk ends in a fault. */
export function refuse(walk: ScalableWalk, reason: number): number {
  walk.fault = reason;
  return STEP.fault;
}
