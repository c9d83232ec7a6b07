/** Interrupt requests and what remaps them (VT-d 5.1.2, 9.9 – 9.11). Clauses: VT-d specification, revision 5.10. */
import { address, bit, bits, fixed, ignored, named, structure } from '../../bits/index.ts';

/** Address of a request in compatibility format: what processors understand (the message that a remapped one becomes has it too). */
export const COMPATIBILITY_ADDRESS = structure('compatibility format address', 32, 'VT-d 5.1.2.1', {
  IGN_1_0: ignored(1, 0),
  /** Destination mode: 0 physical, 1 logical. */
  DM: bit(2),
  RH: bit(3),
  FORMAT: fixed(bit(4), 0),
  IGN_11_5: ignored(11, 5),
  DEST: bits(19, 12),
  ID: fixed(bits(31, 20), 0xfee),
});

export const COMPATIBILITY_DATA = structure('compatibility format data', 32, 'VT-d 5.1.2.1', {
  V: bits(7, 0),
  DLM: bits(10, 8),
  IGN_13_11: ignored(13, 11),
  /** Trigger mode level: 1 asserted. */
  LEVEL: bit(14),
  /** 0 edge, 1 level. */
  TM: bit(15),
  IGN_31_16: ignored(31, 16),
});

export const REMAPPABLE_ADDRESS = structure('remappable format address', 32, 'VT-d 5.1.2.2', {
  IGN_1_0: ignored(1, 0),
  /** Handle bit 15. */
  HANDLE_15: bit(2),
  /** The data carries a subhandle. */
  SHV: bit(3),
  FORMAT: fixed(bit(4), 1),
  /** Handle bits 14:0. */
  HANDLE: bits(19, 5),
  ID: fixed(bits(31, 20), 0xfee),
});

/** Looked at where SHV is set only; bits 31:16 are reserved then. */
export const REMAPPABLE_DATA = structure('remappable format data', 32, 'VT-d 5.1.2.2', { SUBHANDLE: bits(15, 0) });

const DLM_TEXT = { 0: 'fixed', 1: 'lowest priority', 2: 'SMI', 4: 'NMI', 5: 'INIT', 7: 'ExtINT' } as const;
const SQ_TEXT = {
  0: 'all bits of SID',
  1: 'all but bit 2',
  2: 'all but bits 2:1',
  3: 'all but bits 2:0',
} as const;
const SVT_TEXT = { 0: 'not verified', 1: 'requester id verified', 2: 'bus range verified' } as const;

/** An entry that remaps. In xAPIC mode bits 63:48 and 39:32 are reserved too, and DST 15:8 is the destination. */
export const IRTE = structure('interrupt remapping table entry', 128, 'VT-d 9.9', {
  P: bit(0),
  /** Faults of requests through this entry are not recorded; counts even where P = 0. */
  FPD: bit(1),
  DM: named(bit(2), { 0: 'physical', 1: 'logical' }),
  RH: bit(3),
  TM: named(bit(4), { 0: 'edge', 1: 'level' }),
  DLM: named(bits(7, 5), DLM_TEXT),
  AVAIL: ignored(11, 8),
  /** 1: posted format, with CAP.PI; reserved without. */
  IM: bit(15),
  V: bits(23, 16),
  DST: bits(63, 32),
  SID: bits(79, 64),
  SQ: named(bits(81, 80), SQ_TEXT),
  SVT: named(bits(83, 82), SVT_TEXT),
});

/** An entry that posts (IM = 1): {@link PID} is at PDAH:PDAL. */
export const IRTE_POSTED = structure('interrupt remapping table entry, posted', 128, 'VT-d 9.10', {
  P: bit(0),
  FPD: bit(1),
  AVAIL: ignored(11, 8),
  URG: bit(14),
  IM: fixed(bit(15), 1),
  /** Virtual vector: which bit of {@link PID}.PIR. */
  VV: bits(23, 16),
  /** Bits 31:6 of the descriptor's address. */
  PDAL: bits(63, 38),
  SID: bits(79, 64),
  SQ: named(bits(81, 80), SQ_TEXT),
  SVT: named(bits(83, 82), SVT_TEXT),
  /** Bits 63:32. */
  PDAH: bits(127, 96),
});

/** Posted interrupt descriptor. PIR: one bit a vector, here in words of 64. */
export const PID = structure('posted interrupt descriptor', 512, 'VT-d 9.11', {
  PIR_0: address(63, 0),
  PIR_1: address(127, 64),
  PIR_2: address(191, 128),
  PIR_3: address(255, 192),
  /** A notification is outstanding. */
  ON: bit(256),
  /** Notifications of requests that are not urgent are suppressed. */
  SN: bit(257),
  NV: bits(279, 272),
  NDST: bits(319, 288),
});

/** IRTE.SVT: what of the requester is verified; 3 is reserved. */
export const SVT = { none: 0, requester: 1, bus: 2 } as const;

/** IRTE.DLM; the others, 3 and 6, are not defined. */
export const DELIVERY_MODE = { fixed: 0, lowestPriority: 1, smi: 2, nmi: 4, init: 5, extInt: 7 } as const;

/** Bytes of an entry. */
export const IRTE_BYTES = 16;
