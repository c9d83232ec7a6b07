/** What every kind of structure must do: its example decodes, fields put together are the words again, reserved bits are told. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DecodedStructure } from './index.ts';
import { decodeStructure, STRUCTURE_KINDS, StructureError } from './index.ts';

/** The words that fields, reserved and all, make. */
function wordsOf({ fields, reserved, words, wordBits }: DecodedStructure): bigint[] {
  let all = 0n;
  for (const { hi, lo, stored } of fields) {
    expect(stored >> BigInt(hi - lo + 1)).toBe(0n);
    all |= stored << BigInt(lo);
  }
  for (const { hi, lo } of reserved) all |= ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo);
  return words.map((_, i) => BigInt.asUintN(wordBits, all >> BigInt(i * wordBits)));
}

test('ids are told apart', () => {
  const ids = STRUCTURE_KINDS.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[a-z0-9]+\.[a-z0-9.-]+$/);
});

describe.each(STRUCTURE_KINDS.map((kind) => [kind.id, kind] as const))('%s', (_, kind) => {
  test('its example decodes, without reserved bits', () => {
    const decoded = decodeStructure(kind, kind.example.map(BigInt));
    expect(decoded.reserved).toEqual([]);
    expect(wordsOf(decoded)).toEqual(kind.example.map(BigInt));
  });

  test('fields and reserved bits of any words are those words', () => {
    const word = fc.bigInt({ min: 0n, max: (1n << BigInt(kind.wordBits)) - 1n });
    const words = fc.constantFrom(...kind.words).chain((n) => fc.array(word, { minLength: n, maxLength: n }));
    fc.assert(
      fc.property(words, (values) => {
        let decoded: DecodedStructure;
        try {
          decoded = decodeStructure(kind, values);
        } catch (error) {
          // A type that the specification has not.
          expect(error).toBeInstanceOf(StructureError);
          expect(typeof kind.layout).toBe('function');
          return;
        }
        expect(wordsOf(decoded)).toEqual(values);
      }),
      { numRuns: 200 },
    );
  });

  test('another number of words is refused', () => {
    const refused = () => decodeStructure(kind, []);
    expect(refused).toThrow(StructureError);
    expect(refused).toThrow(`${kind.id} has`);
    expect(() => decodeStructure(kind, [...kind.example.map(() => 1n << 64n)])).toThrow(StructureError);
  });
});
