/** AMD-Vi registers, as offsets from the MMIO base. Source: AMD publication 48882; see the README. */
import type { Fields, Register } from '../../bits/index.ts';
import { address, bit, bits, named, namesOf, register, ro, w1c } from '../../bits/index.ts';
import { EVENTS } from './events.ts';

/** A register of 64 bits; 48882 cites its registers by their offset. */
function mmio<F extends Fields>(name: string, offset: number, fields: F): Register<F> {
  return register(
    name,
    offset,
    `AMD-Vi MMIO Offset ${offset.toString(16).toUpperCase().padStart(4, '0')}h`,
    fields,
    64,
  );
}

/** `2^n` entries, of the rings: 8 is the least. */
const RING_LENGTH = Object.fromEntries([8, 9, 10, 11, 12, 13, 14, 15].map((n) => [n, `${2 ** n} entries`]));

/** Bytes of the table: (Size + 1) · 4 KiB. */
export const DEVICE_TABLE_BASE = mmio('Device Table Base Address Register', 0x0000, {
  Size: bits(8, 0),
  DevTabBase: address(51, 12),
});

export const COMMAND_BUFFER_BASE = mmio('Command Buffer Base Address Register', 0x0008, {
  ComBase: address(51, 12),
  ComLen: named(bits(59, 56), RING_LENGTH),
});

export const EVENT_LOG_BASE = mmio('Event Log Base Address Register', 0x0010, {
  EventBase: address(51, 12),
  EventLen: named(bits(59, 56), RING_LENGTH),
});

const LOG_CHOICE = { 0: 'log A', 1: 'log B', 2: 'the other when one is full' } as const;

export const CONTROL = mmio('IOMMU Control Register', 0x0018, {
  IommuEn: bit(0),
  HtTunEn: bit(1),
  EventLogEn: bit(2),
  EventIntEn: bit(3),
  ComWaitIntEn: bit(4),
  /** How long an invalidation of a device's IOTLB may take. */
  InvTimeOut: named(bits(7, 5), {
    0: 'none',
    1: '1 ms',
    2: '10 ms',
    3: '100 ms',
    4: '1 s',
    5: '10 s',
    6: '100 s',
  }),
  PassPW: bit(8),
  ResPassPW: bit(9),
  Coherent: bit(10),
  Isoc: bit(11),
  CmdBufEn: bit(12),
  PPRLogEn: bit(13),
  PprIntEn: bit(14),
  PPREn: bit(15),
  GTEn: bit(16),
  GAEn: bit(17),
  CRW: bits(21, 18),
  SmiFEn: bit(22),
  SlfWBdis: bit(23),
  SmiFLogEn: bit(24),
  GAMEn: named(bits(27, 25), { 0: 'IRTEs with GuestMode = 0', 1: 'IRTEs with GuestMode = 1 too' }),
  GALogEn: bit(28),
  GAIntEn: bit(29),
  DualPprLogEn: named(bits(31, 30), LOG_CHOICE),
  DualEventLogEn: named(bits(33, 32), LOG_CHOICE),
  DevTblSegEn: named(bits(36, 34), { 0: '1 segment', 1: '2 segments', 2: '4 segments', 3: '8 segments' }),
  PrivAbrtEn: bits(38, 37),
  PprAutoRspEn: bit(39),
  MarcEn: bit(40),
  BlkStopMrkEn: bit(41),
  PprAutoRspAon: bit(42),
  NumIntRemapMode: named(bits(44, 43), { 0: '512 interrupts a device', 1: '2048 interrupts a device' }),
  EPHEn: bit(45),
  HADUpdate: bits(47, 46),
  GDUpdateDis: bit(48),
  XTEn: bit(50),
  IntCapXTEn: bit(51),
  vCmdEn: bit(52),
  vIommuEn: bit(53),
  GAUpdateDis: bit(54),
  GAPPIEn: bit(55),
  TMPMEn: bit(56),
  GCR3TRPMode: bit(58),
  IRTCacheDis: bit(59),
  GstBufferTRPMode: bit(60),
  SNPAVICEn: bits(63, 61),
});

export const EXCLUSION_BASE = mmio('Exclusion Base Register', 0x0020, {
  ExEn: bit(0),
  Allow: bit(1),
  ExclusionBase: address(51, 12),
});
export const EXCLUSION_LIMIT = mmio('Exclusion Range Limit Register', 0x0028, { ExclusionLimit: address(51, 12) });

export const PPR_LOG_BASE = mmio('PPR Log Base Address Register', 0x0038, {
  PPRLogBase: address(51, 12),
  PPRLogLen: named(bits(59, 56), RING_LENGTH),
});

/** The last hardware error, with EFR.HESup: an event log entry's two quad-words, the upper register its first. */
export const HARDWARE_EVENT_UPPER = mmio('IOMMU Hardware Event Upper Register', 0x0040, {
  OperandLow: ro(bits(31, 0)),
  OperandHigh: ro(bits(59, 32)),
  EventCode: ro(named(bits(63, 60), namesOf(EVENTS))),
});
export const HARDWARE_EVENT_LOWER = mmio('IOMMU Hardware Event Lower Register', 0x0048, {
  Operand: ro(address(63, 0)),
});
export const HARDWARE_EVENT_STATUS = mmio('IOMMU Hardware Event Status Register', 0x0050, {
  HEV: w1c(bit(0)),
  HEO: w1c(bit(1)),
});

export const GA_LOG_BASE = mmio('Guest Virtual APIC Log Base Address Register', 0x00e0, {
  GALogBase: address(51, 12),
  GALogLen: named(bits(59, 56), RING_LENGTH),
});
export const GA_LOG_TAIL_ADDRESS = mmio('Guest Virtual APIC Log Tail Address Register', 0x00e8, {
  GATAddr: address(51, 3),
});
export const PPR_LOG_B_BASE = mmio('PPR Log B Base Address Register', 0x00f0, PPR_LOG_BASE.fields);
export const EVENT_LOG_B_BASE = mmio('Event Log B Base Address Register', 0x00f8, EVENT_LOG_BASE.fields);

/** Of the segments 1 to 7; segment 0 is {@link DEVICE_TABLE_BASE}. */
export const DEVICE_TABLE_SEGMENTS = [1, 2, 3, 4, 5, 6, 7].map((n) =>
  mmio(`Device Table Segment ${n} Base Address Register`, 0x00f8 + 8 * n, {
    Size: bits(7, 0),
    DevTabBase: address(51, 12),
  }),
);

/** Where the unit's own interrupts go in x2APIC mode (CONTROL.IntCapXTEn). */
export const XT_INTERRUPT_CONTROL = mmio('XT IOMMU General Interrupt Control Register', 0x0170, {
  DestMode: named(bit(2), { 0: 'physical', 1: 'logical' }),
  DestLow: bits(31, 8),
  Vector: bits(39, 32),
  DeliveryMode: bit(40),
  DestHigh: bits(63, 56),
});
export const XT_PPR_INTERRUPT_CONTROL = mmio(
  'XT IOMMU PPR Interrupt Control Register',
  0x0178,
  XT_INTERRUPT_CONTROL.fields,
);
export const XT_GA_LOG_INTERRUPT_CONTROL = mmio(
  'XT IOMMU GA Log Interrupt Control Register',
  0x0180,
  XT_INTERRUPT_CONTROL.fields,
);

/** Heads and tails are byte offsets into their ring. The unit moves the head of commands and the tails of logs. */
const pointer = (name: string, offset: number) => mmio(name, offset, { Ptr: address(18, 4) });

export const COMMAND_BUFFER_HEAD = pointer('Command Buffer Head Pointer Register', 0x2000);
export const COMMAND_BUFFER_TAIL = pointer('Command Buffer Tail Pointer Register', 0x2008);
export const EVENT_LOG_HEAD = pointer('Event Log Head Pointer Register', 0x2010);
export const EVENT_LOG_TAIL = pointer('Event Log Tail Pointer Register', 0x2018);
export const PPR_LOG_HEAD = pointer('PPR Log Head Pointer Register', 0x2030);
export const PPR_LOG_TAIL = pointer('PPR Log Tail Pointer Register', 0x2038);
export const GA_LOG_HEAD = mmio('Guest Virtual APIC Log Head Pointer Register', 0x2040, { Ptr: address(15, 3) });
export const GA_LOG_TAIL = mmio('Guest Virtual APIC Log Tail Pointer Register', 0x2048, GA_LOG_HEAD.fields);
export const PPR_LOG_B_HEAD = pointer('PPR Log B Head Pointer Register', 0x2050);
export const PPR_LOG_B_TAIL = pointer('PPR Log B Tail Pointer Register', 0x2058);
export const EVENT_LOG_B_HEAD = pointer('Event Log B Head Pointer Register', 0x2070);
export const EVENT_LOG_B_TAIL = pointer('Event Log B Tail Pointer Register', 0x2078);

export const STATUS = mmio('IOMMU Status Register', 0x2020, {
  EventOverflow: w1c(bit(0)),
  EventLogInt: w1c(bit(1)),
  ComWaitInt: w1c(bit(2)),
  EventLogRun: ro(bit(3)),
  CmdBufRun: ro(bit(4)),
  PprOverflow: w1c(bit(5)),
  PprInt: w1c(bit(6)),
  PprLogRun: ro(bit(7)),
  GALogRun: ro(bit(8)),
  GALOverflow: w1c(bit(9)),
  GAInt: w1c(bit(10)),
  PprOverflowB: w1c(bit(11)),
  PprLogActive: ro(bit(12)),
  EventOverflowB: w1c(bit(15)),
  EventLogActive: ro(bit(16)),
  PprOverflowEarlyB: w1c(bit(17)),
  PprOverflowEarly: w1c(bit(18)),
});

export const PPR_LOG_AUTO_RESPONSE = mmio('PPR Log Auto Response Register', 0x2080, {
  PprAutoRespCode: bits(3, 0),
  PprAutoRespMaskGn: bit(4),
});
export const PPR_LOG_OVERFLOW_EARLY = mmio('PPR Log Overflow Early Indicator Register', 0x2088, {
  PprOvrflwEarlyThreshold: bits(14, 0),
  PprOvrflwEarlyIntEn: bit(30),
  PprOvrflwEarlyEn: bit(31),
});
export const PPR_LOG_B_OVERFLOW_EARLY = mmio(
  'PPR Log B Overflow Early Indicator Register',
  0x2090,
  PPR_LOG_OVERFLOW_EARLY.fields,
);

/** Bytes of the register block without counters. */
export const MMIO_BYTES = 0x4000;
