/** Queues that are read through files: vEVENTQ and FAULT. */
import { describe, expect, test } from 'vitest';
import { deviceOf, host, taken } from '../../../test/vmm/host.ts';
import { decodeHalves } from '../../bits/index.ts';
import { attachDevice, bindDevice, detachDevice, replaceDevice } from './device.ts';
import { FaultQueue } from './fault-queue.ts';
import { HWPT_ALLOC_FLAGS, PAGE_RESPONSE, VEVENTQ_TYPE, VIOMMU_TYPE } from './flags.ts';
import {
  call,
  IOMMU_DESTROY,
  IOMMU_FAULT_QUEUE_ALLOC,
  IOMMU_HWPT_ALLOC,
  IOMMU_IOAS_ALLOC,
  IOMMU_VEVENTQ_ALLOC,
  IOMMU_VIOMMU_ALLOC,
} from './ioctl.ts';
import { HWPT_PGFAULT } from './structures.ts';
import { halvesOf } from './user-array.ts';
import { reportEvent } from './vevent-queue.ts';
import { Viommu } from './viommu.ts';

function withDevice() {
  const it = host();
  const ioas = call(it.fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const device = taken(bindDevice(it.fd, deviceOf(it.smmu, 0x108)));
  return { ...it, ioas, device };
}

describe('a vEVENTQ', () => {
  function queue(depth: number) {
    const { fd, ioas, device } = withDevice();
    const flags = HWPT_ALLOC_FLAGS.NEST_PARENT;
    const parent = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags }).out_hwpt_id;
    const made = { type: VIOMMU_TYPE.ARM_SMMUV3, dev_id: device.id, hwpt_id: parent };
    const viommu_id = call(fd, IOMMU_VIOMMU_ALLOC, made).out_viommu_id;
    const viommu = taken(fd.objects.get(viommu_id, Viommu));
    const create = (over = {}) =>
      call(fd, IOMMU_VEVENTQ_ALLOC, { viommu_id, type: VEVENTQ_TYPE.ARM_SMMUV3, veventq_depth: depth, ...over });
    const { out_veventq_fd: file, out_veventq_id: id } = create();
    const report = (byte: number) => reportEvent(viommu, VEVENTQ_TYPE.ARM_SMMUV3, new Uint8Array(32).fill(byte));
    /** `sequence:byte`, or `sequence:lost`. */
    const read = (bytes = 1000) => {
      const given = taken(taken(fd.files.get(file) ?? 'ENOENT').read(bytes));
      const out: string[] = [];
      for (let at = 0; at < given.length; ) {
        const [flags, sequence] = halvesOf(given.slice(at, at + 8));
        out.push(`${sequence}:${flags === 1 ? 'lost' : given[at + 8]}`);
        at += flags === 1 ? 8 : 40;
      }
      return out;
    };
    return { fd, viommu, viommu_id, create, file, id, report, read };
  }

  test.each([
    ['of the type that is reserved', { type: 0 }, 'EOPNOTSUPP'],
    ['with flags', { flags: 1 }, 'EOPNOTSUPP'],
    ['with a reserved member', { __reserved: 1 }, 'EOPNOTSUPP'],
    ['without room', { type: 2, veventq_depth: 0 }, 'EINVAL'],
    ['of no vIOMMU', { type: 2, viommu_id: 99 }, 'ENOENT'],
    ['a second of one type', {}, 'EEXIST'],
    ['of another type', { type: 2 }, null],
    ['of a type that no driver has', { type: 77 }, null],
  ])('%s', (_, over, errno) => {
    expect(queue(2).create(over).errno).toBe(errno);
  });

  test('events have numbers', () => {
    const { report, read } = queue(4);
    expect([report(7), report(8)]).toEqual([null, null]);
    expect(read()).toEqual(['0:7', '1:8']);
    expect(read()).toEqual([]);
  });

  test('lost at the end: a mark that goes when an event comes', () => {
    const { report, read } = queue(2);
    for (const byte of [1, 2, 3, 4]) report(byte);
    expect(read(40)).toEqual(['0:1']);
    report(5);
    expect(read()).toEqual(['1:2', '4:5']);
    for (const byte of [6, 7, 8]) report(byte);
    expect(read()).toEqual(['5:6', '6:7', '7:lost']);
    report(9);
    expect(read()).toEqual(['8:9']);
  });

  test('an event that does not fit stays', () => {
    const { fd, file, report, read } = queue(2);
    report(1);
    expect([read(39), fd.files.get(file)?.isReadable, read(40)]).toEqual([[], true, ['0:1']]);
  });

  test('nobody listens', () => {
    const { viommu } = queue(2);
    expect(reportEvent(viommu, VEVENTQ_TYPE.TEGRA241_CMDQV, new Uint8Array(16))).toBe('EOPNOTSUPP');
  });

  test('is destroyed after its file was closed, and holds the vIOMMU', () => {
    const { fd, file, id, viommu_id } = queue(2);
    const destroy = (one: number) => call(fd, IOMMU_DESTROY, { id: one }).errno;
    expect([destroy(id), destroy(viommu_id)]).toEqual(['EBUSY', 'EBUSY']);
    fd.closeFile(file);
    expect([destroy(id), destroy(viommu_id)]).toEqual([null, null]);
  });
});

describe('a fault queue', () => {
  function faulting() {
    const it = withDevice();
    const { fd, ioas, device } = it;
    const { out_fault_fd: file, out_fault_id } = call(fd, IOMMU_FAULT_QUEUE_ALLOC, {});
    const queue = taken(fd.objects.get(out_fault_id, FaultQueue));
    const flags = HWPT_ALLOC_FLAGS.FAULT_ID_VALID;
    const alloc = { dev_id: device.id, pt_id: ioas, flags, fault_id: out_fault_id };
    const hwpt = call(fd, IOMMU_HWPT_ALLOC, alloc).out_hwpt_id;
    const answers: string[] = [];
    const report = (index: number, pages: number) =>
      queue.report({
        ...{ device, index, respond: (success) => answers.push(`${index}:${success ? 'ok' : 'no'}`) },
        faults: Array.from({ length: pages }, (_, i) => ({ pasid: 5, address: BigInt(i) * 0x1000n, perm: 2 })),
      });
    const read = (faults: number) => {
      const bytes = taken(queue.read(40 * faults));
      return Array.from({ length: bytes.length / 40 }, (_, i) =>
        decodeHalves(HWPT_PGFAULT, halvesOf(bytes.slice(40 * i, 40 * i + 40))),
      );
    };
    const respond = (...answer: (readonly [cookie: number, code: number])[]) =>
      queue.write(new Uint8Array(Int32Array.from(answer.flat()).buffer));
    return { ...it, file, queue, hwpt, answers, report, read, respond };
  }

  test('groups are read whole, and answered by cookie', () => {
    const { answers, device, queue, read, report, respond } = faulting();
    report(1, 2);
    report(2, 1);
    expect(queue.read(41)).toBe('ESPIPE');
    expect(read(1)).toEqual([]);
    const [one, two] = read(2);
    expect(one).toMatchObject({ flags: 1, dev_id: device.id, pasid: 5, grpid: 1, perm: 2, addr: 0n, cookie: 1 });
    expect(two).toMatchObject({ flags: 3, addr: 0x1000n, cookie: 1 });
    expect(read(3)).toMatchObject([{ flags: 3, grpid: 2, cookie: 2 }]);
    expect(respond([2, PAGE_RESPONSE.INVALID], [1, PAGE_RESPONSE.SUCCESS])).toBe(16);
    expect(answers).toEqual(['2:no', '1:ok']);
    // Cookies that are free are given again, lowest first.
    report(3, 1);
    expect(read(1)).toMatchObject([{ cookie: 1 }]);
  });

  test('wrong answers', () => {
    const { answers, queue, read, report, respond } = faulting();
    report(1, 1);
    expect(respond([1, PAGE_RESPONSE.SUCCESS])).toBe('EINVAL');
    read(1);
    expect(queue.write(new Uint8Array(7))).toBe('ESPIPE');
    expect(respond([1, 2])).toBe('EINVAL');
    expect(respond([9, 0])).toBe('EINVAL');
    expect(respond([1, 0], [1, 0])).toBe(8);
    expect(answers).toEqual(['1:ok']);
  });

  test('who leaves is told that it did not work', () => {
    const { answers, device, fd, hwpt, ioas, read, report } = faulting();
    taken(attachDevice(device, hwpt));
    report(1, 1);
    read(1);
    report(2, 1);
    const other = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas }).out_hwpt_id;
    taken(replaceDevice(device, other));
    expect(answers).toEqual(['2:no', '1:no']);
    taken(replaceDevice(device, hwpt));
    report(3, 1);
    detachDevice(device);
    expect(answers.slice(2)).toEqual(['3:no']);
  });

  test('a virtual function that shares its page requests', () => {
    const { fd, hwpt, smmu, hardware } = faulting();
    const virtual = taken(bindDevice(fd, deviceOf(smmu, 0x200, { sharedPri: true })));
    expect([attachDevice(virtual, hwpt), hardware.streams.has(0x200)]).toEqual(['EINVAL', false]);
  });

  test('is held by its page table and its file', () => {
    const { fd, file, hwpt, queue } = faulting();
    const destroy = (id: number) => call(fd, IOMMU_DESTROY, { id }).errno;
    expect(destroy(queue.id)).toBe('EBUSY');
    fd.closeFile(file);
    expect(destroy(queue.id)).toBe('EBUSY');
    expect([destroy(hwpt), destroy(queue.id)]).toEqual([null, null]);
    expect(call(fd, IOMMU_FAULT_QUEUE_ALLOC, { flags: 1 }).errno).toBe('EOPNOTSUPP');
  });
});
