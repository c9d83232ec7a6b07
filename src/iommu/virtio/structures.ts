/**
 * virtio-iommu: feature bits, configuration, requests and probe properties (virtio 1.2 and 1.3, 5.13). All little-endian.
 * Of a request, what the driver writes and the device reads is one structure, and what the device writes another: {@link REQ_TAIL}.
 */
import type { Fields, Layout } from '../../bits/index.ts';
import { address, bit, bits, fixed, ignored, named, namesOf, structure } from '../../bits/index.ts';
import { STATUS } from './faults.ts';

/** Virtqueues by index (virtio 5.13.2). */
export const VIRTQUEUE = { requestq: 0, eventq: 1 } as const;

/** The device's own feature bits; the others are virtio's (virtio 6). */
export const FEATURES = structure('virtio-iommu features', 64, 'virtio 5.13.3', {
  /** input_range of the configuration counts. */
  INPUT_RANGE: bit(0),
  /** domain_range counts. */
  DOMAIN_RANGE: bit(1),
  MAP_UNMAP: bit(2),
  /** Endpoints without a domain are in bypass mode; superseded by BYPASS_CONFIG. */
  BYPASS: bit(3),
  PROBE: bit(4),
  /** Mappings may have the flag MMIO. */
  MMIO: bit(5),
  /** bypass of the configuration counts, and a domain may be one of bypass. */
  BYPASS_CONFIG: bit(6),
});

/** A 64-bit number that is not the address of anything aligned. */
const le64 = (byte: number) => address(8 * byte + 63, 8 * byte);
const le32 = (byte: number) => bits(8 * byte + 31, 8 * byte);

export const CONFIG = structure('virtio_iommu_config', 320, 'virtio 5.13.4', {
  /** The lowest bit set is the granularity of mappings, in bytes; the others are hints. */
  page_size_mask: le64(0),
  /** First and last address (inclusive) that can be mapped. */
  input_range_start: le64(8),
  input_range_end: le64(16),
  /** First and last domain (inclusive). */
  domain_range_start: le32(24),
  domain_range_end: le32(28),
  /** Bytes of the properties of a PROBE request. */
  probe_size: le32(32),
  /** Endpoints without a domain are in bypass mode. The driver may write it with BYPASS_CONFIG. */
  bypass: bit(288),
  IGN_295_289: ignored(295, 289),
});

/** virtio_iommu_req_head.type. */
export const REQUEST_TYPE = { attach: 1, detach: 2, map: 3, unmap: 4, probe: 5 } as const;

const TYPE = named(bits(7, 0), { 1: 'ATTACH', 2: 'DETACH', 3: 'MAP', 4: 'UNMAP', 5: 'PROBE' });

/** What each request begins with; the device ignores what is reserved in it. */
export const REQ_HEAD = structure('virtio_iommu_req_head', 32, 'virtio 5.13.6', {
  type: TYPE,
  IGN_31_8: ignored(31, 8),
});

/** What the device writes behind a request. */
export const REQ_TAIL = structure('virtio_iommu_req_tail', 32, 'virtio 5.13.6', {
  status: named(bits(7, 0), namesOf(STATUS)),
  IGN_31_8: ignored(31, 8),
});

const head = (type: number) => ({ type: fixed(TYPE, type), IGN_31_8: ignored(31, 8) });

/** Bits 159:128 reserved: a device refuses others than 0. */
export const REQ_ATTACH = structure('virtio_iommu_req_attach', 160, 'virtio 5.13.6.3', {
  ...head(REQUEST_TYPE.attach),
  domain: le32(4),
  endpoint: le32(8),
  /** The domain is one of bypass; needs BYPASS_CONFIG. A device refuses flags that it does not know. */
  BYPASS: bit(96),
});

export const REQ_DETACH = structure('virtio_iommu_req_detach', 160, 'virtio 5.13.6.4', {
  ...head(REQUEST_TYPE.detach),
  domain: le32(4),
  endpoint: le32(8),
  IGN_127_96: ignored(127, 96),
  IGN_159_128: ignored(159, 128),
});

export const REQ_MAP = structure('virtio_iommu_req_map', 288, 'virtio 5.13.6.5', {
  ...head(REQUEST_TYPE.map),
  domain: le32(4),
  virt_start: le64(8),
  /** The last address that is mapped. */
  virt_end: le64(16),
  phys_start: le64(24),
  /** A device refuses flags that it does not know. */
  READ: bit(256),
  WRITE: bit(257),
  /** Needs the feature MMIO. */
  MMIO: bit(258),
});

/** Bits 223:192 reserved: with others than 0 a device may answer INVAL, and unmap or not. */
export const REQ_UNMAP = structure('virtio_iommu_req_unmap', 224, 'virtio 5.13.6.6', {
  ...head(REQUEST_TYPE.unmap),
  domain: le32(4),
  virt_start: le64(8),
  /** The last address that is unmapped. */
  virt_end: le64(16),
});

/** {@link PROBE_PADDING_BYTES} follow that the device ignores, then what it writes: CONFIG.probe_size bytes of properties, and the tail. */
export const REQ_PROBE = structure('virtio_iommu_req_probe', 64, 'virtio 5.13.6.7', {
  ...head(REQUEST_TYPE.probe),
  endpoint: le32(4),
});
export const PROBE_PADDING_BYTES = 64;

/** The part that the device reads, by type. */
export const REQUESTS: Readonly<Record<number, Layout<Fields>>> = {
  [REQUEST_TYPE.attach]: REQ_ATTACH,
  [REQUEST_TYPE.detach]: REQ_DETACH,
  [REQUEST_TYPE.map]: REQ_MAP,
  [REQUEST_TYPE.unmap]: REQ_UNMAP,
  [REQUEST_TYPE.probe]: REQ_PROBE,
};

/** Types of probe properties: 0 ends the list (virtio 5.13.6.7), the others are in virtio 5.13.6.8. */
export const PROPERTY_TYPE = { none: 0, resvMem: 1 } as const;

const property = {
  type: named(bits(11, 0), { 0: 'none', 1: 'RESV_MEM' }),
  /** Bytes that follow these four. */
  length: bits(31, 16),
};

/** A driver ignores a property with a reserved bit. */
export const PROBE_PROPERTY = structure('virtio_iommu_probe_property', 32, 'virtio 5.13.6.7', property);

export const PROBE_RESV_MEM = structure('virtio_iommu_probe_resv_mem', 192, 'virtio 5.13.6.8', {
  type: fixed(property.type, PROPERTY_TYPE.resvMem),
  length: fixed(property.length, 20),
  /** A driver takes one that it does not know for RESERVED. */
  subtype: named(bits(39, 32), { 0: 'RESERVED', 1: 'MSI' }),
  IGN_63_40: ignored(63, 40),
  start: le64(8),
  /** The last address. */
  end: le64(16),
});
