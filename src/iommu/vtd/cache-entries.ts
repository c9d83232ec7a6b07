/** What the caches' entries consist of, and what they are tagged by (VT-d 6.2, table 17). */
import { BLOCK, blockBits, blockTag, sameBytes, sizesOf } from '../kit/block-cache.ts';

const PAGE_BITS = 12;

/** Tables of five levels translate so many. */
const ADDRESS_BITS = 57;

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
  /** Entries of the interrupt entry cache of a unit with ECAP.IR, all sets together; 4 if absent. */
  readonly interrupts?: number;
  /** Sets of it, a power of two; 1 if absent. */
  readonly interruptSets?: number;
}

/**
 * Word 0 of every entry: valid 0, R and W 8:7, FPD 9, refused 10, reason of a cached fault 15:12, domain id 31:16; of a context-cache entry TT 2:1 and
 * AW 5:3, of the others {@link BLOCK_TAG}'s size. A cached fault (CAP.CM only) is `refused`, of the accesses that it has in R and W.
 */
export const TAG = { valid: 1, tt: 1, aw: 3, perms: 7, fpd: 9, refused: 10, fault: 12, did: 16 } as const;

/** Words of a context-cache entry. */
export const CONTEXT = { tag: 0, sid: 1, tableHi: 2, tableLo: 3 } as const;

/** Words of an IOTLB entry and of a cached non-leaf entry, which are {@link BLOCK}s; frames are in halves of 20 bits. */
export const IOTLB = { tag: 0, sid: BLOCK.id, pfnHi: BLOCK.outHi, pfnLo: BLOCK.outLo } as const;
export const PAGING = { tag: 0, did: BLOCK.id, tableHi: BLOCK.outHi, tableLo: BLOCK.outLo } as const;

/** Page-number bits below an entry at a level: 0 for a PTE, 9 for a PDE, … */
export function pageBits(level: number): number {
  return 9 * (level - 1);
}

/** Tag of an entry at a level, but for all else: how much it covers. */
export function levelTag(level: number): number {
  return blockTag(PAGE_BITS + pageBits(level));
}

/** Level of the entry that is cached. */
export function levelOf(tag: number): number {
  return 1 + (blockBits(tag) - PAGE_BITS) / 9;
}

/** Upper half of addresses from 2^61 on, which no table translates. */
const BEYOND = 0x4000_0000;

/** Halves of a page's address by its number's bits above 18, with their sign, and its lower 18. */
export function addressHi(vpnHi: number): number {
  return (vpnHi | 0) === vpnHi ? vpnHi >> 2 : BEYOND;
}

export function addressLo(vpnHi: number, vpnLo: number): number {
  return (vpnHi << 30) | (vpnLo << PAGE_BITS);
}

/** Sizes of pages. */
export const PAGE_SIZES = sizesOf([1, 2, 3].map((level) => PAGE_BITS + pageBits(level)));

/** An address mask that covers every page; see {@link sameBlock}. */
export const EVERY_PAGE = 64;

/** Whether two page numbers lie in one aligned block of 2^bits pages. */
export function sameBlock(bits: number, aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  if (bits <= 18) return aHi === bHi && aLo >>> bits === bLo >>> bits;
  return bits >= 45 || aHi >>> (bits - 18) === bHi >>> (bits - 18);
}

/** Whether a block that is cached meets the aligned block of 2^am pages around a page. */
export function meetsBlock(words: Int32Array, at: number, am: number, vpnHi: number, vpnLo: number): boolean {
  const bits = Math.max(am + PAGE_BITS, blockBits(words[at]));
  if (bits >= ADDRESS_BITS) return true;
  return sameBytes(bits, words[at + BLOCK.hi], words[at + BLOCK.lo], addressHi(vpnHi), addressLo(vpnHi, vpnLo));
}

export function didOf(tag: number): number {
  return tag >>> TAG.did;
}

/** Reason of a cached fault, 0 for an entry that is none. */
export function faultOf(tag: number): number {
  return (tag >>> TAG.fault) & 0xf;
}
