/**
 * First-stage translation (VT-d 3.6, 9.7), one paging entry at a time. In one entry presence comes before privilege, that before the write
 * right, that before reserved bits (the specification gives no order; this is QEMU's). Flags are set in the step that reads the entry, so
 * that both are one atomic operation; only the dirty flag of a nested leaf has to wait until the second stage has granted the page.
 */
import type { Memory } from '../../machine/index.ts';
import { REQUEST } from './request.ts';
import { SM_FAULT } from './scalable-faults.ts';
import type { ScalableReserved } from './scalable-reserved.ts';
import { FS_PAGE, PGTT } from './scalable-structures.ts';
import { frameVpnHi, refuse } from './scalable-tables.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { FILL, FIRST, PURPOSE, STAGE } from './scalable-walk.ts';
import { indexAt, isInterruptFrame, STEP } from './walk.ts';

const A = 1 << FS_PAGE.A.lo;
const D = 1 << FS_PAGE.D.lo;
const EA = 1 << FS_PAGE.EA.lo;
const PS = 1 << FS_PAGE.PS.lo;
const P = 1;
const WRITE = REQUEST.write;
// Again as this module's own, which V8 folds (see `caches.ts`).
const index = indexAt;
const leadsToInterrupts = isInterruptFrame;
const { more: MORE, done: DONE } = STEP;
const { nested: NESTED } = PGTT;
const { first: FILL_FIRST } = FILL;
const { page: PAGE, table: TABLE } = PURPOSE;
const { rw: RW, us: US } = FIRST;
const { first: AT_FIRST, second: AT_SECOND } = STAGE;

export class FirstStage {
  private readonly memory: Memory;
  private readonly tableReservedLo: Int32Array;
  private readonly leafReservedLo: Int32Array;
  private readonly reservedHi: number;
  private readonly vpnHiLimit: Int32Array;

  constructor(memory: Memory, reserved: ScalableReserved, vpnHiLimit: Int32Array) {
    this.memory = memory;
    this.tableReservedLo = reserved.firstTableLo;
    this.leafReservedLo = reserved.firstLeafLo;
    this.reservedHi = reserved.firstHi;
    this.vpnHiLimit = vpnHiLimit;
  }

  /** Whether the address is sign-extended from bit 47, or 56 (SGN.1). @param vpnHi address bits 61:30, those above being equal to bit 61 */
  static isCanonical(vpnHi: number, fspm: number): boolean {
    const above = vpnHi >> (fspm === 0 ? 17 : 26);
    return above === 0 || above === -1;
  }

  /** SFS.1 – 9, SGN.2, SGN.6, SGN.8. */
  entry(walk: ScalableWalk): number {
    const { level } = walk;
    const table = walk.pfnHi === 0 ? walk.pfnLo : walk.pfnHi * 0x100000 + walk.pfnLo;
    const at = this.memory.locate(table, index(level, walk.vpnHi, walk.vpnLo));
    if (at < 0) return refuse(walk, level === 4 + walk.fspm ? SM_FAULT.firstTopAccess : SM_FAULT.firstAccess);
    const lo = this.memory.lo(at);
    const hi = this.memory.hi(at);
    walk.entryLo = lo;
    walk.entryHi = hi;
    if ((lo & P) === 0) return refuse(walk, SM_FAULT.firstNotPresent);
    const rights = walk.firstRights & (lo >>> 1);
    const missing = missingFirst(walk, rights);
    if (missing !== 0) return refuse(walk, missing);
    const leaf = level === 1 || (lo & PS) !== 0;
    if (((lo & (leaf ? this.leafReservedLo : this.tableReservedLo)[level]) | (hi & this.reservedHi)) !== 0)
      return refuse(walk, SM_FAULT.firstReserved);
    const nested = walk.pgtt === NESTED;
    // Bits below a large page's size are the PAT bit at most.
    const pfnHi = hi & 0xfffff;
    const pfnLo = leaf ? (lo >>> 12) & (-1 << (9 * (level - 1))) : lo >>> 12;
    if (nested && frameVpnHi(pfnHi, pfnLo) >= this.vpnHiLimit[walk.aw]) return refuse(walk, SM_FAULT.firstBeyondWidth);
    const page = leaf ? pfnLo | (walk.vpnLo & ((1 << (9 * (level - 1))) - 1)) : pfnLo;
    if (leaf && !nested && leadsToInterrupts(pfnHi, page)) return refuse(walk, SM_FAULT.interruptRange);

    const dirties = leaf && (walk.access & WRITE) !== 0;
    const flags = A | (walk.eafe === 1 ? EA : 0);
    const unset = (flags | (dirties ? D : 0)) & ~lo;
    if (unset !== 0) {
      if (walk.snooped === 0) return refuse(walk, SM_FAULT.firstFlagsNoSnoop);
      if (nested && (walk.tableRights & WRITE) === 0) return refuse(walk, SM_FAULT.firstFlagsWrite);
      const now = lo | (nested ? flags : unset);
      if (now !== lo) this.memory.write(at, now, hi);
    }

    walk.firstRights = rights;
    walk.level = level - 1;
    if (!leaf) {
      if (nested) this.nest(walk, TABLE, pfnHi, pfnLo);
      else {
        walk.pfnHi = pfnHi;
        walk.pfnLo = pfnLo;
        walk.fill = FILL_FIRST;
        walk.fillLevel = level;
      }
      return MORE;
    }
    walk.leafLevel = level;
    walk.pageLevel = level;
    walk.dirty = ((lo | unset) & D) !== 0 ? 1 : 0;
    if (nested) {
      if ((unset & D) !== 0) {
        walk.leafLo = lo | flags;
        walk.leafHi = hi;
        walk.leafTableHi = walk.pfnHi;
        walk.leafTableLo = walk.pfnLo;
      }
      this.nest(walk, PAGE, pfnHi, page);
      return MORE;
    }
    walk.pfnHi = pfnHi;
    walk.pfnLo = page;
    return DONE;
  }

  /** An address of the first stage is to be translated by the second (3.8). @param pfnHi upper 20 bits of its page number, `pfnLo` lower 20 */
  nest(walk: ScalableWalk, purpose: number, pfnHi: number, pfnLo: number): void {
    walk.purpose = purpose;
    walk.inHi = frameVpnHi(pfnHi, pfnLo);
    walk.inLo = pfnLo & 0x3ffff;
    walk.pfnHi = walk.secondTopHi;
    walk.pfnLo = walk.secondTopLo;
    walk.secondLevel = walk.aw + 2;
    walk.perms = 3;
    walk.stage = AT_SECOND;
    walk.began = true;
  }

  /**
   * The page is granted: the leaf that led there becomes dirty if it is still the same; else it is read again, as the atomic operation that
   * was to set the flag fails.
   */
  dirty(walk: ScalableWalk): number {
    const at = this.unchangedLeaf(walk);
    if (at < 0) {
      walk.pfnHi = walk.leafTableHi;
      walk.pfnLo = walk.leafTableLo;
      walk.level = walk.leafLevel;
      walk.leafLevel = 0;
      walk.leafLo = 0;
      walk.leafHi = 0;
      walk.leafTableHi = 0;
      walk.leafTableLo = 0;
      walk.stage = AT_FIRST;
      return MORE;
    }
    const flags = A | D | (walk.eafe === 1 ? EA : 0);
    this.memory.write(at, this.memory.lo(at) | flags, walk.leafHi);
    walk.dirty = 1;
    return DONE;
  }

  /** Where the leaf is whose dirty flag is to be set; −1 where it is not the one that was read any more, but for flags. */
  unchangedLeaf(walk: ScalableWalk): number {
    const { memory } = this;
    const table = walk.leafTableHi * 0x100000 + walk.leafTableLo;
    const at = memory.locate(table, index(walk.leafLevel, walk.vpnHi, walk.vpnLo));
    const same = at >= 0 && ((memory.lo(at) ^ walk.leafLo) & ~(A | D | EA)) === 0 && memory.hi(at) === walk.leafHi;
    return same ? at : -1;
  }
}

/** The reason for which rights of the first stage are not enough; 0 where they are (3.6.1). @param rights see {@link FIRST} */
export function missingFirst(walk: ScalableWalk, rights: number): number {
  if (!walk.supervisor && (rights & US) === 0) return SM_FAULT.privilege;
  const writes = (walk.access & WRITE) !== 0 && (!walk.supervisor || walk.wpe === 1);
  return writes && (rights & RW) === 0 ? SM_FAULT.write : 0;
}
