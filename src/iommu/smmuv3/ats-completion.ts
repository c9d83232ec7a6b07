/** What an ATS translation request is answered (IHI 0070, 3.9.1.2, 13.7.1). */
import { ANSWER_STATUS, TranslationAnswer } from '../kit/translation-answer.ts';
import { EVENT } from './event-record.ts';

export const ATS_STATUS = ANSWER_STATUS;

/** Always the same object, overwritten by the next request. */
export class AtsCompletion extends TranslationAnswer {
  execute = false;
  /** log2 of the bytes that it holds for. */
  bits = 12;
  /** Where the address leads, its place in the block included: a PA, with split-stage ATS an IPA. */
  hi = 0;
  lo = 0;

  /** Success, and no access. */
  override clear(): void {
    super.clear();
    this.execute = false;
    this.bits = 12;
    this.hi = 0;
    this.lo = 0;
  }
}

/** Events with which an ordinary transaction would end, and a translation request has success without access (3.9.1.2). */
export function isDenial(event: number): boolean {
  return event >= EVENT.F_TRANSLATION && event <= EVENT.F_PERMISSION;
}
