/** A table as a tree: each structure with its fields as they were read, what it holds, and what is wrong with it. */
import type { ListedField, Structure } from './declaration.ts';
import type { TableBytes } from './read-field.ts';
import { ReadField } from './read-field.ts';

/** What somebody should know of a place in a table, and what to do about it. */
export interface Remark {
  /** An error breaks the table or a rule of its specification; a warning is what breaks systems in practice. */
  readonly severity: 'error' | 'warning' | 'info';
  /** Byte of the table. */
  readonly offset: number;
  readonly text: string;
  readonly mend: string;
}

export interface TableNode<N extends string = string> {
  readonly structure: Structure<N>;
  /** First byte, and the one behind the last. */
  readonly offset: number;
  readonly end: number;
  readonly fields: ReadField[];
  readonly children: TableNode[];
  readonly remarks: Remark[];
  /** All of the fields that every revision has are there. */
  readonly whole: boolean;
}

/**
 * Reads the fields of a structure, as far as they are there.
 * @param offset of its first byte. @param end behind its last: fields beyond it are not read
 * @param fieldsEnd where something else begins, from its first byte on
 */
export function readNode<N extends string>(
  table: TableBytes,
  declared: Structure<N>,
  offset: number,
  end: number,
  fieldsEnd = Number.POSITIVE_INFINITY,
): TableNode<N> {
  const stop = Math.min(end, table.end);
  const last = Math.min(stop, offset + Math.max(fieldsEnd, declared.required));
  const fields: ReadField[] = [];
  const remarks: Remark[] = [];
  for (const listed of declared.list) {
    const { offset: at, size } = listed.field;
    if (offset + at + size > last) {
      if (at >= declared.required) break;
      remarks.push({
        severity: 'error',
        offset,
        text: `${declared.id} ends at byte 0x${stop.toString(16)}, before its ${listed.name}`,
        mend: `it has ${declared.required} bytes at least (${declared.clause}): read the table anew, or tell the maker of the firmware`,
      });
      break;
    }
    const field = new ReadField(table, listed.name, offset + at, size, listed, null);
    const remark = listed.field.reserved || listed.unnamed !== 0n ? reservedRemark(declared.id, field) : null;
    if (remark !== null) remarks.push(remark);
    fields.push(field);
  }
  const whole = offset + declared.required <= stop;
  return { structure: declared, offset, end: stop, fields, children: [], remarks, whole };
}

/** Value of a field; 0 where the table ends before it. */
export function bigOf<N extends string>(node: TableNode<N>, name: N): bigint {
  return node.fields.find((field) => field.name === name)?.value ?? 0n;
}

/** The same as a number: of fields of up to 4 bytes. */
export function numberOf<N extends string>(node: TableNode<N>, name: N): number {
  return Number(bigOf(node, name));
}

export function isNode<N extends string>(node: TableNode, declared: Structure<N>): node is TableNode<N> {
  return node.structure.id === declared.id;
}

/** Those of one structure that have all of their fields. */
export function nodesOf<N extends string>(nodes: readonly TableNode[], declared: Structure<N>): TableNode<N>[] {
  return nodes.filter((node) => isNode(node, declared) && node.whole) as TableNode<N>[];
}

/** A node and all below it, in the order of the table. */
export function* allNodes(node: TableNode): Generator<TableNode> {
  yield node;
  for (const child of node.children) yield* allNodes(child);
}

/** A field of variable length. */
export function addText(table: TableBytes, node: TableNode, name: string, from: number, shown: string): void {
  node.fields.push(new ReadField(table, name, from, node.end - from, null, shown));
}

/** What must be zero, and is not. */
function reservedRemark(id: string, read: ReadField): Remark | null {
  const { field, unnamed } = read.listed as ListedField;
  const at = { severity: 'warning' as const, offset: read.offset };
  const mend = 'a newer revision may use it; otherwise the firmware left it unset: nothing reads it';
  if (field.reserved)
    return /[^0 ]/.test(read.text)
      ? { ...at, text: `${id}: ${read.name} is ${read.text}, and reserved (0)`, mend }
      : null;
  const rest = unnamed === 0n ? 0n : (read.value ?? 0n) & unnamed;
  return rest === 0n
    ? null
    : { ...at, text: `${id}: ${read.name} has reserved bits set (0x${rest.toString(16)})`, mend };
}
