/** What somebody with a fault should fetch next, by what the fault is of. Commands to be pasted; DEVICE stands for the requester. */
import type { Model } from './finding.ts';

/** Of Linux. */
const ALWAYS = ['the whole dmesg from boot, not only the fault', 'uname -r; cat /proc/cmdline', 'lspci -vv -s DEVICE'];

/** What is traced of the DMA API names the device, and tells its buffers to the byte. */
const TRACE =
  'trace-cmd record -e iommu -e dma (the latter since Linux 6.12), then `trace-cmd report | pinhole explain -` with the dmesg beside it';

const GROUPS = 'cat /sys/kernel/iommu_groups/*/reserved_regions';

const OF_MODEL: Readonly<Record<Model, readonly string[]>> = {
  vtd: [
    TRACE,
    'ls -l /sys/bus/pci/devices/0000:DEVICE/iommu_group; cat /sys/kernel/iommu_groups/*/reserved_regions',
    'cat /sys/kernel/debug/iommu/intel/{iommu_regset,dmar_translation_struct,invalidation_queue} (CONFIG_INTEL_IOMMU_DEBUGFS)',
    'cat /sys/kernel/debug/iommu/intel/0000:DEVICE/domain_translation_struct',
    '/sys/firmware/acpi/tables/DMAR',
  ],
  amdvi: [
    TRACE,
    GROUPS,
    'cd /sys/kernel/debug/iommu/amd; for u in iommu*; do for o in 0x0 0x18 0x30 0x2020; do echo $o > $u/mmio; cat $u/mmio; done; cat $u/cmdbuf; done (Linux 6.17 and later)',
    'cd /sys/kernel/debug/iommu/amd; echo DEVICE > devid; cat devtbl irqtbl (Linux 6.17 and later)',
    'the log of a boot with amd_iommu_dump on the command line: what IVRS says, and the command buffer after a time-out',
    '/sys/firmware/acpi/tables/IVRS',
  ],
  smmuv3: [
    TRACE,
    GROUPS,
    "for `pinhole explain --walk ADDRESS --device DEVICE`: lines 'STRTAB_BASE: 0x…' and 'STRTAB_BASE_CFG: 0x…' (offsets 0x80 and 0x88 of the SMMU) and the memory of its tables (crash 'rd -p', QEMU's monitor 'xp'): it names each word that is missing",
    'a run with iommu.strict=1: what was unmapped faults at once',
    '/sys/firmware/acpi/tables/IORT, or the device tree (iommu-map and msi-map of the host bridge)',
  ],
  smmuv2: [
    TRACE,
    GROUPS,
    'a run with iommu.strict=1: what was unmapped faults at once',
    'which device has the StreamID: the iommus and iommu-map properties of the device tree (dtc -I fs /proc/device-tree), or /sys/firmware/acpi/tables/IORT',
  ],
  riscv: [
    TRACE,
    GROUPS,
    "for `pinhole explain --walk ADDRESS --device 0x…`: lines 'capabilities: 0x…' and 'ddtp: 0x…' (offsets 0 and 0x10 of the IOMMU) and the memory of its tables (crash 'rd -p', QEMU's monitor 'xp'): it names each word that is missing",
    '/sys/firmware/acpi/tables/RIMT, or the device tree',
  ],
  spapr: ["find /proc/device-tree -name '*dma-window*' -exec xxd {} +", 'dmesg of firmware (EEH) errors'],
  virtio: [
    TRACE,
    GROUPS,
    '/sys/firmware/acpi/tables/VIOT',
    "the hypervisor's own log of the same moment, and its command line",
  ],
  linux: [
    TRACE,
    'cat /sys/kernel/debug/dma-api/{num_errors,dump} (CONFIG_DMA_API_DEBUG)',
    'cat /sys/kernel/debug/swiotlb/{io_tlb_nslabs,io_tlb_used}',
    GROUPS,
  ],
  windows: [
    '!analyze -v of the dump; !devobj and !devstack of Arg2, where it is not 0',
    'msinfo32: whether kernel DMA protection is on; Device Manager: which devices are behind the same bridge',
    'whether it stays with the newest firmware, and driver of the device',
  ],
};

/** @param device as the fault names it; null where it names none. Only a name of PCI is one that lspci and sysfs take. */
export function toCollect(model: Model, device: string | null): string[] {
  const all = model === 'windows' ? OF_MODEL.windows : [...ALWAYS, ...OF_MODEL[model]];
  const named = device !== null && /^[0-9a-f:]+\.[0-7]$/i.test(device) ? device.replace(/^0000:/, '') : null;
  return all
    .filter((what) => named !== null || !what.includes('DEVICE'))
    .map((what) => what.replaceAll('DEVICE', named ?? ''));
}
