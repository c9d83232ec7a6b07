/** All kinds of structures that can be decoded; a model adds its list. */
import { AMD_KINDS } from './amdvi/kinds.ts';
import type { StructureKind } from './structure-kinds.ts';
import { VTD_KINDS } from './vtd/kinds.ts';

export const STRUCTURE_KINDS: readonly StructureKind[] = [...VTD_KINDS, ...AMD_KINDS];
