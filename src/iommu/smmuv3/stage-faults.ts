/** Faults of translation (IHI 0070, 7.3.12 – 7.3.16): at which stage, of what, and what the configuration says of them (5.5). */
import { CD_AT, CD_TAG, STE_AT, STE_TAG } from './configuration.ts';
import { CLASS, EVENT } from './event-record.ts';
import type { Translation } from './translation.ts';
import { TASK } from './translation.ts';

const { F_PERMISSION, F_WALK_EABT } = EVENT;

/** A fault of stage 1; of an access to its tables CLASS is TT, of the others IN (7.3.12, 7.3.13). */
export function refuseFirst(t: Translation, words: Int32Array, event: number): false {
  const tag = words[t.cd + CD_AT.tag];
  t.s2 = 0;
  t.class = event === F_WALK_EABT ? CLASS.TTD : CLASS.IN;
  t.fetchHi = t.physHi;
  t.fetchLo = t.physLo;
  t.s = (tag >>> CD_TAG.stall) & 1;
  t.r = (tag >>> CD_TAG.record) & 1;
  t.a = (tag >>> CD_TAG.abort) & 1;
  return t.refuse(event);
}

/** A fault of stage 2, with the IPA that it was to translate. */
export function refuseSecond(t: Translation, words: Int32Array, event: number): false {
  const tag = words[t.ste + STE_AT.tag];
  const { purpose, second } = t;
  t.s2 = 1;
  if (purpose === TASK.output) t.class = CLASS.IN;
  else t.class = purpose === TASK.cd || purpose === TASK.l1cd ? CLASS.CD : CLASS.TTD;
  t.fetchHi = t.physHi;
  t.fetchLo = t.physLo;
  t.ipaHi = second.inHi;
  t.ipaLo = second.inLo;
  t.ttrnw = event === F_PERMISSION && purpose === TASK.first ? 1 : 0;
  t.s = (tag >>> STE_TAG.stall) & 1;
  t.r = (tag >>> STE_TAG.record) & 1;
  t.a = 1;
  if (event === F_PERMISSION && purpose === TASK.output && second.faultsRead) t.rnw = 1;
  return t.refuse(event);
}
