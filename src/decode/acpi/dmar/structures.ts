/** Structures of the DMAR table (VT-d chapter 8). */
import { address, flag, range, structure, u8, u16, u32, zero } from '../declaration.ts';
import { HEADER } from '../header.ts';

export const DMAR_TABLE = structure('DMAR', 'DMA Remapping Reporting Structure', 'VT-d 8.1', {
  ...HEADER,
  /** N stands for N + 1 bits. */
  'Host Address Width': u8(36, { form: 'decimal' }),
  Flags: u8(37, {
    bits: { INTR_REMAP: flag(0), X2APIC_OPT_OUT: flag(1), DMA_CTRL_PLATFORM_OPT_IN_FLAG: flag(2) },
  }),
  Reserved: zero(38, 10),
});

/** VT-d 8.2. */
export const TYPES = { DRHD: 0, RMRR: 1, ATSR: 2, RHSA: 3, ANDD: 4, SATC: 5, SIDP: 6 } as const;

const HEAD = (type: string) => ({
  Type: u16(0, { values: { [TYPES[type as keyof typeof TYPES]]: type } }),
  Length: u16(2, { form: 'decimal' }),
});

export const DRHD = structure('DRHD', 'DMA Remapping Hardware Unit Definition', 'VT-d 8.3', {
  ...HEAD('DRHD'),
  Flags: u8(4, { bits: { INCLUDE_PCI_ALL: flag(0) } }),
  /** The register set has 2^N pages of 4 KiB. */
  Size: u8(5, { bits: { N: range(3, 0) } }),
  'Segment Number': u16(6),
  'Register Base Address': address(8),
});

export const RMRR = structure('RMRR', 'Reserved Memory Region Reporting', 'VT-d 8.4', {
  ...HEAD('RMRR'),
  Reserved: zero(4, 2),
  'Segment Number': u16(6),
  'Reserved Memory Region Base Address': address(8),
  'Reserved Memory Region Limit Address': address(16),
});

export const ATSR = structure('ATSR', 'Root Port ATS Capability Reporting', 'VT-d 8.5', {
  ...HEAD('ATSR'),
  Flags: u8(4, { bits: { ALL_PORTS: flag(0) } }),
  Reserved: zero(5, 1),
  'Segment Number': u16(6),
});

export const RHSA = structure('RHSA', 'Remapping Hardware Static Affinity', 'VT-d 8.6', {
  ...HEAD('RHSA'),
  Reserved: zero(4, 4),
  'Register Base Address': address(8),
  'Proximity Domain': u32(16, { form: 'decimal' }),
});

export const ANDD = structure('ANDD', 'ACPI Name-space Device Declaration', 'VT-d 8.7', {
  ...HEAD('ANDD'),
  Reserved: zero(4, 3),
  'ACPI Device Number': u8(7, { form: 'decimal' }),
});

export const SATC = structure('SATC', 'SoC Integrated Address Translation Cache Reporting', 'VT-d 8.8', {
  ...HEAD('SATC'),
  Flags: u8(4, { bits: { ATC_REQUIRED: flag(0) } }),
  Reserved: zero(5, 1),
  'Segment Number': u16(6),
});

export const SIDP = structure('SIDP', 'SoC Integrated Device Property Reporting', 'VT-d 8.9', {
  ...HEAD('SIDP'),
  Reserved: zero(4, 2),
  'Segment Number': u16(6),
});

export const BY_TYPE = { 0: DRHD, 1: RMRR, 2: ATSR, 3: RHSA, 4: ANDD, 5: SATC, 6: SIDP } as const;

export const SCOPE_TYPES = {
  1: 'PCI Endpoint Device',
  2: 'PCI Sub-hierarchy',
  3: 'IOAPIC',
  4: 'MSI_CAPABLE_HPET',
  5: 'ACPI_NAMESPACE_DEVICE',
} as const;

/** Behind it stands its path: pairs of device and function. */
export const SCOPE = structure('scope', 'Device Scope Entry', 'VT-d 8.3.1', {
  Type: u8(0, { values: SCOPE_TYPES }),
  Length: u8(1, { form: 'decimal' }),
  Flags: u8(2, {
    bits: {
      REQ_WO_PASID_NESTED_NOTALLOWED: flag(0),
      REQ_WO_PASID_PWSNP_NOTALLOWED: flag(1),
      REQ_WO_PASID_PGSNP_NOTALLOWED: flag(2),
      ATC_HARDENED: flag(3),
      ATC_REQUIRED: flag(4),
    },
  }),
  Reserved: zero(3, 1),
  'Enumeration ID': u8(4, { form: 'decimal' }),
  'Start Bus Number': u8(5),
});
