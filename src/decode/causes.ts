/** Why faults happen: causes with how to tell one from another. Data, each sentence for somebody who sits before a fault. */

/** How sure a cause is, given only what was read. */
export type Sure = 'certain' | 'likely' | 'possible' | 'rare';

export interface Cause {
  readonly title: string;
  /** How to tell it from the others. */
  readonly tell: string;
  readonly mend: string;
}

export const CAUSES = {
  'unmap-before-completion': {
    title: 'the driver unmapped the buffer before the device had finished with it',
    tell: 'the address was mapped a moment before: look for its unmap in an iommu:unmap trace; rarer, or gone, with iommu.strict=0, as lazy unmapping keeps entries',
    mend: 'stop the device, or wait for its completion, before dma_unmap_*(); on a reset, quiesce it first',
  },
  'never-mapped': {
    title: 'the device was given an address that was never mapped for it',
    tell: 'the address is 0, looks like RAM in /proc/iomem rather than like an IOVA (those are given out downwards from 4 GiB), or repeats a pattern; CONFIG_DMA_API_DEBUG names such buffers',
    mend: 'give the device what dma_map_*() or dma_alloc_*() returned, in all 64 bits, and for that very device',
  },
  direction: {
    title: 'the buffer was mapped for the other direction',
    tell: 'the page is mapped, for reads only (iommu:map trace, or a dump of the tables); a device that reads descriptors back or writes a status into them does this',
    mend: 'map with DMA_BIDIRECTIONAL or DMA_FROM_DEVICE what the device writes',
  },
  overrun: {
    title: 'the device ran over the end of its buffer',
    tell: 'the address is just behind a mapping (a page after its last, often page-aligned); prefetching devices do it, too',
    mend: 'check lengths and rounding; give a device that prefetches a mapped page behind its buffer',
  },
  'reserved-region': {
    title: 'firmware uses the device for DMA of its own, to memory that the tables do not map',
    tell: 'from the moment translation is switched on, at one or few addresses that e820 calls reserved; typical of graphics, USB with legacy support, baseboard controllers, RAID controllers',
    mend: 'the region belongs in the RMRR (Intel), IVMD (AMD), RMR (Arm): a firmware update, or a boot option for this device; check dmesg for RMRR messages',
  },
  'wrong-requester-id': {
    title: 'the request carries the id of another function than the one that has the mapping',
    tell: 'lspci has no such device, or the device that faults is a bridge or a sibling of the one that works; behind PCIe-to-PCI bridges and with some SATA, USB and NTB controllers',
    mend: 'a DMA alias quirk for the device (pci_add_dma_alias); for virtual functions, check that the right function was assigned',
  },
  'missing-device-tlb-invalidation': {
    title: 'the device still has the translation in its own TLB (ATS)',
    tell: 'lspci -vv shows ATS enabled for the device; the fault is of a translated request, or goes away with ATS off (pci=noats)',
    mend: "invalidate the device-TLB after the IOMMU's own, and wait for it, before the page is used again",
  },
  'stale-structure-cache': {
    title: 'the IOMMU walked through a cached entry to a table that was freed or replaced',
    tell: 'a dump of the tables shows a valid leaf for the address, often a 2 MiB or 1 GiB one that replaced smaller pages; Linux before 5.13 on Intel missed a flush there',
    mend: 'invalidate with the paging-structure caches (IH = 0) after a table was unlinked and before its page is used again; see `pinhole check vtd-merge-psc`',
  },
  'not-attached': {
    title: 'the device is in no domain: nothing was set up for it, or it was taken down already',
    tell: 'at boot before its driver, after its driver was unbound, at hot plug, or while an assigned device is handed back; the requester may be a hidden function',
    mend: 'reset the device, or clear bus mastering, before it is detached; look for the attach in an iommu trace',
  },
  kdump: {
    title: 'DMA that the crashed, or the previous, kernel had started is still running',
    tell: 'the log is of a kernel that was started by kexec or kdump (elfcorehdr= on its command line, "copy translation structures"), and the faults are of devices that it has not initialised yet',
    mend: "harmless where it ends with the device's reset; reset_devices, and a kernel that copies the old tables",
  },
  'caching-mode': {
    title: 'a guest whose virtual IOMMU does not tell the hypervisor of new mappings',
    tell: 'in a virtual machine with an assigned device: right after the mapping was made, and always; QEMU without caching-mode=on (Intel), a unit without NpCache (AMD)',
    mend: 'intel-iommu needs caching-mode=on where VFIO devices are behind it; virtio-iommu tells always; an SMMU needs nesting, as it cannot tell',
  },
  'address-width': {
    title: 'the address has more bits than the IOMMU, or its tables, translate',
    tell: "above the width of CAP.MGAW or of the context entry's AW (39, 48 or 57 bits); a guest's IOMMU often has 39",
    mend: 'limit the DMA mask; give the virtual IOMMU aw-bits=48',
  },
  'dma-ranges': {
    title:
      'the bus carries fewer address bits than the driver was told: the device sends the address cut off, or the driver gives a physical one',
    tell: "the address is a mapped one without its upper bits, or looks like RAM; the device tree's bus has no dma-ranges, or too wide ones, or the device's DMA mask is too wide",
    mend: 'dma-ranges of the bus as wide as it is; dma_set_mask_and_coherent() as the device can, the same for both masks',
  },
  'register-access': {
    title: 'software touched registers of the IOMMU that it may not touch',
    tell: 'Secure firmware keeps some of them for itself; the fault comes with the access, not with a DMA',
    mend: 'look for what the driver, or an emulation of it, did at that moment; a firmware that gives the registers away',
  },
  'corrupt-entry': {
    title: 'the entry in memory is damaged, or uses what this IOMMU has not',
    tell: 'dump the entry (CONFIG_DMAR_DEBUG, debugfs) and decode it: `pinhole explain --as KIND WORDS` marks reserved bits; superpages, snoop control and wide addresses want their capability bits',
    mend: 'if the words are not what the driver wrote, look for who overwrote the page; else for a capability that the driver did not ask',
  },
  'table-unreadable': {
    title: 'the IOMMU could not read a table: its address is none of memory, or not accessible to it',
    tell: "the table pointer lies outside RAM, or above the host address width; in virtual machines: outside the guest's memory",
    mend: 'check the pointer in the entry above; in a kdump kernel, the old tables may be gone',
  },
  'request-type-blocked': {
    title: 'the entry does not let this type of request through',
    tell: 'a translation request, or a translated one, of a device whose entry has device-TLBs off: ATS is on in the device and off in the IOMMU',
    mend: 'enable ATS in the device after its entry, and disable it before; pci=noats tells',
  },
  'interrupt-range': {
    title: 'the device wrote, or its mapping leads, to the interrupt range (0xFEExxxxx)',
    tell: 'an address 0xfee…: a wild write, or an MSI that is no DWORD write; a guest-physical mapping may cover the range by mistake',
    mend: 'leave the range out of mappings; for MSIs, check the address and data that were programmed',
  },
  'interrupt-freed': {
    title: 'the device sent an interrupt whose remapping entry is not there (any more)',
    tell: 'after its driver released the vector or was unbound, after kexec, or with an MSI message programmed for another table',
    mend: 'mask the source and wait for interrupts in flight before the vector is freed; harmless once at a kexec',
  },
  'interrupt-source': {
    title: 'the interrupt came from another requester id than its remapping entry was made for',
    tell: 'devices behind bridges, or with aliases; IOAPICs and HPETs whose id in the DMAR scope is wrong',
    mend: 'a DMA alias quirk; a firmware update where the scope is wrong; interrupt remapping off (intremap=nosid, less safe) to tell',
  },
  'interrupt-format': {
    title: 'the interrupt has the old (compatibility) format, or bits that must be 0',
    tell: 'a source that was programmed before remapping was switched on, or by software that does not know of it; IOAPICs after kexec',
    mend: 'reprogram the source after remapping is on',
  },
  'no-pasid-table': {
    title: 'the PASID is not, or no longer, set up for the device',
    tell: 'a process of that PASID ended, or its context was unbound, while the device went on',
    mend: "stop the PASID's work in the device and drain page requests before unbinding",
  },
  'process-memory': {
    title: 'the process has no such memory, or not with these rights (shared virtual addressing)',
    tell: 'the request has a PASID: the address is one of the process; as a segmentation fault of the device',
    mend: 'look at the address in /proc/PID/maps; a fault that page requests could have mended is none, if the device has them on',
  },
  'invalidation-timeout': {
    title: 'a device did not answer an invalidation of its TLB in time',
    tell: 'the device is off, reset, removed, or hung; look for AER messages and hot-plug events of it',
    mend: 'disable ATS before a device is reset or removed; a device that does it in normal work is broken: pci=noats',
  },
  'descriptor-damaged': {
    title: 'software put a command into the queue that the IOMMU does not take',
    tell: 'decode the descriptor that the log prints after the error: `pinhole explain --as KIND WORDS` marks reserved bits',
    mend: 'reserved bits set, a type or a granularity without its capability; in a guest: QEMU refuses some that hardware takes',
  },
  'mapped-twice': {
    title: 'an address was given out, or mapped, twice',
    tell: 'look for the two maps in an iommu:map trace; an unmap of fewer pages than were mapped leaves the rest behind',
    mend: 'unmap what was mapped, with the same size; check the IOVA allocator of a VMM or user-space driver',
  },
  'reused-before-flush': {
    title: 'an address was given out again before the IOMMU was told to forget what it was for',
    tell: 'an iommu:map of it comes after the iommu:unmap with no invalidation between; certain only if both are of one domain, which the events do not say',
    mend: 'free the address after the flush: iommu_iotlb_sync() before free_iova(), or the flush queue; iommu.strict=1 to tell',
  },
  'superpage-unmapped': {
    title: 'an unmap of a part took a whole large page away',
    tell: 'unmapped_size is larger than size: the IOMMU cannot split the large page, and the neighbours of the part are gone as well',
    mend: 'unmap what was mapped as one, or map it in the pieces in which it will be unmapped',
  },
  'registers-gone': {
    title: "the IOMMU's registers answer with all ones",
    tell: 'values ffff… everywhere: the unit is powered down, or a bus error swallowed the read; not the content of a register',
    mend: 'look for machine checks and for power management of the device that the unit belongs to; the values printed are not to be decoded',
  },
  'hardware-error': {
    title: 'the IOMMU could not get at memory, or found it poisoned',
    tell: 'look for machine checks, EDAC and AER messages at the same time',
    mend: 'as for any hardware error; check the table or queue pointer first, a wrong one looks the same',
  },
  overflow: {
    title: 'more faults than could be recorded: the ones printed are not all',
    tell: 'FSTS.PFO, an event-queue overflow, or "callbacks suppressed" beside it',
    mend: 'look at the first fault; the rest is often its consequence',
  },
  'firmware-ids': {
    title: "firmware's table gives the device another id than the one it sends",
    tell: 'the id of the fault is not the one that IORT, RIMT, VIOT or iommu-map of the device tree gives for the device; every DMA of it fails, from the first one on',
    mend: 'correct the id mapping (bridges, virtual functions and multi-function devices each need theirs); a firmware update',
  },
  'msi-doorbell': {
    title: "the device's interrupts (MSIs) go through the IOMMU, and their doorbell is not mapped there",
    tell: "a write to a page of the interrupt controller's: the ITS's GITS_TRANSLATER (offset 0x40 of a page) on Arm, an interrupt file on RISC-V; the device has msi-map or an IORT mapping and no domain",
    mend: 'attach the device to a domain (the MSI region is mapped then), or give the region to user space that maps for itself (/sys/kernel/iommu_groups/N/reserved_regions)',
  },
  stalled: {
    title: 'the request waits: its device is not answered until software resumes or terminates it',
    tell: 'STALL = 1 in the event (SMMUv3), SS = 1 in FSR (SMMUv2); a handler of its domain should resume it, or the device hangs with its other requests',
    mend: 'attach an I/O page fault handler before a domain that stalls is used; without one, faults should terminate (CD.S = 0, SCTLR.CFCFG = 0)',
  },
  'break-before-make': {
    title: 'a live translation was replaced by another without an invalidation between (break-before-make)',
    tell: 'a large page was split or joined, or an entry replaced, while the device used it; the SMMU found two TLB entries for one address',
    mend: 'make the entry invalid, invalidate and wait, then write the new one; or keep to what IDR3.BBML allows',
  },
  resume: {
    title: 'the IOMMU, or the device, lost its configuration while the machine slept',
    tell: 'the faults begin right after "PM: suspend exit" or a resume from s2idle; before that all was well',
    mend: 'a newer kernel (several registers of AMD units, and quirks of laptops for s2idle, came late); a firmware update; pci=noats or the other kind of sleep to tell',
  },
  'rmp-owner': {
    title: 'the page is not one that the device may touch under SEV-SNP (reverse map table)',
    tell: 'a private page of an encrypted guest that was given to a device, or a page that changed hands during DMA; flags_rmp and the VMG tag name the guest',
    mend: 'share the page (set_memory_decrypted in the guest, swiotlb) before it is mapped, and unmap it before it is made private',
  },
  'queue-stuck': {
    title: 'the IOMMU does not get on with its commands',
    tell: 'an error of the same queue just before, or a device that does not answer an invalidation of its ATC; otherwise the unit is without clock or power',
    mend: 'look at the first error of the queue; disable ATS of a device before it is reset or removed; look at power management of the unit',
  },
  'enabled-before': {
    title: 'whoever ran before left the IOMMU on: firmware, a boot loader, or the kernel that crashed',
    tell: 'the message comes while the driver starts; kexec or kdump, or a boot screen that firmware still drives',
    mend: 'none is needed where faults of the first moments only follow; otherwise declare the memory of the boot screen (RMR in IORT, iommu-addresses in the device tree)',
  },
  'firmware-table': {
    title:
      "firmware's table of its IOMMUs is wrong: it names what is not there, leaves out what is, or keeps memory that it may not",
    tell: 'the line says what; `pinhole explain` of /sys/firmware/acpi/tables/DMAR, IVRS, IORT or RIMT checks the whole table',
    mend: 'a firmware update; boot options for what is missing (ivrs_ioapic[], ivrs_hpet[], intel_iommu=off or igfx_off for what is broken)',
  },
  'swiotlb-size': {
    title: 'the bounce buffers (swiotlb) are used up, or one mapping is larger than they take at once',
    tell: 'compare the size with the limit of one mapping (256 KiB with 2 KiB slots) and "used" with "total"; a total of 0 means that none were set up, and something needs them',
    mend: 'swiotlb=SLOTS for more; a driver must keep to dma_max_mapping_size(); better: an IOMMU, or a DMA mask as wide as the device allows',
  },
  'dma-mask': {
    title: 'the memory lies above what the device, or the bus to it, can address, and nothing bounces it',
    tell: 'compare the address with the mask and the bus limit in the line; memory above 4 GiB with a 32-bit device, or dma-ranges of the device tree',
    mend: 'set the mask that the device really has (dma_set_mask_and_coherent), or correct dma-ranges; let swiotlb be set up, or use the IOMMU',
  },
  'unmap-mismatch': {
    title: 'the driver unmaps or syncs something else than it mapped',
    tell: "the line says in what it differs; the call trace below it names the driver's function",
    mend: 'unmap with the address, size, direction and function (single, page, sg, coherent) of the mapping, exactly once; dma_unmap_sg() takes the number that was given to dma_map_sg()',
  },
  'map-unchecked': {
    title: 'the driver did not ask whether the mapping had failed',
    tell: 'CONFIG_DMA_API_DEBUG says so for each mapping that was unmapped without dma_mapping_error(); it is harmless until a mapping fails',
    mend: 'call dma_mapping_error() after each dma_map_single() and dma_map_page(), and do not use the address if it says so',
  },
  'bad-buffer': {
    title: 'the buffer is memory that no device may touch',
    tell: 'on the stack, in vmalloc space, kernel text or rodata: the line says which, the call trace from where',
    mend: 'allocate the buffer with kmalloc() or dma_alloc_*()',
  },
  'mapping-leak': {
    title: 'mappings were left behind when the driver was unbound',
    tell: 'the line counts them and shows one; on hardware with an IOMMU its pages stay reachable for the device',
    mend: 'unmap and free in the remove function, and on each path on which probe fails',
  },
  'overlapping-mappings': {
    title: 'one cache line of memory is mapped more than once at the same time',
    tell: 'two buffers in one cache line, or one buffer mapped twice: harmful only where the device is not coherent; some drivers do it on purpose (DMA_ATTR_SKIP_CPU_SYNC)',
    mend: 'align and pad small buffers to dma_get_cache_alignment()',
  },
  'segment-limit': {
    title: 'a scatterlist segment is larger than the device says it can take, or crosses its boundary',
    tell: 'the line gives both figures; often the driver never set the limit, and the default of 64 KiB holds',
    mend: 'dma_set_max_seg_size() and dma_set_seg_boundary() as the hardware allows',
  },
  memlock: {
    title: 'the process may not lock as much memory as it wants to map (RLIMIT_MEMLOCK)',
    tell: 'dmesg says "RLIMIT_MEMLOCK exceeded", or the mapping is as large as the guest; each IOMMU address space of a guest counts anew',
    mend: 'ulimit -l unlimited, LimitMEMLOCK= of the service; libvirt: <memtune><hard_limit>; iommufd counts once for all devices',
  },
  'dma-entry-limit': {
    title: 'user space has more mappings than VFIO lets it have',
    tell: 'No space left on device; 65,535 mappings of a container, as a guest with a virtual IOMMU and small pages soon has',
    mend: 'the dma_entry_limit parameter of vfio_iommu_type1; larger pages; unmap what is not used any more',
  },
  'iova-range': {
    title:
      "the address is none that the host's IOMMU can map: beyond its width, in a reserved range, or off its page size",
    tell: "compare it with the host's address width (often 39 or 48 bits) and with /sys/kernel/iommu_groups/*/reserved_regions; with OVMF, BARs lie as high as the guest's CPU allows",
    mend: "-cpu host,host-phys-bits-limit=N with the IOMMU's width N; keep memory out of the range of interrupts; harmless where it is a BAR and no peer does DMA to it",
  },
  'not-mappable': {
    title:
      "there is no memory behind the address that can be pinned: another device's BAR, or pages that are not there yet",
    tell: 'Bad address, in newer versions with "PCI BAR?": a region of MMIO; or a migration in its postcopy phase',
    mend: 'none where no peer does DMA to that BAR; no postcopy with assigned devices',
  },
  'unmap-splits': {
    title: 'the range that is unmapped begins or ends amid a mapping, which VFIO does not split',
    tell: 'compare it with what was mapped (QEMU: -trace vfio_*); a guest whose IOMMU has smaller pages than the mapping, or a region that changed its size',
    mend: 'unmap what was mapped as one; type1 v2 and iommufd split nothing, v1 unmapped more than was asked for',
  },
  'group-not-viable': {
    title: 'other devices of the same IOMMU group are still used by drivers of the host',
    tell: 'ls /sys/kernel/iommu_groups/N/devices, and the driver of each: all but bridges must be bound to vfio-pci or to none',
    mend: 'bind them all to vfio-pci, or leave them without a driver; another slot, or firmware with ACS, for smaller groups (pcie_acs_override makes them smaller on paper only)',
  },
  'no-unit': {
    title: 'no IOMMU translates the device: there is none, it is off, or firmware does not name it',
    tell: 'dmesg has no DMAR, AMD-Vi or SMMU lines at boot, and /sys/kernel/iommu_groups is empty or has not the device',
    mend: 'switch VT-d, AMD-Vi (IOMMU) or the SMMU on in the firmware setup; intel_iommu=on where it is off by default; in a guest, give the machine a virtual IOMMU',
  },
  'no-interrupt-isolation': {
    title: 'interrupts are not remapped: an assigned device could send any interrupt to the host',
    tell: 'dmesg of boot says whether interrupt remapping is on (DMAR-IR, AMD-Vi), and why not',
    mend: 'switch interrupt remapping on (firmware, x2APIC, no intremap=off); allow_unsafe_interrupts=1 only where the guest is trusted',
  },
  'one-to-one': {
    title: "firmware wants memory of its own mapped one to one for this device, so no one else's tables will do",
    tell: "DMAR's RMRR, IVRS's IVMD or IORT's RMR names the device; /sys/kernel/iommu_groups/N/reserved_regions has lines of type direct",
    mend: 'a firmware option that releases the device (on some servers: shared memory features of the slot or the controller); another slot; the host may use it, a guest may not',
  },
  'host-granule': {
    title: "the guest's IOMMU has smaller pages than the host's can map",
    tell: 'a host with pages of 64 KiB and a guest with 4 KiB; virtio-iommu: page_size_mask of its configuration',
    mend: "granule=host for virtio-iommu; a guest kernel with the host's page size",
  },
  'needs-platform-dma': {
    title: 'the virtual device does DMA past the IOMMU, and the guest must not allow that',
    tell: 'a confidential guest, a secure guest (pSeries, s390) or one with restricted memory access: the device offers no VIRTIO_F_ACCESS_PLATFORM (formerly IOMMU_PLATFORM)',
    mend: 'give the device iommu_platform=on,disable-legacy=on in QEMU (access_platform in other monitors)',
  },
  'needs-modern': {
    title: 'the virtual device is a legacy one (virtio 0.9), which knows of no IOMMU',
    tell: 'no VIRTIO_F_VERSION_1: in QEMU a transitional device, or disable-modern=on',
    mend: 'disable-legacy=on for the device; a newer machine type',
  },
  'pe-frozen': {
    title: 'the platform froze the device (EEH): its accesses read as all ones and its DMA is stopped',
    tell: 'DMA to an address without TCE freezes the partitionable endpoint; look at the log that firmware (OPAL, PHYP) or RTAS gives with it',
    mend: "find the DMA as with any IOMMU (unmapped too early, never mapped); the driver's error handlers decide whether the device comes back",
  },
  'window-full': {
    title: 'the DMA window has no room, or the hypervisor refused the entry',
    tell: 'the return value of the hypercall: H_PARAMETER is a wrong window, address or entry, H_RESOURCE a lack of memory for tables; a default window is 1 or 2 GiB',
    mend: 'use a dynamic window (DDW, not disable_ddw), larger pages, or fewer mappings at once; a secure guest needs swiotlb',
  },
} as const satisfies Readonly<Record<string, Cause>>;

export type CauseId = keyof typeof CAUSES;

/** A cause of one finding. */
export interface Suspect {
  readonly id: CauseId;
  readonly sure: Sure;
}

/** Most likely first. */
export function suspects(of: Partial<Record<Sure, readonly CauseId[]>>): Suspect[] {
  const order: readonly Sure[] = ['certain', 'likely', 'possible', 'rare'];
  return order.flatMap((sure) => (of[sure] ?? []).map((id) => ({ id, sure })));
}
