/** vIOMMUs with queues of the guest's own: HW_QUEUE, over the model of CMDQ-V. */
import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken, USER } from '../../../test/vmm/host.ts';
import { Cmdqv } from '../../iommu/cmdqv/index.ts';
import { Arena, RamMemory } from '../../machine/index.ts';
import { CmdqvDriver } from './cmdqv-driver.ts';
import { bindDevice } from './device.ts';
import { HW_QUEUE_TYPE, HWPT_ALLOC_FLAGS, IOAS_MAP_FLAGS, VIOMMU_TYPE } from './flags.ts';
import { HwQueue } from './hw-queue.ts';
import {
  call,
  IOMMU_DESTROY,
  IOMMU_HW_QUEUE_ALLOC,
  IOMMU_HWPT_ALLOC,
  IOMMU_IOAS_ALLOC,
  IOMMU_IOAS_MAP,
  IOMMU_IOAS_UNMAP,
  IOMMU_VDEVICE_ALLOC,
  IOMMU_VIOMMU_ALLOC,
} from './ioctl.ts';
import { ULONG_MAX } from './user-memory.ts';

/**
 * Two queues and two StreamIDs for the one guest; queues of at most 256 commands. Guest memory is 64 KiB at 0x10000, its frames from 0x1000 on.
 * @param broken the second page lies elsewhere
 */
function accelerated({ broken = false } = {}) {
  const done: string[] = [];
  const target = {
    agents: [],
    illegal: () => null,
    invalidate: (command: Int32Array) => done.push(`VMID ${command[1] & 0xffff}`),
    invalidateAtc: (command: Int32Array) => done.push(`SID 0x${(command[1] >>> 0).toString(16)}`),
    ...{ hasRoom: true, isHeld: () => false, takeTimeout: () => false, say: () => {}, telling: false },
  };
  const ram = new RamMemory(0x1010);
  const sizes = { vintfsLog2: 1, vcmdqsLog2: 2, sidsLog2: 1, mostEntriesLog2: 8 };
  const cmdqv = new Cmdqv({ arena: new Arena(), memory: ram, target }, sizes);
  const it = host({}, { cmdqv: new CmdqvDriver(cmdqv, 0x9000_0000n, 8) });
  const { fd, memory, smmu } = it;
  if (broken) memory.frames[1] = 0x77;
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const device = taken(bindDevice(fd, deviceOf(smmu, 0x108)));
  const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags: HWPT_ALLOC_FLAGS.NEST_PARENT });
  const flags = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
  call(fd, IOMMU_IOAS_MAP, { ioas_id: ioas, flags, iova: 0x10000n, length: 0x10000n, user_va: USER });
  const create = (over = {}) =>
    call(fd, IOMMU_VIOMMU_ALLOC, {
      ...{ type: VIOMMU_TYPE.TEGRA241_CMDQV, dev_id: device.id, hwpt_id: parent.out_hwpt_id, data_len: 16 },
      ...{ data_uptr: USER + 0x20000n, ...over },
    });
  const queue = (viommu_id: number, index: number, over = {}) =>
    call(fd, IOMMU_HW_QUEUE_ALLOC, {
      ...{ viommu_id, type: HW_QUEUE_TYPE.TEGRA241_CMDQV, index, length: 0x1000n },
      ...{ nesting_parent_iova: 0x10000n + BigInt(index) * 0x1000n, ...over },
    });
  const destroy = (id: number) => call(fd, IOMMU_DESTROY, { id }).errno;
  return { ...it, cmdqv, ram, done, ioas, device, memory, create, queue, destroy };
}

describe('a vIOMMU with queues', () => {
  test('says where its page is', () => {
    const { create, memory } = accelerated();
    expect(create().errno).toBe(null);
    const view = new DataView(memory.bytes.buffer, 0x20000);
    expect([view.getBigUint64(0, true), view.getBigUint64(8, true)]).toEqual([0x9005_0000n, 0x1_0000n]);
  });

  test.each([
    ['without data', { data_len: 0 }, 'EINVAL'],
    ['with less', { data_len: 8 }, 'EINVAL'],
    ['with more', { data_len: 24 }, 'EINVAL'],
    ['nowhere', { data_uptr: 8n }, 'EFAULT'],
  ])('%s: no interface is taken', (_, over, errno) => {
    const { create } = accelerated();
    expect(create(over).errno).toBe(errno);
    expect(create().errno).toBe(null);
  });

  test('there is one interface for guests', () => {
    const { create, destroy } = accelerated();
    const { out_viommu_id } = create();
    expect(create().errno).toBe('ENOSPC');
    expect(destroy(out_viommu_id)).toBe(null);
    expect(create().errno).toBe(null);
  });

  test('has as many devices as slots, with ids of 32 bits', () => {
    const { create, device, fd, smmu } = accelerated();
    const viommu_id = create().out_viommu_id;
    const add = (dev_id: number, virt_id: bigint) => call(fd, IOMMU_VDEVICE_ALLOC, { viommu_id, dev_id, virt_id });
    const [two, three] = [0x200, 0x300].map((sid) => taken(bindDevice(fd, deviceOf(smmu, sid))).id);
    expect(add(device.id, 1n << 32n).errno).toBe('EINVAL');
    const first = add(device.id, 0x10n);
    expect([first.errno, add(two, 0x11n).errno, add(three, 0x12n).errno]).toEqual([null, null, 'ENOSPC']);
    expect(call(fd, IOMMU_DESTROY, { id: first.out_vdevice_id }).errno).toBe(null);
    expect(add(three, 0x12n).errno).toBe(null);
  });
});

describe('a queue', () => {
  test.each([
    ['of the type that is reserved', { type: 0 }, 'EOPNOTSUPP'],
    ['of a type that is unknown', { type: 5 }, 'EOPNOTSUPP'],
    ['with flags', { flags: 1 }, 'EOPNOTSUPP'],
    ['without length', { length: 0n }, 'EINVAL'],
    ['past the end', { nesting_parent_iova: ULONG_MAX, length: 2n }, 'EOVERFLOW'],
    ['that rounding up to pages overflows', { nesting_parent_iova: 0n, length: ULONG_MAX }, 'ERANGE'],
    ['of no vIOMMU', { viommu_id: 99 }, 'ENOENT'],
    ['where nothing is mapped', { nesting_parent_iova: 0x8000n }, 'ENOENT'],
    ['of a number that there is not', { index: 2 }, 'EINVAL'],
    ['whose length is no power of 2', { length: 0x30n }, 'EINVAL'],
    ['of one command', { length: 16n }, 'EINVAL'],
    ['of more than there may be', { length: 0x2000n }, 'EINVAL'],
    ['that is not aligned to its length', { nesting_parent_iova: 0x10800n }, 'EINVAL'],
  ])('%s: nothing stays pinned', (_, over, errno) => {
    const { create, fd, ioas, queue } = accelerated();
    const viommu = create().out_viommu_id;
    expect(queue(viommu, 0, over).errno).toBe(errno);
    expect(call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova: 0n, length: ULONG_MAX }).errno).toBe(null);
  });

  test('whose pages do not follow one another', () => {
    const { create, queue } = accelerated({ broken: true });
    const viommu = create().out_viommu_id;
    expect(queue(viommu, 0, { nesting_parent_iova: 0x10ff0n, length: 0x20n }).errno).toBe('EFAULT');
    expect(queue(viommu, 0, { length: 0x1000n }).errno).toBe(null);
  });

  test('on a vIOMMU that has none', () => {
    const { create, queue } = accelerated();
    const viommu = create({ type: VIOMMU_TYPE.ARM_SMMUV3 }).out_viommu_id;
    expect(queue(viommu, 0).errno).toBe('EOPNOTSUPP');
  });

  test('in ascending order, and ended in descending order', () => {
    const { create, destroy, queue } = accelerated();
    const viommu = create().out_viommu_id;
    expect(queue(viommu, 1).errno).toBe('EIO');
    const [first, second] = [queue(viommu, 0), queue(viommu, 1)];
    expect([first.errno, second.errno, queue(viommu, 1).errno]).toEqual([null, null, 'EEXIST']);
    expect([destroy(viommu), destroy(first.out_hw_queue_id)]).toEqual(['EBUSY', 'EBUSY']);
    expect([destroy(second.out_hw_queue_id), destroy(first.out_hw_queue_id), destroy(viommu)]).toEqual([
      null,
      null,
      null,
    ]);
  });

  test('its memory cannot be unmapped while hardware reads it', () => {
    const { create, destroy, fd, ioas, queue } = accelerated();
    const unmap = () => call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova: 0x10000n, length: 0x10000n }).errno;
    const { out_hw_queue_id } = queue(create().out_viommu_id, 0);
    expect(unmap()).toBe('EBUSY');
    expect(fd.objects.get(out_hw_queue_id, HwQueue)).toBeInstanceOf(HwQueue);
    expect(destroy(out_hw_queue_id)).toBe(null);
    expect(unmap()).toBe(null);
  });

  test('carries a guest’s commands without anybody between', () => {
    const { cmdqv, create, device, done, fd, hardware, queue, ram } = accelerated();
    const viommu_id = create().out_viommu_id;
    call(fd, IOMMU_VDEVICE_ALLOC, { viommu_id, dev_id: device.id, virt_id: 0x10n });
    queue(viommu_id, 0);
    hardware.takeCommands();
    // NH_ASID of VMID 9, ATC_INV of vStreamID 0x10; the queue is at frame 0x1000.
    ram.write(ram.locate(0x1000, 0), 0x11, 9);
    ram.write(ram.locate(0x1000, 2), 0x40, 0x10);
    const page = cmdqv.guestPage(1);
    page.write(8, 4, 1, 0);
    page.write(4, 4, 2, 0);
    cmdqv.settle();
    expect([page.read(0, 4).lo, done, hardware.takeCommands()]).toEqual([2, ['VMID 1', 'SID 0x108'], []]);
  });
});
