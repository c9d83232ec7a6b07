/** What a translation on its way leaves in the caches (IHI 0070, 3.21.1, 16.2). */
import { blockHi, blockLo, blockTag } from '../kit/block-cache.ts';
import { ENTRY, originOf, PRIVILEGED_RIGHTS } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import { CONTROL, STE_AT } from './configuration.ts';
import type { SmmuCore } from './core.ts';
import { spanOf } from './geometry.ts';
import { levelOneIndex } from './stream-table.ts';
import type { Translation } from './translation.ts';

/** IDR3.BBML (3.21.1.2, 3.21.1.3): with 1 a block with nT is not cached; with 2 nT says nothing, with 0 it is no bit. */
const NT_COUNTS = 1;

export class Fills {
  /** Where decoded words of the STE and of the CD are kept for the translation; 0: in the cache. Set by who drives it. */
  steAt = 0;
  cdAt = 0;
  private readonly core: SmmuCore<SmmuCaches>;
  private readonly caches: SmmuCaches;
  private readonly ntCounts: boolean;

  constructor(core: SmmuCore<SmmuCaches>) {
    this.core = core;
    this.caches = core.caches;
    this.ntCounts = core.has.idr3.BBML === NT_COUNTS;
  }

  l1std(t: Translation, lo: number, hi: number): void {
    this.caches.fillLevelOne(this.caches.l1std, -1, levelOneIndex(this.core, t), lo, hi);
  }

  l1cd(t: Translation, index: number, lo: number, hi: number): void {
    this.caches.fillLevelOne(this.caches.l1cd, t.sid | 0, index, lo, hi);
  }

  /** @param words of the decoded STE @returns their offset from now on */
  ste(t: Translation, words: Int32Array, fills: boolean): number {
    if (this.steAt === 0) return this.caches.fillSte(t.sid | 0, words);
    if (fills) this.caches.fillSte(t.sid | 0, words);
    return this.keep(words, this.steAt);
  }

  /** See {@link ste}. */
  cd(t: Translation, words: Int32Array, fills: boolean): number {
    if (this.cdAt === 0) return this.caches.fillCd(t.sid | 0, t.index, words);
    if (fills) this.caches.fillCd(t.sid | 0, t.index, words);
    return this.keep(words, this.cdAt);
  }

  private keep(words: Int32Array, at: number): number {
    // Whose it is the transaction knows.
    for (let i = 0; i < words.length; i++) this.core.arena.set(at + i, i === STE_AT.sid ? 0 : words[i]);
    return at;
  }

  /** The table that stage 1's last descriptor points at. */
  firstTable(t: Translation): void {
    const { first } = t;
    const { granule } = first;
    const level = first.level - 1;
    const tag = originOf(granule, level) | (first.restrict << ENTRY.restrict) | (t.owner & (1 << ENTRY.regime));
    this.caches.fillTable(this.caches.walk1, spanOf(granule, level), tag, t.id, first.inHi, first.inLo, first);
  }

  /** That of stage 2. */
  secondTable(t: Translation): void {
    const { second } = t;
    const { granule } = second;
    const level = second.level - 1;
    const tag = originOf(granule, level);
    const id = t.id & ~0xffff;
    this.caches.fillTable(this.caches.walk2, spanOf(granule, level), tag, id, second.inHi, second.inLo, second);
  }

  /** Tag of the TLB's entry for a translation. @param bits of it: the smaller of both stages' */
  tagOf(t: Translation, bits: number, grants: number): number {
    const { first } = t;
    // With E0PD what is privileged finds the entry alone: others are refused before any walk.
    const rights = ((first.control >>> CONTROL.e0pd) & 1) === 0 ? grants : grants & PRIVILEGED_RIGHTS;
    return (
      blockTag(bits) |
      (rights << ENTRY.rights) |
      t.owner |
      // Without ASIDs nG says nothing, and no ASID matches (3.17.1, 4.4.2.10).
      ((!t.both || first.global ? 1 : 0) << ENTRY.global) |
      originOf(first.granule, first.level) |
      (((t.config >>> 1) & 1) << ENTRY.both)
    );
  }

  /** The translation of stage 1, with what stage 2 has made of it where both translate. */
  translation(t: Translation, bits: number, grants: number, outHi: number, outLo: number): void {
    const { first, second } = t;
    const nested = (t.config & 2) !== 0;
    if (this.ntCounts && (first.notCached || (nested && !second.cached && second.notCached))) return;
    const hi = blockHi(bits, outHi);
    this.caches.fillTranslation(this.tagOf(t, bits, grants), t.id, first.inHi, first.inLo, hi, blockLo(bits, outLo));
  }

  /** Tag of the entry for what stage 2 has made of an IPA. */
  ipaTagOf(t: Translation, device: boolean): number {
    const { second } = t;
    return (
      blockTag(second.bits) |
      (second.rights << ENTRY.rights) |
      originOf(second.granule, second.level) |
      ((device ? 1 : 0) << ENTRY.device)
    );
  }

  /** The translation of stage 2 alone. */
  ipa(t: Translation, device: boolean): void {
    const { second } = t;
    const { bits } = second;
    if (this.caches.ipa.cache.entries === 0 || (this.ntCounts && second.notCached)) return;
    const hi = blockHi(bits, second.outHi);
    const lo = blockLo(bits, second.outLo);
    this.caches.ipa.fill(this.ipaTagOf(t, device), 0, t.id & ~0xffff, -1, second.inHi, second.inLo, hi, lo);
  }
}
