/** Where a request leads by the tables of a script, as they are when it is made; caches are not looked at. */
import { isRequest } from './common-operations.ts';
import type { Configuration } from './configurations.ts';
import { SID } from './platform.ts';
import type { Op, Script } from './script.ts';

/** With the entries above the page tables, and the paging entry at which the walk ends and where it is; 0 and −1 where there is none. */
export type Found = { readonly context: Context; readonly entry: bigint; readonly at: number } & Way;

/** Halves of the context entry; in scalable mode its lower ones, and the words of the other entries. */
export interface Context {
  readonly lo: bigint;
  readonly hi: bigint;
  /** Of the root entry the half that is not the device's: other devices of its bus have it. */
  readonly rootOther: bigint;
  readonly directory: bigint;
  readonly pasid: readonly bigint[];
}

type Way =
  /** The context entry passes requests through. */
  | { readonly kind: 'pass'; readonly iova: bigint }
  /** A leaf: the page frame, log2 of its bytes, the 4 KiB page that is meant. */
  | { readonly kind: 'leaf'; readonly frame: bigint; readonly bits: number; readonly page: bigint }
  /** The walk ends without one; bits of the entry at which it does. */
  | { readonly kind: 'none'; readonly bits: number };

const FRAME = 0xffffffffff000n;

function requesterOf(op: Extract<Op, { readonly op: 'dma' | 'edu' }>): number {
  return op.op === 'edu' ? SID.edu : SID.testdev[op.device];
}

/** Where the context entry of a requester is (VT-d 9.1 – 9.4): in scalable mode devices 16 – 31 have a table of their own. */
function contextAddress(root: bigint, sid: number, read: (at: bigint) => bigint): bigint {
  const entry = (root & FRAME) + BigInt((sid >> 8) * 16);
  if ((root & 0x400n) === 0n) return (read(entry) & FRAME) + BigInt((sid & 0xff) * 16);
  const isUpper = (sid & 0x80) !== 0;
  return (read(isUpper ? entry + 8n : entry) & FRAME) + BigInt((sid & 0x7f) * 32);
}

/** @param op index of a `dma` or `edu` */
export function look(script: Script, op: number, { tables }: Configuration): Found {
  const now = script[op];
  if (!isRequest(now)) throw new Error(`operation ${op} is no request`);
  const memory = new Map<number, bigint>();
  let root = 0n;
  for (const each of script.slice(0, op)) {
    if (each.op === 'store') memory.set(each.at, each.value);
    if (each.op === 'srtp') root = each.value;
  }
  const read = (at: bigint) => memory.get(Number(at)) ?? 0n;
  const sid = requesterOf(now);
  const scalable = (root & 0x400n) !== 0n;
  const contextAt = contextAddress(root, sid, read);
  const otherHalf = (root & FRAME) + BigInt((sid >> 8) * 16 + (scalable && (sid & 0x80) !== 0 ? 0 : 8));
  const [lo, hi, rootOther] = [read(contextAt), read(contextAt + 8n), read(otherHalf)];
  const directory = scalable ? read(lo & FRAME) : 0n;
  const pasid = [0n, 8n, 16n].map((word) => (scalable ? read((directory & FRAME) + word) : 0n));
  const context = { lo, hi, rootOther, directory, pasid };
  const pgtt = (pasid[0] >> 6n) & 7n;
  const pass = scalable ? pgtt === 4n : ((lo >> 2n) & 3n) === 2n;
  if (pass) return { context, entry: 0n, at: -1, kind: 'pass', iova: now.iova };
  const first = tables.mode === 'first' && scalable;
  const top = !scalable ? lo : first ? pasid[2] : pasid[0];
  let table = top & FRAME & ((1n << BigInt(tables.haw)) - 1n);
  const levels = first ? 4 : Number((scalable ? pasid[0] >> 2n : hi) & 7n) + 2;
  for (let level = levels; level > 0; level--) {
    const bits = 12 + 9 * (level - 1);
    const where = table + 8n * ((now.iova >> BigInt(bits)) & 511n);
    const [entry, at] = [read(where), Number(where)];
    if ((entry & (first ? 1n : 3n)) === 0n) return { context, entry, at, kind: 'none', bits };
    if (level === 1 || (entry & 0x80n) !== 0n) {
      const inside = now.iova & ((1n << BigInt(bits)) - 1n);
      const frame = entry & FRAME & ~((1n << BigInt(bits)) - 1n);
      return { context, entry, at, kind: 'leaf', frame, bits, page: (frame | inside) & ~0xfffn };
    }
    table = entry & FRAME;
  }
  return { context, entry: 0n, at: -1, kind: 'none', bits: 12 };
}

/** What the PASID-table entry of the requester of `op` has been in turn, where caches are invalidated or requests are made; words, as text. */
export function pasidEntries(script: Script, op: number, { tables }: Configuration): string[] {
  const now = script[op];
  if (tables.mode === 'legacy' || !isRequest(now)) return [];
  const sid = requesterOf(now);
  const memory = new Map<number, bigint>();
  const read = (at: bigint) => memory.get(Number(at)) ?? 0n;
  const entries: string[] = [];
  let root = 0n;
  for (const each of script.slice(0, op + 1)) {
    if (each.op === 'store') memory.set(each.at, each.value);
    else {
      if (each.op === 'srtp') root = each.value;
      const table = read(read(contextAddress(root, sid, read)) & FRAME) & FRAME;
      const words = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].map((word) => read(table + 8n * word));
      const text = words.join(' ');
      if (text !== entries.at(-1)) entries.push(text);
    }
  }
  return entries;
}
