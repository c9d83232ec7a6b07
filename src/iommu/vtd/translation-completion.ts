/** What a translation request is answered (VT-d 4.1.2, 4.2.3). */
import { ANSWER_STATUS, TranslationAnswer } from '../kit/translation-answer.ts';
import { FAULT } from './faults.ts';
import { SM_FAULT } from './scalable-faults.ts';

export const COMPLETION_STATUS = ANSWER_STATUS;

/** Always the same object, overwritten by the next request; the frame is in the walk of the unit. */
export class TranslationCompletion extends TranslationAnswer {
  /** U: the range may be accessed by untranslated requests only. */
  untranslatedOnly = false;
  /** N: translated requests must not have No Snoop set. Of legacy mode only: PGSNP of scalable mode is not looked at. */
  nonSnooped = false;
  /** Of the page's size: 1 4 KiB, 2 2 MiB, 3 1 GiB; S is set from 2 on. */
  level = 1;

  /** Success with R = W = U = S = 0. */
  override clear(): void {
    super.clear();
    this.untranslatedOnly = false;
    this.nonSnooped = false;
    this.level = 1;
  }
}

/** Reasons for which table 30 has UR in the columns of translation requests; for all others that are faults it has CA. */
const UNSUPPORTED: ReadonlySet<number> = new Set([
  FAULT.rootNotPresent,
  FAULT.contextNotPresent,
  FAULT.blocked,
  SM_FAULT.pasidInLegacyMode,
  SM_FAULT.abortMode,
  SM_FAULT.execute,
  SM_FAULT.rootNotPresent,
  SM_FAULT.contextNotPresent,
  SM_FAULT.blocked,
  SM_FAULT.pasidDisabled,
  SM_FAULT.pasidBeyondDirectory,
  SM_FAULT.pasidIsOfRequester,
  SM_FAULT.pasidTooLarge,
]);

/** @param reason of a fault of a translation request that is not recoverable */
export function statusOf(reason: number): number {
  return UNSUPPORTED.has(reason) ? COMPLETION_STATUS.unsupportedRequest : COMPLETION_STATUS.completerAbort;
}

/** Reasons of scalable mode for which table 30 has "Success", without rights or with those that there are. */
const RECOVERABLE: ReadonlySet<number> = new Set([
  SM_FAULT.directoryNotPresent,
  SM_FAULT.entryNotPresent,
  SM_FAULT.executeUnsupported,
  SM_FAULT.supervisorDisabled,
  SM_FAULT.firstAccess,
  SM_FAULT.firstNotPresent,
  SM_FAULT.firstReserved,
  SM_FAULT.firstTopAccess,
  SM_FAULT.firstBeyondWidth,
  SM_FAULT.firstTopRead,
  SM_FAULT.firstRead,
  SM_FAULT.firstFlagsWrite,
  SM_FAULT.firstFlagsNoSnoop,
  SM_FAULT.secondNotPresent,
  SM_FAULT.notCanonical,
  SM_FAULT.privilege,
  SM_FAULT.beyondHostWidth,
  SM_FAULT.beyondInputWidth,
  SM_FAULT.write,
  SM_FAULT.read,
]);

export function isRecoverableInScalableMode(reason: number): boolean {
  return RECOVERABLE.has(reason);
}
