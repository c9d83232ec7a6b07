/** VT-d's identification registers: what an implementation says of itself. Clauses: VT-d specification, revision 5.10. */
import { bit, bits, register, ro } from '../../bits/index.ts';

export const VER = register('VER_REG', 0x00, 'VT-d 11.4.1', { MIN: ro(bits(3, 0)), MAX: ro(bits(7, 4)) });

export const CAP = register(
  'CAP_REG',
  0x08,
  'VT-d 11.4.2',
  {
    /** Domain ids have 4 + 2·ND bits. */
    ND: ro(bits(2, 0)),
    RWBF: ro(bit(4)),
    PLMR: ro(bit(5)),
    PHMR: ro(bit(6)),
    CM: ro(bit(7)),
    /** Bit 1: 3 levels (39 bits), bit 2: 4 levels (48 bits), bit 3: 5 levels (57 bits). */
    SAGAW: ro(bits(12, 8)),
    /** Maximum guest address width − 1. */
    MGAW: ro(bits(21, 16)),
    ZLR: ro(bit(22)),
    /** Fault records at FRO · 16. */
    FRO: ro(bits(33, 24)),
    /** Bit 0: 2 MiB, bit 1: 1 GiB second-stage leaves. */
    SSLPS: ro(bits(37, 34)),
    PSI: ro(bit(39)),
    /** Number of fault records − 1. */
    NFR: ro(bits(47, 40)),
    MAMV: ro(bits(53, 48)),
    DWD: ro(bit(54)),
    DRD: ro(bit(55)),
    FS1GP: ro(bit(56)),
    PI: ro(bit(59)),
    FS5LP: ro(bit(60)),
    ECMDS: ro(bit(61)),
    ESIRTPS: ro(bit(62)),
    ESRTPS: ro(bit(63)),
  },
  64,
);

export const ECAP = register(
  'ECAP_REG',
  0x10,
  'VT-d 11.4.3',
  {
    /** Page walks snoop the CPU's caches. */
    C: ro(bit(0)),
    QI: ro(bit(1)),
    DT: ro(bit(2)),
    IR: ro(bit(3)),
    EIM: ro(bit(4)),
    PT: ro(bit(6)),
    SC: ro(bit(7)),
    /** IVA and IOTLB_REG at IRO · 16. */
    IRO: ro(bits(17, 8)),
    MHMV: ro(bits(23, 20)),
    MTS: ro(bit(25)),
    NEST: ro(bit(26)),
    PRS: ro(bit(29)),
    /** Deprecated, and 0. */
    ERS: ro(bit(30)),
    SRS: ro(bit(31)),
    NWFS: ro(bit(33)),
    EAFS: ro(bit(34)),
    /** PASIDs have PSS + 1 bits. */
    PSS: ro(bits(39, 35)),
    PASID: ro(bit(40)),
    DIT: ro(bit(41)),
    PDS: ro(bit(42)),
    SMTS: ro(bit(43)),
    VCS: ro(bit(44)),
    SSADS: ro(bit(45)),
    SSTS: ro(bit(46)),
    FSTS: ro(bit(47)),
    SMPWCS: ro(bit(48)),
    RPS: ro(bit(49)),
    TDXCS: ro(bit(50)),
    PMS: ro(bit(51)),
    ADMS: ro(bit(52)),
    RPRIVS: ro(bit(53)),
    HPTS: ro(bit(55)),
    PTRS: ro(bit(56)),
    SSIRWS: ro(bit(57)),
    SMS: ro(bit(58)),
    HPT1GPS: ro(bit(59)),
    RDTS: ro(bit(60)),
    EIMER: ro(bit(61)),
    IRREQ: ro(bit(62)),
  },
  64,
);
