/** Nodes that a table counts, from an offset on that it tells. */
import type { ListFormat } from './list.ts';
import { hex, readList } from './list.ts';
import type { Remark, TableNode } from './node.ts';
import type { TableBytes } from './read-field.ts';

/** @param root its fields tell both. @param least bytes before the first node */
export function readCounted(
  table: TableBytes,
  root: TableNode,
  format: ListFormat,
  offset: number,
  count: number,
  least: number,
): TableNode[] {
  const add = (severity: Remark['severity'], at: number, text: string, mend: string) =>
    root.remarks.push({ severity, offset: at, text, mend });
  if (offset < least || (offset > table.end && count > 0)) {
    const where = offset < least ? `within the table's head of ${least} bytes` : 'behind the end';
    add(
      'error',
      36,
      `the nodes begin at byte ${hex(offset)}, ${where}`,
      'nothing of them is read: the offset is wrong',
    );
    return [];
  }
  const nodes = readList(table, format, offset, table.end, count);
  const end = nodes.at(-1)?.end ?? offset;
  if (nodes.length < count)
    add(
      'error',
      36,
      `the table counts ${count} nodes, and has ${nodes.length}`,
      'the count is wrong, or the table was cut',
    );
  else if (end < table.end)
    add(
      'warning',
      end,
      `${table.end - end} bytes stand behind the last of ${count} nodes`,
      'software does not read them: is a node left out of the count?',
    );
  return nodes;
}

/** Records of one size that a node has, counted by one of its fields. */
export function readRecords(
  table: TableBytes,
  node: TableNode,
  format: ListFormat,
  offset: number,
  count: number,
  size: number,
): void {
  if (count === 0) return;
  const from = node.offset + offset;
  const room = offset < node.structure.required ? 0 : Math.max(0, Math.floor((node.end - from) / size));
  if (room < count)
    node.remarks.push({
      severity: 'error',
      offset: node.offset,
      text: `${node.structure.id} at byte ${hex(node.offset)} has ${count} ${format.what}s from its byte ${hex(offset)} on, and room for ${room}`,
      mend: 'count, offset or length is wrong: those that there is room for are read',
    });
  if (room > 0) node.children.push(...readList(table, format, from, node.end, Math.min(count, room)));
}
