import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken, USER } from '../../../test/vmm/host.ts';
import type { Iommufd } from './context.ts';
import { attachDevice, bindDevice } from './device.ts';
import { IOAS_MAP_FLAGS, OPTION_ID, OPTION_OP } from './flags.ts';
import { Ioas } from './ioas.ts';
import {
  call,
  IOMMU_DESTROY,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_ALLOW_IOVAS,
  IOMMU_IOAS_COPY,
  IOMMU_IOAS_IOVA_RANGES,
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_UNMAP,
  IOMMU_OPTION,
} from './ioctl.ts';
import { ULONG_MAX } from './user-memory.ts';

const { FIXED_IOVA, READABLE, WRITEABLE } = IOAS_MAP_FLAGS;
const RW = READABLE | WRITEABLE;

const newIoas = (fd: Iommufd) => call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
const map = (fd: Iommufd, ioas_id: number, iova: bigint, length = 0x1000n, over = {}) =>
  call(fd, IOMMU_IOAS_MAP, { ioas_id, flags: FIXED_IOVA | RW, iova, length, user_va: USER, ...over });
const unmap = (fd: Iommufd, ioas_id: number, iova: bigint, length: bigint) =>
  call(fd, IOMMU_IOAS_UNMAP, { ioas_id, iova, length });
const table = (fd: Iommufd, id: number) => taken(fd.objects.get(id, Ioas)).table;
const areas = (fd: Iommufd, id: number) => table(fd, id).areas.map(({ last, start }) => [start, last]);

describe('map', () => {
  test('at a fixed address, and again there', () => {
    const { fd } = host();
    const ioas = newIoas(fd);
    expect(map(fd, ioas, 0x10000n)).toMatchObject({ errno: null, iova: 0x10000n });
    expect(map(fd, ioas, 0x10fffn, 1n).errno).toBe('EEXIST');
    expect(map(fd, ioas, 0x11000n, 1n).errno).toBe(null);
  });

  test.each([
    ['unknown flags', { flags: 8 | RW }, 'EOPNOTSUPP'],
    ['a reserved member', { __reserved: 1 }, 'EOPNOTSUPP'],
    ['neither readable nor writable', { flags: FIXED_IOVA }, 'EINVAL'],
    ['no IOAS', { ioas_id: 99 }, 'ENOENT'],
    ['nothing', { length: 0n }, 'EINVAL'],
    ['past the end', { iova: ULONG_MAX - 0xfffn, length: 0x2000n }, 'EOVERFLOW'],
    ['a length of everything', { length: ULONG_MAX }, 'EOVERFLOW'],
    ['an address of everything', { iova: ULONG_MAX }, 'EOVERFLOW'],
    ['a length that rounding up to pages overflows', { length: ULONG_MAX - 1n }, 'EINVAL'],
  ])('%s', (_, over, errno) => {
    const { fd } = host();
    const ioas = newIoas(fd);
    expect(map(fd, ioas, 0x10000n, 0x1000n, over).errno).toBe(errno);
    expect(areas(fd, ioas)).toEqual([]);
  });

  test('the flags are looked at before the IOAS', () => {
    const { fd } = host();
    expect(map(fd, 99, 0n, 0x1000n, { flags: 0x80 }).errno).toBe('EOPNOTSUPP');
  });

  test('anywhere: never 0, aligned as the user address', () => {
    const { fd } = host();
    const ioas = newIoas(fd);
    const anywhere = (length: bigint, user_va = USER) => map(fd, ioas, 0n, length, { flags: RW, user_va }).iova;
    expect(anywhere(0x1000n)).toBe(0x1000n);
    expect(anywhere(0x4000n)).toBe(0x4000n);
    expect(anywhere(0x3000n, USER + 0x1000n)).toBe(0x8000n);
    expect(anywhere(0x100n, USER + 0x1234n)).toBe(0x2234n);
  });

  test('anywhere: nothing is left', () => {
    const { fd } = host();
    const ioas = newIoas(fd);
    expect(map(fd, ioas, 0x1000n, ULONG_MAX - 0x2000n).errno).toBe(null);
    expect(map(fd, ioas, 0n, 0x1000n, { flags: RW }).errno).toBe('ENOSPC');
    expect(map(fd, ioas, 0n, ULONG_MAX / 2n, { flags: RW }).errno).toBe('EOVERFLOW');
  });

  test('with page tables: pages of the IOMMU, and frames in runs', () => {
    const { fd, hardware, memory, smmu } = host();
    const ioas = newIoas(fd);
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    taken(attachDevice(device, ioas));
    expect(map(fd, ioas, 0x10800n, 0x1000n).errno).toBe('EINVAL');
    expect(map(fd, ioas, 0x10000n, 0x800n).errno).toBe('EINVAL');
    expect(map(fd, ioas, 0x10000n, 0x1000n, { user_va: USER + 0x800n }).errno).toBe('EINVAL');
    memory.frames[2] = 0x5000;
    expect(map(fd, ioas, 0x10000n, 0x4000n).errno).toBe(null);
    expect(hardware.tables[0].mappings.map(({ address, start }) => [start, address])).toEqual([
      ...[
        [0x10000n, 0x1000000n],
        [0x12000n, 0x5000000n],
        [0x13000n, 0x1003000n],
      ],
    ]);
  });

  test('what is not mapped for the user is EFAULT, once a page table needs it', () => {
    const { fd, hardware, smmu } = host();
    const ioas = newIoas(fd);
    const nowhere = { user_va: 0x1000n };
    expect(map(fd, ioas, 0x10000n, 0x1000n, nowhere).errno).toBe(null);
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    expect(attachDevice(device, ioas)).toBe('EFAULT');
    expect(unmap(fd, ioas, 0x10000n, 0x1000n).errno).toBe(null);
    taken(attachDevice(device, ioas));
    expect(map(fd, ioas, 0x10000n, 0x1000n, nowhere).errno).toBe('EFAULT');
    expect([areas(fd, ioas), hardware.tables.at(-1)?.mappings]).toEqual([[], []]);
  });

  test('RLIMIT_MEMLOCK: charged while a page table has it, once for copies', () => {
    const { fd, smmu } = host({ lockedPages: 3 });
    const [ioas, other] = [newIoas(fd), newIoas(fd)];
    for (const [i, id] of [ioas, other].entries())
      taken(attachDevice(taken(bindDevice(fd, deviceOf(smmu, i + 1))), id));
    expect(map(fd, ioas, 0x10000n, 0x3000n).errno).toBe(null);
    const copy = { dst_ioas_id: other, src_ioas_id: ioas, flags: RW | FIXED_IOVA, length: 0x3000n, src_iova: 0x10000n };
    expect(call(fd, IOMMU_IOAS_COPY, { ...copy, dst_iova: 0x50000n }).errno).toBe(null);
    expect(fd.accounts.user).toBe(3);
    expect(map(fd, ioas, 0x20000n).errno).toBe('ENOMEM');
    expect(unmap(fd, ioas, 0x10000n, 0x3000n).errno).toBe(null);
    expect(fd.accounts.user).toBe(3);
    expect(unmap(fd, other, 0x50000n, 0x3000n).errno).toBe(null);
    expect(fd.accounts.user).toBe(0);
  });
});

describe('unmap', () => {
  function three() {
    const { fd } = host();
    const ioas = newIoas(fd);
    for (const iova of [0x10000n, 0x12000n, 0x14000n]) map(fd, ioas, iova);
    return { fd, ioas };
  }

  test('what lies inside, and how many bytes', () => {
    const { fd, ioas } = three();
    expect(unmap(fd, ioas, 0xf000n, 0x4000n)).toMatchObject({ errno: null, length: 0x2000n });
    expect(areas(fd, ioas)).toEqual([[0x14000n, 0x14fffn]]);
  });

  test('an area that begins before the range: nothing has changed', () => {
    const { fd, ioas } = three();
    expect(unmap(fd, ioas, 0x10800n, 0x8000n)).toMatchObject({ errno: 'ENOENT', length: 0x8000n });
    expect(areas(fd, ioas)).toHaveLength(3);
  });

  test('an area that ends behind the range: those before it are gone, and nobody is told', () => {
    const { fd, ioas } = three();
    expect(unmap(fd, ioas, 0x10000n, 0x4800n)).toMatchObject({ errno: 'ENOENT', length: 0x4800n });
    expect(areas(fd, ioas)).toEqual([[0x14000n, 0x14fffn]]);
  });

  test('nothing, everything, and what is no range', () => {
    const { fd, ioas } = three();
    expect(unmap(fd, ioas, 0x20000n, 0x1000n).errno).toBe('ENOENT');
    expect(unmap(fd, ioas, 0x10000n, 0n).errno).toBe('EINVAL');
    expect(unmap(fd, ioas, 0x10000n, ULONG_MAX).errno).toBe('EOVERFLOW');
    expect(unmap(fd, ioas, 0x10000n, ULONG_MAX - 1n).errno).toBe('EOVERFLOW');
    expect(unmap(fd, 99, 0n, ULONG_MAX).errno).toBe('ENOENT');
    expect(unmap(fd, ioas, 0n, ULONG_MAX)).toMatchObject({ errno: null, length: 0x3000n });
    expect(unmap(fd, ioas, 0n, ULONG_MAX)).toMatchObject({ errno: null, length: 0n });
  });
});

describe('copy', () => {
  test('part of a map, and over two that touch', () => {
    const { fd } = host();
    const [from, to] = [newIoas(fd), newIoas(fd)];
    map(fd, from, 0x10000n, 0x2000n);
    map(fd, from, 0x12000n, 0x1000n, { user_va: USER + 0x8000n });
    const copy = (src_iova: bigint, length: bigint, over = {}) =>
      call(fd, IOMMU_IOAS_COPY, {
        ...{ dst_ioas_id: to, src_ioas_id: from, flags: RW | FIXED_IOVA, length, src_iova, dst_iova: 0x90000n },
        ...over,
      });
    expect(copy(0x11000n, 0x2000n).errno).toBe(null);
    expect(areas(fd, to)).toEqual([
      [0x90000n, 0x90fffn],
      [0x91000n, 0x91fffn],
    ]);
    expect(copy(0x12000n, 0x2000n).errno).toBe('ENOENT');
    expect(copy(0x11000n, 0x1000n).errno).toBe('EEXIST');
    expect(copy(0x11000n, 0n).errno).toBe('EINVAL');
    expect(copy(0x11000n, 0x1000n, { src_ioas_id: 99 }).errno).toBe('ENOENT');
    expect(copy(0x11000n, 0x1000n, { dst_ioas_id: 99 }).errno).toBe('ENOENT');
    expect(areas(fd, to)).toHaveLength(2);
  });

  test('what was not mapped for writing is not copied for it', () => {
    const { fd } = host();
    const [from, to] = [newIoas(fd), newIoas(fd)];
    map(fd, from, 0x10000n, 0x1000n, { flags: FIXED_IOVA | READABLE });
    const copy = { dst_ioas_id: to, src_ioas_id: from, length: 0x1000n, src_iova: 0x10000n, dst_iova: 0x20000n };
    expect(call(fd, IOMMU_IOAS_COPY, { ...copy, flags: RW | FIXED_IOVA }).errno).toBe('EPERM');
    expect(areas(fd, to)).toEqual([]);
    expect(call(fd, IOMMU_IOAS_COPY, { ...copy, flags: READABLE | FIXED_IOVA }).errno).toBe(null);
  });
});

describe('ranges', () => {
  const reserved = [
    { type: 'msi', start: 0x8000000n, last: 0x80fffffn },
    { type: 'direct-relaxable', start: 0x1000n, last: 0x1fffn },
  ] as const;

  function attached() {
    const it = host();
    const ioas = newIoas(it.fd);
    const device = taken(bindDevice(it.fd, deviceOf(it.smmu, 1, { reserved })));
    return { ...it, ioas, device };
  }
  const allow = ({ fd, memory }: ReturnType<typeof host>, ioas_id: number, ranges: (readonly [bigint, bigint])[]) => {
    const view = new DataView(memory.bytes.buffer);
    ranges.forEach(([start, last], i) => {
      view.setBigUint64(16 * i, start, true);
      view.setBigUint64(16 * i + 8, last, true);
    });
    return call(fd, IOMMU_IOAS_ALLOW_IOVAS, { ioas_id, num_iovas: ranges.length, allowed_iovas: USER }).errno;
  };

  test('a device and its page table take some away', () => {
    const it = attached();
    const { fd, ioas, device, memory } = it;
    const ask = (num_iovas: number) =>
      call(fd, IOMMU_IOAS_IOVA_RANGES, { ioas_id: ioas, num_iovas, allowed_iovas: USER });
    expect(ask(4)).toMatchObject({ errno: null, num_iovas: 1, out_iova_alignment: 1n });
    taken(attachDevice(device, ioas));
    expect(ask(1)).toMatchObject({ errno: 'EMSGSIZE', num_iovas: 2 });
    expect(ask(2)).toMatchObject({ errno: null, num_iovas: 2, out_iova_alignment: 0x1000n });
    const view = new DataView(memory.bytes.buffer);
    const words = [0, 8, 16, 24].map((at) => view.getBigUint64(at, true));
    expect(words).toEqual([0n, 0x7ffffffn, 0x8100000n, 0xffff_ffff_ffffn]);
    expect(map(fd, ioas, 0x8000000n).errno).toBe('EINVAL');
    expect(map(fd, ioas, 1n << 48n).errno).toBe('EINVAL');
  });

  test('what is mapped or promised stands in the way of a device, which then is not attached', () => {
    const it = attached();
    map(it.fd, it.ioas, 0x8001000n);
    expect(attachDevice(it.device, it.ioas)).toBe('EADDRINUSE');
    expect([it.device.hwpt, table(it.fd, it.ioas).reserved, it.hardware.streams.size]).toEqual([null, [], 0]);
    unmap(it.fd, it.ioas, 0n, ULONG_MAX);
    expect(allow(it, it.ioas, [[0x8000000n, 0x9000000n]])).toBe(null);
    expect(attachDevice(it.device, it.ioas)).toBe('EADDRINUSE');
    expect(allow(it, it.ioas, [[0x1000n, 0x2fffn]])).toBe(null);
    taken(attachDevice(it.device, it.ioas));
    expect(allow(it, it.ioas, [[0x8000000n, 0x9000000n]])).toBe('EADDRINUSE');
    expect(map(it.fd, it.ioas, 0n, 0x1000n, { flags: RW }).iova).toBe(0x1000n);
    expect(map(it.fd, it.ioas, 0n, 0x2000n, { flags: RW }).errno).toBe('ENOSPC');
  });

  test('ranges that are none', () => {
    const it = attached();
    expect(allow(it, it.ioas, [[0x1000n, 0x1000n]])).toBe('EINVAL');
    expect(
      allow(it, it.ioas, [
        [0x1000n, 0x2000n],
        [0x2000n, 0x3000n],
      ]),
    ).toBe('EINVAL');
    const bad = { ioas_id: it.ioas, num_iovas: 1, allowed_iovas: 0n };
    expect(call(it.fd, IOMMU_IOAS_ALLOW_IOVAS, bad).errno).toBe('EFAULT');
    expect(call(it.fd, IOMMU_IOAS_ALLOW_IOVAS, { ...bad, __reserved: 1 }).errno).toBe('EOPNOTSUPP');
  });
});

describe('options', () => {
  const set = (fd: Iommufd, option_id: number, object_id: number, val64: bigint) =>
    call(fd, IOMMU_OPTION, { option_id, object_id, op: OPTION_OP.SET, val64 }).errno;
  const get = (fd: Iommufd, option_id: number, object_id: number) =>
    call(fd, IOMMU_OPTION, { option_id, object_id, op: OPTION_OP.GET }).val64;

  test('huge pages: one map call for each page without them', () => {
    const { fd, hardware, smmu } = host();
    const ioas = newIoas(fd);
    expect(get(fd, OPTION_ID.HUGE_PAGES, ioas)).toBe(1n);
    expect(set(fd, OPTION_ID.HUGE_PAGES, ioas, 0n)).toBe(null);
    expect(get(fd, OPTION_ID.HUGE_PAGES, ioas)).toBe(0n);
    taken(attachDevice(taken(bindDevice(fd, deviceOf(smmu, 1))), ioas));
    map(fd, ioas, 0x10000n, 0x3000n);
    expect(hardware.tables[0].mappings).toHaveLength(3);
    expect(set(fd, OPTION_ID.HUGE_PAGES, ioas, 1n)).toBe(null);
    expect(set(fd, OPTION_ID.HUGE_PAGES, ioas, 0n)).toBe('EINVAL');
  });

  test('huge pages: what is mapped and no multiple of a page', () => {
    const { fd } = host();
    const ioas = newIoas(fd);
    map(fd, ioas, 0x10010n, 0x10n, { user_va: USER + 0x10n });
    expect(set(fd, OPTION_ID.HUGE_PAGES, ioas, 0n)).toBe('EADDRINUSE');
    expect(get(fd, OPTION_ID.HUGE_PAGES, ioas)).toBe(1n);
    expect(set(fd, OPTION_ID.HUGE_PAGES, ioas, 2n)).toBe('EINVAL');
    expect(set(fd, OPTION_ID.HUGE_PAGES, 99, 0n)).toBe('ENOENT');
    expect(call(fd, IOMMU_OPTION, { option_id: OPTION_ID.HUGE_PAGES, object_id: ioas, op: 2 }).errno).toBe(
      'EOPNOTSUPP',
    );
  });

  test('limits: before the first object, and with the capability', () => {
    const { fd } = host({ mayChangeLimits: true });
    expect(set(fd, OPTION_ID.RLIMIT_MODE, 0, 2n)).toBe('EINVAL');
    expect(set(fd, OPTION_ID.RLIMIT_MODE, 1, 1n)).toBe('EOPNOTSUPP');
    expect(set(fd, OPTION_ID.RLIMIT_MODE, 0, 1n)).toBe(null);
    expect(get(fd, OPTION_ID.RLIMIT_MODE, 0)).toBe(1n);
    newIoas(fd);
    expect(set(fd, OPTION_ID.RLIMIT_MODE, 0, 0n)).toBe('EBUSY');
    expect(set(host().fd, OPTION_ID.RLIMIT_MODE, 0, 1n)).toBe('EPERM');
    expect(set(fd, 7, 0, 1n)).toBe('EOPNOTSUPP');
  });
});

describe('destroy', () => {
  test('ids are the lowest that are free', () => {
    const { fd } = host();
    expect([newIoas(fd), newIoas(fd), newIoas(fd)]).toEqual([1, 2, 3]);
    expect(call(fd, IOMMU_DESTROY, { id: 2 }).errno).toBe(null);
    expect(call(fd, IOMMU_DESTROY, { id: 2 }).errno).toBe('ENOENT');
    expect(newIoas(fd)).toBe(2);
    expect(call(fd, IOMMU_IOAS_ALLOC, { flags: 1 }).errno).toBe('EOPNOTSUPP');
  });

  test('not while a page table is of it', () => {
    const { fd, smmu } = host();
    const ioas = newIoas(fd);
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    const hwpt = taken(attachDevice(device, ioas));
    for (const id of [ioas, hwpt, device.id]) expect(call(fd, IOMMU_DESTROY, { id }).errno).toBe('EBUSY');
  });
});

test('areas never overlap, and unmapped bytes are those that were mapped', () => {
  const iova = fc.integer({ min: 0, max: 31 }).map((page) => BigInt(page) * 0x1000n);
  const length = fc.integer({ min: 1, max: 6 }).map((pages) => BigInt(pages) * 0x1000n);
  const steps = fc.array(fc.tuple(fc.constantFrom('map', 'any', 'unmap'), iova, length), { maxLength: 40 });
  fc.assert(
    fc.property(steps, (program) => {
      const { fd, hardware, smmu } = host();
      const ioas = newIoas(fd);
      taken(attachDevice(taken(bindDevice(fd, deviceOf(smmu, 1))), ioas));
      for (const [what, at, bytes] of program) {
        const before = areas(fd, ioas);
        if (what === 'unmap') {
          const { errno, length: done } = unmap(fd, ioas, at, bytes);
          const gone = before.filter((area) => !areas(fd, ioas).some(([start]) => start === area[0]));
          const lost = gone.reduce((sum, [start, last]) => sum + last - start + 1n, 0n);
          if (errno === null) expect(done).toBe(lost);
          else expect(errno).toBe('ENOENT');
        } else map(fd, ioas, at, bytes, what === 'map' ? {} : { flags: RW });
        const now = areas(fd, ioas);
        now.slice(1).forEach(([start], i) => expect(start).toBeGreaterThan(now[i][1]));
        const mapped = hardware.tables[0].mappings.reduce((sum, { last, start }) => sum + last - start + 1n, 0n);
        expect(mapped).toBe(now.reduce((sum, [start, last]) => sum + last - start + 1n, 0n));
      }
    }),
    { seed: 5, numRuns: 100 },
  );
});
