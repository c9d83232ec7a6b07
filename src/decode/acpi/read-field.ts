/** One field of a table: its value and what it means, found when somebody asks. */
import { bdf } from '../finding.ts';
import type { ListedField, TableField } from './declaration.ts';

/** Bytes of a table, as far as they are there. */
export interface TableBytes {
  readonly data: Uint8Array;
  /** Behind the last byte that is there and belongs to the table. */
  readonly end: number;
}

/** Unsigned number of 1, 2 or 4 bytes, little-endian. The bytes must be there. */
export function number({ data }: TableBytes, offset: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + data[offset + i];
  return value;
}

/** The same of 1 to 8 bytes. */
export function unsigned(table: TableBytes, offset: number, size: number): bigint {
  return size <= 4
    ? BigInt(number(table, offset, size))
    : (BigInt(number(table, offset + 4, size - 4)) << 32n) | BigInt(number(table, offset, 4));
}

/** Characters up to the first zero; what is none of ASCII is a dot. */
export function characters({ data }: TableBytes, offset: number, end: number): string {
  let out = '';
  for (let i = offset; i < end && data[i] !== 0; i++)
    out += data[i] >= 0x20 && data[i] < 0x7f ? String.fromCharCode(data[i]) : '.';
  return out;
}

/** Bits of a field, decoded. */
export interface ReadBits {
  readonly name: string;
  readonly hi: number;
  readonly lo: number;
  readonly value: bigint;
  /** Name of the value; null where it has none. */
  readonly meaning: string | null;
}

export class ReadField {
  readonly name: string;
  /** Byte of the table. */
  readonly offset: number;
  readonly size: number;
  /** Null for what is of variable length. */
  readonly listed: ListedField | null;
  private readonly table: TableBytes;
  private readonly shown: string | null;

  /** @param shown the text of a field of variable length, which has no declaration */
  constructor(
    table: TableBytes,
    name: string,
    offset: number,
    size: number,
    listed: ListedField | null,
    shown: string | null,
  ) {
    this.table = table;
    this.name = name;
    this.offset = offset;
    this.size = size;
    this.listed = listed;
    this.shown = shown;
  }

  /** The specification wants zero there. */
  get reserved(): boolean {
    return this.listed?.field.reserved ?? false;
  }

  /** Null for text and bytes. */
  get value(): bigint | null {
    const form = this.listed?.field.form;
    return form === undefined || form === 'text' || form === 'bytes'
      ? null
      : unsigned(this.table, this.offset, this.size);
  }

  /** As it is shown. */
  get text(): string {
    const { listed, offset, shown, size, table, value } = this;
    if (listed === null) return shown ?? '';
    if (value !== null) return numberText(value, listed.field);
    return listed.field.form === 'text'
      ? `"${characters(table, offset, offset + size)}"`
      : bytesText(table, offset, size);
  }

  get bits(): ReadBits[] {
    const { listed, value } = this;
    if (listed === null || value === null) return [];
    return listed.bits.map(({ hi, lo, mask, name, values }) => {
      const part = (value >> BigInt(lo)) & mask;
      const meaning = values === null ? null : (values[Number(part)] ?? (part === 0n ? null : 'reserved'));
      return { name, hi, lo, value: part, meaning };
    });
  }

  /** Name of the value, or what its bits say; null where there is nothing to say. */
  get meaning(): string | null {
    const values = this.listed?.field.values ?? null;
    if (values !== null) return values[Number(this.value)] ?? 'reserved value';
    // `INTR_REMAP, PASize = 40`: what is set.
    const said = this.bits
      .filter(({ meaning, value }) => value !== 0n || meaning !== null)
      .map(({ hi, lo, meaning, name, value }) =>
        hi === lo && meaning === null ? name : `${name} = ${value}${meaning === null ? '' : ` (${meaning})`}`,
      );
    return said.length === 0 ? null : said.join(', ');
  }
}

function numberText(value: bigint, { form, size }: TableField): string {
  if (form === 'decimal') return String(value);
  if (form === 'device') return `${bdf(Number(value))} (0x${value.toString(16).padStart(4, '0')})`;
  return `0x${value.toString(16).padStart(form === 'address' ? 1 : size * 2, '0')}`;
}

function bytesText({ data }: TableBytes, offset: number, size: number): string {
  return Array.from(data.subarray(offset, offset + size), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
