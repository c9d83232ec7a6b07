/** A table of the kernel's as VT-d walks it: four levels, of either stage. */
import { encodeHalves } from '../../bits/index.ts';
import { FS_PAGE, FS_TABLE } from '../../iommu/vtd/scalable-structures.ts';
import { SS_PAGE, SS_TABLE } from '../../iommu/vtd/structures.ts';
import type { HostMemory } from './host-memory.ts';
import type { RadixFormat } from './radix-table.ts';
import { RadixTable } from './radix-table.ts';

/** Above pages: a leaf. */
const PS = 1 << 7;

/** Of the second stage: R or W, and D (SS_FLAGS). */
const PRESENT = 3;
const DIRTY = 1 << 9;

/** Pages and blocks of 2 MiB, which every unit has in the first stage. */
const common = { levels: 4, tallest: 1, isTable: (lo: number) => (lo & PS) === 0 };

const FORMATS: Readonly<Record<1 | 2, RadixFormat>> = {
  1: {
    ...{ ...common, present: 1 },
    table: (ADDR) => encodeHalves(FS_TABLE, { P: 1, RW: 1, US: 1, ADDR }),
    leaf: (height, ADDR, { write }) =>
      encodeHalves(FS_PAGE, { P: 1, RW: write ? 1 : 0, US: 1, PS: height > 0 ? 1 : 0, ADDR }),
  },
  2: {
    ...{ ...common, present: PRESENT },
    table: (ADDR) => encodeHalves(SS_TABLE, { R: 1, W: 1, ADDR }),
    leaf: (height, ADDR, { read, write }) =>
      encodeHalves(SS_PAGE, { R: read ? 1 : 0, W: write ? 1 : 0, PS: height > 0 ? 1 : 0, ADDR }),
  },
};

export class VtdTable extends RadixTable {
  readonly stage: 1 | 2;

  constructor(host: HostMemory, stage: 1 | 2) {
    super(host, FORMATS[stage]);
    this.stage = stage;
  }

  /** What was written of the second stage, with PASID-table entries that have SSADE; see `DirtyTracking.take`. */
  takeDirty(iova: bigint, length: bigint, clear: boolean, found: (iova: bigint, length: bigint) => void): void {
    const { host } = this;
    for (let done = 0n; done < length; ) {
      const { frame, index, leaf } = this.find(iova + done);
      const lo = host.lo(frame, index);
      if ((lo & PRESENT) !== 0 && (lo & DIRTY) !== 0) {
        found(iova + done, leaf);
        if (clear) host.set(frame, index, lo & ~DIRTY, host.hi(frame, index));
      }
      done += leaf;
    }
  }
}
