import type { Op } from '../machine/index.ts';
import { mixA, mixB } from '../machine/index.ts';

/** Key of every program's end. */
export const END_KEY = 0x1e4d;

/** A position of a program that is known as a whole. Positions come after their parents. */
interface Position {
  readonly op: Op | null;
  readonly lo: number;
  readonly children: readonly number[];
  keyA: number;
  keyB: number;
  twin: number;
}

/**
 * Gives positions with one future one key, so that the tree is a minimal automaton wherever the state has the key: from
 * the leaves up, a key is made of the operation and of the keys that each of its results leads to. An operation is known by its
 * name, by how it is taken and by the text of its guard; two of one name that do two things are found when they are taken (`ActorAgent.twins`), two guards of one
 * text that have captured different values are not: they need two names.
 * @param neutral makes a name that of all equal devices
 */
export function minimalKeys(nodes: Position[], neutral: (name: string) => string): void {
  for (let at = nodes.length - 1; at >= 0; at--) {
    const node = nodes[at];
    const { op } = node;
    if (op === null) {
      node.keyA = END_KEY;
      node.keyB = END_KEY;
      continue;
    }
    const text = `${neutral(op.name)}\n${op.join ?? ''} ${op.bound ?? ''} ${op.choices ?? 1} ${op.returns ?? ''} ${op.ready?.toString() ?? ''}`;
    let a = hashText(text, 0x3c6ef372);
    let b = hashText(text, 0x2545f491);
    for (const child of [...node.children].sort((x, y) => nodes[x].lo - nodes[y].lo)) {
      a = mixA(a, mixA(nodes[child].lo, nodes[child].keyA));
      b = mixB(b, mixB(nodes[child].lo, nodes[child].keyB));
    }
    node.keyA = a;
    node.keyB = b;
  }
  const first = new Map<string, number>();
  nodes.forEach((node, at) => {
    const key = `${node.keyA} ${node.keyB}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, at);
    else {
      const { twin } = nodes[known];
      node.twin = twin < 0 ? known : twin;
      nodes[known].twin = at;
    }
  });
}

function hashText(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = mixB(h, text.charCodeAt(i));
  return h;
}
