/**
 * Caching mode in scalable mode (VT-d 6.1, 6.2.2 – 6.2.4.1, CAP.CM): entries that led to a fault may be cached, those of the first stage never. The
 * explorer and the adversary fill them and choose whether one serves; at once nothing is filled, which CM permits as well.
 */
import { levelTag } from './cache-entries.ts';
import { REQUEST } from './request.ts';
import type { Scalable } from './scalable.ts';
import type { ScalableCaches } from './scalable-caches.ts';
import { PASID, PASID_TAG, SM_CONTEXT_TAG, SM_IOTLB, SM_TAG } from './scalable-entries.ts';
import { SM_FAULT } from './scalable-faults.ts';
import { PGTT } from './scalable-structures.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { STAGE } from './scalable-walk.ts';

const READ = REQUEST.read;
const WRITE = REQUEST.write;

/** Faults of a context entry, or on the way to it, but where memory could not be read: they are cached by source id alone (6.2.2). */
const CONTEXT: ReadonlySet<number> = new Set([
  SM_FAULT.rootNotPresent,
  SM_FAULT.rootReserved,
  SM_FAULT.contextNotPresent,
  SM_FAULT.contextReserved,
  SM_FAULT.contextInvalid,
]);

/** Those of a PASID-table entry: cached under domain id 0 (6.2.3). */
const PASID_ENTRY: ReadonlySet<number> = new Set([
  SM_FAULT.directoryNotPresent,
  SM_FAULT.directoryReserved,
  SM_FAULT.entryNotPresent,
  SM_FAULT.entryReserved,
  SM_FAULT.entryInvalid,
]);

/** Those of a page in the second stage: which accesses they are about. Cached as its translation would be (6.2.4.1). */
const PAGE: Readonly<Record<number, number>> = {
  [SM_FAULT.secondAccess]: READ | WRITE,
  [SM_FAULT.secondTopAccess]: READ | WRITE,
  [SM_FAULT.secondNotPresent]: READ | WRITE,
  [SM_FAULT.secondReserved]: READ | WRITE,
  [SM_FAULT.interruptRange]: READ | WRITE,
  [SM_FAULT.beyondInputWidth]: READ | WRITE,
  [SM_FAULT.read]: READ,
  [SM_FAULT.write]: WRITE,
};

/** The walk has ended in a fault, and has read nothing that was invalidated. */
export function cacheFault({ caches, walk }: Scalable): void {
  const { fault, pgtt, stage } = walk;
  const fpd = walk.fpd ? 1 : 0;
  if (CONTEXT.has(fault)) {
    const tag = SM_CONTEXT_TAG.valid | (fpd << SM_CONTEXT_TAG.fpd) | (fault << SM_CONTEXT_TAG.fault);
    caches.fillContext(tag, walk.sid, 0, 0, 0);
  } else if (PASID_ENTRY.has(fault)) {
    // PGTT 0, which no entry that is used has, and domain id 0; the reason is where a pointer would be.
    const tag = PASID_TAG.valid | (fpd << PASID_TAG.fpd);
    caches.fillPasid(tag, walk.sid, walk.tablePasid, 0, fault, 0, 0);
  } else if (isOfSecondStage(stage, pgtt, fault)) {
    const tag = levelTag(1) | (fpd << SM_TAG.fpd) | (pgtt << SM_TAG.pgtt) | (1 << SM_TAG.fault);
    const { did, pasid, sid, tablePasid, vpnHi, vpnLo } = walk;
    caches.fillTranslation(tag, did, sid, pasid >= 0, tablePasid, vpnHi, vpnLo, PAGE[fault], fault);
  }
}

function isOfSecondStage(stage: number, pgtt: number, fault: number): boolean {
  if (PAGE[fault] === undefined) return false;
  return stage === STAGE.second || (fault === SM_FAULT.beyondInputWidth && pgtt === PGTT.secondStage);
}

/** Reason of a PASID-cache entry that is a fault; 0 of one that is none. */
export function pasidFaultOf(caches: ScalableCaches, entry: number): number {
  return ((caches.tag(entry) >>> PASID_TAG.pgtt) & 7) === 0 ? caches.word(entry, PASID.secondTopLo) : 0;
}

/** Offset of the cached fault that may refuse the request, −1 for none. A translation request is refused by one that is about both rights. */
export function cachedFault({ caches, walk }: Scalable): number {
  for (let n = 0; ; n++) {
    // Faults have no rights.
    const at = caches.nthTranslation(walk.sid, walk.pasid, walk.vpnHi, walk.vpnLo, 0, false, n);
    if (at < 0) return -1;
    const isFault = ((caches.tag(at) >>> SM_TAG.fault) & 1) === 1;
    if (isFault && concerns(walk, caches.word(at, SM_IOTLB.pfnHi))) return at;
  }
}

function concerns({ access }: ScalableWalk, about: number): boolean {
  return access === REQUEST.atomic ? about === access : (access & about) !== 0;
}

/** Reason of a cached fault of a page. */
export function pageFaultOf(caches: ScalableCaches, entry: number): number {
  return caches.word(entry, SM_IOTLB.pfnLo);
}
