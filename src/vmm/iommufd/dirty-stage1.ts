/** Dirty tracking of a stage 1 of the SMMU's (arm_smmu_read_and_clear_dirty, iommu_dirty_bitmap_record of Linux). */
import type { Errno } from './errno.ts';
import type { DirtyTracking } from './hardware.ts';
import type { Unmapped } from './smmu-hardware.ts';
import { PAGE_SIZE } from './user-memory.ts';

export class DirtyStage1 implements DirtyTracking {
  private readonly table: DirtyTracking;
  private readonly invalidate: (run: Unmapped) => void;
  /** From the first to behind the last byte that was made clean since the last {@link flush}; null: none. */
  private cleaned: { from: bigint; to: bigint } | null = null;

  constructor(table: DirtyTracking, invalidate: (run: Unmapped) => void) {
    this.table = table;
    this.invalidate = invalidate;
  }

  /** Hardware tracks all the time: nothing is to be done. */
  set(enabled: boolean): Errno | null {
    return this.table.set(enabled);
  }

  take(
    iova: bigint,
    length: bigint,
    clear: boolean,
    found: ((iova: bigint, length: bigint) => void) | null,
  ): Errno | null {
    return this.table.take(iova, length, clear, (at, bytes) => {
      if (clear) this.gather(at, at + bytes);
      found?.(at, bytes);
    });
  }

  private gather(from: bigint, to: bigint): void {
    const { cleaned } = this;
    if (cleaned === null) this.cleaned = { from, to };
    else {
      if (from < cleaned.from) cleaned.from = from;
      if (to > cleaned.to) cleaned.to = to;
    }
  }

  flush(): void {
    const { cleaned } = this;
    this.cleaned = null;
    this.table.flush();
    if (cleaned !== null) this.invalidate({ iova: cleaned.from, length: cleaned.to - cleaned.from, leaf: PAGE_SIZE });
  }
}
