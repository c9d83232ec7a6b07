/** Dirty tracking by the IOMMU (drivers/iommu/iommufd/io_pagetable.c, iova_bitmap.c of Linux). */
import type { Values } from '../../bits/index.ts';
import type { Iommufd } from './context.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { DIRTY_BITMAP_FLAGS, DIRTY_TRACKING_FLAGS } from './flags.ts';
import { HwptPaging } from './hwpt.ts';
import type * as uapi from './structures.ts';
import { ULONG_MAX } from './user-memory.ts';

/** Turning it on makes everything clean first, so that what is found later was written since. */
export function setDirtyTracking(fd: Iommufd, cmd: Values<typeof uapi.HWPT_SET_DIRTY_TRACKING.fields>): Errno | null {
  if ((cmd.flags & ~DIRTY_TRACKING_FLAGS.ENABLE) !== 0) return 'EOPNOTSUPP';
  const hwpt = fd.objects.get(cmd.hwpt_id, HwptPaging);
  if (refused(hwpt)) return hwpt;
  const { dirty } = hwpt.domain;
  if (dirty === null) return 'EOPNOTSUPP';
  const enable = (cmd.flags & DIRTY_TRACKING_FLAGS.ENABLE) !== 0;
  if (enable) {
    let errno: Errno | null = null;
    for (const area of hwpt.ioas.table.areas) {
      errno = dirty.take(area.start, area.length, true, null);
      if (errno !== null) break;
    }
    dirty.flush();
    if (errno !== null) return errno;
  }
  return dirty.set(enable);
}

type Bitmap = Values<typeof uapi.HWPT_GET_DIRTY_BITMAP.fields>;

/**
 * Sets a bit for each page that was written; bits that are set already stay. What was found is clean afterwards, unless that is declined. The
 * kernel drops what goes wrong on the way (a hole in the range, memory that is not there): it stops there, and says that all is well.
 */
export function getDirtyBitmap(fd: Iommufd, cmd: Bitmap): Errno | null {
  if ((cmd.flags & ~DIRTY_BITMAP_FLAGS.NO_CLEAR) !== 0 || cmd.__reserved !== 0) return 'EOPNOTSUPP';
  const hwpt = fd.objects.get(cmd.hwpt_id, HwptPaging);
  if (refused(hwpt)) return hwpt;
  const { table } = hwpt.ioas;
  const errno = checkRange(cmd, table.alignment);
  if (errno !== null) return errno;
  const { dirty } = hwpt.domain;
  if (dirty === null) return 'EOPNOTSUPP';
  const clear = (cmd.flags & DIRTY_BITMAP_FLAGS.NO_CLEAR) === 0;
  const last = cmd.iova + cmd.length - 1n;
  let next = cmd.iova;
  for (const area of table.touching({ start: cmd.iova, last })) {
    if (area.start > next) break;
    const to = area.last > last ? last : area.last;
    if (dirty.take(next, to - next + 1n, clear, (iova, length) => mark(fd, cmd, iova, length)) !== null) break;
    next = to + 1n;
  }
  if (clear) dirty.flush();
  return null;
}

function checkRange({ iova, length, page_size }: Bitmap, alignment: bigint): Errno | null {
  const end = iova + length;
  if (length === 0n ? iova !== 0n : end - 1n > ULONG_MAX) return 'EOVERFLOW';
  if (iova % alignment !== 0n || end % alignment !== 0n) return 'EINVAL';
  if (page_size === 0n) return 'EINVAL';
  return (iova & (page_size - 1n)) !== 0n || (end & (page_size - 1n)) !== 0n ? 'EINVAL' : null;
}

/** The bits of pages that a range touches, counted from the bitmap's first address; what lies behind the bitmap is dropped. */
function mark(fd: Iommufd, { data, iova: from, length: whole, page_size }: Bitmap, iova: bigint, length: bigint): void {
  const end = iova + length > from + whole ? from + whole : iova + length;
  const last = (end - 1n - from) / page_size;
  for (let n = (iova - from) / page_size; n <= last; n++) {
    const at = data + n / 8n;
    const byte = fd.memory.read(at, 1);
    if (byte !== null) fd.memory.write(at, Uint8Array.of(byte[0] | (1 << Number(n % 8n))));
  }
}
