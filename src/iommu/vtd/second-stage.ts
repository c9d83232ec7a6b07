/**
 * Second-stage translation in scalable mode (VT-d 3.7, 3.8, 9.8), one paging entry at a time: of a request, of a first-stage table or of
 * the page that the first stage gives. Rights come before reserved bits, as in legacy mode.
 */
import type { Memory } from '../../machine/index.ts';
import { REQUEST, suffices } from './request.ts';
import { SM_FAULT } from './scalable-faults.ts';
import { SS_FLAGS } from './scalable-structures.ts';
import { refuse } from './scalable-tables.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { FILL, PURPOSE, STAGE } from './scalable-walk.ts';
import type { Walker } from './walk.ts';
import { indexAt, isInterruptFrame, PS, STEP } from './walk.ts';

const A = 1 << SS_FLAGS.A.lo;
const D = 1 << SS_FLAGS.D.lo;
const { read: READ, write: WRITE } = REQUEST;
// Again as this module's own, which V8 folds (see `caches.ts`).
const index = indexAt;
const leadsToInterrupts = isInterruptFrame;
const enough = suffices;
const LEAF = PS;
const { more: MORE, done: DONE } = STEP;
const { first: FILL_FIRST, second: FILL_SECOND } = FILL;
const { page: PAGE } = PURPOSE;
const { first: AT_FIRST, dirty: AT_DIRTY } = STAGE;

export class SecondStage {
  private readonly memory: Memory;
  private readonly tableReservedLo: number;
  private readonly leafReservedLo: Int32Array;
  private readonly reservedHi: number;

  /** @param walker of legacy mode, whose entries are the same */
  constructor(walker: Walker) {
    this.memory = walker.memory;
    this.tableReservedLo = walker.tableReservedLo;
    this.leafReservedLo = walker.leafReservedLo;
    this.reservedHi = walker.tableReservedHi;
  }

  /** SSS.1 – 5, SFS.6 – 8, SGN.6 – 8. */
  entry(walk: ScalableWalk): number {
    const level = walk.secondLevel;
    const table = walk.pfnHi === 0 ? walk.pfnLo : walk.pfnHi * 0x100000 + walk.pfnLo;
    const at = this.memory.locate(table, index(level, walk.inHi, walk.inLo));
    if (at < 0) return refuse(walk, level === walk.aw + 2 ? SM_FAULT.secondTopAccess : SM_FAULT.secondAccess);
    const lo = this.memory.lo(at);
    const hi = this.memory.hi(at);
    walk.entryLo = lo;
    walk.entryHi = hi;
    const perms = walk.perms & lo & 3;
    if (perms === 0) return refuse(walk, SM_FAULT.secondNotPresent);
    const ofPage = walk.purpose === PAGE;
    const missing = ofPage ? missingSecond(walk.access, perms) : missingForTable(walk, perms);
    if (missing !== 0) return refuse(walk, missing);
    const leaf = level === 1 || (lo & LEAF) !== 0;
    const reserved = (lo & (leaf ? this.leafReservedLo[level] : this.tableReservedLo)) | (hi & this.reservedHi);
    if (reserved !== 0) return refuse(walk, SM_FAULT.secondReserved);
    const pfnHi = hi & 0xfffff;
    const pfnLo = leaf ? (lo >>> 12) | (walk.inLo & ((1 << (9 * (level - 1))) - 1)) : lo >>> 12;
    if (leaf && ofPage && leadsToInterrupts(pfnHi, pfnLo)) return refuse(walk, SM_FAULT.interruptRange);

    if (walk.ssade === 1) {
      // 3.8.1: with SSADE first-stage tables are read only where they may be written: hardware may set flags in them.
      const dirties = leaf && (!ofPage || (walk.access & WRITE) !== 0);
      const unset = (A | (dirties ? D : 0)) & ~lo;
      if (unset !== 0) {
        if (walk.snooped === 0) return refuse(walk, SM_FAULT.secondFlagsNoSnoop);
        this.memory.write(at, lo | unset, hi);
      }
    }

    walk.perms = perms;
    walk.pfnHi = pfnHi;
    walk.pfnLo = pfnLo;
    if (!leaf) {
      walk.secondLevel = level - 1;
      walk.fill = FILL_SECOND;
      walk.fillLevel = level;
      return MORE;
    }
    return ofPage ? this.page(walk, level, lo) : this.table(walk);
  }

  /** The first-stage table is found; what led there may be cached as a combined entry (6.2.5). */
  private table(walk: ScalableWalk): number {
    walk.tableRights = walk.perms;
    if (walk.level < 4 + walk.fspm) {
      walk.fill = FILL_FIRST;
      walk.fillLevel = walk.level + 1;
    }
    walk.perms = 3;
    walk.secondLevel = 0;
    walk.inHi = 0;
    walk.inLo = 0;
    walk.stage = AT_FIRST;
    return MORE;
  }

  private page(walk: ScalableWalk, level: number, lo: number): number {
    const flagged = walk.ssade === 0 || (walk.access & WRITE) !== 0 || (lo & D) !== 0 ? 1 : 0;
    if (walk.leafLevel === 0) {
      walk.pageLevel = level;
      walk.dirty = flagged;
      return DONE;
    }
    walk.pageLevel = Math.min(level, walk.leafLevel);
    walk.dirty &= flagged;
    if (walk.leafLo === 0) return DONE;
    walk.dirty = flagged;
    walk.stage = AT_DIRTY;
    return MORE;
  }
}

/** The reason for which rights of the second stage are not enough for a page (SGN.6, SGN.7); 0 where they are. */
export function missingSecond(access: number, perms: number): number {
  if (enough(perms, access)) return 0;
  return (access & ~perms & WRITE) !== 0 ? SM_FAULT.write : SM_FAULT.read;
}

/** SFS.6 – 8: to read a first-stage table it takes the read right, with SSADE the write right as well (3.8.1). */
function missingForTable(walk: ScalableWalk, perms: number): number {
  if ((perms & READ) === 0) return walk.level === 4 + walk.fspm ? SM_FAULT.firstTopRead : SM_FAULT.firstRead;
  return walk.ssade === 1 && (perms & WRITE) === 0 ? SM_FAULT.firstFlagsWrite : 0;
}
