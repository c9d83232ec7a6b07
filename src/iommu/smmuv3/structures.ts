/**
 * SMMUv3 stream table (IHI 0070, 5.1, 5.2). Little-endian. Reserved bits of an STE that counts are RES0; a configuration that cannot be is C_BAD_STE.
 * With Config 100b to 111b the fields of a stage that is not in use are ignored.
 */
import { address, bit, bits, ignored, named, structure } from '../../bits/index.ts';
import {
  ADDRESS_SIZE,
  ALLOCATION_OVERRIDE,
  CD_CACHEABILITY,
  GRANULE_0,
  INSTRUCTION_OVERRIDE,
  MEMORY_TYPE,
  PRIVILEGE_OVERRIDE,
  SHAREABILITY,
  SHAREABILITY_OVERRIDE,
  SKIP_LEVEL,
  WALK_CACHEABILITY,
} from './encodings.ts';

/** 1 to 11: 2^(Span - 1) STEs. The reserved values 12 to 31 behave as 0. */
const SPANS = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i + 1, i === 0 ? '1 STE' : `${2 ** i} STEs`]));

/** Level-1 stream table descriptor. */
export const L1STD = structure('L1STD', 64, 'SMMUv3 5.1', {
  Span: named(bits(4, 0), { 0: 'invalid', ...SPANS }),
  /** Aligned to the size of what it points at; lower bits are taken for 0. */
  L2Ptr: address(55, 6),
});

/** STE.Config; 1 to 3 are reserved, and behave as 0. */
export const STE_CONFIG = { abort: 0, bypass: 4, s1: 5, s2: 6, s1s2: 7 } as const;

/** Stream table entry. Fields S_… are of Secure streams. */
export const STE = structure('STE', 512, 'SMMUv3 5.2', {
  /** 0: any transaction is aborted, with C_BAD_STE; all other fields are ignored. */
  V: bit(0),
  Config: named(bits(3, 1), {
    0: 'abort, no event',
    4: 'stage 1 bypass, stage 2 bypass',
    5: 'stage 1 translate, stage 2 bypass',
    6: 'stage 1 bypass, stage 2 translate',
    7: 'stage 1 translate, stage 2 translate',
  }),
  S1Fmt: named(bits(5, 4), { 0: 'linear', 1: '2-level, 4 KiB leaves', 2: '2-level, 64 KiB leaves' }),
  /** An IPA if stage 2 translates. */
  S1ContextPtr: address(55, 6),
  /** log2 of the number of CDs; 0: one, and a SubstreamID is C_BAD_SUBSTREAMID. */
  S1CDMax: bits(63, 59),

  /** What a transaction without SubstreamID meets if S1CDMax is not 0. */
  S1DSS: named(bits(65, 64), { 0: 'terminate', 1: 'bypass stage 1', 2: 'CD of substream 0' }),
  S1CIR: named(bits(67, 66), CD_CACHEABILITY),
  S1COR: named(bits(69, 68), CD_CACHEABILITY),
  S1CSH: named(bits(71, 70), SHAREABILITY),
  S2HWU59: bit(72),
  S2HWU60: bit(73),
  S2HWU61: bit(74),
  S2HWU62: bit(75),
  DRE: bit(76),
  /** log2 of how many STEs are the same around this one: a hint. */
  CONT: bits(80, 77),
  DCP: bit(81),
  /** What the SMMU itself answers page requests with, when their queue has overflowed, has a PASID. */
  PPAR: bit(82),
  /** Events that are alike may be merged. */
  MEV: bit(83),
  SW_RESERVED: ignored(87, 84),
  S1PIE: bit(88),
  S2FWB: bit(89),
  S1MPAM: bit(90),
  /** Stage 1 does not stall, whatever CD.S says. */
  S1STALLD: bit(91),
  EATS: named(bits(93, 92), {
    0: 'ATS refused',
    1: 'full ATS',
    2: 'split-stage ATS',
    3: 'full ATS with DPT checks',
  }),
  /** Whose translations these are (StreamWorld); 1 in Secure STEs. */
  STRW: named(bits(95, 94), { 0: 'EL1', 1: 'EL3', 2: 'EL2' }),
  MemAttr: named(bits(99, 96), MEMORY_TYPE),
  /** MemAttr replaces the transaction's. */
  MTCFG: bit(100),
  ALLOCCFG: named(bits(104, 101), ALLOCATION_OVERRIDE),
  SHCFG: named(bits(109, 108), SHAREABILITY_OVERRIDE),
  NSCFG: named(bits(111, 110), { 0: 'incoming', 2: 'Secure', 3: 'Non-secure' }),
  PRIVCFG: named(bits(113, 112), PRIVILEGE_OVERRIDE),
  INSTCFG: named(bits(115, 114), INSTRUCTION_OVERRIDE),
  IMPDEF_127_116: bits(127, 116),

  S2VMID: bits(143, 128),
  IMPDEF_159_144: bits(159, 144),
  S2T0SZ: bits(165, 160),
  /** The level that a walk begins at, by granule; with S2SL0_2. */
  S2SL0: bits(167, 166),
  S2IR0: named(bits(169, 168), WALK_CACHEABILITY),
  S2OR0: named(bits(171, 170), WALK_CACHEABILITY),
  S2SH0: named(bits(173, 172), SHAREABILITY),
  S2TG: named(bits(175, 174), GRANULE_0),
  S2PS: named(bits(178, 176), ADDRESS_SIZE),
  /** VMSAv8-64; 0: VMSAv8-32 LPAE, or with IDR5.D128 VMSAv9-128. */
  S2AA64: bit(179),
  /** Stage-2 tables are big-endian. */
  S2ENDI: bit(180),
  /** Access flag faults do not happen. */
  S2AFFD: bit(181),
  /** A stage-1 walk or CD fetch that stage 2 maps to Device memory is a permission fault of stage 2. */
  S2PTW: bit(182),
  S2HD: bit(183),
  S2HA: bit(184),
  /** Stall what faults at stage 2. */
  S2S: bit(185),
  /** Record what faults at stage 2. */
  S2R: bit(186),
  S2HAFT: bit(187),
  S2PIE: bit(188),
  S2POE: bit(189),
  DPT_VMATCH: bits(191, 190),

  S2NSW: bit(192),
  S2NSA: bit(193),
  S2SL0_2: bit(194),
  S2DS: bit(195),
  /** Up to bit 51, but for VMSAv9-128. */
  S2TTB: address(247, 196),
  S2SKL: named(bits(254, 253), SKIP_LEVEL),

  IMPDEF_271_256: bits(271, 256),
  PARTID: bits(287, 272),
  S_S2T0SZ: bits(293, 288),
  S_S2SL0: bits(295, 294),
  S_S2TG: named(bits(303, 302), GRANULE_0),
  /** Of Realm streams. */
  MECID: bits(319, 304),

  PMG: bits(327, 320),
  MPAM_NS: bit(328),
  AssuredOnly: bit(329),
  TL0: bit(330),
  TL1: bit(331),
  VMSPtr: address(375, 332),

  S2SW: bit(384),
  S2SA: bit(385),
  S_S2SL0_2: bit(386),
  S_S2TTB: address(439, 388),
  S_S2SKL: named(bits(446, 445), SKIP_LEVEL),

  /** 16 permission overlays of 4 bits, overlay 0 lowest. */
  S2POI: address(511, 448),
});
