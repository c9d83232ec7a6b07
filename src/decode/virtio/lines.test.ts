/** Lines of virtio-iommu and virtio. */
import { describe, expect, test } from 'vitest';
import { ids, only } from '../../../test/explained.ts';
import { FAULT_REASON } from '../../iommu/virtio/faults.ts';
import { explain } from '../index.ts';
import { suspectsOf } from './suspects.ts';

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

describe("QEMU's own words", () => {
  test('name the endpoint and the reason that the guest is told', () => {
    expect(only('qemu-system-x86_64: virtio_iommu_translate no mapping for 0xfd200000 for sid=24')).toMatchObject({
      requester: { text: '00:03.0', id: 24 },
      address: { value: 0xfd200000n, space: 'IOVA' },
      code: { value: 2 },
    });
    expect(only('qemu-system-x86_64: virtio_iommu_translate 01:1f.7 not attached to any domain')).toMatchObject({
      requester: { id: 0x1ff },
      code: { value: 1 },
    });
    expect(only('qemu-system-x86_64: virtio_iommu_translate sid=8 is not known!!')).toMatchObject({
      code: { value: 0 },
    });
  });

  test('of a permission: what was missing, and what there was', () => {
    const finding = only('qemu: virtio_iommu_translate permission error on 0x1000(3): allowed=2');
    expect(finding).toMatchObject({ access: 'read', requester: null });
    expect(finding.details).toContainEqual(['mapped for', 'writes']);
    expect(ids(finding)[0]).toBe('direction');
    // Nothing is missing: not what QEMU prints.
    expect(explain('qemu: virtio_iommu_translate permission error on 0x1000(1): allowed=3').unknownCount).toBe(1);
  });
});
