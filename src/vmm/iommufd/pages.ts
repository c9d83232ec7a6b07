/** User memory that mappings share, and what is charged for pinning it (drivers/iommu/iommufd/pages.c of Linux). */
import type { Errno } from './errno.ts';
import type { UserMemory } from './user-memory.ts';
import { PAGE_SIZE } from './user-memory.ts';

/** Whom pinned pages are charged to: RLIMIT_MODE. */
export type AccountMode = 'user' | 'mm' | 'none';

/** Pages that are locked, against RLIMIT_MEMLOCK. */
export class Accounts {
  /** Pages that each may lock. */
  readonly limit: number;
  user = 0;
  /** Of the process (`mm`). */
  mm = 0;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit;
  }

  charge(mode: AccountMode, pages: number): boolean {
    if (mode === 'none') return true;
    if (pages > 0 && this[mode] + pages > this.limit) return false;
    this[mode] += pages;
    return true;
  }
}

/** What keeps pages of a range pinned: a mapping that a page table has, or an access. */
export interface Pin {
  readonly first: number;
  readonly last: number;
}

/** `iopt_pages`: what one map named, and copies of it share. */
export class Pages {
  readonly memory: UserMemory;
  /** First page, a multiple of {@link PAGE_SIZE}. */
  readonly at: bigint;
  readonly count: number;
  readonly writable: boolean;
  private readonly accounts: Accounts;
  private readonly mode: AccountMode;
  private readonly pins = new Set<Pin>();
  private charged = 0;

  constructor(
    memory: UserMemory,
    va: bigint,
    length: bigint,
    writable: boolean,
    accounts: Accounts,
    mode: AccountMode,
  ) {
    this.memory = memory;
    this.at = va & ~(PAGE_SIZE - 1n);
    this.count = Number((length + (va - this.at) + PAGE_SIZE - 1n) / PAGE_SIZE);
    this.writable = writable;
    this.accounts = accounts;
    this.mode = mode;
  }

  /** Pages of user memory that are pinned, each counted once. */
  get pinned(): number {
    return this.charged;
  }

  /** @returns the frames, or why they cannot be pinned: EFAULT where memory is not there, ENOMEM past the limit */
  pin(pin: Pin): number[] | Errno {
    const frames: number[] = [];
    for (let index = pin.first; index <= pin.last; index++) {
      const frame = this.memory.frameOf(this.at + BigInt(index) * PAGE_SIZE, this.writable);
      if (frame < 0) return 'EFAULT';
      frames.push(frame);
    }
    this.pins.add(pin);
    if (this.account()) return frames;
    this.pins.delete(pin);
    return 'ENOMEM';
  }

  unpin(pin: Pin): void {
    this.pins.delete(pin);
    this.account();
  }

  private account(): boolean {
    const pages = countOf(this.pins);
    if (!this.accounts.charge(this.mode, pages - this.charged)) return false;
    this.charged = pages;
    return true;
  }
}

/** How many indexes the pins have, all together. */
function countOf(pins: ReadonlySet<Pin>): number {
  let count = 0;
  let next = 0;
  for (const { first, last } of [...pins].sort((a, b) => a.first - b.first)) {
    if (last >= next) count += last - Math.max(first, next) + 1;
    next = Math.max(next, last + 1);
  }
  return count;
}
