/** Cuts a script down to what a difference needs. */
import type { Difference } from './compare.ts';
import type { Op, Script } from './script.ts';

/** What becomes of a script, or null where nothing differs. */
export type Judge = (script: Script) => Promise<Difference | null>;

/**
 * The shortest script that this finds with the same kind of difference: the field, after the same kind of operation. Operations are left
 * out, first many at once; then values are made simpler.
 */
export async function shrink(script: Script, found: Difference, judge: Judge): Promise<Script> {
  const kind = (of: Script, { op, field }: Difference) => `${of[op]?.op ?? 'end'} ${field}`;
  const wanted = kind(script, found);
  const still = async (of: Script) => {
    const difference = await judge(of);
    return difference !== null && kind(of, difference) === wanted;
  };
  let best: Script = script.slice(0, found.op + 1);
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
function shorter(op: Op): Op[] {
  if (op.op === 'dma' && op.length !== 4) return [{ ...op, length: 4 }];
  if (op.op === 'edu' && op.length !== 4) return [{ ...op, length: 4, inside: 0 }];
  return [];
}

/** A store without one of the bits that it sets; null where it does not. */
function without(op: Op, bit: bigint): Op | null {
  return op.op === 'store' && (op.value & bit) !== 0n ? { ...op, value: op.value & ~bit } : null;
}
