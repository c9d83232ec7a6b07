/** The SMMU's caches (IHI 0070, 3.17, 3.21, 16.2): how they are looked up, filled and emptied. */
import type { Arena } from '../../machine/index.ts';
import { BlockCache, blockTag } from '../kit/block-cache.ts';
import { Cache } from '../kit/cache.ts';
import type { CacheSizes } from './cache-entries.ts';
import { ENTRY, ID_KIND_MASK, KIND_MASK, MOST_BITS, possibleSizes } from './cache-entries.ts';
import { describeCaches } from './cache-text.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { CD_AT, CD_WORDS, STE_AT, STE_WORDS } from './configuration.ts';
import { dropByAddress, InScope } from './tlb-match.ts';
import type { InvalidatedCaches, TlbScope } from './tlb-scope.ts';
import { SCOPE_STAGE } from './tlb-scope.ts';

/** Words of a level-1 descriptor: of the stream table (`index` −1) or of a stream's CDs; its 64 bits. Bit 0 of the tag: it is there. */
export const LEVEL_ONE_WORDS = ['tag', 'sid', 'index', 'lo', 'hi'] as const;
export const LEVEL_ONE = { tag: 0, sid: 1, index: 2, lo: 3, hi: 4 } as const;

/** Where a table begins. */
export interface TablePointer {
  readonly tableHi: number;
  readonly tableLo: number;
}

// Again as this module's own, which V8 folds.
const RIGHTS = ENTRY.rights;
const GLOBAL = 1 << ENTRY.global;
const KIND = KIND_MASK;
const ID_KIND = ID_KIND_MASK;
const STE_SID = STE_AT.sid;
const CD_SID = CD_AT.sid;
const CD_SSID = CD_AT.ssid;

export class SmmuCaches implements InvalidatedCaches {
  readonly ste: Cache;
  readonly cd: Cache;
  /** Level-1 descriptors; two kinds, as they are dropped by different commands. */
  readonly l1std: Cache;
  readonly l1cd: Cache;
  /** What stage 1 has translated, with or without stage 2. */
  readonly tlb: BlockCache;
  /** What stage 2 has translated, by IPA. */
  readonly ipa: BlockCache;
  /** Tables that stage 1's and stage 2's descriptors point at. */
  readonly walk1: BlockCache;
  readonly walk2: BlockCache;
  private readonly inScope: InScope;
  private readonly words: Int32Array;
  private readonly arena: Arena;
  private readonly configurationMask: number;
  private readonly replaces: boolean;
  private readonly separate: boolean;
  /** Whether there was ever a global entry: most software has none. */
  private globals = false;

  /**
   * @param replaces a full cache replaces; see {@link Cache}
   * @param separate an STE and its CDs are dropped by themselves
   */
  constructor(arena: Arena, has: SmmuCapabilities, sizes: CacheSizes, replaces: boolean, separate = true) {
    this.arena = arena;
    this.separate = separate;
    this.words = arena.words;
    this.replaces = replaces;
    const sets = sizes.configurationSets ?? 1;
    this.configurationMask = sets - 1;
    const walkSets = sizes.walkSets ?? 1;
    const possible = possibleSizes(has);
    this.ste = new Cache(arena, 'smmu.ste', STE_WORDS, sets, sizes.ste / sets, replaces);
    this.cd = new Cache(arena, 'smmu.cd', CD_WORDS, sets, sizes.cd / sets, replaces);
    this.l1std = new Cache(arena, 'smmu.l1std', LEVEL_ONE_WORDS, 1, sizes.levelOne, replaces);
    this.l1cd = new Cache(arena, 'smmu.l1cd', LEVEL_ONE_WORDS, 1, sizes.levelOne, replaces);
    const blocks = { sizes: possible, replaces, id: 'id' };
    const walk = { sets: walkSets, ways: sizes.walk / walkSets, ...blocks };
    this.tlb = new BlockCache(arena, 'smmu.tlb', { sets: sizes.tlbSets, ways: sizes.tlbWays, ...blocks });
    this.ipa = new BlockCache(arena, 'smmu.ipa', { sets: sizes.ipaSets, ways: sizes.ipaWays, ...blocks });
    this.walk1 = new BlockCache(arena, 'smmu.walk1', walk);
    this.walk2 = new BlockCache(arena, 'smmu.walk2', walk);
    this.inScope = new InScope(arena.words);
  }

  /** Word 0 of an entry of any cache. */
  tag(at: number): number {
    return this.words[at];
  }

  /** Offset of the cached STE of a stream, −1 for none. */
  findSte(sid: number): number {
    return this.ste.find(this.steSet(sid), STE_SID, sid);
  }

  private steSet(sid: number): number {
    const { ste } = this;
    return ste.base + ((sid ^ (sid >>> 8)) & this.configurationMask) * ste.ways * ste.size;
  }

  /** Offset of a stream's cached CD, by index in its table; −1 for none. */
  findCd(sid: number, index: number): number {
    return this.cd.findBoth(this.cdSet(sid, index), CD_SID, sid, CD_SSID, index);
  }

  private cdSet(sid: number, index: number): number {
    const { cd } = this;
    return cd.base + ((sid ^ (sid >>> 8) ^ index) & this.configurationMask) * cd.ways * cd.size;
  }

  /** @param from the words of a decoded STE. @returns where it is now */
  fillSte(sid: number, from: Int32Array): number {
    const known = this.findSte(sid);
    return this.copy(known >= 0 ? known : this.ste.room(this.steSet(sid)), from);
  }

  /** See {@link fillSte}. */
  fillCd(sid: number, index: number, from: Int32Array): number {
    const known = this.findCd(sid, index);
    return this.copy(known >= 0 ? known : this.cd.room(this.cdSet(sid, index)), from);
  }

  private copy(entry: number, from: Int32Array): number {
    for (let i = 0; i < from.length; i++) this.arena.set(entry + i, from[i]);
    return entry;
  }

  /** Offset of a cached level-1 descriptor, −1 for none. @param index of the descriptor. @param sid of whom; −1 for the stream table's */
  findLevelOne(cache: Cache, sid: number, index: number): number {
    return cache.findBoth(cache.base, LEVEL_ONE.sid, sid, LEVEL_ONE.index, index);
  }

  fillLevelOne(cache: Cache, sid: number, index: number, lo: number, hi: number): void {
    if (cache.entries === 0) return;
    const { arena } = this;
    const known = this.findLevelOne(cache, sid, index);
    const at = known >= 0 ? known : cache.room(cache.base);
    arena.set(at, 1);
    arena.set(at + LEVEL_ONE.sid, sid);
    arena.set(at + LEVEL_ONE.index, index);
    arena.set(at + LEVEL_ONE.lo, lo);
    arena.set(at + LEVEL_ONE.hi, hi);
  }

  /**
   * Offset of the first translation that serves an access, −1 for none.
   * @param kind regime and ASET, as {@link ENTRY} has them. @param id with its ASID
   * @param rights that are needed
   */
  findTranslation(kind: number, id: number, hi: number, lo: number, rights: number): number {
    const need = rights << RIGHTS;
    const at = this.tlb.find(id, -1, hi, lo, kind & ID_KIND, ID_KIND, need);
    if (at >= 0 || (!this.globals && this.replaces)) return at;
    return this.tlb.find(id & ~0xffff, -1, hi, lo, kind | GLOBAL, KIND, need);
  }

  /** The `n`th of what {@link findTranslation} finds the first of. */
  nthTranslation(kind: number, id: number, hi: number, lo: number, rights: number, n: number): number {
    const need = rights << RIGHTS;
    let left = n;
    for (let i = 0; ; i++) {
      const at = this.tlb.nth(id, -1, hi, lo, kind & ID_KIND, ID_KIND, need, 0, i);
      if (at < 0) break;
      if (left-- === 0) return at;
    }
    return this.tlb.nth(id & ~0xffff, -1, hi, lo, kind | GLOBAL, KIND, need, 0, left);
  }

  /** Offset of the first translation of stage 2 that serves an access to an IPA, −1 for none. @param id any of the VMID */
  findIpa(id: number, hi: number, lo: number, rights: number): number {
    return this.ipa.find(id & ~0xffff, -1, hi, lo, 0, 0, rights << RIGHTS);
  }

  /** Offset of the cached table nearest to the leaf, −1 for none. @param kind its regime */
  findTable(of: BlockCache, kind: number, id: number, hi: number, lo: number): number {
    return of.find(id, -1, hi, lo, kind & ID_KIND, ID_KIND, 0);
  }

  /** @param tag with size, {@link ENTRY}, and `global` where the ASID does not count */
  fillTranslation(tag: number, id: number, hi: number, lo: number, outHi: number, outLo: number): void {
    const global = (tag >>> ENTRY.global) & 1;
    if (global === 1) this.globals = true;
    const mask = global === 1 ? KIND_MASK : ID_KIND_MASK;
    this.tlb.fill(tag, mask, global === 1 ? id & ~0xffff : id, -1, hi, lo, outHi, outLo);
  }

  /** A table of either stage. @param bits log2 of what its descriptor covers. @param tag without them */
  fillTable(of: BlockCache, bits: number, tag: number, id: number, hi: number, lo: number, by: TablePointer): void {
    if (of.cache.entries === 0 || bits > MOST_BITS) return;
    of.fill(blockTag(bits) | tag, ID_KIND_MASK, id, -1, hi, lo, by.tableHi, by.tableLo);
  }

  dropSte(sid: number, leafOnly: boolean): void {
    this.dropStreams(sid | 0, -1, leafOnly);
  }

  dropSteRange(sid: number, log2: number): void {
    // Every L1STD is: which of them the range has depends on STRTAB_BASE_CFG.SPLIT, and more may be dropped than need be (4.3.2).
    this.dropStreams(sid | 0, log2 >= 32 ? 0 : -1 << log2, false);
  }

  dropAllConfig(): void {
    this.dropStreams(0, 0, false);
  }

  /** @param mask bits of the StreamID that count */
  private dropStreams(sid: number, mask: number, leafOnly: boolean): void {
    const { cd, l1cd, l1std, ste, words } = this;
    for (let i = 0; i < ste.entries; i++) {
      const at = ste.at(i);
      if (words[at] !== 0 && ((words[at + STE_SID] ^ sid) & mask) === 0) ste.drop(at);
    }
    for (let i = 0; i < cd.entries; i++) {
      const at = cd.at(i);
      if (words[at] !== 0 && ((words[at + CD_SID] ^ sid) & mask) === 0) cd.drop(at);
    }
    for (let i = 0; i < l1cd.entries; i++) {
      const at = l1cd.at(i);
      if (words[at] !== 0 && ((words[at + LEVEL_ONE.sid] ^ sid) & mask) === 0) l1cd.drop(at);
    }
    if (!leafOnly) l1std.dropAll();
  }

  dropCd(sid: number, ssid: number, leafOnly: boolean): void {
    if (!this.separate) return this.dropStreams(sid | 0, -1, leafOnly);
    const { cd, l1cd, words } = this;
    const at = this.findCd(sid | 0, ssid);
    if (at >= 0) cd.drop(at);
    if (leafOnly) return;
    for (let i = 0; i < l1cd.entries; i++) {
      const entry = l1cd.at(i);
      // Those of the stream that locate other CDs go, too (4.3: more may be dropped).
      if (words[entry] !== 0 && words[entry + LEVEL_ONE.sid] === (sid | 0)) l1cd.drop(entry);
    }
  }

  dropCdAll(sid: number): void {
    if (!this.separate) return this.dropStreams(sid | 0, -1, false);
    const { cd, l1cd, words } = this;
    for (let i = 0; i < cd.entries; i++) {
      const at = cd.at(i);
      if (words[at] !== 0 && words[at + CD_SID] === (sid | 0)) cd.drop(at);
    }
    for (let i = 0; i < l1cd.entries; i++) {
      const at = l1cd.at(i);
      if (words[at] !== 0 && words[at + LEVEL_ONE.sid] === (sid | 0)) l1cd.drop(at);
    }
  }

  dropTlb(scope: TlbScope): void {
    if (scope.stage !== SCOPE_STAGE.two) this.dropStage(scope, this.tlb, this.walk1);
    if (scope.stage !== SCOPE_STAGE.one) this.dropStage(scope, this.ipa, this.walk2);
  }

  private dropStage(scope: TlbScope, translations: BlockCache, tables: BlockCache): void {
    const { inScope } = this;
    inScope.of(scope, false);
    if (!dropByAddress(translations, scope, inScope)) translations.dropWhere(inScope);
    if (!scope.leafOnly) tables.dropWhere(inScope.of(scope, true));
  }

  /** A line for each entry that is held. */
  describe(): string[] {
    return describeCaches(this.words, this);
  }
}
