/** VT-d translation caches (VT-d 6.2): how they are looked up, filled and emptied. */
import type { Arena } from '../../machine/index.ts';
import type { Concern } from '../kit/block-cache.ts';
import { BLOCK_TAG, BlockCache } from '../kit/block-cache.ts';
import { Cache } from '../kit/cache.ts';
import type { CacheSizes } from './cache-entries.ts';
import {
  addressHi,
  addressLo,
  CONTEXT,
  EVERY_PAGE,
  IOTLB,
  levelTag,
  meetsBlock,
  PAGE_SIZES,
  PAGING,
  TAG,
} from './cache-entries.ts';
import { describeCaches } from './cache-text.ts';
import { Requesters } from './requesters.ts';
import { ENTRY_NAME } from './structures.ts';

export type { CacheSizes } from './cache-entries.ts';
export { didOf, EVERY_PAGE, faultOf, levelOf, levelTag, pageBits, sameBlock, TAG } from './cache-entries.ts';

// Again as this module's own, which V8 folds: each use of an imported one is two loads and two checks, a tenth of a miss in all.
const { perms: PERMS, did: DID } = TAG;
const { pfnHi: PFN_HI, pfnLo: PFN_LO } = IOTLB;
const { tableHi: TABLE_HI, tableLo: TABLE_LO } = PAGING;
const CONTEXT_SID = CONTEXT.sid;
const SIZE = BLOCK_TAG.size;
const REFUSED = 1 << TAG.refused;
/** A cached fault and a translation of one page lie beside each other. */
const KIND = REFUSED;
const hiOf = addressHi;
const loOf = addressLo;

/** Slots of {@link VtdCaches.lastContext}, a power of two. */
const CONTEXT_GUESSES = 256;

/** A function's slot; device numbers and buses, rather than functions, tell requesters apart. */
function guessOf(sid: number): number {
  return (sid ^ (sid >>> 3) ^ (sid >>> 8)) & (CONTEXT_GUESSES - 1);
}

/** An invalidation of at most 2^FEW_PAGES pages looks for each. */
const FEW_PAGES = 5;

/** What an invalidation of translations is about. */
class InDomain implements Concern {
  /** −1 for all. */
  did = -1;
  am = 0;
  vpnHi = 0;
  vpnLo = 0;
  private readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  concerns(at: number): boolean {
    const { am, did, words } = this;
    if (did >= 0 && words[at] >>> DID !== did) return false;
    return am >= EVERY_PAGE || meetsBlock(words, at, am, this.vpnHi, this.vpnLo);
  }
}

export class VtdCaches {
  readonly context: Cache;
  readonly iotlb: Cache;
  /** By level of the cached entry, 2 (PDE) to 5 (PML5E); 0 and 1 are unused. */
  readonly paging: readonly Cache[];
  private readonly words: Int32Array;
  private readonly arena: Arena;
  private readonly pages: BlockCache;
  /** By level. */
  private readonly tables: readonly BlockCache[];
  private readonly inDomain: InDomain;
  /** Null where the unit is explored: it would tell apart states that nobody can tell apart. */
  private readonly requesters: Requesters | null;
  /** By source id ({@link guessOf}), where the requester's entry was last; a guess, which is checked. */
  private readonly lastContext = new Int32Array(CONTEXT_GUESSES);

  /** @param replaces a full cache replaces; see {@link Cache} */
  constructor(arena: Arena, sizes: CacheSizes, replaces: boolean) {
    if (sizes.context < 1 || sizes.iotlbWays < 1) throw new RangeError('a context cache and an IOTLB have entries');
    this.arena = arena;
    this.words = arena.words;
    this.requesters = replaces ? new Requesters(arena) : null;
    this.context = new Cache(arena, 'vtd.context', Object.keys(CONTEXT), 1, sizes.context, replaces);
    const { iotlbSets, iotlbWays, pagingSets = 1, pagingStructure } = sizes;
    const iotlb = { sets: iotlbSets, ways: iotlbWays, sizes: PAGE_SIZES, replaces, id: 'sid' };
    this.pages = new BlockCache(arena, 'vtd.iotlb', iotlb);
    this.tables = [0, 1, 2, 3, 4, 5].map((level) => {
      const ways = level < 2 ? 0 : pagingStructure / pagingSets;
      return new BlockCache(arena, `vtd.${ENTRY_NAME[level]}`, { sets: pagingSets, ways, replaces, id: 'did' });
    });
    this.iotlb = this.pages.cache;
    this.paging = this.tables.map(({ cache }) => cache);
    this.inDomain = new InDomain(arena.words);
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

  /** The first of {@link nthTranslation} with the rights, for translation at once. @param rights R 1, W 2 */
  findTranslation(sid: number, vpnHi: number, vpnLo: number, rights: number): number {
    return this.pages.find(sid, -1, hiOf(vpnHi), loOf(vpnHi, vpnLo), 0, KIND, rights << PERMS);
  }

  /**
   * The `n`th IOTLB entry that may translate the page for this requester and access, −1 when there are no more. Tag at
   * look-up: source id and address (table 17). Entries of different sizes may overlap (VT-d 6.2.4.1).
   * @param access R 1, W 2, or both: entries with one of them
   */
  nthTranslation(sid: number, vpnHi: number, vpnLo: number, access: number, n: number): number {
    return this.pages.nth(sid, -1, hiOf(vpnHi), loOf(vpnHi, vpnLo), 0, 0, 0, access << PERMS, n);
  }

  /** Upper 20 bits of the page frame that the entry gives. */
  pageHi(at: number): number {
    return this.words[at + PFN_HI];
  }

  /** Lower 20 bits of the page frame that the entry gives for the page. */
  pageLo(at: number, vpnLo: number): number {
    const bits = (this.words[at] >>> SIZE) & 0x3f;
    return this.words[at + PFN_LO] | (vpnLo & ((1 << bits) - 1));
  }

  /** @param tag with {@link levelTag}. @param pfnLo of the leaf, aligned to its size */
  fillTranslation(sid: number, tag: number, vpnHi: number, vpnLo: number, pfnHi: number, pfnLo: number): void {
    this.pages.fill(tag, KIND, sid, -1, hiOf(vpnHi), loOf(vpnHi, vpnLo), pfnHi, pfnLo);
    this.requesters?.note(sid);
  }

  /** Offset of the cached non-leaf entry at a level that covers the page, −1 for none. Tag: domain id and address. */
  findPaging(level: number, did: number, vpnHi: number, vpnLo: number): number {
    const bits = 12 + 9 * (level - 1);
    return this.tables[level].findBlock(bits, did, -1, hiOf(vpnHi), loOf(vpnHi, vpnLo), 0, 0, 0);
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
    const tag = levelTag(level) | (perms << PERMS) | (did << DID);
    this.setPaging(level, tag, vpnHi, vpnLo, tableHi, tableLo);
  }

  /** A paging entry that led to a fault (CAP.CM). @param tag with reason, rights that it refuses and domain id */
  fillPagingFault(level: number, tag: number, vpnHi: number, vpnLo: number): void {
    this.setPaging(level, tag | levelTag(level), vpnHi, vpnLo, 0, 0);
  }

  private setPaging(level: number, tag: number, vpnHi: number, vpnLo: number, tableHi: number, tableLo: number): void {
    if (this.paging[level].entries === 0) return;
    this.tables[level].fill(tag, 0, tag >>> DID, -1, hiOf(vpnHi), loOf(vpnHi, vpnLo), tableHi, tableLo);
  }

  pagingPerms(at: number): number {
    return (this.words[at] >>> PERMS) & 3;
  }

  pagingTableHi(at: number): number {
    return this.words[at + TABLE_HI];
  }

  pagingTableLo(at: number): number {
    return this.words[at + TABLE_LO];
  }

  /**
   * Drops the IOTLB entries of a domain for pages of an aligned block.
   * @param did −1 for all domains
   * @param am the block has 2^am pages; {@link EVERY_PAGE} for all there are
   */
  dropTranslations(did: number, am: number, vpnHi: number, vpnLo: number): void {
    const { inDomain, pages, requesters } = this;
    inDomain.did = did;
    inDomain.am = am;
    inDomain.vpnHi = vpnHi;
    inDomain.vpnLo = vpnLo;
    const count = requesters?.count ?? -1;
    if (requesters !== null && count >= 0 && am <= FEW_PAGES) {
      for (let i = 0; i < count; i++) this.dropOfRequester(requesters.sid(i), am, vpnHi, vpnLo);
      return;
    }
    if (did >= 0 || am < EVERY_PAGE) return pages.dropWhere(inDomain);
    pages.dropAll();
    requesters?.forget();
  }

  /** Looks only where the requester's pages of a block of 2^am pages would be. */
  private dropOfRequester(sid: number, am: number, vpnHi: number, vpnLo: number): void {
    const first = (vpnLo >>> am) << am;
    for (let page = first; page < first + (1 << am); page++)
      this.pages.dropAround(sid, hiOf(vpnHi), loOf(vpnHi, page), this.inDomain);
  }

  /** Whether an IOTLB entry, or a cached non-leaf entry, lies in the block of 2^am pages, or part of what it covers does. */
  isInBlock(at: number, am: number, vpnHi: number, vpnLo: number): boolean {
    return meetsBlock(this.words, at, am, vpnHi, vpnLo);
  }

  /** A line for each entry that is held. */
  describe(): string[] {
    return describeCaches(this.words, this.paging, this.iotlb);
  }
}
