import { describe, expect, test } from 'vitest';
import { reservedOf } from '../../../test/declarations.ts';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import type { Fields, Layout, Register } from '../../bits/index.ts';
import { decode, join } from '../../bits/index.ts';
import * as capability from './capability-registers.ts';
import * as features from './feature-registers.ts';
import * as registers from './registers.ts';

const { EFR, EFR2 } = features;
const { CONTROL, STATUS, XT_INTERRUPT_CONTROL } = registers;

testDeclarations({ capability, features, registers });

const all = [
  ...new Set(
    Object.values<unknown>({ ...features, ...registers })
      .flat()
      .filter((r) => typeof r === 'object'),
  ),
] as Register<Fields>[];

/** Bits that belong to a field. */
const valid = (of: Layout<Fields>): bigint => ((1n << BigInt(of.width)) - 1n) ^ reservedOf(of);
const one = (n: number): [number, number] => [n, n];

test('no two registers lie at one place', () => {
  const offsets = all.map(({ offset }) => offset);
  expect(offsets.length).toBeGreaterThan(35);
  expect(new Set(offsets).size).toBe(offsets.length);
  for (const offset of offsets) expect([offset % 8, offset < registers.MMIO_BYTES]).toEqual([0, true]);
});

describe("Linux's amd_iommu_types.h", () => {
  test('offsets', () => {
    const offsets = Object.fromEntries(all.map(({ name, offset }) => [offset, name]));
    const linux = [0x0, 0x8, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0xe0, 0xe8, 0x170, 0x178, 0x180, 0x1a0];
    const pointers = [0x2000, 0x2008, 0x2010, 0x2018, 0x2020, 0x2030, 0x2038, 0x2040, 0x2048];
    for (const offset of [...linux, ...pointers]) expect(offsets[offset], offset.toString(16)).toBeDefined();
    expect([CONTROL.offset, EFR.offset, EFR2.offset, STATUS.offset]).toEqual([0x18, 0x30, 0x1a0, 0x2020]);
    expect(registers.DEVICE_TABLE_SEGMENTS.map(({ offset }) => offset)).toEqual([
      0x100, 0x108, 0x110, 0x118, 0x120, 0x128, 0x130,
    ]);
  });

  test('control', () => {
    agrees(
      CONTROL,
      {
        IommuEn: one(0),
        HtTunEn: one(1),
        EventLogEn: one(2),
        EventIntEn: one(3),
        ComWaitIntEn: one(4),
        InvTimeOut: [7, 5],
        PassPW: one(8),
        ResPassPW: one(9),
        Coherent: one(10),
        Isoc: one(11),
        CmdBufEn: one(12),
        PPRLogEn: one(13),
        PprIntEn: one(14),
        PPREn: one(15),
        GTEn: one(16),
        GAEn: one(17),
        GAMEn: [27, 25],
        GALogEn: one(28),
        GAIntEn: one(29),
        NumIntRemapMode: [44, 43],
        EPHEn: one(45),
        XTEn: one(50),
        IntCapXTEn: one(51),
        IRTCacheDis: one(59),
        SNPAVICEn: [63, 61],
      },
      [
        ...['CRW', 'SmiFEn', 'SlfWBdis', 'SmiFLogEn', 'DualPprLogEn', 'DualEventLogEn', 'DevTblSegEn', 'PrivAbrtEn'],
        ...[
          'PprAutoRspEn',
          'MarcEn',
          'BlkStopMrkEn',
          'PprAutoRspAon',
          'HADUpdate',
          'GDUpdateDis',
          'vCmdEn',
          'vIommuEn',
        ],
        ...['GAUpdateDis', 'GAPPIEn', 'TMPMEn', 'GCR3TRPMode', 'GstBufferTRPMode'],
      ],
    );
  });

  test('extended features', () => {
    agrees(
      EFR,
      {
        PreFSup: one(0),
        PPRSup: one(1),
        XTSup: one(2),
        NXSup: one(3),
        GTSup: one(4),
        IASup: one(6),
        GASup: one(7),
        HESup: one(8),
        PCSup: one(9),
        HATS: [11, 10],
        GATS: [13, 12],
        GLXSup: [15, 14],
        GAMSup: [23, 21],
        PASmax: [36, 32],
        MsiCapMmioSup: one(46),
        GIoSup: one(48),
        HASup: one(49),
        EPHSup: one(50),
        HDSup: one(52),
        vIommuSup: one(55),
        SNPSup: one(63),
      },
      [
        ...['GAPPISup', 'SmiFSup', 'SmiFRC', 'DualPprLogSup', 'DualEventLogSup', 'SATSSup', 'USSup', 'DevTblSegSup'],
        ...['PprOvrflwEarlySup', 'PPRAutoRspSup', 'MarcSup', 'BlkStopMrkSup', 'PerfOptSup', 'AttrFWSup'],
        ...['InvIotlbTypeSup', 'GAUpdateDisSup', 'ForcePhyDestSup'],
      ],
    );
    agrees(
      EFR2,
      {
        SEVSNPIOSup: one(1),
        GCR3TRPModeSup: one(3),
        GAPPIDisSup: one(4),
        SNPAVICSup: [7, 5],
        NumIntRemapSup: [9, 8],
      },
      ['TMPMSup', 'HtRangeIgnore'],
    );
  });

  test('interrupts of the unit', () => {
    agrees(XT_INTERRUPT_CONTROL, { DestMode: one(2), DestLow: [31, 8], Vector: [39, 32], DestHigh: [63, 56] }, [
      'DeliveryMode',
    ]);
  });
});

/** Masks of the bits that are not reserved: revision 3.05. */
test('masks of VirtualBox', () => {
  expect(valid(registers.DEVICE_TABLE_BASE)).toBe(0x000f_ffff_ffff_f1ffn);
  for (const segment of registers.DEVICE_TABLE_SEGMENTS) expect(valid(segment)).toBe(0x000f_ffff_ffff_f0ffn);
  const rings = [registers.COMMAND_BUFFER_BASE, registers.EVENT_LOG_BASE, registers.PPR_LOG_BASE];
  for (const ring of [...rings, registers.PPR_LOG_B_BASE, registers.EVENT_LOG_B_BASE]) {
    expect(valid(ring)).toBe(0x0f0f_ffff_ffff_f000n);
  }
  expect(valid(registers.EXCLUSION_BASE)).toBe(0x000f_ffff_ffff_f003n);
  for (const pointer of [registers.COMMAND_BUFFER_HEAD, registers.EVENT_LOG_TAIL, registers.PPR_LOG_B_HEAD]) {
    expect(valid(pointer)).toBe(0x7_fff0n);
  }
  expect(valid(STATUS)).toBe(0x7_9fffn);
  expect(join(STATUS.masks.w1c[0], STATUS.masks.w1c[1])).toBe(0x6_8e67n);
  expect(valid(capability.BASE_ADDRESS_LOW)).toBe(0xffff_c001n);
  expect(valid(registers.HARDWARE_EVENT_STATUS)).toBe(3n);
  expect(registers.HARDWARE_EVENT_STATUS.masks.w1c[0]).toBe(3);
});

describe('fields of VirtualBox', () => {
  test('capability block', () => {
    const flags = { IotlbSup: one(24), HtTunnel: one(25), NpCache: one(26), EFRSup: one(27), CapExt: one(28) };
    agrees(capability.CAPABILITY_HEADER, { CapPtr: [15, 8], CapType: [18, 16], CapRev: [23, 19], ...flags });
    const devices = { BusNumber: [15, 8], FirstDevice: [23, 16], LastDevice: [31, 24] } as const;
    agrees(capability.RANGE, { UnitID: [4, 0], RngValid: one(7), ...devices });
    const sizes = { GVAsize: [7, 5], PAsize: [14, 8], VAsize: [21, 15], HtAtsResv: one(22) } as const;
    agrees(capability.MISC_INFO_0, { MsiNum: [4, 0], ...sizes, MsiNumPPR: [31, 27] });
  });

  test('early overflow of the page request log', () => {
    const enables = { PprOvrflwEarlyIntEn: one(30), PprOvrflwEarlyEn: one(31) };
    agrees(registers.PPR_LOG_OVERFLOW_EARLY, { PprOvrflwEarlyThreshold: [14, 0], ...enables });
  });
});

describe('values of real machines', () => {
  test('control of a server with SNP', () => {
    const control = decode(CONTROL, 0xc22000142148dn);
    expect(control).toMatchObject({ IommuEn: 1, HtTunEn: 0, EventLogEn: 1, EventIntEn: 1, ComWaitIntEn: 0 });
    expect(control).toMatchObject({ InvTimeOut: 4, Coherent: 1, CmdBufEn: 1, PPRLogEn: 0, GTEn: 0, GAEn: 1 });
    expect(control).toMatchObject({ SmiFEn: 1, SmiFLogEn: 1, BlkStopMrkEn: 1, EPHEn: 1, XTEn: 1, IntCapXTEn: 1 });
    expect(CONTROL.InvTimeOut.values?.[control.InvTimeOut]).toBe('1 s');
    expect(0xc22000142148dn & reservedOf(CONTROL)).toBe(0n);
  });

  test('extended features of a server, which Linux prints as PPR X2APIC NX GT [5] IA GA PC GA_vAPIC', () => {
    const efr = decode(EFR, 0xa5bf732fa2295afen);
    expect(efr).toMatchObject({ PreFSup: 0, PPRSup: 1, XTSup: 1, NXSup: 1, GTSup: 1, GAPPISup: 1, IASup: 1, GASup: 1 });
    expect(efr).toMatchObject({ HESup: 0, PCSup: 1, HATS: 2, GATS: 1, GLXSup: 1, GAMSup: 1, PASmax: 15, SNPSup: 1 });
    // What no text at hand defines.
    expect(0xa5bf732fa2295afen & reservedOf(EFR)).toBe(0x0520_0000_0000_0000n);
  });
});
