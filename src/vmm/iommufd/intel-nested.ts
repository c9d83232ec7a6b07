/** Invalidation of a guest's first-stage tables on VT-d: data type VTD_S1 (drivers/iommu/intel/nested.c of Linux). */
import type { Values } from '../../bits/index.ts';
import { decodeHalves } from '../../bits/index.ts';
import type { Errno } from './errno.ts';
import { refused } from './errno.ts';
import { INVALIDATE_DATA, VTD_INVALIDATE_FLAGS } from './flags.ts';
import type { Invalidated } from './invalidate.ts';
import { HWPT_VTD_S1_INVALIDATE } from './structures.ts';
import type { UserArray } from './user-array.ts';
import { copyEntry, halvesOf } from './user-array.ts';
import type { UserMemory } from './user-memory.ts';
import { PAGE_SIZE, ULONG_MAX } from './user-memory.ts';

/** What of the guest's tables has changed. */
export interface VtdFlush {
  readonly from: bigint;
  readonly last: bigint;
  /** Only leaves: entries of page directories may stay cached (IH). */
  readonly leafOnly: boolean;
}

/** One by one: those before one that is wrong have been done. */
export function invalidateVtd(memory: UserMemory, array: UserArray, flush: (one: VtdFlush) => void): Invalidated {
  if (array.type !== INVALIDATE_DATA.VTD_S1) return { errno: 'EINVAL', handled: 0 };
  const bytes = HWPT_VTD_S1_INVALIDATE.width / 8;
  for (let i = 0; i < array.entries; i++) {
    const given = copyEntry(memory, array, i, bytes, bytes);
    if (refused(given)) return { errno: given, handled: i };
    const one = flushOf(decodeHalves(HWPT_VTD_S1_INVALIDATE, halvesOf(given)));
    if (refused(one)) return { errno: one, handled: i };
    flush(one);
  }
  return { errno: null, handled: array.entries };
}

function flushOf(entry: Values<typeof HWPT_VTD_S1_INVALIDATE.fields>): VtdFlush | Errno {
  const { __reserved, addr, flags, npages } = entry;
  if ((flags & ~VTD_INVALIDATE_FLAGS.LEAF) !== 0 || __reserved !== 0) return 'EOPNOTSUPP';
  if (addr % PAGE_SIZE !== 0n || (npages === ULONG_MAX && addr !== 0n)) return 'EINVAL';
  const leafOnly = (flags & VTD_INVALIDATE_FLAGS.LEAF) !== 0;
  if (npages === ULONG_MAX) return { from: 0n, last: ULONG_MAX, leafOnly };
  return { from: addr, last: BigInt.asUintN(64, addr + npages * PAGE_SIZE - 1n), leafOnly };
}
