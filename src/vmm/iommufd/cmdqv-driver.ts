/** Linux's driver of CMDQ-V: how a hypervisor sets up interfaces and queues for its guests (tegra241-cmdqv.c of Linux 6.18). */
import { encodeHalves, get } from '../../bits/index.ts';
import * as registers from '../../iommu/smmuv3/cmdqv-registers.ts';
import type { MmioBlock } from '../../machine/index.ts';
import type { CmdqvHardware } from './smmu-hardware.ts';

const { CMDQV_CMDQ_ALLOC, CMDQV_CONFIG, CMDQV_PAGES, CMDQV_PARAM, CMDQV_STRIDE, CMDQV_VINTF_ERR_MAP } = registers;
const { VCMDQ_BASE, VCMDQ_CONFIG, VCMDQ_CONS, VCMDQ_GERROR, VCMDQ_GERRORN, VCMDQ_PROD } = registers;
const { VINTF_CONFIG, VINTF_LVCMDQ_ERR_MAP, VINTF_SID_MATCH, VINTF_SID_REPLACE } = registers;

/** Interface 0 is the hypervisor's own. */
const FIRST_OF_GUESTS = 1;

export class CmdqvDriver implements CmdqvHardware {
  readonly queuesPerInterface: number;
  readonly streamsPerInterface: number;
  readonly mostEntriesLog2: number;
  private readonly mmio: Pick<MmioBlock, 'read' | 'write'>;
  /** Physical address of the block, for {@link mmapOffset}. */
  private readonly address: bigint;
  /** By interface: who is told of errors; null where no guest has it. */
  private readonly guests: (((errors: Int32Array) => void) | null)[];

  /** Resets the hardware, and gives each interface the same number of queues. @param mostEntriesLog2 IDR1.CMDQS */
  constructor(mmio: Pick<MmioBlock, 'read' | 'write'>, address: bigint, mostEntriesLog2: number) {
    this.mmio = mmio;
    this.address = address;
    this.mostEntriesLog2 = mostEntriesLog2;
    const param = [this.load(CMDQV_PARAM.offset)];
    const vintfs = 2 ** get(CMDQV_PARAM.NUM_VINTF_LOG2, param);
    const queues = 2 ** get(CMDQV_PARAM.NUM_VCMDQ_LOG2, param);
    this.queuesPerInterface = queues / vintfs;
    this.streamsPerInterface = 2 ** get(CMDQV_PARAM.NUM_SID_PER_VM_LOG2, param);
    this.guests = new Array(vintfs).fill(null);
    this.store(CMDQV_CONFIG.offset, 0);
    this.store(CMDQV_CONFIG.offset, encodeHalves(CMDQV_CONFIG, { CMDQV_EN: 1 })[0]);
    for (let q = 0; q < queues; q++) this.allocate(q, false);
  }

  open(vmid: number, told: (errors: Int32Array) => void): number {
    const vintf = this.guests.indexOf(null, FIRST_OF_GUESTS);
    if (vintf < 0) return -1;
    this.guests[vintf] = told;
    this.clear(vintf);
    const config = this.vintf(vintf, VINTF_CONFIG);
    this.store(config, encodeHalves(VINTF_CONFIG, { VMID: vmid })[0]);
    this.store(config, encodeHalves(VINTF_CONFIG, { VMID: vmid, EN: 1 })[0]);
    return vintf;
  }

  close(vintf: number): void {
    this.clear(vintf);
    this.guests[vintf] = null;
  }

  /** The interrupt: each guest whose queues have errors is told which; it acknowledges them in its own page. */
  interrupt(): void {
    const vintfs = this.load(CMDQV_VINTF_ERR_MAP.offset);
    for (let vintf = FIRST_OF_GUESTS; vintf < this.guests.length; vintf++) {
      if ((vintfs & (1 << vintf)) === 0) continue;
      const at = this.vintf(vintf, VINTF_LVCMDQ_ERR_MAP);
      this.guests[vintf]?.(Int32Array.from([0, 4, 8, 12], (offset) => this.load(at + offset)));
    }
  }

  private clear(vintf: number): void {
    this.store(this.vintf(vintf, VINTF_CONFIG), 0);
    for (let slot = 0; slot < this.streamsPerInterface; slot++) this.setStream(vintf, slot, -1, 0);
  }

  mmapOffset(vintf: number): bigint {
    return this.address + BigInt(CMDQV_PAGES.VINTF + vintf * CMDQV_STRIDE.VINTF_PAGES);
  }

  /** The replacement first: nothing matches before it stands. */
  setStream(vintf: number, slot: number, vsid: number, sid: number): void {
    const at = (of: { offset: number }) => this.vintf(vintf, of) + slot * CMDQV_STRIDE.SID;
    if (vsid < 0) {
      this.store(at(VINTF_SID_MATCH), 0);
      return this.store(at(VINTF_SID_REPLACE), 0);
    }
    this.store(at(VINTF_SID_REPLACE), sid);
    // The driver shifts the vStreamID left: its bit 31 is lost.
    this.store(at(VINTF_SID_MATCH), (vsid << 1) | 1);
  }

  /** Mapped, then told where it is; the guest turns it on. */
  setQueue(vintf: number, queue: number, address: bigint, entriesLog2: number): void {
    this.allocate(this.globalOf(vintf, queue), true);
    const [lo, hi] = encodeHalves(VCMDQ_BASE, { LOG2SIZE: entriesLog2, ADDR: address });
    this.mmio.write(this.queue(vintf, queue, VCMDQ_BASE), 8, lo, hi);
  }

  /** Off, forgotten, acknowledged, unmapped. */
  clearQueue(vintf: number, queue: number): void {
    this.store(this.queue(vintf, queue, VCMDQ_CONFIG), 0);
    this.store(this.queue(vintf, queue, VCMDQ_PROD), 0);
    this.store(this.queue(vintf, queue, VCMDQ_CONS), 0);
    this.mmio.write(this.queue(vintf, queue, VCMDQ_BASE), 8, 0, 0);
    this.store(this.queue(vintf, queue, VCMDQ_GERRORN), this.load(this.queue(vintf, queue, VCMDQ_GERROR)));
    this.allocate(this.globalOf(vintf, queue), false);
  }

  private globalOf(vintf: number, queue: number): number {
    return vintf * this.queuesPerInterface + queue;
  }

  /** Each queue belongs to one interface from the beginning; whether it is mapped there changes. */
  private allocate(queue: number, mapped: boolean): void {
    const values = {
      ...{ ALLOCATED: mapped ? 1 : 0, VINTF: Math.floor(queue / this.queuesPerInterface) },
      LVCMDQ: queue % this.queuesPerInterface,
    };
    this.store(CMDQV_CMDQ_ALLOC.offset + queue * CMDQV_STRIDE.CMDQ_ALLOC, encodeHalves(CMDQV_CMDQ_ALLOC, values)[0]);
  }

  private vintf(vintf: number, of: { offset: number }): number {
    return of.offset + vintf * CMDQV_STRIDE.VINTF;
  }

  /** In the pages of the interface. */
  private queue(vintf: number, queue: number, of: { offset: number }): number {
    const inPages = of.offset - VCMDQ_CONS.offset;
    return CMDQV_PAGES.VINTF + vintf * CMDQV_STRIDE.VINTF_PAGES + inPages + queue * CMDQV_STRIDE.VCMDQ;
  }

  private load(offset: number): number {
    return this.mmio.read(offset, 4).lo;
  }

  private store(offset: number, value: number): void {
    this.mmio.write(offset, 4, value, 0);
  }
}
