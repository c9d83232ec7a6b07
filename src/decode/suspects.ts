/** Suspects that IOMMUs have in common, whatever their codes are: a page that is not mapped, an entry that is damaged, a device that is in no domain. */
import type { CauseId, Suspect } from './causes.ts';
import { suspects } from './causes.ts';
import type { AccessKind } from './finding.ts';

export const DETACHED = suspects({
  likely: ['not-attached'],
  possible: ['wrong-requester-id', 'kdump', 'reserved-region'],
});
export const CORRUPT = suspects({ likely: ['corrupt-entry'], rare: ['hardware-error'] });
export const UNREADABLE = suspects({ likely: ['table-unreadable'], possible: ['kdump'], rare: ['hardware-error'] });
export const OF_PROCESS = suspects({
  likely: ['process-memory'],
  possible: ['no-pasid-table', 'unmap-before-completion'],
});
export const WIDTH = suspects({ likely: ['address-width'], possible: ['never-mapped'] });
export const BLOCKED = suspects({
  likely: ['request-type-blocked'],
  possible: ['missing-device-tlb-invalidation'],
});
export const NO_PASID = suspects({ likely: ['no-pasid-table'], possible: ['corrupt-entry'] });
export const RANGE = suspects({ likely: ['interrupt-range'] });
export const DESCRIPTOR = suspects({ likely: ['descriptor-damaged'] });
export const OVERFLOW = suspects({ certain: ['overflow'] });

/** What is known of a request whose page, or the permission to it, is missing. */
export interface Missing {
  readonly access: AccessKind | null;
  /** The request had one: the address may be a process's. */
  readonly pasid: number | null;
  readonly address: bigint | null;
  /** The page is there, and only the permission is missing. */
  readonly present?: boolean;
  /** What can be wrong with this IOMMU alone. */
  readonly own?: readonly CauseId[];
}

/** A range of 1 MiB where an x86 system has its interrupts. */
const INTERRUPT_RANGE = 0xfeen;

export function missingPage({ access, address, own = [], pasid, present = false }: Missing): Suspect[] {
  if (pasid !== null) return [...OF_PROCESS];
  const direction: readonly CauseId[] = access === 'read' ? [] : ['direction'];
  const all = present
    ? suspects({ likely: [...direction, 'reserved-region'], possible: ['never-mapped', 'not-attached', ...own] })
    : notPresent(address, [...direction, 'reserved-region', 'overrun', 'wrong-requester-id', 'kdump', ...own]);
  return address !== null && address >> 20n === INTERRUPT_RANGE ? [...RANGE, ...all] : all;
}

/** Page 0 tells more than its code: it is nobody's IOVA. */
function notPresent(address: bigint | null, others: readonly CauseId[]): Suspect[] {
  const rare: readonly CauseId[] = ['stale-structure-cache'];
  return address !== null && address < 0x1000n
    ? suspects({ likely: ['never-mapped'], possible: ['unmap-before-completion', ...others], rare })
    : suspects({ likely: ['unmap-before-completion', 'never-mapped'], possible: others, rare });
}
