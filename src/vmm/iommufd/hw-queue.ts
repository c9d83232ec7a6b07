/** Queues in a guest's memory that hardware reads by itself (HW_QUEUE; drivers/iommu/iommufd/viommu.c of Linux). */
import type { Values } from '../../bits/index.ts';
import { Access } from './access.ts';
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { HW_QUEUE_TYPE } from './flags.ts';
import type { HostQueue } from './hardware.ts';
import { IommufdObject } from './objects.ts';
import type * as uapi from './structures.ts';
import { PAGE_SIZE, ULONG_MAX } from './user-memory.ts';
import { Viommu } from './viommu.ts';

/** Keeps the queue's memory pinned: hardware reads it by physical addresses, whatever the guest unmaps. */
export class HwQueue extends IommufdObject {
  readonly type = 'HW_QUEUE';
  readonly viommu: Viommu;
  readonly host: HostQueue;
  private readonly memory: QueueMemory;
  /** The queue that has to outlive it. */
  private readonly after: HwQueue | null;

  constructor(viommu: Viommu, host: HostQueue, memory: QueueMemory, after: HwQueue | null) {
    super();
    this.viommu = viommu;
    this.host = host;
    this.memory = memory;
    this.after = after;
    viommu.users++;
    if (after !== null) after.users++;
  }

  release(): void {
    this.host.free();
    letGo(this.memory);
    this.viommu.users--;
    if (this.after !== null) this.after.users--;
  }
}

interface QueueMemory {
  readonly access: Access;
  readonly iova: bigint;
  readonly length: bigint;
  /** Physical address of the queue's first byte. */
  readonly address: bigint;
}

function letGo({ access, iova, length }: QueueMemory): void {
  access.unpin(iova, length);
  access.end();
}

/** Pins the pages of a queue: EFAULT where they do not follow one another in physical memory. */
function pinQueue(fd: Iommufd, viommu: Viommu, at: bigint, length: bigint): QueueMemory | Errno {
  const iova = at & ~(PAGE_SIZE - 1n);
  const offset = at - iova;
  if (offset + length + PAGE_SIZE - 1n > ULONG_MAX) return 'ERANGE';
  const bytes = ((offset + length + PAGE_SIZE - 1n) / PAGE_SIZE) * PAGE_SIZE;
  const access = new Access(fd, { pins: true, unmap: () => {} }, true);
  const errno = access.attachTo(viommu.parent.ioas);
  if (errno !== null) return errno;
  const frames = access.pin(iova, bytes, false);
  if (refused(frames)) {
    access.end();
    return frames;
  }
  const memory = { access, iova, length: bytes, address: BigInt(frames[0]) * PAGE_SIZE + offset };
  if (frames.every((frame, i) => frame === frames[0] + i)) return memory;
  letGo(memory);
  return 'EFAULT';
}

export function allocateHwQueue(fd: Iommufd, cmd: Values<typeof uapi.HW_QUEUE_ALLOC.fields>): Errno | null {
  if (cmd.flags !== 0 || cmd.type === HW_QUEUE_TYPE.DEFAULT) return 'EOPNOTSUPP';
  if (cmd.length === 0n) return 'EINVAL';
  if (cmd.nesting_parent_iova + cmd.length - 1n > ULONG_MAX) return 'EOVERFLOW';
  const viommu = fd.objects.get(cmd.viommu_id, Viommu);
  if (refused(viommu)) return viommu;
  const { queues } = viommu.host;
  if (queues === null || !queues.supports(cmd.type)) return 'EOPNOTSUPP';
  const memory = pinQueue(fd, viommu, cmd.nesting_parent_iova, cmd.length);
  if (refused(memory)) return memory;
  const host = queues.add(cmd.index, memory.address, cmd.length);
  if (refused(host)) {
    letGo(memory);
    return host;
  }
  const after = fd.objects.all().find((one) => one instanceof HwQueue && one.host === host.after);
  cmd.out_hw_queue_id = fd.objects.add(new HwQueue(viommu, host, memory, (after as HwQueue | undefined) ?? null)).id;
  return null;
}
