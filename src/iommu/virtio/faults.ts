/** virtio-iommu: statuses of requests, and reports of faults (virtio 1.2 and 1.3, 5.13.6). Names without VIRTIO_IOMMU_. */
import type { Meanings } from '../../bits/index.ts';
import { address, bit, bits, ignored, named, namesOf, structure } from '../../bits/index.ts';

/** virtio_iommu_req_tail.status. */
export const STATUS: Meanings = {
  0: { name: 'S_OK', text: 'done', clause: 'virtio 5.13.6' },
  1: { name: 'S_IOERR', text: 'virtio communication failed', clause: 'virtio 5.13.6' },
  2: {
    name: 'S_UNSUPP',
    text: 'not supported: the endpoint cannot be attached to this domain beside others, or not before it is detached from another',
    clause: 'virtio 5.13.6.3',
  },
  3: { name: 'S_DEVERR', text: 'the device failed internally', clause: 'virtio 5.13.6' },
  4: {
    name: 'S_INVAL',
    text: 'a parameter is not valid: an unknown flag, a reserved field that is not 0, a mapping that overlaps another, a domain of bypass',
    clause: 'virtio 5.13.6.3, 5.13.6.5, 5.13.6.6',
  },
  5: {
    name: 'S_RANGE',
    text: 'out of range: an address off the page granularity, or an UNMAP that would split a mapping',
    clause: 'virtio 5.13.6.5, 5.13.6.6',
  },
  6: { name: 'S_NOENT', text: 'there is no such endpoint or domain', clause: 'virtio 5.13.6.3 – 5.13.6.7' },
  7: { name: 'S_FAULT', text: 'an address of the request could not be accessed', clause: 'virtio 5.13.6' },
  8: { name: 'S_NOMEM', text: 'the device has not enough resources', clause: 'virtio 5.13.6' },
};

/** virtio_iommu_fault.reason; a driver takes one that it does not know for 0. */
export const FAULT_REASON: Meanings = {
  0: {
    name: 'FAULT_R_UNKNOWN',
    text: 'an internal error, or one without a reason of its own',
    clause: 'virtio 5.13.6.9',
  },
  1: {
    name: 'FAULT_R_DOMAIN',
    text: 'the endpoint is attached to no domain, and not in bypass mode',
    clause: 'virtio 5.13.6.9',
  },
  2: {
    name: 'FAULT_R_MAPPING',
    text: 'the address is not mapped in the domain, or not for this access',
    clause: 'virtio 5.13.6.9',
  },
};

/** A report on the event queue. A driver ignores it where a reserved bit is set, and undefined flags in it. */
export const FAULT = structure('virtio_iommu_fault', 192, 'virtio 5.13.6.9', {
  reason: named(bits(7, 0), namesOf(FAULT_REASON)),
  READ: bit(32),
  WRITE: bit(33),
  /** Not in the specification, but in the header that Linux and QEMU share, and printed by Linux. */
  EXEC: bit(34),
  IGN_39_35: ignored(39, 35),
  /** `address` counts. */
  ADDRESS: bit(40),
  IGN_63_41: ignored(63, 41),
  endpoint: bits(95, 64),
  IGN_127_96: ignored(127, 96),
  address: address(191, 128),
});
