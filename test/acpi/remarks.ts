/** What is remarked on ACPI tables, for tests. */
import { expect } from 'vitest';
import type { AcpiTable } from '../../src/decode/acpi/index.ts';
import { readTable, remarksOf } from '../../src/decode/acpi/index.ts';

/** @throws Error where the bytes are no table */
export function read(data: Uint8Array): AcpiTable {
  const table = readTable(data);
  if (table === null) throw new Error('no table');
  return table;
}

/** Each as `severity: text`. */
export const texts = (table: AcpiTable): string[] =>
  remarksOf(table).map(({ severity, text }) => `${severity}: ${text}`);

/** That one remark is like this. */
export const once = (data: Uint8Array, expected: RegExp): void =>
  expect(texts(read(data)).filter((text) => expected.test(text))).toHaveLength(1);
