/** Which SMMU a test asks for, as options of `-device arm-smmuv3`; and whether QEMU’s then is one. */
import { get } from '../../../../src/bits/index.ts';
import type { SmmuCapabilityOptions } from '../../../../src/iommu/smmuv3/index.ts';
import { AIDR, IDR0, IDR1, IDR3, IDR5, IIDR } from '../../../../src/iommu/smmuv3/index.ts';
import { needsModel } from '../../drivers/needs-model.ts';

const REGISTERS = { idr0: IDR0, idr1: IDR1, idr3: IDR3, idr5: IDR5, iidr: IIDR, aidr: AIDR } as const;

/** What QEMU can be asked for; and sizes: it has all the memory and cache entries that a test wants. All else is the model’s own. */
const OF_A_UNIT = [...Object.keys(REGISTERS), 'frames', 'caches'];

/** Skips what no option of QEMU could give. */
export function refuseModelOptions(asked: object): void {
  const own = Object.keys(asked).find((name) => !OF_A_UNIT.includes(name));
  if (own !== undefined) needsModel('inside', `the model’s option ${own}`);
}

export function unitOptions({ idr0 = {} }: SmmuCapabilityOptions): string {
  const stage = idr0.S1P === 0 ? '2' : idr0.S2P === 0 ? '1' : 'nested';
  return `stage=${stage}`;
}

/** Skips a test that asks for an SMMU which QEMU’s is not: what it does not state may be anything. @param read of 32 bits */
export function compareIdentity(asked: SmmuCapabilityOptions, read: (offset: number) => number): void {
  // Where there is no stage 1, or 2, what is of it says nothing: the model refuses that, QEMU has it.
  const { S1P = 1, S2P = 1 } = asked.idr0 ?? {};
  const without = [...(S1P === 0 ? ['ASID16', 'CD2L', 'Hyp'] : []), ...(S2P === 0 ? ['VMID16'] : [])];
  for (const [key, of] of Object.entries(REGISTERS)) {
    const wanted = asked[key as keyof SmmuCapabilityOptions] ?? {};
    const halves = Int32Array.of(read(of.offset));
    for (const [name, want] of Object.entries(wanted)) {
      if (of === IDR0 && without.includes(name)) continue;
      const has = get((of.fields as Readonly<Record<string, Parameters<typeof get>[0]>>)[name], halves);
      if (has !== want) needsModel('capability', `${of.name}.${name} ${want}; QEMU’s has ${has}`);
    }
  }
}
