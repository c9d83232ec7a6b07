/** A guest's interface of NVIDIA's CMDQ-V as the kernel sets it up: StreamIDs in slots, queues in order (tegra241-cmdqv.c of Linux 6.18). */
import type { Errno } from './errno.ts';
import { HW_QUEUE_TYPE } from './flags.ts';
import type { HostQueue, HostQueues } from './hardware.ts';
import type { CmdqvHardware } from './smmu-hardware.ts';

/** log2 of the bytes of a command. */
const COMMAND_BITS = 4;

/** Bytes of the smallest queue: two commands. */
const SMALLEST = 32n;

/** Bits of physical addresses that VCMDQ_BASE has: 47 to 5. */
const ADDRESS_BITS = ((1n << 48n) - 1n) & ~31n;

export class VcmdqInterface implements HostQueues {
  readonly vintf: number;
  private readonly cmdqv: CmdqvHardware;
  /** By slot: whether it has a StreamID. */
  private readonly slots: boolean[];
  private readonly queues: (HostQueue | undefined)[];

  constructor(cmdqv: CmdqvHardware, vintf: number) {
    this.cmdqv = cmdqv;
    this.vintf = vintf;
    this.slots = new Array(cmdqv.streamsPerInterface).fill(false);
    this.queues = new Array(cmdqv.queuesPerInterface).fill(undefined);
  }

  get mmapOffset(): bigint {
    return this.cmdqv.mmapOffset(this.vintf);
  }

  /** @returns the slot, or −1 where none is left */
  addStream(vsid: number, sid: number): number {
    const slot = this.slots.indexOf(false);
    if (slot < 0) return -1;
    this.slots[slot] = true;
    this.cmdqv.setStream(this.vintf, slot, vsid, sid);
    return slot;
  }

  removeStream(slot: number): void {
    this.slots[slot] = false;
    this.cmdqv.setStream(this.vintf, slot, -1, 0);
  }

  supports(type: number): boolean {
    return type === HW_QUEUE_TYPE.TEGRA241_CMDQV;
  }

  /** Queues are made in ascending order, and end in descending order. */
  add(index: number, address: bigint, bytes: bigint): HostQueue | Errno {
    if (index >= this.queues.length) return 'EINVAL';
    if (this.queues[index] !== undefined) return 'EEXIST';
    const before = index === 0 ? null : this.queues[index - 1];
    if (before === undefined) return 'EIO';
    const isPower = (bytes & (bytes - 1n)) === 0n;
    if (!isPower || bytes < SMALLEST || bytes > 1n << BigInt(this.cmdqv.mostEntriesLog2 + COMMAND_BITS))
      return 'EINVAL';
    if ((address & ~ADDRESS_BITS) !== 0n || (address & (bytes - 1n)) !== 0n) return 'EINVAL';
    this.cmdqv.setQueue(this.vintf, index, address, bytes.toString(2).length - 1 - COMMAND_BITS);
    const queue: HostQueue = {
      after: before,
      free: () => {
        this.queues[index] = undefined;
        this.cmdqv.clearQueue(this.vintf, index);
      },
    };
    this.queues[index] = queue;
    return queue;
  }

  close(): void {
    this.cmdqv.close(this.vintf);
  }
}
