/** NVIDIA's CMDQ-V beside an SMMUv3 (Tegra241). There is no public specification: Linux's driver is the source, README.md says what is assumed. */
import { hex, moved } from '../../bits/index.ts';
import type { Agent, Arena, Memory, MmioBlock } from '../../machine/index.ts';
import type { ReadValue } from '../kit/access.ts';
import { Settling } from '../kit/settle.ts';
import * as registers from '../smmuv3/cmdqv-registers.ts';
import type { CmdqvSizes, Place } from './blocks.ts';
import { CmdqvBlocks } from './blocks.ts';
import type { Owners } from './filter.ts';
import { VirtualQueue } from './queue.ts';
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
/** Words of VINTF_LVCMDQ_ERR_MAP that are declared: 64 queues. */
const ERROR_WORDS = 2;
const CONS = registers.VCMDQ_CONS.offset - PAGE_0;
const CONFIG = moved(registers.VCMDQ_CONFIG, registers.VCMDQ_CONFIG.offset - PAGE_0);
const STATUS = moved(registers.VCMDQ_STATUS, registers.VCMDQ_STATUS.offset - PAGE_0);

export class Cmdqv implements MmioBlock, Owners {
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
    this.queues = this.blocks.queue.map((regs, q) => {
      const files = { regs, base: this.blocks.base[q] };
      return new VirtualQueue(q, mostEntriesLog2, files, parts.memory, parts.target, this, () => this.tellErrors());
    });
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
    for (let q = 0; q < this.blocks.vcmdqs; q++)
      if (this.allocatedTo(q) === vintf && this.lvcmdqOf(q) === lvcmdq) return q;
    return -1;
  }

  private lvcmdqOf(queue: number): number {
    return this.blocks.all.get(this.blocks.allocs[queue], CMDQV_CMDQ_ALLOC.LVCMDQ);
  }

  /** The interface that a queue is mapped to, on or off; −1 where it is not. */
  private allocatedTo(queue: number): number {
    const { all, allocs } = this.blocks;
    const { ALLOCATED, VINTF } = CMDQV_CMDQ_ALLOC;
    return all.get(allocs[queue], ALLOCATED) === 0 ? -1 : all.get(allocs[queue], VINTF);
  }

  vintfOf(queue: number): number {
    const vintf = this.allocatedTo(queue);
    const file = this.blocks.vintf[vintf];
    return file === undefined || file.get(VINTF_STATUS, VINTF_STATUS.ENABLED) === 0 ? -1 : vintf;
  }

  isHypervisors(vintf: number): boolean {
    return this.blocks.vintf[vintf].get(VINTF_CONFIG, VINTF_CONFIG.HYP_OWN) === 1;
  }

  vmidOf(vintf: number): number {
    return this.blocks.vintf[vintf].get(VINTF_CONFIG, VINTF_CONFIG.VMID);
  }

  sidOf(vintf: number, vsid: number): number {
    const { matches, replacements, sids } = this.blocks;
    const file = this.blocks.vintf[vintf];
    for (let slot = 0; slot < sids; slot++) {
      const match = matches[slot];
      if (file.get(match, match.VALID) === 1 && file.get(match, match.SID) === vsid)
        return file.read32(replacements[slot].offset) >>> 0;
    }
    return -1;
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
      if (this.allocatedTo(q) === vintf) this.blocks.queue[q].put(STATUS, STATUS.ENABLED, 0);
  }

  /** Where the queue is, and how far it has been read, is taken while it is off. */
  private storeQueue({ file, kind, offset, unit }: Place, value: number): void {
    const regs = this.blocks.queue[unit];
    const isOn = regs.get(STATUS, STATUS.ENABLED) === 1;
    if (isOn && (kind === 'base' || offset === CONS)) return;
    file.write32(offset, value);
    if (kind === 'base' || offset !== CONFIG.offset) return;
    const on = regs.get(CONFIG, CONFIG.EN) === 1 && this.vintfOf(unit) >= 0;
    regs.put(STATUS, STATUS.ENABLED, on ? 1 : 0);
  }

  /** The maps of who has an error, from queues up to interfaces; a new one that is not masked interrupts. */
  private tellErrors(): void {
    const { all, errorMaps, vcmdqs, vintfs } = this.blocks;
    for (let word = 0; word < errorMaps.length; word++) all.force32(errorMaps[word].offset, this.errorsOf(-1, word));
    let map = 0;
    for (let v = 0; v < vintfs; v++) {
      let any = 0;
      for (let word = 0; word < ERROR_WORDS; word++) {
        const errors = vcmdqs > 32 * word ? this.errorsOf(v, word) : 0;
        this.blocks.vintf[v].force32(VINTF_ERR_MAP.offset + 4 * word, errors);
        any |= errors;
      }
      if (any !== 0) map |= 1 << v;
    }
    const fresh = map & ~all.read32(CMDQV_VINTF_ERR_MAP.offset) & ~all.read32(CMDQV_VINTF_INT_MASK.offset);
    all.force32(CMDQV_VINTF_ERR_MAP.offset, map);
    if (fresh !== 0) this.parts.interrupt?.();
  }

  /** 32 queues that have errors, as bits: of all, or of an interface under its own numbers. */
  private errorsOf(vintf: number, word: number): number {
    let bits = 0;
    for (let q = 0; q < this.queues.length; q++) {
      if (!this.queues[q].hasError || (vintf >= 0 && this.allocatedTo(q) !== vintf)) continue;
      const number = vintf < 0 ? q : this.lvcmdqOf(q);
      if (number >> 5 === word) bits |= 1 << (number & 31);
    }
    return bits;
  }
}
