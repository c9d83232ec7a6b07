/** What cached translations and tables consist of (IHI 0070, 3.17, 16.2), besides what every {@link BlockCache} entry has. */
import { BLOCK_TAG, sizesOf } from '../kit/block-cache.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { RIGHT } from './event-record.ts';
import { LAST_LEVEL, strideOf } from './geometry.ts';
import { isGranuleSupported } from './legality.ts';

/** Rights of a translation, see {@link RIGHT}: unprivileged ones lie as bits of an access do. */
export const ALL_RIGHTS = 63;
export const WRITES = RIGHT.uW | RIGHT.pW;
export const PRIVILEGED_RIGHTS = RIGHT.pR | RIGHT.pW | RIGHT.pX;
/** From an unprivileged right to the privileged one. */
export const PRIVILEGED_SHIFT = 3;

const O = BLOCK_TAG.owner;

/**
 * The owner's bits of a translation's tag, and of a table's. `rights` has 6 bits; a table has `restrict` (4 bits: its hierarchical attributes) instead. `granule` (2
 * bits): log2 less 12, halved; `level` (2): of the descriptor. Both stage 1's where both stages translate.
 */
export const ENTRY = {
  ...{ rights: O, restrict: O, global: O + 6, regime: O + 7, aset: O + 8, granule: O + 9, level: O + 11 },
  /** Stage 2 gives Device memory. */
  device: O + 13,
  /** Both stages have translated. */
  both: O + 14,
} as const;

/** Bits by which a look-up tells entries of an id and address apart: StreamWorld; global ones belong to an ASET (3.17.1). */
export const KIND_MASK = (1 << ENTRY.global) | (1 << ENTRY.regime) | (1 << ENTRY.aset);

/** Of non-global entries ASET does not count (3.17). */
export const ID_KIND_MASK = (1 << ENTRY.global) | (1 << ENTRY.regime);

/** Tag bits of the granule and the level of the descriptor that an entry comes from. */
export function originOf(granule: number, level: number): number {
  return (((granule - 12) >> 1) << ENTRY.granule) | (level << ENTRY.level);
}

/** log2 of an entry's granule. */
export function granuleOf(tag: number): number {
  return 12 + 2 * ((tag >>> ENTRY.granule) & 3);
}

export function levelOf(tag: number): number {
  return (tag >>> ENTRY.level) & 3;
}

/** Whose an entry is, as one word. @param asid 0 in a global one, in what has no ASID, and of stage 2 alone */
export function idOf(vmid: number, asid: number): number {
  return (vmid << 16) | asid;
}

/** log2 of descriptors that the Contiguous bit joins, by granule and level (DDI 0487, D8.6.1). */
export function contiguousBits(granule: number, level: number): number {
  if (granule === 12) return 4;
  if (granule === 14) return level === LAST_LEVEL ? 7 : 5;
  return 5;
}

/** The largest block that a {@link BlockCache} can hold, in bits. Larger ones, of which a table has two, are not cached. */
export const MOST_BITS = 43;

/** Sizes of leaves and of what tables cover, of granules that there are. */
export function possibleSizes(has: SmmuCapabilities): number {
  const bits = new Set<number>();
  for (const granule of [12, 14, 16]) {
    if (!isGranuleSupported(has, granule)) continue;
    for (let level = 0; level <= LAST_LEVEL; level++) {
      const size = granule + strideOf(granule) * (LAST_LEVEL - level);
      bits.add(size);
      bits.add(size + contiguousBits(granule, level));
    }
  }
  return sizesOf([...bits].filter((size) => size <= MOST_BITS));
}

/** Entries of each cache; sets are powers of two. */
export interface CacheSizes {
  /** STEs, and CDs. */
  readonly ste: number;
  readonly cd: number;
  /** Level-1 descriptors of stream tables, and of context descriptor tables; 0 for none. */
  readonly levelOne: number;
  readonly configurationSets?: number;
  readonly tlbSets: number;
  readonly tlbWays: number;
  /** Translations by stage 2 alone. */
  readonly ipaSets: number;
  readonly ipaWays: number;
  /** Table descriptors of either stage; 0 for none. */
  readonly walk: number;
  readonly walkSets?: number;
}
