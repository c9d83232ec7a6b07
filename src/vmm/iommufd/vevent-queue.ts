/** Events of a vIOMMU for its guest (VEVENTQ; drivers/iommu/iommufd/eventq.c and driver.c of Linux). */
import type { Values } from '../../bits/index.ts';
import { encodeHalves } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { EventQueue } from './event-queue.ts';
import { VEVENT_FLAGS, VEVENTQ_TYPE } from './flags.ts';
import type * as uapi from './structures.ts';
import { VEVENT_HEADER } from './structures.ts';
import { bytesOf } from './user-array.ts';
import { Viommu } from './viommu.ts';

const HEADER_BYTES = VEVENT_HEADER.width / 8;

/** Sequence numbers go from 0 to INT_MAX, and on with 0. */
const INT_MAX = 0x7fff_ffff;

interface Vevent {
  sequence: number;
  /** null: events were lost here, and none came after them. */
  readonly data: Uint8Array | null;
}

export class VeventQueue extends EventQueue {
  readonly type = 'VEVENTQ';
  readonly kind: number;
  readonly viommu: Viommu;
  /** Events that it holds at most. */
  private readonly depth: number;
  private readonly waiting: Vevent[] = [];
  private sequence = 0;

  constructor(kind: number, viommu: Viommu, depth: number) {
    super();
    this.kind = kind;
    this.viommu = viommu;
    this.depth = depth;
    viommu.users++;
    viommu.eventQueues.push(this);
  }

  get isReadable(): boolean {
    return this.waiting.length > 0;
  }

  /** An event more. One that has no room is lost, but takes a number: the gap tells of it, or a mark at the end while nothing comes after it. */
  report(data: Uint8Array): void {
    const events = this.waiting.filter((event) => event.data !== null).length;
    if (this.waiting.at(-1)?.data === null) this.waiting.pop();
    this.waiting.push({ sequence: this.sequence, data: events === this.depth ? null : data });
    this.sequence = (this.sequence + 1) & INT_MAX;
  }

  read(bytes: number): Uint8Array | Errno {
    const out: number[] = [];
    while (this.waiting.length > 0) {
      const { data, sequence } = this.waiting[0];
      if (HEADER_BYTES + (data?.length ?? 0) > bytes - out.length) break;
      this.waiting.shift();
      const flags = data === null ? VEVENT_FLAGS.LOST_EVENTS : 0;
      out.push(...bytesOf(encodeHalves(VEVENT_HEADER, { flags, sequence })), ...(data ?? []));
    }
    return Uint8Array.from(out);
  }

  /** Nothing can be written: the file has no such operation. */
  write(_bytes: Uint8Array): Errno {
    return 'EINVAL';
  }

  release(): void {
    const { eventQueues } = this.viommu;
    eventQueues.splice(eventQueues.indexOf(this), 1);
    this.viommu.users--;
  }
}

/** The driver tells of an event (iommufd_viommu_report_event): EOPNOTSUPP where nobody listens. */
export function reportEvent(viommu: Viommu, kind: number, data: Uint8Array): Errno | null {
  const queue = viommu.eventQueues.find((one) => one.kind === kind);
  if (queue === undefined) return 'EOPNOTSUPP';
  queue.report(data);
  return null;
}

/** One queue of each type; the type is not looked at otherwise. */
export function allocateVeventQueue(fd: Iommufd, cmd: Values<typeof uapi.VEVENTQ_ALLOC.fields>): Errno | null {
  if (cmd.flags !== 0 || cmd.__reserved !== 0 || cmd.type === VEVENTQ_TYPE.DEFAULT) return 'EOPNOTSUPP';
  if (cmd.veventq_depth === 0) return 'EINVAL';
  const viommu = fd.objects.get(cmd.viommu_id, Viommu);
  if (refused(viommu)) return viommu;
  if (viommu.eventQueues.some(({ kind }) => kind === cmd.type)) return 'EEXIST';
  const queue = fd.objects.add(new VeventQueue(cmd.type, viommu, cmd.veventq_depth));
  queue.users++;
  cmd.out_veventq_id = queue.id;
  cmd.out_veventq_fd = fd.open(queue);
  return null;
}
