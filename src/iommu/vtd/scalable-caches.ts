/** Caches of scalable mode (VT-d 6.2): how they are looked up, filled and emptied. */
import type { Arena } from '../../machine/index.ts';
import type { Concern } from '../kit/block-cache.ts';
import { BLOCK_TAG, BlockCache } from '../kit/block-cache.ts';
import { Cache } from '../kit/cache.ts';
import type { CacheSizes } from './cache-entries.ts';
import { addressHi, addressLo, EVERY_PAGE, levelOf, meetsBlock, PAGE_SIZES } from './cache-entries.ts';
import {
  FIRST_PAGING,
  FIRST_TAG,
  ownerOf,
  PASID,
  PASID_TAG,
  RIGHT,
  SM_CONTEXT,
  SM_IOTLB,
  SM_TAG,
} from './scalable-entries.ts';
import { FS_ENTRY_NAME, PGTT } from './scalable-structures.ts';

// Again as this module's own, which V8 folds (see `caches.ts`).
const { pasid: IOTLB_PASID, did: IOTLB_DID, pfnHi: PFN_HI, pfnLo: PFN_LO } = SM_IOTLB;
const { rights: RIGHTS, dirty: DIRTY } = SM_TAG;
const SIZE = BLOCK_TAG.size;
const ownerIs = ownerOf;
/** What tells apart entries of one page: a cached fault lies beside a translation. */
const KIND = 1 << SM_TAG.fault;
const FIRST_DID = 0xffff << FIRST_TAG.did;
const ANY_WRITE = RIGHT.write | RIGHT.supervisorWrite;
const hiOf = addressHi;
const loOf = addressLo;

/** What an invalidation of translations is about; −1 where a tag does not matter, {@link EVERY_PAGE} for every address. */
export interface Scope {
  readonly did: number;
  readonly pasid: number;
  readonly am: number;
  readonly vpnHi: number;
  readonly vpnLo: number;
}

export const EVERYTHING: Scope = { did: -1, pasid: -1, am: EVERY_PAGE, vpnHi: 0, vpnLo: 0 };

/** Translations in a scope; those of a PGTT for which the address does not count are, or are not, whatever their address is. */
class PagesInScope implements Concern {
  scope: Scope = EVERYTHING;
  /** PGTTs, as bits, for which address and mask count. */
  addressed = 0;
  /** Whether the others are in it. */
  others = false;
  private readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  concerns(at: number): boolean {
    const { scope, words } = this;
    if (scope.did >= 0 && words[at + IOTLB_DID] !== scope.did) return false;
    if (scope.pasid >= 0 && words[at + IOTLB_PASID] !== scope.pasid) return false;
    const counts = ((this.addressed >>> ((words[at] >>> SM_TAG.pgtt) & 7)) & 1) === 1;
    return counts ? meetsBlock(words, at, scope.am, scope.vpnHi, scope.vpnLo) : this.others;
  }
}

/** Cached first-stage entries in a scope. */
class TablesInScope implements Concern {
  scope: Scope = EVERYTHING;
  keep = false;
  /** How many were kept. */
  kept = 0;
  private readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  concerns(at: number): boolean {
    const { keep, scope, words } = this;
    if (scope.did >= 0 && words[at] >>> FIRST_TAG.did !== scope.did) return false;
    if (scope.pasid >= 0 && words[at + FIRST_PAGING.pasid] !== scope.pasid) return false;
    if (!meetsBlock(words, at, scope.am, scope.vpnHi, scope.vpnLo)) return false;
    if (keep) this.kept++;
    return !keep;
  }
}

export class ScalableCaches {
  readonly context: Cache;
  readonly pasid: Cache;
  readonly iotlb: Cache;
  /** First-stage (or combined) entries, by level 2 to 5; 0 and 1 are unused. */
  readonly first: readonly Cache[];
  private readonly arena: Arena;
  private readonly words: Int32Array;
  private readonly pages: BlockCache;
  /** By level. */
  private readonly tables: readonly BlockCache[];
  private readonly pagesInScope: PagesInScope;
  private readonly tablesInScope: TablesInScope;
  /** Where the requester's entries were last; guesses, which are checked. */
  private lastContext: number;
  private lastPasid: number;

  /** @param replaces a full cache replaces; see {@link Cache} */
  constructor(arena: Arena, sizes: CacheSizes, replaces: boolean) {
    this.arena = arena;
    this.words = arena.words;
    const keys = Object.keys;
    this.context = new Cache(arena, 'vtd.sm-context', keys(SM_CONTEXT), 1, sizes.context, replaces);
    this.pasid = new Cache(arena, 'vtd.pasid', keys(PASID), 1, sizes.context, replaces);
    const { iotlbSets, iotlbWays, pagingSets = 1, pagingStructure } = sizes;
    const iotlb = {
      sets: iotlbSets,
      ways: iotlbWays,
      sizes: PAGE_SIZES,
      replaces,
      id: 'owner',
      more: ['pasid', 'did'],
    };
    this.pages = new BlockCache(arena, 'vtd.sm-iotlb', iotlb);
    this.tables = [0, 1, 2, 3, 4, 5].map((level) => {
      const ways = level < 2 ? 0 : pagingStructure / pagingSets;
      return new BlockCache(arena, `vtd.${FS_ENTRY_NAME[level]}`, { sets: pagingSets, ways, replaces, id: 'pasid' });
    });
    this.iotlb = this.pages.cache;
    this.first = this.tables.map(({ cache }) => cache);
    this.pagesInScope = new PagesInScope(arena.words);
    this.tablesInScope = new TablesInScope(arena.words);
    this.lastContext = this.context.base;
    this.lastPasid = this.pasid.base;
  }

  tag(at: number): number {
    return this.words[at];
  }

  word(at: number, field: number): number {
    return this.words[at + field];
  }

  // ---- context cache and PASID cache ----------------------------------------------------------------------------------

  /** Offset of the requester's entry, −1 for none. */
  findContext(sid: number): number {
    const { context, words } = this;
    const last = this.lastContext;
    if (words[last] !== 0 && words[last + SM_CONTEXT.sid] === sid) return last;
    const at = context.find(context.base, SM_CONTEXT.sid, sid);
    if (at >= 0) this.lastContext = at;
    return at;
  }

  fillContext(tag: number, sid: number, ridPasid: number, directoryHi: number, directoryLo: number): void {
    const { arena } = this;
    const known = this.findContext(sid);
    const at = known >= 0 ? known : this.context.room(this.context.base);
    arena.set(at, tag);
    arena.set(at + SM_CONTEXT.sid, sid);
    arena.set(at + SM_CONTEXT.ridPasid, ridPasid);
    arena.set(at + SM_CONTEXT.directoryHi, directoryHi);
    arena.set(at + SM_CONTEXT.directoryLo, directoryLo);
  }

  findPasid(sid: number, pasid: number): number {
    const { words } = this;
    const last = this.lastPasid;
    if (words[last] !== 0 && words[last + PASID.sid] === sid && words[last + PASID.pasid] === pasid) return last;
    const at = this.pasid.findBoth(this.pasid.base, PASID.sid, sid, PASID.pasid, pasid);
    if (at >= 0) this.lastPasid = at;
    return at;
  }

  fillPasid(
    tag: number,
    sid: number,
    pasid: number,
    secondTopHi: number,
    secondTopLo: number,
    firstTopHi: number,
    firstTopLo: number,
  ): void {
    const { arena } = this;
    const known = this.findPasid(sid, pasid);
    const at = known >= 0 ? known : this.pasid.room(this.pasid.base);
    arena.set(at, tag);
    arena.set(at + PASID.sid, sid);
    arena.set(at + PASID.pasid, pasid);
    arena.set(at + PASID.secondTopHi, secondTopHi);
    arena.set(at + PASID.secondTopLo, secondTopLo);
    arena.set(at + PASID.firstTopHi, firstTopHi);
    arena.set(at + PASID.firstTopLo, firstTopLo);
  }

  /** @param sid −1 for every requester. @param ignore bits of the source id that do not matter */
  dropContexts(sid: number, ignore: number): void {
    for (let i = 0; i < this.context.entries; i++) {
      const at = this.context.at(i);
      if (this.words[at] === 0) continue;
      if (sid < 0 || ((this.words[at + SM_CONTEXT.sid] ^ sid) & ~ignore) === 0) this.context.drop(at);
    }
  }

  /** @param did −1 for every domain. @param pasid −1 for every PASID */
  dropPasids(did: number, pasid: number): void {
    for (let i = 0; i < this.pasid.entries; i++) {
      const at = this.pasid.at(i);
      if (this.words[at] === 0 || (did >= 0 && this.words[at] >>> PASID_TAG.did !== did)) continue;
      if (pasid < 0 || this.words[at + PASID.pasid] === pasid) this.pasid.drop(at);
    }
  }

  // ---- IOTLB ------------------------------------------------------------------------------------------------------------

  /** The first of {@link nthTranslation} with the rights, for translation at once. */
  findTranslation(sid: number, pasid: number, vpnHi: number, vpnLo: number, rights: number): number {
    // Bits of a tag that have to be set, in one: writes need an entry that is dirty.
    const need = (rights << RIGHTS) | ((rights & ANY_WRITE) !== 0 ? 1 << DIRTY : 0);
    const [hi, lo] = [hiOf(vpnHi), loOf(vpnHi, vpnLo)];
    return this.pages.find(ownerIs(sid, pasid), pasid, hi, lo, 0, 0, need);
  }

  /**
   * The `n`th entry for the page with the rights, −1 when there are no more.
   * @param pasid of the request, −1 for one without: it is not looked up by the PASID that stands for it
   * @param rights see {@link RIGHT}; writes need an entry that is dirty
   * @param any whether one of them is enough
   */
  nthTranslation(
    sid: number,
    pasid: number,
    vpnHi: number,
    vpnLo: number,
    rights: number,
    any: boolean,
    n: number,
  ): number {
    const dirty = !any && (rights & ANY_WRITE) !== 0 ? 1 << DIRTY : 0;
    const need = any ? 0 : (rights << RIGHTS) | dirty;
    const some = any ? rights << RIGHTS : 0;
    const [hi, lo] = [hiOf(vpnHi), loOf(vpnHi, vpnLo)];
    return this.pages.nth(ownerIs(sid, pasid), pasid, hi, lo, 0, 0, need, some, n);
  }

  pageHi(at: number): number {
    return this.words[at + PFN_HI];
  }

  pageLo(at: number, vpnLo: number): number {
    const bits = (this.words[at] >>> SIZE) & 0x3f;
    return this.words[at + PFN_LO] | (vpnLo & ((1 << bits) - 1));
  }

  /**
   * @param tag with {@link levelTag}
   * @param did domain id
   * @param withPasid whether the request had one
   * @param pasid under which it was translated
   * @param pfnLo aligned to the page's size
   */
  fillTranslation(
    tag: number,
    did: number,
    sid: number,
    withPasid: boolean,
    pasid: number,
    vpnHi: number,
    vpnLo: number,
    pfnHi: number,
    pfnLo: number,
  ): void {
    const owner = ownerIs(sid, withPasid ? pasid : -1);
    const at = this.pages.fill(tag, KIND, owner, pasid, hiOf(vpnHi), loOf(vpnHi, vpnLo), pfnHi, pfnLo);
    this.arena.set(at + IOTLB_DID, did);
  }

  /**
   * Drops translations in the scope; those of a PGTT for which the address does not count are dropped, or kept, whatever their address is.
   * @param addressed PGTTs, as bits, for which address and mask count. @param others whether the others are dropped
   */
  dropTranslations(scope: Scope, addressed: number, others: boolean): void {
    const { pagesInScope } = this;
    pagesInScope.scope = scope;
    pagesInScope.addressed = addressed;
    pagesInScope.others = others;
    this.pages.dropWhere(pagesInScope);
  }

  // ---- first-stage paging-structure caches ------------------------------------------------------------------------------

  /** Offset of the cached entry at a level that references a table for the page, −1 for none. */
  findFirst(level: number, did: number, pasid: number, vpnHi: number, vpnLo: number): number {
    const [hi, lo] = [hiOf(vpnHi), loOf(vpnHi, vpnLo)];
    return this.tables[level].findBlock(12 + 9 * (level - 1), pasid, -1, hi, lo, did << FIRST_TAG.did, FIRST_DID, 0);
  }

  /** @param tag with {@link levelTag} and domain id */
  fillFirst(tag: number, pasid: number, vpnHi: number, vpnLo: number, tableHi: number, tableLo: number): void {
    const tables = this.tables[levelOf(tag)];
    if (tables.cache.entries === 0) return;
    tables.fill(tag, FIRST_DID, pasid, -1, hiOf(vpnHi), loOf(vpnHi, vpnLo), tableHi, tableLo);
  }

  /** @returns how many entries in the scope were kept. @param keep all of them are */
  dropFirst(scope: Scope, keep: boolean): number {
    const { tablesInScope } = this;
    tablesInScope.scope = scope;
    tablesInScope.keep = keep;
    tablesInScope.kept = 0;
    for (const tables of this.tables) tables.dropWhere(tablesInScope);
    return tablesInScope.kept;
  }
}

/** PGTTs whose translations an IOTLB invalidation selects by address (table 23), and a PASID-based one (table 24). */
export const ADDRESSED = {
  iotlb: (1 << PGTT.secondStage) | (1 << PGTT.passThrough),
  pasid: (1 << PGTT.firstStage) | (1 << PGTT.nested),
} as const;
