/** From a SubstreamID to its CD (IHI 0070, 3.3.2, 5.2 S1Fmt, 5.3, 5.4), an access at a time; and which of the CD's tables an address is for. */

import { ENTRY } from './cache-entries.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { CD_AT, CD_TAG, CONTROL, STE_AT, STE_TAG, TABLE_AT } from './configuration.ts';
import { EVENT } from './event-record.ts';
import { LEVEL_ONE_BITS, place, STRUCTURE_BITS } from './stream-table.ts';
import type { Translation } from './translation.ts';
import { LOOK, TASK } from './translation.ts';
import { SINGLE_PRIVILEGE } from './walk.ts';

/** Bits of a SubstreamID that select in a table of level 2, by S1Fmt; 0: there is one table. */
const LEAF_BITS: readonly number[] = [0, 6, 10, 0];

/** Index of the level-1 descriptor; −1: the table has one level. @param words where `t.ste` is */
export function contextLevelOne(t: Translation, words: Int32Array): number {
  const tag = words[t.ste + STE_AT.tag];
  const bits = LEAF_BITS[(tag >>> STE_TAG.fmt) & 3];
  const substreams = (tag >>> STE_TAG.cdMax) & 31;
  return bits === 0 || substreams === 0 ? -1 : t.index >>> bits;
}

/** Where the CD, or its level-1 descriptor, is: `physHi` and `physLo`, an IPA with stage 2. @param index of {@link contextLevelOne} @returns TASK.cd or l1cd */
export function locateContext(t: Translation, words: Int32Array, index: number): number {
  const tag = words[t.ste + STE_AT.tag];
  const substreams = (tag >>> STE_TAG.cdMax) & 31;
  t.physHi = words[t.ste + STE_AT.contextHi];
  const lo = words[t.ste + STE_AT.contextLo];
  // A table is aligned to its size; bits below are taken for 0 (5.2 S1Fmt).
  if (index < 0) {
    place(t, lo, STRUCTURE_BITS + substreams, t.index, STRUCTURE_BITS);
    return TASK.cd;
  }
  const bits = LEAF_BITS[(tag >>> STE_TAG.fmt) & 3];
  place(t, lo, Math.max(STRUCTURE_BITS, substreams - bits + LEVEL_ONE_BITS), index, LEVEL_ONE_BITS);
  return TASK.l1cd;
}

/** A level-1 context descriptor (5.3): where the CD is. @returns false: refused */
export function takeL1cd(has: SmmuCapabilities, t: Translation, words: Int32Array, lo: number, hi: number): boolean {
  const bits = LEAF_BITS[(words[t.ste + STE_AT.tag] >>> STE_TAG.fmt) & 3];
  const beyond = (hi & 0xffffff) >>> (has.oas - 32) !== 0;
  // 3.4.3 (3) and (4).
  if ((lo & 1) === 0 || beyond) return t.refuse(EVENT.C_BAD_SUBSTREAMID);
  t.physHi = hi & 0xffffff;
  const offset = (t.index & ((1 << bits) - 1)) << STRUCTURE_BITS;
  t.physLo = (lo & -4096) + offset;
  return true;
}

/**
 * The CD is known: whose translations these are, and by which table (3.4.1, 5.4). Whether the address is in its range counts only where no cached
 * translation holds it: see {@link isInRange}.
 * @returns false: refused
 */
export function enterContext(t: Translation, words: Int32Array): boolean {
  const tag = words[t.cd + CD_AT.tag];
  if (((tag >>> CD_TAG.bad) & 1) !== 0) return t.refuse(EVENT.C_BAD_CD);
  t.id = (t.id & ~0xffff) | words[t.cd + CD_AT.asid];
  t.owner |= ((tag >>> CD_TAG.aset) & 1) << ENTRY.aset;
  // Bit 55 selects the table where there are two.
  const upper = (t.hi & (1 << 23)) !== 0;
  t.table = t.cd + (upper && t.both ? CD_AT.table1 : CD_AT.table0);
  const { first } = t;
  first.flags = t.both ? tag : tag | SINGLE_PRIVILEGE;
  first.control = words[t.table + TABLE_AT.control];
  first.inLo = t.lo;
  first.inHi = effectiveHi(first.control, t.hi);
  first.want = t.want;
  first.dirties = t.dirties;
  t.look = LOOK.tlb;
  return true;
}

/** Upper half of an address as a table takes it: with TBI bits 63:56 are those of bit 55. @param control of the table */
export function effectiveHi(control: number, hi: number): number {
  return ((control >>> CONTROL.tbi) & 1) === 0 ? hi : (hi << 8) >> 8;
}

/** Whether the address may be walked for: not where walks are disabled (EPD) or unprivileged access is (E0PD), nor beyond TxSZ. */
export function isInRange(t: Translation): boolean {
  const { control, inHi, inLo } = t.first;
  if (((control >>> CONTROL.epd) & 1) !== 0) return false;
  if (((control >>> CONTROL.e0pd) & 1) !== 0 && t.pnu === 0) return false;
  const bits = control & 63;
  // All bits from the range up are those of the table: 0, and where there are two tables bit 55's.
  if (bits >= 32) return inHi >> (bits - 32) === 0 || (inHi >> (bits - 32) === -1 && t.both);
  if (inHi === 0) return inLo >>> bits === 0;
  return inHi === -1 && inLo >>> bits === -1 >>> bits && t.both;
}
