/** What versions of the kernel's driver (`drivers/iommu/arm/arm-smmu-v3`, `io-pgtable-arm.c`) do differently, as data. */
export interface SmmuDriverVersion {
  readonly name: string;
  /** What becomes of an unmap of a part of a block; see `UnmapOptions`. */
  readonly partOfBlock: 'split' | 'refused';
  /** Tables are visible before the entry that leads to them (6fabce53f6b9, v7.1). */
  readonly publishesEntries: boolean;
  /**
   * When a device that changes its domain says whether it has ATS now: before the old domain forgets it, whose counter goes by that then, or
   * after ("Fix smmu_domain->nr_ats_masters decrement", v6.17 and stable).
   */
  readonly atsEnabledSet: 'before-removal' | 'after-removal';
}

const V6_12: SmmuDriverVersion = {
  name: 'linux-6.12',
  partOfBlock: 'split',
  publishesEntries: false,
  atsEnabledSet: 'before-removal',
};

export const SMMU_VERSIONS = {
  'linux-6.12': V6_12,
  'linux-6.13': { ...V6_12, name: 'linux-6.13', partOfBlock: 'refused' },
  'linux-6.17': { ...V6_12, name: 'linux-6.17', partOfBlock: 'refused', atsEnabledSet: 'after-removal' },
  ideal: { name: 'ideal', partOfBlock: 'refused', publishesEntries: true, atsEnabledSet: 'after-removal' },
} as const satisfies Record<string, SmmuDriverVersion>;

export type SmmuVersionName = keyof typeof SMMU_VERSIONS;
