/** The IOMMU models that cases are about, with their profiles. */
import type { Profile } from '../iommu/kit/profile.ts';
import type { SmmuProfile } from '../iommu/smmuv3/profiles.ts';
import { PROFILES as SMMU_PROFILES } from '../iommu/smmuv3/profiles.ts';
import type { VtdProfile } from '../iommu/vtd/profiles.ts';
import { PROFILES as VTD_PROFILES } from '../iommu/vtd/profiles.ts';

export type { Profile } from '../iommu/kit/profile.ts';

/** A part of the hardware that an implementation may lack. */
export type Feature = 'paging-structure cache' | 'drain';

/** The type of each model's profiles. */
export interface ProfileOf {
  readonly vtd: VtdProfile;
  readonly smmuv3: SmmuProfile;
}

export type ModelName = keyof ProfileOf;

interface Model<P extends Profile> {
  readonly title: string;
  /** `spec` first. */
  readonly profiles: readonly P[];
  /** Parts that the hardware of a profile lacks. */
  lacking(profile: P): Feature[];
  /** What is said of a run without `drain`. */
  readonly withoutDrain: string;
}

export const MODELS: { readonly [M in ModelName]: Model<ProfileOf[M]> } = {
  vtd: {
    title: 'Intel VT-d',
    profiles: VTD_PROFILES,
    withoutDrain: 'this model drains nothing, whatever CAP says',
    lacking(profile) {
      const lacks: Feature[] = [];
      if (!profile.pagingStructureCaches) lacks.push('paging-structure cache');
      if (!profile.drains) lacks.push('drain');
      return lacks;
    },
  },
  smmuv3: {
    title: 'Arm SMMUv3',
    profiles: SMMU_PROFILES,
    withoutDrain: 'this model completes CMD_SYNC whatever is in flight',
    lacking(profile) {
      const lacks: Feature[] = [];
      if (!profile.walkCaches) lacks.push('paging-structure cache');
      if (!profile.syncWaits) lacks.push('drain');
      return lacks;
    },
  },
};

/** Names of profiles, each once: several models may have one of that name. */
export const PROFILE_NAMES: readonly string[] = [
  ...new Set(Object.values(MODELS).flatMap(({ profiles }) => profiles.map(({ name }) => name))),
];

/** The model's profile with this name. */
export function profileNamed<M extends ModelName = 'vtd'>(
  name: string,
  model: M = 'vtd' as M,
): ProfileOf[M] | undefined {
  return MODELS[model].profiles.find((p) => p.name === name);
}

/** Parts that the hardware of a model's profile lacks. */
export function lacking<M extends ModelName>(model: M, profile: ProfileOf[M]): Feature[] {
  return MODELS[model].lacking(profile);
}
