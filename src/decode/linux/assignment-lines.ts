/** Why a device cannot be assigned to a guest, or not as it was asked for: lines of QEMU (hw/vfio, hw/i386/intel_iommu.c) and of Linux (VFIO, iommufd, its IOMMU drivers). */
import type { Sure } from '../causes.ts';
import { type CauseId, suspects } from '../causes.ts';
import type { Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { DEVICE, requesterOf } from './device.ts';

interface Refusal {
  readonly id: string;
  readonly needle: string;
  /** Of a regular expression; a device stands in group `device`. */
  readonly text: string;
  readonly example: string;
  readonly printedBy: string;
  /** Behind the device, if one is named. */
  readonly says: string;
  readonly severity?: Finding['severity'];
  readonly causes: Partial<Record<Sure, readonly CauseId[]>>;
}

const BDF = String.raw`(?<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])`;

const NEEDS_CACHING_MODE = "cannot be behind a guest's intel-iommu that does not tell of new mappings";

const REFUSALS: readonly Refusal[] = [
  {
    id: 'group-not-viable',
    needle: 'is not viable',
    text: String.raw`(?:vfio ${BDF}: )?(?:vfio: error, )?group (?<group>\d{1,6}) is not viable`,
    example: 'qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 15 is not viable',
    printedBy: 'QEMU',
    says: 'cannot be assigned: its group is used by others',
    causes: { certain: ['group-not-viable'] },
  },
  {
    id: 'dpdk-group-not-viable',
    needle: 'VFIO group is not viable',
    text: `${BDF} VFIO group is not viable`,
    example: 'EAL: 0000:01:00.1 VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound',
    printedBy: 'DPDK and SPDK',
    says: 'cannot be assigned: its group is used by others',
    causes: { certain: ['group-not-viable'] },
  },
  {
    id: 'no-group',
    needle: 'no iommu_group found',
    text: `(?:vfio ${BDF}: )?(?:vfio: error )?no iommu_group found`,
    example:
      'qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: no iommu_group found: No such file or directory',
    printedBy: 'QEMU',
    says: 'cannot be assigned: it is in no IOMMU group',
    causes: { certain: ['no-unit'] },
  },
  {
    id: 'no-interrupt-remapping',
    needle: 'allow_unsafe_interrupts',
    text: String.raw`(?:No interrupt remapping support\.|MSI interrupts are not secure, they cannot be isolated by the platform\.).{0,120}allow_unsafe_interrupts`,
    example:
      'vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform',
    printedBy: 'Linux 3.6 and later; with iommufd in other words',
    says: 'cannot be assigned: its interrupts are not isolated',
    causes: { certain: ['no-interrupt-isolation'] },
  },
  {
    id: 'rmrr',
    needle: 'is ineligible for IOMMU domain attach',
    text: `(?:${DEVICE}: )?(?:DMAR: )?Device is ineligible for IOMMU domain attach due to platform RMRR requirement`,
    example:
      'vfio-pci 0000:03:00.0: DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.',
    printedBy: 'Linux 3.17 to 6.5, on Intel',
    says: 'cannot be assigned: firmware keeps memory for it (RMRR)',
    causes: { certain: ['one-to-one'] },
  },
  {
    id: 'direct-mapping',
    needle: 'Firmware has requested this device have a 1:1 IOMMU mapping',
    text: `(?:${DEVICE}: )?Firmware has requested this device have a 1:1 IOMMU mapping`,
    example:
      'vfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.',
    printedBy: 'Linux 6.6 and later',
    says: 'cannot be assigned: firmware wants memory of its own mapped for it',
    causes: { certain: ['one-to-one'] },
  },
  {
    id: 'caching-mode',
    needle: 'caching-mode=on',
    text: '(?:Device assignment is not allowed without enabling|[Ww]e need to set) caching-mode=on',
    example: 'qemu-system-x86_64: Device assignment is not allowed without enabling caching-mode=on for Intel IOMMU.',
    printedBy: 'QEMU',
    says: NEEDS_CACHING_MODE,
    causes: { certain: ['caching-mode'] },
  },
  {
    id: 'caching-mode.device',
    needle: ' requires caching mode',
    text: String.raw`device (?<slot>[0-9a-f]{2}\.[0-9a-f]{2}\.[0-7]) requires caching mode`,
    example: 'qemu-system-x86_64: device 00.04.0 requires caching mode',
    printedBy: 'QEMU',
    says: NEEDS_CACHING_MODE,
    causes: { certain: ['caching-mode'] },
  },
  {
    id: 'granule',
    needle: 'iommu has granularity incompatible',
    text: 'iommu has granularity incompatible with target AS',
    example: 'qemu-system-aarch64: iommu has granularity incompatible with target AS',
    printedBy: 'QEMU',
    says: "is behind a guest's IOMMU whose pages are smaller than the host can map",
    causes: { certain: ['host-granule'] },
  },
  {
    id: 'container',
    needle: 'ailed to set iommu for container: ',
    text: String.raw`(?:vfio ${BDF}: )?(?:vfio: )?(?:failed to setup container for group (?<group>\d{1,6}): )?[Ff]ailed to set iommu for container: (?<why>[A-Z][\w ]{3,40})`,
    example:
      'qemu-kvm: -device vfio-pci,host=0000:03:00.0: vfio 0000:03:00.0: failed to setup container for group 19: Failed to set iommu for container: Operation not permitted',
    printedBy: 'QEMU',
    says: "cannot be assigned: the kernel does not give its group to QEMU; the kernel's log says why",
    causes: { likely: ['one-to-one', 'no-interrupt-isolation'], possible: ['no-unit'] },
  },
  {
    id: 'unable-to-continue',
    needle: 'vfio: DMA mapping failed, unable to continue',
    text: 'vfio: DMA mapping failed, unable to continue',
    example: 'qemu-system-x86_64: vfio: DMA mapping failed, unable to continue',
    printedBy: 'QEMU, and ends',
    says: 'was being mapped for when QEMU gave up: the line before has the reason',
    causes: {},
  },
];

function refusal(of: Refusal, { device, group }: Groups): Finding {
  const requester = requesterOf(device);
  return {
    ...NOTHING,
    kind: `linux.assign-${of.id.replace(/\..*/, '')}`,
    model: 'linux',
    severity: of.severity ?? 'error',
    summary: `${device ?? 'a device'} ${of.says}`,
    requester,
    details: group === undefined ? [] : [['IOMMU group', group]],
    causes: suspects(of.causes),
  };
}

/** The guest's IOMMU maps what is no memory. */
function noMemory({ address, what }: Groups): Finding | null {
  const value = hexNumber(address ?? '');
  if (value === null) return null;
  return {
    ...NOTHING,
    kind: 'linux.vfio-no-memory',
    model: 'linux',
    severity: 'warning',
    summary: `VFIO: the guest maps 0x${value.toString(16)} for a device, and that is ${what?.startsWith('discarded') === true ? 'memory that is unplugged' : 'no memory'}: it is left out`,
    address: { value, space: 'physical' },
    causes: suspects({ likely: ['not-mappable'], possible: ['msi-doorbell'] }),
  };
}

export const ASSIGNMENT_LINES: readonly LineFormat[] = [
  ...REFUSALS.map(
    (of): LineFormat => ({
      id: `linux.assign-${of.id}`,
      needle: of.needle,
      pattern: new RegExp(of.text),
      example: of.example,
      printedBy: of.printedBy,
      decode: (groups) => refusal(of, groups),
    }),
  ),
  {
    id: 'linux.vfio-no-memory',
    needle: 'iommu map to ',
    pattern:
      /iommu map to (?<what>non memory area|discarded memory \(e\.g\., unplugged via virtio-mem\):) (?<address>[0-9a-f]{1,16})/,
    example: 'qemu-system-x86_64: iommu map to non memory area fee00000',
    printedBy: 'QEMU',
    decode: noMemory,
  },
  {
    id: 'linux.vfio-region-not-mapped',
    needle: 'vfio_listener_region_add_no_dma_map',
    pattern:
      /vfio_listener_region_add_no_dma_map Region "(?<name>[^"]{1,80})" (?<address>0x[0-9a-f]{1,16}) size=(?<size>0x[0-9a-f]{1,16}) is not aligned to (?<granule>0x[0-9a-f]{1,16})/,
    example:
      'vfio_listener_region_add_no_dma_map Region "0000:01:00.0 BAR 5" 0xfe000400 size=0x400 is not aligned to 0x1000 and cannot be mapped for DMA',
    printedBy: 'QEMU with -trace',
    decode: ({ address, granule, name, size }) => {
      const value = hexNumber(address ?? '');
      if (value === null) return null;
      return {
        ...NOTHING,
        kind: 'linux.vfio-region-not-mapped',
        model: 'linux',
        severity: 'info',
        summary: `VFIO: region "${name}" is not mapped for DMA: it is smaller than a page, or not aligned to one; no peer can reach it`,
        address: { value, space: 'physical' },
        details: [
          ['size', size ?? ''],
          ['page', granule ?? ''],
        ],
      };
    },
  },
];
