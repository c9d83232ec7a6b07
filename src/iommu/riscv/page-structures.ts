/**
 * Page-table entries of the RISC-V IOMMU. Clauses: RISC-V privileged architecture (Sv32, Sv39, Sv39x4, Svpbmt, Svnapot), and the AIA's
 * MSI page tables; see the README. Sv48 and Sv57 have the entries of Sv39.
 */
import { address, bit, bits, fixed, ignored, named, structure } from '../../bits/index.ts';

const RIGHTS = { R: bit(1), W: bit(2), X: bit(3) } as const;
const NO_RIGHTS = { R: fixed(bit(1), 0), W: fixed(bit(2), 0), X: fixed(bit(3), 0) } as const;
const PBMT = named(bits(62, 61), { 0: 'PMA', 1: 'NC', 2: 'IO' });
const PPN = address(53, 10, 12);

/** An entry with neither R, W nor X leads to the next table; one of the first stage. */
export const PTE_TABLE = structure('non-leaf PTE', 64, 'RISC-V Privileged Sv39', {
  V: bit(0),
  ...NO_RIGHTS,
  G: bit(5),
  RSW: ignored(9, 8),
  PPN,
});

/** Leaf of the first stage. W without R is reserved. N: a naturally aligned range, whose size PPN encodes (64 KiB). */
export const PTE = structure('leaf PTE', 64, 'RISC-V Privileged Sv39', {
  V: bit(0),
  ...RIGHTS,
  U: bit(4),
  G: bit(5),
  A: bit(6),
  D: bit(7),
  RSW: ignored(9, 8),
  PPN,
  PBMT,
  N: bit(63),
});

/** Of the second stage. */
export const GPTE_TABLE = structure('non-leaf second-stage PTE', 64, 'RISC-V Privileged Sv39x4', {
  V: bit(0),
  ...NO_RIGHTS,
  IGN_5: ignored(5, 5),
  RSW: ignored(9, 8),
  PPN,
});

/** Of the second stage: each access is one of a user, so that U must be 1. */
export const GPTE = structure('leaf second-stage PTE', 64, 'RISC-V Privileged Sv39x4', {
  V: bit(0),
  ...RIGHTS,
  U: bit(4),
  IGN_5: ignored(5, 5),
  A: bit(6),
  D: bit(7),
  RSW: ignored(9, 8),
  PPN,
  PBMT,
  N: bit(63),
});

/** Of a first stage of 32 bits: addresses of 34 bits. */
export const PTE_TABLE_32 = structure('non-leaf PTE, Sv32', 32, 'RISC-V Privileged Sv32', {
  V: bit(0),
  ...NO_RIGHTS,
  G: bit(5),
  RSW: ignored(9, 8),
  PPN: address(31, 10, 12),
});

export const PTE_32 = structure('leaf PTE, Sv32', 32, 'RISC-V Privileged Sv32', {
  V: bit(0),
  ...RIGHTS,
  U: bit(4),
  G: bit(5),
  A: bit(6),
  D: bit(7),
  RSW: ignored(9, 8),
  PPN: address(31, 10, 12),
});

/** Of a second stage of 32 bits. */
export const GPTE_TABLE_32 = structure('non-leaf second-stage PTE, Sv32x4', 32, 'RISC-V Privileged Sv32x4', {
  V: bit(0),
  ...NO_RIGHTS,
  IGN_5: ignored(5, 5),
  RSW: ignored(9, 8),
  PPN: address(31, 10, 12),
});

export const GPTE_32 = structure('leaf second-stage PTE, Sv32x4', 32, 'RISC-V Privileged Sv32x4', {
  V: bit(0),
  ...RIGHTS,
  U: bit(4),
  IGN_5: ignored(5, 5),
  A: bit(6),
  D: bit(7),
  RSW: ignored(9, 8),
  PPN: address(31, 10, 12),
});

/** Form of an MSI PTE; the others are reserved. */
export const MSI_PTE_FORM = named(bits(2, 1), { 1: 'MRIF', 3: 'basic' });

/** To a guest interrupt file. The IOMMU does not look at the second word. */
export const MSI_PTE_BASIC = structure('MSI PTE, basic', 128, 'RISC-V AIA, MSI page tables', {
  V: bit(0),
  M: fixed(MSI_PTE_FORM, 3),
  PPN,
  /** The entry has an own format. */
  C: bit(63),
  IGN_95_64: ignored(95, 64),
  IGN_127_96: ignored(127, 96),
});

/** To a memory-resident interrupt file of 512 bytes, and the notice that something has arrived in it: its page, and its number. */
export const MSI_PTE_MRIF = structure('MSI PTE, MRIF', 128, 'RISC-V AIA, MSI page tables', {
  V: bit(0),
  M: fixed(MSI_PTE_FORM, 1),
  MRIF_Address: address(53, 7, 9),
  C: bit(63),
  NID_9_0: bits(73, 64),
  NPPN: address(117, 74, 12),
  NID_10: bit(124),
});
