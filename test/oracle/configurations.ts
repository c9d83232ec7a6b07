/** What is compared: a configuration is data. Which registers say what it is are read from QEMU, and the model is built from them. */
import type { VtdEmulatorOptions } from '../../src/iommu/vtd/index.ts';
import { CAP, ECAP, PROFILES, VER } from '../../src/iommu/vtd/index.ts';
import { fieldsOf } from './fields-of.ts';
import { ModelPlatform } from './model-platform.ts';
import type { Platform } from './platform.ts';
import { MAP, Program } from './platform.ts';

export interface Configuration {
  readonly name: string;
  /** Options of `-device intel-iommu`. */
  readonly qemu: readonly string[];
  /** How scripts are made: see generate.ts. */
  readonly tables: {
    /** Legacy mode; scalable mode with the second stage or the first (QEMU has one of them at a time, and no nesting). */
    readonly mode: 'legacy' | 'second' | 'first';
    /** AW of context or PASID-table entries, and how often: 1 is 3 levels, 2 is 4 levels. */
    readonly aw: readonly number[];
    /** Whether SNP is reserved in leaves. */
    readonly snoopControl: boolean;
    /** Host address width. */
    readonly haw: number;
    /** Bits of the widest address that a table translates. */
    readonly widest: number;
  };
  /** Devices may have caches of their own: ECAP.DT. */
  readonly deviceTlbs?: true;
  /** Interrupt remapping, if the unit has it, and what its destinations are. */
  readonly interrupts?: 'xAPIC' | 'x2APIC';
}

export const CONFIGURATIONS: readonly Configuration[] = [
  {
    name: 'legacy, 48 bits',
    qemu: ['intremap=off'],
    tables: { mode: 'legacy', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
  },
  {
    name: 'legacy, 39 bits',
    qemu: ['intremap=off', 'aw-bits=39'],
    tables: { mode: 'legacy', aw: [1, 1, 1, 2], snoopControl: false, haw: 39, widest: 39 },
  },
  {
    name: 'legacy, 48 bits, caching mode, snoop control',
    qemu: ['intremap=off', 'caching-mode=on', 'snoop-control=on'],
    tables: { mode: 'legacy', aw: [2, 1], snoopControl: true, haw: 48, widest: 48 },
  },
  {
    name: 'legacy, in a unit that has scalable mode',
    qemu: ['intremap=off', 'scalable-mode=on', 'fsts=on'],
    tables: { mode: 'legacy', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
  },
  {
    name: 'scalable, second stage',
    qemu: ['intremap=off', 'scalable-mode=on'],
    tables: { mode: 'second', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
  },
  {
    name: 'scalable, first stage',
    qemu: ['intremap=off', 'scalable-mode=on', 'fsts=on'],
    tables: { mode: 'first', aw: [2], snoopControl: false, haw: 48, widest: 48 },
  },
  {
    name: 'scalable, second stage, 39 bits',
    qemu: ['intremap=off', 'scalable-mode=on', 'aw-bits=39'],
    tables: { mode: 'second', aw: [1], snoopControl: false, haw: 39, widest: 39 },
  },
  {
    name: 'scalable, first stage without pages of 1 GiB',
    qemu: ['intremap=off', 'scalable-mode=on', 'fsts=on', 'fs1gp=off'],
    tables: { mode: 'first', aw: [2], snoopControl: false, haw: 48, widest: 48 },
  },
  {
    name: 'legacy, device-TLBs',
    qemu: ['intremap=off', 'device-iotlb=on'],
    tables: { mode: 'legacy', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
    deviceTlbs: true,
  },
  {
    name: 'scalable, second stage, device-TLBs',
    qemu: ['intremap=off', 'scalable-mode=on', 'device-iotlb=on'],
    tables: { mode: 'second', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
    deviceTlbs: true,
  },
  {
    name: 'interrupt remapping, xAPIC',
    qemu: ['intremap=on', 'eim=off'],
    tables: { mode: 'legacy', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
    interrupts: 'xAPIC',
  },
  {
    name: 'interrupt remapping, x2APIC',
    qemu: ['intremap=on', 'eim=on'],
    tables: { mode: 'legacy', aw: [2, 2, 1], snoopControl: false, haw: 48, widest: 48 },
    interrupts: 'x2APIC',
  },
];

/** The profile of the QEMU that the oracle runs. */
export const QEMU_11 = PROFILES.find(({ name }) => name === 'qemu-11') as (typeof PROFILES)[number];

/**
 * The model with the capabilities that a platform reports.
 * @throws RangeError where the platform has what the model has not
 */
export async function modelOf(platform: Platform): Promise<ModelPlatform> {
  const program = new Program();
  for (const offset of [0x00, 0x08, 0x0c, 0x10, 0x14]) program.read32(MAP.iommu + offset, '');
  await platform.reset();
  const [ver, capLo, capHi, ecapLo, ecapHi] = (await platform.run(program.accesses)).map(
    (text) => Number.parseInt(text, 16) | 0,
  );
  return new ModelPlatform(optionsOf([ver], [capLo, capHi], [ecapLo, ecapHi]));
}

function optionsOf(ver: number[], cap: number[], ecap: number[]): Omit<VtdEmulatorOptions, 'memory'> {
  const decoded = { ver: fieldsOf(VER, ver), cap: fieldsOf(CAP, cap), ecap: fieldsOf(ECAP, ecap) };
  // QEMU takes `aw-bits` both as MGAW and as the host's width (vtd_init).
  return { ...decoded, haw: decoded.cap.MGAW + 1, profile: QEMU_11 };
}
