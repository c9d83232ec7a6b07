/** Translation requests in scalable mode, in steps (VT-d 4.2.3): which cached translations answer one, and what is left where a right is missing. */
import { REQUEST } from './request.ts';
import type { Scalable } from './scalable.ts';
import { RIGHT, SM_TAG } from './scalable-entries.ts';
import { SM_FAULT } from './scalable-faults.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { STEP } from './walk.ts';

/** What a cached translation grants, R 1 and W 2. @param supervisor of a request with PASID */
export function rightsOf(tag: number, supervisor: boolean): number {
  const rights = tag >>> SM_TAG.rights;
  const writes = supervisor ? (rights & RIGHT.supervisorWrite) !== 0 : (rights & RIGHT.write) !== 0;
  if ((rights & (supervisor ? RIGHT.supervisor : RIGHT.user)) === 0) return 0;
  return (rights & RIGHT.read) | (writes ? REQUEST.write : 0);
}

/**
 * Offset of the `n`th cached translation that may answer, −1 when there are no more. It is as for an AtomicOp (4.2.3.1): one that grants
 * writes and is not known to be dirty does not do.
 */
export function nthAnswer({ caches, walk }: Scalable, supervisor: boolean, n: number): number {
  let left = n;
  for (let i = 0; ; i++) {
    const any = RIGHT.user | RIGHT.supervisor;
    const at = caches.nthTranslation(walk.sid, walk.pasid, walk.vpnHi, walk.vpnLo, any, true, i);
    if (at < 0) return -1;
    const tag = caches.tag(at);
    const rights = rightsOf(tag, supervisor);
    const clean = (rights & REQUEST.write) !== 0 && ((tag >>> SM_TAG.dirty) & 1) === 0;
    if (rights !== 0 && !clean && left-- === 0) return at;
  }
}

/**
 * Handles the entry that is next. A translation request wants to read and to write, and where an entry lacks one right it goes on with the
 * other; a leaf that was to become dirty does not then.
 */
export function askStep(scalable: Scalable): number {
  const { walk } = scalable;
  const result = scalable.step();
  if (result !== STEP.fault || walk.access !== REQUEST.atomic || !lessens(walk)) return result;
  return scalable.step();
}

function lessens(walk: ScalableWalk): boolean {
  if (walk.fault === SM_FAULT.read) walk.access = REQUEST.write;
  else if (walk.fault === SM_FAULT.write) {
    walk.access = REQUEST.read;
    if (walk.leafLo !== 0) walk.dirty = 0;
    walk.leafLo = 0;
    walk.leafHi = 0;
    walk.leafTableHi = 0;
    walk.leafTableLo = 0;
  } else return false;
  return true;
}
