/** The head that all ACPI tables have (ACPI 5.2.6, System Description Table Header). */
import { text, u8, u32 } from './declaration.ts';
import type { Remark } from './node.ts';
import type { TableBytes } from './read-field.ts';
import { number } from './read-field.ts';

export const HEADER_SIZE = 36;
const CHECKSUM = 9;
/** A table of an IOMMU is far from it; what claims more is text that happens to begin as one. */
const MAX_LENGTH = 1 << 24;

/** Fields of the head, to begin a table's declaration with. */
export const HEADER = {
  Signature: text(0, 4),
  Length: u32(4, { form: 'decimal' }),
  Revision: u8(8, { form: 'decimal' }),
  Checksum: u8(CHECKSUM),
  OEMID: text(10, 6),
  'OEM Table ID': text(16, 8),
  'OEM Revision': u32(24),
  'Creator ID': text(28, 4),
  'Creator Revision': u32(32),
} as const;

/** Signature and length as they stand at the beginning; null where it is not the beginning of a table. */
export function headOf(data: Uint8Array): { readonly signature: string; readonly length: number } | null {
  if (data.length < 8) return null;
  const signature = String.fromCharCode(...data.subarray(0, 4));
  const length = number({ data, end: 8 }, 4, 4);
  return length >= HEADER_SIZE && length <= MAX_LENGTH ? { signature, length } : null;
}

/** Length and checksum against what is there. */
export function headRemarks(table: TableBytes, signature: string, length: number): Remark[] {
  const { data, end } = table;
  if (data.length < length)
    return [
      {
        severity: 'error',
        offset: 4,
        text: `${signature} is cut: its length is ${length} bytes, and ${data.length} are there`,
        mend: 'copy the table whole (cat /sys/firmware/acpi/tables/… > FILE); what is there is read, its checksum cannot be',
      },
    ];
  const remarks: Remark[] = [];
  let sum = 0;
  for (let i = 0; i < end; i++) sum = (sum + data[i]) & 0xff;
  if (sum !== 0) {
    const right = (data[CHECKSUM] - sum) & 0xff;
    remarks.push({
      severity: 'error',
      offset: CHECKSUM,
      text: `the checksum is wrong: the bytes add up to 0x${sum.toString(16).padStart(2, '0')}, not 0 (its own byte would have to be 0x${right.toString(16).padStart(2, '0')})`,
      mend: 'a table that was changed by hand needs a new one; otherwise it was damaged on its way, or the firmware built it wrongly',
    });
  }
  if (data.length > length)
    remarks.push({
      severity: 'info',
      offset: length,
      text: `${data.length - length} bytes stand behind the table, and are not looked at`,
      mend: 'a copy of memory often has them',
    });
  return remarks;
}
