/** VT-d registers. Clauses: VT-d specification, revision 5.10 (D51397-018). */
import { address, bit, bits, moved, named, oneShot, register, ro, w1c, wo } from '../../bits/index.ts';
import { CAP, ECAP, VER } from './capability-registers.ts';

export { CAP, ECAP, VER };

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

/** Both fields take effect at GCMD.SRTP. */
export const RTADDR = register(
  'RTADDR_REG',
  0x20,
  'VT-d 11.4.5',
  { TTM: named(bits(11, 10), { 0: 'legacy', 1: 'scalable', 3: 'abort-DMA' }), RTA: address(63, 12) },
  64,
);

export const CCMD = register(
  'CCMD_REG',
  0x28,
  'VT-d 11.4.6.1',
  {
    DID: bits(15, 0),
    SID: wo(bits(31, 16)),
    FM: wo(bits(33, 32)),
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

/** IM: messages are held back; 1 after reset. IP: one is. */
export const FECTL = register('FECTL_REG', 0x38, 'VT-d 11.4.7.2', { IP: ro(bit(30)), IM: bit(31) });
export const FEDATA = register('FEDATA_REG', 0x3c, 'VT-d 11.4.7.3', { IMD: bits(15, 0) });
export const FEADDR = register('FEADDR_REG', 0x40, 'VT-d 11.4.7.4', { MA: address(31, 2) });
export const FEUADDR = register('FEUADDR_REG', 0x44, 'VT-d 11.4.7.5', { MUA: bits(31, 0) });

export const PMEN = register('PMEN_REG', 0x64, 'VT-d 11.4.8.1', { PRS: ro(bit(0)), EPM: bit(31) });
/** Software finds the alignment of the protected regions by writing ones: here 2 MiB, as in hardware that is known. */
export const PROTECTED_ALIGN_BITS = 21;
export const PLMBASE = register('PLMBASE_REG', 0x68, 'VT-d 11.4.8.2', { PLMB: address(31, PROTECTED_ALIGN_BITS) });
export const PLMLIMIT = register('PLMLIMIT_REG', 0x6c, 'VT-d 11.4.8.3', { PLML: address(31, PROTECTED_ALIGN_BITS) });
export const PHMBASE = register('PHMBASE_REG', 0x70, 'VT-d 11.4.8.4', { PHMB: address(63, PROTECTED_ALIGN_BITS) }, 64);
export const PHMLIMIT = register(
  'PHMLIMIT_REG',
  0x78,
  'VT-d 11.4.8.5',
  { PHML: address(63, PROTECTED_ALIGN_BITS) },
  64,
);

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

/** As FECTL … FEUADDR, for the completion of wait descriptors with IF. */
export const IECTL = register('IECTL_REG', 0xa0, 'VT-d 11.4.9.5', { IP: ro(bit(30)), IM: bit(31) });
export const IEDATA = register('IEDATA_REG', 0xa4, 'VT-d 11.4.9.6', { IMD: bits(15, 0) });
export const IEADDR = register('IEADDR_REG', 0xa8, 'VT-d 11.4.9.7', { MA: address(31, 2) });
export const IEUADDR = register('IEUADDR_REG', 0xac, 'VT-d 11.4.9.8', { MUA: bits(31, 0) });

export const IQERCD = register(
  'IQERCD_REG',
  0xb0,
  'VT-d 11.4.9.9',
  { IQEI: ro(bits(3, 0)), ITESID: ro(bits(47, 32)), ICESID: ro(bits(63, 48)) },
  64,
);

/** The page request queue. Head and tail in bytes; software moves the head, hardware the tail. */
export const PQH = register('PQH_REG', 0xc0, 'VT-d 11.4.11.1', { PQH: bits(18, 5) }, 64);
export const PQT = register('PQT_REG', 0xc8, 'VT-d 11.4.11.2', { PQT: bits(18, 5) }, 64);
/** PQS: the queue has 2^PQS pages. */
export const PQA = register('PQA_REG', 0xd0, 'VT-d 11.4.11.3', { PQS: bits(2, 0), PQA: address(63, 12) }, 64);
export const PRS = register('PRS_REG', 0xdc, 'VT-d 11.4.11.4', { PPR: w1c(bit(0)), PRO: w1c(bit(1)) });
/** As FECTL … FEUADDR, for page requests. */
export const PECTL = register('PECTL_REG', 0xe0, 'VT-d 11.4.11.5', { IP: ro(bit(30)), IM: bit(31) });
export const PEDATA = register('PEDATA_REG', 0xe4, 'VT-d 11.4.11.6', { IMD: bits(15, 0) });
export const PEADDR = register('PEADDR_REG', 0xe8, 'VT-d 11.4.11.7', { MA: address(31, 2) });
export const PEUADDR = register('PEUADDR_REG', 0xec, 'VT-d 11.4.11.8', { MUA: bits(31, 0) });

/** S: the table has 2^(S + 1) entries. EIME: x2APIC mode. All take effect at GCMD.SIRTP. */
export const IRTA = register(
  'IRTA_REG',
  0xb8,
  'VT-d 11.4.10',
  { S: bits(3, 0), EIME: bit(11), IRTA: address(63, 12) },
  64,
);
/** The same without ECAP.EIM. */
export const IRTA_XAPIC = register(
  'IRTA_REG',
  IRTA.offset,
  'VT-d 11.4.10',
  { S: bits(3, 0), IRTA: address(63, 12) },
  64,
);

/** Where the IOTLB registers (ECAP.IRO · 16) and the fault records (CAP.FRO · 16) are if nothing else is asked for, as in QEMU. */
export const IOTLB_BASE = 0xf0;
export const FRCD_BASE = 0x220;

export const IVA = register(
  'IVA_REG',
  IOTLB_BASE,
  'VT-d 11.4.6.4',
  { AM: wo(bits(5, 0)), IH: wo(bit(6)), ADDR: wo(address(63, 12)) },
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

/** Low half of the first fault record. */
export const FRCD_LO = register('FRCD_REG.lo', FRCD_BASE, 'VT-d 11.4.7.6', { FI: ro(address(63, 12)) }, 64);
/** High half of the first fault record; bit n here is bit 64 + n of the record. T1T2: 00 write, 10 read. */
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

/** Bytes of a fault record. */
export const FRCD_BYTES = 16;

/** Registers that every unit has at a fixed offset. */
export const FIXED_REGISTERS = [
  VER,
  CAP,
  ECAP,
  GCMD,
  GSTS,
  RTADDR,
  CCMD,
  FSTS,
  FECTL,
  FEDATA,
  FEADDR,
  FEUADDR,
] as const;

/** Registers of queued invalidation, reserved without ECAP.QI. */
export const QUEUE_REGISTERS = [IQH, IQT, IQA, ICS, IECTL, IEDATA, IEADDR, IEUADDR, IQERCD] as const;

/** Registers of page requests, reserved without ECAP.PRS. */
export const PAGE_REQUEST_REGISTERS = [PQH, PQT, PQA, PRS, PECTL, PEDATA, PEADDR, PEUADDR] as const;

/** Registers of protected memory: reserved without CAP.PLMR and CAP.PHMR, the last two pairs each with its own of them. */
export const PROTECTED_REGISTERS = { enable: PMEN, low: [PLMBASE, PLMLIMIT], high: [PHMBASE, PHMLIMIT] } as const;

/** End of the range of offsets in which the specification places registers that some implementation has. */
export const FIRST_FREE_OFFSET = 0xf0;

/** The IOTLB registers of a unit. @param base ECAP.IRO · 16 */
export function iotlbRegisters(base: number) {
  return { IVA: moved(IVA, base), IOTLB: moved(IOTLB, base + IOTLB.offset - IVA.offset) };
}

/** Fault record `n` of a unit. @param base CAP.FRO · 16 */
export function faultRecord(base: number, n: number) {
  const at = base + n * FRCD_BYTES;
  return { LO: moved(FRCD_LO, at), HI: moved(FRCD_HI, at + FRCD_HI.offset - FRCD_LO.offset) };
}

/** Granularities of CCMD.CIRG and of the context-cache descriptor. */
export const CONTEXT_GRANULARITY = { global: 1, domain: 2, device: 3 } as const;
/** Granularities of IOTLB_REG.IIRG and of the IOTLB descriptor. */
export const IOTLB_GRANULARITY = { global: 1, domain: 2, page: 3 } as const;
