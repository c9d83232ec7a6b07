/** Caches of scalable mode (VT-d 6.2): how they are looked up, filled and emptied. */
import type { Arena } from '../../machine/index.ts';
import { Cache } from '../kit/cache.ts';
import type { CacheSizes } from './cache-entries.ts';
import { pageBits, sameBlock } from './cache-entries.ts';
import { FIRST_PAGING, FIRST_TAG, PASID, RIGHT, SM_CONTEXT, SM_IOTLB, SM_TAG, WITH_PASID } from './scalable-entries.ts';
import { FS_ENTRY_NAME, PGTT } from './scalable-structures.ts';

// Again as this module's own, which V8 folds (see `caches.ts`).
const { owner: OWNER, pasid: IOTLB_PASID, vpnHi: VPN_HI, vpnLo: VPN_LO, pfnHi: PFN_HI, pfnLo: PFN_LO } = SM_IOTLB;
const { level: LEVEL, rights: RIGHTS, dirty: DIRTY, pgtt: PGTT_AT, fault: FAULT } = SM_TAG;
const IOTLB_WORDS = Object.keys(SM_IOTLB).length;
const LEVEL_MASK = 7 << LEVEL;
/** What tells apart entries of one page: a cached fault lies beside a translation. */
const KIND_MASK = LEVEL_MASK | (1 << FAULT);
const ANY_WRITE = RIGHT.write | RIGHT.supervisorWrite;

/** Domain id of an entry of any of these caches but the context cache. */
export const smDidOf = (tag: number): number => tag >>> SM_TAG.did;

/** What an invalidation of translations is about; −1 where a tag does not matter. `am` 64 stands for every address. */
export interface Scope {
  readonly did: number;
  readonly pasid: number;
  readonly am: number;
  readonly vpnHi: number;
  readonly vpnLo: number;
}

export class ScalableCaches {
  readonly context: Cache;
  readonly pasid: Cache;
  readonly iotlb: Cache;
  /** First-stage (or combined) entries, by level 2 to 5; 0 and 1 are unused. */
  readonly first: readonly Cache[];
  private readonly arena: Arena;
  private readonly words: Int32Array;
  private readonly stride: number;
  private readonly bits: number;
  private readonly mask: number;
  private readonly base: number;
  /**
   * Offset of a word with bit `level` set where the IOTLB may hold a page of that level's size. −1 where the unit is explored: the word would
   * tell apart states that nobody can tell apart.
   */
  private readonly sizesAt: number;
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
    this.iotlb = new Cache(arena, 'vtd.sm-iotlb', keys(SM_IOTLB), sizes.iotlbSets, sizes.iotlbWays, replaces);
    this.first = [0, 1, 2, 3, 4, 5].map((level) => {
      const ways = level < 2 ? 0 : sizes.pagingStructure / (sizes.pagingSets ?? 1);
      const name = `vtd.${FS_ENTRY_NAME[level]}`;
      return new Cache(arena, name, keys(FIRST_PAGING), sizes.pagingSets ?? 1, ways, replaces);
    });
    this.sizesAt = replaces ? arena.region('vtd.sm-iotlb-sizes', ['sizes']).base : -1;
    this.stride = sizes.iotlbWays * IOTLB_WORDS;
    this.bits = Math.log2(sizes.iotlbSets);
    this.mask = sizes.iotlbSets - 1;
    this.base = this.iotlb.base;
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
      if (this.words[at] === 0 || (did >= 0 && smDidOf(this.words[at]) !== did)) continue;
      if (pasid < 0 || this.words[at + PASID.pasid] === pasid) this.pasid.drop(at);
    }
  }

  // ---- IOTLB ------------------------------------------------------------------------------------------------------------

  private setAt(owner: number, pasid: number, vpnHi: number, block: number): number {
    // `| 0`: operands of Math.imul that V8 does not know to be integers go through floating point.
    const who = Math.imul(owner | 0, 0x85ebca6b | 0) ^ Math.imul(pasid | 0, 0xc2b2ae35 | 0);
    const hash = block ^ (block >>> this.bits) ^ Math.imul(vpnHi | 0, 0x9e3779b1 | 0) ^ who ^ (who >>> 15);
    return this.base + (hash & this.mask) * this.stride;
  }

  /** The first of {@link nthTranslation} with the rights, for translation at once. */
  findTranslation(sid: number, pasid: number, vpnHi: number, vpnLo: number, rights: number): number {
    const { words } = this;
    const sizes = this.sizesAt < 0 ? -1 : words[this.sizesAt];
    const owner = pasid < 0 ? sid : sid | WITH_PASID;
    // Bits of a tag that have to be set, in one: writes need an entry that is dirty.
    const writes = (rights & ANY_WRITE) !== 0;
    const wanted = (rights << RIGHTS) | (writes ? 1 << DIRTY : 0);
    for (let level = 1; level <= 3; level++) {
      if (((sizes >>> level) & 1) === 0) continue;
      const bits = 9 * (level - 1);
      const block = vpnLo >>> bits;
      const start = block << bits;
      let at = this.setAt(owner, pasid, vpnHi, block);
      for (const end = at + this.stride; at < end; at += IOTLB_WORDS) {
        if (words[at + VPN_LO] !== start || words[at + VPN_HI] !== vpnHi || words[at + OWNER] !== owner) continue;
        const tag = words[at];
        if ((tag & LEVEL_MASK) !== level << LEVEL || (wanted & ~tag) !== 0) continue;
        if (pasid < 0 || words[at + IOTLB_PASID] === pasid) return at;
      }
    }
    return -1;
  }

  /**
   * The `n`th entry for the page with the rights, −1 when there are no more.
   * @param pasid of the request, −1 for one without
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
    const { words } = this;
    const owner = pasid < 0 ? sid : sid | WITH_PASID;
    const writes = !any && (rights & ANY_WRITE) !== 0;
    for (let level = 1; level <= 3; level++) {
      const bits = 9 * (level - 1);
      const block = vpnLo >>> bits;
      // Requests without PASID are not looked up by the PASID that stands for them.
      let at = this.setAt(owner, pasid, vpnHi, block);
      for (const end = at + this.stride; at < end; at += IOTLB_WORDS) {
        if (words[at + VPN_LO] !== block << bits || words[at + VPN_HI] !== vpnHi || words[at + OWNER] !== owner)
          continue;
        const tag = words[at];
        if (tag === 0 || (tag & LEVEL_MASK) !== level << LEVEL) continue;
        if (pasid >= 0 && words[at + IOTLB_PASID] !== pasid) continue;
        const has = (tag >>> RIGHTS) & rights;
        if (any ? has === 0 : has !== rights || (writes && ((tag >>> DIRTY) & 1) === 0)) continue;
        if (n-- === 0) return at;
      }
    }
    return -1;
  }

  /** Level of the page size of an IOTLB entry: 1 4 KiB, 2 2 MiB, 3 1 GiB. */
  levelOf(at: number): number {
    return (this.words[at] >>> LEVEL) & 7;
  }

  pageHi(at: number): number {
    return this.words[at + PFN_HI];
  }

  pageLo(at: number, vpnLo: number): number {
    return this.words[at + PFN_LO] | (vpnLo & ((1 << (9 * (((this.words[at] >>> LEVEL) & 7) - 1))) - 1));
  }

  /**
   * @param withPasid whether the request had one
   * @param pasid under which it was translated
   * @param pfnLo aligned to the page's size
   */
  fillTranslation(
    tag: number,
    sid: number,
    withPasid: boolean,
    pasid: number,
    vpnHi: number,
    vpnLo: number,
    pfnHi: number,
    pfnLo: number,
  ): void {
    const { arena, words } = this;
    const bits = 9 * (((tag >>> LEVEL) & 7) - 1);
    const block = vpnLo >>> bits;
    const start = block << bits;
    const owner = withPasid ? sid | WITH_PASID : sid;
    const { sizesAt } = this;
    const level = (tag >>> LEVEL) & 7;
    if (sizesAt >= 0 && ((words[sizesAt] >>> level) & 1) === 0) arena.set(sizesAt, words[sizesAt] | (1 << level));
    const first = this.setAt(owner, withPasid ? pasid : -1, vpnHi, block);
    let entry = -1;
    let empty = -1;
    for (let at = first; at < first + this.stride; at += IOTLB_WORDS) {
      if (words[at] === 0) {
        if (empty < 0) empty = at;
      } else if (
        words[at + VPN_LO] === start &&
        words[at + VPN_HI] === vpnHi &&
        words[at + OWNER] === owner &&
        words[at + IOTLB_PASID] === pasid &&
        ((words[at] ^ tag) & KIND_MASK) === 0
      ) {
        entry = at;
        break;
      }
    }
    if (entry < 0) entry = empty >= 0 ? empty : this.iotlb.replaced(first);
    arena.set(entry, tag);
    arena.set(entry + OWNER, owner);
    arena.set(entry + IOTLB_PASID, pasid);
    arena.set(entry + VPN_HI, vpnHi);
    arena.set(entry + VPN_LO, start);
    arena.set(entry + PFN_HI, pfnHi);
    arena.set(entry + PFN_LO, pfnLo);
  }

  /**
   * Drops translations in the scope; those of a PGTT for which the address does not count are dropped, or kept, whatever their address is.
   * @param addressed PGTTs, as bits, for which address and mask count. @param others whether the others are dropped
   */
  dropTranslations(scope: Scope, addressed: number, others: boolean): void {
    const { words } = this;
    const end = this.iotlb.at(this.iotlb.entries);
    for (let at = this.base; at < end; at += IOTLB_WORDS) {
      const tag = words[at];
      if (tag === 0 || (scope.did >= 0 && smDidOf(tag) !== scope.did)) continue;
      if (scope.pasid >= 0 && words[at + IOTLB_PASID] !== scope.pasid) continue;
      const counts = ((addressed >>> ((tag >>> PGTT_AT) & 7)) & 1) === 1;
      if (counts ? this.translationInBlock(at, scope) : others) this.iotlb.drop(at);
    }
  }

  private translationInBlock(at: number, { am, vpnHi, vpnLo }: Scope): boolean {
    const bits = Math.max(am, pageBits((this.words[at] >>> LEVEL) & 7));
    return sameBlock(bits, this.words[at + VPN_HI], this.words[at + VPN_LO], vpnHi, vpnLo);
  }

  // ---- first-stage paging-structure caches ------------------------------------------------------------------------------

  private firstSet(level: number, did: number, pasid: number, startHi: number, startLo: number): number {
    const cache = this.first[level];
    const block = level === 2 ? (startHi << 9) | (startLo >>> 9) : startHi >>> (9 * (level - 3));
    return cache.base + ((block ^ did ^ pasid) & (cache.sets - 1)) * cache.ways * cache.size;
  }

  /** Offset of the cached entry at a level that references a table for the page, −1 for none. */
  findFirst(level: number, did: number, pasid: number, vpnHi: number, vpnLo: number): number {
    const { words } = this;
    const cache = this.first[level];
    const startHi = firstStartHi(level, vpnHi);
    const startLo = firstStartLo(level, vpnLo);
    let at = this.firstSet(level, did, pasid, startHi, startLo);
    for (const end = at + cache.ways * cache.size; at < end; at += cache.size) {
      if (words[at] === 0 || words[at] >>> FIRST_TAG.did !== did || words[at + FIRST_PAGING.pasid] !== pasid) continue;
      if (words[at + FIRST_PAGING.vpnHi] === startHi && words[at + FIRST_PAGING.vpnLo] === startLo) return at;
    }
    return -1;
  }

  /** @param tag with level and domain id */
  fillFirst(tag: number, pasid: number, vpnHi: number, vpnLo: number, tableHi: number, tableLo: number): void {
    const { arena } = this;
    const level = (tag >>> FIRST_TAG.level) & 7;
    const did = tag >>> FIRST_TAG.did;
    const cache = this.first[level];
    if (cache.entries === 0) return;
    const startHi = firstStartHi(level, vpnHi);
    const startLo = firstStartLo(level, vpnLo);
    const known = this.findFirst(level, did, pasid, vpnHi, vpnLo);
    const at = known >= 0 ? known : cache.room(this.firstSet(level, did, pasid, startHi, startLo));
    arena.set(at, tag);
    arena.set(at + FIRST_PAGING.pasid, pasid);
    arena.set(at + FIRST_PAGING.vpnHi, startHi);
    arena.set(at + FIRST_PAGING.vpnLo, startLo);
    arena.set(at + FIRST_PAGING.tableHi, tableHi);
    arena.set(at + FIRST_PAGING.tableLo, tableLo);
  }

  /** @returns how many entries in the scope were kept. @param keep all of them are */
  dropFirst(scope: Scope, keep: boolean): number {
    const { words } = this;
    let kept = 0;
    for (let level = 2; level <= 5; level++) {
      const cache = this.first[level];
      for (let i = 0; i < cache.entries; i++) {
        const at = cache.at(i);
        if (words[at] === 0 || (scope.did >= 0 && smDidOf(words[at]) !== scope.did)) continue;
        if (scope.pasid >= 0 && words[at + FIRST_PAGING.pasid] !== scope.pasid) continue;
        const bits = Math.max(scope.am, pageBits(level));
        const [hi, lo] = [words[at + FIRST_PAGING.vpnHi], words[at + FIRST_PAGING.vpnLo]];
        if (scope.am < EVERY_ADDRESS && !sameBlock(bits, hi, lo, scope.vpnHi, scope.vpnLo)) continue;
        if (keep) kept++;
        else cache.drop(at);
      }
    }
    return kept;
  }
}

/** See {@link Scope}. */
export const EVERY_ADDRESS = 64;

/** PGTTs whose translations an IOTLB invalidation selects by address (table 23), and a PASID-based one (table 24). */
export const ADDRESSED = {
  iotlb: (1 << PGTT.secondStage) | (1 << PGTT.passThrough),
  pasid: (1 << PGTT.firstStage) | (1 << PGTT.nested),
} as const;

function firstStartHi(level: number, vpnHi: number): number {
  return level <= 3 ? vpnHi : vpnHi & (-1 << (9 * (level - 3)));
}

function firstStartLo(level: number, vpnLo: number): number {
  return level === 2 ? vpnLo & ~0x1ff : 0;
}
