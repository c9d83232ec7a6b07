/** NVIDIA's CMDQ-V beside an SMMUv3 (Tegra241). There is no public specification: Linux's driver is the source, README.md says what is assumed. */
import { hex, moved } from '../../bits/index.ts';
import type { Agent, Arena, Memory, MmioBlock } from '../../machine/index.ts';
import type { ReadValue } from '../kit/access.ts';
import { Settling } from '../kit/settle.ts';
import * as registers from '../smmuv3/cmdqv-registers.ts';
import type { CmdqvSizes, Place } from './blocks.ts';
import { CmdqvBlocks } from './blocks.ts';
import type { QueueOwner } from './queue.ts';
import { slotOf, VirtualQueue } from './queue.ts';
import type { CommandTarget } from './target.ts';

export interface CmdqvOptions extends Partial<CmdqvSizes> {
  /** Most entries of a queue, as log2 (IDR1.CMDQS); 19 if absent. */
  readonly mostEntriesLog2?: number;
  /** A guest runs here: the hypervisor has wired HYP_OWN to 0. */
  readonly isGuest?: boolean;
}

export interface CmdqvParts {
  readonly arena: Arena;
  /** Where queues are, by physical addresses. */
  readonly memory: Memory;
  readonly target: CommandTarget;
  /** The interrupt: some queue of an interface that is not masked has an error. */
  readonly interrupt?: () => void;
}

const { CMDQV_CMDQ_ALLOC, CMDQV_CONFIG, CMDQV_STATUS, CMDQV_STRIDE, CMDQV_VINTF_ERR_MAP, CMDQV_VINTF_INT_MASK } =
  registers;

const VINTFS = registers.VINTF_CONFIG.offset;
const PAGE_0 = registers.VCMDQ_CONS.offset;
const VINTF_CONFIG = moved(registers.VINTF_CONFIG, 0);
const VINTF_STATUS = moved(registers.VINTF_STATUS, registers.VINTF_STATUS.offset - VINTFS);
const VINTF_ERR_MAP = moved(registers.VINTF_LVCMDQ_ERR_MAP, registers.VINTF_LVCMDQ_ERR_MAP.offset - VINTFS);
const CONS = registers.VCMDQ_CONS.offset - PAGE_0;
const CONFIG = moved(registers.VCMDQ_CONFIG, registers.VCMDQ_CONFIG.offset - PAGE_0);
const STATUS = moved(registers.VCMDQ_STATUS, registers.VCMDQ_STATUS.offset - PAGE_0);

export class Cmdqv implements MmioBlock {
  readonly name = 'cmdqv';
  readonly blocks: CmdqvBlocks;
  /** What steps by itself: each queue, and what they have sent to devices. */
  readonly agents: readonly Agent[];
  private readonly parts: CmdqvParts;
  private readonly isGuest: boolean;
  private readonly queues: readonly VirtualQueue[];
  private readonly settling: Settling;

  constructor(parts: CmdqvParts, options: CmdqvOptions = {}) {
    const { isGuest = false, mostEntriesLog2 = 19, sidsLog2 = 2, vcmdqsLog2 = 2, vintfsLog2 = 1 } = options;
    this.parts = parts;
    this.isGuest = isGuest;
    this.blocks = new CmdqvBlocks(parts.arena, { vintfsLog2, vcmdqsLog2, sidsLog2 });
    this.queues = this.blocks.queue.map(
      (regs, q) =>
        new VirtualQueue(
          ...([
            `VCMDQ ${q}`,
            mostEntriesLog2,
            { regs, base: this.blocks.base[q] },
            parts.memory,
            parts.target,
          ] as const),
          () => this.ownerOf(q),
          () => this.tellErrors(),
        ),
    );
    this.agents = [...this.queues.map(({ agent }) => agent), ...parts.target.agents];
    this.settling = new Settling(this.agents);
  }

  /** Bytes of the whole block. */
  get bytes(): number {
    return this.blocks.bytes;
  }

  /** Takes all steps that hardware can take by itself. */
  settle(): void {
    this.settling.run();
  }

  registerName(offset: number): string {
    const place = this.place(offset);
    const name = place?.file.at(place.offset)?.name;
    if (place === null || name === undefined) return `${this.name}+${hex(offset)}`;
    if (place.kind === 'cmdqv') return name;
    return place.kind === 'vintf' ? `${name} of VINTF ${place.unit}` : `${name} of VCMDQ ${place.unit}`;
  }

  read(offset: number, size: number): ReadValue {
    const lo = this.load(offset);
    return { lo, hi: size === 8 ? this.load(offset + 4) : 0 };
  }

  write(offset: number, size: number, lo: number, hi: number): void {
    this.store(offset, lo);
    if (size === 8) this.store(offset + 4, hi);
  }

  /** The page of an interface that its guest has: its own queues' page 0, at the same offsets as in hardware. No access to it traps. */
  guestPage(vintf: number): MmioBlock {
    const from = registers.CMDQV_PAGES.VINTF + vintf * CMDQV_STRIDE.VINTF_PAGES;
    const isInside = (offset: number) => offset >= 0 && offset < 0x10000;
    return {
      name: `VINTF ${vintf}`,
      registerName: (offset) => this.registerName(from + offset),
      read: (offset, size) => (isInside(offset) ? this.read(from + offset, size) : { lo: 0, hi: 0 }),
      write: (offset, size, lo, hi) => {
        if (isInside(offset)) this.write(from + offset, size, lo, hi);
      },
    };
  }

  private place(offset: number): Place | null {
    return this.blocks.at(offset, (vintf, lvcmdq) => this.queueOf(vintf, lvcmdq));
  }

  /** The queue that an interface has under a number of its own; −1 where none is. */
  private queueOf(vintf: number, lvcmdq: number): number {
    const { all, allocs } = this.blocks;
    const { ALLOCATED, LVCMDQ, VINTF } = CMDQV_CMDQ_ALLOC;
    return allocs.findIndex(
      (one) => all.get(one, ALLOCATED) === 1 && all.get(one, VINTF) === vintf && all.get(one, LVCMDQ) === lvcmdq,
    );
  }

  private vintfOf(queue: number): number {
    const { all, allocs } = this.blocks;
    return all.get(allocs[queue], CMDQV_CMDQ_ALLOC.ALLOCATED) === 0
      ? -1
      : all.get(allocs[queue], CMDQV_CMDQ_ALLOC.VINTF);
  }

  private ownerOf(queue: number): QueueOwner {
    const vintf = this.vintfOf(queue);
    const file = this.blocks.vintf[vintf];
    if (file === undefined || file.get(VINTF_STATUS, VINTF_STATUS.ENABLED) === 0) return null;
    const hypervisor = file.get(VINTF_CONFIG, VINTF_CONFIG.HYP_OWN) === 1;
    return {
      hypervisor,
      ids: { vmid: file.get(VINTF_CONFIG, VINTF_CONFIG.VMID), sidOf: (vsid) => this.sidOf(vintf, vsid) },
    };
  }

  private sidOf(vintf: number, vsid: number): number {
    const { matches, replacements, vintf: files } = this.blocks;
    const slot = slotOf(
      matches.map(({ offset }) => files[vintf].read32(offset)),
      vsid,
    );
    return slot < 0 ? -1 : files[vintf].read32(replacements[slot].offset) >>> 0;
  }

  private load(offset: number): number {
    const place = this.place(offset);
    return place === null ? 0 : place.file.load32(place.offset);
  }

  private store(offset: number, value: number): void {
    const place = this.place(offset);
    if (place === null) return;
    if (place.kind === 'cmdqv') this.storeGlobal(place, value);
    else if (place.kind === 'vintf') this.storeInterface(place, value);
    else this.storeQueue(place, value);
    this.tellErrors();
  }

  private storeGlobal({ file, offset }: Place, value: number): void {
    file.write32(offset, value);
    if (offset !== CMDQV_CONFIG.offset) return;
    const on = file.get(CMDQV_CONFIG, CMDQV_CONFIG.CMDQV_EN);
    file.put(CMDQV_STATUS, CMDQV_STATUS.CMDQV_ENABLED, on);
    if (on === 0) for (let v = 0; v < this.blocks.vintfs; v++) this.disable(v);
  }

  /** VMID and HYP_OWN are taken while the interface is off: a guest's commands never change whose they are. */
  private storeInterface({ file, offset, unit }: Place, value: number): void {
    if (offset !== VINTF_CONFIG.offset) return file.write32(offset, value);
    const { EN, HYP_OWN } = VINTF_CONFIG;
    const wasOn = file.get(VINTF_STATUS, VINTF_STATUS.ENABLED) === 1;
    if (wasOn) file.put(VINTF_CONFIG, EN, value & 1);
    else file.write32(offset, value);
    if (this.isGuest) file.put(VINTF_CONFIG, HYP_OWN, 0);
    const on = file.get(VINTF_CONFIG, EN) === 1 && this.blocks.all.get(CMDQV_STATUS, CMDQV_STATUS.CMDQV_ENABLED) === 1;
    if (on) file.put(VINTF_STATUS, VINTF_STATUS.ENABLED, 1);
    else this.disable(unit);
  }

  private disable(vintf: number): void {
    this.blocks.vintf[vintf].put(VINTF_STATUS, VINTF_STATUS.ENABLED, 0);
    for (let q = 0; q < this.blocks.vcmdqs; q++)
      if (this.vintfOf(q) === vintf) this.blocks.queue[q].put(STATUS, STATUS.ENABLED, 0);
  }

  /** Where the queue is, and how far it has been read, is taken while it is off. */
  private storeQueue({ file, kind, offset, unit }: Place, value: number): void {
    const regs = this.blocks.queue[unit];
    const isOn = regs.get(STATUS, STATUS.ENABLED) === 1;
    if (isOn && (kind === 'base' || offset === CONS)) return;
    file.write32(offset, value);
    if (kind === 'base' || offset !== CONFIG.offset) return;
    const on = regs.get(CONFIG, CONFIG.EN) === 1 && this.ownerOf(unit) !== null;
    regs.put(STATUS, STATUS.ENABLED, on ? 1 : 0);
  }

  /** The maps of who has an error, from queues up to interfaces; a new one that is not masked interrupts. */
  private tellErrors(): void {
    const { all, errorMaps, queue, vintf } = this.blocks;
    const ofVintf = new Array<[number, number]>(vintf.length);
    for (let v = 0; v < vintf.length; v++) ofVintf[v] = [0, 0];
    const words = errorMaps.map(() => 0);
    for (let q = 0; q < queue.length; q++) {
      if (!this.queues[q].hasError) continue;
      words[q >> 5] |= 1 << (q & 31);
      const v = this.vintfOf(q);
      if (v < 0 || v >= vintf.length) continue;
      const lvcmdq = all.get(this.blocks.allocs[q], CMDQV_CMDQ_ALLOC.LVCMDQ);
      if (lvcmdq < 64) ofVintf[v][lvcmdq >> 5] |= 1 << (lvcmdq & 31);
    }
    errorMaps.forEach(({ offset }, i) => all.force32(offset, words[i]));
    let map = 0;
    for (let v = 0; v < vintf.length; v++) {
      const [lo, hi] = ofVintf[v];
      vintf[v].force32(VINTF_ERR_MAP.offset, lo);
      vintf[v].force32(VINTF_ERR_MAP.offset + 4, hi);
      if ((lo | hi) !== 0) map |= 1 << v;
    }
    const fresh = map & ~all.read32(CMDQV_VINTF_ERR_MAP.offset) & ~all.read32(CMDQV_VINTF_INT_MASK.offset);
    all.force32(CMDQV_VINTF_ERR_MAP.offset, map);
    if (fresh !== 0) this.parts.interrupt?.();
  }
}
