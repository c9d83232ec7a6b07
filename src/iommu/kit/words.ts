/** 64-bit words of memory by byte address, as halves. */
import type { Memory } from '../../machine/index.ts';

/** Handle of the 64-bit word that holds the byte at an address below 2^64, or −1 where nothing decodes. @param hi, lo int32 or unsigned */
export function wordAt(memory: Memory, hi: number, lo: number): number {
  return memory.locate((hi >>> 0) * 0x100000 + (lo >>> 12), (lo & 0xfff) >>> 3);
}

/** A 32-bit store to a multiple of 4: the other half of the 64-bit word stays. @returns false where nothing decodes */
export function store32(memory: Memory, hi: number, lo: number, value: number): boolean {
  const at = wordAt(memory, hi, lo);
  if (at < 0) return false;
  if ((lo & 4) !== 0) memory.write(at, memory.lo(at), value);
  else memory.write(at, value, memory.hi(at));
  return true;
}

/**
 * Reads an entry of a queue or table, of whole 64-bit words, as halves.
 * @param address its byte address, a multiple of 8 below 2^53
 * @param halves how many are read; the others of `into` stay
 * @returns false where nothing decodes
 */
export function readEntry(memory: Memory, address: number, into: Int32Array, halves = into.length): boolean {
  const hi = Math.floor(address / 2 ** 32);
  const lo = address | 0;
  for (let i = 0; i < halves; i += 2) {
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
