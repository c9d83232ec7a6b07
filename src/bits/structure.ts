import { high, join, low } from './halves.ts';
import type { Fields, Layout, Values } from './layout.ts';
import { decodeHalves, encodeHalves, layout } from './layout.ts';

/** An in-memory structure or queue descriptor of one or more 64-bit words; its fields are members. */
export type Structure<F extends Fields> = Layout<F> & F;

/**
 * Declares a structure once, for the model, the driver code and the decoder.
 * @param widthInBits a multiple of 32, up to 512; the last word of an odd number of halves has zero above them
 * @param clause where the specification defines it
 */
export function structure<F extends Fields>(
  name: string,
  widthInBits: number,
  clause: string,
  fields: F,
): Structure<F> {
  return Object.freeze({ ...fields, ...layout(name, clause, widthInBits, fields) });
}

/** The structure's 64-bit words, first word first. Values that do not fit throw. */
export function encode<F extends Fields>(of: Layout<F>, values: Partial<Values<F>>): bigint[] {
  const halves = encodeHalves(of, values);
  const words: bigint[] = [];
  for (let i = 0; i < halves.length; i += 2) words.push(join(halves[i], halves[i + 1] ?? 0));
  return words;
}

/** A structure or register of one 64-bit word, encoded. */
export function encode64<F extends Fields>(of: Layout<F>, values: Partial<Values<F>>): bigint {
  if (of.width > 64) throw new RangeError(`${of.name} has ${of.width} bits: use encode()`);
  return encode(of, values)[0];
}

/** The halves of 64-bit words, first word first. */
export function toHalves(words: readonly bigint[]): Int32Array {
  const halves = new Int32Array(words.length * 2);
  words.forEach((word, i) => {
    halves[2 * i] = low(word);
    halves[2 * i + 1] = high(word);
  });
  return halves;
}

/** All fields of the given 64-bit words. */
export function decode<F extends Fields>(of: Layout<F>, ...words: bigint[]): Values<F> {
  const want = Math.ceil(of.width / 64);
  if (words.length !== want) throw new RangeError(`${of.name} has ${want} 64-bit words, got ${words.length}`);
  return decodeHalves(of, toHalves(words));
}
