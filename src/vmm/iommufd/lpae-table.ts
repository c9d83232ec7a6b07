/** A table of the kernel's in memory, as an SMMU walks it: VMSAv8-64 with pages of 4 KiB, of either stage (io-pgtable-arm of Linux). */
import { encodeHalves, getAddress } from '../../bits/index.ts';
import { STAGE1, STAGE2 } from '../../iommu/smmuv3/translation-structures.ts';
import type { Errno } from './errno.ts';
import type { DirtyTracking, Rights } from './hardware.ts';
import type { HostMemory } from './host-memory.ts';
import type { Stage2Root } from './nested-ste.ts';
import type { HostTable, Unmapped } from './smmu-hardware.ts';
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

/** Of stage 1: AP[2], and bit 51 in the upper half. */
const READ_ONLY = 1 << 7;
const DBM = 1 << 19;

/** AP of stage 1: for unprivileged accesses, read-only or not. */
const AP = { readWrite: 1, readOnly: 3 } as const;

export class LpaeTable implements HostTable {
  readonly pageSizes = PAGE_SIZE | (1n << 21n) | (1n << 30n);
  readonly bits = INPUT_BITS;
  /** Of stage 1 with HTTU: what may be written is dirty from the beginning (DBM), and clean with AP[2] set. */
  readonly dirty: DirtyTracking | null;
  readonly stage: 1 | 2;
  /** Frame of the first table. */
  readonly first: number;
  private readonly host: HostMemory;
  private readonly tables = new Set<number>();

  constructor(host: HostMemory, stage: 1 | 2, tracksDirty = false) {
    this.host = host;
    this.dirty = tracksDirty ? { set: () => null, take: (...of) => this.takeDirty(...of), flush: () => {} } : null;
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

  /** As the kernel walks: from a leaf's middle on, it counts whole leaves from there. */
  private takeDirty(
    iova: bigint,
    length: bigint,
    clear: boolean,
    found: ((iova: bigint, length: bigint) => void) | null,
  ): Errno | null {
    const { host } = this;
    for (let done = 0n; done < length; ) {
      const { frame, index, leaf } = this.find(iova + done);
      const lo = host.lo(frame, index);
      const hi = host.hi(frame, index);
      if ((lo & VALID) === 0) return 'EINVAL';
      if ((hi & DBM) !== 0 && (lo & READ_ONLY) === 0) {
        found?.(iova + done, leaf);
        if (clear) host.set(frame, index, lo | READ_ONLY, hi);
      }
      done += leaf;
    }
    return null;
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
      const DBM = write && this.dirty !== null ? 1 : 0;
      const values = { ADDR, AF: 1, SH: 3, nG: 1, AP: write ? AP.readWrite : AP.readOnly, DBM };
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

  /** Where the leaf of an address is, or would be. @returns `leaf`: bytes that it describes */
  private find(iova: bigint): { frame: number; index: number; leaf: bigint } {
    let frame = this.first;
    for (let level = FIRST_LEVEL; ; level++) {
      const index = indexOf(iova, level);
      const lo = this.host.lo(frame, index);
      const isTable = level < LAST_LEVEL && (lo & (VALID | TABLE)) === (VALID | TABLE);
      if (!isTable) return { frame, index, leaf: 1n << BigInt(shiftOf(level)) };
      frame = this.below(frame, index);
    }
  }
}
