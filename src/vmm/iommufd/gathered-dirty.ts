/** Dirty tracking that invalidates from the first to the last that it has made clean (iommu_dirty_bitmap_record, iommu_iotlb_sync of Linux). */
import type { Errno } from './errno.ts';
import type { DirtyTracking } from './hardware.ts';
import type { Unmapped } from './smmu-hardware.ts';
import { PAGE_SIZE } from './user-memory.ts';

export class GatheredDirty implements DirtyTracking {
  private readonly table: DirtyTracking;
  private readonly invalidate: (run: Unmapped) => void;
  /** From the first to behind the last byte that was made clean since the last {@link flush}; null: none. */
  private cleaned: { from: bigint; to: bigint } | null = null;

  constructor(table: DirtyTracking, invalidate: (run: Unmapped) => void) {
    this.table = table;
    this.invalidate = invalidate;
  }

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
