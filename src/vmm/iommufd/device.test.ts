import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken, USER } from '../../../test/vmm/host.ts';
import type { Iommufd } from './context.ts';
import { Iommufd as Context } from './context.ts';
import { attachDevice, bindDevice, detachDevice, replaceDevice, unbindDevice } from './device.ts';
import { HW_INFO_TYPE, HWPT_ALLOC_FLAGS, IOAS_MAP_FLAGS } from './flags.ts';
import { HwptPaging } from './hwpt.ts';
import { call, IOMMU_DESTROY, IOMMU_GET_HW_INFO, IOMMU_HWPT_ALLOC, IOMMU_IOAS_ALLOC, IOMMU_IOAS_MAP } from './ioctl.ts';

const newIoas = (fd: Iommufd) => call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
const hwptOf = (fd: Iommufd, dev_id: number, pt_id: number, over = {}) =>
  call(fd, IOMMU_HWPT_ALLOC, { dev_id, pt_id, ...over });

describe('bind', () => {
  test.each([
    ['one that is not coherent', { coherent: false }, 'EINVAL'],
    ['one whose interrupts are not isolated', { isolatedMsi: false }, 'EPERM'],
  ])('%s', (_, over, errno) => {
    const { fd, smmu } = host();
    expect(bindDevice(fd, deviceOf(smmu, 1, over))).toBe(errno);
  });

  test('unsafe interrupts, where the administrator permits them', () => {
    const { fd, smmu } = host({ allowUnsafeInterrupts: true });
    expect(taken(bindDevice(fd, deviceOf(smmu, 1, { isolatedMsi: false }))).type).toBe('DEVICE');
  });

  test('a group has one owner, until its last device is unbound', () => {
    const { fd, memory, smmu } = host();
    const other = new Context({ memory, owners: fd.owners });
    const one = taken(bindDevice(fd, deviceOf(smmu, 1, { group: 7 })));
    const two = taken(bindDevice(fd, deviceOf(smmu, 2, { group: 7 })));
    expect(bindDevice(other, deviceOf(smmu, 3, { group: 7 }))).toBe('EPERM');
    unbindDevice(one);
    expect(bindDevice(other, deviceOf(smmu, 3, { group: 7 }))).toBe('EPERM');
    unbindDevice(two);
    expect(taken(bindDevice(other, deviceOf(smmu, 3, { group: 7 }))).id).toBe(1);
  });
});

describe('attach', () => {
  test('to an IOAS: a page table is made, used again, and goes with the last device', () => {
    const { fd, hardware, smmu } = host();
    const ioas = newIoas(fd);
    const [one, two] = [1, 2].map((sid) => taken(bindDevice(fd, deviceOf(smmu, sid))));
    const hwpt = taken(attachDevice(one, ioas));
    expect(attachDevice(two, ioas)).toBe(hwpt);
    expect([...hardware.streams].map(([sid, { kind }]) => [sid, kind])).toEqual([
      [1, 'stage 1'],
      [2, 'stage 1'],
    ]);
    detachDevice(one);
    expect(hardware.streams.get(1)?.kind).toBe('abort');
    expect(fd.objects.get(hwpt, HwptPaging)).toBeInstanceOf(HwptPaging);
    detachDevice(two);
    expect(fd.objects.get(hwpt, HwptPaging)).toBe('ENOENT');
    expect(call(fd, IOMMU_DESTROY, { id: ioas }).errno).toBe(null);
  });

  test('behind another SMMU the IOAS gets a second page table: the mappings are there twice', () => {
    const { fd, hardware, otherHardware, otherSmmu, smmu } = host();
    const ioas = newIoas(fd);
    call(fd, IOMMU_IOAS_MAP, {
      ...{ ioas_id: ioas, flags: IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE },
      ...{ iova: 0x1000n, length: 0x1000n, user_va: USER },
    });
    const one = taken(attachDevice(taken(bindDevice(fd, deviceOf(smmu, 1))), ioas));
    const two = taken(attachDevice(taken(bindDevice(fd, deviceOf(otherSmmu, 1))), ioas));
    expect(one).not.toBe(two);
    expect([hardware, otherHardware].map(({ tables }) => tables.flatMap(({ mappings }) => mappings.length))).toEqual([
      ...[[1], [1]],
    ]);
    // A page table of the one is no use for the other.
    const third = taken(bindDevice(fd, deviceOf(otherSmmu, 3)));
    expect(attachDevice(third, one)).toBe('EINVAL');
    expect([otherHardware.streams.has(3), third.hwpt]).toEqual([false, null]);
  });

  test('to what is no page table, or not there, or twice', () => {
    const { fd, smmu } = host();
    const ioas = newIoas(fd);
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    expect(attachDevice(device, device.id)).toBe('EINVAL');
    expect(attachDevice(device, 99)).toBe('ENOENT');
    const hwpt = taken(attachDevice(device, ioas));
    expect(attachDevice(device, hwpt)).toBe('EBUSY');
    expect(() => unbindDevice(device)).not.toThrow();
  });

  test('a group is attached as one', () => {
    const { fd, hardware, smmu } = host();
    const [ioas, other] = [newIoas(fd), newIoas(fd)];
    const [one, two] = [1, 2].map((sid) => taken(bindDevice(fd, deviceOf(smmu, sid, { group: 7 }))));
    const hwpt = taken(attachDevice(one, ioas));
    const another = hwptOf(fd, two.id, other).out_hwpt_id;
    expect(attachDevice(two, another)).toBe('EINVAL');
    expect(attachDevice(two, hwpt)).toBe(hwpt);
    // Replaced by one, replaced for both.
    expect(replaceDevice(one, another)).toBe(another);
    expect([one.hwpt?.id, two.hwpt?.id]).toEqual([another, another]);
    expect([...hardware.streams.keys()]).toEqual([1, 2]);
    expect(call(fd, IOMMU_DESTROY, { id: another }).errno).toBe('EBUSY');
    detachDevice(one);
    detachDevice(two);
    expect(call(fd, IOMMU_DESTROY, { id: another }).errno).toBe(null);
  });
});

describe('replace', () => {
  test('of what is not attached, and by the same', () => {
    const { fd, smmu } = host();
    const ioas = newIoas(fd);
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    expect(replaceDevice(device, ioas)).toBe('EINVAL');
    const hwpt = taken(attachDevice(device, ioas));
    expect(replaceDevice(device, hwpt)).toBe(hwpt);
    expect(replaceDevice(device, ioas)).toBe(hwpt);
  });

  test('by one that the device does not take: it stays where it was', () => {
    const { fd, hardware, otherSmmu, smmu } = host();
    const [ioas, other] = [newIoas(fd), newIoas(fd)];
    const reserved = [{ type: 'msi', start: 0x8000000n, last: 0x80fffffn }] as const;
    const device = taken(bindDevice(fd, deviceOf(smmu, 1, { reserved })));
    const foreign = taken(attachDevice(taken(bindDevice(fd, deviceOf(otherSmmu, 1))), other));
    const hwpt = taken(attachDevice(device, ioas));
    const stream = hardware.streams.get(1);
    expect(replaceDevice(device, foreign)).toBe('EINVAL');
    expect([device.hwpt?.id, hardware.streams.get(1)]).toEqual([hwpt, stream]);
    const { ioas: space } = taken(fd.objects.get(foreign, HwptPaging));
    expect(space.table.reserved.filter(({ owner }) => owner === device)).toEqual([]);
  });

  test('an automatic page table goes when nobody has it', () => {
    const { fd, smmu } = host();
    const [ioas, other] = [newIoas(fd), newIoas(fd)];
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    const before = taken(attachDevice(device, ioas));
    const after = taken(replaceDevice(device, other));
    expect(fd.objects.get(before, HwptPaging)).toBe('ENOENT');
    expect(after).not.toBe(before);
    expect(call(fd, IOMMU_DESTROY, { id: ioas }).errno).toBe(null);
  });
});

describe('page tables that are asked for', () => {
  const { DIRTY_TRACKING, FAULT_ID_VALID, NEST_PARENT, PASID } = HWPT_ALLOC_FLAGS;

  test.each([
    ['nothing special: stage 1', { flags: 0 }, 1],
    ['a parent: stage 2', { flags: NEST_PARENT }, 2],
    ['dirty tracking: stage 1', { flags: DIRTY_TRACKING }, 1],
    ['PASID: stage 1', { flags: PASID }, 1],
    ['a parent with dirty tracking', { flags: NEST_PARENT | DIRTY_TRACKING }, 'EOPNOTSUPP'],
    ['a parent with faults', { flags: NEST_PARENT | FAULT_ID_VALID }, 'EOPNOTSUPP'],
    ['unknown flags', { flags: 16 }, 'EOPNOTSUPP'],
    ['a reserved member', { __reserved: 1 }, 'EOPNOTSUPP'],
    ['data without a type', { data_len: 16 }, 'EINVAL'],
    ['a type without data', { data_type: 2 }, 'EINVAL'],
    ['data for the kernel’s own', { data_type: 2, data_len: 16, data_uptr: USER }, 'EOPNOTSUPP'],
    ['no device', { dev_id: 99 }, 'ENOENT'],
    ['nothing to be of', { pt_id: 99 }, 'EINVAL'],
    ['faults of no queue', { flags: FAULT_ID_VALID, fault_id: 99 }, 'ENOENT'],
  ])('%s', (_, over, expected) => {
    const { arm, fd, hardware, smmu } = host();
    const ioas = newIoas(fd);
    const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
    const { errno, out_hwpt_id } = hwptOf(fd, device.id, ioas, over);
    if (typeof expected === 'string') {
      expect([errno, out_hwpt_id, arm.asids.inUse, smmu.vmids.inUse]).toEqual([expected, 0, 0, 0]);
      expect(call(fd, IOMMU_DESTROY, { id: ioas }).errno).toBe(null);
      return;
    }
    expect(errno).toBe(null);
    expect([arm.asids.inUse, smmu.vmids.inUse]).toEqual(expected === 1 ? [1, 0] : [0, 1]);
    // Nothing with its tag stays cached when it goes.
    hardware.takeCommands();
    expect(call(fd, IOMMU_DESTROY, { id: out_hwpt_id }).errno).toBe(null);
    expect(hardware.takeCommands()).toEqual([expected === 1 ? '1000000000011' : '100000028']);
    expect([arm.asids.inUse, smmu.vmids.inUse]).toEqual([0, 0]);
  });

  test('dirty tracking that the device has not', () => {
    const { fd, smmu } = host();
    const device = taken(bindDevice(fd, deviceOf(smmu, 1, { dirtyTracking: false })));
    expect(hwptOf(fd, device.id, newIoas(fd), { flags: DIRTY_TRACKING }).errno).toBe('EOPNOTSUPP');
  });

  test('VMIDs are of each SMMU, from 1, and end', () => {
    const { fd, otherSmmu, smmu } = host({}, { vmidBits: 2 });
    const ioas = newIoas(fd);
    const [one, two] = [smmu, otherSmmu].map((of) => taken(bindDevice(fd, deviceOf(of, 1))));
    const parents = [1, 2, 3].map(() => hwptOf(fd, one.id, ioas, { flags: NEST_PARENT }));
    expect(parents.map(({ errno }) => errno)).toEqual([null, null, null]);
    expect(hwptOf(fd, one.id, ioas, { flags: NEST_PARENT }).errno).toBe('ENOSPC');
    expect(hwptOf(fd, two.id, ioas, { flags: NEST_PARENT }).errno).toBe(null);
    expect([smmu.vmids.inUse, otherSmmu.vmids.inUse]).toEqual([3, 1]);
    expect(call(fd, IOMMU_DESTROY, { id: parents[1].out_hwpt_id }).errno).toBe(null);
    expect(hwptOf(fd, one.id, ioas, { flags: NEST_PARENT }).errno).toBe(null);
  });

  test('ASIDs are of all SMMUs', () => {
    const { arm, fd, otherSmmu, smmu } = host();
    const ioas = newIoas(fd);
    for (const of of [smmu, otherSmmu]) taken(attachDevice(taken(bindDevice(fd, deviceOf(of, 1))), ioas));
    expect(arm.asids.inUse).toBe(2);
  });
});

test('what hardware is told when a range is unmapped', () => {
  const { fd, hardware, smmu } = host();
  const ioas = newIoas(fd);
  const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
  const flags = HWPT_ALLOC_FLAGS.NEST_PARENT;
  const hwpt = taken(fd.objects.get(hwptOf(fd, device.id, ioas, { flags }).out_hwpt_id, HwptPaging));
  hwpt.domain.unmap(0x4000n, 0x2000n);
  // S2_IPA of VMID 1 for each page, then all that its guests' ASIDs have cached.
  expect(hardware.takeCommands()).toEqual(['10000002a', '10000002a', '100000010']);
});

test('what hardware is', () => {
  const { fd, memory, smmu } = host();
  const { id } = taken(bindDevice(fd, deviceOf(smmu, 1)));
  const info = (over: object) => call(fd, IOMMU_GET_HW_INFO, { dev_id: id, data_uptr: USER, ...over });
  expect(info({ data_len: 64 })).toMatchObject({
    ...{ errno: null, data_len: 40, data_type: HW_INFO_TYPE.ARM_SMMUV3, out_capabilities: 1n },
  });
  const words = new Uint32Array(memory.bytes.buffer, 0, 16);
  expect([...words]).toEqual([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0]);
  expect(info({ data_len: 0, data_uptr: 0n })).toMatchObject({ errno: null, data_len: 40 });
  expect(info({ data_len: 8, data_uptr: 0n }).errno).toBe('EFAULT');
  expect(info({ data_len: 0xffff_ffff }).errno).toBe('EFAULT');
  expect(info({ flags: 2 }).errno).toBe('EOPNOTSUPP');
  expect(info({ __reserved1: 1 }).errno).toBe('EOPNOTSUPP');
  expect(info({ flags: 1, data_type: HW_INFO_TYPE.INTEL_VTD }).errno).toBe('EOPNOTSUPP');
  expect(info({ dev_id: 99 }).errno).toBe('ENOENT');
});

test('closing the file ends everything', () => {
  const { arm, fd, smmu } = host();
  const ioas = newIoas(fd);
  const device = taken(bindDevice(fd, deviceOf(smmu, 1)));
  taken(attachDevice(device, ioas));
  expect(() => fd.objects.close()).toThrow(/hold each other/);
  unbindDevice(device);
  fd.objects.close();
  expect([fd.objects.isEmpty, arm.asids.inUse]).toEqual([true, 0]);
});
