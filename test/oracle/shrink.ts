/** Cuts a script down to what a difference needs. */
import type { Difference } from './judge.ts';

/** What is cut is known of operations of any script: those that store a word, and those that are requests. */
export interface AnyOp {
  readonly op: string;
  readonly value?: bigint;
  readonly length?: number;
  readonly inside?: number;
}

/** What becomes of a script, or null where nothing differs. */
export type Judge<O extends AnyOp> = (script: readonly O[]) => Promise<Difference | null>;

/**
 * The shortest script that this finds with the same kind of difference: the field, after the same kind of operation. Operations are left
 * out, first many at once; then values are made simpler.
 * @param more what else a difference has to have in common
 */
export async function shrink<O extends AnyOp>(
  script: readonly O[],
  found: Difference,
  judge: Judge<O>,
  more: (difference: Difference) => string = () => '',
): Promise<readonly O[]> {
  const kind = (of: readonly O[], difference: Difference) =>
    `${of[difference.op]?.op ?? 'end'} ${difference.field} ${more(difference)}`;
  const wanted = kind(script, found);
  const still = async (of: readonly O[]) => {
    const difference = await judge(of);
    return difference !== null && kind(of, difference) === wanted;
  };
  let best: readonly O[] = script.slice(0, found.op + 1);
  if (!(await still(best))) best = script;
  for (let before = -1; before !== best.length; ) {
    before = best.length;
    for (let size = best.length >> 1; size >= 1; size >>= 1) {
      for (let from = 0; from < best.length; ) {
        const shorter = [...best.slice(0, from), ...best.slice(from + size)];
        if (await still(shorter)) best = shorter;
        else from += size;
      }
    }
  }
  for (let i = 0; i < best.length; i++) {
    for (const simpler of shorter(best[i])) {
      if (await still(best.with(i, simpler))) best = best.with(i, simpler);
    }
    for (let bit = 63n; bit >= 0n; bit--) {
      const simpler = without(best[i], 1n << bit);
      if (simpler !== null && (await still(best.with(i, simpler)))) best = best.with(i, simpler);
    }
  }
  return best;
}

/** A request of one word. */
function shorter<O extends AnyOp>(op: O): O[] {
  if (op.op === 'dma' && op.length !== 4) return [{ ...op, length: 4 }];
  if (op.op === 'edu' && op.length !== 4) return [{ ...op, length: 4, inside: 0 }];
  return [];
}

/** A store without one of the bits that it sets; null where it does not. */
function without<O extends AnyOp>(op: O, bit: bigint): O | null {
  const { op: name, value = 0n } = op;
  return name === 'store' && (value & bit) !== 0n ? { ...op, value: value & ~bit } : null;
}
