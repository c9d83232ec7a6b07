/** VT-d registers. Clauses: VT-d specification, revision 5.10 (D51397-018). */
import { address, bit, bits, oneShot, register, ro, w1c } from '../../bits/index.ts';

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
  },
  64,
);

export const GCMD = register('GCMD_REG', 0x18, 'VT-d 11.4.4.1', {
  CFI: bit(23),
  SIRTP: oneShot(bit(24)),
  IRE: bit(25),
  QIE: bit(26),
  WBF: oneShot(bit(27)),
  SRTP: oneShot(bit(30)),
  TE: bit(31),
});

export const GSTS = register('GSTS_REG', 0x1c, 'VT-d 11.4.4.2', {
  CFIS: ro(bit(23)),
  IRTPS: ro(bit(24)),
  IRES: ro(bit(25)),
  QIES: ro(bit(26)),
  WBFS: ro(bit(27)),
  RTPS: ro(bit(30)),
  TES: ro(bit(31)),
});

export const RTADDR = register('RTADDR_REG', 0x20, 'VT-d 11.4.5', { TTM: bits(11, 10), RTA: address(63, 12) }, 64);

export const CCMD = register(
  'CCMD_REG',
  0x28,
  'VT-d 11.4.6.1',
  {
    DID: bits(15, 0),
    SID: bits(31, 16),
    FM: bits(33, 32),
    /** Granularity that was used: 0 error, 1 global, 2 domain, 3 device. */
    CAIG: ro(bits(60, 59)),
    CIRG: bits(62, 61),
    ICC: bit(63),
  },
  64,
);

export const FSTS = register('FSTS_REG', 0x34, 'VT-d 11.4.7.1', {
  PFO: w1c(bit(0)),
  PPF: ro(bit(1)),
  IQE: w1c(bit(4)),
  ICE: w1c(bit(5)),
  ITE: w1c(bit(6)),
  FRI: ro(bits(15, 8)),
});

export const IQH = register('IQH_REG', 0x80, 'VT-d 11.4.9.1', { QH: ro(bits(18, 4)) }, 64);
export const IQT = register('IQT_REG', 0x88, 'VT-d 11.4.9.2', { QT: bits(18, 4) }, 64);
/** QS: the queue has 2^QS pages. DW: descriptors of 256 bits. */
export const IQA = register(
  'IQA_REG',
  0x90,
  'VT-d 11.4.9.3',
  { QS: bits(2, 0), DW: bit(11), IQA: address(63, 12) },
  64,
);
export const ICS = register('ICS_REG', 0x9c, 'VT-d 11.4.9.4', { IWC: w1c(bit(0)) });

export const IQERCD = register(
  'IQERCD_REG',
  0xb0,
  'VT-d 11.4.9.9',
  { IQEI: ro(bits(3, 0)), ITESID: ro(bits(47, 32)), ICESID: ro(bits(63, 48)) },
  64,
);

/** Where this model puts the IOTLB registers (ECAP.IRO) and the fault record (CAP.FRO), as QEMU does. */
export const IOTLB_BASE = 0xf0;
export const FRCD_BASE = 0x220;

export const IVA = register(
  'IVA_REG',
  IOTLB_BASE,
  'VT-d 11.4.6.4',
  { AM: bits(5, 0), IH: bit(6), ADDR: address(63, 12) },
  64,
);

export const IOTLB = register(
  'IOTLB_REG',
  IOTLB_BASE + 8,
  'VT-d 11.4.6.3',
  {
    DID: bits(47, 32),
    DW: bit(48),
    DR: bit(49),
    /** Granularity that was used: 0 error, 1 global, 2 domain, 3 page. */
    IAIG: ro(bits(58, 57)),
    IIRG: bits(61, 60),
    IVT: bit(63),
  },
  64,
);

/** Low half of a fault record. */
export const FRCD_LO = register('FRCD_REG.lo', FRCD_BASE, 'VT-d 11.4.7.6', { FI: ro(address(63, 12)) }, 64);
/** High half of a fault record; bit n here is bit 64 + n of the record. T1T2: 00 write, 10 read. */
export const FRCD_HI = register(
  'FRCD_REG.hi',
  FRCD_BASE + 8,
  'VT-d 11.4.7.6',
  {
    SID: ro(bits(15, 0)),
    T2: ro(bit(28)),
    PRIV: ro(bit(29)),
    EXE: ro(bit(30)),
    PP: ro(bit(31)),
    FR: ro(bits(39, 32)),
    PV: ro(bits(59, 40)),
    AT: ro(bits(61, 60)),
    T1: ro(bit(62)),
    F: w1c(bit(63)),
  },
  64,
);

export const REGISTERS = [
  VER,
  CAP,
  ECAP,
  GCMD,
  GSTS,
  RTADDR,
  CCMD,
  FSTS,
  IQH,
  IQT,
  IQA,
  ICS,
  IQERCD,
  IVA,
  IOTLB,
  FRCD_LO,
  FRCD_HI,
] as const;

/** Bytes from the first register to the last. */
export const REGISTER_BYTES = FRCD_BASE + 16;

/** Granularities of CCMD.CIRG and of the context-cache descriptor. */
export const CONTEXT_GRANULARITY = { global: 1, domain: 2, device: 3 } as const;
/** Granularities of IOTLB_REG.IIRG and of the IOTLB descriptor. */
export const IOTLB_GRANULARITY = { global: 1, domain: 2, page: 3 } as const;
