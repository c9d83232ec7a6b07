import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { host, taken, USER } from '../../../test/vmm/host.ts';
import type { Fields, Layout } from '../../bits/index.ts';
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import { ERRNO, statusOf } from './errno.ts';
import { IOAS_MAP_FLAGS } from './flags.ts';
import { Ioas } from './ioas.ts';
import { call, doIoctl, IOCTLS, IOMMU_IOAS_ALLOC, IOMMU_IOAS_MAP, IOMMU_VFIO_IOAS } from './ioctl.ts';
import * as uapi from './structures.ts';
import { bytesOf, halvesOf } from './user-array.ts';

describe('the table', () => {
  // `_IO(';', nr)` and sizeof, from include/uapi/linux/iommufd.h of Linux 6.18; the third is offsetofend of the first version.
  test.each([
    ['IOMMU_DESTROY', 0x3b80, 8, 8],
    ['IOMMU_IOAS_ALLOC', 0x3b81, 12, 12],
    ['IOMMU_IOAS_ALLOW_IOVAS', 0x3b82, 24, 24],
    ['IOMMU_IOAS_COPY', 0x3b83, 40, 40],
    ['IOMMU_IOAS_IOVA_RANGES', 0x3b84, 32, 32],
    ['IOMMU_IOAS_MAP', 0x3b85, 40, 40],
    ['IOMMU_IOAS_UNMAP', 0x3b86, 24, 24],
    ['IOMMU_OPTION', 0x3b87, 24, 24],
    ['IOMMU_VFIO_IOAS', 0x3b88, 12, 12],
    ['IOMMU_HWPT_ALLOC', 0x3b89, 48, 24],
    ['IOMMU_GET_HW_INFO', 0x3b8a, 40, 32],
    ['IOMMU_HWPT_SET_DIRTY_TRACKING', 0x3b8b, 16, 16],
    ['IOMMU_HWPT_GET_DIRTY_BITMAP', 0x3b8c, 48, 48],
    ['IOMMU_HWPT_INVALIDATE', 0x3b8d, 32, 32],
    ['IOMMU_FAULT_QUEUE_ALLOC', 0x3b8e, 16, 16],
    ['IOMMU_VIOMMU_ALLOC', 0x3b90, 40, 24],
    ['IOMMU_VDEVICE_ALLOC', 0x3b91, 24, 24],
    ['IOMMU_VEVENTQ_ALLOC', 0x3b93, 32, 32],
    ['IOMMU_HW_QUEUE_ALLOC', 0x3b94, 40, 40],
  ])('%s', (name, number, size, smallest) => {
    const found = IOCTLS.filter((one) => one.name === name);
    expect(found.map((one) => [one.number, one.of.width / 8, one.smallest])).toEqual([[number, size, smallest]]);
  });

  test('has no others', () => expect(IOCTLS).toHaveLength(19));

  test.each(IOCTLS.map((one) => [one.name, one] as const))(
    '%s: every byte has a member, size is the first',
    (_, { of }) => {
      expect([...of.reserved].every((half) => half === 0)).toBe(true);
      expect(of.fields.size).toMatchObject({ lo: 0, hi: 31 });
    },
  );
});

test('structures are read as they are written', () => {
  const all: Layout<Fields>[] = Object.values(uapi);
  expect(all.length).toBeGreaterThan(25);
  fc.assert(
    fc.property(fc.constantFrom(...all), fc.uint8Array({ minLength: 48, maxLength: 48 }), (of, bytes) => {
      const given = bytes.slice(0, of.width / 8);
      const halves = new Int32Array([...halvesOf(given), 0]);
      expect([...bytesOf(encodeHalves(of, decodeHalves(of, halves)))]).toEqual([...given]);
    }),
    { seed: 7, numRuns: 300 },
  );
});

describe('ioctl()', () => {
  /** The structure of a map, longer or shorter than the kernel's. */
  function mapBytes(ioas_id: number, size: number, bytes = size): Uint8Array {
    const flags = IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
    const values = { size, flags, ioas_id, user_va: USER, length: 0x1000n };
    const out = new Uint8Array(Math.max(bytes, 40));
    out.set(bytesOf(encodeHalves(uapi.IOAS_MAP, values)));
    return out.subarray(0, bytes);
  }

  test('answers in place', () => {
    const { fd } = host();
    const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
    const bytes = mapBytes(ioas, 40);
    expect(doIoctl(fd, IOMMU_IOAS_MAP.number, bytes)).toBe(0);
    expect(new DataView(bytes.buffer).getBigUint64(32, true)).toBe(0x1000n);
  });

  test('a structure that is longer than the kernel knows it', () => {
    const { fd } = host();
    const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
    const bytes = mapBytes(ioas, 48);
    bytes[47] = 1;
    expect(doIoctl(fd, IOMMU_IOAS_MAP.number, bytes)).toBe(-ERRNO.E2BIG);
    expect(taken(fd.objects.get(ioas, Ioas)).table.areas).toEqual([]);
    bytes[47] = 0;
    expect(doIoctl(fd, IOMMU_IOAS_MAP.number, bytes)).toBe(0);
  });

  test('a structure of an older user: the rest is zero, and is not written', () => {
    const { fd } = host();
    const bytes = bytesOf(encodeHalves(uapi.HWPT_ALLOC, { size: 24, dev_id: 9, data_type: 3 }));
    // Beyond its size nothing is looked at: data without length would be −EINVAL.
    expect(doIoctl(fd, 0x3b89, bytes)).toBe(-ERRNO.ENOENT);
    expect(doIoctl(fd, 0x3b89, bytesOf(encodeHalves(uapi.HWPT_ALLOC, { size: 48, dev_id: 9, data_type: 3 })))).toBe(
      -ERRNO.EINVAL,
    );
  });

  test('what is no structure', () => {
    const { fd } = host();
    expect(doIoctl(fd, IOMMU_IOAS_MAP.number, mapBytes(1, 39))).toBe(-ERRNO.EINVAL);
    expect(doIoctl(fd, IOMMU_IOAS_MAP.number, mapBytes(1, 40, 20))).toBe(-ERRNO.EFAULT);
    expect(doIoctl(fd, IOMMU_IOAS_MAP.number, new Uint8Array(2))).toBe(-ERRNO.EFAULT);
    for (const unknown of [0x3b8f, 0x3b92, 0x3b95, 0x3c85, 0x85])
      expect(doIoctl(fd, unknown, mapBytes(1, 40))).toBe(-ERRNO.ENOTTY);
  });

  test('a refusal that answers: how many there would be, how many were handled', () => {
    const { fd } = host();
    const bytes = bytesOf(encodeHalves(uapi.HWPT_INVALIDATE, { size: 32, hwpt_id: 9, entry_num: 0 }));
    new DataView(bytes.buffer).setUint32(24, 5, true);
    expect(doIoctl(fd, 0x3b8d, bytes)).toBe(-ERRNO.EINVAL);
    expect(new DataView(bytes.buffer).getUint32(24, true)).toBe(0);
  });

  test('any bytes at all are answered, and nothing is thrown', () => {
    const known = fc.constantFrom(...IOCTLS.map(({ number }) => number));
    fc.assert(
      fc.property(known, fc.uint8Array({ minLength: 0, maxLength: 64 }), fc.boolean(), (number, bytes, sized) => {
        const { fd } = host();
        call(fd, IOMMU_IOAS_ALLOC, {});
        if (sized && bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, bytes.length, true);
        expect(doIoctl(fd, number, bytes)).toBeLessThanOrEqual(0);
      }),
      { seed: 11, numRuns: 2000 },
    );
  });
});

test('the IOAS of VFIO’s compatibility', () => {
  const { fd } = host();
  const ask = (op: number, ioas_id = 0, over = {}) => call(fd, IOMMU_VFIO_IOAS, { op, ioas_id, ...over });
  expect(ask(0).errno).toBe('ENODEV');
  expect(ask(1, 9).errno).toBe('ENOENT');
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  expect(ask(1, ioas).errno).toBe(null);
  expect(ask(0)).toMatchObject({ errno: null, ioas_id: ioas });
  expect(ask(2).errno).toBe(null);
  expect(ask(0).errno).toBe('ENODEV');
  expect([ask(3).errno, ask(0, 0, { __reserved: 1 }).errno]).toEqual(['EOPNOTSUPP', 'EOPNOTSUPP']);
});

test('numbers of errors', () => {
  expect([statusOf(null), statusOf(7), statusOf('EDEADLOCK'), statusOf('EOPNOTSUPP')]).toEqual([0, 7, -35, -95]);
});
