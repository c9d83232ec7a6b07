/**
 * Excerpts of public bug reports, of old kernels and new ones, shortened, as somebody at night pipes them in: what is said first, what is likeliest, and that no
 * line is left unknown.
 */
import { expect, test } from 'vitest';
import { explain } from './index.ts';

/** Summary of a finding, and its first cause; in the order of the lines. */
type Said = readonly [summary: RegExp, cause: string | null];

interface Excerpt {
  readonly name: string;
  readonly lines: readonly string[];
  readonly said: readonly Said[];
}

const EXCERPTS: readonly Excerpt[] = [
  {
    name: 'a graphics device that firmware still drives, kernel 5.12',
    lines: [
      '[    0.929869] kernel: DMAR: DRHD: handling fault status reg 3',
      '[    0.929877] kernel: DMAR: [DMA Read] Request device [00:02.0] PASID ffffffff fault addr 70e67000 [fault reason 06] PTE Read access is not set',
      '[    0.938401] kernel: DMAR: [DMA Read NO_PASID] Request device [0x00:0x02.0] fault addr 0x70ad5000 [fault reason 0x07] Next page table ptr is invalid',
    ],
    said: [
      [/^fault status 0x3: PFO, PPF/, 'overflow'],
      [/^00:02\.0: DMA read of 0x70e67000 refused: no read permission/, 'unmap-before-completion'],
      [/^00:02\.0: DMA read of 0x70ad5000 refused: a paging entry could not be read/, 'table-unreadable'],
    ],
  },
  {
    name: 'a bus controller that writes to 0',
    lines: [
      '    [10672.868940] DMAR: [DMA Write] Request device [00:12.0] fault addr 0 [fault reason 05] PTE Write access is not set',
      '    [10677.928602] dmar_fault: 2474 callbacks suppressed',
    ],
    said: [
      [/^00:12\.0: DMA write of 0x0 refused/, 'never-mapped'],
      [/^lines of dmar_fault were left out/, 'overflow'],
    ],
  },
  {
    name: 'a RAID controller on kernel 3.10: the reason on the next line',
    lines: [
      'dmar: DRHD: handling fault status reg 2',
      'dmar: DMAR:[DMA Write] Request device [02:00.0] fault addr 7f6de000 ',
      'DMAR:[fault reason 05] PTE Write access is not set',
      'DMAR:[DMA Write] Request device [03:00.0] fault addr e8000 ',
      'DMAR:[fault reason 02] Present bit in context entry is clear',
    ],
    said: [
      [/^fault status 0x2/, null],
      [/^02:00\.0: DMA write of 0x7f6de000 refused: no write permission/, 'unmap-before-completion'],
      [/^03:00\.0: DMA write of 0xe8000 refused: context entry not present/, 'not-attached'],
    ],
  },
  {
    name: 'Xen on Intel: a graphics device, and one that is in no domain after sleep',
    lines: [
      '(XEN) [VT-D]DMAR:[DMA Read] Request device [0000:00:02.0] fault addr 76c615d000, iommu reg = ffff82c000a0c000',
      '(XEN) [VT-D]DMAR: reason 06 - PTE Read access is not set',
      '(XEN) [   37.201160] [VT-D]DMAR:[DMA Write] Request device [0000:00:1e.6] fault addr 0',
      '(XEN) [   37.201164] [VT-D]DMAR: reason 02 - Present bit in context entry is clear',
    ],
    said: [
      [/^0000:00:02\.0: DMA read of 0x76c615d000 refused: no read permission/, 'unmap-before-completion'],
      [/^0000:00:1e\.6: DMA write of 0x0 refused: context entry not present/, 'not-attached'],
    ],
  },
  {
    name: 'an interrupt after its entry was freed, kernels 4.4 and 5.15',
    lines: [
      'DMAR: INTR-REMAP: Request device [[f0:1f.0] fault index 18',
      'INTR-REMAP:[fault reason 34] Present field in the IRTE entry is clear',
      'DMAR: [INTR-REMAP] Request device [00:1f.0] fault index 0x1f [fault reason 0x22] Present field in the IRTE entry is clear',
    ],
    said: [
      [/^f0:1f\.0: interrupt through entry 24 refused: interrupt remapping entry not present/, 'interrupt-freed'],
      [/^00:1f\.0: interrupt through entry 31 refused/, 'interrupt-freed'],
    ],
  },
  {
    name: 'a unit that is gone: its registers are all ones',
    lines: [
      'DMAR: VT-d detected Invalidation Queue Error: Reason f',
      'DMAR: VT-d detected Invalidation Time-out Error: SID ffff',
      'DMAR: QI HEAD: UNKNOWN qw0 = 0x0, qw1 = 0x0',
      'DMAR: Invalidation Time-out Error (ITE) cleared',
    ],
    said: [
      [/^the invalidation queue stopped: all ones/, 'registers-gone'],
      [/^a device that is not named \(ffff\) did not complete/, 'registers-gone'],
      [/^the descriptor at the head is all zero/, null],
      [/^FSTS\.ITE was cleared/, null],
    ],
  },
  {
    name: 'an assigned device that hangs after its reset: the time-out names none, the descriptor does',
    lines: [
      '01:46:35 DMAR: VT-d detected Invalidation Time-out Error: SID 0',
      '01:46:35 DMAR: QI PRIOR: Device-TLB Invalidation qw0 = 0x5300530000000003, qw1 = 0x7ffffffffffff001',
    ],
    said: [
      [/^a device that is not named \(0\) did not complete/, 'invalidation-timeout'],
      [/^the descriptor before the head: device-TLB invalidate descriptor of 53:00\.0$/, null],
    ],
  },
  {
    name: 'a mapping that is there already',
    lines: [
      '[ 3423.312345] DMAR: ERROR: DMA PTE for vPFN 0x7f6de already set (to 1030e5003 not 2207f1003)',
      '[ 3423.312346] WARNING: CPU: 3 PID: 8721 at drivers/iommu/intel/iommu.c:2387 __domain_mapping+0x2d4/0x330',
    ],
    said: [[/^0x7f6de000 was mapped while it was mapped already/, 'mapped-twice']],
  },
  {
    name: 'firmware that keeps memory which it does not reserve',
    lines: [
      '[    0.099719] DMAR: RMRR base: 0x000000ba8d5000 end: 0x000000ba8ebfff',
      '[    0.099722] DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR [0x00000000bb800000-0x00000000bf9fffff], contact BIOS vendor for fixes',
      '[    0.099729] DMAR: [Firmware Bug]: Your BIOS is broken; bad RMRR [0x00000000bb800000-0x00000000bf9fffff]',
      '[    2.227561] DMAR: [Firmware Bug]: RMRR entry for device 03:00.0 is broken - applying workaround',
    ],
    said: [
      [/^firmware keeps 0xbb800000 to 0xbf9fffff for devices/, 'firmware-table'],
      [/which is no range, or is not reserved$/, 'firmware-table'],
      [/^03:00\.0: its RMRR names the wrong function/, 'firmware-table'],
    ],
  },
  {
    name: 'an NVMe disk on AMD, kernel 5.4',
    lines: [
      '[   10.919601] amd_iommu_report_page_fault: 96 callbacks suppressed',
      '[   10.919607] nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0000 address=0xfc189000 flags=0x0000]',
    ],
    said: [
      [/^lines of amd_iommu_report_page_fault/, 'overflow'],
      [/^0000:01:00\.0: IO_PAGE_FAULT: a read of a page that is not present/, 'unmap-before-completion'],
    ],
  },
  {
    name: 'events on two lines, kernel 4.19: one of interrupts, one of permission',
    lines: [
      'kernel: [   13.134460] AMD-Vi: Event logged [',
      'kernel: [   13.137925] INVALID_DEVICE_REQUEST device=00:00.1 address=0x000000fdf8000020 flags=0x0a00]',
      'kernel: [  221.562629] AMD-Vi: Event logged [',
      'kernel: [  221.565929] IO_PAGE_FAULT device=05:00.0 domain=0x0012 address=0x00000000ff6101b0 flags=0x0070]',
    ],
    said: [
      [/^00:00\.1: INVALID_DEVICE_REQUEST: a posted write to the interrupt range/, 'interrupt-format'],
      [/^05:00\.0: IO_PAGE_FAULT: a write without permission/, 'direction'],
    ],
  },
  {
    name: 'a laptop that does not boot: a device does not answer',
    lines: [
      'Apr 09 11:28:59 endless kernel: AMD-Vi: Completion-Wait loop timed out',
      'Apr 09 11:28:59 endless kernel: iommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=01:00.0 address=0x216d8e620]',
    ],
    said: [
      [/^a unit did not complete a COMPLETION_WAIT in time/, 'queue-stuck'],
      [/^01:00\.0: IOTLB_INV_TIMEOUT/, 'invalidation-timeout'],
    ],
  },
  {
    name: 'an IVRS without IOAPICs',
    lines: [
      '[    0.072365] AMD-Vi: [Firmware Bug]: : IOAPIC[4] not in IVRS table',
      '[    0.072375] AMD-Vi: [Firmware Bug]: : No southbridge IOAPIC found',
      '[    0.121495] AMD-Vi: Disabling interrupt remapping',
    ],
    said: [
      [/^IVRS does not name IOAPIC 4/, 'firmware-table'],
      [/interrupt remapping stays off$/, 'firmware-table'],
      [/^interrupts are not remapped/, 'firmware-table'],
    ],
  },
  {
    name: 'Xen on AMD: a page, and an event in words',
    lines: [
      '(XEN) AMD-Vi: IO_PAGE_FAULT: 0000:00:13.1 d0 addr 00000000000eb380 flags 0x20 RW',
      '(XEN) AMD-Vi: INVALID_DEV_REQUEST 00000800 8a000000 f8000840 000000fd',
    ],
    said: [
      [/^0000:00:13\.1: IO_PAGE_FAULT: a write of a page that is not present/, 'unmap-before-completion'],
      [/^08:00\.0: INVALID_DEVICE_REQUEST: .*, address 0xfdf8000840$/, 'interrupt-format'],
    ],
  },
  {
    name: 'a Wi-Fi card behind an SMMUv2, with a stack trace between',
    lines: [
      'arm_smmu_context_fault: 83 callbacks suppressed',
      'arm-smmu 5000000.iommu: Unhandled context fault: fsr=0x402, iova=0xff3cf000, fsynr=0x300003, cbfrsynra=0x409, cb=10',
      'arm-smmu 5000000.iommu: Stack trace:',
      'CPU: 0 UID: 0 PID: 1582 Comm: mt76-tx phy0 Not tainted 6.12.22-ac0 #29',
    ],
    said: [
      [/^lines of arm_smmu_context_fault/, 'overflow'],
      [/^sid 0x409: read of 0xff3cf000 refused: translation fault/, 'unmap-before-completion'],
    ],
  },
  {
    name: "an NPU's firmware that goes on: what the driver finds in the tables",
    lines: [
      '1263.468579:   arm-smmu 15000000.iommu: Unhandled context fault: fsr=0x402, iova=0xfd7ff000, fsynr=0x540003, cbfrsynra=0x19c3, cb=10',
      '1263.480593:   arm-smmu 15000000.iommu: FSR    = 00000402 [TF ], SID=0x19c3',
      '1263.480606:   qcom_q6v5_pas 26300000.remoteproc: fatal error received: SFR Init: wdog or kernel error suspected.',
      '1263.487480:   arm-smmu 15000000.iommu: soft iova-to-phys=0x0000000000000000',
    ],
    said: [[/^sid 0x19c3: read of 0xfd7ff000 refused/, 'unmap-before-completion']],
  },
  {
    name: 'SMMUv3 by name (6.13 and later): a device, and a StreamID of nobody',
    lines: [
      '[    5.552300] arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: 0009:01:00.0 sid: 0x90100 ssid: 0x0 iova: 0xfffff000 ipa: 0x0',
      '[    5.552320] arm-smmu-v3 arm-smmu-v3.0.auto: unpriv data write s1 "Input address caused fault" stag: 0x0',
      '[    5.600000] arm-smmu-v3 arm-smmu-v3.0.auto: event: C_BAD_STREAMID client: (unassigned sid) sid: 0x100 ssid: 0x0',
    ],
    said: [
      [/^0009:01:00\.0: write of 0xfffff000 refused: F_TRANSLATION/, 'unmap-before-completion'],
      [/^sid 0x100: request refused: C_BAD_STREAMID/, 'firmware-ids'],
    ],
  },
  {
    name: 'RISC-V: a device without a context, a process address',
    lines: [
      '[   12.3] riscv-iommu 0000:00:01.0: Fault 258 devid: 0x100 iotval: ff9bc000 iotval2: 0',
      '[   12.5] riscv-iommu 0000:00:01.0: Hardware error: command execution timeout',
    ],
    said: [
      [/^device 0x100: request of 0xff9bc000 refused: DDT entry not valid/, 'not-attached'],
      [/^the IOMMU did not complete its commands in time/, 'queue-stuck'],
    ],
  },
  {
    name: 'PowerNV: a SAS controller is frozen',
    lines: [
      '[ 2054.970339] EEH: Frozen PE#1fd on PHB#3 detected',
      '[ 2054.970375] EEH: PE location: UOPWR.BOS0019-Node0-Onboard SAS, PHB location: N/A',
    ],
    said: [[/^PHB#3 PE#1fd: frozen \(EEH\)/, 'pe-frozen']],
  },
  {
    name: 'a server whose slot keeps an RMRR',
    lines: [
      '[  205.1] vfio-pci 0000:03:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.',
      'qemu-kvm: -device vfio-pci,host=0000:03:00.0,id=hostdev0: vfio 0000:03:00.0: failed to setup container for group 19: Failed to set iommu for container: Operation not permitted',
    ],
    said: [
      [/^0000:03:00\.0 cannot be assigned: firmware keeps memory for it/, 'one-to-one'],
      [/the kernel does not give its group to QEMU/, 'one-to-one'],
    ],
  },
  {
    name: 'IOMMUs that are no model of ours',
    lines: [
      'rk_iommu ff940300.iommu: Page fault at 0x7f4bda00 of type read',
      'rk_iommu ff940300.iommu: iova = 0x7f4bda00: dte_index: 0x1fd pte_index: 0xbd page_offset: 0xa00',
      'apple-dart 285800000.iommu: translation fault: status:0x80040008 stream:0 code:0x8 (NO PTE FOR IOVA) at 0x28e084008',
      '[   18.003625] tegra-mc 70019000.memory-controller: nvjpgsrd: read @0x00000000ffffbe00: Page fault (SMMU translation error [--S])',
    ],
    said: [
      [/^Rockchip: read of 0x7f4bda00 refused/, 'unmap-before-completion'],
      [/^Apple DART, stream 0: request of 0x28e084008 refused: no pte for iova/, 'unmap-before-completion'],
      [/^Tegra SMMU, nvjpgsrd: read of 0xffffbe00 refused/, 'unmap-before-completion'],
    ],
  },
  {
    name: "QEMU's own unit refuses what the guest gave it",
    lines: [
      'qemu-system-x86_64: vtd_process_inv_desc: invalid inv desc: hi=0, lo=f (unknown type)',
      'qemu-system-x86_64: vtd_process_iotlb_desc: invalid iotlb inv desc: hi=0x1000, lo=0x8000000000100f2 (reserved bits unzero)',
    ],
    said: [
      [/^QEMU refuses a descriptor \(of no type\)/, 'descriptor-damaged'],
      [/reserved bit 59 is set/, 'descriptor-damaged'],
    ],
  },
];

test.each(EXCERPTS.map((excerpt) => [excerpt.name, excerpt] as const))('%s', (_, { lines, said }) => {
  const { groups, unknownCount } = explain(lines.join('\n'));
  expect(unknownCount).toBe(0);
  const found = groups
    .sort((a, b) => a.first.line - b.first.line)
    .map(({ finding }) => [finding.summary, finding.causes[0]?.id ?? null]);
  expect(found).toEqual(said.map(([summary, cause]) => [expect.stringMatching(summary), cause]));
});
