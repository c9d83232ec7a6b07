/** Page requests that user space answers (FAULT_QUEUE; drivers/iommu/iommufd/eventq.c of Linux). */
import type { Values } from '../../bits/index.ts';
import { decodeHalves, encodeHalves } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import type { Device } from './device.ts';
import type { Errno } from './errno.ts';
import { EventQueue } from './event-queue.ts';
import { PAGE_RESPONSE, PGFAULT_FLAGS } from './flags.ts';
import type { FaultReport, PageFault } from './hardware.ts';
import type * as uapi from './structures.ts';
import { HWPT_PAGE_RESPONSE, HWPT_PGFAULT } from './structures.ts';
import { bytesOf, halvesOf } from './user-array.ts';

/** Those of a device that was given to iommufd. */
export interface FaultGroup extends Omit<FaultReport, 'device'> {
  readonly device: Device;
}

const FAULT_BYTES = HWPT_PGFAULT.width / 8;
const RESPONSE_BYTES = HWPT_PAGE_RESPONSE.width / 8;

export class FaultQueue extends EventQueue {
  readonly type = 'FAULT';
  private readonly waiting: FaultGroup[] = [];
  /** Read and not answered, by cookie. */
  private readonly open = new Map<number, FaultGroup>();

  get isReadable(): boolean {
    return this.waiting.length > 0;
  }

  report(group: FaultGroup): void {
    this.waiting.push(group);
  }

  /** Groups are read whole; one that does not fit stays. ESPIPE where the size is not one of whole faults. */
  read(bytes: number): Uint8Array | Errno {
    if (bytes % FAULT_BYTES !== 0) return 'ESPIPE';
    const out: number[] = [];
    for (let group = this.waiting[0]; group !== undefined; group = this.waiting[0]) {
      if (group.faults.length * FAULT_BYTES > bytes - out.length) break;
      this.waiting.shift();
      let cookie = 1;
      while (this.open.has(cookie)) cookie++;
      this.open.set(cookie, group);
      group.faults.forEach((fault, i) => out.push(...message(group as FaultGroup, fault, i, cookie)));
    }
    return Uint8Array.from(out);
  }

  /** Answers, until one is wrong: what was taken before that counts, EINVAL only where nothing was. */
  write(bytes: Uint8Array): number | Errno {
    if (bytes.length % RESPONSE_BYTES !== 0) return 'ESPIPE';
    let done = 0;
    for (; done < bytes.length; done += RESPONSE_BYTES) {
      const { code, cookie } = decodeHalves(HWPT_PAGE_RESPONSE, halvesOf(bytes.slice(done, done + RESPONSE_BYTES)));
      const group = this.open.get(cookie);
      const isCode = code === PAGE_RESPONSE.SUCCESS || code === PAGE_RESPONSE.INVALID;
      if (!isCode || group === undefined) return done === 0 ? 'EINVAL' : done;
      this.open.delete(cookie);
      group.respond(code === PAGE_RESPONSE.SUCCESS);
    }
    return done;
  }

  /** Nobody will answer for devices that leave: they are told that it did not work. */
  abandon(devices: readonly Device[]): void {
    for (let i = 0; i < this.waiting.length; ) {
      if (devices.includes(this.waiting[i].device)) this.waiting.splice(i, 1)[0].respond(false);
      else i++;
    }
    for (const [cookie, group] of [...this.open]) {
      if (!devices.includes(group.device)) continue;
      this.open.delete(cookie);
      group.respond(false);
    }
  }

  release(): void {
    for (const group of [...this.waiting.splice(0), ...this.open.values()]) group.respond(false);
    this.open.clear();
  }
}

function message({ device, faults, index }: FaultGroup, fault: PageFault, i: number, cookie: number): Uint8Array {
  const { LAST_PAGE, PASID_VALID } = PGFAULT_FLAGS;
  const flags = (fault.pasid === null ? 0 : PASID_VALID) | (i === faults.length - 1 ? LAST_PAGE : 0);
  const { address: addr, perm } = fault;
  const values = { flags, dev_id: device.id, pasid: fault.pasid ?? 0, grpid: index, perm, addr, length: 0, cookie };
  return bytesOf(encodeHalves(HWPT_PGFAULT, values));
}

export function allocateFaultQueue(fd: Iommufd, cmd: Values<typeof uapi.FAULT_QUEUE_ALLOC.fields>): Errno | null {
  if (cmd.flags !== 0) return 'EOPNOTSUPP';
  const queue = fd.objects.add(new FaultQueue());
  queue.users++;
  cmd.out_fault_id = queue.id;
  cmd.out_fault_fd = fd.open(queue);
  return null;
}
