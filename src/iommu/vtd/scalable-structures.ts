/** VT-d in-memory structures, scalable mode. Clauses: VT-d specification, revision 5.10. */
import { address, bit, bits, ignored, named, structure } from '../../bits/index.ts';
import { AW_TEXT } from './structures.ts';

/** Root entry of a bus: its lower half leads to the context entries of devices 0 – 15, its upper half to those of 16 – 31. */
export const SM_ROOT_ENTRY = structure('scalable-mode root entry', 128, 'VT-d 9.2', {
  LP: bit(0),
  LCTP: address(63, 12),
  UP: bit(64),
  UCTP: address(127, 76),
});

/** Scalable-mode context entry; hardware may read it in two halves of 128 bits (chapter 9). */
export const SM_CONTEXT_ENTRY = structure('scalable-mode context entry', 256, 'VT-d 9.4', {
  P: bit(0),
  /** Faults of this function are not recorded; counts even where P = 0. */
  FPD: bit(1),
  DTE: bit(2),
  /** Requests with PASID are taken. */
  PASIDE: bit(3),
  PRE: bit(4),
  HPTE: bit(5),
  EPTR: bit(6),
  /** The directory has 2^(PDTS + 7) entries. */
  PDTS: bits(11, 9),
  PASIDDIRPTR: address(63, 12),
  /** PASID under which requests without PASID are translated. */
  RID_PASID: bits(83, 64),
  /** Their privilege. */
  RID_PRIV: bit(84),
});

export const PASID_DIRECTORY_ENTRY = structure('PASID directory entry', 64, 'VT-d 9.5', {
  P: bit(0),
  FPD: bit(1),
  SMPTBLPTR: address(63, 12),
});

/** Scalable-mode PASID-table entry; hardware may read it in four quarters of 128 bits (chapter 9). */
export const PASID_TABLE_ENTRY = structure('PASID table entry', 512, 'VT-d 9.6', {
  P: bit(0),
  FPD: bit(1),
  /** Of the second stage. */
  AW: named(bits(4, 2), AW_TEXT),
  /** See {@link PGTT}. */
  PGTT: named(bits(8, 6), { 1: 'first stage', 2: 'second stage', 3: 'nested', 4: 'pass-through' }),
  SSADE: bit(9),
  SSPTPTR: address(63, 12),
  DID: bits(79, 64),
  /** Paging entries are read, and updated, with snooping. */
  PWSNP: bit(87),
  PGSNP: bit(88),
  CD: bit(89),
  EMTE: bit(90),
  PAT: bits(127, 96),
  /** Requests with supervisor privilege are taken. */
  SRE: bit(128),
  /** Of the first stage. */
  FSPM: named(bits(131, 130), { 0: '4 levels', 1: '5 levels' }),
  /** R/W = 0 stops supervisors, too. */
  WPE: bit(132),
  IGN_134_133: ignored(134, 133),
  EAFE: bit(135),
  FSPTPTR: address(191, 140),
  HPTSZ: bits(257, 256),
  HPTPFD: bit(258),
  HPTPTR: address(319, 268),
  HPTDID: bits(335, 320),
});

/** How the requests of a PASID are translated (VT-d 9.6). */
export const PGTT = { firstStage: 1, secondStage: 2, nested: 3, passThrough: 4 } as const;

/** A first-stage paging entry that references a table (VT-d 9.7, tables 34, 35, 37, 39). Bit 7 is reserved in a PML5E and a PML4E. */
export const FS_TABLE = structure('first-stage paging entry', 64, 'VT-d 9.7', {
  P: bit(0),
  RW: bit(1),
  US: bit(2),
  IGN_4_3: ignored(4, 3),
  A: bit(5),
  IGN_6: ignored(6, 6),
  PS: bit(7),
  IGN_9_8: ignored(9, 8),
  EA: bit(10),
  IGN_11: ignored(11, 11),
  ADDR: address(51, 12),
  IGN_63_52: ignored(63, 52),
});

/**
 * A first-stage paging entry that maps a page (VT-d 9.7, tables 36, 38, 40). PAT is bit 7 in a PTE and bit 12 above it; memory types are
 * those of a coherent link, so that PWT, PCD and PAT mean nothing here.
 */
export const FS_PAGE = structure('first-stage leaf', 64, 'VT-d 9.7', {
  P: bit(0),
  RW: bit(1),
  US: bit(2),
  PWT: bit(3),
  PCD: bit(4),
  A: bit(5),
  D: bit(6),
  PS: bit(7),
  G: bit(8),
  IGN_9: ignored(9, 9),
  EA: bit(10),
  IGN_11: ignored(11, 11),
  ADDR: address(51, 12),
  IGN_63_52: ignored(63, 52),
});

/** Flags of a second-stage paging entry where SSADE is set (VT-d 9.8); ignored otherwise. */
export const SS_FLAGS = structure('second-stage flags', 64, 'VT-d 9.8', { A: bit(8), D: bit(9) });

/** Name of a first-stage entry at a level: 1 FS-PTE … 5 FS-PML5E. */
export const FS_ENTRY_NAME = ['', 'FS-PTE', 'FS-PDE', 'FS-PDPE', 'FS-PML4E', 'FS-PML5E'] as const;
