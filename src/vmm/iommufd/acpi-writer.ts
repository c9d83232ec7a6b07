/** ACPI tables as bytes, by the declarations that decoders read them with. */
import type { Structure } from '../../decode/acpi/declaration.ts';

/** Fields that have values; the others are zero. */
export type FieldValues<N extends string> = Readonly<Partial<Record<N, number | bigint | string>>>;

/** One structure as its declaration has it. */
export function structureBytes<N extends string>(of: Structure<N>, values: FieldValues<N>): Uint8Array {
  const bytes = new Uint8Array(of.size);
  for (const [name, value] of Object.entries(values) as [N, number | bigint | string][]) {
    const { offset, size } = of.fields[name];
    if (typeof value === 'string') {
      if (value.length > size) throw new RangeError(`${of.id}: ${name} has ${size} characters`);
      for (let i = 0; i < value.length; i++) bytes[offset + i] = value.charCodeAt(i);
    } else {
      const whole = BigInt(value);
      if (whole < 0n || whole >> BigInt(8 * size) !== 0n)
        throw new RangeError(`${of.id}: ${value} does not fit ${name}`);
      for (let i = 0; i < size; i++) bytes[offset + i] = Number((whole >> BigInt(8 * i)) & 0xffn);
    }
  }
  return bytes;
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Offset of the checksum in a table's head (ACPI 5.2.6). */
const CHECKSUM = 9;

/** Sets the byte that makes all bytes add up to 0. */
export function setChecksum(table: Uint8Array): Uint8Array {
  table[CHECKSUM] = 0;
  table[CHECKSUM] = -table.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return table;
}
