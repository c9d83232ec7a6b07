/** What the operations of a program touch, for partial-order reduction. */
import type { Position } from './position.ts';
import { JOIN } from './position.ts';

/** Footprints by position, as bits: of the step that begins there (what is joined to it included), and of everything that can still come. */
export interface Footprints {
  readonly steps: Int32Array;
  readonly futures: Int32Array;
}

/** Bits of the words that an operation declares; all bits where it declares none. */
export type MaskOf = (touches: readonly number[] | undefined) => number;

/** Of a program that is not known as a whole: one position, which may touch anything. */
export const UNKNOWN: Footprints = { steps: new Int32Array(1).fill(-1), futures: new Int32Array(1).fill(-1) };

/** @param nodes all positions of a program, parents first */
export function footprintsOf(nodes: readonly Position[], maskOf: MaskOf): Footprints {
  const count = nodes.length;
  const steps = new Int32Array(count);
  const futures = new Int32Array(count);
  // What happens with the operation before it, from a position on.
  const following = new Int32Array(count);
  for (let at = count - 1; at >= 0; at--) {
    const node = nodes[at];
    const own = node.op === null ? 0 : maskOf(node.op.touches);
    let [step, future, after] = [own, own, own];
    for (const child of node.children) {
      step |= node.join === JOIN.before ? steps[child] : following[child];
      future |= futures[child];
      after |= following[child];
    }
    // A step that begins with a joined read goes on with what comes then.
    if (node.join === JOIN.after) step = -1;
    steps[at] = node.op === null ? -1 : step;
    futures[at] = future;
    following[at] = node.follows ? after : 0;
  }
  return { steps, futures };
}
