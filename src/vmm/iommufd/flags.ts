/** Numbers of iommufd's interface (include/uapi/linux/iommufd.h of Linux 6.18). */

export const IOAS_MAP_FLAGS = { FIXED_IOVA: 1, WRITEABLE: 2, READABLE: 4 } as const;

export const OPTION_ID = { RLIMIT_MODE: 0, HUGE_PAGES: 1 } as const;
export const OPTION_OP = { SET: 0, GET: 1 } as const;

export const HWPT_ALLOC_FLAGS = { NEST_PARENT: 1, DIRTY_TRACKING: 2, FAULT_ID_VALID: 4, PASID: 8 } as const;
export const HWPT_DATA = { NONE: 0, VTD_S1: 1, ARM_SMMUV3: 2 } as const;

/** Of a nested HWPT, and of a vIOMMU: the same numbers, but of two spaces. */
export const INVALIDATE_DATA = { VTD_S1: 0, ARM_SMMUV3: 1 } as const;
export const VTD_S1_FLAGS = { SRE: 1, EAFE: 2, WPE: 4 } as const;
export const VTD_INVALIDATE_FLAGS = { LEAF: 1 } as const;

export const DIRTY_TRACKING_FLAGS = { ENABLE: 1 } as const;
export const DIRTY_BITMAP_FLAGS = { NO_CLEAR: 1 } as const;

export const HW_INFO_TYPE = { NONE: 0, INTEL_VTD: 1, ARM_SMMUV3: 2, TEGRA241_CMDQV: 3 } as const;
export const HW_INFO_FLAGS = { INPUT_TYPE: 1 } as const;
export const HW_CAPABILITIES = { DIRTY_TRACKING: 1, PASID_EXEC: 2, PASID_PRIV: 4 } as const;

export const VIOMMU_TYPE = { DEFAULT: 0, ARM_SMMUV3: 1, TEGRA241_CMDQV: 2 } as const;
export const VEVENTQ_TYPE = { DEFAULT: 0, ARM_SMMUV3: 1, TEGRA241_CMDQV: 2 } as const;
export const HW_QUEUE_TYPE = { DEFAULT: 0, TEGRA241_CMDQV: 1 } as const;

export const VEVENT_FLAGS = { LOST_EVENTS: 1 } as const;
export const PGFAULT_FLAGS = { PASID_VALID: 1, LAST_PAGE: 2 } as const;
export const PGFAULT_PERM = { READ: 1, WRITE: 2, EXEC: 4, PRIV: 8 } as const;
export const PAGE_RESPONSE = { SUCCESS: 0, INVALID: 1 } as const;
