/**
 * The ordinary miss at once: context entry cached, page granted by tables without anything in them that needs a decision. All in locals, in one
 * function, as what a miss costs an emulator is its number of instructions: a processor overlaps the reads of one miss with the next
 * only if few lie between. Whatever is not ordinary is left to {@link Prompt}, which does the same for every case.
 */
import type { Arena, Memory } from '../../machine/index.ts';
import { BLOCK_TAG } from '../kit/block-cache.ts';
import { CONTEXT, PAGING, TAG } from './cache-entries.ts';
import type { VtdCaches } from './caches.ts';
import type { VtdCore } from './core.ts';
import type { Walk } from './walk.ts';
import { indexAt, isInterruptFrame, PS } from './walk.ts';

// Again as this module's own, which V8 folds (see `caches.ts`).
const { valid: VALID, perms: PERMS, aw: AW, did: DID } = TAG;
const SIZE = BLOCK_TAG.size;
const { tableHi: TABLE_HI, tableLo: TABLE_LO } = CONTEXT;
const { tableHi: NEXT_HI, tableLo: NEXT_LO } = PAGING;
const FAULT = 0xf << TAG.fault;
const LEAF = PS;
const index = indexAt;
const isRefused = isInterruptFrame;
const TT = 3 << TAG.tt;
/** What a translation's tag takes over from that of the context entry. */
const FPD_AND_DID = (1 << TAG.fpd) | (0xffff << TAG.did);

export class ShortWalk {
  private readonly arena: Arena;
  private readonly caches: VtdCaches;
  private readonly memory: Memory;
  private readonly words: Int32Array;
  private readonly walk: Walk;
  /** Somebody is told of rules and of what happens, which is left to the long way. */
  private readonly observed: boolean;
  private readonly hasPaging: boolean;
  /** Set in the lower half of no entry that references a table. */
  private readonly tableIrregularLo: number;
  private readonly reservedHi: number;
  private readonly leafReservedLo: Int32Array;
  private readonly vpnHiLimit: Int32Array;

  constructor(core: VtdCore) {
    const { walker } = core;
    this.arena = core.arena;
    this.caches = core.caches;
    this.words = core.arena.words;
    this.walk = core.walk;
    this.memory = walker.memory;
    this.observed = core.observed;
    this.hasPaging = core.caches.paging[2].entries > 0;
    this.tableIrregularLo = walker.tableReservedLo | PS;
    this.reservedHi = walker.tableReservedHi;
    this.leafReservedLo = walker.leafReservedLo;
    this.vpnHiLimit = walker.vpnHiLimit;
  }

  /**
   * Translates a page that the IOTLB has not, and fills the IOTLB. Protected memory is off.
   * @param access R 1, W 2
   * @returns whether it was ordinary: the frame is in the {@link Walk} of the core; else nothing is decided yet
   */
  translate(sid: number, vpnHi: number, vpnLo: number, access: number): boolean {
    const { caches, memory, words } = this;
    const context = caches.lastContextOf(sid);
    if (context < 0 || this.arena.tracked || this.observed) return false;
    const tag = words[context];
    const aw = (tag >>> AW) & 7;
    if ((tag & TT) !== 0 || vpnHi < 0 || vpnHi >= this.vpnHiLimit[aw]) return false;
    let pfnHi = words[context + TABLE_HI];
    let pfnLo = words[context + TABLE_LO];
    let perms = 3;
    let level = aw + 2;
    if (this.hasPaging) {
      const did = tag >>> DID;
      for (let n = 2; n <= level; n++) {
        const entry = caches.findPaging(n, did, vpnHi, vpnLo);
        if (entry < 0 || (words[entry] & FAULT) !== 0 || (access & ~(words[entry] >>> PERMS)) !== 0) continue;
        perms = (words[entry] >>> PERMS) & 3;
        pfnHi = words[entry + NEXT_HI];
        pfnLo = words[entry + NEXT_LO];
        level = n - 1;
        break;
      }
    }
    const { hasPaging, reservedHi, tableIrregularLo } = this;
    let lo = 0;
    let hi = 0;
    for (; ; level--) {
      const word = index(level, vpnHi, vpnLo);
      // Below 4 GiB, where kernels like their tables, the frame is an integer for V8, too: two calls, so that one has no floating point.
      const at = pfnHi === 0 ? memory.locate(pfnLo, word) : memory.locate(pfnHi * 0x100000 + pfnLo, word);
      if (at < 0) return false;
      lo = memory.lo(at);
      hi = memory.hi(at);
      if (level === 1 || ((lo & tableIrregularLo) | (hi & reservedHi) | (access & ~(perms & lo))) !== 0) break;
      perms &= lo;
      pfnHi = hi & 0xfffff;
      pfnLo = lo >>> 12;
      if (hasPaging) caches.fillPaging(level, tag >>> DID, perms, vpnHi, vpnLo, pfnHi, pfnLo);
    }
    if (level > 1 && (lo & LEAF) === 0) return false;
    if (((lo & this.leafReservedLo[level]) | (hi & reservedHi) | (access & ~(perms & lo))) !== 0) return false;
    perms &= lo;
    pfnHi = hi & 0xfffff;
    pfnLo = lo >>> 12;
    const page = pfnLo | (vpnLo & ((1 << (9 * (level - 1))) - 1));
    if (isRefused(pfnHi, page)) return false;
    const filled = (tag & FPD_AND_DID) | VALID | ((9 * (level - 1)) << SIZE) | (perms << PERMS);
    caches.fillTranslation(sid, filled, vpnHi, vpnLo, pfnHi, pfnLo);
    this.walk.pfnHi = pfnHi;
    this.walk.pfnLo = page;
    return true;
  }
}
