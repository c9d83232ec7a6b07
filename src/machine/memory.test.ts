import { expect, test } from 'vitest';
import { RamMemory } from './memory.ts';

test('a word reads back its halves', () => {
  const ram = new RamMemory(2);
  const at = ram.locate(1, 511);
  ram.write(at, 0x12345678, -1);
  expect([ram.lo(at), ram.hi(at)]).toEqual([0x12345678, -1]);
});

test('every word has a place of its own', () => {
  const ram = new RamMemory(2);
  const places = new Set<number>();
  for (let pfn = 0; pfn < 2; pfn++) for (let word = 0; word < 512; word++) places.add(ram.locate(pfn, word));
  expect(places.size).toBe(1024);
  expect([...places].every((at) => at % 2 === 0 && at >= 0 && at < ram.words.length)).toBe(true);
});

test('nothing decodes a page behind the end, up to 2^52 pages', () => {
  const ram = new RamMemory(2);
  expect([2, 2 ** 20, 2 ** 32, 2 ** 52 - 1].map((pfn) => ram.locate(pfn, 0))).toEqual([-1, -1, -1, -1]);
});
