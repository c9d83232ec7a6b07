/** Which unit a test asks for, as options of `-device intel-iommu`; and whether QEMU’s then is one. */
import { get } from '../../../../src/bits/index.ts';
import { CAP, ECAP, VER } from '../../../../src/iommu/vtd/index.ts';
import { needsModel } from '../../drivers/needs-model.ts';
import type { BenchOptions } from './driver.ts';

/** What QEMU can be asked for; and sizes: it has all the memory and cache entries that a test wants. All else is the model’s own. */
const OF_A_UNIT = ['cap', 'ecap', 'ver', 'haw', 'frames', 'caches'];

/** Skips what no option of QEMU could give. */
export function refuseModelOptions(asked: BenchOptions): void {
  const own = Object.keys(asked).find((name) => !OF_A_UNIT.includes(name));
  if (own !== undefined) needsModel('inside', `the model’s option ${own}`);
}

/** @param first of scalable mode the stage that QEMU is to have: it has one of them at a time */
export function unitOptions({ cap = {}, ecap = {}, haw }: BenchOptions, first: boolean, pasids: boolean): string {
  const on = (value: boolean) => (value ? 'on' : 'off');
  const scalable = ecap.SMTS === 1;
  const narrow = haw === 39 || cap.MGAW === 38;
  return [
    `intremap=${on(ecap.IR === 1)}`,
    ...(ecap.IR === 1 ? [`eim=${on(ecap.EIM === 1)}`] : []),
    `aw-bits=${narrow ? 39 : 48}`,
    `caching-mode=${on(cap.CM === 1)}`,
    ...(scalable ? ['scalable-mode=on'] : [`snoop-control=${on(ecap.SC !== 0)}`]),
    ...(scalable && first ? ['fsts=on', `fs1gp=${on(cap.FS1GP !== 0)}`] : []),
    ...(scalable && pasids ? [`pasid-bits=${(ecap.PSS ?? 19) + 1}`] : []),
    ...(ecap.DT === 1 ? ['device-iotlb=on'] : []),
  ].join(',');
}

/** VER, CAP and ECAP of a unit, whole. */
export interface Identity {
  readonly ver: bigint;
  readonly cap: bigint;
  readonly ecap: bigint;
}

type Fields = Readonly<Record<string, Parameters<typeof get>[0]>>;

function fieldOf(fields: Fields, name: string, register: bigint): number {
  const halves = Int32Array.of(Number(BigInt.asIntN(32, register)), Number(BigInt.asIntN(32, register >> 32n)));
  return get(fields[name], halves);
}

export function ecapOf({ ecap }: Identity, name: string): number {
  return fieldOf(ECAP.fields, name, ecap);
}

/** Skips a test that asks for a unit which QEMU’s is not. */
export function compareIdentity(asked: BenchOptions, unit: Identity): void {
  const registers = [
    ['VER', VER.fields, asked.ver ?? {}, unit.ver],
    ['CAP', CAP.fields, asked.cap ?? {}, unit.cap],
    ['ECAP', ECAP.fields, asked.ecap ?? {}, unit.ecap],
  ] as const;
  for (const [register, fields, wanted, value] of registers) {
    for (const [name, want] of Object.entries(wanted)) {
      if (!(name in fields)) continue;
      const has = fieldOf(fields, name, value);
      if (has !== want) needsModel('capability', `${register}.${name} ${want}; QEMU’s unit has ${has}`);
    }
  }
  // QEMU takes `aw-bits` as the host's width, too (vtd_init).
  const haw = fieldOf(CAP.fields, 'MGAW', unit.cap) + 1;
  if (asked.haw !== undefined && asked.haw !== haw)
    needsModel('capability', `a host of ${asked.haw} bits; QEMU’s has ${haw}`);
}
