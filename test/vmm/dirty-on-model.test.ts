/** Dirty tracking by HTTU, over the model of an SMMUv3, and invalidations of large leaves. */
import { describe, expect, test } from 'vitest';
import { REQUEST } from '../../src/iommu/smmuv3/index.ts';
import type { Kernel } from '../../src/vmm/iommufd/index.ts';
import {
  attachDevice,
  call,
  HWPT_ALLOC_FLAGS,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_GET_DIRTY_BITMAP,
  IOMMU_HWPT_SET_DIRTY_TRACKING,
} from '../../src/vmm/iommufd/index.ts';
import { taken } from './host.ts';
import { LARGE, machine, USER, vmm } from './machine.ts';

const SID = 0x108;
/** The bitmap is in the last page. */
const BITMAP = 0x7fn;

function tracked(over: Partial<Kernel> = {}) {
  const it = machine('linux-6.18', over);
  const made = vmm(it, SID, { dirtyTracking: true });
  const { device, dma, fd, ioas, map, memory } = made;
  const flags = HWPT_ALLOC_FLAGS.DIRTY_TRACKING;
  const hwpt_id = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags }).out_hwpt_id;
  taken(attachDevice(device, hwpt_id));
  expect(map()).toBe(null);
  const data = USER + (BITMAP << 12n);
  /** Pages below 64 that were written, by number. */
  const dirty = (over = {}) => {
    memory.write(data, new Uint8Array(16));
    const whole = { iova: 0n, length: 0x40000n, page_size: 0x1000n, data };
    expect(call(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, { hwpt_id, ...whole, ...over }).errno).toBe(null);
    const word = new DataView((memory.read(data, 8) as Uint8Array).buffer).getBigUint64(0, true);
    return Array.from({ length: 64 }, (_, n) => n).filter((n) => (word >> BigInt(n)) & 1n);
  };
  const write = (...pages: number[]) => {
    for (const page of pages) expect(dma(page * 4096, REQUEST.write)).toBe(made.at(page));
  };
  const track = () => expect(call(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id, flags: 1 }).errno).toBe(null);
  return { ...made, dirty, write, track };
}

describe('pages that a device has written', () => {
  test('all at first; those that were written since tracking was turned on; once', () => {
    const { dirty, dma, track, write } = tracked();
    expect(dirty({ flags: 1 }).length).toBe(64);
    track();
    dma(0x3000, REQUEST.read);
    write(5, 9);
    expect(dirty({ flags: 1 })).toEqual([5, 9]);
    expect([dirty(), dirty()]).toEqual([[5, 9], []]);
  });

  test('with Linux as it is read, a page that stays in the TLB is never found again: the write is lost for a migration', () => {
    const { dirty, track, write } = tracked();
    track();
    write(5);
    expect(dirty()).toEqual([5]);
    write(5);
    expect(dirty()).toEqual([]);
  });

  test('with an invalidation of what was made clean it is', () => {
    const { dirty, track, write } = tracked({ flushesCleaned: true });
    track();
    write(5);
    expect(dirty()).toEqual([5]);
    write(5);
    expect(dirty()).toEqual([5]);
  });

  test('a page table that was not made for it has none', () => {
    const { device, fd, ioas } = vmm(machine(), SID, { dirtyTracking: true });
    const hwpt_id = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas }).out_hwpt_id;
    expect(call(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id, flags: 1 }).errno).toBe('EOPNOTSUPP');
  });
});

describe('a block of 2 MiB', () => {
  test('is one leaf, and gone after it was unmapped', () => {
    const it = machine();
    const { at, device, dma, ioas, map, unmap } = vmm(it, SID, {}, LARGE);
    taken(attachDevice(device, ioas));
    expect(map(0x20_0000n)).toBe(null);
    expect([dma(0x20_0000), dma(0x3f_f010)]).toEqual([at(0), at(511, 0x10)]);
    expect(unmap(0x20_0000n)).toBe(null);
    expect([dma(0x20_0000), dma(0x3f_f010)]).toEqual(['event 0x10', 'event 0x10']);
  });

  test('where it is not aligned it is pages', () => {
    const { at, device, dma, ioas, map, unmap } = vmm(machine(), SID, {}, LARGE);
    taken(attachDevice(device, ioas));
    map(0x20_1000n);
    expect(dma(0x3f_f010)).toBe(at(510, 0x10));
    unmap(0x20_1000n);
    expect(dma(0x3f_f010)).toBe('event 0x10');
  });
});
