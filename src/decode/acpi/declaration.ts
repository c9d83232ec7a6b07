/**
 * How structures of ACPI tables are declared: packed bytes, little-endian, where fields lie at any offset. (The declarations of `bits` are of
 * words that hardware reads; nobody but a decoder reads these.)
 */

/** Names of values. */
export type Values = Readonly<Record<number, string>>;

/** Bits of a number; those of no name must be zero. */
export interface Bits {
  readonly hi: number;
  readonly lo: number;
  readonly values: Values | null;
}

/** How a field is written. */
export type Form = 'hex' | 'decimal' | 'address' | 'text' | 'bytes' | 'device';

export interface TableField {
  /** Bytes from the beginning of its structure. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly form: Form;
  readonly values: Values | null;
  readonly bits: Readonly<Record<string, Bits>> | null;
  /** The specification wants zero there. */
  readonly reserved: boolean;
  /** Bits of no name may be set: newer hardware has more than the declaration. */
  readonly open: boolean;
}

/** A structure as its specification has it; what is of variable length stands behind its fields. */
export interface Structure<N extends string = string> {
  /** `DRHD`. */
  readonly id: string;
  readonly title: string;
  readonly clause: string;
  readonly fields: Readonly<Record<N, TableField>>;
  /** The fields once more, as they are read. */
  readonly list: readonly ListedField[];
  /** Bytes of all fields. */
  readonly size: number;
  /** Bytes that every revision has: fields behind them may not be there. */
  readonly required: number;
}

/** Bits with their mask, after they were shifted down. */
export interface ListedBits extends Bits {
  readonly name: string;
  readonly mask: bigint;
}

export interface ListedField {
  readonly name: string;
  readonly field: TableField;
  readonly bits: readonly ListedBits[];
  /** Bits that must be zero. */
  readonly unnamed: bigint;
}

/**
 * @param required bytes that every revision has; all of them where it is left out
 * @throws Error where fields overlap, or bits of one: a mistake of the declaration
 */
export function structure<N extends string>(
  id: string,
  title: string,
  clause: string,
  fields: Readonly<Record<N, TableField>>,
  required?: number,
): Structure<N> {
  const all = (Object.entries(fields) as [string, TableField][]).sort(([, a], [, b]) => a.offset - b.offset);
  let end = 0;
  const list = all.map(([name, field]) => {
    if (field.offset < end) throw new Error(`${id}: ${name} begins within the field before it`);
    end = field.offset + field.size;
    return listed(id, name, field);
  });
  return Object.freeze({ id, title, clause, fields, list, size: end, required: required ?? end });
}

function listed(id: string, name: string, field: TableField): ListedField {
  const every = (1n << BigInt(field.size * 8)) - 1n;
  let used = 0n;
  const bits = Object.entries(field.bits ?? {}).map(([bit, declared]) => {
    const { hi, lo } = declared;
    const mask = (1n << BigInt(hi - lo + 1)) - 1n;
    const taken = mask << BigInt(lo);
    if (hi < lo || hi >= field.size * 8 || (used & taken) !== 0n) throw new Error(`${id}: bits ${hi}:${lo} of ${name}`);
    used |= taken;
    return { name: bit, mask, ...declared };
  });
  return { name, field, bits, unnamed: field.bits === null || field.open ? 0n : every & ~used };
}

interface Options {
  readonly form?: Form;
  readonly values?: Values;
  readonly bits?: Readonly<Record<string, Bits>>;
  readonly open?: boolean;
}

function field(
  offset: number,
  size: number,
  { form = 'hex', values, bits, open = false }: Options = {},
  reserved = false,
): TableField {
  return { offset, size, form, values: values ?? null, bits: bits ?? null, reserved, open };
}

export const u8 = (offset: number, options?: Options) => field(offset, 1, options);
export const u16 = (offset: number, options?: Options) => field(offset, 2, options);
export const u32 = (offset: number, options?: Options) => field(offset, 4, options);
export const u64 = (offset: number, options?: Options) => field(offset, 8, options);
/** Byte address. */
export const address = (offset: number) => field(offset, 8, { form: 'address' });
/** Characters, to the first zero. */
export const text = (offset: number, size: number) => field(offset, size, { form: 'text' });
export const bytes = (offset: number, size: number) => field(offset, size, { form: 'bytes' });
/** Requester id: bus 15:8, device 7:3, function 2:0. */
export const device = (offset: number) => field(offset, 2, { form: 'device' });
export const zero = (offset: number, size: number) => field(offset, size, { form: 'bytes' }, true);

export const flag = (n: number, values?: Values): Bits => ({ hi: n, lo: n, values: values ?? null });
export const range = (hi: number, lo: number, values?: Values): Bits => ({ hi, lo, values: values ?? null });
