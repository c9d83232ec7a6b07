/** Where versions of the kernel differ in what user space sees. */

export interface Kernel {
  readonly name: string;
  readonly title: string;
  /**
   * A guest's command with a bit that the kernel does not mean to pass on is −EIO. Otherwise only opcode, VMID and StreamID are looked at, and
   * a reserved bit reaches the SMMU's own queue: CERROR_ILL there.
   */
  readonly rejectsUnsupportedBits: boolean;
  /**
   * How an array of invalidations is worked through. `at once`: what fails in mid-batch reports the commands before it as handled although none
   * of the batch was issued, −ENOMEM reports all, and an empty array is −EINVAL: user space goes on behind invalidations that never
   * happened. `batchwise`: a batch is issued whole or not at all, only what was issued is reported, and an empty array asks whether the
   * type is known.
   */
  readonly invalidates: 'at once' | 'batchwise';
  /**
   * Whether an SMMU forgets pages that dirty tracking has made clean. In no kernel that was read: the range is gathered without a page size
   * (iommu_iotlb_gather_add_range), and without one arm_smmu_iotlb_sync does nothing. What is cached as written stays so, and the next write
   * through it marks nothing.
   */
  readonly flushesCleaned: boolean;
}

export const KERNELS: readonly Kernel[] = [
  {
    // drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c as of 056daec2925d, the same since 6.13.
    name: 'linux-6.18',
    title: 'Linux 6.13 to 6.18',
    rejectsUnsupportedBits: false,
    invalidates: 'at once',
    flushesCleaned: false,
  },
  {
    // "iommufd: Iterate the cache invalidation array in the core" with "Reject unsupported bits in invalidation commands" (26564d25cd81).
    name: 'linux-2026-09',
    title: "iommufd's for-next of September 2026",
    rejectsUnsupportedBits: true,
    invalidates: 'batchwise',
    flushesCleaned: false,
  },
];

export function kernelNamed(name: string): Kernel {
  const found = KERNELS.find((kernel) => kernel.name === name);
  if (found === undefined) throw new RangeError(`no kernel ${name}: ${KERNELS.map((k) => k.name).join(', ')}`);
  return found;
}
