/** RISC-V IOMMU directories and contexts. Clauses: RISC-V IOMMU architecture specification, version 1.0.1; see the README. */
import { address, bit, bits, named, part, structure } from '../../bits/index.ts';

/** Not a leaf of the device directory table. */
export const DDTE = structure('non-leaf DDT entry', 64, 'RISC-V IOMMU 2.1.1', { V: bit(0), PPN: address(53, 10, 12) });
/** Not a leaf of the process directory table. */
export const PDTE = structure('non-leaf PDT entry', 64, 'RISC-V IOMMU 2.2.1', { V: bit(0), PPN: address(53, 10, 12) });

/** Translation control, the first word of a device context. */
export const TC = structure('tc', 64, 'RISC-V IOMMU 2.1.3.1', {
  V: bit(0),
  EN_ATS: bit(1),
  EN_PRI: bit(2),
  /** Translations for ATS are guest-physical addresses. */
  T2GPA: bit(3),
  /** Of faults of the device's transactions only those that the table of causes says are reported. */
  DTF: bit(4),
  /** fsc is pdtp, not iosatp. */
  PDTV: bit(5),
  /** Answers to page requests have the PASID. */
  PRPR: bit(6),
  /** The IOMMU updates A and D of second-stage entries. */
  GADE: bit(7),
  /** The IOMMU updates A and D of first-stage entries. */
  SADE: bit(8),
  /** A request without process_id has process_id 0. */
  DPE: bit(9),
  SBE: named(bit(10), { 0: 'little-endian', 1: 'big-endian' }),
  SXL: named(bit(11), { 0: 'first stages of 64 bits', 1: 'first stages of 32 bits' }),
  custom: bits(31, 24),
});

/** Second stage. The root has 16 KiB, and lies at a multiple of that. */
export const IOHGATP = structure('iohgatp', 64, 'RISC-V IOMMU 2.1.3.2', {
  PPN: address(43, 0, 12),
  GSCID: bits(59, 44),
  MODE: named(bits(63, 60), { 0: 'Bare', 8: 'Sv39x4 (Sv32x4 with fctl.GXL)', 9: 'Sv48x4', 10: 'Sv57x4' }),
});

/** RCID and MCID with capabilities.QOSID. */
export const DC_TA = structure('device context ta', 64, 'RISC-V IOMMU 2.1.3.3', {
  PSCID: bits(31, 12),
  RCID: bits(51, 40),
  MCID: bits(63, 52),
});

/** First stage context: what MODE means says {@link IOSATP} with PDTV = 0, {@link PDTP} with PDTV = 1. */
export const FSC = structure('fsc', 64, 'RISC-V IOMMU 2.1.3.4', { PPN: address(43, 0, 12), MODE: bits(63, 60) });

export const IOSATP = structure('iosatp', 64, 'RISC-V IOMMU 2.1.3.4', {
  PPN: FSC.PPN,
  MODE: named(FSC.MODE, { 0: 'Bare', 8: 'Sv39 (Sv32 with tc.SXL)', 9: 'Sv48', 10: 'Sv57' }),
});

export const PDTP = structure('pdtp', 64, 'RISC-V IOMMU 2.1.3.4', {
  PPN: FSC.PPN,
  MODE: named(FSC.MODE, { 0: 'Bare', 1: 'PD8', 2: 'PD17', 3: 'PD20' }),
});

export const MSIPTP = structure('msiptp', 64, 'RISC-V IOMMU 2.1.3.5', {
  PPN: address(43, 0, 12),
  MODE: named(bits(63, 60), { 0: 'Off', 1: 'Flat' }),
});

/** A guest-physical page is a virtual interrupt file's where it equals the pattern in all bits that the mask has not. */
export const MSI_ADDR_MASK = structure('msi_addr_mask', 64, 'RISC-V IOMMU 2.1.3.6', { mask: address(51, 0, 12) });
export const MSI_ADDR_PATTERN = structure('msi_addr_pattern', 64, 'RISC-V IOMMU 2.1.3.6', {
  pattern: address(51, 0, 12),
});

const BASE = {
  ...part('tc', 0, TC),
  ...part('iohgatp', 64, IOHGATP),
  ...part('ta', 128, DC_TA),
  ...part('fsc', 192, FSC),
} as const;

/** Leaf of the device directory with capabilities.MSI_FLAT = 0. */
export const DC_BASE = structure('device context, base format', 256, 'RISC-V IOMMU 2.1.2', BASE);

/** Leaf of the device directory with capabilities.MSI_FLAT = 1. The last word is reserved. */
export const DC_EXTENDED = structure('device context, extended format', 512, 'RISC-V IOMMU 2.1.2', {
  ...BASE,
  ...part('msiptp', 256, MSIPTP),
  ...part('msi_addr_mask', 320, MSI_ADDR_MASK),
  ...part('msi_addr_pattern', 384, MSI_ADDR_PATTERN),
});

export const PC_TA = structure('process context ta', 64, 'RISC-V IOMMU 2.2.3.1', {
  V: bit(0),
  /** Requests with supervisor privilege are allowed. */
  ENS: bit(1),
  /** They may access pages of users. */
  SUM: bit(2),
  PSCID: bits(31, 12),
});

/** Leaf of the process directory; fsc is iosatp. */
export const PC = structure('process context', 128, 'RISC-V IOMMU 2.2.3', {
  ...part('ta', 0, PC_TA),
  ...part('fsc', 64, IOSATP),
});

/** How a device_id is split by directory level, lowest first: with contexts of 32 bytes, and of 64. */
export const DDI = {
  base: [bits(6, 0), bits(15, 7), bits(23, 16)],
  extended: [bits(5, 0), bits(14, 6), bits(23, 15)],
} as const;

/** How a process_id is split by directory level, lowest first. */
export const PDI = [bits(7, 0), bits(16, 8), bits(19, 17)] as const;
