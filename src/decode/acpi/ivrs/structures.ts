/** Structures of the IVRS table (AMD I/O Virtualization Technology Specification, publication 48882, 5.2). */
import type { Fields } from '../../../bits/index.ts';
import { EFR, EFR2 } from '../../../iommu/amdvi/feature-registers.ts';
import type { Bits } from '../declaration.ts';
import { address, device, flag, range, structure, text, u8, u16, u32, u64, zero } from '../declaration.ts';
import { HEADER } from '../header.ts';

export const IVRS_TABLE = structure('IVRS', 'I/O Virtualization Reporting Structure', '48882 5.2.1', {
  ...HEADER,
  IVinfo: u32(36, {
    bits: {
      EFRSup: flag(0),
      DmaRemapSup: flag(1),
      GVASize: range(7, 5, { 2: '48 bits' }),
      PASize: range(14, 8),
      VASize: range(21, 15),
      HtAtsResv: flag(22),
    },
  }),
  Reserved: zero(40, 8),
});

const FLAGS_10: Readonly<Record<string, Bits>> = {
  HtTunEn: flag(0),
  PassPW: flag(1),
  ResPassPW: flag(2),
  Isoc: flag(3),
  IotlbSup: flag(4),
  Coherent: flag(5),
  PreFSup: flag(6),
  PPRSup: flag(7),
};

/** Bits 7:6 are in the EFR image there. */
const { PreFSup: _, PPRSup: __, ...FLAGS_11 } = FLAGS_10;

const IVHD_HEAD = (type: number, flags: Readonly<Record<string, Bits>>) => ({
  Type: u8(0, { values: { [type]: `IVHD type ${type.toString(16)}h` } }),
  Flags: u8(1, { bits: flags }),
  Length: u16(2, { form: 'decimal' }),
  /** Of the unit itself. */
  'IOMMU DeviceID': device(4),
  'Capability Offset': u16(6),
  'IOMMU Base Address': address(8),
  'PCI Segment Group': u16(16),
  'IOMMU Info': u16(18, { bits: { MSInum: range(4, 0), UnitID: range(12, 8) } }),
});

/** Levels of page tables by HATS and GATS. */
const LEVELS = { 0: '4 levels', 1: '5 levels', 2: '6 levels' };

export const IVHD_10 = structure('IVHD 10h', 'I/O Virtualization Hardware Definition', '48882 5.2.2', {
  ...IVHD_HEAD(0x10, FLAGS_10),
  'IOMMU Feature Reporting': u32(20, {
    bits: {
      XTSup: flag(0),
      NXSup: flag(1),
      GTSup: flag(2),
      GLXSup: range(4, 3, { 0: '1 level', 1: '2 levels', 2: '3 levels' }),
      IASup: flag(5),
      GASup: flag(6),
      HESup: flag(7),
      PASmax: range(12, 8),
      PNCounters: range(16, 13),
      PNBanks: range(22, 17),
      MsiNumPPR: range(27, 23),
      GATS: range(29, 28, LEVELS),
      HATS: range(31, 30, LEVELS),
    },
  }),
});

/** Fields of a register that a table has an image of. */
function bitsOf(fields: Fields): Readonly<Record<string, Bits>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, { hi, lo, values }]): [string, Bits] => [name, { hi, lo, values }]),
  );
}

const IVHD_11_FIELDS = (type: number) => ({
  ...IVHD_HEAD(type, FLAGS_11),
  'IOMMU Attributes': u32(20, {
    bits: { PNCounters: range(16, 13), PNBanks: range(22, 17), MsiNumPPR: range(27, 23) },
  }),
  /** As in the unit's Extended Feature Registers, which software may read in their stead. */
  'EFR Register Image': u64(24, { bits: bitsOf(EFR.fields), open: true }),
  'EFR Register Image 2': u64(32, { bits: bitsOf(EFR2.fields), open: true }),
});

export const IVHD_11 = structure(
  'IVHD 11h',
  'I/O Virtualization Hardware Definition',
  '48882 5.2.2',
  IVHD_11_FIELDS(0x11),
);
export const IVHD_40 = structure(
  'IVHD 40h',
  'I/O Virtualization Hardware Definition',
  '48882 5.2.2',
  IVHD_11_FIELDS(0x40),
);

const IVMD_FIELDS = (type: number, who: string) => ({
  Type: u8(0, { values: { [type]: who } }),
  Flags: u8(1, { bits: { Unity: flag(0), IR: flag(1), IW: flag(2), ExclRange: flag(3) } }),
  Length: u16(2, { form: 'decimal' }),
  DeviceID: device(4),
  /** The last DeviceID, in type 22h. */
  'Auxiliary Data': device(6),
  'PCI Segment Group': u16(8),
  Reserved: zero(10, 6),
  'Start Address': address(16),
  'Memory Block Length': u64(24),
});

const IVMD = (id: string, type: number, who: string) =>
  structure(id, 'I/O Virtualization Memory Definition', '48882 5.2.3', IVMD_FIELDS(type, who));
export const IVMD_20 = IVMD('IVMD 20h', 0x20, 'all peripherals');
export const IVMD_21 = IVMD('IVMD 21h', 0x21, 'one peripheral');
export const IVMD_22 = IVMD('IVMD 22h', 0x22, 'range of peripherals');

export const BLOCKS = {
  16: IVHD_10,
  17: IVHD_11,
  64: IVHD_40,
  32: IVMD_20,
  33: IVMD_21,
  34: IVMD_22,
} as const;

/** Of device entries. */
export const ENTRY = {
  pad4: 0,
  all: 1,
  select: 2,
  start: 3,
  end: 4,
  pad8: 0x40,
  aliasSelect: 0x42,
  aliasStart: 0x43,
  extendedSelect: 0x46,
  extendedStart: 0x47,
  special: 0x48,
  hid: 0xf0,
} as const;

const SETTINGS = u8(3, {
  bits: {
    INITPass: flag(0),
    EIntPass: flag(1),
    NMIPass: flag(2),
    SysMgt: range(5, 4),
    LINT0Pass: flag(6),
    LINT1Pass: flag(7),
  },
});

const ENTRY_HEAD = (type: number, what: string) => ({
  Type: u8(0, { values: { [type]: what } }),
  DeviceID: device(1),
  'DTE Setting': SETTINGS,
});

const entry = (id: string, type: number) => structure(id, 'IVHD Device Entry', '48882 5.2.2', ENTRY_HEAD(type, id));
const alias = (id: string, type: number) =>
  structure(id, 'IVHD Device Entry', '48882 5.2.2', {
    ...ENTRY_HEAD(type, id),
    Reserved: zero(4, 1),
    /** The id that its requests have. */
    'Source DeviceID': device(5),
    'Reserved 2': zero(7, 1),
  });
const extended = (id: string, type: number) =>
  structure(id, 'IVHD Device Entry', '48882 5.2.2', {
    ...ENTRY_HEAD(type, id),
    'Extended DTE Setting': u32(4, { bits: { AtsDisabled: flag(31) } }),
  });

export const ALL = entry('all', ENTRY.all);
export const SELECT = entry('select', ENTRY.select);
export const START = entry('start of range', ENTRY.start);
export const END = entry('end of range', ENTRY.end);
export const ALIAS_SELECT = alias('alias select', ENTRY.aliasSelect);
export const ALIAS_START = alias('alias start of range', ENTRY.aliasStart);
export const EXTENDED_SELECT = extended('extended select', ENTRY.extendedSelect);
export const EXTENDED_START = extended('extended start of range', ENTRY.extendedStart);

/** What a special device is. */
export const VARIETY = { 1: 'IOAPIC', 2: 'HPET' } as const;

export const SPECIAL = structure('special device', 'IVHD Device Entry', '48882 5.2.2', {
  ...ENTRY_HEAD(ENTRY.special, 'special device'),
  /** Id of the IOAPIC, number of the HPET. */
  Handle: u8(4, { form: 'decimal' }),
  'Source DeviceID': device(5),
  Variety: u8(7, { values: VARIETY }),
});

/** Behind it stands its UID. */
export const HID = structure('ACPI HID device', 'IVHD Device Entry', '48882 5.2.2', {
  ...ENTRY_HEAD(ENTRY.hid, 'ACPI HID device'),
  HID: text(4, 8),
  CID: text(12, 8),
  'UID Format': u8(20, { values: { 0: 'none', 1: 'integer', 2: 'characters' } }),
  'UID Length': u8(21, { form: 'decimal' }),
});

const PAD_4 = structure('padding', 'IVHD Device Entry', '48882 5.2.2', { Type: u8(0) });
const PAD_8 = structure('padding', 'IVHD Device Entry', '48882 5.2.2', { Type: u8(0) });

export const ENTRIES = {
  [ENTRY.pad4]: PAD_4,
  [ENTRY.all]: ALL,
  [ENTRY.select]: SELECT,
  [ENTRY.start]: START,
  [ENTRY.end]: END,
  [ENTRY.pad8]: PAD_8,
  [ENTRY.aliasSelect]: ALIAS_SELECT,
  [ENTRY.aliasStart]: ALIAS_START,
  [ENTRY.extendedSelect]: EXTENDED_SELECT,
  [ENTRY.extendedStart]: EXTENDED_START,
  [ENTRY.special]: SPECIAL,
  [ENTRY.hid]: HID,
} as const;
