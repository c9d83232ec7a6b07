/** What the caches' entries consist of, and what they are tagged by (VT-d 6.2, table 17). */

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
 * Word 0 of every entry: valid 0, level 3:1, R and W 5:4, FPD 6, TT 8:7, AW 11:9, reason of a cached fault 15:12, domain id 31:16. A cached
 * fault (CAP.CM only) has the accesses that it refuses in R and W.
 */
export const TAG = { valid: 1, level: 1, perms: 4, fpd: 6, tt: 7, aw: 9, fault: 12, did: 16 } as const;

/** Words of a context-cache entry. */
export const CONTEXT = { tag: 0, sid: 1, tableHi: 2, tableLo: 3 } as const;
/** Words of an IOTLB entry. */
export const IOTLB = { tag: 0, sid: 1, vpnHi: 2, vpnLo: 3, pfnHi: 4, pfnLo: 5 } as const;
/** Words of a cached non-leaf entry. */
export const PAGING = { tag: 0, vpnHi: 1, vpnLo: 2, tableHi: 3, tableLo: 4 } as const;

/** Whether two page numbers lie in one aligned block of 2^bits pages. */
export function sameBlock(bits: number, aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  if (bits <= 18) return aHi === bHi && aLo >>> bits === bLo >>> bits;
  return bits >= 45 || aHi >>> (bits - 18) === bHi >>> (bits - 18);
}

/** Page-number bits below an entry at a level: 0 for a PTE, 9 for a PDE, … */
export function pageBits(level: number): number {
  return 9 * (level - 1);
}

export function didOf(tag: number): number {
  return tag >>> TAG.did;
}

/** Reason of a cached fault, 0 for an entry that is none. */
export function faultOf(tag: number): number {
  return (tag >>> TAG.fault) & 0xf;
}
