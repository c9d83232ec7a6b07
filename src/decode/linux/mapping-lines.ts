/** Linux's lines of DMA mappings that fail without an IOMMU: bounce buffers that are used up (kernel/dma/swiotlb.c), addresses beyond a mask (kernel/dma/direct.c). */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { Detail, Finding } from '../finding.ts';
import { hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { DEVICE, requesterOf } from './device.ts';

/** Bytes of a slot, and slots of one mapping at most (IO_TLB_SIZE, IO_TLB_SEGSIZE). */
const SLOT_BYTES = 2048;
const MOST_SLOTS = 128;

function bounceFull({ device, size, total, used }: Groups): Finding {
  const details: Detail[] = [['size', `${size} bytes`]];
  if (total !== undefined) details.push(['slots', `${used} of ${total} in use, each of ${SLOT_BYTES} bytes`]);
  const who = device ?? 'a device';
  return {
    ...NOTHING,
    kind: 'linux.swiotlb-full',
    model: 'linux',
    severity: 'error',
    summary: `${who}: a DMA mapping failed, as ${bounceReason(size, total)}`,
    requester: requesterOf(device),
    details,
    causes: suspects(
      total === '0' ? { likely: ['dma-mask', 'swiotlb-size'] } : { likely: ['swiotlb-size'], possible: ['dma-mask'] },
    ),
  };
}

function bounceReason(size: string | undefined, total: string | undefined): string {
  if (total === '0') return 'it needs a bounce buffer (swiotlb), and none were set up';
  if (Number(size) > SLOT_BYTES * MOST_SLOTS) return 'it is larger than one bounce buffer can be (swiotlb, 256 KiB)';
  return 'no bounce buffer (swiotlb) was free';
}

const OVER_MASK: readonly Suspect[] = suspects({ likely: ['dma-mask'], possible: ['swiotlb-size'] });

/** An address that the device cannot reach; the limit of the bus is 0 where it has none. */
function overflow({ address, device, limit, mask, size }: Groups): Finding | null {
  const [value, ofDevice] = [hexNumber(address ?? ''), hexNumber(mask ?? '')];
  if (value === null || ofDevice === null) return null;
  const ofBus = limit === undefined ? null : hexNumber(limit);
  const byBus = ofBus !== null && ofBus !== 0n && ofBus < ofDevice;
  return {
    ...NOTHING,
    kind: 'linux.dma-overflow',
    model: 'linux',
    severity: 'error',
    summary: `${device ?? 'a device'}: 0x${value.toString(16)} is beyond what ${byBus ? 'its bus' : 'it'} can address`,
    requester: requesterOf(device),
    address: { value, space: 'physical' },
    details: [
      ['size', `${size} bytes`],
      ['mask', `0x${mask}`],
      ...(limit === undefined ? [] : [['bus limit', `0x${limit}`] as const]),
    ],
    causes: [...OVER_MASK],
  };
}

const HEX = (name: string) => `(?<${name}>[0-9a-f]{1,16})`;

export const MAPPING_LINES: readonly LineFormat[] = [
  {
    id: 'linux.swiotlb-full',
    needle: 'swiotlb buffer is full',
    pattern: new RegExp(
      String.raw`(?:${DEVICE}: )?swiotlb buffer is full \(sz: (?<size>\d{1,20}) bytes\)(?:, total (?<total>\d{1,20}) \(slots\), used (?<used>\d{1,20}) \(slots\))?`,
    ),
    example: 'virtio-pci 0000:00:01.0: swiotlb buffer is full (sz: 294912 bytes), total 1024 (slots), used 725 (slots)',
    printedBy: 'Linux; how many are in use, since 4.21',
    decode: bounceFull,
  },
  {
    id: 'linux.swiotlb-full.old',
    needle: 'Out of SW-IOMMU space',
    pattern: /DMA: Out of SW-IOMMU space for (?<size>\d{1,20}) bytes at device (?<device>[\w.:@,+-]{1,64})/,
    example: 'DMA: Out of SW-IOMMU space for 65536 bytes at device 0000:03:00.0',
    printedBy: 'Linux before 4.16',
    decode: bounceFull,
  },
  {
    id: 'linux.dma-overflow',
    needle: 'overflow (mask ',
    pattern: new RegExp(
      String.raw`(?:${DEVICE}: )?DMA addr 0x${HEX('address')}\+(?<size>\d{1,20}) overflow \(mask ${HEX('mask')}, bus limit ${HEX('limit')}\)`,
      'i',
    ),
    example: 'vc4-drm soc:gpu: DMA addr 0x00000000c0000000+4096 overflow (mask ffffffff, bus limit bfffffff).',
    printedBy: 'Linux 5.8 and later',
    decode: overflow,
  },
  {
    id: 'linux.dma-overflow.old',
    needle: ': overflow 0x',
    pattern: new RegExp(
      String.raw`(?:${DEVICE}: )?(?:\w{1,40}: )?overflow 0x${HEX('address')}\+(?<size>\d{1,20}) of (?:DMA|device) mask ${HEX('mask')}(?: bus (?:limit|mask) ${HEX('limit')})?`,
      'i',
    ),
    example: 'ehci-pci 0000:00:1a.0: overflow 0x0000000a1c8f9a60+8 of DMA mask ffffffff bus limit 0',
    printedBy: 'Linux 4.16 to 5.7',
    decode: overflow,
  },
  {
    id: 'linux.suppressed',
    needle: 'callbacks suppressed',
    pattern:
      /(?<what>(?:amd_iommu|dmar|arm_smmu|riscv_iommu|viommu|iommu|swiotlb|tce)\w{0,60}): (?<count>\d{1,12}) callbacks suppressed/,
    example: 'amd_iommu_report_page_fault: 12950 callbacks suppressed',
    printedBy: 'Linux, instead of lines beyond a rate',
    decode: ({ count, what }) => ({
      ...NOTHING,
      kind: 'linux.suppressed',
      model: 'linux',
      severity: 'warning',
      summary: `lines of ${what} were left out of the log`,
      details: [['left out', `${count}, at the first time`]],
      causes: suspects({ certain: ['overflow'] }),
    }),
  },
];
