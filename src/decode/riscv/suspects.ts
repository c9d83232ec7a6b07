/** RISC-V IOMMU: what each cause of a fault record (RISC-V IOMMU 3.2) makes likely. */
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { AccessKind } from '../finding.ts';
import type { Missing } from '../suspects.ts';
import { BLOCKED, CORRUPT, DETACHED, missingPage, NO_PASID, UNREADABLE } from '../suspects.ts';

/** What a record says of its transaction. */
export interface Transaction extends Missing {
  /** The second stage refused the IOMMU's own access to a first-stage table. */
  readonly implicit: boolean;
}

/** Causes that say nothing more than that a page, or its permission, is missing. */
const MISSING = 'missing';

/** Memory itself refused: what the tables lead to is none, or is protected. */
const REFUSED = suspects({
  likely: ['corrupt-entry', 'table-unreadable'],
  possible: ['never-mapped', 'hardware-error'],
});
const MISALIGNED = suspects({ likely: ['never-mapped'] });
const POISONED = suspects({ certain: ['hardware-error'] });
const NO_INTERRUPT_FILE = suspects({ likely: ['interrupt-freed', 'msi-doorbell'], possible: ['kdump'] });

const OF_CAUSE: Readonly<Record<number, readonly Suspect[] | typeof MISSING>> = {
  1: REFUSED,
  4: MISALIGNED,
  5: REFUSED,
  6: MISALIGNED,
  7: REFUSED,
  12: MISSING,
  13: MISSING,
  15: MISSING,
  20: MISSING,
  21: MISSING,
  23: MISSING,
  256: suspects({ likely: ['not-attached'], possible: ['kdump', 'resume'] }),
  257: UNREADABLE,
  258: [...DETACHED, { id: 'firmware-ids', sure: 'possible' }],
  259: CORRUPT,
  260: [...BLOCKED, ...suspects({ possible: ['firmware-ids', 'no-pasid-table'] })],
  261: UNREADABLE,
  262: NO_INTERRUPT_FILE,
  263: CORRUPT,
  264: UNREADABLE,
  265: UNREADABLE,
  266: NO_PASID,
  267: CORRUPT,
  268: POISONED,
  269: POISONED,
  270: POISONED,
  271: POISONED,
  272: POISONED,
  273: suspects({ likely: ['table-unreadable'], possible: ['hardware-error'] }),
  274: POISONED,
};

/** @returns none for causes that the specification has not, or leaves to implementations */
export function suspectsOf(cause: number, of: Transaction): Suspect[] {
  const known = OF_CAUSE[cause] ?? [];
  if (known !== MISSING) return [...known];
  return of.implicit ? suspects({ likely: ['table-unreadable', 'stale-structure-cache'] }) : missingPage(of);
}

/** What was tried, where the cause tells; Linux does not print TTYP. */
const ACCESS_OF_CAUSE: Readonly<Record<number, AccessKind>> = {
  1: 'execute',
  4: 'read',
  5: 'read',
  6: 'write',
  7: 'write',
  12: 'execute',
  13: 'read',
  15: 'write',
  20: 'execute',
  21: 'read',
  23: 'write',
  261: 'interrupt',
  262: 'interrupt',
  263: 'interrupt',
  264: 'interrupt',
};

export function accessOf(cause: number): AccessKind | null {
  return ACCESS_OF_CAUSE[cause] ?? null;
}
