import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken, USER } from '../../../test/vmm/host.ts';
import type { Access } from './access.ts';
import { createAccess } from './access.ts';
import { attachDevice, bindDevice } from './device.ts';
import { IOAS_MAP_FLAGS } from './flags.ts';
import { MOST_TRIES } from './io-pagetable.ts';
import { call, IOMMU_DESTROY, IOMMU_IOAS_ALLOC, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP } from './ioctl.ts';
import { ULONG_MAX } from './user-memory.ts';

const { FIXED_IOVA, READABLE, WRITEABLE } = IOAS_MAP_FLAGS;

/** 16 pages at 0x10000, and a mediated device that unpins what it has when it is asked, unless it does not care. */
function mediated({ cares = true, pins = true, lockedPages = Number.POSITIVE_INFINITY } = {}) {
  const it = host({ lockedPages });
  const { fd } = it;
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const map = (iova: bigint, length: bigint, over = {}) =>
    call(fd, IOMMU_IOAS_MAP, {
      ...{ ioas_id: ioas, flags: FIXED_IOVA | READABLE | WRITEABLE, iova, length, user_va: USER, ...over },
    }).errno;
  const unmap = (iova: bigint, length: bigint) => call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova, length });
  expect(map(0x10000n, 0x10000n)).toBe(null);
  const asked: string[] = [];
  const held: (readonly [bigint, bigint])[] = [];
  const access: Access = createAccess(fd, {
    pins,
    unmap: (iova, length) => {
      asked.push(`${iova.toString(16)}+${length.toString(16)}`);
      if (!cares) return;
      for (const [at, bytes] of held.splice(0)) access.unpin(at, bytes);
    },
  });
  expect(access.attach(ioas)).toBe(null);
  const pin = (iova: bigint, length: bigint, write = false) => {
    const frames = access.pin(iova, length, write);
    if (typeof frames !== 'string') held.push([iova, length]);
    return frames;
  };
  return { ...it, ioas, map, unmap, access, asked, held, pin };
}

describe('pin', () => {
  test('frames of pages', () => {
    const { pin } = mediated();
    expect(pin(0x11000n, 0x2000n)).toEqual([0x1001, 0x1002]);
    expect(pin(0x11000n, 1n)).toEqual([0x1001]);
  });

  test('over two areas that touch, and over a gap', () => {
    const { map, pin } = mediated();
    map(0x20000n, 0x1000n, { user_va: USER + 0x20000n });
    expect(pin(0x1f000n, 0x2000n)).toEqual([0x100f, 0x1020]);
    expect(pin(0x20000n, 0x2000n)).toBe('ENOENT');
    expect(pin(0xf000n, 0x2000n)).toBe('ENOENT');
  });

  test('what may not be', () => {
    const { access, ioas, map, pin, fd } = mediated();
    map(0x20000n, 0x1000n, { flags: FIXED_IOVA | READABLE });
    expect(pin(0x20000n, 0x1000n, true)).toBe('EPERM');
    expect(pin(0x1f000n, 0x2000n, true)).toBe('EPERM');
    expect(pin(0x10000n, 0n)).toBe('EINVAL');
    expect(pin(0x10800n, 0x1000n)).toBe('EINVAL');
    expect(pin(ULONG_MAX, 2n)).toBe('EOVERFLOW');
    expect(fd.accounts.user).toBe(0);
    expect(access.attach(ioas)).toBe('EINVAL');
    access.detach();
    expect(pin(0x10000n, 0x1000n)).toBe('ENOENT');
    expect(access.replace(ioas)).toBe('ENOENT');
    expect(access.attach(99)).toBe('ENOENT');
  });

  test('needs pages: what is mapped already has to be of them', () => {
    const { fd } = host();
    const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
    const flags = FIXED_IOVA | READABLE;
    call(fd, IOMMU_IOAS_MAP, { ioas_id: ioas, flags, iova: 0x10n, length: 0x10n, user_va: USER + 0x10n });
    const access = createAccess(fd, { pins: true, unmap: () => {} });
    expect(access.attach(ioas)).toBe('EADDRINUSE');
    expect(createAccess(fd, { pins: false, unmap: () => {} }).attach(ioas)).toBe(null);
  });

  test('is charged, each page once', () => {
    const { fd, pin, smmu, ioas } = mediated({ lockedPages: 16 });
    taken(pin(0x10000n, 0x2000n));
    taken(pin(0x11000n, 0x2000n));
    expect(fd.accounts.user).toBe(3);
    taken(attachDevice(taken(bindDevice(fd, deviceOf(smmu, 1))), ioas));
    expect(fd.accounts.user).toBe(16);
  });
});

describe('unmap of what is pinned', () => {
  test('a driver that unpins', () => {
    const { asked, pin, unmap } = mediated();
    taken(pin(0x11000n, 0x1000n));
    expect(unmap(0x10000n, 0x10000n)).toMatchObject({ errno: null, length: 0x10000n });
    expect(asked).toEqual(['10000+10000']);
  });

  test('a driver that never does: the kernel gives up, and nobody can pin there any more', () => {
    const { access, asked, held, pin, unmap } = mediated({ cares: false });
    taken(pin(0x11000n, 0x1000n));
    expect(unmap(0x10000n, 0x10000n).errno).toBe('EDEADLOCK');
    expect(asked).toHaveLength(MOST_TRIES + 1);
    expect([access.pin(0x12000n, 0x1000n, false), access.read(0x12000n, 4n)]).toEqual(['EINVAL', 'EINVAL']);
    for (const [at, bytes] of held.splice(0)) access.unpin(at, bytes);
    expect(unmap(0x10000n, 0x10000n)).toMatchObject({ errno: null, length: 0x10000n });
  });

  test('areas before it are gone already', () => {
    const { map, pin, unmap } = mediated({ cares: false });
    map(0x8000n, 0x1000n);
    taken(pin(0x11000n, 0x1000n));
    expect(unmap(0x8000n, 0x20000n).errno).toBe('EDEADLOCK');
    expect(map(0x8000n, 0x1000n)).toBe(null);
  });
});

describe('read and write', () => {
  test('what is mapped there', () => {
    const { access, map, memory } = mediated({ pins: false });
    map(0x20000n, 0x1000n, { user_va: USER + 0x30000n, flags: FIXED_IOVA | READABLE });
    memory.bytes.set([1, 2], 0xfffe);
    memory.bytes.set([3, 4], 0x30000);
    expect([...taken(access.read(0x1fffen, 4n))]).toEqual([1, 2, 3, 4]);
    expect(access.write(0x1fffen, Uint8Array.of(9, 9, 9))).toBe('EPERM');
    expect(access.write(0x10010n, Uint8Array.of(7))).toBe(null);
    expect(memory.bytes[0x10]).toBe(7);
    expect(access.read(0x20fffn, 2n)).toBe('ENOENT');
    expect(access.read(0x20000n, 0n)).toBe('EINVAL');
  });
});

test('an access holds its IOAS, and nobody destroys it for its driver', () => {
  const { access, fd, ioas } = mediated();
  const destroy = (id: number) => call(fd, IOMMU_DESTROY, { id }).errno;
  expect([destroy(ioas), destroy(access.id)]).toEqual(['EBUSY', 'EBUSY']);
  access.end();
  expect([destroy(access.id), destroy(ioas)]).toEqual(['ENOENT', null]);
});

test('to another IOAS: what was pinned in the first is let go', () => {
  const { access, asked, fd, pin } = mediated();
  taken(pin(0x11000n, 0x1000n));
  const other = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  expect(access.replace(other)).toBe(null);
  expect(asked).toEqual([`0+${ULONG_MAX.toString(16)}`]);
  expect(pin(0x11000n, 0x1000n)).toBe('ENOENT');
  expect(fd.accounts.user).toBe(0);
});
