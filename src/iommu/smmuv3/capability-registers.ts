/** SMMUv3 registers that tell what an implementation has (IHI 0070, 6.3.1 – 6.3.8), all read-only. Page 0. */
import type { Fields } from '../../bits/index.ts';
import { bit, bits, named, register, ro } from '../../bits/index.ts';
import { ADDRESS_SIZE } from './encodings.ts';

/** Each field read-only. */
function readOnly<F extends Fields>(fields: F): F {
  return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, ro(field)])) as F;
}

export const IDR0 = register(
  'SMMU_IDR0',
  0x0,
  'SMMUv3 6.3.1',
  readOnly({
    S2P: bit(0),
    S1P: bit(1),
    TTF: named(bits(3, 2), { 1: 'VMSAv8-32 LPAE', 2: 'VMSAv8-64', 3: 'VMSAv8-32 LPAE and VMSAv8-64' }),
    COHACC: bit(4),
    BTM: bit(5),
    /** 3: of table descriptors too. */
    HTTU: named(bits(7, 6), {
      0: 'no flag updates',
      1: 'Access flag',
      2: 'Access flag and dirty state',
      3: 'Access flag, dirty state, Access flag of tables',
    }),
    DORMHINT: bit(8),
    Hyp: bit(9),
    ATS: bit(10),
    NS1ATS: bit(11),
    ASID16: bit(12),
    MSI: bit(13),
    SEV: bit(14),
    ATOS: bit(15),
    PRI: bit(16),
    VMW: bit(17),
    VMID16: bit(18),
    CD2L: bit(19),
    VATOS: bit(20),
    TTENDIAN: named(bits(22, 21), { 0: 'mixed', 2: 'little-endian', 3: 'big-endian' }),
    ATSRECERR: bit(23),
    STALL_MODEL: named(bits(25, 24), { 0: 'Stall and Terminate', 1: 'Terminate only', 2: 'Stall forced' }),
    TERM_MODEL: bit(26),
    ST_LEVEL: named(bits(28, 27), { 0: 'linear', 1: 'linear or 2-level' }),
    RME_IMPL: bit(30),
  }),
);

export const IDR1 = register(
  'SMMU_IDR1',
  0x4,
  'SMMUv3 6.3.2',
  readOnly({
    /** Bits of a StreamID. */
    SIDSIZE: bits(5, 0),
    /** Bits of a SubstreamID; 0: none. */
    SSIDSIZE: bits(10, 6),
    /** log2 of the most entries, of this queue and of the next ones. */
    PRIQS: bits(15, 11),
    EVENTQS: bits(20, 16),
    CMDQS: bits(25, 21),
    ATTR_PERMS_OVR: bit(26),
    ATTR_TYPES_OVR: bit(27),
    /** With a preset: base addresses are offsets from the registers'. */
    REL: bit(28),
    QUEUES_PRESET: bit(29),
    TABLES_PRESET: bit(30),
    ECMDQ: bit(31),
  }),
);

export const IDR2 = register(
  'SMMU_IDR2',
  0x8,
  'SMMUv3 6.3.3',
  readOnly({
    /** Page of the VATOS registers: at 0x20000 + BA_VATOS × 0x10000. */
    BA_VATOS: bits(9, 0),
  }),
);

export const IDR3 = register(
  'SMMU_IDR3',
  0xc,
  'SMMUv3 6.3.4',
  readOnly({
    HAD: bit(2),
    PBHA: bit(3),
    XNX: bit(4),
    PPS: bit(5),
    MPAM: bit(7),
    FWB: bit(8),
    STT: bit(9),
    RIL: bit(10),
    BBML: named(bits(12, 11), { 0: 'level 0', 1: 'level 1', 2: 'level 2' }),
    E0PD: bit(13),
    PTWNNC: bit(14),
    DPT: bit(15),
    PASIDTT: bit(16),
    EPAN: bit(17),
    S1PI: bit(18),
    S2PI: bit(19),
    S2PO: bit(20),
    THE: bit(21),
    MTEPERM: bit(22),
    AIE: bit(23),
  }),
);

export const IDR4 = register(
  'SMMU_IDR4',
  0x10,
  'SMMUv3 6.3.5',
  readOnly({
    /** Implementation defined. */
    IMPDEF: bits(31, 0),
  }),
);

export const IDR5 = register(
  'SMMU_IDR5',
  0x14,
  'SMMUv3 6.3.6',
  readOnly({
    OAS: named(bits(2, 0), ADDRESS_SIZE),
    GRAN4K: bit(4),
    GRAN16K: bit(5),
    GRAN64K: bit(6),
    DS: bit(7),
    D128: bit(8),
    VAX: named(bits(11, 10), { 0: '48 bits', 1: '52 bits', 2: '56 bits' }),
    /** Most transactions that are stalled at a time. */
    STALL_MAX: bits(31, 16),
  }),
);

export const IIDR = register(
  'SMMU_IIDR',
  0x18,
  'SMMUv3 6.3.7',
  readOnly({
    /** A JEP106 code: bits 11:8 continuations, bit 7 zero, bits 6:0 the identity. */
    Implementer: named(bits(11, 0), { 1083: 'Arm' }),
    Revision: bits(15, 12),
    Variant: bits(19, 16),
    ProductID: bits(31, 20),
  }),
);

export const AIDR = register(
  'SMMU_AIDR',
  0x1c,
  'SMMUv3 6.3.8',
  readOnly({
    ArchMinorRev: named(bits(3, 0), { 0: 'SMMUv3.0', 1: 'SMMUv3.1', 2: 'SMMUv3.2', 3: 'SMMUv3.3', 4: 'SMMUv3.4' }),
    ArchMajorRev: named(bits(7, 4), { 0: 'SMMUv3' }),
  }),
);
