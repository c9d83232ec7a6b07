/** virtio-iommu's requests, reports, properties and configuration by name. Words are little-endian, as they lie in memory. */
import { get } from '../../bits/index.ts';
import { FAULT } from '../../iommu/virtio/faults.ts';
import {
  CONFIG,
  FEATURES,
  PROBE_PROPERTY,
  PROBE_RESV_MEM,
  PROPERTY_TYPE,
  REQ_HEAD,
  REQ_TAIL,
  REQUESTS,
} from '../../iommu/virtio/structures.ts';
import type { StructureKind } from '../structure-kinds.ts';
import { kindOf } from '../structure-kinds.ts';

export const VIRTIO_FAULT = kindOf('virtio.fault', FAULT, '0x0000010200000002', '0x0000000000000008', '0xfee00000');

export const VIRTIO_KINDS: readonly StructureKind[] = [
  kindOf('virtio.features', FEATURES, '0x0000000000000077'),
  kindOf(
    'virtio.config',
    CONFIG,
    '0xfffffffffffff000',
    '0x0',
    '0xffffffffffffffff',
    '0xffffffff00000000',
    '0x0000000100000200',
  ),
  {
    id: 'virtio.request',
    layout: (halves) => REQUESTS[get(REQ_HEAD.fields.type, halves)] ?? null,
    // PROBE has 8 bytes, MAP 36: requests without their tails.
    words: [1, 3, 4, 5],
    wordBits: 64,
    example: ['0x0000000100000003', '0x1000', '0x1fff', '0xa000', '0x1'],
  },
  kindOf('virtio.tail', REQ_TAIL, '0x00000005'),
  {
    id: 'virtio.property',
    layout: (halves) =>
      get(PROBE_PROPERTY.fields.type, halves) === PROPERTY_TYPE.resvMem ? PROBE_RESV_MEM : PROBE_PROPERTY,
    words: [1, 3],
    wordBits: 64,
    example: ['0x0000000100140001', '0xfee00000', '0xfeefffff'],
  },
  VIRTIO_FAULT,
];
