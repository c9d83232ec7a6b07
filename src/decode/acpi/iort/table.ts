/** IORT: Arm's SMMUs, ITSs, root complexes, named components and reserved memory (DEN 0049E). */

import { readCounted, readRecords } from '../counted.ts';
import type { Structure } from '../declaration.ts';
import type { ListFormat } from '../list.ts';
import type { TableNode } from '../node.ts';
import { addText, isNode, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { characters, number } from '../read-field.ts';
import type { TableKind } from '../table-kind.ts';
import { checkIort } from './check.ts';
import { ID_MAPPING, IORT_TABLE, ITS, ITS_ID, IWB, MEMORY_RANGE, NAMED, NODE_HEAD, NODES, RMR } from './structures.ts';
import { topologyOfIort } from './topology.ts';

const records = (what: string, declared: Structure): ListFormat => ({
  what,
  head: declared.size,
  at: () => ({ declared, type: 0, length: declared.size }),
});
const MAPPINGS = records('ID mapping', ID_MAPPING);
const RANGES = records('memory range', MEMORY_RANGE);
const ITS_IDS = records('ITS identifier', ITS_ID);

const FORMAT: ListFormat = {
  what: 'node',
  head: NODE_HEAD,
  at: (table, offset) => {
    const type = number(table, offset, 1);
    const mappings = number(table, offset + 8, 4);
    const declared: Structure | null = NODES[type as keyof typeof NODES] ?? null;
    const length = number(table, offset + 1, 2);
    return mappings === 0
      ? { declared, type, length }
      : { declared, type, length, fieldsEnd: number(table, offset + 12, 4) };
  },
  inner: (table, node) => {
    if (!node.whole || !Object.values(NODES).some(({ id }) => id === node.structure.id)) return;
    const { 'Number of ID mappings': count, 'Reference to ID Array': reference } = headOf(node);
    const textEnd = count === 0 ? node.end : Math.min(node.end, node.offset + reference);
    const nameFrom = node.offset + node.structure.size;
    if ((node.structure.id === NAMED.id || node.structure.id === IWB.id) && textEnd > nameFrom)
      addText(table, node, 'Device Object Name', nameFrom, characters(table, nameFrom, textEnd));
    if (isNode(node, ITS)) readRecords(table, node, ITS_IDS, ITS.size, numberOf(node, 'Number of ITSs'), ITS_ID.size);
    if (node.structure.id === RMR.id) {
      const rmr = node as TableNode<keyof typeof RMR.fields>;
      const [ranges, from] = [numberOf(rmr, 'Number of memory ranges'), numberOf(rmr, 'Reference to memory ranges')];
      readRecords(table, node, RANGES, from, ranges, MEMORY_RANGE.size);
    }
    readRecords(table, node, MAPPINGS, reference, count, ID_MAPPING.size);
  },
};

function headOf(node: TableNode) {
  const head = node as TableNode<'Number of ID mappings' | 'Reference to ID Array'>;
  return {
    'Number of ID mappings': numberOf(head, 'Number of ID mappings'),
    'Reference to ID Array': numberOf(head, 'Reference to ID Array'),
  };
}

function read(table: TableBytes, root: TableNode): TableNode[] {
  if (!isNode(root, IORT_TABLE)) return [];
  const [offset, count] = [numberOf(root, 'Offset to Array of IORT Nodes'), numberOf(root, 'Number of IORT Nodes')];
  return readCounted(table, root, FORMAT, offset, count, IORT_TABLE.size);
}

export const IORT: TableKind = {
  signature: 'IORT',
  title: 'IO Remapping Table',
  clause: IORT_TABLE.clause,
  body: IORT_TABLE,
  ...{ read, topology: topologyOfIort, check: checkIort },
};
