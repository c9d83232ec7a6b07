/** DMAR: Intel's units, their devices, reserved memory and ATS (VT-d chapter 8). */
import type { Structure } from '../declaration.ts';
import type { ListFormat } from '../list.ts';
import { readList } from '../list.ts';
import { addText, isNode } from '../node.ts';
import { characters, number } from '../read-field.ts';
import type { TableKind } from '../table-kind.ts';
import { checkDmar } from './check.ts';
import { readScopes } from './scope.ts';
import { ANDD, ATSR, BY_TYPE, DMAR_TABLE, DRHD, RHSA, RMRR, SATC, SIDP } from './structures.ts';
import { topologyOfDmar } from './topology.ts';

/** Those with device scopes behind their fields. */
const SCOPED: readonly Structure[] = [DRHD, RMRR, ATSR, SATC, SIDP];

const FORMAT: ListFormat = {
  what: 'remapping structure',
  head: 4,
  at: (table, offset) => {
    const type = number(table, offset, 2);
    return { declared: BY_TYPE[type as keyof typeof BY_TYPE] ?? null, type, length: number(table, offset + 2, 2) };
  },
  inner: (table, node) => {
    const scoped = SCOPED.find((declared) => isNode(node, declared));
    if (scoped !== undefined) node.children.push(...readScopes(table, node.offset + scoped.size, node.end));
    if (isNode(node, ANDD) && node.whole) {
      const from = node.offset + ANDD.size;
      if (node.end > from) addText(table, node, 'ACPI Object Name', from, characters(table, from, node.end));
    }
    if (isNode(node, RHSA) && node.end > node.offset + RHSA.size)
      node.remarks.push({
        severity: 'warning',
        offset: node.offset,
        text: `RHSA has ${node.end - node.offset} bytes; VT-d 8.6 gives it ${RHSA.size}`,
        mend: 'what is behind them is not looked at',
      });
  },
};

export const DMAR: TableKind = {
  signature: 'DMAR',
  title: 'DMA Remapping Reporting Structure',
  clause: 'VT-d 8.1',
  body: DMAR_TABLE,
  read: (table) => readList(table, FORMAT, DMAR_TABLE.size, table.end),
  topology: topologyOfDmar,
  check: checkDmar,
};
