/**
 * What user space and iommufd pass each other (include/uapi/linux/iommufd.h of Linux 6.18): structures of ioctls, of what they point to, and of
 * what is read from queues. Sizes and places are in bytes, little-endian; every ioctl's structure begins with its size.
 */
import type { AddressField, BitsField, Fields, Structure } from '../../bits/index.ts';
import { address, bits, structure } from '../../bits/index.ts';

const UAPI = 'linux/iommufd.h';

const u8 = (at: number): BitsField => bits(8 * at + 7, 8 * at);
const u16 = (at: number): BitsField => bits(8 * at + 15, 8 * at);
const u32 = (at: number): BitsField => bits(8 * at + 31, 8 * at);
const u64 = (at: number): AddressField => address(8 * at + 63, 8 * at);

const of = <F extends Fields>(name: string, bytes: number, fields: F): Structure<F> =>
  structure(name, 8 * bytes, UAPI, fields);

const size = u32(0);

export const DESTROY = of('iommu_destroy', 8, { size, id: u32(4) });

export const IOAS_ALLOC = of('iommu_ioas_alloc', 12, { size, flags: u32(4), out_ioas_id: u32(8) });

/** User space has an array of these for IOAS_IOVA_RANGES and IOAS_ALLOW_IOVAS; `last` belongs to the range. */
export const IOVA_RANGE = of('iommu_iova_range', 16, { start: u64(0), last: u64(8) });

export const IOAS_ALLOW_IOVAS = of('iommu_ioas_allow_iovas', 24, {
  ...{ size, ioas_id: u32(4), num_iovas: u32(8), __reserved: u32(12), allowed_iovas: u64(16) },
});

export const IOAS_IOVA_RANGES = of('iommu_ioas_iova_ranges', 32, {
  ...{ size, ioas_id: u32(4), num_iovas: u32(8), __reserved: u32(12) },
  ...{ allowed_iovas: u64(16), out_iova_alignment: u64(24) },
});

export const IOAS_MAP = of('iommu_ioas_map', 40, {
  ...{ size, flags: u32(4), ioas_id: u32(8), __reserved: u32(12), user_va: u64(16), length: u64(24), iova: u64(32) },
});

export const IOAS_COPY = of('iommu_ioas_copy', 40, {
  ...{ size, flags: u32(4), dst_ioas_id: u32(8), src_ioas_id: u32(12) },
  ...{ length: u64(16), dst_iova: u64(24), src_iova: u64(32) },
});

export const IOAS_UNMAP = of('iommu_ioas_unmap', 24, { size, ioas_id: u32(4), iova: u64(8), length: u64(16) });

export const OPTION = of('iommu_option', 24, {
  ...{ size, option_id: u32(4), op: u16(8), __reserved: u16(10), object_id: u32(12), val64: u64(16) },
});

export const VFIO_IOAS = of('iommu_vfio_ioas', 12, { size, ioas_id: u32(4), op: u16(8), __reserved: u16(10) });

export const HWPT_ALLOC = of('iommu_hwpt_alloc', 48, {
  ...{ size, flags: u32(4), dev_id: u32(8), pt_id: u32(12), out_hwpt_id: u32(16), __reserved: u32(20) },
  ...{ data_type: u32(24), data_len: u32(28), data_uptr: u64(32), fault_id: u32(40), __reserved2: u32(44) },
});

export const GET_HW_INFO = of('iommu_hw_info', 40, {
  ...{ size, flags: u32(4), dev_id: u32(8), data_len: u32(12), data_uptr: u64(16) },
  /** In: the type that is asked for; out: the one that is given. */
  data_type: u32(24),
  ...{ out_max_pasid_log2: u8(28), __reserved0: u8(29), __reserved1: u8(30), __reserved2: u8(31) },
  out_capabilities: u64(32),
});

export const HWPT_SET_DIRTY_TRACKING = of('iommu_hwpt_set_dirty_tracking', 16, {
  ...{ size, flags: u32(4), hwpt_id: u32(8), __reserved: u32(12) },
});

export const HWPT_GET_DIRTY_BITMAP = of('iommu_hwpt_get_dirty_bitmap', 48, {
  ...{ size, hwpt_id: u32(4), flags: u32(8), __reserved: u32(12) },
  ...{ iova: u64(16), length: u64(24), page_size: u64(32), data: u64(40) },
});

export const HWPT_INVALIDATE = of('iommu_hwpt_invalidate', 32, {
  ...{ size, hwpt_id: u32(4), data_uptr: u64(8), data_type: u32(16), entry_len: u32(20) },
  /** In: how many are asked for; out: how many were handled. */
  entry_num: u32(24),
  __reserved: u32(28),
});

export const FAULT_QUEUE_ALLOC = of('iommu_fault_alloc', 16, {
  ...{ size, flags: u32(4), out_fault_id: u32(8), out_fault_fd: u32(12) },
});

export const VIOMMU_ALLOC = of('iommu_viommu_alloc', 40, {
  ...{ size, flags: u32(4), type: u32(8), dev_id: u32(12), hwpt_id: u32(16), out_viommu_id: u32(20) },
  ...{ data_len: u32(24), __reserved: u32(28), data_uptr: u64(32) },
});

export const VDEVICE_ALLOC = of('iommu_vdevice_alloc', 24, {
  ...{ size, viommu_id: u32(4), dev_id: u32(8), out_vdevice_id: u32(12), virt_id: u64(16) },
});

export const VEVENTQ_ALLOC = of('iommu_veventq_alloc', 32, {
  ...{ size, flags: u32(4), viommu_id: u32(8), type: u32(12), veventq_depth: u32(16) },
  ...{ out_veventq_id: u32(20), out_veventq_fd: u32(24), __reserved: u32(28) },
});

export const HW_QUEUE_ALLOC = of('iommu_hw_queue_alloc', 40, {
  ...{ size, flags: u32(4), viommu_id: u32(8), type: u32(12), index: u32(16), out_hw_queue_id: u32(20) },
  ...{ nesting_parent_iova: u64(24), length: u64(32) },
});

/** What HWPT_ALLOC points to, by data type. */
export const HWPT_VTD_S1 = of('iommu_hwpt_vtd_s1', 24, {
  ...{ flags: u64(0), pgtbl_addr: u64(8), addr_width: u32(16), __reserved: u32(20) },
});
/** The first two double-words of a guest's STE. */
export const HWPT_ARM_SMMUV3 = of('iommu_hwpt_arm_smmuv3', 16, { ste0: u64(0), ste1: u64(8) });

/** What HWPT_INVALIDATE points to on a nested HWPT of VT-d. */
export const HWPT_VTD_S1_INVALIDATE = of('iommu_hwpt_vtd_s1_invalidate', 24, {
  ...{ addr: u64(0), npages: u64(8), flags: u32(16), __reserved: u32(20) },
});

/** What VIOMMU_ALLOC points to with type TEGRA241_CMDQV. */
export const VIOMMU_TEGRA241_CMDQV = of('iommu_viommu_tegra241_cmdqv', 16, {
  ...{ out_vintf_mmap_offset: u64(0), out_vintf_mmap_length: u64(8) },
});

/** What GET_HW_INFO gives, by data type. */
export const HW_INFO_VTD = of('iommu_hw_info_vtd', 24, {
  ...{ flags: u32(0), __reserved: u32(4), cap_reg: u64(8), ecap_reg: u64(16) },
});
export const HW_INFO_ARM_SMMUV3 = of('iommu_hw_info_arm_smmuv3', 40, {
  ...{ flags: u32(0), __reserved: u32(4), idr0: u32(8), idr1: u32(12), idr2: u32(16), idr3: u32(20), idr4: u32(24) },
  ...{ idr5: u32(28), iidr: u32(32), aidr: u32(36) },
});

/** What is read from a fault queue, and written to it. */
export const HWPT_PGFAULT = of('iommu_hwpt_pgfault', 40, {
  ...{ flags: u32(0), dev_id: u32(4), pasid: u32(8), grpid: u32(12), perm: u32(16), __reserved: u32(20) },
  ...{ addr: u64(24), length: u32(32), cookie: u32(36) },
});
export const HWPT_PAGE_RESPONSE = of('iommu_hwpt_page_response', 8, { cookie: u32(0), code: u32(4) });

/** What stands before each event of a vEVENTQ. */
export const VEVENT_HEADER = of('iommufd_vevent_header', 8, { flags: u32(0), sequence: u32(4) });
export const VEVENT_ARM_SMMUV3 = of('iommu_vevent_arm_smmuv3', 32, {
  ...{ evt0: u64(0), evt1: u64(8), evt2: u64(16), evt3: u64(24) },
});
/** A bit for each of the vIOMMU's queues: its last command has an error. */
export const VEVENT_TEGRA241_CMDQV = of('iommu_vevent_tegra241_cmdqv', 16, {
  ...{ lvcmdq_err_map0: u64(0), lvcmdq_err_map1: u64(8) },
});
