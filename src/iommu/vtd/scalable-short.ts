/**
 * The ordinary miss at once in scalable mode: context and PASID-table entry cached, a user's request, tables that grant the page without
 * anything in them that needs a decision or a flag. All in locals, as `short-walk.ts` does for legacy mode; whatever is not ordinary is left
 * to {@link ScalablePrompt}, which does the same for every case.
 */
import type { Memory } from '../../machine/index.ts';
import { BLOCK_TAG } from '../kit/block-cache.ts';
import type { VtdCore } from './core.ts';
import type { Scalable } from './scalable.ts';
import type { ScalableCaches } from './scalable-caches.ts';
import { PASID, PASID_TAG, RIGHT, SM_CONTEXT, SM_CONTEXT_TAG, SM_TAG } from './scalable-entries.ts';
import { FS_PAGE, PGTT, SS_FLAGS } from './scalable-structures.ts';
import { indexAt, isInterruptFrame, PS } from './walk.ts';

// Again as this module's own, which V8 folds (see `caches.ts`).
const index = indexAt;
const leadsToInterrupts = isInterruptFrame;
const LEAF = PS;
const { firstStage: FIRST_STAGE, secondStage: SECOND_STAGE, nested: NESTED } = PGTT;
const { read: READ, write: WRITE, user: USER, supervisor: SUPERVISOR, supervisorWrite: SUPERVISOR_WRITE } = RIGHT;
const {
  pgtt: PGTT_AT,
  aw: AW,
  fspm: FSPM,
  wpe: WPE,
  eafe: EAFE,
  ssade: SSADE,
  sre: SRE,
  did: DID,
  fpd: FPD,
} = PASID_TAG;
const { fpd: CONTEXT_FPD, paside: PASIDE, ridPriv: RID_PRIV, pdts: PDTS } = SM_CONTEXT_TAG;
const { secondTopHi: SECOND_HI, secondTopLo: SECOND_LO, firstTopHi: FIRST_HI, firstTopLo: FIRST_LO } = PASID;
const { ridPasid: RID_PASID } = SM_CONTEXT;
const { rights: RIGHTS, fpd: TAG_FPD, dirty: DIRTY, pgtt: TAG_PGTT } = SM_TAG;
const SIZE = BLOCK_TAG.size;
const P_AND_US = 5;
const FIRST_A = 1 << FS_PAGE.A.lo;
const FIRST_D = 1 << FS_PAGE.D.lo;
const FIRST_EA = 1 << FS_PAGE.EA.lo;
const SECOND_A = 1 << SS_FLAGS.A.lo;
const SECOND_D = 1 << SS_FLAGS.D.lo;

export class ScalableShortWalk {
  /** Page frame of the last {@link translate}. */
  pfnHi = 0;
  pfnLo = 0;
  private level = 0;
  private perms = 0;
  private last = 0;
  private readonly core: VtdCore;
  private readonly caches: ScalableCaches;
  private readonly memory: Memory;
  private readonly words: Int32Array;
  private readonly off: boolean;
  private readonly pss: number;
  private readonly vpnHiLimit: Int32Array;
  private readonly tableReservedLo: number;
  private readonly leafReservedLo: Int32Array;
  private readonly reservedHi: number;
  private readonly firstTableLo: Int32Array;
  private readonly firstLeafLo: Int32Array;
  private readonly firstHi: number;

  constructor(core: VtdCore, scalable: Scalable) {
    const { walker } = core;
    this.core = core;
    this.caches = scalable.caches;
    this.memory = walker.memory;
    this.words = core.arena.words;
    this.off = core.caches.paging[2].entries > 0 || core.observed;
    this.pss = core.has.ecap.PSS;
    this.vpnHiLimit = walker.vpnHiLimit;
    this.tableReservedLo = walker.tableReservedLo;
    this.leafReservedLo = walker.leafReservedLo;
    this.reservedHi = walker.tableReservedHi;
    this.firstTableLo = scalable.reserved.firstTableLo;
    this.firstLeafLo = scalable.reserved.firstLeafLo;
    this.firstHi = scalable.reserved.firstHi;
  }

  /**
   * Translates a page that the IOTLB has not, and fills that.
   * @param pasid −1 for a request without
   * @param access R 1, W 2
   * @returns whether it was ordinary; else nothing is decided yet
   */
  translate(sid: number, pasid: number, vpnHi: number, vpnLo: number, access: number): boolean {
    const { caches, words } = this;
    const context = this.off || this.core.arena.tracked ? -1 : caches.findContext(sid);
    if (context < 0) return false;
    const contextTag = words[context];
    const ridPasid = words[context + RID_PASID];
    let tablePasid = ridPasid;
    if (pasid < 0) {
      if (((contextTag >>> RID_PRIV) & 1) !== 0) return false;
    } else {
      const beyond = (pasid >>> (this.pss + 1)) | (pasid >>> (((contextTag >>> PDTS) & 7) + 13));
      if (beyond !== 0 || ((contextTag >>> PASIDE) & 1) === 0 || pasid === ridPasid) return false;
      tablePasid = pasid;
    }
    const entry = caches.findPasid(sid, tablePasid);
    if (entry < 0) return false;
    const tag = words[entry];
    const pgtt = (tag >>> PGTT_AT) & 7;
    let rights = READ | WRITE | USER;
    let level = 3;
    let dirty = 1;
    let pfnHi = 0;
    let pfnLo = 0;
    if (pgtt === SECOND_STAGE) {
      if (vpnHi < 0 || vpnHi >= this.vpnHiLimit[(tag >>> AW) & 7]) return false;
      if (!this.second(tag, entry, vpnHi, vpnLo, access, access)) return false;
      if (((tag >>> SSADE) & 1) === 1) dirty = (this.last & SECOND_D) !== 0 ? 1 : 0;
    } else if (pgtt === FIRST_STAGE || pgtt === NESTED) {
      const fspm = (tag >>> FSPM) & 1;
      const above = vpnHi >> (fspm === 0 ? 17 : 26);
      if (above !== 0 && above !== -1) return false;
      const nested = pgtt === NESTED;
      // With SSADE first-stage tables have to be writable (3.8.1), and count as written.
      const needs = ((tag >>> SSADE) & 1) === 1 ? 3 : 1;
      const flags = FIRST_A | (((tag >>> EAFE) & 1) === 1 ? FIRST_EA : 0);
      const asked = P_AND_US | (access & WRITE);
      pfnHi = words[entry + FIRST_HI];
      pfnLo = words[entry + FIRST_LO];
      let lo = 0;
      for (level = 4 + fspm; ; level--) {
        if (nested) {
          if (!this.second(tag, entry, (pfnHi << 2) | (pfnLo >>> 18), pfnLo & 0x3ffff, needs, WRITE)) return false;
          pfnHi = this.pfnHi;
          pfnLo = this.pfnLo;
        }
        const word = index(level, vpnHi, vpnLo);
        const at = pfnHi === 0 ? this.memory.locate(pfnLo, word) : this.memory.locate(pfnHi * 0x100000 + pfnLo, word);
        if (at < 0) return false;
        lo = this.memory.lo(at);
        const hi = this.memory.hi(at);
        if ((((asked | flags) & ~lo) | (hi & this.firstHi)) !== 0) return false;
        rights &= lo | ~WRITE;
        pfnHi = hi & 0xfffff;
        pfnLo = lo >>> 12;
        const leaf = level === 1 || (lo & LEAF) !== 0;
        if ((lo & (leaf ? this.firstLeafLo : this.firstTableLo)[level]) !== 0) return false;
        if (leaf) pfnLo = (pfnLo & (-1 << (9 * (level - 1)))) | (vpnLo & ((1 << (9 * (level - 1))) - 1));
        if (nested && ((pfnHi << 2) | (pfnLo >>> 18)) >= this.vpnHiLimit[(tag >>> AW) & 7]) return false;
        if (leaf) break;
      }
      if ((access & WRITE) !== 0 && (lo & FIRST_D) === 0) return false;
      dirty = (lo & FIRST_D) !== 0 ? 1 : 0;
      if (!nested) {
        if (leadsToInterrupts(pfnHi, pfnLo)) return false;
        this.pfnHi = pfnHi;
        this.pfnLo = pfnLo;
        this.level = level;
        this.perms = 3;
      } else {
        if (!this.second(tag, entry, (pfnHi << 2) | (pfnLo >>> 18), pfnLo & 0x3ffff, access, access)) return false;
        if (((tag >>> SSADE) & 1) === 1 && (this.last & SECOND_D) === 0) dirty = 0;
      }
    } else return false;
    if (level > this.level) level = this.level;
    if (pgtt === SECOND_STAGE) level = this.level;
    let granted = (rights & this.perms & (READ | WRITE)) | USER;
    if (pasid >= 0 && ((tag >>> SRE) & 1) === 1) {
      granted |= SUPERVISOR;
      const supervisorWrites = (this.perms & WRITE) !== 0 && (((tag >>> WPE) & 1) === 0 || (rights & WRITE) !== 0);
      if (supervisorWrites) granted |= SUPERVISOR_WRITE;
    }
    const fpd = ((tag >>> FPD) | (contextTag >>> CONTEXT_FPD)) & 1;
    const bits = 9 * (level - 1);
    const filled = 1 | (bits << SIZE) | (granted << RIGHTS) | (fpd << TAG_FPD) | (dirty << DIRTY) | (pgtt << TAG_PGTT);
    const frame = this.pfnLo & (-1 << bits);
    caches.fillTranslation(filled, tag >>> DID, sid, pasid >= 0, tablePasid, vpnHi, vpnLo, this.pfnHi, frame);
    return true;
  }

  /**
   * The second stage, from its top. Leaves frame, level and rights.
   * @param needs rights. @param writes {@link WRITE} set: its leaf has to be dirty
   */
  private second(tag: number, entry: number, inHi: number, inLo: number, needs: number, writes: number): boolean {
    const { memory, reservedHi, words } = this;
    const flags = ((tag >>> SSADE) & 1) === 1 ? SECOND_A : 0;
    const leafFlags = flags !== 0 && (writes & WRITE) !== 0 ? SECOND_A | SECOND_D : flags;
    let pfnHi = words[entry + SECOND_HI];
    let pfnLo = words[entry + SECOND_LO];
    let perms = 3;
    for (let level = ((tag >>> AW) & 7) + 2; ; level--) {
      const word = index(level, inHi, inLo);
      const at = pfnHi === 0 ? memory.locate(pfnLo, word) : memory.locate(pfnHi * 0x100000 + pfnLo, word);
      if (at < 0) return false;
      const lo = memory.lo(at);
      const hi = memory.hi(at);
      perms &= lo;
      if (((needs & ~perms) | (hi & reservedHi)) !== 0) return false;
      pfnHi = hi & 0xfffff;
      pfnLo = lo >>> 12;
      if (level > 1 && (lo & LEAF) === 0) {
        if (((lo & this.tableReservedLo) | (flags & ~lo)) !== 0) return false;
        continue;
      }
      if (((lo & this.leafReservedLo[level]) | (leafFlags & ~lo)) !== 0) return false;
      pfnLo |= inLo & ((1 << (9 * (level - 1))) - 1);
      if (leadsToInterrupts(pfnHi, pfnLo)) return false;
      this.pfnHi = pfnHi;
      this.pfnLo = pfnLo;
      this.level = level;
      this.perms = perms;
      this.last = lo;
      return true;
    }
  }
}
