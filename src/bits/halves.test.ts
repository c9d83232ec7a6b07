import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodedRangeBits, hex, hex64, high, join, low } from './halves.ts';

const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('the halves of any 64-bit word join to it', () => {
  fc.assert(fc.property(word, (value) => join(low(value), high(value)) === value));
});

test('halves are int32', () => {
  fc.assert(fc.property(word, (value) => low(value) === (low(value) | 0) && high(value) === (high(value) | 0)));
  expect([low(0xffffffffn), high(0x8000000000000000n)]).toEqual([-1, -(2 ** 31)]);
});

test('join takes signed and unsigned halves alike', () => {
  expect(join(-1, -2)).toBe(0xfffffffeffffffffn);
  expect(join(0xffffffff, 0xfffffffe)).toBe(0xfffffffeffffffffn);
});

test('hex is lower case and unpadded', () => {
  expect(hex(0x19db5c1003n)).toBe('0x19db5c1003');
  expect(hex(0xabc)).toBe('0xabc');
  expect(hex(0n)).toBe('0x0');
});

test('hex64 is unsigned', () => {
  expect(hex64(-1, -1)).toBe('0xffffffffffffffff');
  expect(hex64(0xa72003, 1)).toBe('0x100a72003');
});

describe('an encoded range', () => {
  /** As it is said: the first zero from bit 12 on, counted bit by bit. */
  function plainRange(address: bigint): number {
    let n = 12;
    while (n < 64 && ((address >> BigInt(n)) & 1n) === 1n) n++;
    return n + 1;
  }

  test('is what counting says', () => {
    const ones = fc.integer({ min: 0, max: 64 });
    fc.assert(
      fc.property(word, ones, (random, n) => {
        const address = random | (2n ** BigInt(n) - 1n);
        expect(encodedRangeBits(low(address), high(address))).toBe(plainRange(address));
      }),
    );
  });

  test.each([
    [0x0n, 13],
    [0xfff000n, 25],
    [0x7ffffffffffff000n, 64],
    [0xfffffffffffff000n, 65],
  ])('of %i', (address, size) => {
    expect(encodedRangeBits(low(address), high(address))).toBe(size);
  });
});
