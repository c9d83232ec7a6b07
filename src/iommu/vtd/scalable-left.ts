/**
 * How many steps a translation in scalable mode can still take (`Translator.left`). A count of entries alone does not tell: a nested leaf that
 * has changed before its dirty flag could be set is read again, and what changed it may have been hardware, whose writes are counted for that.
 */
import { LOOK } from './scalable-slot.ts';
import { PGTT } from './scalable-structures.ts';
import type { ScalableWalk } from './scalable-walk.ts';
import { PURPOSE, STAGE } from './scalable-walk.ts';

/** Most levels of a stage, and of the first-stage entries that map a page. */
const LEVELS = 5;
const LEAF_LEVELS = 3;

/** A look-up in the caches of the second stage, and its entries. */
const SECOND_STAGE = 1 + LEVELS;

/** From the first-stage entry of a level on that is read next: each in a table that the second stage leads to; then the page, and its dirty flag. */
function fromFirst(level: number, nested: boolean): number {
  return nested ? level + (level - 1) * SECOND_STAGE + SECOND_STAGE + 1 : level;
}

/** From a leaf on that has changed, the failing attempt to set its flag being counted with the walk. */
const AGAIN = fromFirst(LEAF_LEVELS, true);

/** From a PASID-table entry on that is known: a look-up in each stage's caches, then the tables. */
function fromEntry(nests: boolean): number {
  return 1 + SECOND_STAGE + (nests ? fromFirst(LEVELS, true) : 0);
}

/** Look-ups of the context cache and the PASID cache with what they may save, three entries, or parts of one, each; of a translation request the IOTLB's. */
const BEFORE_TABLES = 2 * (1 + 3) + 1;

/** Steps of one request from its first look-up on. @param nests whether the unit has nested translation. @param writes see {@link stepsLeft} */
export function mostSteps(nests: boolean, writes: number): number {
  return 1 + BEFORE_TABLES + fromEntry(nests) + (nests ? writes * AGAIN : 0);
}

/**
 * Steps of a walk that has begun.
 * @param look see {@link LOOK}
 * @param changed whether the nested leaf whose dirty flag is to be set is not the one that was read any more
 * @param writes of hardware that may still change memory: each may change that leaf once more
 */
export function stepsLeft(walk: ScalableWalk, look: number, nests: boolean, changed: boolean, writes: number): number {
  const { purpose, stage } = walk;
  const looks = look === LOOK.none ? 0 : 1;
  if (stage < STAGE.known) {
    let later = 0;
    if (stage < STAGE.directory) later = 2;
    else if (look === LOOK.iotlb) later = 1;
    return looks + STAGE.known - stage + later + fromEntry(nests) + (nests ? writes * AGAIN : 0);
  }
  const nested = walk.pgtt === PGTT.nested;
  const again = nested ? (writes + (changed ? 1 : 0)) * AGAIN : 0;
  if (stage === STAGE.dirty) return 1 + again;
  if (stage === STAGE.first) return looks + fromFirst(walk.level, nested) + again;
  const second = looks + (look === LOOK.first ? 1 : 0) + walk.secondLevel;
  if (purpose === PURPOSE.table) return second + fromFirst(walk.level, true) + again;
  return second + (nested ? 1 : 0) + again;
}
