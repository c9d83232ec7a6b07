/** RISC-V IOMMU registers beside translation: counters, translations asked for by software, quality of service. Clauses: see the README. */
import { address, bit, bits, named, oneShot, register, ro } from '../../bits/index.ts';

/** With capabilities.HPM, as all counters. */
export const IOCOUNTOVF = register('iocountovf', 0x058, 'RISC-V IOMMU 5.19', {
  CY: ro(bit(0)),
  HPM: ro(bits(31, 1)),
});
export const IOCOUNTINH = register('iocountinh', 0x05c, 'RISC-V IOMMU 5.20', { CY: bit(0), HPM: bits(31, 1) });
export const IOHPMCYCLES = register(
  'iohpmcycles',
  0x060,
  'RISC-V IOMMU 5.21',
  { counter_31_0: bits(31, 0), counter_62_32: bits(62, 32), OF: bit(63) },
  64,
);

const COUNTERS = Array.from({ length: 31 }, (_, i) => i + 1);

/** Counters 1 to 31, in this order. */
export const IOHPMCTR = COUNTERS.map((n) =>
  register(
    `iohpmctr${n}`,
    0x068 + 8 * (n - 1),
    'RISC-V IOMMU 5.22',
    { counter_31_0: bits(31, 0), counter_63_32: bits(63, 32) },
    64,
  ),
);

/** What each counter counts. PV_PSCV and DV_GSCV say whether the ids filter; DMASK that DID_GSCID is a prefix, ended by its lowest 0. */
export const IOHPMEVT = COUNTERS.map((n) =>
  register(
    `iohpmevt${n}`,
    0x160 + 8 * (n - 1),
    'RISC-V IOMMU 5.23',
    {
      eventID: named(bits(14, 0), {
        0: 'nothing',
        1: 'untranslated requests',
        2: 'translated requests',
        3: 'ATS translation requests',
        4: 'TLB misses',
        5: 'device directory walks',
        6: 'process directory walks',
        7: 'first-stage page table walks',
        8: 'second-stage page table walks',
      }),
      DMASK: bit(15),
      PID_PSCID: bits(35, 16),
      DID_GSCID: bits(59, 36),
      PV_PSCV: bit(60),
      DV_GSCV: bit(61),
      IDT: named(bit(62), { 0: 'device and process ids', 1: 'GSCID and PSCID' }),
      OF: bit(63),
    },
    64,
  ),
);

/** With capabilities.DBG, as the next two: software asks for a translation. */
export const TR_REQ_IOVA = register('tr_req_iova', 0x258, 'RISC-V IOMMU 5.24', { vpn: address(63, 12) }, 64);

export const TR_REQ_CTL = register(
  'tr_req_ctl',
  0x260,
  'RISC-V IOMMU 5.25',
  {
    /** Written 1 it begins, and reads as 1 until tr_response is valid. */
    Go_Busy: oneShot(bit(0)),
    Priv: bit(1),
    Exe: bit(2),
    /** Not for writing. */
    NW: bit(3),
    PID: bits(31, 12),
    PV: bit(32),
    custom: bits(39, 36),
    DID: bits(63, 40),
  },
  64,
);

/** S = 1: the page frame number encodes the size of the page in its trailing ones. */
export const TR_RESPONSE = register(
  'tr_response',
  0x268,
  'RISC-V IOMMU 5.26',
  {
    fault: ro(bit(0)),
    PBMT: ro(named(bits(8, 7), { 0: 'PMA', 1: 'NC', 2: 'IO' })),
    S: ro(bit(9)),
    PPN: ro(address(53, 10, 12)),
    custom: ro(bits(63, 60)),
  },
  64,
);

/** With capabilities.QOSID: of the IOMMU's own accesses. */
export const IOMMU_QOSID = register('iommu_qosid', 0x270, 'RISC-V IOMMU 5.27', {
  RCID: bits(11, 0),
  MCID: bits(27, 16),
});
