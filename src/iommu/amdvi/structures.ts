/** AMD-Vi in-memory structures of DMA. Source: AMD publication 48882; see the README. */
import { address, bit, bits, encodedRangeBits, ignored, named, structure } from '../../bits/index.ts';

/** 2^n interrupts, and as many entries of the table. */
const TABLE_LENGTH = Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => [n, `${2 ** n} entries`]));

/**
 * Device table entry, 4 quad-words, at DeviceID · 32. V = 0: requests pass as they are; V = 1 and TV = 0: IR and IW alone decide. With IV = 0
 * interrupts pass.
 */
export const DTE = structure('device table entry', 256, 'AMD-Vi 2.2.2.1', {
  V: bit(0),
  TV: bit(1),
  /** Which flags of host paging entries the unit sets. */
  HAD: named(bits(8, 7), { 0: 'none', 1: 'accessed', 3: 'accessed and dirty' }),
  /** Mode 0 with TV = 1 is refused where the unit has EFR.SNPSup and it is in use. */
  Mode: named(bits(11, 9), {
    0: 'no translation',
    1: '1 level',
    2: '2 levels',
    3: '3 levels',
    4: '4 levels',
    5: '5 levels',
    6: '6 levels',
  }),
  HostPageTableRoot: address(51, 12),
  PPR: bit(52),
  GPRP: bit(53),
  GIoV: bit(54),
  /** Guest translation: the GCR3 table is in use. */
  GV: bit(55),
  GLX: named(bits(57, 56), { 0: '1 level of GCR3 table', 1: '2 levels of GCR3 table', 2: '3 levels of GCR3 table' }),
  GCR3TableRoot_14_12: bits(60, 58),
  IR: bit(61),
  IW: bit(62),
  DomainID: bits(79, 64),
  GCR3TableRoot_30_15: bits(95, 80),
  /** The device has an IOTLB of its own (ATS). */
  I: bit(96),
  /** Of the faults in a row only the first is logged; SA: none is. */
  SE: bit(97),
  SA: bit(98),
  IoCtl: named(bits(100, 99), { 0: 'port I/O refused', 1: 'port I/O passes', 2: 'port I/O translated' }),
  Cache: bit(101),
  SD: bit(102),
  EX: bit(103),
  SysMgt: named(bits(105, 104), {
    0: 'system management refused',
    1: 'system management passes',
    2: 'INTx messages pass',
    3: 'system management translated',
  }),
  SATS: bit(106),
  GCR3TableRoot_51_31: bits(127, 107),
  /** The rest is about interrupts. */
  IV: bit(128),
  IntTabLen: named(bits(132, 129), TABLE_LENGTH),
  /** Interrupts that are not mapped are refused without an event. */
  IG: bit(133),
  InterruptTableRoot: address(179, 134),
  GuestPagingMode: named(bits(183, 182), { 0: '4 levels', 1: '5 levels' }),
  INITPass: bit(184),
  EIntPass: bit(185),
  NMIPass: bit(186),
  HPTMode: bit(187),
  IntCtl: named(bits(189, 188), { 0: 'fixed interrupts refused', 1: 'fixed interrupts pass', 2: 'remapped' }),
  Lint0Pass: bit(190),
  Lint1Pass: bit(191),
  /** From here on with EFR.vIommuSup. */
  vImuEn: bit(207),
  GDeviceID: bits(223, 208),
  GuestID: bits(239, 224),
  /** The unit does not look at it. */
  IGN_245: ignored(245, 245),
  AttrV: bit(246),
  Mode0FC: bit(247),
  SnoopAttribute: bits(255, 248),
});

/** Bytes of an entry of the device table. */
export const DTE_BYTES = 32;

/** The address that the three parts of the GCR3 table's root make. */
export function gcr3TableRoot(dte: {
  readonly GCR3TableRoot_14_12: number;
  readonly GCR3TableRoot_30_15: number;
  readonly GCR3TableRoot_51_31: number;
}): bigint {
  return (
    (BigInt(dte.GCR3TableRoot_51_31) << 31n) |
    (BigInt(dte.GCR3TableRoot_30_15) << 15n) |
    (BigInt(dte.GCR3TableRoot_14_12) << 12n)
  );
}

/** NextLevel of a paging entry; 0 and 7 are leaves. */
const NEXT_LEVEL = {
  0: 'page of the default size',
  1: 'table of level 1',
  2: 'table of level 2',
  3: 'table of level 3',
  4: 'table of level 4',
  5: 'table of level 5',
  6: 'table of level 6',
  7: 'page whose size is in its address',
} as const;

/** What PDE and PTE share. */
const PAGING_FIELDS = {
  PR: bit(0),
  IGN_4_1: ignored(4, 1),
  A: bit(5),
  NextLevel: named(bits(11, 9), NEXT_LEVEL),
  IR: bit(61),
  IW: bit(62),
  IGN_63: ignored(63, 63),
} as const;

/**
 * Host page directory entry (version 1). NextLevel is below the level of the table that the entry is in; if it is not the next, the address
 * bits of the levels between must be 0.
 */
export const PDE = structure('host page directory entry', 64, 'AMD-Vi 2.2.3', {
  ...PAGING_FIELDS,
  IGN_8_6: ignored(8, 6),
  Address: address(51, 12),
});

/** Host page table entry (version 1): NextLevel 0 or 7. With 7 the address encodes the page's size, see {@link pageBits}. */
export const PTE = structure('host page table entry', 64, 'AMD-Vi 2.2.3', {
  ...PAGING_FIELDS,
  D: bit(6),
  IGN_8_7: ignored(8, 7),
  Address: address(51, 12),
  /** Returned with an answer to a translation request: the device may use the translation for untranslated accesses only. */
  U: bit(59),
  FC: bit(60),
});

/** Whether a present version 1 entry maps a page, by its NextLevel. */
export function isLeaf(nextLevel: number): boolean {
  return nextLevel === 0 || nextLevel === 7;
}

/**
 * log2 of the size of the page that a leaf maps: of the table's level, or encoded in the address. A page between the sizes of two levels
 * fills as many equal entries of the lower table as it is larger.
 * @param nextLevel 0 or 7
 * @param level of the table that the entry is in: 1 for 4 KiB pages
 */
export function pageBits(lo: number, hi: number, nextLevel: number, level: number): number {
  return nextLevel === 7 ? encodedRangeBits(lo, hi & 0xfffff) : 12 + 9 * (level - 1);
}

/** GCR3 table entry, at PASID · 8 of its lowest level: the root of a guest's page tables; in a higher level the next table. */
export const GCR3_ENTRY = structure('GCR3 table entry', 64, 'AMD-Vi 2.2.6', { V: bit(0), CR3: address(51, 12) });

/** What the entries of guest page tables (version 2) share: they are those of AMD64 long mode. */
const GUEST_FIELDS = {
  P: bit(0),
  RW: bit(1),
  US: bit(2),
  PWT: bit(3),
  PCD: bit(4),
  A: bit(5),
} as const;

export const GUEST_PDE = structure('guest page directory entry', 64, 'AMD-Vi 2.2.6', {
  ...GUEST_FIELDS,
  IGN_6: ignored(6, 6),
  PS: bit(7),
  IGN_11_8: ignored(11, 8),
  Address: address(51, 12),
  IGN_62_52: ignored(62, 52),
  NX: bit(63),
});

/** Of 4 KiB. */
export const GUEST_PTE = structure('guest page table entry', 64, 'AMD-Vi 2.2.6', {
  ...GUEST_FIELDS,
  D: bit(6),
  PAT: bit(7),
  G: bit(8),
  IGN_11_9: ignored(11, 9),
  Address: address(51, 12),
  IGN_62_52: ignored(62, 52),
  NX: bit(63),
});

/** Of 2 MiB or 1 GiB: PS = 1, and PAT where the address would begin. */
export const GUEST_LARGE_PTE = structure('guest large page entry', 64, 'AMD-Vi 2.2.6', {
  ...GUEST_FIELDS,
  D: bit(6),
  PS: bit(7),
  G: bit(8),
  IGN_11_9: ignored(11, 9),
  PAT: bit(12),
  Address: address(51, 21),
  IGN_62_52: ignored(62, 52),
  NX: bit(63),
});
