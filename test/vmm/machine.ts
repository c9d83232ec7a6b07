/** A host with the model of an SMMUv3 and a CMDQ-V beside it, and guests on it that each have a file of iommufd. Nothing of it is a mock. */
import { encodeHalves, high, low } from '../../src/bits/index.ts';
import { Cmdqv, SmmuTarget } from '../../src/iommu/cmdqv/index.ts';
import { type AtcRequest, CD, REQUEST, SmmuEmulator, STAGE1 } from '../../src/iommu/smmuv3/index.ts';
import { Arena, RamMemory } from '../../src/machine/index.ts';
import type { HostDevice, Kernel, UserMemory } from '../../src/vmm/iommufd/index.ts';
import {
  ArmSmmu,
  ArmSmmuHost,
  attachDevice,
  bindDevice,
  CmdqvDriver,
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
  IOMMU_VIOMMU_ALLOC,
  Iommufd,
  kernelNamed,
  SmmuOnModel,
  VIOMMU_TYPE,
} from '../../src/vmm/iommufd/index.ts';
import { deviceOf, FEATURES, taken } from './host.ts';

/** Host memory; the upper half is the host's own. */
const FRAMES = 2048;
export const USER = 0x4000_0000n;
/** Of each guest; page n of it is what lies n pages behind USER in its VMM. */
const GUEST_PAGES = 0x80;
const FIRST_GUEST = 0x40;

const { FAULT_ID_VALID } = HWPT_ALLOC_FLAGS;

/** Entries of a guest's own queue, as log2: a page. */
const QUEUE_BITS = 8;
export const VSID = 0x10n;

/** Memory of one VMM: the guest's. */
export class RamUser implements UserMemory {
  readonly ram: RamMemory;
  private readonly first: number;
  private readonly pages: number;
  constructor(ram: RamMemory, first: number, pages: number) {
    this.ram = ram;
    this.first = first;
    this.pages = pages;
  }
  private get bytes(): Uint8Array {
    return new Uint8Array(this.ram.words.buffer);
  }
  private offset(at: bigint, bytes: number): number {
    const offset = Number(at - USER);
    return offset < 0 || offset + bytes > this.pages * 4096 ? -1 : offset + this.first * 4096;
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

export type Machine = ReturnType<typeof machine>;

/** One SMMU, whose CMDQ-V has four interfaces of two queues each. */
export function machine(kernel = 'linux-6.18', over: Partial<Kernel> = {}) {
  const ram = new RamMemory(FRAMES);
  const atc: AtcRequest[] = [];
  /** What became of stalled transactions. */
  const resolved: { stag: number; becomes: number }[] = [];
  const emulator = new SmmuEmulator({
    ...{ memory: ram.words.buffer, idr0: { ATS: 1 } },
    stallResolved: (stag, becomes) => resolved.push({ stag, becomes }),
    invalidateAtc: (request) => atc.push({ ...request }) > 0,
  });
  const target = new SmmuTarget(emulator.unit.core, emulator.unit.marks);
  const sizes = { vintfsLog2: 2, vcmdqsLog2: 3, sidsLog2: 1, mostEntriesLog2: QUEUE_BITS };
  const interrupt = () => driver.interrupt();
  const cmdqv = new Cmdqv({ arena: new Arena(), memory: ram, target, interrupt }, sizes);
  const driver = new CmdqvDriver(cmdqv, 0x9000_0000n, QUEUE_BITS);
  const hardware = new SmmuOnModel(emulator.unit, new HostMemory(ram, FRAMES / 2, FRAMES - 1), {
    ...{ name: 'smmu0', vmidBits: 16, cmdqv: driver },
    features: { ...FEATURES, rangeInvalidation: true },
  });
  const smmu = new ArmSmmu(new ArmSmmuHost({ ...kernelNamed(kernel), ...over }), hardware);
  /** Where a transaction comes to, or the event. */
  const dma = (sid: number, address: number, kind: number = REQUEST.read) => {
    const result = emulator.translate(sid, -1, address, kind);
    return result < 0 ? `event 0x${(-result).toString(16)}` : `0x${result.toString(16)}`;
  };
  return { ram, emulator, cmdqv, hardware, smmu, kernel, owners: new DmaOwners(), atc, resolved, dma, guests: 0 };
}

/** Frames of a VMM's memory. */
interface Place {
  readonly first: number;
  readonly pages: number;
}

/** Two megabytes that are one block in a table. */
export const LARGE: Place = { first: 512, pages: 512 };

/** A VMM with one device that is bound and not attached, and an IOAS. */
export function vmm(it: Machine, sid = 0x108, over: Partial<HostDevice> = {}, place: Partial<Place> = {}) {
  const { first = FIRST_GUEST + GUEST_PAGES * it.guests++, pages = GUEST_PAGES } = place;
  const memory = new RamUser(it.ram, first, pages);
  const bytes = BigInt(pages) << 12n;
  const fd = new Iommufd({ memory, owners: it.owners, kernel: it.kernel });
  const ioas = call(fd, IOMMU_IOAS_ALLOC, {}).out_ioas_id;
  const device = taken(bindDevice(fd, deviceOf(it.smmu, sid, { dirtyTracking: false, ...over })));
  const flags = IOAS_MAP_FLAGS.FIXED_IOVA | IOAS_MAP_FLAGS.READABLE | IOAS_MAP_FLAGS.WRITEABLE;
  /** All of its memory. */
  const map = (iova = 0n, over = {}) =>
    call(fd, IOMMU_IOAS_MAP, { ioas_id: ioas, flags, iova, length: bytes, user_va: USER, ...over }).errno;
  const unmap = (iova = 0n) => call(fd, IOMMU_IOAS_UNMAP, { ioas_id: ioas, iova, length: bytes }).errno;
  const dma = (address: number, kind?: number) => it.dma(sid, address, kind);
  /** As `dma` says it: where its page n lies. */
  const at = (page: number, offset = 0) => `0x${((first + page) * 4096 + offset).toString(16)}`;
  return { ...it, sid, memory, fd, ioas, device, map, unmap, dma, at, first };
}

/** The guest's pages: its tables of stage 1 (below 2^30), its CD, and two that 0x5000 may be at. */
export const PAGE = { L2: 1, L3: 2, CD: 3, A: 4, B: 5, COMMANDS: 8, DATA: 9, QUEUES: 10 } as const;
export const ASID = 7;

export type Command = readonly [bigint, bigint];
export const TLBI_ASID: Command = [0x11n | (BigInt(ASID) << 48n), 0n];
export const SYNC: Command = [0x46n, 0n];

export interface GuestOptions {
  readonly type?: number;
  /** Of its device. */
  readonly device?: Partial<HostDevice>;
  /** Fields of its CD. */
  readonly cd?: Partial<Record<'S', number>>;
  /** Of the FAULT queue that its nested HWPT has. */
  readonly faults?: (fd: Iommufd) => number;
}

/** A guest whose device is behind a stage 1 of its own: 0x5000 is at its page A. */
export function guest(it: Machine, sid?: number, options: GuestOptions = {}) {
  const { type = VIOMMU_TYPE.ARM_SMMUV3 } = options;
  const host = vmm(it, sid, options.device);
  const { device, fd, ioas, first, map, ram } = host;
  const parent = call(fd, IOMMU_HWPT_ALLOC, {
    ...{ dev_id: device.id, pt_id: ioas, flags: HWPT_ALLOC_FLAGS.NEST_PARENT },
  }).out_hwpt_id;
  if (map() !== null) throw new Error('no memory');
  const ipa = (page: number) => BigInt(page) << 12n;
  const made = call(fd, IOMMU_VIOMMU_ALLOC, {
    ...{ type, dev_id: device.id, hwpt_id: parent },
    ...(type === VIOMMU_TYPE.ARM_SMMUV3 ? {} : { data_len: 16, data_uptr: USER + ipa(PAGE.DATA) }),
  });
  const viommu = made.out_viommu_id;
  const vdevice = call(fd, IOMMU_VDEVICE_ALLOC, { viommu_id: viommu, dev_id: device.id, virt_id: VSID });
  if (made.errno !== null || vdevice.errno !== null) throw new Error(`${made.errno} ${vdevice.errno}`);
  const put = (page: number, word: number, halves: ArrayLike<number>) => {
    for (let i = 0; i < halves.length; i += 2)
      ram.write(ram.locate(first + page, word + i / 2), halves[i], halves[i + 1]);
  };
  /** The guest's PTE of 0x5000. */
  const setPage = (page: number) =>
    put(PAGE.L3, 5, encodeHalves(STAGE1[4].leaf[3], { ADDR: ipa(page), AF: 1, SH: 3, AP: 1, nG: 1 }));
  put(PAGE.L2, 0, encodeHalves(STAGE1[4].table, { ADDR: ipa(PAGE.L3) }));
  setPage(PAGE.A);
  const cd = encodeHalves(CD, {
    ...{ V: 1, AA64: 1, T0SZ: 34, TG0: 0, IR0: 1, OR0: 1, SH0: 3, EPD1: 1, IPS: 5 },
    ...{ R: 1, A: 1, ASET: 1, ASID, TTB0: ipa(PAGE.L2), MAIR0: 0xff, ...options.cd },
  });
  put(PAGE.CD, 0, cd);
  const putCommands = (page: number, commands: readonly Command[], from = 0) =>
    commands.forEach(([lo, hi], i) => {
      put(page, 2 * (from + i), [low(lo), high(lo), low(hi), high(hi)]);
    });
  /** By the VMM, which the guest has trapped into. */
  const invalidate = (...commands: Command[]) => {
    putCommands(PAGE.COMMANDS, commands);
    const array = { data_uptr: USER + ipa(PAGE.COMMANDS), data_type: 1, entry_len: 16, entry_num: commands.length };
    const { entry_num, errno } = call(fd, IOMMU_HWPT_INVALIDATE, { hwpt_id: viommu, ...array });
    return { errno, entry_num };
  };
  /** A nested HWPT by the first word of an STE. */
  const nest = (ste: bigint) => {
    put(PAGE.DATA, 0, [low(ste), high(ste), 0, 0]);
    const data = { data_type: HWPT_DATA.ARM_SMMUV3, data_len: 16, data_uptr: USER + ipa(PAGE.DATA) };
    const faults = options.faults === undefined ? {} : { flags: FAULT_ID_VALID, fault_id: options.faults(fd) };
    const { errno, out_hwpt_id } = call(fd, IOMMU_HWPT_ALLOC, { dev_id: device.id, pt_id: viommu, ...data, ...faults });
    return taken(errno ?? out_hwpt_id);
  };
  const mmapOffset = Number(
    new DataView(host.memory.read(USER + ipa(PAGE.DATA), 8)?.buffer as ArrayBuffer).getBigUint64(0, true),
  );
  const nested = nest(0b1011n | ipa(PAGE.CD));
  taken(attachDevice(device, nested));
  return { ...host, parent, viommu, nested, put, putCommands, setPage, invalidate, nest, ipa, mmapOffset };
}
