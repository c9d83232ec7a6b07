/** Guests with command queues of their own (CMDQ-V), over the models of SMMUv3 and CMDQ-V: what they reach without leaving the guest, and what not. */
import { describe, expect, test } from 'vitest';
import { CMDQ_PROD } from '../../src/iommu/smmuv3/index.ts';
import {
  call,
  HW_QUEUE_TYPE,
  IOMMU_DESTROY,
  IOMMU_HW_QUEUE_ALLOC,
  IOMMU_VEVENTQ_ALLOC,
  VEVENTQ_TYPE,
  VIOMMU_TYPE,
} from '../../src/vmm/iommufd/index.ts';
import { taken } from './host.ts';
import { ASID, type Command, guest, type Machine, machine, PAGE, SYNC, TLBI_ASID } from './machine.ts';

const [CONS, PROD, CONFIG, GERRORN] = [0, 4, 8, 0x14];
const ILLEGAL: Command = [0x13n, 0x5000n];

/** A guest with its first queue on. What it writes to `registers` are accesses to a page of the device: no exit. */
function accelerated(it: Machine, sid?: number) {
  const made = guest(it, sid, { type: VIOMMU_TYPE.TEGRA241_CMDQV });
  const { cmdqv, fd, ipa, mmapOffset, putCommands, viommu } = made;
  const { errno, out_hw_queue_id } = call(fd, IOMMU_HW_QUEUE_ALLOC, {
    ...{ viommu_id: viommu, type: HW_QUEUE_TYPE.TEGRA241_CMDQV, index: 0, length: 0x1000n },
    nesting_parent_iova: ipa(PAGE.QUEUES),
  });
  if (errno !== null) throw new Error(errno);
  const base = mmapOffset - 0x9000_0000;
  const write = (register: number, value: number) => {
    cmdqv.write(base + register, 4, value, 0);
    cmdqv.settle();
  };
  const cons = () => {
    const value = cmdqv.read(base + CONS, 4).lo;
    return { index: value & 0xfffff, err: (value >>> 24) & 0x7f };
  };
  let prod = 0;
  const issue = (...commands: Command[]) => {
    putCommands(PAGE.QUEUES, commands, prod);
    prod += commands.length;
    write(PROD, prod);
    return cons();
  };
  write(CONFIG, 1);
  return { ...made, queue: out_hw_queue_id, write, cons, issue };
}

const hostCommands = ({ emulator }: Machine) => emulator.unit.read(CMDQ_PROD.offset, 4).lo;

describe('a guest’s own queue', () => {
  test('invalidates without a command of the host’s', () => {
    const it = machine();
    const { at, dma, issue, setPage } = accelerated(it);
    expect(dma(0x5000)).toBe(at(PAGE.A));
    setPage(PAGE.B);
    const before = hostCommands(it);
    expect(issue([0x11n | (8n << 48n), 0n], SYNC)).toEqual({ index: 2, err: 0 });
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(issue(TLBI_ASID, SYNC)).toEqual({ index: 4, err: 0 });
    expect([dma(0x5000), hostCommands(it) - before]).toEqual([at(PAGE.B), 0]);
  });

  test('reaches one VMID, whatever is written', () => {
    const it = machine();
    const [one, two] = [accelerated(it, 0x108), accelerated(it, 0x200)];
    expect([one.dma(0x5000), two.dma(0x5000)]).toEqual([one.at(PAGE.A), two.at(PAGE.A)]);
    for (const { setPage } of [one, two]) setPage(PAGE.B);
    // VMIDs are 1 and 2 here: each of them, and none.
    for (const vmid of [0n, 1n, 2n]) one.issue([TLBI_ASID[0] | (vmid << 32n), 0n], SYNC);
    expect([one.dma(0x5000), two.dma(0x5000)]).toEqual([one.at(PAGE.B), two.at(PAGE.A)]);
    two.issue([0x12n | (BigInt(ASID) << 48n), 0x5000n], SYNC);
    expect(two.dma(0x5000)).toBe(two.at(PAGE.B));
  });

  test('reaches its own devices’ caches, by its own StreamIDs', () => {
    const it = machine();
    const [one, two] = [accelerated(it, 0x108), accelerated(it, 0x200)];
    const ATC_INV = (sid: bigint): Command => [0x40n | (sid << 32n), 52n];
    expect(two.issue(ATC_INV(0x10n), SYNC)).toEqual({ index: 2, err: 0 });
    expect(it.atc.map(({ sid }) => sid)).toEqual([0x200]);
    expect(one.issue(ATC_INV(0x200n))).toEqual({ index: 0, err: 1 });
    expect(it.atc.length).toBe(1);
  });

  test('stops at what it does not take; its guest is told, and goes on by itself', () => {
    const it = machine();
    const { at, cons, dma, fd, issue, putCommands, setPage, viommu, write } = accelerated(it);
    const { out_veventq_fd } = call(fd, IOMMU_VEVENTQ_ALLOC, {
      ...{ viommu_id: viommu, type: VEVENTQ_TYPE.TEGRA241_CMDQV, veventq_depth: 4 },
    });
    dma(0x5000);
    setPage(PAGE.B);
    expect(issue(SYNC, ILLEGAL, TLBI_ASID)).toEqual({ index: 1, err: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.A));
    const bytes = taken(taken(fd.files.get(out_veventq_fd) ?? 'ENOENT').read(1000));
    expect([bytes.length, new DataView(bytes.buffer).getBigUint64(8, true)]).toEqual([24, 1n]);
    putCommands(PAGE.QUEUES, [SYNC], 1);
    write(GERRORN, 1);
    expect(cons()).toMatchObject({ index: 3 });
    expect(dma(0x5000)).toBe(at(PAGE.B));
  });

  test('an error of one guest stops nobody else', () => {
    const it = machine();
    const [one, two] = [accelerated(it, 0x108), accelerated(it, 0x200)];
    two.dma(0x5000);
    two.setPage(PAGE.B);
    expect(one.issue(ILLEGAL)).toEqual({ index: 0, err: 1 });
    expect(two.issue(TLBI_ASID, SYNC)).toEqual({ index: 2, err: 0 });
    expect(two.dma(0x5000)).toBe(two.at(PAGE.B));
  });

  test('that is taken away reads nothing any more; the VMM can still invalidate', () => {
    const { at, dma, fd, invalidate, issue, queue, setPage, unmap } = accelerated(machine());
    dma(0x5000);
    setPage(PAGE.B);
    expect(unmap()).toBe('EBUSY');
    expect(call(fd, IOMMU_DESTROY, { id: queue }).errno).toBe(null);
    expect(issue(TLBI_ASID, SYNC)).toEqual({ index: 0, err: 0 });
    expect(dma(0x5000)).toBe(at(PAGE.A));
    expect(invalidate(TLBI_ASID)).toEqual({ errno: null, entry_num: 1 });
    expect(dma(0x5000)).toBe(at(PAGE.B));
    expect(unmap()).toBe(null);
  });
});
