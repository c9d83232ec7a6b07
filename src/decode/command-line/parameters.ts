/**
 * Linux's boot parameters about IOMMUs: their values and what each does. Facts of Documentation/admin-guide/kernel-parameters.txt and of the
 * code that reads them (arch/x86/kernel/pci-dma.c, drivers/iommu/{iommu,intel/iommu,amd/init,irq_remapping}.c), of Linux 6.12.
 */

export interface Parameter {
  /** As documented; the kernel takes `-` for `_` in names. */
  readonly name: string;
  /** Values by what they do; null where any may stand there. */
  readonly values: Readonly<Record<string, string>> | null;
  /** What it does, whatever its value. */
  readonly meaning?: string;
  /** Several values with commas between them. */
  readonly list?: boolean;
  /** A boolean of the kernel's: 1, y, on and 0, n, off are the same. */
  readonly boolean?: boolean;
  /** Stands without a value, too. */
  readonly bare?: string;
  /** Values that are accepted and should not be used. */
  readonly deprecated?: Readonly<Record<string, string>>;
  /** The form that a value must have. */
  readonly form?: RegExp;
  /** Values beside these are somebody else's, and none of ours to judge. */
  readonly others?: boolean;
}

/** A boolean of a module: its name alone means 1. */
function moduleFlag(name: string, on: string, off: string): Parameter {
  return { name, boolean: true, values: { 1: on, 0: off }, bare: on };
}

export const PARAMETERS: readonly Parameter[] = [
  {
    name: 'elfcorehdr',
    values: null,
    meaning: 'this kernel was started after a crash (kdump): devices may still do DMA for the one that crashed',
  },
  {
    name: 'intel_iommu',
    list: true,
    values: {
      on: 'turns VT-d units on',
      off: 'leaves VT-d units off',
      igfx_off: 'the integrated graphics device is not translated',
      sp_off: 'no large pages in tables',
      sm_on: 'scalable mode, where the unit has it (PASIDs, shared virtual addressing, nesting)',
      sm_off: 'no scalable mode',
      tboot_noforce: 'does not turn units on under tboot by itself',
      strict: 'unmapping waits for the invalidation',
      forcedac: 'gives out addresses above 4 GiB at once',
    },
    deprecated: { strict: 'iommu.strict=1', forcedac: 'iommu.forcedac=1' },
  },
  {
    name: 'amd_iommu',
    list: true,
    values: {
      off: 'leaves AMD units off (they are on by default)',
      force_enable: 'turns units on in machines known not to work with them',
      force_isolation: 'translates all devices, whatever drivers ask; iommu=pt still wins',
      pgtbl_v1: 'host page tables for the DMA API (the default)',
      pgtbl_v2: 'guest page tables for the DMA API',
      irtcachedis: 'no caching of interrupt remapping tables',
      nohugepages: 'pages of 4 KiB only, in v1 tables',
      v2_pgsizes_only: 'pages of 4 KiB, 2 MiB and 1 GiB only, in v1 tables',
      fullflush: 'unmapping waits for the invalidation',
    },
    deprecated: { fullflush: 'iommu.strict=1' },
  },
  {
    name: 'amd_iommu_intr',
    values: {
      legacy: 'interrupts are remapped without virtual APICs',
      vapic: 'interrupts are posted to guests (KVM needs kvm-amd.avic=1)',
    },
  },
  {
    name: 'amd_iommu_dump',
    values: null,
    bare: 'prints the IVRS table as it is read',
    meaning: 'prints the IVRS table as it is read',
  },
  {
    name: 'ivrs_ioapic',
    values: null,
    meaning: 'gives an IOAPIC the id that the IVRS table has wrongly or not',
    form: /^(?:\d+@(?:[0-9a-f]+:)?[0-9a-f]+:[0-9a-f]+\.[0-7]|(?:[0-9a-f]+:)?[0-9a-f]+:[0-9a-f]+\.[0-7])$/i,
  },
  {
    name: 'ivrs_hpet',
    values: null,
    meaning: 'gives an HPET the id that the IVRS table has wrongly or not',
    form: /^(?:\d+@(?:[0-9a-f]+:)?[0-9a-f]+:[0-9a-f]+\.[0-7]|(?:[0-9a-f]+:)?[0-9a-f]+:[0-9a-f]+\.[0-7])$/i,
  },
  { name: 'ivrs_acpihid', values: null, meaning: 'gives an ACPI device the id that the IVRS table has wrongly or not' },
  {
    name: 'iommu',
    list: true,
    values: {
      off: 'no IOMMU at all (x86)',
      pt: 'devices of the kernel are not translated (pass-through): those of VFIO are; x86 only, elsewhere iommu.passthrough=1',
      nopt: 'devices of the kernel are translated',
      force: 'uses the IOMMU although no device needs it (GART)',
      noforce: 'uses the IOMMU where a device needs it (GART; the default)',
      soft: 'bounce buffers (swiotlb) in place of the GART',
      merge: 'merges scatter lists (GART)',
      nomerge: 'does not merge scatter lists (GART)',
      biomerge: 'merges block requests (GART)',
      panic: 'panics when the GART is full',
      nopanic: 'does not panic when the GART is full',
      usedac: 'lets VIA bridges use addresses above 4 GiB',
      memaper: 'a GART aperture of its own in memory',
      noagp: 'does not touch the AGP driver (GART)',
      noaperture: 'leaves the aperture alone (GART)',
      allowed: 'lets the GART overwrite the BIOS settings',
      fullflush: 'flushes the GART at each unmap',
      nofullflush: 'flushes the GART when it is full',
      nobypass: 'devices are translated (PowerNV)',
      novmerge: 'does not merge scatter lists (PowerPC)',
    },
    deprecated: {
      forcesac: 'nothing: it is ignored',
      allowdac: 'nothing: it is ignored',
      nodac: 'nothing: it is ignored',
    },
  },
  {
    name: 'iommu.passthrough',
    boolean: true,
    values: {
      1: 'devices of the kernel are not translated; those of VFIO are',
      0: 'devices of the kernel are translated',
    },
  },
  {
    name: 'iommu.strict',
    boolean: true,
    values: {
      1: 'unmapping waits for the invalidation: a device reaches nothing that was unmapped',
      0: 'invalidations are gathered (lazy): a device may reach what was unmapped for some milliseconds',
    },
  },
  {
    name: 'iommu.forcedac',
    boolean: true,
    values: {
      1: 'gives out addresses above 4 GiB at once',
      0: 'gives out addresses below 4 GiB as long as there are some',
    },
  },
  {
    name: 'intremap',
    list: true,
    values: {
      on: 'interrupts are remapped (the default)',
      off: 'interrupts are not remapped: VFIO refuses devices, as they could forge interrupts',
      nosid: 'does not check who sends an interrupt: forged ones get through',
      no_x2apic_optout: 'uses x2APIC although the firmware asks not to',
      nopost: 'no posted interrupts',
      posted_msi: 'device interrupts of the host are posted, and so fewer (Linux 6.11 and later)',
    },
  },
  { name: 'nointremap', values: null, bare: 'interrupts are not remapped; old: intremap=off' },
  {
    name: 'swiotlb',
    list: true,
    others: true,
    values: { force: 'bounces all DMA', noforce: 'never bounces: what a device cannot reach fails' },
    meaning: 'slots (2 KiB each), areas of bounce buffers, force or noforce',
  },
  {
    name: 'pci',
    list: true,
    others: true,
    values: { noats: 'no device gets a TLB of its own (ATS)' },
  },
  {
    name: 'disable_ddw',
    values: null,
    bare: 'no large DMA windows (pSeries): devices get the default one of 1 or 2 GiB',
  },
  moduleFlag(
    'vfio_iommu_type1.allow_unsafe_interrupts',
    'assigns devices without interrupt remapping: a guest can forge interrupts of the host',
    'assigns devices only with interrupt remapping (the default)',
  ),
  moduleFlag(
    'vfio_iommu_type1.disable_hugepages',
    'maps small pages only, for finding faults',
    'maps large pages (the default)',
  ),
  {
    name: 'vfio_iommu_type1.dma_entry_limit',
    values: null,
    meaning: 'mappings a user may have at once',
    form: /^\d+$/,
  },
  moduleFlag(
    'vfio.enable_unsafe_noiommu_mode',
    'VFIO without any IOMMU: the device reaches all memory, and the kernel is tainted',
    'the default',
  ),
  moduleFlag(
    'arm-smmu.disable_bypass',
    'DMA of devices without a domain is aborted (the default)',
    'DMA of devices without a domain is let through: also what a guest forges',
  ),
  { name: 'arm-smmu.force_stage', values: { 1: 'stage 1 only', 2: 'stage 2 only' } },
  moduleFlag(
    'arm-smmu-v3.disable_bypass',
    'DMA of devices without a domain is aborted (the default; newer kernels always do it)',
    'DMA of devices without a domain is let through (gone in newer kernels)',
  ),
  moduleFlag(
    'arm-smmu-v3.disable_msipolling',
    'waits for CMD_SYNC without messages in memory',
    'waits for CMD_SYNC by polling its message',
  ),
  {
    name: 's390_iommu',
    values: { strict: 'unmapping waits for the invalidation' },
    deprecated: { strict: 'iommu.strict=1' },
  },
  {
    name: 's390_iommu_aperture',
    values: null,
    meaning: 'size of the DMA address space, in multiples of memory',
    form: /^\d+$/,
  },
  {
    name: 'efi',
    list: true,
    others: true,
    values: { disable_early_pci_dma: 'bus mastering of PCI bridges is off until the kernel has its IOMMU' },
  },
  { name: 'dma_debug', values: { off: 'no checks of the DMA API, although they are built in' } },
  { name: 'dma_debug_entries', values: null, meaning: 'mappings that the checks of the DMA API follow', form: /^\d+$/ },
];

/** What people write, and what they mean by it. */
export const MEANT: Readonly<Record<string, string>> = {
  'amd_iommu=pt': 'no such value, and it does nothing: iommu=pt is meant',
  'intel_iommu=pt': 'no such value, and it does nothing: iommu=pt is meant (beside intel_iommu=on)',
  'amd_iommu=on':
    'no such value, and nothing is lost: AMD units are on by default; newer kernels print "Unknown option" for it, older ones say nothing',
  'amd_iommu=1': 'no such value: AMD units are on by default',
  'amd_iommu=force': 'no such value: force_enable is meant, if anything',
  'amd_iommu=strict': 'no such value: iommu.strict=1 is meant',
  'intel_iommu=1': 'no such value: on is meant',
  'intel_iommu=enable': 'no such value: on is meant',
  'iommu=on': 'no such value: AMD and Arm units are on by default, for Intel intel_iommu=on is meant',
  'iommu=1': 'no such value: AMD and Arm units are on by default, for Intel intel_iommu=on is meant',
  'iommu=strict': 'no such value: iommu.strict=1 is meant',
  'iommu=lazy': 'no such value: iommu.strict=0 is meant',
  'iommu=passthrough': 'no such value: iommu=pt or iommu.passthrough=1 is meant',
  'iommu.strict=pt': 'a boolean: iommu.passthrough=1 is meant',
  'intremap=1': 'no such value: on is meant, which is the default',
  'intremap=0': 'no such value: off is meant',
  pcie_acs_override:
    'is of a patch, and not in mainline Linux: it splits IOMMU groups whose devices may still reach each other',
  'iommu.pt': 'no such parameter: iommu=pt or iommu.passthrough=1 is meant',
};
