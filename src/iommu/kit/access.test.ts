import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAccess, readBytes, writeBytes } from './access.ts';

/** A block of 16 double-words as plain bytes. */
function block(seed: number): Uint8Array {
  return Uint8Array.from({ length: 64 }, (_, i) => (i * 37 + seed) & 0xff);
}

const offsets = fc.integer({ min: 0, max: 56 });
const sizes = fc.integer({ min: 1, max: 8 });
const words = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

describe('an access of 1 to 8 bytes', () => {
  test('reads the bytes that are there, double-words in order', () => {
    fc.assert(
      fc.property(offsets, sizes, words, (offset, size, seed) => {
        const bytes = block(seed);
        const view = new DataView(bytes.buffer);
        const order: number[] = [];
        const { lo, hi } = readBytes(offset, size, (at) => {
          order.push(at);
          return view.getInt32(at, true);
        });
        const want = new Uint8Array(8);
        want.set(bytes.subarray(offset, offset + size));
        const got = new DataView(want.buffer);
        expect([lo, hi]).toEqual([got.getInt32(0, true), got.getInt32(4, true)]);
        expect(order).toEqual([...order].sort((a, b) => a - b));
        expect(order.every((at) => at % 4 === 0 && at > offset - 4 && at < offset + size)).toBe(true);
      }),
    );
  });

  test('writes those bytes and no others', () => {
    fc.assert(
      fc.property(offsets, sizes, words, words, words, (offset, size, lo, hi, seed) => {
        const bytes = block(seed);
        const view = new DataView(bytes.buffer);
        writeBytes(offset, size, lo, hi, (at, value, lanes) => {
          expect(value & ~lanes, 'nothing beside the lanes').toBe(0);
          view.setInt32(at, (view.getInt32(at, true) & ~lanes) | value, true);
        });
        const want = block(seed);
        const source = new DataView(new ArrayBuffer(8));
        source.setInt32(0, lo, true);
        source.setInt32(4, hi, true);
        want.set(new Uint8Array(source.buffer).subarray(0, size), offset);
        expect(bytes).toEqual(want);
      }),
    );
  });
});

test.each([
  [0, 1, true],
  [0x7fffffff, 8, true],
  [3, 7, true],
  [-1, 4, false],
  [2 ** 31, 4, false],
  [0.5, 4, false],
  [Number.NaN, 4, false],
  [0, 0, false],
  [0, 9, false],
  [0, 1.5, false],
  [0, Number.NaN, false],
])('%d, %d bytes: an access %s', (offset, size, is) => {
  expect(isAccess(offset, size)).toBe(is);
});
