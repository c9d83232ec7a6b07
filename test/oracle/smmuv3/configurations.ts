/** What is compared: a configuration is data. What the SMMU is is read from QEMU, and the model is built from it. */
import { AIDR, IDR0, IDR1, IDR3, IDR5, IIDR, PROFILES } from '../../../src/iommu/smmuv3/index.ts';
import { fieldsOf } from '../fields-of.ts';
import type { Platform } from '../platform.ts';
import { Program } from '../platform.ts';
import { MAP } from './machine.ts';
import { ModelPlatform } from './model-platform.ts';

export interface Configuration {
  readonly name: string;
  /** Option of `-device arm-smmuv3`, and what scripts make. */
  readonly stage: '1' | '2' | 'nested';
}

export const CONFIGURATIONS: readonly Configuration[] = [
  { name: 'SMMUv3, stage 1', stage: '1' },
  { name: 'SMMUv3, stage 2', stage: '2' },
  { name: 'SMMUv3, nested', stage: 'nested' },
];

export const QEMU_10 = PROFILES.find(({ name }) => name === 'qemu-10') as (typeof PROFILES)[number];

/**
 * The model with the capabilities that a platform reports.
 * @throws RangeError where the platform has what the model has not
 */
export async function modelOf(platform: Platform): Promise<ModelPlatform> {
  const program = new Program(MAP);
  for (const { offset } of [IDR0, IDR1, IDR3, IDR5, IIDR, AIDR]) program.read32(MAP.smmu + offset, '');
  await platform.reset();
  const words = (await platform.run(program.accesses)).map((text) => Number.parseInt(text, 16) | 0);
  const [idr0, idr1, idr3, idr5, iidr, aidr] = [IDR0, IDR1, IDR3, IDR5, IIDR, AIDR].map((of, i) =>
    fieldsOf(of, [words[i]]),
  );
  // QEMU says so of a stage that it has not; the model takes that for no SMMU: see the deviation `sixteen-bits-of-nothing`.
  if (idr0.S1P === 0) idr0.ASID16 = 0;
  if (idr0.S2P === 0) idr0.VMID16 = 0;
  return new ModelPlatform({ idr0, idr1, idr3, idr5, iidr, aidr, profile: QEMU_10 });
}
