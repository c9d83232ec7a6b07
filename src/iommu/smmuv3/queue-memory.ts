/** Where the entries of a queue are in memory (IHI 0070, 6.3.26, 6.3.29, 6.3.33), and how they are read and written. */
import type { Memory } from '../../machine/index.ts';
import { wordAt } from '../kit/words.ts';

/** What an entry has at least, and a queue's base is aligned to (6.3.26). */
const LEAST_BYTES = 32;

/** @param lo lower half of CMDQ_BASE, EVENTQ_BASE or PRIQ_BASE. @param most CMDQS, EVENTQS or PRIQS: a larger size counts as this */
export function log2Of(lo: number, most: number): number {
  return Math.min(lo & 0x1f, most);
}

/**
 * Byte address of an entry below 2^53, from the base that is aligned to the queue's size.
 * @param hi, lo halves of the register. @param hiMask bits of `hi` below the physical address size. @param bytes of an entry
 */
export function entryAddress(
  hi: number,
  lo: number,
  hiMask: number,
  log2: number,
  bytes: number,
  entry: number,
): number {
  const size = Math.max(LEAST_BYTES, bytes * 2 ** log2);
  const base = (hi & hiMask) * 2 ** 32 + ((lo & -32) >>> 0);
  return Math.floor(base / size) * size + entry * bytes;
}

/** Reads an entry as halves. @returns false where nothing decodes */
export function readEntry(memory: Memory, address: number, into: Int32Array): boolean {
  const hi = Math.floor(address / 2 ** 32);
  const lo = address | 0;
  for (let i = 0; i < into.length; i += 2) {
    const at = wordAt(memory, hi, lo + i * 4);
    if (at < 0) return false;
    into[i] = memory.lo(at);
    into[i + 1] = memory.hi(at);
  }
  return true;
}

/** Writes an entry. @returns false where nothing decodes; then nothing is written of it from there on */
export function writeEntry(memory: Memory, address: number, from: Int32Array): boolean {
  const hi = Math.floor(address / 2 ** 32);
  const lo = address | 0;
  for (let i = 0; i < from.length; i += 2) {
    const at = wordAt(memory, hi, lo + i * 4);
    if (at < 0) return false;
    memory.write(at, from[i], from[i + 1]);
  }
  return true;
}
