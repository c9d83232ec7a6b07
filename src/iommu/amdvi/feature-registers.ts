/** What an AMD-Vi unit can do: two of its MMIO registers. Source: AMD publication 48882; see the README. */
import { bit, bits, named, register, ro } from '../../bits/index.ts';

/** What the unit can do. */
export const EFR = register(
  'Extended Feature Register',
  0x0030,
  'AMD-Vi MMIO Offset 0030h',
  {
    PreFSup: ro(bit(0)),
    PPRSup: ro(bit(1)),
    XTSup: ro(bit(2)),
    NXSup: ro(bit(3)),
    GTSup: ro(bit(4)),
    GAPPISup: ro(bit(5)),
    IASup: ro(bit(6)),
    GASup: ro(bit(7)),
    HESup: ro(bit(8)),
    PCSup: ro(bit(9)),
    HATS: ro(named(bits(11, 10), { 0: '4 levels', 1: '5 levels', 2: '6 levels' })),
    GATS: ro(named(bits(13, 12), { 0: '4 levels', 1: '5 levels' })),
    GLXSup: ro(named(bits(15, 14), { 0: '1 level', 1: '2 levels', 2: '3 levels' })),
    SmiFSup: ro(bits(17, 16)),
    SmiFRC: ro(bits(20, 18)),
    GAMSup: ro(bits(23, 21)),
    DualPprLogSup: ro(bits(25, 24)),
    DualEventLogSup: ro(bits(29, 28)),
    SATSSup: ro(bit(31)),
    /** PASIDs have PASmax + 1 bits. */
    PASmax: ro(bits(36, 32)),
    USSup: ro(bit(37)),
    DevTblSegSup: ro(named(bits(39, 38), { 0: '1 segment', 1: '2 segments', 2: '4 segments', 3: '8 segments' })),
    PprOvrflwEarlySup: ro(bit(40)),
    PPRAutoRspSup: ro(bit(41)),
    MarcSup: ro(bits(43, 42)),
    BlkStopMrkSup: ro(bit(44)),
    PerfOptSup: ro(bit(45)),
    MsiCapMmioSup: ro(bit(46)),
    GIoSup: ro(bit(48)),
    HASup: ro(bit(49)),
    EPHSup: ro(bit(50)),
    AttrFWSup: ro(bit(51)),
    HDSup: ro(bit(52)),
    InvIotlbTypeSup: ro(bit(54)),
    vIommuSup: ro(bit(55)),
    GAUpdateDisSup: ro(bit(61)),
    ForcePhyDestSup: ro(bit(62)),
    SNPSup: ro(bit(63)),
  },
  64,
);

/** What the unit can do, continued. */
export const EFR2 = register(
  'Extended Feature 2 Register',
  0x01a0,
  'AMD-Vi MMIO Offset 01A0h',
  {
    SEVSNPIOSup: ro(bit(1)),
    TMPMSup: ro(bit(2)),
    GCR3TRPModeSup: ro(bit(3)),
    GAPPIDisSup: ro(bit(4)),
    SNPAVICSup: ro(named(bits(7, 5), { 0: 'none', 1: 'interrupt remapping with guest virtual APIC' })),
    NumIntRemapSup: ro(named(bits(9, 8), { 0: '512 interrupts a device', 1: '2048 interrupts a device' })),
    HtRangeIgnore: ro(bit(11)),
  },
  64,
);
