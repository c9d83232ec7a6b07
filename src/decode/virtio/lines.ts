/** Linux's lines of virtio-iommu (drivers/iommu/virtio-iommu.c), and of devices of virtio that do DMA past the IOMMU (drivers/virtio/virtio.c). */
import { FAULT_REASON } from '../../iommu/virtio/faults.ts';
import { suspects } from '../causes.ts';
import type { AccessKind, Code, Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { QEMU_ERROR_LINES } from './qemu-error-lines.ts';
import { QEMU_TRACE_LINES } from './qemu-trace-lines.ts';
import { suspectsOf } from './suspects.ts';

/** Linux's words for reasons; whatever it does not know is "unknown", too. */
const REASON: Readonly<Record<string, number>> = { unknown: 0, domain: 1, page: 2 };

const MAX_ENDPOINT = 0xffffffff;

function fault({ address, endpoint, flags, pasid, reason }: Groups): Finding | null {
  const value = REASON[reason ?? ''] ?? 0;
  const id = Number(endpoint);
  const at = address === undefined ? null : hexNumber(address);
  if (id > MAX_ENDPOINT || (address !== undefined && at === null)) return null;
  const access = accessOf(flags);
  const requester = { text: `EP ${id}`, id, pasid: pasid === undefined ? null : Number(pasid) };
  const meaning = FAULT_REASON[value];
  const code: Code = { value, name: meaning.name, meaning: meaning.text, clause: meaning.clause };
  const what = at === null ? 'a request' : `${access ?? 'a request'} of 0x${at.toString(16)}`;
  return {
    ...NOTHING,
    kind: 'virtio.fault',
    model: 'virtio',
    severity: 'error',
    summary: `endpoint ${id}: ${what} refused: ${code.meaning}`,
    requester,
    access,
    address: at === null ? null : { value: at, space: 'IOVA' },
    code,
    details: [
      ...(id > 0xffff ? [] : [['as requester id', `${bdf(id)}, where VIOT numbers endpoints as PCI does`] as const]),
      ...(flags === undefined ? [] : [['flags', flags.trim() === '' ? 'none' : flags] as const]),
    ],
    causes: suspectsOf(value, { access, pasid: requester.pasid, address: at }),
  };
}

/** R, W and X as they are set; execution stands for itself. */
function accessOf(flags: string | undefined): AccessKind | null {
  if (flags === undefined) return null;
  if (flags.includes('X')) return 'execute';
  if (flags.includes('W')) return 'write';
  return flags.includes('R') ? 'read' : null;
}

function refused({ device, feature }: Groups): Finding {
  const legacy = feature === 'VERSION_1';
  return {
    ...NOTHING,
    kind: 'virtio.refused',
    model: 'virtio',
    severity: 'error',
    summary: `${device ?? 'a device'} is not used: it does not offer VIRTIO_F_${feature}, which this guest insists on`,
    causes: suspects({ certain: [legacy ? 'needs-modern' : 'needs-platform-dma'] }),
  };
}

export const VIRTIO_LINES: readonly LineFormat[] = [
  {
    id: 'virtio.fault',
    needle: ' fault from EP ',
    pattern:
      /(?<reason>domain|page|unknown) fault from EP (?<endpoint>\d{1,10})(?: PASID (?<pasid>\d{1,7}))?(?: at (?<address>0x[0-9a-f]{1,16}|0) \[(?<flags>[RWX ]{0,5})\])?/,
    example: 'virtio_iommu virtio0: page fault from EP 258 at 0xfee00000 [W]',
    printedBy: 'Linux 5.3 and later',
    decode: fault,
  },
  {
    id: 'virtio.refused',
    needle: 'device must provide VIRTIO_F_',
    pattern:
      /(?:(?<device>[\w.-]{1,40}): )?device must provide VIRTIO_F_(?<feature>VERSION_1|ACCESS_PLATFORM|IOMMU_PLATFORM)/,
    example: 'virtio_blk virtio2: device must provide VIRTIO_F_ACCESS_PLATFORM',
    printedBy: 'Linux 5.9 and later',
    decode: refused,
  },
  ...QEMU_ERROR_LINES,
  ...QEMU_TRACE_LINES,
];
