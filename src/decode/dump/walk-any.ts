/** A walk of whatever IOMMU the inputs are of. */
import type { Model } from '../finding.ts';
import { AMD_ROOTS, walkAmd } from './amdvi/walk.ts';
import { RISCV_ROOTS, walkRiscv } from './riscv/walk.ts';
import { SMMU_ROOTS, walkSmmu } from './smmuv3/walk.ts';
import type { Tables } from './tables.ts';
import { VTD_ROOTS, walkVtd } from './vtd-root.ts';
import type { WalkQuestion, WalkResult } from './walk.ts';
import { WalkRefused } from './walk.ts';

interface Walker {
  readonly model: Model;
  /** What of it says where tables begin. */
  readonly begins: string;
  /** Whether the inputs have any of it. */
  readonly has: (tables: Tables) => boolean;
  readonly walk: (tables: Tables, question: WalkQuestion) => WalkResult;
}

const given = (tables: Tables, kinds: readonly string[]) => kinds.some((kind) => tables.given.has(kind));

const WALKERS: readonly Walker[] = [
  {
    model: 'vtd',
    begins: 'iommu_regset, dmar_translation_struct or domain_translation_struct of VT-d',
    has: (tables) => {
      const { contexts, domains, rootTables } = tables;
      return rootTables.size + contexts.length + domains.length > 0 || given(tables, VTD_ROOTS);
    },
    walk: walkVtd,
  },
  {
    model: 'amdvi',
    begins: 'devtbl of AMD-Vi, or its device table base (mmio, offset 0)',
    has: (tables) => tables.deviceEntries.size > 0 || given(tables, AMD_ROOTS),
    walk: walkAmd,
  },
  {
    model: 'smmuv3',
    begins: 'STRTAB_BASE and STRTAB_BASE_CFG of an SMMUv3',
    has: (tables) => given(tables, SMMU_ROOTS),
    walk: walkSmmu,
  },
  { model: 'riscv', begins: 'ddtp of a RISC-V IOMMU', has: (tables) => given(tables, RISCV_ROOTS), walk: walkRiscv },
];

/** @param model of the one that is meant, if inputs may be of several @throws WalkRefused where they have not enough to begin */
export function walkAny(tables: Tables, question: WalkQuestion, model: Model | null = null): WalkResult {
  const found = WALKERS.filter((walker) => (model === null || walker.model === model) && walker.has(tables));
  const [walker] = found;
  if (walker === undefined)
    throw new WalkRefused(`nothing says where tables begin; give ${WALKERS.map(({ begins }) => begins).join(', ')}`);
  if (found.length > 1)
    throw new WalkRefused(`the inputs are of several IOMMUs (${found.map((of) => of.model).join(', ')}): give one's`);
  return walker.walk(tables, question);
}
