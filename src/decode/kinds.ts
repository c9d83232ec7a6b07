/** All kinds of structures that can be decoded; a model adds its list. */
import { AMD_KINDS } from './amdvi/kinds.ts';
import { RISCV_KINDS } from './riscv/kinds.ts';
import { SMMU2_KINDS } from './smmuv2/kinds.ts';
import { SMMU_KINDS } from './smmuv3/kinds.ts';
import { SPAPR_KINDS } from './spapr/kinds.ts';
import type { StructureKind } from './structure-kinds.ts';
import { VIRTIO_KINDS } from './virtio/kinds.ts';
import { VTD_KINDS } from './vtd/kinds.ts';

export const STRUCTURE_KINDS: readonly StructureKind[] = [
  ...VTD_KINDS,
  ...AMD_KINDS,
  ...SMMU_KINDS,
  ...SMMU2_KINDS,
  ...RISCV_KINDS,
  ...VIRTIO_KINDS,
  ...SPAPR_KINDS,
];
