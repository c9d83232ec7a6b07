/** SMMUv3 context descriptors (IHI 0070, 5.3, 5.4), one for each substream. Little-endian. Of VMSAv9-128 only what all formats share. */
import { address, bit, bits, named, structure } from '../../bits/index.ts';
import { ADDRESS_SIZE, GRANULE_0, GRANULE_1, SHAREABILITY, WALK_CACHEABILITY } from './encodings.ts';

/** Level-1 context descriptor. */
export const L1CD = structure('L1CD', 64, 'SMMUv3 5.3', {
  V: bit(0),
  L2Ptr: address(55, 12),
});

/** Context descriptor. What ends in 0 is of the lower part of the address space, in 1 of the upper part. */
export const CD = structure('CD', 512, 'SMMUv3 5.4', {
  T0SZ: bits(5, 0),
  TG0: named(bits(7, 6), GRANULE_0),
  IR0: named(bits(9, 8), WALK_CACHEABILITY),
  OR0: named(bits(11, 10), WALK_CACHEABILITY),
  SH0: named(bits(13, 12), SHAREABILITY),
  /** No walk by TTB0: a miss is a translation fault. */
  EPD0: bit(14),
  /** Tables are big-endian. */
  ENDI: bit(15),
  T1SZ: bits(21, 16),
  TG1: named(bits(23, 22), GRANULE_1),
  IR1: named(bits(25, 24), WALK_CACHEABILITY),
  OR1: named(bits(27, 26), WALK_CACHEABILITY),
  SH1: named(bits(29, 28), SHAREABILITY),
  EPD1: bit(30),
  /** 0: C_BAD_CD; all other fields are ignored. */
  V: bit(31),
  IPS: named(bits(34, 32), ADDRESS_SIZE),
  /** Access flag faults do not happen. */
  AFFD: bit(35),
  WXN: bit(36),
  UWXN: bit(37),
  /** The top byte of addresses is ignored. */
  TBI0: bit(38),
  TBI1: bit(39),
  PAN: bit(40),
  /** VMSAv8-64; 0: VMSAv8-32 LPAE, or with IDR5.D128 VMSAv9-128. */
  AA64: bit(41),
  HD: bit(42),
  HA: bit(43),
  /** What becomes of a fault: stall, record, abort (SMMUv3 5.5). */
  S: bit(44),
  R: bit(45),
  A: bit(46),
  /** The ASID is not shared with processors: their broadcast invalidations need not reach it. */
  ASET: bit(47),
  ASID: bits(63, 48),

  NSCFG0: bit(64),
  HAD0: bit(65),
  E0PD0: bit(66),
  HAFT: bit(67),
  TTB0: address(119, 68),
  PnCH: bit(122),
  EPAN: bit(123),
  HWU059: bit(124),
  HWU060: bit(125),
  HWU061: bit(126),
  HWU062: bit(127),

  NSCFG1: bit(128),
  HAD1: bit(129),
  E0PD1: bit(130),
  AIE: bit(131),
  TTB1: address(183, 132),
  DS: bit(186),
  PIE: bit(187),
  HWU159: bit(188),
  HWU160: bit(189),
  HWU161: bit(190),
  HWU162: bit(191),

  /** Attributes of indices 0 to 3, a byte each, index 0 lowest; of 4 to 7 in MAIR1. */
  MAIR0: bits(223, 192),
  MAIR1: bits(255, 224),

  AMAIR0: bits(287, 256),
  AMAIR1: bits(319, 288),

  IMPDEF: bits(351, 320),
  PARTID: bits(367, 352),
  PMG: bits(375, 368),

  /** 16 indirect permissions of 3 bits for unprivileged accesses, and for privileged ones; index 0 lowest. */
  PIIU: address(431, 384),
  PIIP: address(495, 448),
});
