/** Where a mapping goes that may go anywhere (iopt_alloc_iova of Linux). */
import type { Errno } from './errno.ts';
import type { Range } from './ranges.ts';
import { holes, used } from './ranges.ts';
import { PAGE_SIZE, ULONG_MAX } from './user-memory.ts';

/** `HPAGE_SIZE` with pages of 4 KiB: nothing is aligned to more. */
const HUGE_PAGE = 2n << 20n;

export interface Space {
  readonly areas: readonly Range[];
  readonly reserved: readonly Range[];
  readonly allowed: readonly Range[];
  readonly alignment: bigint;
}

/** The lowest address, never 0, that keeps as much of the user address's alignment as the length can use. */
export function allocateIova(space: Space, va: bigint, length: bigint): bigint | Errno {
  const offset = va % PAGE_SIZE;
  if (length === 0n || length >= ULONG_MAX / 2n) return 'EOVERFLOW';
  let alignment = powerOfTwoFrom(length);
  const ofAddress = va & -va;
  if (va !== 0n && ofAddress < alignment) alignment = ofAddress;
  if (alignment > HUGE_PAGE) alignment = HUGE_PAGE;
  if (alignment < space.alignment) return 'EINVAL';
  const all = { start: PAGE_SIZE, last: ULONG_MAX - PAGE_SIZE };
  for (const span of space.allowed.length === 0 ? [all] : used(space.allowed, all)) {
    const from = placeIn(span, length, alignment, offset);
    if (from === null) continue;
    for (const hole of holes([...space.reserved, ...space.areas], { start: from, last: span.last })) {
      const at = placeIn(hole, length, alignment, offset);
      if (at !== null) return at;
    }
  }
  return 'ENOSPC';
}

function placeIn({ start, last }: Range, length: bigint, alignment: bigint, offset: bigint): bigint | null {
  if (start + alignment - 1n > ULONG_MAX) return null;
  const at = ((start + alignment - 1n) & ~(alignment - 1n)) | offset;
  return at >= last || last - at < length - 1n ? null : at;
}

function powerOfTwoFrom(length: bigint): bigint {
  let power = 1n;
  while (power < length) power <<= 1n;
  return power;
}
