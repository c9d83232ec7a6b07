/** iommufd over the model of an SMMUv3: a guest's own tables behind stage 2, its invalidations, its events. Nothing here is a mock. */
import { describe, expect, test } from 'vitest';
import { encodeHalves, high, join, low } from '../../src/bits/index.ts';
import { CD, REQUEST, SmmuEmulator, STAGE1 } from '../../src/iommu/smmuv3/index.ts';
import { RamMemory } from '../../src/machine/index.ts';
import type { UserMemory } from '../../src/vmm/iommufd/index.ts';
import {
  ArmSmmu,
  ArmSmmuHost,
  attachDevice,
  bindDevice,
  call,
  DmaOwners,
  HostMemory,
  HWPT_ALLOC_FLAGS,
  HWPT_DATA,
  IOAS_MAP_FLAGS,
  IOMMU_HWPT_ALLOC,
  IOMMU_HWPT_INVALIDATE,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_UNMAP,
  IOMMU_VDEVICE_ALLOC,
  IOMMU_VEVENTQ_ALLOC,
  IOMMU_VIOMMU_ALLOC,
  Iommufd,
  kernelNamed,
  replaceDevice,
  SmmuOnModel,
} from '../../src/vmm/iommufd/index.ts';
import { deviceOf, FEATURES, taken } from './host.ts';

/** Host memory: 1024 pages; the last 512 are the host's own. User memory and guest memory are the same: page n of the guest is frame 0x40 + n. */
const FRAMES = 1024;
const USER = 0x4000_0000n;
const GUEST_PAGES = 0x80;
const frameOf = (page: number) => 0x40 + page;

class RamUser implements UserMemory {
  readonly ram: RamMemory;
  constructor(ram: RamMemory) {
    this.ram = ram;
  }
  private get bytes(): Uint8Array {
    return new Uint8Array(this.ram.words.buffer);
  }
  private offset(at: bigint, bytes: number): number {
    const offset = Number(at - USER);
    return offset < 0 || offset + bytes > GUEST_PAGES * 4096 ? -1 : offset + frameOf(0) * 4096;
  }
  read(at: bigint, bytes: number): Uint8Array | null {
    const offset = this.offset(at, bytes);
    return offset < 0 ? null : this.bytes.slice(offset, offset + bytes);
  }
  write(at: bigint, bytes: Uint8Array): boolean {
    const offset = this.offset(at, bytes.length);
    if (offset < 0) return false;
    this.bytes.set(bytes, offset);
    return true;
  }
  frameOf(at: bigint): number {
    const offset = this.offset(at, 1);
    return offset < 0 ? -1 : offset >> 12;
  }
}

const SID = 0x108;
const VSID = 0x10n;
/** The guest's pages: its tables of stage 1 (two levels of 9 bits each below 2^30), its CD, and where it maps 0x5000. */
const [L2, L3, CD_PAGE, PAGE_A, PAGE_B] = [1, 2, 3, 4, 5];
const ASID = 7;

function machine(kernel = 'linux-6.18') {
  const ram = new RamMemory(FRAMES);
  const emulator = new SmmuEmulator({ memory: ram.words.buffer, idr0: { ATS: 1 } });
  const hostMemory = new HostMemory(ram, FRAMES / 2, FRAMES - 1);
  const hardware = new SmmuOnModel(emulator.unit, hostMemory, {
    name: 'smmu0',
    features: { ...FEATURES, rangeInvalidation: true },
    vmidBits: 16,
  });
  const smmu = new ArmSmmu(new ArmSmmuHost(kernelNamed(kernel)), hardware);
  const memory = new RamUser(ram);
  const fd = new Iommufd({ memory, owners: new DmaOwners(), kernel });
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const device = taken(bindDevice(fd, deviceOf(smmu, SID, { dirtyTracking: false })));
  const flags = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
  const length = BigInt(GUEST_PAGES) << 12n;
  const map = (iova = 0n, over = {}) =>
    call(fd, IOMMU_IOAS_MAP, { ioas_id: ioas, flags, iova, length, user_va: USER, ...over }).errno;
  /** The frame and offset that DMA comes to, or the event. */
  const dma = (address: number, kind: number = REQUEST.read, sid = SID) => {
    const result = emulator.translate(sid, -1, address, kind);
    return result < 0 ? `event 0x${(-result).toString(16)}` : `0x${result.toString(16)}`;
  };
  return { ram, emulator, hostMemory, hardware, smmu, memory, fd, ioas, device, map, dma };
}

const at = (page: number, offset: number) => `0x${(frameOf(page) * 4096 + offset).toString(16)}`;

describe('the kernel’s own tables', () => {
  test('stage 1: what is mapped, until it is unmapped', () => {
    const { device, dma, fd, ioas, map } = machine();
    expect(dma(0x5010)).toMatch(/event/);
    expect(map(0x100000n)).toBe(null);
    taken(attachDevice(device, ioas));
    expect([dma(0x105010), dma(0x105010, REQUEST.write), dma(0x5010)]).toEqual([
      at(5, 0x10),
      at(5, 0x10),
      'event 0x10',
    ]);
    expect(
      call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova: 0x100000n, length: BigInt(GUEST_PAGES) << 12n }).errno,
    ).toBe(null);
    expect(dma(0x105010)).toBe('event 0x10');
  });

  test('stage 2, and its rights', () => {
    const { device, dma, fd, ioas, map } = machine();
    const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags: HWPT_ALLOC_FLAGS.NEST_PARENT });
    taken(attachDevice(device, parent.out_hwpt_id));
    expect(map(0n, { flags: IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE })).toBe(null);
    expect([dma(0x3ffc), dma(0x3ffc, REQUEST.write)]).toEqual([at(3, 0xffc), 'event 0x13']);
  });

  test('a detached device reaches nothing, whatever is cached', () => {
    const { device, dma, fd, ioas, map } = machine();
    map();
    taken(attachDevice(device, ioas));
    expect(dma(0x1000)).toBe(at(1, 0));
    const other = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
    taken(replaceDevice(device, other));
    expect(dma(0x1000)).toBe('event 0x10');
  });
});

/** A guest with stage 1 of its own: 0x5000 is at its page A. */
function guest(kernel?: string) {
  const it = machine(kernel);
  const { device, fd, ioas, map, memory, ram } = it;
  const flags = HWPT_ALLOC_FLAGS.NEST_PARENT;
  const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags }).out_hwpt_id;
  expect(map()).toBe(null);
  const viommu = call(fd, IOMMU_VIOMMU_ALLOC, { type: 1, dev_id: device.id, hwpt_id: parent }).out_viommu_id;
  expect(call(fd, IOMMU_VDEVICE_ALLOC, { viommu_id: viommu, dev_id: device.id, virt_id: VSID }).errno).toBe(null);
  const put = (page: number, word: number, halves: ArrayLike<number>) => {
    for (let i = 0; i < halves.length; i += 2)
      ram.write(ram.locate(frameOf(page), word + i / 2), halves[i], halves[i + 1]);
  };
  const ipa = (page: number) => BigInt(page) << 12n;
  /** The guest's PTE of 0x5000. */
  const setPage = (page: number) =>
    put(L3, 5, encodeHalves(STAGE1[4].leaf[3], { ADDR: ipa(page), AF: 1, SH: 3, AP: 1, nG: 1 }));
  put(L2, 0, encodeHalves(STAGE1[4].table, { ADDR: ipa(L3) }));
  setPage(PAGE_A);
  put(
    CD_PAGE,
    0,
    encodeHalves(CD, {
      ...{ V: 1, AA64: 1, T0SZ: 34, TG0: 0, IR0: 1, OR0: 1, SH0: 3, EPD1: 1, IPS: 5 },
      ...{ R: 1, A: 1, ASET: 1, ASID, TTB0: ipa(L2), MAIR0: 0xff },
    }),
  );
  const command = (index: number, lo: bigint, hi = 0n) => put(8, 2 * index, [low(lo), high(lo), low(hi), high(hi)]);
  const invalidate = (...commands: (readonly [bigint, bigint])[]) => {
    commands.forEach(([lo, hi], i) => command(i, lo, hi));
    const array = { data_uptr: USER + ipa(8), data_type: 1, entry_len: 16, entry_num: commands.length };
    const { entry_num, errno } = call(fd, IOMMU_HWPT_INVALIDATE, { hwpt_id: viommu, ...array });
    return { errno, entry_num };
  };
  // Stage 1 with one CD, whose faults are recorded.
  put(9, 0, [low(0b1011n | ipa(CD_PAGE)), high(ipa(CD_PAGE)), 0, 0]);
  const data = { data_type: HWPT_DATA.ARM_SMMUV3, data_len: 16, data_uptr: USER + ipa(9) };
  const nested = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: viommu, ...data });
  expect(nested.errno).toBe(null);
  taken(attachDevice(device, nested.out_hwpt_id));
  return { ...it, parent, viommu, nested: nested.out_hwpt_id, setPage, invalidate, put, memory };
}

const TLBI_ASID = [0x11n | (BigInt(ASID) << 48n), 0n] as const;

describe('a guest’s tables behind stage 2', () => {
  test('both stages translate', () => {
    const { dma } = guest();
    expect([dma(0x5123), dma(0x6000)]).toEqual([at(PAGE_A, 0x123), 'event 0x10']);
  });

  test('a change is seen after its invalidation, and need not be before', () => {
    const { dma, invalidate, setPage } = guest();
    expect(dma(0x5000)).toBe(at(PAGE_A, 0));
    setPage(PAGE_B);
    expect(dma(0x5000)).toBe(at(PAGE_A, 0));
    expect(invalidate([0x11n | (8n << 48n), 0n])).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE_A, 0));
    expect(invalidate(TLBI_ASID)).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE_B, 0));
  });

  test.each<[string, readonly [bigint, bigint]]>([
    ['NSNH_ALL', [0x30n, 0n]],
    ['NH_ALL of another VMID', [0x10n | (0x99n << 32n), 0n]],
    ['NH_VA', [0x12n | (BigInt(ASID) << 48n), 0x5000n]],
    ['NH_VAA', [0x13n, 0x5000n]],
  ])('%s does it as well', (_, cmd) => {
    const { dma, invalidate, setPage } = guest();
    dma(0x5000);
    setPage(PAGE_B);
    expect(invalidate(cmd)).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE_B, 0));
  });

  test('Linux 6.18 reports an invalidation that was never issued: the old page stays in use', () => {
    const { dma, invalidate, setPage } = guest('linux-6.18');
    dma(0x5000);
    setPage(PAGE_B);
    expect(invalidate(TLBI_ASID, [0x46n, 0n])).toEqual({ errno: 'EIO', entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE_A, 0));
    const later = guest('linux-2026-09');
    later.dma(0x5000);
    later.setPage(PAGE_B);
    expect(later.invalidate(TLBI_ASID, [0x46n, 0n])).toEqual({ errno: 'EIO', entry_num: 0 });
  });

  test('a reserved bit: an error in the host’s own queue with 6.18, and the invalidation is lost; −EIO later', () => {
    const { dma, hardware, invalidate, setPage } = guest('linux-6.18');
    dma(0x5000);
    setPage(PAGE_B);
    const bad = [TLBI_ASID[0] | (1n << 8n), 0n] as const;
    expect([invalidate(bad), hardware.skipped]).toEqual([{ errno: null, entry_num: 1 }, 1]);
    expect(dma(0x5000)).toBe(at(PAGE_A, 0));
    const later = guest('linux-2026-09');
    expect([later.invalidate(bad), later.hardware.skipped]).toEqual([{ errno: 'EIO', entry_num: 0 }, 0]);
  });

  test('what the host unmaps is gone for the guest, whatever its ASIDs have cached', () => {
    const { dma, fd, ioas } = guest();
    expect(dma(0x5000)).toBe(at(PAGE_A, 0));
    expect(call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova: 0n, length: BigInt(GUEST_PAGES) << 12n }).errno).toBe(
      null,
    );
    expect(dma(0x5000)).toMatch(/event/);
  });

  test('its stage 1 replaced by bypass, and by abort', () => {
    const { device, dma, fd, put, viommu } = guest();
    const ste = (word: number) => {
      put(9, 0, [word, 0, 0, 0]);
      const data = { data_type: HWPT_DATA.ARM_SMMUV3, data_len: 16, data_uptr: USER + 0x9000n };
      const { out_hwpt_id } = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: viommu, ...data });
      taken(replaceDevice(device, out_hwpt_id));
    };
    ste(0b1001);
    expect(dma(0x5000)).toBe(at(5, 0));
    ste(0b0001);
    expect(dma(0x5000)).toMatch(/event 0x/);
  });
});

describe('events', () => {
  test('a guest is told of its own stage 1, under its own StreamID; of stage 2 never', () => {
    const { dma, fd, hardware, memory, put, smmu, viommu } = guest();
    const { out_veventq_fd } = call(fd, IOMMU_VEVENTQ_ALLOC, { viommu_id: viommu, type: 1, veventq_depth: 8 });
    expect(dma(0x6000)).toBe('event 0x10');
    // A table of the guest’s that lies where nothing is mapped for it.
    put(L2, 1, encodeHalves(STAGE1[4].table, { ADDR: 0x7000_0000n }));
    expect(dma(0x200000)).toBe('event 0x10');
    const events = hardware.takeEvents();
    expect(events.map((event) => smmu.reportEvent(event))).toEqual([null, 'EOPNOTSUPP']);
    const bytes = taken(taken(fd.files.get(out_veventq_fd) ?? 'ENOENT').read(1000));
    const view = new DataView(bytes.buffer);
    expect([bytes.length, view.getUint32(4, true), view.getUint8(8)]).toEqual([40, 0, 0x10]);
    expect([view.getUint32(8 + 4, true), view.getBigUint64(8 + 16, true)]).toEqual([Number(VSID), 0x6000n]);
    expect(memory.read(0n, 1)).toBe(null);
    expect(join(events[0][0], events[0][1]) >> 32n).toBe(BigInt(SID));
  });
});
