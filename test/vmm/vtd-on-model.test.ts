/** iommufd over the model of VT-d in scalable mode: the kernel's tables of both stages, and a guest's first stage behind a parent. Nothing here is a mock. */
import { describe, expect, test } from 'vitest';
import { encodeHalves } from '../../src/bits/index.ts';
import { FS_PAGE, FS_TABLE, REQUEST, VtdEmulator } from '../../src/iommu/vtd/index.ts';
import { RamMemory } from '../../src/machine/index.ts';
import type { HostDevice } from '../../src/vmm/iommufd/index.ts';
import {
  attachDevice,
  bindDevice,
  bytesOf,
  call,
  DmaOwners,
  detachDevice,
  HostMemory,
  HWPT_ALLOC_FLAGS,
  HWPT_DATA,
  HWPT_VTD_S1,
  HWPT_VTD_S1_INVALIDATE,
  IntelIommu,
  IOAS_MAP_FLAGS,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_GET_DIRTY_BITMAP,
  IOMMU_HWPT_INVALIDATE,
  IOMMU_HWPT_SET_DIRTY_TRACKING,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_UNMAP,
  IOMMU_VIOMMU_ALLOC,
  Iommufd,
  replaceDevice,
  VTD_S1_FLAGS,
  VtdOnModel,
} from '../../src/vmm/iommufd/index.ts';
import { taken } from './host.ts';
import { RamUser, USER } from './machine.ts';

const FRAMES = 1024;
const FIRST = 0x40;
const PAGES = 0x80;
const BYTES = BigInt(PAGES) << 12n;
const RID = 0x0108;
const SCALABLE = { SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, PASID: 1, PSS: 19, RPS: 1, SMPWCS: 1 };

function machine(ecap: object = {}) {
  const ram = new RamMemory(FRAMES);
  const unit = () => new VtdEmulator({ memory: ram.words.buffer, ecap: { ...SCALABLE, ...ecap } });
  const [emulator, otherEmulator] = [unit(), unit()];
  const iommu = new IntelIommu(new VtdOnModel('dmar0', emulator.unit, new HostMemory(ram, 512, 767)));
  const other = new IntelIommu(new VtdOnModel('dmar1', otherEmulator.unit, new HostMemory(ram, 768, 1023)));
  const memory = new RamUser(ram, FIRST, PAGES);
  const fd = new Iommufd({ memory, owners: new DmaOwners() });
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const deviceOf = (on: IntelIommu, sid: number): HostDevice => ({
    ...{ name: `device ${sid}`, iommu: on, group: (on === iommu ? 0 : 0x1_0000) + sid, sid, coherent: true },
    ...{ isolatedMsi: true, dirtyTracking: true, sharedPri: false, reserved: [] },
  });
  const bind = (on = iommu, sid = RID) => taken(bindDevice(fd, deviceOf(on, sid)));
  const flags = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
  const map = (iova = 0n, over = {}) =>
    call(fd, IOMMU_IOAS_MAP, { ioas_id: ioas, flags, iova, length: BYTES, user_va: USER, ...over }).errno;
  const unmap = (iova = 0n) => call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova, length: BYTES }).errno;
  const dmaOf =
    (on: VtdEmulator, rid: number) =>
    (address: number, kind: 0 | 1 = 0) => {
      const result = on.translate(rid, address, kind === 0 ? REQUEST.read : REQUEST.write);
      return result < 0 ? `fault 0x${(-result).toString(16)}` : `0x${result.toString(16)}`;
    };
  return {
    ...{ ram, fd, ioas, iommu, other, memory, bind, map, unmap },
    ...{ dma: dmaOf(emulator, RID), otherDma: dmaOf(otherEmulator, RID) },
  };
}

const at = (page: number, offset = 0) => `0x${((FIRST + page) * 4096 + offset).toString(16)}`;

describe('the kernel’s own tables', () => {
  test.each([
    ['first stage', {}],
    ['second stage', { FSTS: 0, NEST: 0 }],
  ])('%s: what is mapped, until it is unmapped, and its rights', (_, ecap) => {
    const { bind, dma, ioas, map, unmap } = machine(ecap);
    const device = bind();
    expect(dma(0x5010)).toMatch(/fault/);
    expect(map(0x100000n)).toBe(null);
    taken(attachDevice(device, ioas));
    expect([dma(0x105010), dma(0x105010, 1)]).toEqual([at(5, 0x10), at(5, 0x10)]);
    expect(unmap(0x100000n)).toBe(null);
    expect(dma(0x105010)).toMatch(/fault/);
    expect(map(0n, { flags: IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE })).toBe(null);
    expect([dma(0x5010), dma(0x5010, 1)]).toEqual([at(5, 0x10), expect.stringMatching(/fault/)]);
  });

  test('one table serves devices of both units, and an unmap reaches both', () => {
    const { bind, dma, fd, ioas, iommu, map, other, otherDma, unmap } = machine();
    const [one, two] = [bind(iommu), bind(other)];
    map();
    expect(taken(attachDevice(two, ioas))).toBe(taken(attachDevice(one, ioas)));
    expect([dma(0x5000), otherDma(0x5000)]).toEqual([at(5), at(5)]);
    unmap();
    expect([dma(0x5000), otherDma(0x5000)]).toEqual([expect.stringMatching(/fault/), expect.stringMatching(/fault/)]);
    expect(fd.objects.all().filter(({ type }) => type === 'HWPT_PAGING').length).toBe(1);
  });

  test('a detached device reaches nothing, whatever is cached', () => {
    const { bind, dma, ioas, map } = machine();
    const device = bind();
    map();
    taken(attachDevice(device, ioas));
    expect(dma(0x5000)).toBe(at(5));
    detachDevice(device);
    expect(dma(0x5000)).toMatch(/fault/);
  });
});

const PAGE = { L4: 1, L3: 2, L2: 3, L1: 4, A: 5, B: 6, DATA: 9 } as const;

/** A guest whose first stage has 0x5000 at its page A. */
function guest(over = {}, ecap = {}) {
  const it = machine(ecap);
  const { bind, fd, ioas, map, memory, ram } = it;
  const device = bind();
  const flags = HWPT_ALLOC_FLAGS.NEST_PARENT;
  const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags }).out_hwpt_id;
  expect(map()).toBe(null);
  const ipa = (page: number) => BigInt(page) << 12n;
  const put = (page: number, word: number, halves: ArrayLike<number>) =>
    ram.write(ram.locate(FIRST + page, word), halves[0], halves[1]);
  const tables = [PAGE.L4, PAGE.L3, PAGE.L2, PAGE.L1];
  tables.slice(1).forEach((below, i) => {
    put(tables[i], 0, encodeHalves(FS_TABLE, { P: 1, RW: 1, US: 1, ADDR: ipa(below) }));
  });
  const setPage = (page: number) => put(PAGE.L1, 5, encodeHalves(FS_PAGE, { P: 1, RW: 1, US: 1, ADDR: ipa(page) }));
  setPage(PAGE.A);
  const nest = (given = {}) => {
    const s1 = { flags: 0n, pgtbl_addr: ipa(PAGE.L4), addr_width: 48, ...given };
    memory.write(USER + ipa(PAGE.DATA), bytesOf(encodeHalves(HWPT_VTD_S1, s1)));
    const data = { data_type: HWPT_DATA.VTD_S1, data_len: 24, data_uptr: USER + ipa(PAGE.DATA) };
    return call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: parent, ...data });
  };
  const made = nest(over);
  const invalidate = (...entries: { addr: bigint; npages: bigint }[]) => {
    entries.forEach((one, i) => {
      memory.write(USER + ipa(PAGE.DATA) + BigInt(24 * i), bytesOf(encodeHalves(HWPT_VTD_S1_INVALIDATE, one)));
    });
    const array = { data_uptr: USER + ipa(PAGE.DATA), data_type: 0, entry_len: 24, entry_num: entries.length };
    const { entry_num, errno } = call(fd, IOMMU_HWPT_INVALIDATE, { hwpt_id: made.out_hwpt_id, ...array });
    return { errno, entry_num };
  };
  return {
    ...it,
    device,
    parent,
    setPage,
    nest,
    invalidate,
    made,
    attach: () => attachDevice(device, made.out_hwpt_id),
  };
}

describe('a guest’s first stage behind a parent', () => {
  test('both stages translate', () => {
    const { attach, dma } = guest();
    taken(attach());
    expect([dma(0x5123), dma(0x6000)]).toEqual([at(PAGE.A, 0x123), expect.stringMatching(/fault/)]);
  });

  test.each([
    ['the page', { addr: 0x5000n, npages: 1n }],
    ['a range', { addr: 0x3000n, npages: 7n }],
    ['everything', { addr: 0n, npages: 2n ** 64n - 1n }],
  ])('a change is seen after its invalidation of %s, and need not be before', (_, entry) => {
    const { attach, dma, invalidate, setPage } = guest();
    taken(attach());
    expect(dma(0x5000)).toBe(at(PAGE.A));
    setPage(PAGE.B);
    expect(invalidate({ addr: 0x8000n, npages: 4n })).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(invalidate({ addr: 0x9000n, npages: 1n }, entry)).toEqual({ errno: null, entry_num: 2 });
    expect(dma(0x5000)).toBe(at(PAGE.B));
  });

  test('what the host unmaps is gone for the guest', () => {
    const { attach, dma, unmap } = guest();
    taken(attach());
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(unmap()).toBe(null);
    expect(dma(0x5000)).toMatch(/fault/);
  });

  test('replaced by the parent alone', () => {
    const { attach, device, dma, parent } = guest();
    taken(attach());
    dma(0x5000);
    taken(replaceDevice(device, parent));
    expect(dma(0x6000)).toBe(at(6));
  });

  test.each([
    ['of 5 levels on a unit of 4', { addr_width: 57 }],
    ['of a width that there is not', { addr_width: 39 }],
    ['for supervisors, where the unit has none', { flags: BigInt(VTD_S1_FLAGS.SRE) }],
    ['with the extended flag, where the unit has none', { flags: BigInt(VTD_S1_FLAGS.EAFE) }],
  ])('one %s is made, and no device is attached: it stays where it was', (_, over) => {
    const { attach, device, dma, made, parent } = guest(over);
    expect(made.errno).toBe(null);
    expect(attach()).toBe('EINVAL');
    taken(attachDevice(device, parent));
    expect(dma(0x6000)).toBe(at(6));
    expect(replaceDevice(device, made.out_hwpt_id)).toBe('EINVAL');
    expect(dma(0x6000)).toBe(at(6));
  });

  test('refusals of the driver', () => {
    const { bind, fd, ioas, map, other } = machine();
    const device = bind();
    expect(map()).toBe(null);
    const alloc = (over: object) => call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, ...over });
    const plain = alloc({}).out_hwpt_id;
    const parent = alloc({ flags: HWPT_ALLOC_FLAGS.NEST_PARENT }).out_hwpt_id;
    const data = { data_len: 24, data_uptr: USER };
    expect([
      alloc({ pt_id: plain, data_type: HWPT_DATA.VTD_S1, ...data }).errno,
      alloc({ pt_id: parent, data_type: HWPT_DATA.ARM_SMMUV3, ...data }).errno,
      alloc({ pt_id: parent, data_type: HWPT_DATA.VTD_S1, ...data, data_len: 8 }).errno,
      alloc({ pt_id: parent, data_type: HWPT_DATA.VTD_S1, ...data, data_uptr: 8n }).errno,
      alloc({ flags: HWPT_ALLOC_FLAGS.DIRTY_TRACKING }).errno,
      call(fd, IOMMU_VIOMMU_ALLOC, { type: 1, dev_id: device.id, hwpt_id: parent }).errno,
    ]).toEqual(['EINVAL', 'EOPNOTSUPP', 'EINVAL', 'EFAULT', 'EOPNOTSUPP', 'EOPNOTSUPP']);
    expect(other.name).toBe('dmar1');
  });
});

describe('dirty tracking by the second stage', () => {
  function tracked(ecap: object = { SSADS: 1 }) {
    const it = machine(ecap);
    const { bind, fd, ioas, map, memory } = it;
    const device = bind();
    expect(map()).toBe(null);
    const flags = HWPT_ALLOC_FLAGS.DIRTY_TRACKING;
    const made = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags });
    const hwpt_id = made.out_hwpt_id;
    const data = USER + 0x7f000n;
    const dirty = (over = {}) => {
      memory.write(data, new Uint8Array(8));
      const whole = { iova: 0n, length: 0x40000n, page_size: 0x1000n, data };
      expect(call(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, { hwpt_id, ...whole, ...over }).errno).toBe(null);
      const word = new DataView((memory.read(data, 8) as Uint8Array).buffer).getBigUint64(0, true);
      return Array.from({ length: 64 }, (_, n) => n).filter((n) => (word >> BigInt(n)) & 1n);
    };
    const track = (on: number) => call(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, { hwpt_id, flags: on }).errno;
    return { ...it, device, made, hwpt_id, dirty, track };
  }

  test('what was written since it was turned on; again after it was made clean; nothing without it', () => {
    const { device, dirty, dma, hwpt_id, track } = tracked();
    taken(attachDevice(device, hwpt_id));
    dma(0x3000, 1);
    expect([track(1), dirty()]).toEqual([null, []]);
    dma(0x3000, 0);
    dma(0x5000, 1);
    dma(0x9000, 1);
    expect([dirty({ flags: 1 }), dirty(), dirty()]).toEqual([[5, 9], [5, 9], []]);
    dma(0x5000, 1);
    expect(dirty()).toEqual([5]);
    expect(track(0)).toBe(null);
    dma(0x5000, 1);
    expect(dirty()).toEqual([]);
  });

  test('a device that is attached later is tracked as well', () => {
    const { device, dirty, dma, hwpt_id, track } = tracked();
    expect(track(1)).toBe(null);
    taken(attachDevice(device, hwpt_id));
    dma(0x7000, 1);
    expect(dirty()).toEqual([7]);
  });

  test('where the unit has no such flags', () => {
    expect(tracked({}).made.errno).toBe('EOPNOTSUPP');
  });
});
