/**
 * The ordinary miss in locals: every descriptor is there, little-endian, its flags are set and it grants what is asked. Whatever else is met, a
 * fault or a flag to set, is nothing done: `nested.ts` begins again. It exists because it takes half of the time.
 */
import type { Memory } from '../../machine/index.ts';
import { blockHi, blockLo, blockTag } from '../kit/block-cache.ts';
import { ENTRY, originOf } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import { CD_AT, CONTROL, STE_AT, STE_TAG, TABLE_AT } from './configuration.ts';
import type { SmmuCore } from './core.ts';
import { RIGHT } from './event-record.ts';
import { LAST_LEVEL } from './geometry.ts';
import { DESCRIPTOR, stage1Rights, stage2Rights } from './walk.ts';

// Again as this module's own, which V8 folds.
const { AF, AP_READ_ONLY, DBM, HIERARCHY_SHIFT, NOT_GLOBAL } = DESCRIPTOR;
const LAST = LAST_LEVEL;
const READS = RIGHT.uR;
const GRANULE = CONTROL.granule;
const LEVEL = CONTROL.level;
const OUTPUT = CONTROL.output;
const HD = CONTROL.hd;
const RIGHTS = ENTRY.rights;
const PTW = STE_TAG.ptw;
const DEVICE = ENTRY.device;

/** Bits of a stage's control with which a walk is not an ordinary one. */
const UNUSUAL = (1 << CONTROL.endi) | (1 << CONTROL.epd) | (1 << CONTROL.e0pd);

export class ShortWalk {
  /** Where it leads. */
  outHi = 0;
  outLo = 0;
  private readonly memory: Memory;
  private readonly caches: SmmuCaches;
  private readonly words: Int32Array;
  private readonly xnx: boolean;
  private readonly usable: boolean;
  private bits = 0;
  private rights = 0;

  constructor(core: SmmuCore<SmmuCaches>) {
    this.memory = core.tables;
    this.caches = core.caches;
    this.words = core.arena.words;
    this.xnx = core.has.idr3.XNX === 1;
    // Where nT counts, and where descriptors have bits 51:48 of addresses, nothing is ordinary.
    this.usable = core.has.idr3.BBML !== 1 && core.has.oas <= 48;
  }

  /**
   * Stage 1 of StreamWorld EL1, with or without stage 2; fills the TLB.
   * @param table offset of the words of the CD's table that the address is for
   * @param hi with bits 63:56 as TBI makes them. @param want rights
   * @returns false: nothing is done
   */
  translate(ste: number, cd: number, table: number, id: number, hi: number, lo: number, want: number): boolean {
    const { memory, words } = this;
    const control = words[table + TABLE_AT.control];
    const input = control & 63;
    if (!this.usable || (control & UNUSUAL) !== 0 || input < 32) return false;
    const above = hi >> (input - 32);
    if (above !== 0 && above !== -1) return false;
    const nested = (words[ste] & (2 << STE_TAG.config)) !== 0;
    const granule = (control >>> GRANULE) & 31;
    const stride = granule - 3;
    const outputHi = ((control >>> OUTPUT) & 63) - 32;
    const hierarchy = ((control >>> CONTROL.had) & 1) === 0 ? 15 : 0;
    let level = (control >>> LEVEL) & 3;
    let shift = granule + stride * (LAST - level);
    let width = input - shift;
    let tableHi = words[table + TABLE_AT.hi];
    let tableLo = words[table + TABLE_AT.lo];
    let restrict = 0;
    for (;;) {
      const from = shift >= 32 ? hi >>> (shift - 32) : (lo >>> shift) | (hi << (32 - shift));
      tableLo |= (from & ((1 << width) - 1)) << 3;
      if (nested) {
        if (!this.ofTable(ste, id, tableHi, tableLo)) return false;
        tableHi = this.outHi;
        tableLo = this.outLo;
      }
      const at = memory.locate(tableHi * 0x100000 + (tableLo >>> 12), (tableLo >>> 3) & 511);
      if (at < 0) return false;
      const low = memory.lo(at);
      const high = memory.hi(at);
      tableHi = high & 0xffff;
      if ((low & 3) !== 3 || level === LAST) {
        if (level === LAST ? (low & 3) !== 3 : (low & 3) !== 1 || level === 0 || (level === 1 && granule !== 12))
          return false;
        return this.leaf(ste, cd, id, hi, lo, want, control, level, shift, restrict, low, high, nested);
      }
      if (tableHi >>> outputHi !== 0) return false;
      tableLo = low & (-1 << granule);
      restrict |= (high >>> HIERARCHY_SHIFT) & hierarchy;
      level++;
      shift -= stride;
      width = stride;
    }
  }

  private leaf(
    ste: number,
    cd: number,
    id: number,
    hi: number,
    lo: number,
    want: number,
    control: number,
    level: number,
    shift: number,
    restrict: number,
    low: number,
    high: number,
    nested: boolean,
  ): boolean {
    const { caches, words } = this;
    let pageHi = high & 0xffff;
    const granule = (control >>> GRANULE) & 31;
    let pageLo = low & (-1 << granule);
    if (shift >= 32) return false;
    pageLo &= -1 << shift;
    if (pageHi >>> (((control >>> OUTPUT) & 63) - 32) !== 0 || (low & AF) === 0) return false;
    const managed = ((control >>> HD) & 1) !== 0 && (high & DBM) !== 0 && (low & AP_READ_ONLY) !== 0;
    if (managed) return false;
    let rights = stage1Rights(low, high, restrict, words[cd]);
    if ((want & ~rights) !== 0) return false;
    let bits = shift;
    let outHi = pageHi;
    let outLo = pageLo | (lo & ~(-1 << shift));
    let both = 0;
    if (nested) {
      if (!this.stage2(ste, outHi, outLo, want)) return false;
      outHi = this.outHi;
      outLo = this.outLo;
      rights &= this.rights;
      if (this.bits < bits) bits = this.bits;
      both = 1 << ENTRY.both;
      pageHi = blockHi(bits, outHi);
      pageLo = blockLo(bits, outLo);
    }
    const tag =
      blockTag(bits) |
      (rights << RIGHTS) |
      (((words[cd + CD_AT.tag] >>> 8) & 1) << ENTRY.aset) |
      ((low & NOT_GLOBAL) === 0 ? 1 << ENTRY.global : 0) |
      originOf(granule, level) |
      both;
    caches.fillTranslation(tag, id, hi, lo, pageHi, pageLo);
    this.outHi = outHi;
    this.outLo = outLo;
    return true;
  }

  /** Where a descriptor of stage 1 is; what stage 2 says of its page is kept. */
  private ofTable(ste: number, id: number, hi: number, lo: number): boolean {
    const { caches, words } = this;
    const known = caches.findIpa(id, hi, lo, READS);
    const ptw = ((words[ste] >>> PTW) & 1) !== 0;
    if (known >= 0) {
      if (ptw && ((words[known] >>> DEVICE) & 1) !== 0) return false;
      this.outHi = caches.ipa.outHi(known, hi);
      this.outLo = caches.ipa.outLo(known, lo);
      return true;
    }
    // Attributes are `nested.ts`'s.
    if (ptw) return false;
    return this.stage2(ste, hi, lo, READS, caches.ipa.cache.entries === 0 ? -1 : id & ~0xffff);
  }

  /** @param keep VMID by which it is to be cached; without one it is not */
  private stage2(ste: number, hi: number, lo: number, want: number, keep = -1): boolean {
    const { memory, words } = this;
    const control = words[ste + STE_AT.control];
    const input = control & 63;
    if ((control & UNUSUAL) !== 0 || input < 32 || hi >>> (input - 32) !== 0) return false;
    const granule = (control >>> GRANULE) & 31;
    const stride = granule - 3;
    const outputHi = ((control >>> OUTPUT) & 63) - 32;
    let level = (control >>> LEVEL) & 3;
    let shift = granule + stride * (LAST - level);
    let width = input - shift;
    let tableHi = words[ste + STE_AT.ttbHi];
    let tableLo = words[ste + STE_AT.ttbLo];
    for (;;) {
      const from = shift >= 32 ? hi >>> (shift - 32) : (lo >>> shift) | (hi << (32 - shift));
      tableLo |= (from & ((1 << width) - 1)) << 3;
      const at = memory.locate(tableHi * 0x100000 + (tableLo >>> 12), (tableLo >>> 3) & 511);
      if (at < 0) return false;
      const low = memory.lo(at);
      const high = memory.hi(at);
      tableHi = high & 0xffff;
      if (tableHi >>> outputHi !== 0) return false;
      tableLo = low & (-1 << granule);
      if ((low & 3) === 3 && level !== LAST) {
        level++;
        shift -= stride;
        width = stride;
        continue;
      }
      if (level === LAST ? (low & 3) !== 3 : (low & 3) !== 1 || level === 0 || (level === 1 && granule !== 12))
        return false;
      if (shift >= 32 || (low & AF) === 0 || (((control >>> HD) & 1) !== 0 && (high & DBM) !== 0)) return false;
      const rights = stage2Rights(low, high, this.xnx);
      if ((want & ~rights) !== 0) return false;
      tableLo &= -1 << shift;
      if (keep >= 0) {
        const isDevice = ((control >>> CONTROL.fwb) & 1) !== 0 ? (low & 0x10) === 0 : (low & 0x30) === 0;
        const tag = blockTag(shift) | (rights << RIGHTS) | originOf(granule, level) | ((isDevice ? 1 : 0) << DEVICE);
        this.caches.ipa.fill(tag, 0, keep, -1, hi, lo, tableHi, tableLo);
      }
      this.rights = rights;
      this.bits = shift;
      this.outHi = tableHi;
      this.outLo = tableLo | (lo & ~(-1 << shift));
      return true;
    }
  }
}
