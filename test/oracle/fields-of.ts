/** What registers say of a unit, as its fields: a model is built from what QEMU reports. */
import { get } from '../../src/bits/index.ts';

type Field = Parameters<typeof get>[0];

/**
 * The values of all fields of a register.
 * @param halves its words, lowest first
 * @throws RangeError where a bit is set that is no field of ours
 */
export function fieldsOf(
  of: { readonly name: string; readonly fields: Readonly<Record<string, Field>> },
  halves: readonly number[],
): Record<string, number> {
  const words = Int32Array.from(halves);
  const values = Object.fromEntries(Object.entries(of.fields).map(([name, field]) => [name, get(field, words)]));
  for (const { lo, hi } of Object.values(of.fields)) for (let n = lo; n <= hi; n++) words[n >> 5] &= ~(1 << (n & 31));
  const left = words.find((word) => word !== 0);
  if (left !== undefined)
    throw new RangeError(`${of.name} has bits that the model does not know: 0x${(left >>> 0).toString(16)}`);
  return values as Record<string, number>;
}
