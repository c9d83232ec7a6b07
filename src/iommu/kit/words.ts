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
