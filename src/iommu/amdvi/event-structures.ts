/** AMD-Vi event log entries, 128 bits each. What they mean is in `events.ts`. Source: AMD publication 48882; see the README. */
import type { BitsField } from '../../bits/index.ts';
import { address, bit, bits, fixed, named, structure } from '../../bits/index.ts';

/** Where the code of each event is. */
export const EVENT_CODE = bits(63, 60);
/** What Linux prints as `flags`: bit n of it is bit 48 + n of the entry, whatever the event has there. */
export const LOGGED_FLAGS = bits(59, 48);
/** What Linux with virtual IOMMUs prints as `vflags`: bit n is bit 27 + n. */
export const LOGGED_VFLAGS = bits(31, 27);

// Fields that several events have. Names of a value are given only where it means something whatever the other fields are.
const code = (value: number): BitsField => fixed(EVENT_CODE, value);
const GN = named(bit(48), { 1: 'guest address, of the PASID' });
const I = named(bit(51), { 0: 'memory request', 1: 'interrupt request' });
const RW = named(bit(53), { 0: 'read', 1: 'write' });
const TR = named(bit(56), { 0: 'transaction', 1: 'translation request' });
const HARDWARE = { 1: 'master abort', 2: 'target abort', 3: 'data error' } as const;

/** Of requests by a virtual IOMMU (EFR.vIommuSup). */
const VIRTUAL = { VNR: bit(27), VEvent: bit(29), VPtr: bit(30), VCmd: bit(31) } as const;

/** The PASID in two parts, with GN = 1. */
const PASID = { PASID_19_16: bits(19, 16), PASID_15_0: bits(47, 32) } as const;

export const ILLEGAL_DEV_TABLE_ENTRY = structure('ILLEGAL_DEV_TABLE_ENTRY', 128, 'AMD-Vi 2.5.2', {
  DeviceID: bits(15, 0),
  ...PASID,
  ...VIRTUAL,
  GN,
  I,
  RW,
  /** Why the entry is illegal: of Mode, GLX and the like an encoding that is reserved, or not to be used here. */
  RZ: named(bit(55), { 0: 'invalid level encoding', 1: 'reserved bit set' }),
  TR,
  EventCode: code(0x1),
  Address: address(127, 66),
});

/**
 * PE and RZ are about pages that are present. By the text RW, too, means something with PR = 1, TR = 0 and I = 0 only; hardware is known to
 * report it rightly of pages that are not present.
 */
export const IO_PAGE_FAULT = structure('IO_PAGE_FAULT', 128, 'AMD-Vi 2.5.3', {
  DeviceID: bits(15, 0),
  PASID_19_16: bits(19, 16),
  ...VIRTUAL,
  /** With GN = 1 bits 15:0 of the PASID. */
  DomainID: bits(47, 32),
  GN,
  NX: bit(49),
  US: named(bit(50), { 0: 'supervisor', 1: 'user' }),
  I,
  PR: named(bit(52), { 0: 'not present, or interrupt blocked', 1: 'present, or interrupt remapped' }),
  RW,
  PE: named(bit(54), { 1: 'no permission' }),
  RZ: named(bit(55), { 1: 'reserved bit set' }),
  TR,
  EventCode: code(0x2),
  Address: address(127, 64),
});

export const DEV_TAB_HARDWARE_ERROR = structure('DEV_TAB_HARDWARE_ERROR', 128, 'AMD-Vi 2.5.4', {
  DeviceID: bits(15, 0),
  ...VIRTUAL,
  I,
  RW,
  TR,
  Type: named(bits(58, 57), HARDWARE),
  EventCode: code(0x3),
  Address: address(127, 68),
});

export const PAGE_TAB_HARDWARE_ERROR = structure('PAGE_TAB_HARDWARE_ERROR', 128, 'AMD-Vi 2.5.5', {
  DeviceID: bits(15, 0),
  PASID_19_16: bits(19, 16),
  ...VIRTUAL,
  DomainID: bits(47, 32),
  GN,
  I,
  RW,
  TR,
  Type: named(bits(58, 57), HARDWARE),
  EventCode: code(0x4),
  /** Of the entry, which has 8 bytes. */
  Address: address(127, 67),
});

export const ILLEGAL_COMMAND_ERROR = structure('ILLEGAL_COMMAND_ERROR', 128, 'AMD-Vi 2.5.6', {
  EventCode: code(0x5),
  Address: address(127, 68),
});

export const COMMAND_HARDWARE_ERROR = structure('COMMAND_HARDWARE_ERROR', 128, 'AMD-Vi 2.5.7', {
  Type: named(bits(58, 57), HARDWARE),
  EventCode: code(0x6),
  Address: address(127, 68),
});

export const IOTLB_INV_TIMEOUT = structure('IOTLB_INV_TIMEOUT', 128, 'AMD-Vi 2.5.8', {
  DeviceID: bits(15, 0),
  EventCode: code(0x7),
  /** Of the command. */
  Address: address(127, 68),
});

/** What Type says is in `INVALID_REQUEST_TEXT`: it depends on TR. */
export const INVALID_DEVICE_REQUEST = structure('INVALID_DEVICE_REQUEST', 128, 'AMD-Vi 2.5.9', {
  DeviceID: bits(15, 0),
  ...PASID,
  GN,
  US: bit(49),
  TR,
  Type: bits(59, 57),
  EventCode: code(0x8),
  Address: address(127, 64),
});

/** Laid out as a page request, but for the flags, of which no second source is known. */
export const INVALID_PPR_REQUEST = structure('INVALID_PPR_REQUEST', 128, 'AMD-Vi 2.5.10', {
  DeviceID: bits(15, 0),
  PASID_15_0: bits(31, 16),
  PPRTag: bits(41, 32),
  PASID_19_16: bits(45, 42),
  Flags: LOGGED_FLAGS,
  EventCode: code(0x9),
  Address: address(127, 64),
});

export const EVENT_COUNTER_ZERO = structure('EVENT_COUNTER_ZERO', 128, 'AMD-Vi 2.5.11', {
  EventCode: code(0xa),
  CounterNote_51_32: bits(83, 64),
  CounterNote_31_0: bits(127, 96),
});

/** Of this and the next three the flags are not deciphered: see the README. */
export const GUEST_EVENT_FAULT = structure('GUEST_EVENT_FAULT', 128, 'AMD-Vi 2.5.12', {
  VFlags: LOGGED_VFLAGS,
  GuestID: bits(47, 32),
  Flags: LOGGED_FLAGS,
  EventCode: code(0xb),
});

export const VIOMMU_HARDWARE_ERROR = structure('VIOMMU_HARDWARE_ERROR', 128, 'AMD-Vi 2.5.13', {
  GuestID: bits(15, 0),
  Source: bits(17, 16),
  VFlags: LOGGED_VFLAGS,
  Flags: LOGGED_FLAGS,
  EventCode: code(0xc),
  Address: address(127, 64),
});

export const RMP_PAGE_FAULT = structure('RMP_PAGE_FAULT', 128, 'AMD-Vi 2.5.14', {
  DeviceID: bits(15, 0),
  FlagsRMP: bits(23, 16),
  VMGTag: bits(47, 32),
  Flags: LOGGED_FLAGS,
  EventCode: code(0xd),
  /** A guest's address. */
  Address: address(127, 64),
});

export const RMP_HARDWARE_ERROR = structure('RMP_HARDWARE_ERROR', 128, 'AMD-Vi 2.5.15', {
  DeviceID: bits(15, 0),
  VMGTag: bits(47, 32),
  Flags: LOGGED_FLAGS,
  EventCode: code(0xe),
  Address: address(127, 67),
});

/** Bytes of an entry. */
export const EVENT_BYTES = 16;
