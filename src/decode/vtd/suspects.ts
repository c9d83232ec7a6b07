/** VT-d: what each fault reason (VT-d 7.1.3, table 30; 5.1.4.1, table 15) makes likely. */

import { FAULT } from '../../iommu/vtd/faults.ts';
import { INTERRUPT_FAULT } from '../../iommu/vtd/interrupt-faults.ts';
import { SM_FAULT } from '../../iommu/vtd/scalable-faults.ts';
import type { Suspect } from '../causes.ts';
import { suspects } from '../causes.ts';
import type { AccessKind } from '../finding.ts';
import { BLOCKED, CORRUPT, DETACHED, missingPage, NO_PASID, RANGE, UNREADABLE, WIDTH } from '../suspects.ts';

/** Reasons that say nothing more than that a page, or its permission, is missing: {@link missingPage}. */
const MISSING = 'missing';

const OF_REASON: Readonly<Record<number, readonly Suspect[] | typeof MISSING>> = {
  [FAULT.rootNotPresent]: DETACHED,
  [FAULT.contextNotPresent]: DETACHED,
  [FAULT.contextInvalid]: CORRUPT,
  [FAULT.beyondAddressWidth]: WIDTH,
  [FAULT.write]: MISSING,
  [FAULT.read]: MISSING,
  [FAULT.tableAddress]: suspects({ likely: ['table-unreadable'], possible: ['stale-structure-cache', 'kdump'] }),
  [FAULT.rootTableAddress]: UNREADABLE,
  [FAULT.contextTableAddress]: UNREADABLE,
  [FAULT.rootReserved]: CORRUPT,
  [FAULT.contextReserved]: CORRUPT,
  [FAULT.pagingReserved]: suspects({ likely: ['corrupt-entry'], possible: ['stale-structure-cache'] }),
  [FAULT.blocked]: BLOCKED,
  [FAULT.interruptRange]: RANGE,
  [FAULT.tableMode]: CORRUPT,
  [INTERRUPT_FAULT.requestReserved]: suspects({ likely: ['interrupt-format'], possible: ['interrupt-range'] }),
  [INTERRUPT_FAULT.index]: suspects({ likely: ['interrupt-freed'], possible: ['interrupt-range'] }),
  [INTERRUPT_FAULT.notPresent]: suspects({ likely: ['interrupt-freed'], possible: ['kdump', 'wrong-requester-id'] }),
  [INTERRUPT_FAULT.tableAddress]: UNREADABLE,
  [INTERRUPT_FAULT.entryReserved]: CORRUPT,
  [INTERRUPT_FAULT.compatibilityBlocked]: suspects({ likely: ['interrupt-format'], possible: ['kdump'] }),
  [INTERRUPT_FAULT.sourceId]: suspects({ likely: ['interrupt-source'], possible: ['interrupt-freed'] }),
  [INTERRUPT_FAULT.descriptorAddress]: UNREADABLE,
  [INTERRUPT_FAULT.descriptorReserved]: CORRUPT,
  [INTERRUPT_FAULT.notAnInterrupt]: RANGE,
  [INTERRUPT_FAULT.modeRequired]: CORRUPT,
  [INTERRUPT_FAULT.remappingRequired]: suspects({ likely: ['interrupt-format'] }),
  [SM_FAULT.pasidInLegacyMode]: BLOCKED,
  [SM_FAULT.pageRequestInLegacyMode]: BLOCKED,
  [SM_FAULT.abortMode]: suspects({ likely: ['not-attached'], possible: ['kdump'] }),
  [SM_FAULT.execute]: suspects({ likely: ['request-type-blocked'] }),
  [SM_FAULT.rootAccess]: UNREADABLE,
  [SM_FAULT.rootNotPresent]: DETACHED,
  [SM_FAULT.rootReserved]: CORRUPT,
  [SM_FAULT.contextAccess]: UNREADABLE,
  [SM_FAULT.contextNotPresent]: DETACHED,
  [SM_FAULT.contextReserved]: CORRUPT,
  [SM_FAULT.contextInvalid]: CORRUPT,
  [SM_FAULT.blocked]: BLOCKED,
  [SM_FAULT.pasidDisabled]: BLOCKED,
  [SM_FAULT.pasidBeyondDirectory]: NO_PASID,
  [SM_FAULT.pageRequestsDisabled]: BLOCKED,
  [SM_FAULT.pasidIsOfRequester]: NO_PASID,
  [SM_FAULT.directoryAccess]: UNREADABLE,
  [SM_FAULT.directoryNotPresent]: NO_PASID,
  [SM_FAULT.directoryReserved]: CORRUPT,
  [SM_FAULT.entryAccess]: UNREADABLE,
  [SM_FAULT.entryNotPresent]: NO_PASID,
  [SM_FAULT.entryReserved]: CORRUPT,
  [SM_FAULT.entryInvalid]: CORRUPT,
  [SM_FAULT.executeUnsupported]: BLOCKED,
  [SM_FAULT.supervisorDisabled]: suspects({ likely: ['process-memory'], possible: ['corrupt-entry'] }),
  [SM_FAULT.firstAccess]: UNREADABLE,
  [SM_FAULT.firstNotPresent]: MISSING,
  [SM_FAULT.firstReserved]: CORRUPT,
  [SM_FAULT.firstTopAccess]: UNREADABLE,
  [SM_FAULT.firstBeyondWidth]: CORRUPT,
  [SM_FAULT.firstTopRead]: MISSING,
  [SM_FAULT.firstRead]: MISSING,
  [SM_FAULT.firstFlagsWrite]: MISSING,
  [SM_FAULT.firstFlagsNoSnoop]: CORRUPT,
  [SM_FAULT.secondAccess]: UNREADABLE,
  [SM_FAULT.secondNotPresent]: MISSING,
  [SM_FAULT.secondReserved]: CORRUPT,
  [SM_FAULT.secondTopAccess]: UNREADABLE,
  [SM_FAULT.secondFlagsNoSnoop]: CORRUPT,
  [SM_FAULT.notCanonical]: suspects({ likely: ['never-mapped'], possible: ['address-width'] }),
  [SM_FAULT.privilege]: suspects({ likely: ['process-memory'], possible: ['never-mapped'] }),
  [SM_FAULT.beyondHostWidth]: suspects({ likely: ['address-width'], possible: ['corrupt-entry'] }),
  [SM_FAULT.beyondInputWidth]: WIDTH,
  [SM_FAULT.write]: MISSING,
  [SM_FAULT.read]: MISSING,
  [SM_FAULT.interruptRange]: RANGE,
  [SM_FAULT.pasidTooLarge]: NO_PASID,
};

/** What makes a fault likely. @param pasid the request had one: then the address may be a process's */
export function suspectsOf(
  reason: number,
  pasid: number | null,
  address: bigint | null,
  access: AccessKind,
): Suspect[] {
  const known = OF_REASON[reason] ?? [];
  return known === MISSING ? missingPage({ access, address, pasid, own: ['caching-mode'] }) : [...known];
}
