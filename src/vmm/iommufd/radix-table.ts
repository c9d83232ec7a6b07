/** A page table of the kernel's in memory, in tables of 512 entries: map, unmap, find. What an entry looks like is the format's affair. */
import type { Errno } from './errno.ts';
import type { Rights } from './hardware.ts';
import type { HostMemory } from './host-memory.ts';
import type { Unmapped } from './smmu-hardware.ts';
import { PAGE_SIZE } from './user-memory.ts';

const PAGE_BITS = 12;
const STRIDE = 9;
const ENTRIES = 2 ** STRIDE;

/** Heights count from the bottom: 0 are pages of 4 KiB, 1 are blocks of 2 MiB or tables of pages. Entries are two halves, the lower first. */
export interface RadixFormat {
  /** Tables that a walk reads. */
  readonly levels: number;
  /** Height of the largest leaf. */
  readonly tallest: number;
  /** Bits of the lower half, one of which is set in all that is not empty. */
  readonly present: number;
  /** Whether the lower half of something above height 0 that is present references a table. */
  isTable(lo: number): boolean;
  /** An entry that references the table at an address. */
  table(address: bigint): ArrayLike<number>;
  leaf(height: number, address: bigint, rights: Rights): ArrayLike<number>;
}

/** Bits 47 to 12 of an entry, wherever it stands: of what it references. */
const FRAME_HI = 0xffff;

/** log2 of what an entry describes. */
const shiftOf = (height: number): number => PAGE_BITS + STRIDE * height;
const indexOf = (iova: bigint, height: number): number => Number(iova >> BigInt(shiftOf(height))) & (ENTRIES - 1);

export class RadixTable {
  /** A bit for each. */
  readonly pageSizes: bigint;
  /** Of its input addresses. */
  readonly bits: number;
  /** Frame of the first table. */
  readonly first: number;
  protected readonly host: HostMemory;
  private readonly format: RadixFormat;
  private readonly tables = new Set<number>();

  constructor(host: HostMemory, format: RadixFormat) {
    this.host = host;
    this.format = format;
    this.bits = shiftOf(format.levels);
    const heights = Array.from({ length: format.tallest + 1 }, (_, height) => height);
    this.pageSizes = heights.reduce((sizes, height) => sizes | (1n << BigInt(shiftOf(height))), 0n);
    this.first = this.newTable();
  }

  /** Address of the first table. */
  get base(): bigint {
    return BigInt(this.first) * PAGE_SIZE;
  }

  /** Frames that it has. */
  get frames(): number {
    return this.tables.size;
  }

  /** As large as addresses and length permit. EEXIST where something is mapped already; then nothing is written. */
  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null {
    for (let done = 0n; done < length; ) {
      const height = this.heightFor(iova + done, address + done, length - done);
      if (!this.write(iova + done, height, this.format.leaf(height, address + done, rights))) {
        if (done > 0n) this.unmap(iova, done);
        return 'EEXIST';
      }
      done += 1n << BigInt(shiftOf(height));
    }
    return null;
  }

  /** Tables stay, even empty ones: nothing that is cached of them leads anywhere else. */
  unmap(iova: bigint, length: bigint): readonly Unmapped[] {
    const out: { iova: bigint; length: bigint; leaf: bigint }[] = [];
    for (let done = 0n; done < length; ) {
      const { frame, index, leaf } = this.find(iova + done);
      this.host.set(frame, index, 0, 0);
      const last = out.at(-1);
      const bytes = leaf - ((iova + done) % leaf);
      if (last?.leaf === leaf) last.length += bytes;
      else out.push({ iova: iova + done, length: bytes, leaf });
      done += bytes;
    }
    return out;
  }

  free(): void {
    for (const frame of this.tables) this.host.give(frame);
    this.tables.clear();
  }

  private newTable(): number {
    const frame = this.host.take();
    this.tables.add(frame);
    return frame;
  }

  private heightFor(iova: bigint, address: bigint, length: bigint): number {
    let { tallest: height } = this.format;
    for (; height > 0; height--) {
      const size = 1n << BigInt(shiftOf(height));
      if ((iova | address) % size === 0n && length >= size) break;
    }
    return height;
  }

  /** @returns false where something stands there */
  private write(iova: bigint, height: number, leaf: ArrayLike<number>): boolean {
    const { format, host } = this;
    let frame = this.first;
    for (let at = format.levels - 1; at > height; at--) {
      const index = indexOf(iova, at);
      const lo = host.lo(frame, index);
      if ((lo & format.present) === 0) {
        const below = this.newTable();
        host.setAll(frame, index, format.table(BigInt(below) * PAGE_SIZE));
        frame = below;
      } else if (!format.isTable(lo)) return false;
      else frame = this.below(frame, index);
    }
    const index = indexOf(iova, height);
    if ((host.lo(frame, index) & format.present) !== 0) return false;
    host.setAll(frame, index, leaf);
    return true;
  }

  private below(frame: number, index: number): number {
    const lo = this.host.lo(frame, index);
    return (this.host.hi(frame, index) & FRAME_HI) * 2 ** 20 + (lo >>> PAGE_BITS);
  }

  /** Where the leaf of an address is, or would be. @returns `leaf`: bytes that it describes */
  protected find(iova: bigint): { frame: number; index: number; leaf: bigint } {
    const { format, host } = this;
    let frame = this.first;
    for (let height = format.levels - 1; ; height--) {
      const index = indexOf(iova, height);
      const lo = host.lo(frame, index);
      const isTable = height > 0 && (lo & format.present) !== 0 && format.isTable(lo);
      if (!isTable) return { frame, index, leaf: 1n << BigInt(shiftOf(height)) };
      frame = this.below(frame, index);
    }
  }
}
