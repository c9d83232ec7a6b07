/** SMMUv2's registers by name. */
import * as REGISTERS from '../../iommu/smmuv2/registers.ts';
import type { StructureKind } from '../structure-kinds.ts';
import { registerKinds } from '../structure-kinds.ts';

export const SMMU2_KINDS: readonly StructureKind[] = registerKinds('smmuv2', REGISTERS);
