/** Which entries an invalidation of translations concerns (IHI 0070, 4.4): those that it has to drop, and no more. */
import type { BlockCache, Concern } from '../kit/block-cache.ts';
import { BLOCK, blockBits, blockHi, blockLo } from '../kit/block-cache.ts';
import { ENTRY, granuleOf, idOf, levelOf } from './cache-entries.ts';
import type { TlbScope } from './tlb-scope.ts';
import { SCOPE_STAGE } from './tlb-scope.ts';

const GLOBAL = 1 << ENTRY.global;

/** An invalidation of at most so many pages looks for each. */
const FEW_PAGES = 32;

/** Whether one 64-bit address is beyond another, halves each. */
function isAbove(hi: number, lo: number, thanHi: number, thanLo: number): boolean {
  if (hi !== thanHi) return hi >>> 0 > thanHi >>> 0;
  return lo >>> 0 > thanLo >>> 0;
}

/** Whether the block of 2^bits bytes around an address meets the addresses of the scope. */
export function meetsRange(scope: TlbScope, bits: number, hi: number, lo: number): boolean {
  if (scope.whole) return true;
  const startHi = blockHi(bits, hi);
  const startLo = blockLo(bits, lo);
  const endHi = bits <= 32 ? startHi : startHi | ~(-1 << (bits - 32));
  const endLo = bits >= 32 ? -1 : startLo | ~(-1 << bits);
  if (isAbove(scope.hi, scope.lo, endHi, endLo)) return false;
  // A range does not wrap at the top of the address space (4.4.1.1).
  const bytes = scope.granule === 0 ? 1 : scope.count * 2 ** scope.granule;
  const fromHi = scope.hi >>> 0;
  const lastLo = (scope.lo >>> 0) + ((bytes - 1) % 2 ** 32);
  const lastHi = fromHi + Math.floor((bytes - 1) / 2 ** 32) + (lastLo >= 2 ** 32 ? 1 : 0);
  if (lastHi >= 2 ** 32) return true;
  return !isAbove(startHi, startLo, lastHi | 0, lastLo | 0);
}

/** Whether an entry's StreamWorld, VMID and ASID are those of the scope. */
export function isOfScope(scope: TlbScope, tag: number, id: number): boolean {
  if (((tag >>> ENTRY.regime) & 1) !== scope.regime && scope.regime >= 0) return false;
  if (scope.vmid >= 0 && (((id >>> 16) ^ scope.vmid) & scope.vmidMask) !== 0) return false;
  if (scope.asid < 0) return true;
  // By ASID alone global entries stay (4.4.2.2), with an address they go whatever their ASID (4.4.2.4).
  if ((tag & GLOBAL) !== 0) return !scope.whole;
  return (id & 0xffff) === scope.asid;
}

/** Whether a translation is to be dropped. TG and TTL say what entries were made of, and others may stay (4.4.1.1). */
export function isInScope(scope: TlbScope, tag: number, id: number, hi: number, lo: number): boolean {
  if (!isOfScope(scope, tag, id)) return false;
  if (scope.whole) return true;
  if (scope.granule !== 0 && granuleOf(tag) !== scope.granule) return false;
  if (scope.ttl !== 0 && levelOf(tag) !== scope.ttl) return false;
  return meetsRange(scope, blockBits(tag), hi, lo);
}

/** Whether a cached table is: with TTL only those above the level of the leaf (4.4.1.1). */
export function isTableInScope(scope: TlbScope, tag: number, id: number, hi: number, lo: number): boolean {
  if (!isOfScope(scope, tag, id)) return false;
  if (scope.whole) return true;
  if (scope.granule !== 0 && granuleOf(tag) !== scope.granule) return false;
  if (scope.ttl !== 0 && levelOf(tag) >= scope.ttl) return false;
  return meetsRange(scope, blockBits(tag), hi, lo);
}

/** Which entries of a cache of translations, or of tables, an invalidation drops. One object, which is told what it is about. */
export class InScope implements Concern {
  private readonly words: Int32Array;
  private scope: TlbScope | null = null;
  private tables = false;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** @param tables whether the cache holds those */
  of(scope: TlbScope, tables: boolean): this {
    this.scope = scope;
    this.tables = tables;
    return this;
  }

  concerns(at: number): boolean {
    const { scope, tables, words } = this;
    if (scope === null) return false;
    const [tag, id, hi, lo] = [words[at], words[at + BLOCK.id], words[at + BLOCK.hi], words[at + BLOCK.lo]];
    return tables ? isTableInScope(scope, tag, id, hi, lo) : isInScope(scope, tag, id, hi, lo);
  }
}

/** Drops what is in a small scope by looking at the sets where that would be. @returns false: the scope is not small, nothing is done */
export function dropByAddress(from: BlockCache, scope: TlbScope, concern: Concern): boolean {
  if (scope.whole || scope.vmid < 0 || scope.vmidMask !== 0xffff) return false;
  const isStage2 = scope.stage === SCOPE_STAGE.two;
  if (scope.asid < 0 && !isStage2) return false;
  const pages = scope.granule === 0 ? 1 : scope.count * 2 ** (scope.granule - 12);
  if (pages > FEW_PAGES) return false;
  const id = idOf(scope.vmid, Math.max(scope.asid, 0));
  for (let page = 0; page < pages; page++) {
    const low = (scope.lo >>> 0) + page * 4096;
    const hi = (scope.hi + (low >= 2 ** 32 ? 1 : 0)) | 0;
    from.dropAround(id, hi, low | 0, concern);
    // Where global entries are.
    if (scope.asid > 0) from.dropAround(id & ~0xffff, hi, low | 0, concern);
  }
  return true;
}
