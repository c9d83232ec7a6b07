/**
 * What an IO address space maps: areas, what is reserved, what is allowed, and the page tables that have it all (drivers/iommu/iommufd/io_pagetable.c
 * of Linux). A refusal leaves everything as it was, but for {@link IoPagetable.unmap}.
 */
import { Area } from './area.ts';
import type { Errno } from './errno.ts';
import type { PagingDomain, ReservedRegion, Rights } from './hardware.ts';
import { allocateIova } from './iova-allocation.ts';
import type { Pages } from './pages.ts';
import type { Range } from './ranges.ts';
import { overlaps } from './ranges.ts';
import { PAGE_SIZE, ULONG_MAX } from './user-memory.ts';

/** A slice of user memory that is to be mapped. */
export interface Slice {
  readonly pages: Pages;
  readonly startByte: bigint;
  readonly length: bigint;
}

/** Who has pinned pages of it, and is asked to let go of them. */
export interface AccessUser {
  /** Multiple that addresses must be of: 1 or the size of a page. */
  readonly alignment: bigint;
  /** Something is unmapped: whatever is pinned there has to be unpinned before this returns. */
  unmap(iova: bigint, length: bigint): void;
}

/** How often users of an area are asked before the kernel gives up. */
export const MOST_TRIES = 100;

interface Reserved extends Range {
  readonly owner: object;
}

export class IoPagetable {
  /** Sorted by address. */
  readonly areas: Area[] = [];
  readonly reserved: Reserved[] = [];
  allowed: readonly Range[] = [];
  readonly domains: PagingDomain[] = [];
  readonly accesses: AccessUser[] = [];
  /** What addresses and lengths must be multiples of. */
  alignment = 1n;
  hugePages = true;

  /** The areas that a range touches. */
  touching(range: Range): Area[] {
    return this.areas.filter((area) => overlaps(area, range));
  }

  /** Maps slices one behind the other. @param at null: anywhere. @returns the address */
  map(slices: readonly Slice[], length: bigint, at: bigint | null, rights: Rights): bigint | Errno {
    if (length === 0n || length % this.alignment !== 0n) return 'EINVAL';
    const [first] = slices;
    const iova = at === null ? allocateIova(this, first.pages.at + first.startByte, length) : this.check(at, length);
    if (typeof iova === 'string') return iova;
    const areas: Area[] = [];
    let next = iova;
    for (const slice of slices) {
      if (rights.write && !slice.pages.writable) return 'EPERM';
      if ((slice.startByte % PAGE_SIZE) % this.alignment !== 0n) return 'EINVAL';
      areas.push(new Area(next, slice.length, slice.pages, slice.startByte, rights));
      next += slice.length;
    }
    for (let i = 0; i < areas.length; i++) {
      const errno = this.fillAll(areas[i]);
      if (errno === null) continue;
      for (const done of areas.slice(0, i)) this.unfillAll(done);
      return errno;
    }
    this.areas.push(...areas);
    this.areas.sort((a, b) => (a.start < b.start ? -1 : 1));
    return iova;
  }

  /** What `at` to the end of a mapping was mapped from, for a copy of it. */
  slicesOf(iova: bigint, length: bigint): Slice[] | Errno {
    if (length === 0n) return 'EINVAL';
    const last = iova + length - 1n;
    if (last > ULONG_MAX) return 'EOVERFLOW';
    const areas = this.contiguous({ start: iova, last });
    if (areas === null) return 'ENOENT';
    return areas.map((area) => {
      const from = area.start < iova ? iova : area.start;
      const to = area.last > last ? last : area.last;
      return { pages: area.pages, startByte: area.byteOf(from), length: to - from + 1n };
    });
  }

  /** Areas without a gap from one end of a range to the other; null where there is one. */
  contiguous(range: Range): Area[] | null {
    const areas = this.touching(range);
    let next = range.start;
    for (const area of areas) {
      if (area.start > next) return null;
      next = area.last + 1n;
    }
    return areas.length > 0 && next > range.last ? areas : null;
  }

  /**
   * Unmaps what lies in a range, area by area, lowest first. An area that goes beyond the range ends it with ENOENT: those before it are gone
   * already, and nobody is told how many bytes they had. Users of an area are asked to let go; one that never does ends it with EDEADLOCK,
   * and no access to that area is possible afterwards.
   * @returns bytes that were unmapped
   */
  unmap(range: Range): bigint | Errno {
    let bytes = 0n;
    let tries = 0;
    let { start } = range;
    for (;;) {
      const area = this.touching({ start, last: range.last })[0];
      if (area === undefined) return bytes;
      if (area.locks > 0) return 'EBUSY';
      if (area.start < start || area.last > range.last) return 'ENOENT';
      if (area.start !== start) tries = 0;
      if (area.accesses > 0) {
        start = area.start;
        area.preventsAccess = true;
        for (const access of [...this.accesses]) access.unmap(area.start, area.length);
        if (++tries > MOST_TRIES) return 'EDEADLOCK';
        continue;
      }
      this.areas.splice(this.areas.indexOf(area), 1);
      this.unfillAll(area);
      bytes += area.length;
    }
  }

  unmapAll(): bigint | Errno {
    return this.unmap({ start: 0n, last: ULONG_MAX });
  }

  /** Replaces what addresses are promised. */
  allow(ranges: readonly Range[]): Errno | null {
    if (ranges.some((range) => this.reserved.some((other) => overlaps(range, other)))) return 'EADDRINUSE';
    this.allowed = ranges;
    return null;
  }

  /** What a device cannot use is reserved from now on, until {@link unreserve}. */
  reserve(regions: readonly ReservedRegion[], owner: object): Errno | null {
    for (const region of regions) {
      if (region.type === 'direct-relaxable') continue;
      const errno = this.reserveRange(region, owner);
      if (errno === null) continue;
      this.unreserve(owner);
      return errno;
    }
    return null;
  }

  unreserve(owner: object): void {
    for (let i = this.reserved.length - 1; i >= 0; i--)
      if (this.reserved[i].owner === owner) this.reserved.splice(i, 1);
  }

  /** A page table more, filled with all areas. */
  addDomain(domain: PagingDomain): Errno | null {
    const smallest = domain.pageSizes & -domain.pageSizes;
    const alignment = smallest > this.alignment ? smallest : this.alignment;
    if (alignment > PAGE_SIZE) return 'EINVAL';
    if (alignment !== this.alignment && !this.conforms(alignment)) return 'EADDRINUSE';
    const { start, last } = domain.aperture;
    const below = start === 0n ? null : this.reserveRange({ start: 0n, last: start - 1n }, domain);
    if (below !== null) return below;
    const above = last === ULONG_MAX ? null : this.reserveRange({ start: last + 1n, last: ULONG_MAX }, domain);
    if (above !== null) {
      this.unreserve(domain);
      return above;
    }
    for (let i = 0; i < this.areas.length; i++) {
      const errno = this.areas[i].fill(domain, !this.hugePages);
      if (errno === null) continue;
      for (const done of this.areas.slice(0, i)) done.unfill(domain, this.domains.length === 0);
      this.unreserve(domain);
      return errno;
    }
    this.alignment = alignment;
    this.domains.push(domain);
    return null;
  }

  removeDomain(domain: PagingDomain): void {
    this.domains.splice(this.domains.indexOf(domain), 1);
    for (const area of this.areas) area.unfill(domain, this.domains.length === 0);
    this.unreserve(domain);
    this.align();
  }

  addAccess(access: AccessUser): Errno | null {
    this.accesses.push(access);
    const errno = this.align();
    if (errno !== null) this.accesses.pop();
    return errno;
  }

  removeAccess(access: AccessUser): void {
    this.accesses.splice(this.accesses.indexOf(access), 1);
    this.align();
  }

  /** Without huge pages everything is mapped page by page, and may be cut at any page. */
  setHugePages(on: boolean): Errno | null {
    if (on === this.hugePages) return null;
    if (!on && this.domains.length > 0 && this.areas.length > 0) return 'EINVAL';
    this.hugePages = on;
    const errno = this.align();
    if (errno !== null) this.hugePages = !on;
    return errno;
  }

  /** What page tables, accesses and the size of mappings ask for, all together. */
  private align(): Errno | null {
    let alignment = this.hugePages ? 1n : PAGE_SIZE;
    for (const { pageSizes } of this.domains) {
      const smallest = pageSizes & -pageSizes;
      if (smallest > alignment) alignment = smallest;
    }
    for (const access of this.accesses) if (access.alignment > alignment) alignment = access.alignment;
    if (alignment > this.alignment && !this.conforms(alignment)) return 'EADDRINUSE';
    this.alignment = alignment;
    return null;
  }

  private conforms(alignment: bigint): boolean {
    return this.areas.every(
      ({ length, pageOffset, start }) =>
        start % alignment === 0n && length % alignment === 0n && pageOffset % alignment === 0n,
    );
  }

  private check(iova: bigint, length: bigint): bigint | Errno {
    if (iova % this.alignment !== 0n) return 'EINVAL';
    const range = { start: iova, last: iova + length - 1n };
    if (range.last > ULONG_MAX) return 'EOVERFLOW';
    if (this.reserved.some((other) => overlaps(range, other))) return 'EINVAL';
    return this.touching(range).length > 0 ? 'EEXIST' : iova;
  }

  private reserveRange(range: Range, owner: object): Errno | null {
    if (this.touching(range).length > 0 || this.allowed.some((other) => overlaps(range, other))) return 'EADDRINUSE';
    this.reserved.push({ start: range.start, last: range.last, owner });
    return null;
  }

  private fillAll(area: Area): Errno | null {
    for (let i = 0; i < this.domains.length; i++) {
      const errno = area.fill(this.domains[i], !this.hugePages);
      if (errno === null) continue;
      for (let j = 0; j < i; j++) area.unfill(this.domains[j], j === i - 1);
      return errno;
    }
    return null;
  }

  private unfillAll(area: Area): void {
    this.domains.forEach((domain, i) => area.unfill(domain, i === this.domains.length - 1));
  }
}
