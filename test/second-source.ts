/** A declaration compared with what another source says of it, where that one leaves fields out or has more of them. */
import { expect, test } from 'vitest';
import type { Field, Fields, Layout } from '../src/bits/index.ts';
import { width } from '../src/bits/index.ts';
import { expectRoundTrip, layoutsOf } from './declarations.ts';

/** By field, with the name that it has here. */
export type SecondSource = Readonly<Record<string, readonly [hi: number, lo: number]>>;

/** Each field of the table has the bits that the second source says; the source is silent on `others`, and on no field beside them. */
export function agrees(of: Layout<Fields>, source: SecondSource, others: readonly string[] = []): void {
  const found = Object.fromEntries(
    Object.keys(source).map((key) => {
      const field: Field | undefined = of.fields[key];
      return [key, field === undefined ? 'not declared' : [field.hi, field.lo]];
    }),
  );
  expect(found, of.name).toEqual(source);
  const silent = Object.keys(of.fields).filter((key) => !(key in source) && of.fields[key].fixed === null);
  expect(silent.sort(), of.name).toEqual([...others].sort());
}

/** Each layout that a module exports comes back from its encoding, and names of values fit their fields and say something. */
export function testDeclarations(module: object): void {
  const all = layoutsOf(module);
  test.each(all.map((of) => [of.name, of] as const))('%s: round trip', (_, of) => expectRoundTrip(of));
  test('values that have names', () => {
    let count = 0;
    for (const of of all)
      for (const [key, field] of Object.entries(of.fields))
        for (const [value, name] of Object.entries(field.values ?? {})) {
          count++;
          expect(Number(value), `${of.name}.${key}`).toBeLessThan(2 ** width(field));
          expect(name.trim().length, `${of.name}.${key} = ${value}`).toBeGreaterThan(1);
        }
    expect(count, 'values with names').toBeGreaterThan(0);
  });
}

/** A C bit-field structure as its members stand, from bit 0: "S2P:1 S1P:1 _:3"; `_` is reserved. Members may be of any size. */
export function inOrder(members: string): SecondSource {
  const table: Record<string, readonly [number, number]> = {};
  let lo = 0;
  for (const member of members.trim().split(/\s+/)) {
    const [name, size] = member.split(':');
    if (name !== '_') table[name] = [lo + Number(size) - 1, lo];
    lo += Number(size);
  }
  if (lo % 32 !== 0) throw new RangeError(`${members}: ${lo} bits`);
  return table;
}
