/** IVRS: AMD's units, their devices and memory that is mapped for devices (48882 5.2). */
import type { Structure } from '../declaration.ts';
import type { ListFormat } from '../list.ts';
import { readList } from '../list.ts';
import { addText, isNode, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { characters, number, unsigned } from '../read-field.ts';
import type { TableKind } from '../table-kind.ts';
import { checkIvrs } from './check.ts';
import { BLOCKS, ENTRIES, ENTRY, HID, IVHD_10, IVHD_11, IVHD_40, IVRS_TABLE } from './structures.ts';
import { topologyOfIvrs } from './topology.ts';

const IVHD: readonly Structure[] = [IVHD_10, IVHD_11, IVHD_40];

/** The two highest bits of the type tell the length, but for ACPI HID devices. */
function entryLength(table: TableBytes, offset: number, type: number): number {
  if (type !== ENTRY.hid) return 4 << (type >> 6);
  const at = offset + 21;
  return at < table.end ? HID.size + number(table, at, 1) : HID.size;
}

const ENTRY_FORMAT: ListFormat = {
  what: 'device entry',
  head: 4,
  at: (table, offset) => {
    const type = number(table, offset, 1);
    return {
      declared: ENTRIES[type as keyof typeof ENTRIES] ?? null,
      type,
      length: entryLength(table, offset, type),
    };
  },
  inner: (table, node) => {
    if (!isNode(node, HID) || !node.whole) return;
    const from = node.offset + HID.size;
    if (node.end <= from) return;
    const isNumber = numberOf(node, 'UID Format') === 1 && node.end - from <= 8;
    const shown = isNumber ? String(unsigned(table, from, node.end - from)) : characters(table, from, node.end);
    addText(table, node, 'UID', from, shown);
  },
};

const FORMAT: ListFormat = {
  what: 'block',
  head: 4,
  at: (table, offset) => {
    const type = number(table, offset, 1);
    return { declared: BLOCKS[type as keyof typeof BLOCKS] ?? null, type, length: number(table, offset + 2, 2) };
  },
  inner: (table, node) => {
    const ivhd = IVHD.find((declared) => isNode(node, declared));
    if (ivhd !== undefined) node.children.push(...readList(table, ENTRY_FORMAT, node.offset + ivhd.size, node.end));
  },
};

export const IVRS: TableKind = {
  signature: 'IVRS',
  title: 'I/O Virtualization Reporting Structure',
  clause: '48882 5.2.1',
  body: IVRS_TABLE,
  read: (table) => readList(table, FORMAT, IVRS_TABLE.size, table.end),
  topology: topologyOfIvrs,
  check: checkIvrs,
};
