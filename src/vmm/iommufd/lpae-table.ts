/** A table of the kernel's as an SMMU walks it: VMSAv8-64 with pages of 4 KiB, of either stage (io-pgtable-arm of Linux). */
import { encodeHalves } from '../../bits/index.ts';
import { STAGE1, STAGE2 } from '../../iommu/smmuv3/translation-structures.ts';
import type { Errno } from './errno.ts';
import type { DirtyTracking } from './hardware.ts';
import type { HostMemory } from './host-memory.ts';
import type { Stage2Root } from './nested-ste.ts';
import type { RadixFormat } from './radix-table.ts';
import { RadixTable } from './radix-table.ts';
import type { HostTable } from './smmu-hardware.ts';

/** Level of pages: heights count from there. */
const LAST_LEVEL = 3;

/** Addresses of 39 bits, so that the first table is one page in either stage. */
const LEVELS = 3;

const VALID = 1;
/** Bit 1: of what is not in the last level, a table. */
const TABLE = 2;

/** Of stage 1: AP[2], and bit 51 in the upper half. */
const READ_ONLY = 1 << 7;
const DBM = 1 << 19;

/** AP of stage 1: for unprivileged accesses, read-only or not. */
const AP = { readWrite: 1, readOnly: 3 } as const;

const common = { levels: LEVELS, tallest: LEVELS - 1, present: VALID, isTable: (lo: number) => (lo & TABLE) !== 0 };

const stage1 = (tracksDirty: boolean): RadixFormat => ({
  ...common,
  table: (ADDR) => encodeHalves(STAGE1[4].table, { ADDR }),
  leaf: (height, ADDR, { write }) =>
    encodeHalves(STAGE1[4].leaf[LAST_LEVEL - height], {
      ...{ ADDR, AF: 1, SH: 3, nG: 1, AP: write ? AP.readWrite : AP.readOnly, DBM: write && tracksDirty ? 1 : 0 },
    }),
});

/** Normal write-back memory; execution is nobody's. */
const STAGE2_FORMAT: RadixFormat = {
  ...common,
  table: (ADDR) => encodeHalves(STAGE2[4].table, { ADDR }),
  leaf: (height, ADDR, { read, write }) =>
    encodeHalves(STAGE2[4].leaf[LAST_LEVEL - height], {
      ...{ ADDR, AF: 1, SH: 3, MemAttr: 15, S2AP: (read ? 1 : 0) | (write ? 2 : 0), XN: 2 },
    }),
};

export class LpaeTable extends RadixTable implements HostTable {
  /** Of stage 1 with HTTU: what may be written is dirty from the beginning (DBM), and clean with AP[2] set. */
  readonly dirty: DirtyTracking | null;

  constructor(host: HostMemory, stage: 1 | 2, tracksDirty = false) {
    super(host, stage === 1 ? stage1(tracksDirty) : STAGE2_FORMAT);
    this.dirty = tracksDirty ? { set: () => null, take: (...of) => this.takeDirty(...of), flush: () => {} } : null;
  }

  /** S2SL0 of level 1; addresses of 48 bits. */
  get root(): Stage2Root {
    return { S2TTB: this.base, S2T0SZ: 64 - this.bits, S2SL0: 1, S2TG: 0, S2PS: 5, S2FWB: 0 };
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
}
