/** Lines of virtio-iommu and virtio. */
import { describe, expect, test } from 'vitest';
import { FAULT_REASON } from '../../iommu/virtio/faults.ts';
import { explain } from '../index.ts';
import { suspectsOf } from './suspects.ts';

const only = (line: string) => {
  const { groups, unknownCount } = explain(line);
  expect([groups.length, unknownCount]).toEqual([1, 0]);
  return groups[0].finding;
};
const ids = ({ causes }: { causes: readonly { id: string }[] }) => causes.map(({ id }) => id);

describe('a fault', () => {
  test('of a page', () => {
    const finding = only('[    2.1] virtio_iommu virtio0: page fault from EP 258 at 0x9c000000 [W]');
    expect(finding).toMatchObject({
      requester: { text: 'EP 258', id: 258 },
      access: 'write',
      address: { value: 0x9c000000n, space: 'IOVA' },
      code: { value: 2, name: 'FAULT_R_MAPPING', clause: 'virtio 5.13.6.9' },
    });
    expect(finding.details).toContainEqual(['as requester id', '01:00.2, where VIOT numbers endpoints as PCI does']);
    expect(ids(finding)[0]).toBe('unmap-before-completion');
  });

  test('of an endpoint in no domain, without address', () => {
    const finding = only('virtio_iommu virtio0: domain fault from EP 8');
    expect(finding).toMatchObject({ address: null, access: null, code: { value: 1 } });
    expect(ids(finding)[0]).toBe('not-attached');
  });

  test('at page 0, with all three letters', () => {
    const finding = only('virtio_iommu virtio0: page fault from EP 8 at 0 [RWX]');
    expect(finding).toMatchObject({ address: { value: 0n }, access: 'execute' });
    expect(ids(finding)[0]).toBe('never-mapped');
  });

  test('of a reason that the device does not give', () => {
    expect(only('virtio_iommu virtio0: unknown fault from EP 8 at 0x1000 [R]')).toMatchObject({
      code: { value: 0, name: 'FAULT_R_UNKNOWN' },
      causes: [],
    });
  });

  test('with numbers that there are not', () => {
    expect(explain('virtio_iommu virtio0: page fault from EP 9999999999 at 0x1000 [R]').unknownCount).toBe(1);
  });
});

test('each reason but "unknown" has suspects', () => {
  const none = Object.keys(FAULT_REASON).filter(
    (reason) => suspectsOf(Number(reason), { access: 'read', pasid: null, address: 0x1000n }).length === 0,
  );
  expect(none).toEqual(['0']);
});

test('devices that are refused', () => {
  expect(only('virtio_blk virtio2: device must provide VIRTIO_F_ACCESS_PLATFORM').causes).toEqual([
    { id: 'needs-platform-dma', sure: 'certain' },
  ]);
  expect(ids(only('virtio_net virtio0: device must provide VIRTIO_F_VERSION_1'))).toEqual(['needs-modern']);
});
