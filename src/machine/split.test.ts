import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitPages } from './split.ts';

test('one request a page, with the words that it touches there', () => {
  expect(splitPages(0x5ff0n, 0x1020, 3)).toEqual([
    { iova: 0x5ff0n, words: 2 },
    { iova: 0x6000n, words: 512 },
    { iova: 0x7000n, words: 2 },
  ]);
  expect(splitPages(0x5000n, 4096, 1)).toEqual([{ iova: 0x5000n, words: 512 }]);
  expect(splitPages(0x5fffn, 2, 2)).toEqual([
    { iova: 0x5fffn, words: 1 },
    { iova: 0x6000n, words: 1 },
  ]);
});

test('pieces are within a page, in a row, and cover what was asked for', () => {
  const bytes = fc.integer({ min: 1, max: 20_000 });
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 56n }), bytes, (iova, size) => {
      const pieces = splitPages(iova, size, 6);
      const last = iova + BigInt(size) - 1n;
      expect(pieces[0].iova).toBe(iova);
      expect(pieces.map((p) => p.iova >> 12n)).toEqual(pieces.map((_, i) => (iova >> 12n) + BigInt(i)));
      expect(pieces.at(-1)?.iova).toBeLessThanOrEqual(last);
      expect(pieces.slice(1).every((p) => (p.iova & 0xfffn) === 0n)).toBe(true);
      const words = pieces.reduce((sum, p) => sum + p.words, 0);
      expect(words).toBe(Number((last >> 3n) - (iova >> 3n)) + 1);
    }),
  );
});

test.each([0, -8, 1.5, Number.NaN, Infinity])('a DMA of %d bytes is refused', (size) => {
  expect(() => splitPages(0n, size, 9)).toThrow(`a DMA has no ${size} bytes`);
});

test('more pieces than there is room for are refused, however many', () => {
  expect(() => splitPages(0xff8n, 16, 1)).toThrow('take more than 1 transactions; raise dmaSlots');
  expect(() => splitPages(0n, 2 ** 52, 2)).toThrow('raise dmaSlots');
});
