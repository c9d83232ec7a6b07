/** Users of an IO address space that are no IOMMU: mediated devices, and the kernel itself (drivers/iommu/iommufd/device.c of Linux). */
import type { Area } from './area.ts';
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import type { AccessUser } from './io-pagetable.ts';
import { Ioas } from './ioas.ts';
import { IommufdObject } from './objects.ts';
import type { Pin } from './pages.ts';
import { PAGE_SIZE, ULONG_MAX } from './user-memory.ts';

/** What the driver of a mediated device does when something is unmapped: it unpins. */
export interface AccessOps {
  /** Pins pages, so that addresses have to be multiples of them. */
  readonly pins: boolean;
  unmap(iova: bigint, length: bigint): void;
}

interface Pinned {
  readonly iova: bigint;
  readonly length: bigint;
  readonly parts: readonly { area: Area; pin: Pin }[];
}

export class Access extends IommufdObject implements AccessUser {
  readonly type = 'ACCESS';
  readonly alignment: bigint;
  private readonly fd: Iommufd;
  private readonly ops: AccessOps;
  /** The kernel's own, for a queue that hardware reads: what it has pinned cannot be unmapped. */
  private readonly isInternal: boolean;
  private ioas: Ioas | null = null;
  private readonly pinned: Pinned[] = [];

  constructor(fd: Iommufd, ops: AccessOps, isInternal = false) {
    super();
    this.fd = fd;
    this.ops = ops;
    this.isInternal = isInternal;
    this.alignment = ops.pins ? PAGE_SIZE : 1n;
    // The driver is a user until it has done.
    this.users++;
  }

  unmap(iova: bigint, length: bigint): void {
    this.ops.unmap(iova, length);
  }

  attach(id: number): Errno | null {
    if (this.ioas !== null) return 'EINVAL';
    return this.change(id);
  }

  replace(id: number): Errno | null {
    return this.ioas === null ? 'ENOENT' : this.change(id);
  }

  attachTo(ioas: Ioas): Errno | null {
    const errno = ioas.table.addAccess(this);
    if (errno !== null) return errno;
    this.leave();
    ioas.users++;
    this.ioas = ioas;
    return null;
  }

  detach(): void {
    this.leave();
  }

  /**
   * Pins pages of a range for writing or reading.
   * @returns their frames; ENOENT where something is not mapped, EINVAL where an unmap is under way or a page is not mapped as a whole, EPERM
   *   where the mapping does not permit it
   */
  pin(iova: bigint, length: bigint, write: boolean): number[] | Errno {
    const areas = this.areasOf(iova, length);
    if (refused(areas)) return areas;
    const last = iova + length - 1n;
    const frames: number[] = [];
    const parts: { area: Area; pin: Pin }[] = [];
    let errno: Errno | null = null;
    for (const area of areas) {
      const from = area.start < iova ? iova : area.start;
      const to = area.last > last ? last : area.last;
      errno = checkPart(area, from, last, write);
      if (errno !== null) break;
      const pin = { first: area.indexOf(from), last: area.indexOf(to) };
      const part = area.pages.pin(pin);
      if (refused(part)) {
        errno = part;
        break;
      }
      frames.push(...part);
      parts.push({ area, pin });
    }
    if (errno !== null) {
      for (const { area, pin } of parts) area.pages.unpin(pin);
      return errno;
    }
    for (const { area } of parts) {
      area.accesses++;
      if (this.isInternal) area.locks++;
    }
    this.pinned.push({ iova, length, parts });
    return frames;
  }

  /** Gives back exactly what one {@link pin} has pinned. */
  unpin(iova: bigint, length: bigint): void {
    const at = this.pinned.findIndex((one) => one.iova === iova && one.length === length);
    if (at < 0) throw new RangeError(`nothing was pinned at 0x${iova.toString(16)}, ${length} bytes`);
    for (const { area, pin } of this.pinned.splice(at, 1)[0].parts) {
      area.accesses--;
      if (this.isInternal) area.locks--;
      area.pages.unpin(pin);
    }
  }

  /** What is mapped at a range, read by the CPU; nothing is pinned. */
  read(iova: bigint, length: bigint): Uint8Array | Errno {
    const out = new Uint8Array(Number(length));
    const errno = this.each(iova, length, false, (at, from, bytes, area) => {
      const part = area.pages.memory.read(at, bytes);
      if (part === null) return 'EFAULT';
      out.set(part, from);
      return null;
    });
    return errno ?? out;
  }

  write(iova: bigint, bytes: Uint8Array): Errno | null {
    return this.each(iova, BigInt(bytes.length), true, (at, from, count, area) =>
      area.pages.memory.write(at, bytes.subarray(from, from + count)) ? null : 'EFAULT',
    );
  }

  /** The driver has done. */
  end(): void {
    this.leave();
    this.users--;
    if (!this.isInternal) this.fd.objects.remove(this);
  }

  release(): void {
    this.leave();
  }

  private change(id: number): Errno | null {
    const ioas = this.fd.objects.get(id, Ioas);
    if (refused(ioas)) return ioas;
    return ioas === this.ioas ? null : this.attachTo(ioas);
  }

  private leave(): void {
    const { ioas } = this;
    if (ioas === null) return;
    this.ops.unmap(0n, ULONG_MAX);
    if (this.pinned.length > 0) throw new Error(`access ${this.id} keeps ${this.pinned.length} ranges pinned`);
    ioas.table.removeAccess(this);
    ioas.users--;
    this.ioas = null;
  }

  private areasOf(iova: bigint, length: bigint): Area[] | Errno {
    if (length === 0n) return 'EINVAL';
    const last = iova + length - 1n;
    if (last > ULONG_MAX) return 'EOVERFLOW';
    if (this.ioas === null) return 'ENOENT';
    return this.ioas.table.contiguous({ start: iova, last }) ?? 'ENOENT';
  }

  private each(
    iova: bigint,
    length: bigint,
    write: boolean,
    copy: (at: bigint, from: number, bytes: number, area: Area) => Errno | null,
  ): Errno | null {
    const areas = this.areasOf(iova, length);
    if (refused(areas)) return areas;
    const last = iova + length - 1n;
    for (const area of areas) {
      if (area.preventsAccess) return 'EINVAL';
      if (!(write ? area.rights.write : area.rights.read)) return 'EPERM';
      const from = area.start < iova ? iova : area.start;
      const to = area.last > last ? last : area.last;
      const errno = copy(area.pages.at + area.byteOf(from), Number(from - iova), Number(to - from + 1n), area);
      if (errno !== null) return errno;
    }
    return null;
  }
}

/** Pages are pinned whole: where an area begins or ends inside of one, that one cannot be. */
function checkPart(area: Area, from: bigint, last: bigint, write: boolean): Errno | null {
  if (area.preventsAccess || area.byteOf(from) % PAGE_SIZE !== 0n) return 'EINVAL';
  if (area.last < last && area.byteOf(area.last) % PAGE_SIZE !== PAGE_SIZE - 1n) return 'EINVAL';
  return (write ? area.rights.write : area.rights.read) ? null : 'EPERM';
}

export function createAccess(fd: Iommufd, ops: AccessOps): Access {
  return fd.objects.add(new Access(fd, ops));
}
