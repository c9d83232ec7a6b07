import fc from 'fast-check';
import { expect, test } from 'vitest';
import { address, bit, bits, fixed } from './field.ts';
import { decode, encode, encode64, structure, toHalves } from './structure.ts';

const PTE = structure('PTE', 64, 'test', { R: bit(0), W: bit(1), PS: bit(7), ADDR: address(51, 12) });
const DESC = structure('DESC', 128, 'test', {
  TYPE: fixed(bits(3, 0), 2),
  DID: bits(31, 16),
  AM: bits(69, 64),
  ADDR: address(127, 76),
});
const SMALL = structure('SMALL', 32, 'test', { STATUS: bits(31, 0) });

test('fields are members', () => {
  expect(PTE.PS).toEqual(bit(7));
  expect(PTE).toMatchObject({ name: 'PTE', clause: 'test', width: 64 });
  // @ts-expect-error PTE has no field of this name
  expect(PTE.PSE).toBeUndefined();
});

test('words come out first word first', () => {
  expect(encode(DESC, { DID: 7, AM: 9, ADDR: 0xfffffffffffff000n })).toEqual([0x70002n, 0xfffffffffffff009n]);
});

test('an entry of a real table decodes and encodes to itself', () => {
  expect(decode(PTE, 0x21d200883n)).toEqual({ R: 1, W: 1, PS: 1, ADDR: 0x21d200000n });
  expect(encode64(PTE, { R: 1, W: 1, PS: 1, ADDR: 0x21d200000n })).toBe(0x21d200083n);
});

test('a 32-bit structure is one word', () => {
  expect(encode(SMALL, { STATUS: 0xffffffff })).toEqual([0xffffffffn]);
  expect(decode(SMALL, 0x1_0000_0003n)).toEqual({ STATUS: 3 });
});

test('the last word of 96 bits has the odd half, and what is above it is not read', () => {
  const fault = structure('FAULT', 96, 'test', {
    REASON: bits(7, 0),
    ADDRESS: address(63, 12),
    ENDPOINT: bits(95, 64),
  });
  const words = encode(fault, { REASON: 2, ADDRESS: 0x7000n, ENDPOINT: 0xfffffff1 });
  expect(words).toEqual([0x7002n, 0xfffffff1n]);
  expect(decode(fault, words[0], words[1] | (0xdeadn << 32n))).toEqual({
    REASON: 2,
    ADDRESS: 0x7000n,
    ENDPOINT: 0xfffffff1,
  });
  expect(() => decode(fault, 0n)).toThrow('FAULT has 2 64-bit words, got 1');
});

test('encode64 refuses what has more than one word', () => {
  expect(() => encode64(DESC, {})).toThrow('DESC has 128 bits: use encode()');
});

test('decode wants as many words as there are', () => {
  expect(() => decode(DESC, 0n)).toThrow('DESC has 2 64-bit words, got 1');
  expect(() => decode(PTE, 0n, 0n)).toThrow('PTE has 1 64-bit words, got 2');
});

test('words and halves are the same bits', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 8 }), (words) => {
      const halves = toHalves(words);
      words.forEach((word, i) => {
        expect((BigInt(halves[2 * i + 1] >>> 0) << 32n) | BigInt(halves[2 * i] >>> 0)).toBe(word);
      });
    }),
  );
});

test('values have the types of their fields', () => {
  const values = decode(PTE, 0n);
  const addr: bigint = values.ADDR;
  const r: number = values.R;
  expect([addr, r]).toEqual([0n, 0]);
  // @ts-expect-error an address is a bigint: a number would lose bits above 2^53
  const wrong: number = values.ADDR;
  expect(typeof wrong).toBe('bigint');
  // @ts-expect-error a field that PTE does not have
  expect(() => encode(PTE, { X: 1 })).toThrow('PTE has no field X');
});
