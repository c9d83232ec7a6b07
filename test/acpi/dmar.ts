/** DMAR tables for tests, structure by structure (VT-d chapter 8). */
import { acpi, le } from './tables.ts';

export const scope = (type: number, enumeration: number, bus: number, ...path: number[]) => [
  ...[type, 6 + path.length, 0, 0, enumeration, bus],
  ...path,
];
export const structure = (type: number, ...rest: number[]) => [...le(2, type), ...le(2, 4 + rest.length), ...rest];
export const drhd = (all: number, base: number, ...scopes: number[]) =>
  structure(0, all, 0, ...le(2, 0), ...le(8, base), ...scopes);
export const rmrr = (base: number | bigint, limit: number | bigint, ...scopes: number[]) =>
  structure(1, ...le(2, 0), ...le(2, 0), ...le(8, base), ...le(8, limit), ...scopes);
export const dmar = (flags: number, ...structures: number[]) => acpi('DMAR', [38, flags, ...le(10, 0), ...structures]);
