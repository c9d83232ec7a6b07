/** Stalled transactions as page requests (FAULT queues), over the model of an SMMUv3: user space maps what is missing and has them tried again. */
import { describe, expect, test } from 'vitest';
import { decodeHalves, encodeHalves } from '../../src/bits/index.ts';
import { OUTCOME, REQUEST, STALL } from '../../src/iommu/smmuv3/index.ts';
import {
  attachDevice,
  bytesOf,
  call,
  detachDevice,
  HWPT_ALLOC_FLAGS,
  HWPT_PAGE_RESPONSE,
  HWPT_PGFAULT,
  halvesOf,
  IOMMU_FAULT_QUEUE_ALLOC,
  IOMMU_HWPT_ALLOC,
  type Iommufd,
  PAGE_RESPONSE,
  PGFAULT_FLAGS,
} from '../../src/vmm/iommufd/index.ts';
import { taken } from './host.ts';
import { guest, type Machine, machine, PAGE, vmm } from './machine.ts';

const SID = 0x40;

function queueOf(fd: Iommufd) {
  const { out_fault_fd, out_fault_id } = call(fd, IOMMU_FAULT_QUEUE_ALLOC, {});
  const file = taken(fd.files.get(out_fault_fd) ?? 'ENOENT');
  const read = () => {
    const bytes = taken(file.read(HWPT_PGFAULT.width / 8));
    return bytes.length === 0 ? null : decodeHalves(HWPT_PGFAULT, halvesOf(bytes));
  };
  const respond = (cookie: number, code: number) =>
    taken(file.write(bytesOf(encodeHalves(HWPT_PAGE_RESPONSE, { cookie, code }))));
  return { id: out_fault_id, read, respond };
}

/** A device that may stall, on a page table of the kernel's that has a fault queue, and nothing mapped. */
function paging(it: Machine, stalls = true, sid = SID) {
  const made = vmm(it, sid, { stalls });
  const { device, fd, ioas } = made;
  const queue = queueOf(fd);
  const flags = HWPT_ALLOC_FLAGS.FAULT_ID_VALID;
  const hwpt = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: ioas, flags, fault_id: queue.id });
  taken(attachDevice(device, hwpt.out_hwpt_id));
  return { ...made, queue };
}

/** A device's write; the interrupt of the event queue, if it stalls. @returns its STAG, −1 if it does not stall, and what became of its event */
function stall(it: Machine, address: number, sid = SID) {
  it.dma(sid, address, REQUEST.write);
  const { outcome, unit } = it.emulator;
  const reports = it.hardware.takeEvents().map((event) => it.smmu.reportEvent(event));
  return { stag: outcome === OUTCOME.stalled ? unit.stag : -1, reports };
}

describe('a page table of the kernel’s', () => {
  test('what is missing is mapped, and the transaction goes on', () => {
    const it = machine();
    const { at, dma, map, queue } = paging(it);
    const { reports, stag } = stall(it, 0x5008);
    expect(reports).toEqual([null]);
    const fault = queue.read();
    expect(fault).toMatchObject({ addr: 0x5008n, perm: 2, grpid: stag, flags: PGFAULT_FLAGS.LAST_PAGE, pasid: 0 });
    expect([map(), it.resolved]).toEqual([null, []]);
    queue.respond(fault?.cookie as number, PAGE_RESPONSE.SUCCESS);
    expect(it.resolved).toEqual([{ stag, becomes: STALL.retry }]);
    expect(dma(0x5008, REQUEST.write)).toBe(at(5, 8));
  });

  test('or it is aborted', () => {
    const it = machine();
    const { queue } = paging(it);
    const { stag } = stall(it, 0x5008);
    queue.respond(queue.read()?.cookie as number, PAGE_RESPONSE.INVALID);
    expect(it.resolved).toEqual([{ stag, becomes: STALL.abort }]);
  });

  test('two wait at once, and are answered in any order', () => {
    const it = machine();
    const { queue } = paging(it);
    const [one, two] = [stall(it, 0x5000), stall(it, 0x9000)];
    const [first, second] = [queue.read(), queue.read()];
    queue.respond(second?.cookie as number, PAGE_RESPONSE.SUCCESS);
    queue.respond(first?.cookie as number, PAGE_RESPONSE.INVALID);
    expect(it.resolved).toEqual([
      { stag: two.stag, becomes: STALL.retry },
      { stag: one.stag, becomes: STALL.abort },
    ]);
  });

  test('a detached device waits for nothing', () => {
    const it = machine();
    const { device } = paging(it);
    const { stag } = stall(it, 0x5000);
    detachDevice(device);
    expect(it.resolved).toEqual([{ stag, becomes: STALL.abort }]);
  });

  test('of a device that may not stall: nothing does, with a fault queue or not', () => {
    const it = machine();
    paging(it, false);
    expect(stall(it, 0x5000)).toEqual({ stag: -1, reports: ['EOPNOTSUPP'] });
  });

  test('without a fault queue: aborted by the driver', () => {
    const it = machine();
    const { device, ioas } = vmm(it, SID, { stalls: true });
    taken(attachDevice(device, ioas));
    const { reports, stag } = stall(it, 0x5000);
    expect([reports, it.resolved]).toEqual([['EINVAL'], [{ stag, becomes: STALL.abort }]]);
  });
});

describe('a guest that lets its transactions stall', () => {
  const stalling = { cd: { S: 1 } };

  test('is told through the VMM’s fault queue, and answers through it', () => {
    const it = machine();
    let queue: ReturnType<typeof queueOf> | undefined;
    const faults = (fd: Iommufd) => {
      queue = queueOf(fd);
      return queue.id;
    };
    const { at, dma, setPage } = guest(it, SID, { ...stalling, device: { stalls: true }, faults });
    setPage(PAGE.B);
    dma(0x5000);
    const { stag } = stall(it, 0x6000);
    const fault = queue?.read();
    expect(fault).toMatchObject({ addr: 0x6000n, grpid: stag });
    queue?.respond(fault?.cookie as number, PAGE_RESPONSE.SUCCESS);
    expect(it.resolved).toEqual([{ stag, becomes: STALL.retry }]);
    expect(dma(0x5000)).toBe(at(PAGE.B));
  });

  test('with a device that firmware does not call stalling: nobody ever answers, and the places of the whole SMMU run out', () => {
    const it = machine();
    guest(it, SID, stalling);
    const stags = new Set<number>();
    for (let i = 0; i < 16; i++) {
      const { reports, stag } = stall(it, 0x6000 + 0x1000 * i);
      expect(reports).toEqual(['EINVAL']);
      stags.add(stag);
    }
    expect([stags.size, it.resolved]).toEqual([16, []]);
    // A device of somebody else's, which may stall, waits for a place: its VMM is not told.
    const { queue } = paging(it, true, 0x41);
    expect(stall(it, 0x5000, 0x41)).toEqual({ stag: -1, reports: [] });
    expect([it.emulator.outcome, queue.read()]).toEqual([OUTCOME.noPlace, null]);
  });
});
