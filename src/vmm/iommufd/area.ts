/** One mapping of an IO address space (`iopt_area` of Linux). */
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import type { PagingDomain, Rights } from './hardware.ts';
import type { Pages, Pin } from './pages.ts';
import type { Range } from './ranges.ts';
import { PAGE_SIZE } from './user-memory.ts';

export class Area implements Range {
  readonly start: bigint;
  readonly last: bigint;
  readonly pages: Pages;
  /** Byte of the pages at which it begins. */
  readonly startByte: bigint;
  readonly rights: Rights;
  /** Accesses that have pinned pages of it. */
  accesses = 0;
  /** Of them those that nobody may ask to let go: of hardware queues. */
  locks = 0;
  /** An unmap has begun: no further access. */
  preventsAccess = false;
  /** What its page tables keep pinned; null while it is in none. */
  private pin: Pin | null = null;
  private frames: readonly number[] = [];

  constructor(start: bigint, length: bigint, pages: Pages, startByte: bigint, rights: Rights) {
    this.start = start;
    this.last = start + length - 1n;
    this.pages = pages;
    this.startByte = startByte;
    this.rights = rights;
  }

  get length(): bigint {
    return this.last - this.start + 1n;
  }

  get pageOffset(): bigint {
    return this.startByte % PAGE_SIZE;
  }

  /** Index in {@link pages} of the page of an address. */
  indexOf(iova: bigint): number {
    return Number((iova - this.start + this.startByte) / PAGE_SIZE);
  }

  /** Byte of {@link pages} of an address. */
  byteOf(iova: bigint): bigint {
    return iova - this.start + this.startByte;
  }

  /** Puts it into a page table as well; on refusal it is in none more than before. @param small page by page: no large ones come of it */
  fill(domain: PagingDomain, small: boolean): Errno | null {
    const pinned = this.pin !== null;
    if (!pinned) {
      const pin = { first: this.indexOf(this.start), last: this.indexOf(this.last) };
      const frames = this.pages.pin(pin);
      if (refused(frames)) return frames;
      this.pin = pin;
      this.frames = frames;
    }
    const errno = this.mapRuns(domain, small);
    if (errno !== null && !pinned) this.unpin();
    return errno;
  }

  /** Takes it out of a page table. @param isLast of no other either */
  unfill(domain: PagingDomain, isLast: boolean): void {
    domain.unmap(this.start, this.length);
    if (isLast) this.unpin();
  }

  private unpin(): void {
    if (this.pin !== null) this.pages.unpin(this.pin);
    this.pin = null;
    this.frames = [];
  }

  /** Frames that follow one another are mapped at once. */
  private mapRuns(domain: PagingDomain, small: boolean): Errno | null {
    let iova = this.start;
    for (let i = 0; i < this.frames.length; ) {
      let end = i + 1;
      while (!small && end < this.frames.length && this.frames[end] === this.frames[end - 1] + 1) end++;
      const offset = i === 0 ? this.pageOffset : 0n;
      const whole = BigInt(end - i) * PAGE_SIZE - offset;
      const length = whole > this.last - iova + 1n ? this.last - iova + 1n : whole;
      const errno = domain.map(iova, BigInt(this.frames[i]) * PAGE_SIZE + offset, length, this.rights);
      if (errno !== null) {
        if (iova > this.start) domain.unmap(this.start, iova - this.start);
        return errno;
      }
      iova += length;
      i = end;
    }
    return null;
  }
}
