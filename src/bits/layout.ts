import type { AddressField, BitsField, Field } from './field.ts';
import { width } from './field.ts';
import { join } from './halves.ts';

export type Fields = Readonly<Record<string, Field>>;

/** Values of the fields: numbers, and byte addresses as `bigint`; either, where the declaration is not known. */
export type Values<F extends Fields> = {
  [K in keyof F]: F[K] extends AddressField ? bigint : F[K] extends BitsField ? number : number | bigint;
};

/** A 32-bit half of memory or of a register block, by index. */
export type Halves = ArrayLike<number>;

/** What declarations have beside their fields; a field of such a name could not be reached as a member. */
const MEMBERS = ['name', 'clause', 'width', 'fields', 'reserved', 'offset', 'masks'];

/**
 * The bits of one register, structure or descriptor: which field has which, and what is left over (reserved).
 * Overlapping or out-of-range fields throw when the declaration is loaded.
 */
export interface Layout<F extends Fields> {
  readonly name: string;
  /** Clause of the specification. */
  readonly clause: string;
  /** Bits: a multiple of 32, up to 512. */
  readonly width: number;
  readonly fields: F;
  /** Bits that belong to no field, as 32-bit halves. */
  readonly reserved: Int32Array;
}

export function layout<F extends Fields>(name: string, clause: string, widthInBits: number, fields: F): Layout<F> {
  const isWhole = Number.isInteger(widthInBits / 32) && widthInBits >= 32 && widthInBits <= 512;
  if (!isWhole) throw new RangeError(`${name}: no ${widthInBits}-bit layout`);
  const owner = new Array<string | undefined>(widthInBits);
  for (const [key, field] of Object.entries(fields)) {
    if (MEMBERS.includes(key)) throw new RangeError(`${name}.${key}: every declaration has a ${key}; rename the field`);
    if (field.hi >= widthInBits)
      throw new RangeError(`${name}.${key} ${field.hi}:${field.lo} exceeds ${widthInBits} bits`);
    for (let n = field.lo; n <= field.hi; n++) {
      if (owner[n] !== undefined) throw new RangeError(`${name}.${key} and ${name}.${owner[n]} both have bit ${n}`);
      owner[n] = key;
    }
  }
  const reserved = new Int32Array(widthInBits / 32);
  for (let n = 0; n < widthInBits; n++) if (owner[n] === undefined) reserved[n >> 5] |= 1 << (n & 31);
  return Object.freeze({ name, clause, width: widthInBits, fields: Object.freeze(fields), reserved });
}

/**
 * The fields of a part as they lie in a whole: so many bits higher, and with the part's name before theirs. What consists of parts that
 * also stand alone (a context of several words) is declared from them.
 */
export function part<P extends string, F extends Fields>(
  name: P,
  offset: number,
  of: Layout<F>,
): { readonly [K in keyof F & string as `${P}_${K}`]: F[K] } {
  if (offset % 64 !== 0) throw new RangeError(`${of.name} cannot begin at bit ${offset}: parts are words of 64 bits`);
  const placed: Record<string, Field> = {};
  for (const [key, field] of Object.entries(of.fields)) {
    placed[`${name}_${key}`] = { ...field, hi: field.hi + offset, lo: field.lo + offset };
  }
  return placed as { readonly [K in keyof F & string as `${P}_${K}`]: F[K] };
}

/** The bits of a field as a mask over 32-bit halves. */
export function maskOf(field: Field, halves: number): Int32Array {
  const mask = new Int32Array(halves);
  for (let n = field.lo; n <= field.hi; n++) mask[n >> 5] |= 1 << (n & 31);
  return mask;
}

/**
 * A field of at most 32 bits read from halves at `base`, unsigned. This is the declaration's own reader: models
 * use it on their paths too, with the field held in a constant.
 */
export function get(field: Field, halves: Halves, base = 0): number {
  const at = base + (field.lo >> 5);
  const shift = field.lo & 31;
  const size = field.hi - field.lo + 1;
  if (shift + size <= 32) return size === 32 ? halves[at] >>> 0 : (halves[at] >>> shift) & ((1 << size) - 1);
  const spill = shift + size - 32;
  const value = (halves[at] >>> shift) | ((halves[at + 1] & ((1 << spill) - 1)) << (32 - shift));
  return value >>> 0;
}

/** A field of at most 32 bits stored into halves at `base`; bits around it are kept. */
export function put(field: Field, halves: Int32Array, value: number, base = 0): void {
  for (let n = 0; n < width(field); n++) {
    const at = base + ((field.lo + n) >> 5);
    const one = 1 << ((field.lo + n) & 31);
    if (Math.floor(value / 2 ** n) & 1) halves[at] |= one;
    else halves[at] &= ~one;
  }
}

/** The byte address that an address field holds. */
export function getAddress(field: Field, halves: Halves, base = 0): bigint {
  const q = base + (field.lo >> 6) * 2;
  const top = BigInt((field.hi & 63) + 1);
  const word = BigInt.asUintN(Number(top), join(halves[q], halves[q + 1]));
  const lo = BigInt(field.lo & 63);
  return ((word >> lo) << lo) << BigInt(field.shift);
}

function encodeField(into: Int32Array, owner: string, key: string, field: Field, value: number | bigint): void {
  if (field.kind === 'address') {
    const lo = BigInt(field.lo & 63);
    const whole = BigInt(value);
    const word = whole >> BigInt(field.shift);
    const lost = (word >> lo) << (lo + BigInt(field.shift)) !== whole;
    if (whole < 0n || word >> BigInt((field.hi & 63) + 1) !== 0n || lost)
      throw new RangeError(`${owner}.${key}: 0x${whole.toString(16)} does not fit ${field.hi}:${field.lo}`);
    const q = (field.lo >> 6) * 2;
    into[q] |= Number(BigInt.asIntN(32, word));
    into[q + 1] |= Number(BigInt.asIntN(32, word >> 32n));
    return;
  }
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number >= 2 ** width(field)) {
    throw new RangeError(`${owner}.${key}: ${value} does not fit ${field.hi}:${field.lo}`);
  }
  put(field, into, number);
}

/** Halves with the given fields set, fixed fields filled in and everything else zero. */
export function encodeHalves<F extends Fields>(of: Layout<F>, values: Partial<Values<F>>): Int32Array {
  const into = new Int32Array(of.width / 32);
  for (const field of Object.values(of.fields)) if (field.fixed !== null) put(field, into, field.fixed);
  for (const [key, value] of Object.entries(values)) {
    const field = of.fields[key];
    if (field === undefined) throw new RangeError(`${of.name} has no field ${key}`);
    if (field.fixed !== null && Number(value) !== field.fixed) {
      throw new RangeError(`${of.name}.${key} is always ${field.fixed}`);
    }
    encodeField(into, of.name, key, field, value as number | bigint);
  }
  return into;
}

/** All fields of the halves at `base`; reserved bits do not appear, see {@link reservedSet}. */
export function decodeHalves<F extends Fields>(of: Layout<F>, halves: Halves, base = 0): Values<F> {
  const out: Record<string, number | bigint> = {};
  for (const [key, field] of Object.entries(of.fields)) {
    out[key] = field.kind === 'address' ? getAddress(field, halves, base) : get(field, halves, base);
  }
  return out as Values<F>;
}

/** Whether any reserved bit is set in the halves at `base`. */
export function reservedSet(of: Layout<Fields>, halves: Halves, base = 0): boolean {
  for (let i = 0; i < of.reserved.length; i++) if ((halves[base + i] & of.reserved[i]) !== 0) return true;
  return false;
}
