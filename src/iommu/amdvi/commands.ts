/** AMD-Vi commands, 128 bits each. Source: AMD publication 48882; see the README. */
import { address, bit, bits, fixed, structure } from '../../bits/index.ts';

/** Where the code of each command is. */
export const OPCODE = bits(63, 60);

/** Completed when all commands before it are. It stores, interrupts, or both; it does not itself wait for DMA. */
export const COMPLETION_WAIT = structure('COMPLETION_WAIT', 128, 'AMD-Vi 2.4.1', {
  s: bit(0),
  i: bit(1),
  /** No later command begins before this one is complete. */
  f: bit(2),
  StoreAddress: address(51, 3),
  Opcode: fixed(OPCODE, 0x1),
  StoreData: address(127, 64),
});

export const INVALIDATE_DEVTAB_ENTRY = structure('INVALIDATE_DEVTAB_ENTRY', 128, 'AMD-Vi 2.4.2', {
  DeviceID: bits(15, 0),
  Opcode: fixed(OPCODE, 0x2),
});

/** S = 1: the address encodes a range, `encodedRangeBits`; 0x7fff_ffff_ffff_f000 is all. */
export const INVALIDATE_IOMMU_PAGES = structure('INVALIDATE_IOMMU_PAGES', 128, 'AMD-Vi 2.4.3', {
  /** With GN = 1. */
  PASID: bits(19, 0),
  DomainID: bits(47, 32),
  Opcode: fixed(OPCODE, 0x3),
  S: bit(64),
  /** Cached page directory entries too. */
  PDE: bit(65),
  /** The address is a guest's, of the PASID. */
  GN: bit(66),
  Address: address(127, 76),
});

/** To a device's own IOTLB. The PASID is in three parts. */
export const INVALIDATE_IOTLB_PAGES = structure('INVALIDATE_IOTLB_PAGES', 128, 'AMD-Vi 2.4.4', {
  DeviceID: bits(15, 0),
  PASID_15_8: bits(23, 16),
  Maxpend: bits(31, 24),
  QueueID: bits(47, 32),
  PASID_7_0: bits(55, 48),
  PASID_19_16: bits(59, 56),
  Opcode: fixed(OPCODE, 0x4),
  S: bit(64),
  GN: bit(66),
  /** With EFR.InvIotlbTypeSup. */
  Type: bits(69, 68),
  Address: address(127, 76),
});

export const INVALIDATE_INTERRUPT_TABLE = structure('INVALIDATE_INTERRUPT_TABLE', 128, 'AMD-Vi 2.4.5', {
  DeviceID: bits(15, 0),
  Opcode: fixed(OPCODE, 0x5),
});

/** A hint, with EFR.PreFSup. */
export const PREFETCH_IOMMU_PAGES = structure('PREFETCH_IOMMU_PAGES', 128, 'AMD-Vi 2.4.6', {
  DeviceID: bits(15, 0),
  PFCount: bits(31, 24),
  PASID: bits(51, 32),
  Opcode: fixed(OPCODE, 0x6),
  S: bit(64),
  GN: bit(66),
  /** Invalidate what is prefetched first. */
  Inval: bit(68),
  Address: address(127, 76),
});

/** CompletionTag is the payload of the response as PCI Express has it: bits 15:12 the response code, bits 8:0 the group. */
export const COMPLETE_PPR_REQUEST = structure('COMPLETE_PPR_REQUEST', 128, 'AMD-Vi 2.4.7', {
  DeviceID: bits(15, 0),
  PASID: bits(51, 32),
  Opcode: fixed(OPCODE, 0x7),
  GN: bit(66),
  CompletionTag: bits(111, 96),
});

/** With EFR.IASup. */
export const INVALIDATE_IOMMU_ALL = structure('INVALIDATE_IOMMU_ALL', 128, 'AMD-Vi 2.4.8', {
  Opcode: fixed(OPCODE, 0x8),
});

/** This and the next with EFR.vIommuSup. */
export const INSERT_GUEST_EVENT = structure('INSERT_GUEST_EVENT', 128, 'AMD-Vi 2.4.9', {
  GuestID: bits(47, 32),
  Opcode: fixed(OPCODE, 0x9),
});

export const RESET_VMMIO = structure('RESET_VMMIO', 128, 'AMD-Vi 2.4.10', {
  GuestID: bits(15, 0),
  All: bit(28),
  VCmd: bit(31),
  Opcode: fixed(OPCODE, 0xa),
});

/** By {@link OPCODE}. */
export const COMMANDS = {
  1: COMPLETION_WAIT,
  2: INVALIDATE_DEVTAB_ENTRY,
  3: INVALIDATE_IOMMU_PAGES,
  4: INVALIDATE_IOTLB_PAGES,
  5: INVALIDATE_INTERRUPT_TABLE,
  6: PREFETCH_IOMMU_PAGES,
  7: COMPLETE_PPR_REQUEST,
  8: INVALIDATE_IOMMU_ALL,
  9: INSERT_GUEST_EVENT,
  10: RESET_VMMIO,
} as const;

/** Bytes of a command. */
export const COMMAND_BYTES = 16;
