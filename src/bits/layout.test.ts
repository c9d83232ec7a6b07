import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Field } from './field.ts';
import { address, bit, bits, fixed, ignored, width } from './field.ts';
import type { Fields, Layout } from './layout.ts';
import { decodeHalves, encodeHalves, get, getAddress, layout, maskOf, part, put, reservedSet } from './layout.ts';

const WIDTHS = [32, 64, 96, 128, 160, 224, 256, 320, 512] as const;

/** The halves as one number. */
function whole(halves: Int32Array): bigint {
  return halves.reduceRight((sum, half) => (sum << 32n) | BigInt(half >>> 0), 0n);
}

/** Random layouts of any width: fields of every kind, gaps between them. */
const layouts = fc
  .tuple(
    fc.constantFrom(...WIDTHS),
    fc.array(
      fc.record({
        gap: fc.oneof(fc.constant(0), fc.nat(30)),
        size: fc.oneof(fc.constantFrom(1, 32), fc.integer({ min: 1, max: 64 })),
        kind: fc.constantFrom('bits', 'address', 'ignored', 'fixed'),
      }),
      { maxLength: 24 },
    ),
  )
  .map(([size, runs]) => {
    const fields: Record<string, Field> = {};
    let next = 0;
    runs.forEach((run, i) => {
      const lo = next + run.gap;
      const edge = run.kind === 'address' ? lo | 63 : lo + 31;
      const hi = Math.min(lo + run.size - 1, edge);
      if (hi >= size) return;
      if (run.kind === 'address') fields[`A${i}`] = address(hi, lo, (lo & 63) + Math.min(run.gap, 63 - (hi & 63)));
      else if (run.kind === 'ignored') fields[`I${i}`] = ignored(hi, lo);
      else if (run.kind === 'fixed') fields[`F${i}`] = fixed(bits(hi, lo), (0x9e3779b1 * (i + 1)) % 2 ** (hi - lo + 1));
      else fields[`B${i}`] = bits(hi, lo);
      next = hi + 1;
    });
    return layout('R', 'test', size, fields);
  });

/** Bits of a field, taken from a random number. */
function cut(field: Field, noise: bigint): number | bigint {
  const own = BigInt.asUintN(width(field), noise >> BigInt(field.lo));
  if (field.fixed !== null) return field.fixed;
  return field.kind === 'address' ? own << BigInt((field.lo & 63) + field.shift) : Number(own);
}

const noise = fc.bigInt({ min: 0n, max: 2n ** 512n - 1n });
const valued = fc.tuple(layouts, noise).map(([of, random]) => {
  const values = Object.fromEntries(Object.entries(of.fields).map(([key, field]) => [key, cut(field, random)]));
  return { of, values, random };
});

/** Encoded by adding up shifted values: no halves, no masks. */
function plainEncode(of: Layout<Fields>, values: Record<string, number | bigint>): bigint {
  let sum = 0n;
  for (const [key, field] of Object.entries(of.fields)) {
    const isAddress = field.kind === 'address';
    sum += (BigInt(values[key]) >> BigInt(field.shift)) << BigInt(isAddress ? field.lo & ~63 : field.lo);
  }
  return sum;
}

describe('over random layouts', () => {
  test('encode is the sum of the shifted values', () => {
    fc.assert(
      fc.property(valued, ({ of, values }) => whole(encodeHalves(of, values)) === plainEncode(of, values)),
      { numRuns: 500 },
    );
  });

  test('decode gives back what encode was given', () => {
    fc.assert(
      fc.property(valued, ({ of, values }) => {
        expect(decodeHalves(of, encodeHalves(of, values))).toEqual(values);
      }),
      { numRuns: 500 },
    );
  });

  test('encode gives back what decode was given, but for reserved bits', () => {
    fc.assert(
      fc.property(valued, ({ of, values, random }) => {
        // Any words whose fixed fields are right, reserved bits set at random.
        const halves = encodeHalves(of, values);
        for (let i = 0; i < halves.length; i++) {
          halves[i] |= of.reserved[i] & Number(BigInt.asIntN(32, random >> BigInt(32 * i)));
        }
        const again = encodeHalves(of, decodeHalves(of, halves));
        for (let i = 0; i < halves.length; i++) expect(again[i]).toBe(halves[i] & ~of.reserved[i]);
      }),
      { numRuns: 500 },
    );
  });

  test('fields and reserved bits together are all bits, once', () => {
    fc.assert(
      fc.property(layouts, (of) => {
        let sum = whole(of.reserved);
        for (const field of Object.values(of.fields)) sum += whole(maskOf(field, of.width / 32));
        return sum === 2n ** BigInt(of.width) - 1n;
      }),
    );
  });

  test('put changes one field and nothing around it', () => {
    fc.assert(
      fc.property(valued, noise, ({ of, random }, other) => {
        for (const field of Object.values(of.fields)) {
          if (field.kind === 'address') continue;
          const before = Int32Array.from({ length: of.width / 32 }, (_, i) =>
            Number((other >> BigInt(32 * i)) & 0xffffffffn),
          );
          const after = before.slice();
          const value = Number(BigInt.asUintN(width(field), random));
          put(field, after, value);
          expect(get(field, after)).toBe(value);
          const mask = maskOf(field, before.length);
          before.forEach((half, i) => expect(after[i] & ~mask[i]).toBe(half & ~mask[i]));
        }
      }),
    );
  });
});

describe('derived reserved bits', () => {
  test.each(WIDTHS)('of %i bits: all that no field has', (size) => {
    const of = layout('R', 'test', size, { FIRST: bit(0), LAST: bit(size - 1) });
    expect(of.reserved).toHaveLength(size / 32);
    expect(whole(of.reserved)).toBe(2n ** BigInt(size) - 2n - 2n ** BigInt(size - 1));
  });

  test.each(WIDTHS)('of %i bits: found wherever they are set', (size) => {
    const of = layout('R', 'test', size, { FIRST: bit(0), LAST: bit(size - 1) });
    for (let n = 0; n < size; n++) {
      const halves = new Int32Array(size / 32);
      halves[n >> 5] = 1 << (n & 31);
      expect(reservedSet(of, halves)).toBe(n !== 0 && n !== size - 1);
    }
  });

  test('ignored bits are not reserved', () => {
    const of = layout('R', 'test', 32, { IGN: ignored(31, 8), V: bits(7, 1) });
    expect(whole(of.reserved)).toBe(1n);
    expect(reservedSet(of, Int32Array.of(-2))).toBe(false);
  });

  test('are looked for at the base', () => {
    const of = layout('R', 'test', 32, { V: bits(30, 0) });
    const halves = Int32Array.of(-(2 ** 31), 0);
    expect([reservedSet(of, halves, 0), reservedSet(of, halves, 1)]).toEqual([true, false]);
  });
});

describe('an address that is stored shifted', () => {
  const of = layout('DDTE', 'test', 64, { V: bit(0), PPN: address(53, 10, 12) });

  test('is the byte address', () => {
    expect(whole(encodeHalves(of, { V: 1, PPN: 0x80001000n }))).toBe(0x20000401n);
    expect(decodeHalves(of, Int32Array.of(0x20000401, 0))).toEqual({ V: 1, PPN: 0x80001000n });
  });

  test.each([0x80001800n, 1n << 56n, -0x1000n])('%i does not fit', (value) => {
    expect(() => encodeHalves(of, { PPN: value })).toThrow('does not fit 53:10');
  });
});

describe('a part of a whole', () => {
  const word = layout('TA', 'test', 64, { V: bit(0), PSCID: bits(31, 12), PPN: address(53, 40, 42) });
  const whole2 = layout('PC', 'test', 128, { ...part('low', 0, word), ...part('ta', 64, word) });

  test('has its fields where it lies, under its name', () => {
    expect(whole2.fields.ta_PSCID).toEqual(bits(95, 76));
    expect(whole2.fields.low_PSCID).toEqual(bits(31, 12));
    expect(whole2.fields.ta_PPN).toEqual({ ...address(117, 104), shift: 2 });
    expect(whole2.reserved.subarray(2)).toEqual(word.reserved);
    // @ts-expect-error the part has no field of this name
    expect(whole2.fields.ta_PASID).toBeUndefined();
  });

  test('begins with a word', () => {
    expect(() => part('ta', 32, word)).toThrow('TA cannot begin at bit 32');
  });
});

describe('fields in odd places', () => {
  const of = layout('R', 'test', 512, {
    CROSSES: bits(40, 25),
    ALL: bits(127, 96),
    SHIFTED: bits(162, 131),
    ADDR: address(243, 204),
    LAST: bit(511),
  });

  test.each([
    ['CROSSES', 0xffff, (0xffffn << 25n).toString(16)],
    ['ALL', 0xffffffff, (0xffffffffn << 96n).toString(16)],
    ['SHIFTED', 0x80000001, (0x80000001n << 131n).toString(16)],
    ['ADDR', 0xfffffffff000n, (0xfffffffff000n << 192n).toString(16)],
    ['LAST', 1, (1n << 511n).toString(16)],
  ] as const)('%s', (key, value, bitsOfIt) => {
    const halves = encodeHalves(of, { [key]: value });
    expect(whole(halves).toString(16)).toBe(bitsOfIt);
    expect(decodeHalves(of, halves)[key]).toBe(value);
  });

  test('are read at a base', () => {
    const halves = new Int32Array(20);
    halves.set(encodeHalves(of, { CROSSES: 0xbeef, ADDR: 0x1234567000n }), 3);
    expect(get(of.fields.CROSSES, halves, 3)).toBe(0xbeef);
    expect(getAddress(of.fields.ADDR, halves, 3)).toBe(0x1234567000n);
  });

  test('an address field of a 32-bit layout does not read the next word', () => {
    const small = layout('R', 'test', 32, { BASE: address(31, 12) });
    expect(decodeHalves(small, Int32Array.of(0x7ffff123, -1), 0).BASE).toBe(0x7ffff000n);
  });
});

describe('declarations that cannot be throw when loaded', () => {
  test('overlapping fields, naming both', () => {
    const declare = () => layout('GCMD', 'test', 32, { TE: bits(31, 30), SRTP: bit(30) });
    expect(declare).toThrow('GCMD.SRTP and GCMD.TE both have bit 30');
  });

  test('a field past the end, naming it and the width', () => {
    expect(() => layout('GCMD', 'test', 32, { TE: bits(32, 31) })).toThrow('GCMD.TE 32:31 exceeds 32 bits');
    expect(() => layout('GCMD', 'test', 32, { TE: bit(31) })).not.toThrow();
  });

  test.each([0, -32, 8, 31, 40, 100, 544, 1024, Number.NaN])('a width of %i bits', (size) => {
    expect(() => layout('X', 'test', size, {})).toThrow(`X: no ${size}-bit layout`);
  });

  test.each(['name', 'clause', 'width', 'fields', 'reserved', 'offset', 'masks'])(
    'a field called %s, which a member would hide',
    (key) => {
      expect(() => layout('X', 'test', 32, { [key]: bit(0) })).toThrow(`X.${key}`);
    },
  );
});

describe('values that do not fit throw, naming the field', () => {
  const of = layout('PTE', 'test', 64, { R: bit(0), SNP: bits(11, 9), ADDR: address(51, 12), ALL: bits(63, 52) });

  test.each([
    ['R', 2, 'PTE.R: 2 does not fit 0:0'],
    ['SNP', 8, 'PTE.SNP: 8 does not fit 11:9'],
    ['SNP', -1, 'PTE.SNP: -1 does not fit 11:9'],
    ['SNP', 1.5, 'PTE.SNP: 1.5 does not fit 11:9'],
    ['SNP', Number.NaN, 'PTE.SNP: NaN does not fit 11:9'],
    ['ADDR', 0x1001n, 'PTE.ADDR: 0x1001 does not fit 51:12'],
    ['ADDR', 1n << 52n, 'PTE.ADDR: 0x10000000000000 does not fit 51:12'],
    ['ADDR', -4096n, 'PTE.ADDR'],
  ])('%s = %s', (key, value, message) => {
    expect(() => encodeHalves(of, { [key]: value })).toThrow(message);
  });

  test('both sides of each boundary', () => {
    const most = { R: 1, SNP: 7, ADDR: (1n << 52n) - 4096n, ALL: 0xfff };
    expect(whole(encodeHalves(of, most))).toBe(0xfffffffffffffe01n);
  });

  test('a field that is not there', () => {
    expect(() => encodeHalves(of, { W: 1 } as object)).toThrow('PTE has no field W');
  });
});

describe('fixed fields', () => {
  const of = layout('DESC', 'test', 128, { TYPE: fixed(bits(3, 0), 5), IF: bit(4) });

  test('are filled in', () => {
    expect(whole(encodeHalves(of, {}))).toBe(5n);
    expect(whole(encodeHalves(of, { IF: 1, TYPE: 5 }))).toBe(0x15n);
  });

  test('take no other value', () => {
    expect(() => encodeHalves(of, { TYPE: 4 })).toThrow('DESC.TYPE is always 5');
  });

  test('are decoded as they are', () => {
    expect(decodeHalves(of, Int32Array.of(7, 0, 0, 0)).TYPE).toBe(7);
  });
});
