/** VT-d translation caches (VT-d 6.2): how they are looked up, filled and emptied. */
import type { Arena } from '../../machine/index.ts';
import { Cache } from '../kit/cache.ts';
import type { CacheSizes } from './cache-entries.ts';
import { CONTEXT, didOf, IOTLB, PAGING, pageBits, sameBlock, TAG } from './cache-entries.ts';
import { describeCaches } from './cache-text.ts';
import { Requesters } from './requesters.ts';
import { ENTRY_NAME } from './structures.ts';

export type { CacheSizes } from './cache-entries.ts';
export { didOf, faultOf, pageBits, sameBlock, TAG } from './cache-entries.ts';

// Again as this module's own, which V8 folds: each use of an imported one is two loads and two checks, a tenth of a miss in all.
const { valid: VALID, level: LEVEL, perms: PERMS, fault: FAULT_AT, did: DID } = TAG;
const { sid: SID, vpnHi: VPN_HI, vpnLo: VPN_LO, pfnHi: PFN_HI, pfnLo: PFN_LO } = IOTLB;
const { vpnHi: START_HI, vpnLo: START_LO } = PAGING;
const CONTEXT_SID = CONTEXT.sid;
const FAULT_MASK = 0xf << FAULT_AT;

/** Bits of a tag that a translation of a level has in common with no other entry: the level, and no fault. */
const LEVEL_AND_FAULT = (7 << LEVEL) | FAULT_MASK;

const IOTLB_WORDS = Object.keys(IOTLB).length;
const PAGING_WORDS = Object.keys(PAGING).length;

/** Slots of {@link VtdCaches.lastContext}, a power of two. */
const CONTEXT_GUESSES = 256;

/** A function's slot; device numbers and buses, rather than functions, tell requesters apart. */
function guessOf(sid: number): number {
  return (sid ^ (sid >>> 3) ^ (sid >>> 8)) & (CONTEXT_GUESSES - 1);
}

/** An address mask that covers every page; see {@link sameBlock}. */
export const EVERY_PAGE = 64;

/** An invalidation of at most 2^FEW_PAGES pages looks for each. */
const FEW_PAGES = 5;

/** First page of what a non-leaf entry at a level covers, upper part. */
function pagingStartHi(level: number, vpnHi: number): number {
  return level <= 3 ? vpnHi : vpnHi & (-1 << (9 * (level - 3)));
}

/** Lower part. */
function pagingStartLo(level: number, vpnLo: number): number {
  return level === 2 ? vpnLo & ~0x1ff : 0;
}

export class VtdCaches {
  readonly context: Cache;
  readonly iotlb: Cache;
  /** By level of the cached entry, 2 (PDE) to 5 (PML5E); 0 and 1 are unused. */
  readonly paging: readonly Cache[];
  private readonly words: Int32Array;
  private readonly arena: Arena;
  /** Words of one set of the IOTLB. */
  private readonly iotlbStride: number;
  private readonly iotlbBits: number;
  private readonly iotlbBase: number;
  private readonly iotlbMask: number;
  /**
   * Offset of a word with bit `level` set where the IOTLB may hold a page of that level's size: the others need no look. −1 where the unit is
   * explored: the word would tell apart states that nobody can tell apart.
   */
  private readonly sizesAt: number;
  /** Null where the unit is explored, for the same reason. */
  private readonly requesters: Requesters | null;
  /** By source id ({@link guessOf}), where the requester's entry was last; a guess, which is checked. */
  private readonly lastContext = new Int32Array(CONTEXT_GUESSES);

  /** @param replaces a full cache replaces; see {@link Cache} */
  constructor(arena: Arena, sizes: CacheSizes, replaces: boolean) {
    if (sizes.context < 1 || sizes.iotlbWays < 1) throw new RangeError('a context cache and an IOTLB have entries');
    this.arena = arena;
    this.words = arena.words;
    this.iotlbStride = sizes.iotlbWays * IOTLB_WORDS;
    this.iotlbBits = Math.log2(sizes.iotlbSets);
    this.requesters = replaces ? new Requesters(arena) : null;
    this.sizesAt = replaces ? arena.region('vtd.iotlb-sizes', ['sizes']).base : -1;
    this.context = new Cache(arena, 'vtd.context', Object.keys(CONTEXT), 1, sizes.context, replaces);
    this.iotlb = new Cache(arena, 'vtd.iotlb', Object.keys(IOTLB), sizes.iotlbSets, sizes.iotlbWays, replaces);
    this.paging = [0, 1, 2, 3, 4, 5].map(
      (level) =>
        new Cache(
          arena,
          `vtd.${ENTRY_NAME[level]}`,
          Object.keys(PAGING),
          sizes.pagingSets ?? 1,
          level < 2 ? 0 : sizes.pagingStructure / (sizes.pagingSets ?? 1),
          replaces,
        ),
    );
    this.iotlbBase = this.iotlb.base;
    this.iotlbMask = this.iotlb.sets - 1;
    this.lastContext.fill(this.context.base);
  }

  /** {@link findContext}, if it is where the requester's was last; −1 if not, which says nothing. */
  lastContextOf(sid: number): number {
    const at = this.lastContext[guessOf(sid)];
    return this.words[at + CONTEXT_SID] === sid && this.words[at] !== 0 ? at : -1;
  }

  /** Offset of the context-cache entry of a requester, −1 for none. */
  findContext(sid: number): number {
    const { context, lastContext } = this;
    // One entry a requester: a guess that fits is what the search would find.
    const last = this.lastContextOf(sid);
    if (last >= 0) return last;
    const at = context.find(context.base, CONTEXT_SID, sid);
    if (at >= 0) lastContext[guessOf(sid)] = at;
    return at;
  }

  fillContext(sid: number, tag: number, tableHi: number, tableLo: number): void {
    const known = this.findContext(sid);
    const at = known >= 0 ? known : this.context.room(this.context.base);
    this.arena.set(at, tag);
    this.arena.set(at + CONTEXT_SID, sid);
    this.arena.set(at + CONTEXT.tableHi, tableHi);
    this.arena.set(at + CONTEXT.tableLo, tableLo);
  }

  /** Word 0 of an entry of any cache. */
  tag(at: number): number {
    return this.words[at];
  }

  contextTableHi(at: number): number {
    return this.words[at + CONTEXT.tableHi];
  }

  contextTableLo(at: number): number {
    return this.words[at + CONTEXT.tableLo];
  }

  contextSid(at: number): number {
    return this.words[at + CONTEXT_SID];
  }

  /**
   * Offset of the set for a page. Neighbouring pages get different sets, so that a buffer of as many pages as there are sets fits; devices
   * that use the same addresses do not meet.
   * @param block number of the page in units of its size, lower part
   */
  private setAt(sid: number, vpnHi: number, block: number): number {
    // `| 0`: operands of Math.imul that V8 does not know to be integers go through floating point.
    const hash =
      block ^ (block >>> this.iotlbBits) ^ Math.imul(vpnHi | 0, 0x9e3779b1 | 0) ^ Math.imul(sid | 0, 0x85ebca6b | 0);
    return this.iotlbBase + (hash & this.iotlbMask) * this.iotlbStride;
  }

  /** The first of {@link nthTranslation} with the rights, for translation at once. @param rights R 1, W 2 */
  findTranslation(sid: number, vpnHi: number, vpnLo: number, rights: number): number {
    const sizes = this.sizesAt < 0 ? -1 : this.words[this.sizesAt];
    for (let level = 1; level <= 3; level++) {
      if (((sizes >>> level) & 1) === 0) continue;
      const at = this.probe(sid, level, vpnHi, vpnLo, rights);
      if (at >= 0) return at;
    }
    return -1;
  }

  private probe(sid: number, level: number, vpnHi: number, vpnLo: number, rights: number): number {
    const { words } = this;
    const bits = 9 * (level - 1);
    const block = vpnLo >>> bits;
    const start = block << bits;
    let at = this.setAt(sid, vpnHi, block);
    const end = at + this.iotlbStride;
    for (; at < end; at += IOTLB_WORDS) {
      if (words[at + VPN_LO] !== start || words[at + VPN_HI] !== vpnHi || words[at + SID] !== sid) continue;
      const tag = words[at];
      if ((tag & LEVEL_AND_FAULT) === level << LEVEL && (rights & ~((tag >>> PERMS) & 3)) === 0) return at;
    }
    return -1;
  }

  /**
   * The `n`th IOTLB entry that may translate the page for this requester and access, −1 when there are no more. Tag at
   * look-up: source id and address (table 17). Entries of different sizes may overlap (VT-d 6.2.4.1).
   */
  nthTranslation(sid: number, vpnHi: number, vpnLo: number, access: number, n: number): number {
    const { iotlb, words } = this;
    for (let level = 1; level <= 3; level++) {
      const first = this.setAt(sid, vpnHi, vpnLo >>> pageBits(level));
      for (let at = first; at < first + this.iotlbStride; at += iotlb.size) {
        const tag = words[at];
        if (tag === 0 || ((tag >>> LEVEL) & 7) !== level || words[at + SID] !== sid) continue;
        if (((tag >>> PERMS) & access) === 0) continue;
        if (!sameBlock(pageBits(level), words[at + VPN_HI], words[at + VPN_LO], vpnHi, vpnLo)) continue;
        if (n-- === 0) return at;
      }
    }
    return -1;
  }

  /** Upper 20 bits of the page frame that the entry gives. */
  pageHi(at: number): number {
    return this.words[at + PFN_HI];
  }

  /** Lower 20 bits of the page frame that the entry gives for the page. */
  pageLo(at: number, vpnLo: number): number {
    const level = (this.words[at] >>> LEVEL) & 7;
    return this.words[at + PFN_LO] | (vpnLo & ((1 << (9 * (level - 1))) - 1));
  }

  /** @param pfnLo of the leaf, aligned to its size */
  fillTranslation(sid: number, tag: number, vpnHi: number, vpnLo: number, pfnHi: number, pfnLo: number): void {
    const { arena, sizesAt, words } = this;
    const level = (tag >>> LEVEL) & 7;
    const bits = 9 * (level - 1);
    const block = vpnLo >>> bits;
    const start = block << bits;
    const first = this.setAt(sid, vpnHi, block);
    const end = first + this.iotlbStride;
    let entry = -1;
    let empty = -1;
    for (let at = first; at < end; at += IOTLB_WORDS) {
      const held = words[at];
      if (held === 0) {
        if (empty < 0) empty = at;
        continue;
      }
      if (words[at + VPN_LO] !== start || words[at + VPN_HI] !== vpnHi || words[at + SID] !== sid) continue;
      // What is refused does not displace what is granted (another right of the page), nor the other way round (CAP.CM).
      if (((held & FAULT_MASK) === 0) !== ((tag & FAULT_MASK) === 0) || ((held >>> LEVEL) & 7) !== level) continue;
      entry = at;
      break;
    }
    if (entry < 0) entry = empty >= 0 ? empty : this.iotlb.replaced(first);
    if (arena.tracked) {
      arena.set(entry, tag);
      arena.set(entry + SID, sid);
      arena.set(entry + VPN_HI, vpnHi);
      arena.set(entry + VPN_LO, start);
      arena.set(entry + PFN_HI, pfnHi);
      arena.set(entry + PFN_LO, pfnLo);
    } else {
      words[entry] = tag;
      words[entry + SID] = sid;
      words[entry + VPN_HI] = vpnHi;
      words[entry + VPN_LO] = start;
      words[entry + PFN_HI] = pfnHi;
      words[entry + PFN_LO] = pfnLo;
    }
    this.requesters?.note(sid);
    if (sizesAt >= 0 && ((words[sizesAt] >>> level) & 1) === 0) arena.set(sizesAt, words[sizesAt] | (1 << level));
  }

  /** Set of the paging-structure cache of a level for a page. */
  private pagingSet(level: number, did: number, vpnHi: number, vpnLo: number): number {
    const block = level === 2 ? (vpnHi << 9) | (vpnLo >>> 9) : vpnHi >>> (9 * (level - 3));
    return (block ^ did) & (this.paging[level].sets - 1);
  }

  /** Offset of the cached non-leaf entry at a level that covers the page, −1 for none. Tag: domain id and address. */
  findPaging(level: number, did: number, vpnHi: number, vpnLo: number): number {
    const { words } = this;
    const cache = this.paging[level];
    const startHi = pagingStartHi(level, vpnHi);
    const startLo = pagingStartLo(level, vpnLo);
    let at = cache.at(this.pagingSet(level, did, vpnHi, vpnLo) * cache.ways);
    for (const end = at + cache.ways * PAGING_WORDS; at < end; at += PAGING_WORDS) {
      if (words[at + START_HI] !== startHi || words[at + START_LO] !== startLo) continue;
      if (words[at] !== 0 && words[at] >>> DID === did) return at;
    }
    return -1;
  }

  /** Number of levels below `levels` with a cached non-leaf entry for the page. */
  countPaging(levels: number, did: number, vpnHi: number, vpnLo: number): number {
    let count = 0;
    for (let level = 2; level <= levels; level++) if (this.findPaging(level, did, vpnHi, vpnLo) >= 0) count++;
    return count;
  }

  fillPaging(
    level: number,
    did: number,
    perms: number,
    vpnHi: number,
    vpnLo: number,
    tableHi: number,
    tableLo: number,
  ): void {
    const tag = VALID | (level << LEVEL) | (perms << PERMS) | (did << DID);
    this.setPaging(level, tag, vpnHi, vpnLo, tableHi, tableLo);
  }

  /** A paging entry that led to a fault (CAP.CM). @param tag with reason, rights that it refuses and domain id */
  fillPagingFault(level: number, tag: number, vpnHi: number, vpnLo: number): void {
    this.setPaging(level, tag | (level << LEVEL), vpnHi, vpnLo, 0, 0);
  }

  private setPaging(level: number, tag: number, vpnHi: number, vpnLo: number, tableHi: number, tableLo: number): void {
    const cache = this.paging[level];
    if (cache.entries === 0) return;
    const { arena, words } = this;
    const did = tag >>> DID;
    const startHi = pagingStartHi(level, vpnHi);
    const startLo = pagingStartLo(level, vpnLo);
    const first = cache.at(this.pagingSet(level, did, vpnHi, vpnLo) * cache.ways);
    const end = first + cache.ways * PAGING_WORDS;
    let entry = -1;
    let empty = -1;
    for (let at = first; at < end; at += PAGING_WORDS) {
      if (words[at] === 0) {
        if (empty < 0) empty = at;
      } else if (words[at + START_HI] === startHi && words[at + START_LO] === startLo && words[at] >>> DID === did) {
        entry = at;
        break;
      }
    }
    if (entry < 0) entry = empty >= 0 ? empty : cache.replaced(first);
    arena.set(entry, tag);
    arena.set(entry + START_HI, startHi);
    arena.set(entry + START_LO, startLo);
    arena.set(entry + PAGING.tableHi, tableHi);
    arena.set(entry + PAGING.tableLo, tableLo);
  }

  pagingPerms(at: number): number {
    return (this.words[at] >>> PERMS) & 3;
  }

  pagingTableHi(at: number): number {
    return this.words[at + PAGING.tableHi];
  }

  pagingTableLo(at: number): number {
    return this.words[at + PAGING.tableLo];
  }

  /**
   * Drops the IOTLB entries of a domain for pages of an aligned block.
   * @param did −1 for all domains
   * @param am the block has 2^am pages; {@link EVERY_PAGE} for all there are
   */
  dropTranslations(did: number, am: number, vpnHi: number, vpnLo: number): void {
    const { iotlb, requesters, sizesAt } = this;
    const count = requesters?.count ?? -1;
    if (count >= 0 && am <= FEW_PAGES) {
      for (let i = 0; i < count; i++) this.dropOfRequester((requesters as Requesters).sid(i), did, am, vpnHi, vpnLo);
      return;
    }
    this.dropIn(iotlb.base, iotlb.at(iotlb.entries), did, am, vpnHi, vpnLo);
    if (requesters === null || did >= 0 || am < EVERY_PAGE) return;
    requesters.forget();
    this.arena.set(sizesAt, 0);
  }

  /** Looks only at the sets in which the requester's pages of a block of 2^am pages, at most {@link FEW_PAGES}, would be. */
  private dropOfRequester(sid: number, did: number, am: number, vpnHi: number, vpnLo: number): void {
    const sizes = this.words[this.sizesAt];
    for (let level = 1; level <= 3; level++) {
      if (((sizes >>> level) & 1) === 0) continue;
      const bits = pageBits(level);
      const from = (vpnLo >>> Math.max(am, bits)) << Math.max(am - bits, 0);
      for (let block = from; block < from + (1 << Math.max(am - bits, 0)); block++) {
        const first = this.setAt(sid, vpnHi, block);
        this.dropIn(first, first + this.iotlbStride, did, am, vpnHi, vpnLo);
      }
    }
  }

  private dropIn(first: number, end: number, did: number, am: number, vpnHi: number, vpnLo: number): void {
    const { words } = this;
    for (let at = first; at < end; at += IOTLB_WORDS) {
      const tag = words[at];
      if (tag === 0 || (did >= 0 && didOf(tag) !== did)) continue;
      if (am >= EVERY_PAGE || this.translationInBlock(at, am, vpnHi, vpnLo)) this.iotlb.drop(at);
    }
  }

  /** Whether an IOTLB entry lies in the block of 2^am pages. */
  translationInBlock(at: number, am: number, vpnHi: number, vpnLo: number): boolean {
    const bits = Math.max(am, pageBits((this.words[at] >>> LEVEL) & 7));
    return sameBlock(bits, this.words[at + VPN_HI], this.words[at + VPN_LO], vpnHi, vpnLo);
  }

  /** Whether a cached non-leaf entry at a level covers part of the block of 2^am pages. */
  pagingInBlock(at: number, level: number, am: number, vpnHi: number, vpnLo: number): boolean {
    const bits = Math.max(am, pageBits(level));
    return sameBlock(bits, this.words[at + START_HI], this.words[at + START_LO], vpnHi, vpnLo);
  }

  /** A line for each entry that is held. */
  describe(): string[] {
    return describeCaches(this.words, this.paging, this.iotlb);
  }
}
