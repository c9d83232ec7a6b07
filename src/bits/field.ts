/**
 * Fields of registers, in-memory structures and descriptors. A field is a run of bits `hi:lo`, counted from
 * bit 0 of the first word, whatever the width of what it belongs to (bit 64 is bit 0 of the second qword).
 */

/** What software's write does to a field of a register. */
export type Access = 'rw' | 'ro' | 'wo' | 'w1c' | 'one-shot';

export interface Field {
  readonly kind: 'bits' | 'address';
  readonly hi: number;
  readonly lo: number;
  readonly access: Access;
  /** How many bits an address lies further left than in its qword: 2 where bits 53:10 hold bits 55:12; otherwise 0. */
  readonly shift: number;
  /** Value that every instance has (the type of a descriptor); `encode` fills it in. */
  readonly fixed: number | null;
  /** Hardware ignores these bits: neither a field that software may rely on nor reserved. */
  readonly ignored: boolean;
  /** What single values mean, in words; values that are not there have no name, or are reserved. */
  readonly values: Readonly<Record<number, string>> | null;
}

/** A number of up to 32 bits. */
export interface BitsField extends Field {
  readonly kind: 'bits';
}

/** A byte address, a `bigint`; bits of it that are not stored are zero. */
export interface AddressField extends Field {
  readonly kind: 'address';
}

function makeField<K extends Field['kind']>(kind: K, hi: number, lo: number): Field & { kind: K } {
  if (!Number.isInteger(hi) || !Number.isInteger(lo) || lo < 0 || hi < lo || hi > 511) {
    throw new RangeError(`field ${hi}:${lo} is not a run of bits`);
  }
  return { kind, hi, lo, access: 'rw', shift: 0, fixed: null, ignored: false, values: null };
}

export function bit(n: number): BitsField {
  return makeField('bits', n, n);
}

export function bits(hi: number, lo: number): BitsField {
  if (hi - lo >= 32) throw new RangeError(`field ${hi}:${lo} is wider than 32 bits: declare it with address()`);
  return makeField('bits', hi, lo);
}

/**
 * An address field `hi:lo` within its qword.
 * @param from the bit of the address that bit `lo` holds, `lo % 64` if not given: `address(53, 10, 12)` is a page frame number
 */
export function address(hi: number, lo: number, from = lo & 63): AddressField {
  if (hi >> 6 !== lo >> 6) throw new RangeError(`address field ${hi}:${lo} crosses a qword`);
  const shift = from - (lo & 63);
  if (!Number.isInteger(shift) || shift < 0 || (hi & 63) + shift > 63) {
    throw new RangeError(`address field ${hi}:${lo} cannot begin with bit ${from} of an address`);
  }
  return { ...makeField('address', hi, lo), shift };
}

/** Read-only: written bits are dropped. */
export function ro<F extends Field>(field: F): F {
  return { ...field, access: 'ro' };
}

/** Write-only: what is written is kept, and reads as zero. */
export function wo<F extends Field>(field: F): F {
  return { ...field, access: 'wo' };
}

/** Write 1 to clear. */
export function w1c<F extends Field>(field: F): F {
  return { ...field, access: 'w1c' };
}

/** Writing 1 starts something; the bit itself is not kept. */
export function oneShot<F extends Field>(field: F): F {
  return { ...field, access: 'one-shot' };
}

/** A field whose value is the same in every instance. */
export function fixed(field: BitsField, value: number): BitsField {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** width(field)) {
    throw new RangeError(`${value} does not fit ${field.hi}:${field.lo}`);
  }
  return { ...field, fixed: value };
}

/** Up to 32 bits that hardware ignores; longer runs are declared in parts, so that every field's value is a number. */
export function ignored(hi: number, lo: number): BitsField {
  if (hi - lo >= 32) throw new RangeError(`ignored field ${hi}:${lo} is wider than 32 bits: declare it in parts`);
  return { ...makeField('bits', hi, lo), ignored: true };
}

/** A field whose values have names, which decoders print beside the number. */
export function named(field: BitsField, values: Readonly<Record<number, string>>): BitsField {
  for (const value of Object.keys(values)) {
    if (Number(value) >= 2 ** width(field)) throw new RangeError(`${value} does not fit ${field.hi}:${field.lo}`);
  }
  return { ...field, values: Object.freeze(values) };
}

/** Number of bits. */
export function width(field: Field): number {
  return field.hi - field.lo + 1;
}
