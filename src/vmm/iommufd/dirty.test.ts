import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken, USER } from '../../../test/vmm/host.ts';
import { attachDevice, bindDevice } from './device.ts';
import { HWPT_ALLOC_FLAGS, IOAS_MAP_FLAGS } from './flags.ts';
import {
  call,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_GET_DIRTY_BITMAP,
  IOMMU_HWPT_SET_DIRTY_TRACKING,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_MAP,
} from './ioctl.ts';
import { ULONG_MAX } from './user-memory.ts';

/** Pages at 0x10000 to 0x1ffff and 0x30000 to 0x3ffff; the bitmap is at the end of user memory. */
function tracked() {
  const it = host();
  const { fd, hardware, memory, smmu } = it;
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
  const alloc = { dev_id: device.id, pt_id: ioas, flags: HWPT_ALLOC_FLAGS.DIRTY_TRACKING };
  const hwpt_id = call(fd, IOMMU_HWPT_ALLOC, alloc).out_hwpt_id;
  taken(attachDevice(device, hwpt_id));
  const flags = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
  for (const iova of [0x10000n, 0x30000n])
    call(fd, IOMMU_IOAS_MAP, { ioas_id: ioas, flags, iova, length: 0x10000n, user_va: USER });
  const [table] = hardware.tables;
  const data = USER + 0xf0000n;
  const track = (on: number, over = {}) =>
    call(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id, flags: on, ...over }).errno;
  const get = (iova: bigint, length: bigint, over = {}) =>
    call(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, { hwpt_id, iova, length, page_size: 0x1000n, data, ...over }).errno;
  const bitmap = () => {
    const word = new DataView(memory.bytes.buffer).getBigUint64(0xf0000, true).toString(16);
    memory.bytes.fill(0, 0xf0000);
    return word;
  };
  const write = (...iovas: bigint[]) => {
    for (const iova of iovas) expect(table.translate(iova, true)).not.toBe(null);
  };
  return { ...it, ioas, device, table, track, get, bitmap, write };
}

describe('dirty tracking', () => {
  test('what was written since it was turned on, once', () => {
    const { bitmap, get, table, track, write } = tracked();
    expect(track(1)).toBe(null);
    write(0x10000n, 0x13fffn, 0x30000n);
    expect(get(0x10000n, 0x10000n)).toBe(null);
    expect(bitmap()).toBe('9');
    expect(get(0x10000n, 0x10000n)).toBe(null);
    expect(bitmap()).toBe('0');
    expect(get(0x30000n, 0x10000n)).toBe(null);
    expect([bitmap(), table.flushes]).toEqual(['1', 4]);
  });

  test('turning it on makes all clean', () => {
    const { bitmap, get, track, write } = tracked();
    track(1);
    write(0x10000n);
    expect([track(1), get(0x10000n, 0x1000n), bitmap()]).toEqual([null, null, '0']);
    write(0x10000n);
    expect([track(0), get(0x10000n, 0x1000n), bitmap()]).toEqual([null, null, '1']);
    write(0x10000n);
    expect([get(0x10000n, 0x1000n), bitmap()]).toEqual([null, '0']);
  });

  test('without making it clean: nothing is invalidated', () => {
    const { bitmap, get, table, track, write } = tracked();
    track(1);
    const { flushes } = table;
    write(0x11000n);
    for (let i = 0; i < 2; i++) {
      expect(get(0x10000n, 0x10000n, { flags: 1 })).toBe(null);
      expect(bitmap()).toBe('2');
    }
    expect(table.flushes).toBe(flushes);
  });

  test('bits that are set stay; a bit may stand for more than a page', () => {
    const { bitmap, get, memory, track, write } = tracked();
    track(1);
    write(0x15000n);
    memory.bytes[0xf0000] = 1;
    expect(get(0x10000n, 0x10000n, { page_size: 0x4000n })).toBe(null);
    expect(bitmap()).toBe('3');
  });

  test('a hole in the range: the rest is not looked at, and nobody is told', () => {
    const { bitmap, get, track, write } = tracked();
    track(1);
    write(0x10000n, 0x30000n);
    expect(get(0x10000n, 0x30000n)).toBe(null);
    expect(bitmap()).toBe('1');
    expect([get(0x30000n, 0x1000n), bitmap()]).toEqual([null, '1']);
  });

  test.each([
    ['unknown flags', { flags: 2 }, 'EOPNOTSUPP'],
    ['a reserved member', { __reserved: 1 }, 'EOPNOTSUPP'],
    ['no page table', { hwpt_id: 99 }, 'ENOENT'],
    ['a range that is none', { iova: ULONG_MAX - 0xfffn, length: 0x2000n }, 'EOVERFLOW'],
    ['what is no multiple of the IOMMU’s pages', { iova: 0x10800n }, 'EINVAL'],
    ['pages of nothing', { page_size: 0n }, 'EINVAL'],
    ['what is no multiple of the bitmap’s pages', { page_size: 0x2000n }, 'EINVAL'],
  ])('%s', (_, over, errno) => {
    const { get, track } = tracked();
    track(1);
    expect(get(0x10000n, 0x1000n, over)).toBe(errno);
  });

  test('page tables that have none, flags that are unknown', () => {
    const { device, fd, get, ioas, track } = tracked();
    const flags = HWPT_ALLOC_FLAGS.NEST_PARENT;
    const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags }).out_hwpt_id;
    expect([track(1, { hwpt_id: parent }), get(0x10000n, 0x1000n, { hwpt_id: parent })]).toEqual([
      ...['EOPNOTSUPP', 'EOPNOTSUPP'],
    ]);
    expect([track(2), track(1, { hwpt_id: 99 })]).toEqual(['EOPNOTSUPP', 'ENOENT']);
  });
});
