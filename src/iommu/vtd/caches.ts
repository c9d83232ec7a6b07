/** VT-d translation caches (VT-d 6.2): how they are looked up, filled and emptied. */
import type { Arena } from '../../machine/index.ts';
import { Cache } from '../kit/cache.ts';
import { CONTEXT, didOf, faultOf, IOTLB, PAGING, pageBits, sameBlock, TAG } from './cache-entries.ts';
import { describeCaches } from './cache-text.ts';
import { Requesters } from './requesters.ts';
import { ENTRY_NAME } from './structures.ts';

export { didOf, faultOf, pageBits, sameBlock, TAG } from './cache-entries.ts';

/** Number of entries of each cache. A small, explored one has a single set. */
export interface CacheSizes {
  readonly context: number;
  /** Sets, a power of two. */
  readonly iotlbSets: number;
  readonly iotlbWays: number;
  /** Entries of each paging-structure cache (PDE, PDPE, PML4E, PML5E), all sets together. */
  readonly pagingStructure: number;
  /** Sets of each of them, a power of two; 1 if absent. */
  readonly pagingSets?: number;
}

/** Bits of a tag that a translation of a level has in common with no other entry: the level, and no fault. */
const LEVEL_AND_FAULT = (7 << TAG.level) | (0xf << TAG.fault);

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
    this.lastContext.fill(this.context.base);
  }

  /** Offset of the context-cache entry of a requester, −1 for none. */
  findContext(sid: number): number {
    const { context, lastContext, words } = this;
    const last = lastContext[guessOf(sid)];
    // One entry a requester: a guess that fits is what the search would find.
    if (words[last + CONTEXT.sid] === sid && words[last] !== 0) return last;
    for (let i = 0; i < context.entries; i++) {
      const at = context.at(i);
      if (words[at] === 0 || words[at + CONTEXT.sid] !== sid) continue;
      lastContext[guessOf(sid)] = at;
      return at;
    }
    return -1;
  }

  fillContext(sid: number, tag: number, tableHi: number, tableLo: number): void {
    const known = this.findContext(sid);
    const at = known >= 0 ? known : this.context.room(this.context.base);
    this.arena.set(at, tag);
    this.arena.set(at + CONTEXT.sid, sid);
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
    return this.words[at + CONTEXT.sid];
  }

  /**
   * Offset of the set for a page. Neighbouring pages get different sets, so that a buffer of as many pages as there are sets fits; devices
   * that use the same addresses do not meet.
   * @param block number of the page in units of its size, lower part
   */
  private setAt(sid: number, vpnHi: number, block: number): number {
    const { iotlb, iotlbBits } = this;
    const hash = block ^ (block >>> iotlbBits) ^ Math.imul(vpnHi, 0x9e3779b1) ^ Math.imul(sid, 0x85ebca6b);
    return iotlb.base + (hash & (iotlb.sets - 1)) * this.iotlbStride;
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
    for (const end = at + this.iotlbStride; at < end; at += IOTLB_WORDS) {
      if (words[at + IOTLB.vpnLo] !== start || words[at + IOTLB.vpnHi] !== vpnHi || words[at + IOTLB.sid] !== sid)
        continue;
      const tag = words[at];
      if ((tag & LEVEL_AND_FAULT) === level << TAG.level && (rights & ~((tag >>> TAG.perms) & 3)) === 0) return at;
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
        if (tag === 0 || ((tag >>> TAG.level) & 7) !== level || words[at + IOTLB.sid] !== sid) continue;
        if (((tag >>> TAG.perms) & access) === 0) continue;
        if (!sameBlock(pageBits(level), words[at + IOTLB.vpnHi], words[at + IOTLB.vpnLo], vpnHi, vpnLo)) continue;
        if (n-- === 0) return at;
      }
    }
    return -1;
  }

  /** Upper 20 bits of the page frame that the entry gives. */
  pageHi(at: number): number {
    return this.words[at + IOTLB.pfnHi];
  }

  /** Lower 20 bits of the page frame that the entry gives for the page. */
  pageLo(at: number, vpnLo: number): number {
    const level = (this.words[at] >>> TAG.level) & 7;
    return this.words[at + IOTLB.pfnLo] | (vpnLo & ((1 << pageBits(level)) - 1));
  }

  /** @param pfnLo of the leaf, aligned to its size */
  fillTranslation(sid: number, tag: number, vpnHi: number, vpnLo: number, pfnHi: number, pfnLo: number): void {
    const { arena, iotlb, sizesAt, words } = this;
    const level = (tag >>> TAG.level) & 7;
    const block = vpnLo >>> pageBits(level);
    const start = block << pageBits(level);
    const first = this.setAt(sid, vpnHi, block);
    let entry = -1;
    let empty = -1;
    for (let at = first; at < first + this.iotlbStride; at += IOTLB_WORDS) {
      if (words[at] === 0) {
        if (empty < 0) empty = at;
        continue;
      }
      if (words[at + IOTLB.vpnLo] !== start || words[at + IOTLB.vpnHi] !== vpnHi || words[at + IOTLB.sid] !== sid)
        continue;
      // What is refused does not displace what is granted (another right of the page), nor the other way round (CAP.CM).
      if ((faultOf(words[at]) === 0) !== (faultOf(tag) === 0)) continue;
      if (((words[at] >>> TAG.level) & 7) !== level) continue;
      entry = at;
      break;
    }
    if (entry < 0) entry = empty >= 0 ? empty : iotlb.replaced(first);
    if (arena.tracked) {
      arena.set(entry, tag);
      arena.set(entry + IOTLB.sid, sid);
      arena.set(entry + IOTLB.vpnHi, vpnHi);
      arena.set(entry + IOTLB.vpnLo, start);
      arena.set(entry + IOTLB.pfnHi, pfnHi);
      arena.set(entry + IOTLB.pfnLo, pfnLo);
    } else {
      words[entry] = tag;
      words[entry + IOTLB.sid] = sid;
      words[entry + IOTLB.vpnHi] = vpnHi;
      words[entry + IOTLB.vpnLo] = start;
      words[entry + IOTLB.pfnHi] = pfnHi;
      words[entry + IOTLB.pfnLo] = pfnLo;
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
      if (words[at + PAGING.vpnHi] !== startHi || words[at + PAGING.vpnLo] !== startLo) continue;
      if (words[at] !== 0 && didOf(words[at]) === did) return at;
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
    const tag = TAG.valid | (level << TAG.level) | (perms << TAG.perms) | (did << TAG.did);
    this.setPaging(level, tag, vpnHi, vpnLo, tableHi, tableLo);
  }

  /** A paging entry that led to a fault (CAP.CM). @param tag with reason, rights that it refuses and domain id */
  fillPagingFault(level: number, tag: number, vpnHi: number, vpnLo: number): void {
    this.setPaging(level, tag | (level << TAG.level), vpnHi, vpnLo, 0, 0);
  }

  private setPaging(level: number, tag: number, vpnHi: number, vpnLo: number, tableHi: number, tableLo: number): void {
    const cache = this.paging[level];
    if (cache.entries === 0) return;
    const did = didOf(tag);
    const known = this.findPaging(level, did, vpnHi, vpnLo);
    const at = known >= 0 ? known : cache.room(cache.at(this.pagingSet(level, did, vpnHi, vpnLo) * cache.ways));
    this.arena.set(at, tag);
    this.arena.set(at + PAGING.vpnHi, pagingStartHi(level, vpnHi));
    this.arena.set(at + PAGING.vpnLo, pagingStartLo(level, vpnLo));
    this.arena.set(at + PAGING.tableHi, tableHi);
    this.arena.set(at + PAGING.tableLo, tableLo);
  }

  pagingPerms(at: number): number {
    return (this.words[at] >>> TAG.perms) & 3;
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
    const bits = Math.max(am, pageBits((this.words[at] >>> TAG.level) & 7));
    return sameBlock(bits, this.words[at + IOTLB.vpnHi], this.words[at + IOTLB.vpnLo], vpnHi, vpnLo);
  }

  /** Whether a cached non-leaf entry at a level covers part of the block of 2^am pages. */
  pagingInBlock(at: number, level: number, am: number, vpnHi: number, vpnLo: number): boolean {
    const bits = Math.max(am, pageBits(level));
    return sameBlock(bits, this.words[at + PAGING.vpnHi], this.words[at + PAGING.vpnLo], vpnHi, vpnLo);
  }

  /** A line for each entry that is held. */
  describe(): string[] {
    return describeCaches(this.words, this.paging, this.iotlb);
  }
}
