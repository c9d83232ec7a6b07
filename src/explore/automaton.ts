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

/** An equal device, and what makes its name in an operation's that of all of them. */
export interface Neutral {
  /** Index in `Dma.requesters`. */
  readonly device: number;
  readonly neutral: (name: string) => string;
}

/**
 * Gives positions with one future one key, so that the tree is a minimal automaton wherever the state has the key: from
 * the leaves up, a key is made of the operation and of the keys that each of its results leads to. An operation is known by its
 * name, by how it is taken and by its guard ({@link guardsOf}); two of one name that do two things are found when they are taken (`ActorAgent.twins`).
 * @param twin the equal device whose program it is: a name is made that of all, and which of them it is does not count
 */
export function minimalKeys(nodes: Position[], twin: Neutral | null): void {
  const neutral = twin?.neutral ?? ((name) => name);
  const guards = guardsOf(nodes);
  for (let at = nodes.length - 1; at >= 0; at--) {
    const node = nodes[at];
    const { op } = node;
    if (op === null) {
      node.keyA = END_KEY;
      node.keyB = END_KEY;
      continue;
    }
    const about = op.requester === twin?.device ? 'own' : op.requester;
    const text = `${neutral(op.name)}\n${about ?? ''} ${op.join ?? ''} ${op.bound ?? ''} ${op.choices ?? 1} ${op.returns ?? ''} ${guards[at]}`;
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
      const { twin: next } = nodes[known];
      node.twin = next < 0 ? known : next;
      nodes[known].twin = at;
    }
  });
}

/**
 * What tells guards apart, by position: two have one text only if they are known to wait for one thing. A wait that was never over where a
 * search came first would otherwise stand for one that is. What a function has captured cannot be seen; so it is one with itself, and
 * with those that declare the same operands ({@link Op.on}).
 */
function guardsOf(nodes: readonly Position[]): string[] {
  const first = new Map<() => boolean, number>();
  return nodes.map(({ op }, at) => {
    if (op?.ready === undefined) return '';
    if (op.on !== undefined) return `${op.ready} on ${op.on}`;
    const known = first.get(op.ready);
    if (known === undefined) first.set(op.ready, at);
    // Numbers of positions are the same in every process and for every equal device.
    return `at ${known ?? at}`;
  });
}

function hashText(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = mixB(h, text.charCodeAt(i));
  return h;
}
