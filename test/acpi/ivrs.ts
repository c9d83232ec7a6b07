/** IVRS tables for tests, block by block (48882 chapter 5). */
import { acpi, le } from './tables.ts';

export const e4 = (type: number, id: number, setting = 0) => [type, ...le(2, id), setting];
export const e8 = (type: number, id: number, ...last: number[]) => [...e4(type, id), ...last];
export const IOAPIC = e8(0x48, 0, 32, ...le(2, 0xa0), 1);
export const ivhd10 = (unit: number, base: number, ...entries: number[]) => [
  ...[0x10, 0, ...le(2, 24 + entries.length), ...le(2, unit), ...le(2, 0x40), ...le(8, base)],
  ...[...le(2, 0), ...le(2, 0), ...le(4, 0), ...entries],
];
export const ivhd = (type: number, unit: number, base: number, ...entries: number[]) => [
  ...[type, 0, ...le(2, 40 + entries.length), ...le(2, unit), ...le(2, 0x40), ...le(8, base)],
  ...[...le(2, 0), ...le(2, 0), ...le(4, 0), ...le(8, 0x1234), ...le(8, 0), ...entries],
];
export const ivmd = (type: number, flags: number, id: number, aux: number, start: number, length: number) => [
  ...[type, flags, ...le(2, 32), ...le(2, id), ...le(2, aux), ...le(8, 0), ...le(8, start), ...le(8, length)],
];
export const ivrs = (info: number, revision: number, ...blocks: number[]) =>
  acpi('IVRS', [...le(4, info), ...le(8, 0), ...blocks], revision);
