/** VT-d in-memory structures, legacy mode. Clauses: VT-d specification, revision 5.10. */
import { address, bit, bits, ignored, named, structure } from '../../bits/index.ts';

export const ROOT_ENTRY = structure('root entry', 128, 'VT-d 9.1', { P: bit(0), CTP: address(63, 12) });

/** Width of the second stage's input addresses. */
export const AW_TEXT = { 1: '39 bits, 3 levels', 2: '48 bits, 4 levels', 3: '57 bits, 5 levels' } as const;

export const CONTEXT_ENTRY = structure('context entry', 128, 'VT-d 9.3', {
  P: bit(0),
  /** Faults of this function are not recorded; counts even where P = 0. */
  FPD: bit(1),
  TT: named(bits(3, 2), { 0: 'translated, no device-TLB', 1: 'translated, with device-TLB', 2: 'pass-through' }),
  SSPTPTR: address(63, 12),
  AW: named(bits(66, 64), AW_TEXT),
  IGN: ignored(70, 67),
  DID: bits(87, 72),
});

/**
 * A second-stage paging entry that references a table (VT-d 9.8). Bits 10:8 and 6:2 are ignored in legacy mode;
 * bit 11 and bit 62 (IW, not enabled) are reserved, as is bit 7 (PS) where no large page is supported.
 */
export const SS_TABLE = structure('second-stage paging entry', 64, 'VT-d 9.8', {
  R: bit(0),
  W: bit(1),
  IGN_6_2: ignored(6, 2),
  PS: bit(7),
  IGN_10_8: ignored(10, 8),
  ADDR: address(51, 12),
  IGN_61_52: ignored(61, 52),
  IGN_63: ignored(63, 63),
});

/** A second-stage paging entry that maps a page (VT-d 9.8): a 4 KiB PTE, a 2 MiB PDE or a 1 GiB PDPE with PS = 1. */
export const SS_PAGE = structure('second-stage leaf', 64, 'VT-d 9.8', {
  R: bit(0),
  W: bit(1),
  IGN_6_2: ignored(6, 2),
  PS: bit(7),
  IGN_10_8: ignored(10, 8),
  SNP: bit(11),
  ADDR: address(51, 12),
  IGN_61_52: ignored(61, 52),
  IGN_63: ignored(63, 63),
});

/** Levels of a page table by context AW. */
export function levelsOf(aw: number): number {
  return aw + 2;
}

/** Name of an entry at a level: 1 PTE … 5 PML5E. */
export const ENTRY_NAME = ['', 'PTE', 'PDE', 'PDPE', 'PML4E', 'PML5E'] as const;
