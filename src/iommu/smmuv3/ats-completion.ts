/** What an ATS translation request is answered (IHI 0070, 3.9.1.2, 13.7.1). */
import { ANSWER_STATUS, TranslationAnswer } from '../kit/translation-answer.ts';
import { EVENT, RIGHT } from './event-record.ts';
import { REQUEST } from './request.ts';

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

/** STE.INSTCFG: reads are instruction fetches, or never (13.7.1). */
const INST = { data: 2, instruction: 3 } as const;

/**
 * What a translation request is granted (13.7.1), of what tables grant at the privilege that it has. Execution is granted with reading only; an override makes
 * them one.
 * @param rights bits of unprivileged accesses of {@link RIGHT}. @param inst STE.INSTCFG. @param kind of the request, as it came
 * @returns such bits
 */
export function granted(rights: number, inst: number, kind: number): number {
  const fetches = inst === INST.instruction ? RIGHT.uX : RIGHT.uR;
  const reads = (rights & fetches) !== 0 ? RIGHT.uR : 0;
  const writes = (kind & REQUEST.write) !== 0 ? rights & RIGHT.uW : 0;
  const executes = reads !== 0 && (inst === INST.data || (rights & RIGHT.uX) !== 0);
  return reads | writes | ((kind & REQUEST.instruction) !== 0 && executes ? RIGHT.uX : 0);
}
