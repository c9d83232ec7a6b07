/** iommufd over the model of an SMMUv3: a guest's own tables behind stage 2, its invalidations, its events. Nothing here is a mock. */
import { describe, expect, test } from 'vitest';
import { encodeHalves, join } from '../../src/bits/index.ts';
import { REQUEST, STAGE1 } from '../../src/iommu/smmuv3/index.ts';
import {
  attachDevice,
  call,
  HWPT_ALLOC_FLAGS,
  IOAS_MAP_FLAGS,
  IOMMU_HWPT_ALLOC,
  IOMMU_IOAS_ALLOC,
  IOMMU_VEVENTQ_ALLOC,
  replaceDevice,
} from '../../src/vmm/iommufd/index.ts';
import { taken } from './host.ts';
import { ASID, type Command, guest, machine, PAGE, TLBI_ASID, VSID, vmm } from './machine.ts';

describe('the kernel’s own tables', () => {
  test('stage 1: what is mapped, until it is unmapped', () => {
    const { at, device, dma, ioas, map, unmap } = vmm(machine());
    expect(dma(0x5010)).toMatch(/event/);
    expect(map(0x100000n)).toBe(null);
    taken(attachDevice(device, ioas));
    expect([dma(0x105010), dma(0x105010, REQUEST.write), dma(0x5010)]).toEqual([
      at(5, 0x10),
      at(5, 0x10),
      'event 0x10',
    ]);
    expect(unmap(0x100000n)).toBe(null);
    expect(dma(0x105010)).toBe('event 0x10');
  });

  test('stage 2, and its rights', () => {
    const { at, device, dma, fd, ioas, map } = vmm(machine());
    const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags: HWPT_ALLOC_FLAGS.NEST_PARENT });
    taken(attachDevice(device, parent.out_hwpt_id));
    expect(map(0n, { flags: IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE })).toBe(null);
    expect([dma(0x3ffc), dma(0x3ffc, REQUEST.write)]).toEqual([at(3, 0xffc), 'event 0x13']);
  });

  test('a detached device reaches nothing, whatever is cached', () => {
    const { at, device, dma, fd, ioas, map } = vmm(machine());
    map();
    taken(attachDevice(device, ioas));
    expect(dma(0x1000)).toBe(at(1, 0));
    const other = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
    taken(replaceDevice(device, other));
    expect(dma(0x1000)).toBe('event 0x10');
  });
});

describe('a guest’s tables behind stage 2', () => {
  test('both stages translate', () => {
    const { at, dma } = guest(machine());
    expect([dma(0x5123), dma(0x6000)]).toEqual([at(PAGE.A, 0x123), 'event 0x10']);
  });

  test('a change is seen after its invalidation, and need not be before', () => {
    const { at, dma, invalidate, setPage } = guest(machine());
    expect(dma(0x5000)).toBe(at(PAGE.A));
    setPage(PAGE.B);
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(invalidate([0x11n | (8n << 48n), 0n])).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(invalidate(TLBI_ASID)).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.B));
  });

  test.each<[string, Command]>([
    ['NSNH_ALL', [0x30n, 0n]],
    ['NH_ALL of another VMID', [0x10n | (0x99n << 32n), 0n]],
    ['NH_VA', [0x12n | (BigInt(ASID) << 48n), 0x5000n]],
    ['NH_VAA', [0x13n, 0x5000n]],
  ])('%s does it as well', (_, cmd) => {
    const { at, dma, invalidate, setPage } = guest(machine());
    dma(0x5000);
    setPage(PAGE.B);
    expect(invalidate(cmd)).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.B));
  });

  test('Linux 6.18 reports an invalidation that was never issued: the old page stays in use', () => {
    const { at, dma, invalidate, setPage } = guest(machine('linux-6.18'));
    dma(0x5000);
    setPage(PAGE.B);
    expect(invalidate(TLBI_ASID, [0x46n, 0n])).toEqual({ errno: 'EIO', entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.A));
    const later = guest(machine('linux-2026-09'));
    later.dma(0x5000);
    later.setPage(PAGE.B);
    expect(later.invalidate(TLBI_ASID, [0x46n, 0n])).toEqual({ errno: 'EIO', entry_num: 0 });
  });

  test('a reserved bit: an error in the host’s own queue with 6.18, and the invalidation is lost; −EIO later', () => {
    const { at, dma, hardware, invalidate, setPage } = guest(machine('linux-6.18'));
    dma(0x5000);
    setPage(PAGE.B);
    const bad = [TLBI_ASID[0] | (1n << 8n), 0n] as const;
    expect([invalidate(bad), hardware.skipped]).toEqual([{ errno: null, entry_num: 1 }, 1]);
    expect(dma(0x5000)).toBe(at(PAGE.A));
    const later = guest(machine('linux-2026-09'));
    expect([later.invalidate(bad), later.hardware.skipped]).toEqual([{ errno: 'EIO', entry_num: 0 }, 0]);
  });

  test('what the host unmaps is gone for the guest, whatever its ASIDs have cached', () => {
    const { at, dma, unmap } = guest(machine());
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(unmap()).toBe(null);
    expect(dma(0x5000)).toMatch(/event/);
  });

  test('its stage 1 replaced by bypass, and by abort', () => {
    const { at, device, dma, nest } = guest(machine());
    taken(replaceDevice(device, nest(0b1001n)));
    expect(dma(0x5000)).toBe(at(5));
    taken(replaceDevice(device, nest(0b0001n)));
    expect(dma(0x5000)).toMatch(/event 0x/);
  });
});

describe('events', () => {
  test('a guest is told of its own stage 1, under its own StreamID; of stage 2 never', () => {
    const { dma, fd, hardware, memory, put, sid, smmu, viommu } = guest(machine());
    const { out_veventq_fd } = call(fd, IOMMU_VEVENTQ_ALLOC, { viommu_id: viommu, type: 1, veventq_depth: 8 });
    expect(dma(0x6000)).toBe('event 0x10');
    // A table of the guest’s that lies where nothing is mapped for it.
    put(PAGE.L2, 1, encodeHalves(STAGE1[4].table, { ADDR: 0x7000_0000n }));
    expect(dma(0x200000)).toBe('event 0x10');
    const events = hardware.takeEvents();
    expect(events.map((event) => smmu.reportEvent(event))).toEqual([null, 'EOPNOTSUPP']);
    const bytes = taken(taken(fd.files.get(out_veventq_fd) ?? 'ENOENT').read(1000));
    const view = new DataView(bytes.buffer);
    expect([bytes.length, view.getUint32(4, true), view.getUint8(8)]).toEqual([40, 0, 0x10]);
    expect([view.getUint32(8 + 4, true), view.getBigUint64(8 + 16, true)]).toEqual([Number(VSID), 0x6000n]);
    expect(memory.read(0n, 1)).toBe(null);
    expect(join(events[0][0], events[0][1]) >> 32n).toBe(BigInt(sid));
  });
});
