/** Invalidation descriptors (VT-d 6.5.2). */
import { address, bit, bits, fixed, ignored, named, structure } from '../../bits/index.ts';

export const CONTEXT_INV_DSC = structure('context-cache invalidate descriptor', 128, 'VT-d 6.5.2.1', {
  TYPE: fixed(bits(3, 0), 0x1),
  G: named(bits(5, 4), { 1: 'global', 2: 'domain', 3: 'device' }),
  TYPE_HI: fixed(bits(11, 9), 0),
  DID: bits(31, 16),
  SID: bits(47, 32),
  FM: bits(49, 48),
});

export const IOTLB_INV_DSC = structure('IOTLB invalidate descriptor', 128, 'VT-d 6.5.2.3', {
  TYPE: fixed(bits(3, 0), 0x2),
  G: named(bits(5, 4), { 1: 'global', 2: 'domain', 3: 'page' }),
  /** Drain writes, reads. */
  DW: bit(6),
  DR: bit(7),
  TYPE_HI: fixed(bits(11, 9), 0),
  DID: bits(31, 16),
  /** Address mask: the low AM bits of the page number are ignored. */
  AM: bits(69, 64),
  /** Invalidation hint: only leaf entries were changed. */
  IH: bit(70),
  ADDR: address(127, 76),
});

export const WAIT_DSC = structure('invalidation wait descriptor', 128, 'VT-d 6.5.2.9', {
  TYPE: fixed(bits(3, 0), 0x5),
  IF: bit(4),
  /** Write the status data to the status address. */
  SW: bit(5),
  FN: bit(6),
  /** Page-request drain; needs ECAP.PDS. */
  PD: bit(7),
  TYPE_HI: fixed(bits(11, 9), 0),
  DATA: bits(63, 32),
  ADDR: address(127, 66),
});

/** Of scalable mode; 256 bits, of which the upper half is 0. */
export const PASID_CACHE_INV_DSC = structure('PASID-cache invalidate descriptor', 256, 'VT-d 6.5.2.2', {
  TYPE: fixed(bits(3, 0), 0x7),
  /** See PASID_GRANULARITY. */
  G: named(bits(5, 4), { 0: 'domain', 1: 'PASID', 3: 'global' }),
  TYPE_HI: fixed(bits(11, 9), 0),
  DID: bits(31, 16),
  PASID: bits(51, 32),
});

/** Of scalable mode, for changes of the first stage. It always drains reads and writes: there are no bits that ask for it. */
export const PASID_IOTLB_INV_DSC = structure('PASID-based-IOTLB invalidate descriptor', 256, 'VT-d 6.5.2.4', {
  TYPE: fixed(bits(3, 0), 0x6),
  /** See PASID_IOTLB_GRANULARITY. */
  G: named(bits(5, 4), { 2: 'PASID', 3: 'page' }),
  TYPE_HI: fixed(bits(11, 9), 0),
  DID: bits(31, 16),
  PASID: bits(51, 32),
  AM: bits(69, 64),
  IH: bit(70),
  ADDR: address(127, 76),
});

/** Needs ECAP.DT. */
export const DEVICE_TLB_INV_DSC = structure('device-TLB invalidate descriptor', 128, 'VT-d 6.5.2.5', {
  TYPE: fixed(bits(3, 0), 0x3),
  TYPE_HI: fixed(bits(11, 9), 0),
  PFSID_LO: bits(15, 12),
  MIP: bits(20, 16),
  SID: bits(47, 32),
  PFSID_HI: bits(63, 52),
  S: bit(64),
  ADDR: address(127, 76),
});

/** Needs ECAP.DT. */
export const PASID_DEVICE_TLB_INV_DSC = structure('PASID-based-device-TLB invalidate descriptor', 256, 'VT-d 6.5.2.6', {
  TYPE: fixed(bits(3, 0), 0x8),
  MIP: bits(8, 4),
  TYPE_HI: fixed(bits(11, 9), 0),
  PFSID_LO: bits(15, 12),
  SID: bits(31, 16),
  PASID: bits(51, 32),
  PFSID_HI: bits(63, 52),
  GI: bit(64),
  S: bit(75),
  ADDR: address(127, 76),
});

/** Needs ECAP.PRS. */
export const PAGE_GRP_RESP_DSC = structure('page group response descriptor', 256, 'VT-d 7.6.1', {
  TYPE: fixed(bits(3, 0), 0x9),
  /** The response has a PASID. */
  PP: bit(4),
  TYPE_HI: fixed(bits(11, 9), 0),
  RC: named(bits(15, 12), { 0: 'success', 1: 'invalid request', 15: 'response failure' }),
  RID: bits(31, 16),
  PASID: bits(51, 32),
  IGN: ignored(66, 66),
  PRGI: bits(75, 67),
});

/** Needs ECAP.HPTS. */
export const HPT_INV_DSC = structure('HPT cache invalidate descriptor', 256, 'VT-d 6.5.2.7', {
  TYPE: fixed(bits(3, 0), 0xa),
  G: bits(5, 4),
  TYPE_HI: fixed(bits(11, 9), 0),
  HPTDID: bits(31, 16),
  AM: bits(69, 64),
  IH: bits(71, 70),
  ADDR: address(127, 76),
});

/** Needs ECAP.IR. */
export const IEC_INV_DSC = structure('interrupt entry cache invalidate descriptor', 128, 'VT-d 6.5.2.8', {
  TYPE: fixed(bits(3, 0), 0x4),
  /** Index-selective: also those that differ from the index in the low IM bits. */
  G: named(bit(4), { 0: 'global', 1: 'index-selective' }),
  TYPE_HI: fixed(bits(11, 9), 0),
  IM: bits(31, 27),
  IIDX: bits(47, 32),
});

/** Granularities of the PASID-cache descriptor (VT-d 6.5.2.2); 2 is reserved. */
export const PASID_GRANULARITY = { domain: 0, pasid: 1, global: 3 } as const;
/** Granularities of the PASID-based-IOTLB descriptor (VT-d 6.5.2.4); 0 and 1 are reserved. */
export const PASID_IOTLB_GRANULARITY = { pasid: 2, page: 3 } as const;

/** IQERCD.IQEI (VT-d 11.4.9.9). */
export const IQEI = {
  none: 0,
  tail: 1,
  fetch: 2,
  type: 3,
  reserved: 4,
  width: 5,
  tailAlignment: 6,
  tableMode: 7,
} as const;

/** What each IQEI means. */
export const IQEI_TEXT: Readonly<Record<number, string>> = {
  0: 'none is recorded',
  1: 'the tail lies outside the queue',
  2: 'a descriptor could not be read',
  3: 'a descriptor of a type that the unit has not',
  4: 'a reserved bit is set in a descriptor',
  5: 'descriptors of a width that the table mode has not',
  6: 'the tail is not aligned to the descriptors',
  7: 'RTADDR names a table mode that the unit has not',
};
