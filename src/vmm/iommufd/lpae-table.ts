/** A table of the kernel's in memory, as an SMMU walks it: VMSAv8-64 with pages of 4 KiB, of either stage (io-pgtable-arm of Linux). */
import { encodeHalves, getAddress } from '../../bits/index.ts';
import { STAGE1, STAGE2 } from '../../iommu/smmuv3/translation-structures.ts';
import type { Errno } from './errno.ts';
import type { Rights } from './hardware.ts';
import type { HostMemory } from './host-memory.ts';
import type { Stage2Root } from './nested-ste.ts';
import type { HostTable } from './smmu-hardware.ts';
import { PAGE_SIZE } from './user-memory.ts';

const PAGE_BITS = 12;
const STRIDE = 9;
const LAST_LEVEL = 3;
const ENTRIES = 2 ** STRIDE;

/** 3 levels: addresses of 39 bits, so that the first table is one page in either stage. */
const FIRST_LEVEL = 1;
const INPUT_BITS = 39;

/** log2 of what an entry of a level describes. */
const shiftOf = (level: number): number => PAGE_BITS + STRIDE * (LAST_LEVEL - level);
const indexOf = (iova: bigint, level: number): number => Number(iova >> BigInt(shiftOf(level))) & (ENTRIES - 1);

const VALID = 1;
/** Bit 1: of what is not in the last level, a table. */
const TABLE = 2;

/** AP of stage 1: for unprivileged accesses, read-only or not. */
const AP = { readWrite: 1, readOnly: 3 } as const;

export class LpaeTable implements HostTable {
  readonly pageSizes = PAGE_SIZE | (1n << 21n) | (1n << 30n);
  readonly bits = INPUT_BITS;
  /** HTTU is not turned on in what is written here. */
  readonly dirty = null;
  readonly stage: 1 | 2;
  /** Frame of the first table. */
  readonly first: number;
  private readonly host: HostMemory;
  private readonly tables = new Set<number>();

  constructor(host: HostMemory, stage: 1 | 2) {
    this.host = host;
    this.stage = stage;
    this.first = this.newTable();
  }

  /** S2SL0 of level 1; addresses of 48 bits. */
  get root(): Stage2Root {
    const S2TTB = BigInt(this.first) * PAGE_SIZE;
    return { S2TTB, S2T0SZ: 64 - INPUT_BITS, S2SL0: 1, S2TG: 0, S2PS: 5, S2FWB: 0 };
  }

  /** Frames that it has. */
  get pages(): number {
    return this.tables.size;
  }

  /** As large as addresses and length permit. EEXIST where something is mapped already; then nothing is written. */
  map(iova: bigint, address: bigint, length: bigint, rights: Rights): Errno | null {
    for (let done = 0n; done < length; ) {
      const level = this.levelFor(iova + done, address + done, length - done);
      if (!this.write(iova + done, level, this.leaf(level, address + done, rights))) {
        if (done > 0n) this.unmap(iova, done);
        return 'EEXIST';
      }
      done += 1n << BigInt(shiftOf(level));
    }
    return null;
  }

  /** Tables stay, even empty ones: nothing that is cached of them leads anywhere else. */
  unmap(iova: bigint, length: bigint): void {
    for (let done = 0n; done < length; ) done += this.clear(iova + done);
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

  private levelFor(iova: bigint, address: bigint, length: bigint): number {
    for (let level = FIRST_LEVEL; level < LAST_LEVEL; level++) {
      const size = 1n << BigInt(shiftOf(level));
      if ((iova | address) % size === 0n && length >= size) return level;
    }
    return LAST_LEVEL;
  }

  private leaf(level: number, ADDR: bigint, { read, write }: Rights): Int32Array {
    if (this.stage === 1) {
      const values = { ADDR, AF: 1, SH: 3, nG: 1, AP: write ? AP.readWrite : AP.readOnly };
      return encodeHalves(STAGE1[4].leaf[level], values);
    }
    // Normal write-back memory; execution is nobody's.
    const values = { ADDR, AF: 1, SH: 3, MemAttr: 15, S2AP: (read ? 1 : 0) | (write ? 2 : 0), XN: 2 };
    return encodeHalves(STAGE2[4].leaf[level], values);
  }

  /** @returns false where something stands there */
  private write(iova: bigint, level: number, leaf: Int32Array): boolean {
    const { host } = this;
    let frame = this.first;
    for (let at = FIRST_LEVEL; at < level; at++) {
      const index = indexOf(iova, at);
      const lo = host.lo(frame, index);
      if ((lo & VALID) === 0) {
        const below = this.newTable();
        const table = (this.stage === 1 ? STAGE1 : STAGE2)[4].table;
        const [first, second] = encodeHalves(table, { ADDR: BigInt(below) * PAGE_SIZE });
        host.set(frame, index, first, second);
        frame = below;
      } else if ((lo & TABLE) === 0) return false;
      else frame = this.below(frame, index);
    }
    const index = indexOf(iova, level);
    if ((host.lo(frame, index) & VALID) !== 0) return false;
    host.set(frame, index, leaf[0], leaf[1]);
    return true;
  }

  private below(frame: number, index: number): number {
    const { host } = this;
    const halves = [host.lo(frame, index), host.hi(frame, index)];
    return Number(getAddress(STAGE2[4].table.ADDR, halves) / PAGE_SIZE);
  }

  /** Clears the leaf that an address has. @returns bytes from the address to the end of what it describes */
  private clear(iova: bigint): bigint {
    const { host } = this;
    let frame = this.first;
    for (let level = FIRST_LEVEL; ; level++) {
      const index = indexOf(iova, level);
      const size = 1n << BigInt(shiftOf(level));
      const lo = host.lo(frame, index);
      const isTable = level < LAST_LEVEL && (lo & (VALID | TABLE)) === (VALID | TABLE);
      if (!isTable) {
        host.set(frame, index, 0, 0);
        return size - (iova % size);
      }
      frame = this.below(frame, index);
    }
  }
}
