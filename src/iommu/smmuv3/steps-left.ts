/** How many steps a translation can still take (`Translator.left`): an upper bound that falls with each. Looking up caches takes none of its own. */
import { LAST_LEVEL } from './geometry.ts';
import type { Translation } from './translation.ts';
import { LOOK, TASK } from './translation.ts';

/** Descriptors of stage 2, at most. */
const SECOND = LAST_LEVEL + 1;

/** From the translation of stage 1's output on. */
const OUTPUT = SECOND;

/** From where a descriptor of stage 1 is looked for on: stage 2 for where it is, reading it, and either more of them or setting its flags. */
function fromFirst(level: number): number {
  return level > LAST_LEVEL ? 0 : SECOND + 1 + afterFirst(level);
}

/** From when a descriptor was read. Before its flags are set it may have become a table. */
function afterFirst(level: number): number {
  return SECOND + 1 + Math.max(fromFirst(level + 1), OUTPUT);
}

const FROM_FIRST = [0, 1, 2, 3].map(fromFirst);
const AFTER_FIRST = [0, 1, 2, 3].map(afterFirst);
const FROM_TLB = FROM_FIRST[0];
const AFTER_CD = FROM_TLB;
const FROM_CD = SECOND + 1 + AFTER_CD;
const AFTER_L1CD = FROM_CD;
const FROM_L1CD = SECOND + 1 + AFTER_L1CD;
/** Level-1 descriptor of the stream table, and STE. */
const WHOLE = 2 + FROM_L1CD;

/** From when what stage 2 was asked for has been found. */
function afterSecond(t: Translation): number {
  switch (t.purpose) {
    case TASK.l1cd:
      return 1 + AFTER_L1CD;
    case TASK.cd:
      return 1 + AFTER_CD;
    case TASK.first:
      return 1 + AFTER_FIRST[t.first.level];
    case TASK.firstUpdate:
      return 1 + Math.max(FROM_FIRST[t.first.level + 1] ?? 0, OUTPUT);
    default:
      return 0;
  }
}

/** @param t null: one that has not begun */
export function stepsLeft(t: Translation | null): number {
  if (t === null) return WHOLE;
  switch (t.look) {
    case LOOK.none:
      break;
    case LOOK.cd:
    case LOOK.l1cd:
      return FROM_L1CD;
    case LOOK.tlb:
      return FROM_TLB;
    case LOOK.ipa:
      return SECOND + afterSecond(t);
    default:
      return WHOLE;
  }
  switch (t.task) {
    case TASK.l1std:
      return 2 + FROM_L1CD;
    case TASK.ste:
      return 1 + FROM_L1CD;
    case TASK.l1cd:
      return 1 + AFTER_L1CD;
    case TASK.cd:
      return 1 + AFTER_CD;
    case TASK.first:
      return 1 + AFTER_FIRST[t.first.level];
    case TASK.firstUpdate:
      return 1 + Math.max(FROM_FIRST[t.first.level + 1] ?? 0, OUTPUT);
    default:
      return SECOND - t.second.level + afterSecond(t);
  }
}

/** What is to be added where an STE and a CD take two steps. @param isBegun the first word was read of what is being read */
export function partsLeft(t: Translation | null, isBegun: boolean): number {
  if (t === null || t.look === LOOK.ste || t.look === LOOK.l1std) return 2;
  if (t.look === LOOK.none && (t.task === TASK.l1std || t.task === TASK.ste)) return isBegun ? 1 : 2;
  if (t.look === LOOK.cd || t.look === LOOK.l1cd || t.purpose === TASK.l1cd || t.purpose === TASK.cd) return 1;
  return t.look === LOOK.none && (t.task === TASK.l1cd || t.task === TASK.cd) && !isBegun ? 1 : 0;
}
