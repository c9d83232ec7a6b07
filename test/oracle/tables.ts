/** Where a request leads by the tables of a script, as they are when it is made; caches are not looked at. */
import type { Configuration } from './configurations.ts';
import { SID } from './platform.ts';
import type { Script } from './script.ts';

/** With the context entry, and the paging entry at which the walk ends; 0 where there is none. */
export type Found = { readonly context: Context; readonly entry: bigint } & Way;

/** Halves of the context entry. */
export interface Context {
  readonly lo: bigint;
  readonly hi: bigint;
}

type Way =
  /** The context entry passes requests through. */
  | { readonly kind: 'pass'; readonly iova: bigint }
  /** A leaf: the page frame, log2 of its bytes, the 4 KiB page that is meant. */
  | { readonly kind: 'leaf'; readonly frame: bigint; readonly bits: number; readonly page: bigint }
  /** The walk ends without one; bits of the entry at which it does. */
  | { readonly kind: 'none'; readonly bits: number };

const FRAME = 0xffffffffff000n;

/** @param op index of a `dma` or `edu` */
export function look(script: Script, op: number, { tables }: Configuration): Found {
  const now = script[op];
  if (now.op !== 'dma' && now.op !== 'edu') throw new Error(`operation ${op} is no request`);
  const memory = new Map<number, bigint>();
  let root = 0n;
  for (const each of script.slice(0, op)) {
    if (each.op === 'store') memory.set(each.at, each.value);
    if (each.op === 'srtp') root = each.value;
  }
  const read = (at: bigint) => memory.get(Number(at)) ?? 0n;
  const sid = now.op === 'edu' ? SID.edu : SID.testdev[now.device];
  const at = (read(root & FRAME) & FRAME) + BigInt(sid * 16);
  const context = { lo: read(at), hi: read(at + 8n) };
  const { lo, hi } = context;
  if (((lo >> 2n) & 3n) === 2n) return { context, entry: 0n, kind: 'pass', iova: now.iova };
  let table = lo & FRAME & ((1n << BigInt(tables.haw)) - 1n);
  for (let level = Number(hi & 7n) + 2; level > 0; level--) {
    const bits = 12 + 9 * (level - 1);
    const entry = read(table + 8n * ((now.iova >> BigInt(bits)) & 511n));
    if ((entry & 3n) === 0n) return { context, entry, kind: 'none', bits };
    if (level === 1 || (entry & 0x80n) !== 0n) {
      const inside = now.iova & ((1n << BigInt(bits)) - 1n);
      const frame = entry & FRAME & ~((1n << BigInt(bits)) - 1n);
      return { context, entry, kind: 'leaf', frame, bits, page: (frame | inside) & ~0xfffn };
    }
    table = entry & FRAME;
  }
  return { context, entry: 0n, kind: 'none', bits: 12 };
}
