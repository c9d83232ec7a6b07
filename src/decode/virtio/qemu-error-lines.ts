/**
 * What QEMU's virtio-iommu writes of requests that it refuses (`virtio_iommu_translate()` of hw/virtio/virtio-iommu.c): each text once in QEMU's life, so that it
 * tells of the first such request only. The fault that the guest gets beside it has the same reason.
 */
import { FAULT_REASON } from '../../iommu/virtio/faults.ts';
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { AccessKind, Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { suspectsOf } from './suspects.ts';

const MAX_ID = 0xffff;
/** IOMMUAccessFlags of QEMU, which are VIRTIO_IOMMU_MAP_F_READ and _WRITE (virtio 5.13.6.5), too. */
const READ = 1;
const WRITE = 2;

interface Refusal {
  readonly reason: 0 | 1 | 2;
  readonly summary: string;
  readonly access?: AccessKind | null;
  readonly address?: bigint | null;
  readonly details?: Finding['details'];
  readonly causes: readonly Suspect[];
}

/** @param says what this text adds; null where a number is none that it can have */
function refusal(groups: Groups, says: (groups: Groups) => Refusal | null): Finding | null {
  const id = groups.endpoint === undefined ? null : Number(groups.endpoint);
  const said = says(groups);
  if (said === null || (id !== null && id > MAX_ID)) return null;
  const meaning = FAULT_REASON[said.reason];
  const text = id === null ? groups.device : bdf(id);
  return {
    ...NOTHING,
    kind: 'virtio.qemu-refused',
    model: 'virtio',
    severity: 'error',
    summary: said.summary,
    requester: text === undefined ? null : pciRequester(text.replace(/\.0(?=[0-7]$)/, '.')),
    access: said.access ?? null,
    address: said.address === undefined || said.address === null ? null : { value: said.address, space: 'IOVA' },
    code: { value: said.reason, name: meaning.name, meaning: meaning.text, clause: meaning.clause },
    details: [...(said.details ?? []), ['once', 'QEMU writes this text for the first such request only']],
    causes: said.causes,
  };
}

const UNATTACHED = suspectsOf(1, { access: null, address: null, pasid: null });

function noMapping({ address, endpoint }: Groups): Refusal | null {
  const value = hexNumber(address ?? '');
  if (value === null) return null;
  return {
    reason: 2,
    summary: `endpoint ${endpoint}: a request to 0x${value.toString(16)} refused: nothing is mapped there`,
    address: value,
    causes: suspectsOf(2, { access: null, address: value, pasid: null }),
  };
}

function noPermission({ address, allowed, flag }: Groups): Refusal | null {
  const value = hexNumber(address ?? '');
  const [wanted, may] = [Number(flag), Number(allowed)];
  if (value === null || wanted > (READ | WRITE) || (wanted & ~may) === 0) return null;
  const access: AccessKind = (wanted & ~may & WRITE) === 0 ? 'read' : 'write';
  return {
    reason: 2,
    summary: `a ${access} of 0x${value.toString(16)} refused: it is mapped, but not for this`,
    access,
    address: value,
    details: [
      [
        'mapped for',
        [...((may & READ) === 0 ? [] : ['reads']), ...((may & WRITE) === 0 ? [] : ['writes'])].join(' and ') ||
          'nothing',
      ],
    ],
    causes: suspects({ likely: ['direction'], possible: ['reserved-region', 'process-memory'] }),
  };
}

const PREFIX = 'virtio_iommu_translate ';

export const QEMU_ERROR_LINES: readonly LineFormat[] = [
  {
    id: 'virtio.qemu-refused.unknown',
    needle: ' is not known!!',
    pattern: new RegExp(String.raw`${PREFIX}sid=(?<endpoint>\d{1,10}) is not known!!`),
    example: 'qemu-system-x86_64: virtio_iommu_translate sid=24 is not known!!',
    printedBy: 'QEMU 5.0 and later',
    decode: (groups) =>
      refusal(groups, ({ endpoint }) => ({
        reason: 0,
        summary: `endpoint ${endpoint}: a request refused: the guest has never attached it to a domain, and it may not bypass the IOMMU`,
        causes: UNATTACHED,
      })),
  },
  {
    id: 'virtio.qemu-refused.detached',
    needle: ' not attached to any domain',
    pattern: new RegExp(
      String.raw`${PREFIX}(?<device>[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]{1,2}) not attached to any domain`,
    ),
    example: 'qemu-system-x86_64: virtio_iommu_translate 00:03.0 not attached to any domain',
    printedBy: 'QEMU 5.0 and later',
    decode: (groups) =>
      refusal(groups, ({ device }) => ({
        reason: 1,
        summary: `${device}: a request refused: it is in no domain any more, and may not bypass the IOMMU`,
        causes: UNATTACHED,
      })),
  },
  {
    id: 'virtio.qemu-refused.mapping',
    needle: 'virtio_iommu_translate no mapping for ',
    pattern: new RegExp(String.raw`${PREFIX}no mapping for (?<address>0x[0-9a-f]{1,16}) for sid=(?<endpoint>\d{1,10})`),
    example: 'qemu-system-x86_64: virtio_iommu_translate no mapping for 0xfd200000 for sid=24',
    printedBy: 'QEMU 5.0 and later',
    decode: (groups) => refusal(groups, noMapping),
  },
  {
    id: 'virtio.qemu-refused.permission',
    needle: 'virtio_iommu_translate permission error on ',
    pattern: new RegExp(
      String.raw`${PREFIX}permission error on (?<address>0x[0-9a-f]{1,16})\((?<flag>\d)\): allowed=(?<allowed>\d{1,10})`,
    ),
    example: 'qemu-system-x86_64: virtio_iommu_translate permission error on 0xfd200000(2): allowed=1',
    printedBy: 'QEMU 5.0 and later',
    decode: (groups) => refusal(groups, noPermission),
  },
];
