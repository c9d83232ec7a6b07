/** Levels of VMSAv8-64 by granule, as data (DDI 0487, D8.2), without LPA2. */
import { GRANULES } from '../../smmuv3/kinds.ts';
import type { Level } from '../radix.ts';

export interface Shape {
  readonly granule: (typeof GRANULES)[number];
  /** log2 of a page, and of the entries of a table. */
  readonly page: number;
  readonly stride: number;
}

const SHAPES = GRANULES.map((granule): Shape => {
  const page = 10 + Math.log2(granule);
  return { granule, page, stride: page - 3 };
});
const [K4, K16, K64] = SHAPES as [Shape, Shape, Shape];

/** By CD.TG0 and STE.S2TG; the other value is reserved. */
export const SHAPE_0: readonly (Shape | undefined)[] = [K4, K64, K16];
/** By CD.TG1. */
export const SHAPE_1: readonly (Shape | undefined)[] = [undefined, K16, K4, K64];

/** The last level. */
export const LAST = 3;

/** Bits that the levels from `start` on translate, their own tables' 2^stride entries counted. */
export function bitsFrom({ page, stride }: Shape, start: number): number {
  return page + stride * (LAST + 1 - start);
}

/** Where a walk of so many bits begins (D8.2.7), of a first stage. */
export function startLevel({ page, stride }: Shape, width: number): number {
  return LAST + 1 - Math.ceil((width - page) / stride);
}

/** Top first; the first one has the entries that so many bits need: fewer, or with concatenated tables of a second stage more. */
export function levelsOf(
  { granule, page, stride }: Shape,
  stage: 1 | 2,
  start: number,
  width: number,
): readonly Level[] {
  return Array.from({ length: LAST + 1 - start }, (_, i): Level => {
    const number = start + i;
    const shift = page + stride * (LAST - number);
    return {
      ...{ kind: `smmuv3.s${stage}-${granule}k-l${number}`, name: `stage-${stage} level-${number} descriptor` },
      ...{ shift, bits: i === 0 ? width - shift : stride, bytes: 8 },
    };
  });
}
