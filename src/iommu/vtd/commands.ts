/** Invalidation descriptors (VT-d 6.5.2). */
import { address, bit, bits, fixed, structure } from '../../bits/index.ts';

export const CONTEXT_INV_DSC = structure('context-cache invalidate descriptor', 128, 'VT-d 6.5.2.1', {
  TYPE: fixed(bits(3, 0), 0x1),
  G: bits(5, 4),
  TYPE_HI: fixed(bits(11, 9), 0),
  DID: bits(31, 16),
  SID: bits(47, 32),
  FM: bits(49, 48),
});

export const IOTLB_INV_DSC = structure('IOTLB invalidate descriptor', 128, 'VT-d 6.5.2.3', {
  TYPE: fixed(bits(3, 0), 0x2),
  G: bits(5, 4),
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
  TYPE_HI: fixed(bits(11, 9), 0),
  DATA: bits(63, 32),
  ADDR: address(127, 66),
});

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
