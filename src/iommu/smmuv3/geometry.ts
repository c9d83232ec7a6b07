/** Shapes of VMSAv8-64 tables: granules, levels, sizes of addresses (IHI 0070, 5.2, 5.4; DDI 0487, D8.2). */
import type { SmmuCapabilities } from './capabilities.ts';
import { ADDRESS_BITS } from './capabilities.ts';

/** log2 of a granule, by CD.TG0 and STE.S2TG; by CD.TG1. 0: reserved. */
export const GRANULE_OF_TG0: readonly number[] = [12, 16, 14, 0];
export const GRANULE_OF_TG1: readonly number[] = [0, 14, 12, 16];

/** Levels of VMSAv8-64 end with this one. */
export const LAST_LEVEL = 3;

/** Bits that a level of a granule resolves. */
export const strideOf = (granule: number): number => granule - 3;

/** First level of a stage 1 that takes `input` bits (DDI 0487, D8.2: as few levels as do). */
export function firstLevel(input: number, granule: number): number {
  return LAST_LEVEL - Math.floor((input - 1 - granule) / strideOf(granule));
}

/** First level of stage 2, by STE.S2SL0 and granule; −1: reserved (DDI 0487, VTCR_EL2.SL0; 3 with 4 KiB needs small tables). */
export function stage2FirstLevel(sl0: number, granule: number): number {
  if (granule === 12) return [2, 1, 0, 3][sl0];
  return sl0 === 3 ? -1 : LAST_LEVEL - sl0;
}

/** log2 of the bytes of the table, or of the concatenated tables, that a walk begins with: it is aligned to them. */
export function firstTableBits(input: number, granule: number, level: number): number {
  return input - (granule + strideOf(granule) * (LAST_LEVEL - level)) + 3;
}

/** Bits of an address that CD.IPS or STE.S2PS gives, capped to the OAS. */
export function outputBits(has: SmmuCapabilities, size: number): number {
  // 6.3.6: SMMUv3.0 takes 6 and 7 for 5, later ones 7 for 6; OAS is no wider than what they have.
  return Math.min(ADDRESS_BITS[size], has.oas);
}

/** log2 of what a descriptor of a level covers. */
export function spanOf(granule: number, level: number): number {
  return granule + (granule - 3) * (LAST_LEVEL - level);
}
