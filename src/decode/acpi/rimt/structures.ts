/** Structures of the RIMT table (RISC-V IO Mapping Table specification 1.0). */
import { address, flag, structure, text, u8, u16, u32, zero } from '../declaration.ts';
import { HEADER } from '../header.ts';

export const RIMT_TABLE = structure('RIMT', 'RISC-V IO Mapping Table', 'RIMT 2', {
  ...HEADER,
  'Number of RIMT Nodes': u32(36, { form: 'decimal' }),
  'Offset to RIMT Node Array': u32(40),
  Reserved: zero(44, 4),
});

const HEAD = (type: number, what: string) => ({
  Type: u8(0, { values: { [type]: what } }),
  Revision: u8(1, { form: 'decimal' }),
  Length: u16(2, { form: 'decimal' }),
  Reserved: zero(4, 2),
  ID: u16(6, { form: 'decimal' }),
});

export const IOMMU = structure('IOMMU', 'IOMMU Node', 'RIMT 2.1.1', {
  ...HEAD(0, 'IOMMU'),
  /** ACPI id of a platform device; vendor and device of a PCIe device. */
  'Hardware ID': text(8, 8),
  'Base Address': address(16),
  Flags: u32(24, { bits: { 'PCIe device': flag(0), 'Proximity Domain valid': flag(1) } }),
  'Proximity Domain': u32(28, { form: 'decimal' }),
  'PCIe Segment number': u16(32),
  'PCIe B/D/F': u16(34, { form: 'device' }),
  'Number of interrupt wires': u16(36, { form: 'decimal' }),
  'Interrupt wire array offset': u16(38),
});

export const WIRE = structure('wire', 'Interrupt Wire', 'RIMT 2.1.1', {
  'Interrupt Number': u32(0, { form: 'decimal' }),
  Flags: u32(4, { bits: { 'level triggered': flag(0), 'active high': flag(1) } }),
});

export const ROOT_COMPLEX = structure('PCIe root complex', 'PCIe Root Complex Node', 'RIMT 2.1.2', {
  ...HEAD(1, 'PCIe root complex'),
  Flags: u32(8, { bits: { 'ATS support': flag(0), 'PRI support': flag(1) } }),
  'Reserved 2': zero(12, 2),
  'PCIe Segment number': u16(14),
  'ID mapping array offset': u16(16),
  'Number of ID mappings': u16(18, { form: 'decimal' }),
});

/** Behind it stands its name. */
export const PLATFORM_DEVICE = structure('platform device', 'Platform Device Node', 'RIMT 2.1.3', {
  ...HEAD(2, 'platform device'),
  'ID mapping array offset': u16(8),
  'Number of ID mappings': u16(10, { form: 'decimal' }),
});

export const ID_MAPPING = structure('ID mapping', 'ID Mapping', 'RIMT 2.1.2', {
  'Source ID Base': u32(0),
  'Number of IDs': u32(4, { form: 'decimal' }),
  'Destination Device ID Base': u32(8),
  'Destination IOMMU Offset': u32(12),
  Flags: u32(16, { bits: { 'ATS Required': flag(0), 'PRI Required': flag(1) } }),
});

export const NODES = { 0: IOMMU, 1: ROOT_COMPLEX, 2: PLATFORM_DEVICE } as const;
