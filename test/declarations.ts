/** What every declaration of a model must stand: its own round trip, and a second source's table of its bits. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Field, Fields, Layout } from '../src/bits/index.ts';
import { decodeHalves, encodeHalves, maskOf, reservedSet, width } from '../src/bits/index.ts';

/** The layouts among a module's exports, by name; those of lists and tables too. */
export function layoutsOf(module: object): Layout<Fields>[] {
  const found = new Set<Layout<Fields>>();
  const visit = (value: unknown, depth: number): void => {
    if (typeof value !== 'object' || value === null || depth > 3) return;
    if ('reserved' in value && 'fields' in value) found.add(value as Layout<Fields>);
    else for (const inner of Object.values(value)) visit(inner, depth + 1);
  };
  visit(module, 0);
  return [...found];
}

/** A random value of a field, as `decodeHalves` gives it. */
function someValue(field: Field): fc.Arbitrary<number | bigint> {
  if (field.fixed !== null) return fc.constant(field.fixed);
  const max = 2n ** BigInt(width(field)) - 1n;
  const shift = field.kind === 'address' ? BigInt((field.lo & 63) + field.shift) : 0n;
  return fc.bigInt({ min: 0n, max }).map((v) => (field.kind === 'address' ? v << shift : Number(v)));
}

/** Whatever its fields hold comes back, no field touches a reserved bit, and each reserved bit alone is seen. */
export function expectRoundTrip(of: Layout<Fields>): void {
  expect(of.clause, of.name).not.toBe('');
  const values = fc.record(
    Object.fromEntries(Object.entries(of.fields).map(([key, field]) => [key, someValue(field)])),
  );
  fc.assert(
    fc.property(values, (some) => {
      const halves = encodeHalves(of, some);
      expect(reservedSet(of, halves)).toBe(false);
      expect(decodeHalves(of, halves)).toEqual(some);
      for (let n = 0; n < of.width; n++) {
        if (((of.reserved[n >> 5] >>> (n & 31)) & 1) === 0) continue;
        halves[n >> 5] |= 1 << (n & 31);
        expect(reservedSet(of, halves)).toBe(true);
        halves[n >> 5] &= ~(1 << (n & 31));
      }
    }),
    { numRuns: 20 },
  );
}

/** `[field, hi, lo]`, as another source has it. */
export type Row = readonly [name: string, hi: number, lo: number];

/** The fields but ignored ones, lowest first. */
export function rowsOf(of: Layout<Fields>): Row[] {
  return Object.entries(of.fields)
    .filter(([, field]) => !field.ignored)
    .map(([name, { hi, lo }]): Row => [name, hi, lo])
    .sort((a, b) => a[2] - b[2]);
}

/** The bits of the fields with these names as one number, to compare with a mask of another source. */
export function maskFor(of: Layout<Fields>, ...names: string[]): bigint {
  let sum = 0n;
  for (const name of names) {
    const field = of.fields[name];
    if (field === undefined) throw new Error(`${of.name} has no field ${name}`);
    maskOf(field, of.width / 32).forEach((half, i) => {
      sum |= BigInt(half >>> 0) << BigInt(32 * i);
    });
  }
  return sum;
}

/** All reserved bits as one number. */
export function reservedOf(of: Layout<Fields>): bigint {
  return of.reserved.reduceRight((sum, half) => (sum << 32n) | BigInt(half >>> 0), 0n);
}
