/** Structures one after another: a length that cannot be is the end of what can be read, and never a loop. */
import type { Structure } from './declaration.ts';
import { structure } from './declaration.ts';
import type { Remark, TableNode } from './node.ts';
import { readNode } from './node.ts';
import type { TableBytes } from './read-field.ts';

/** A structure whose type is none of the specification's: skipped by its length, and shown. */
export const UNKNOWN = structure('unknown', 'of a type that the specification has not', 'none', {});

/** What is left of a list that could not be read on. */
export const REST = structure('rest', 'bytes that could not be read as structures', 'none', {});

/** How the head of one structure of a list is read. */
export interface ListFormat {
  /** `remapping structure`. */
  readonly what: string;
  /** Bytes of the head: type and length. */
  readonly head: number;
  /** Which structure it is, and its length in bytes with its head; called where the head is there. */
  at(
    table: TableBytes,
    offset: number,
  ): {
    readonly declared: Structure | null;
    readonly type: number;
    readonly length: number;
    /** Where its fields end, from its beginning on, if something else begins before its end. */
    readonly fieldsEnd?: number;
  };
  /** Reads what the structure holds behind its fields. */
  readonly inner?: (table: TableBytes, node: TableNode) => void;
}

/**
 * @param from first byte. @param end behind the last: lengths that reach beyond it are cut
 * @param count structures at most
 */
export function readList(
  table: TableBytes,
  format: ListFormat,
  from: number,
  end: number,
  count = Number.POSITIVE_INFINITY,
): TableNode[] {
  const nodes: TableNode[] = [];
  const stop = Math.min(end, table.end);
  let offset = from;
  while (offset < stop && nodes.length < count) {
    if (offset + format.head > stop) {
      nodes.push(
        rest(table, offset, stop, `a ${format.what} begins at byte ${hex(offset)} and has no room for its head`),
      );
      break;
    }
    const { declared, fieldsEnd, length, type } = format.at(table, offset);
    if (length < format.head) {
      nodes.push(
        rest(
          table,
          offset,
          stop,
          `the ${format.what} at byte ${hex(offset)} has a length of ${length}, less than its head`,
        ),
      );
      break;
    }
    const node = readNode(table, declared ?? UNKNOWN, offset, Math.min(offset + length, stop), fieldsEnd);
    if (declared === null) node.remarks.push(unknownType(format.what, type, offset, length));
    if (offset + length > stop) node.remarks.push(tooLong(format.what, offset, length, stop));
    format.inner?.(table, node);
    nodes.push(node);
    offset += length;
  }
  return nodes;
}

/** What is left, with why. */
export function rest(table: TableBytes, offset: number, end: number, text: string): TableNode {
  const node = readNode(table, REST, offset, end);
  node.remarks.push({
    severity: 'error',
    offset,
    text: `${text}; ${end - offset} bytes from there on are not read`,
    mend: 'the length before it may be the wrong one; read the table anew, or compare with /sys/firmware/acpi/tables',
  });
  return node;
}

function unknownType(what: string, type: number, offset: number, length: number): Remark {
  return {
    severity: 'info',
    offset,
    text: `${what} of type 0x${type.toString(16)}, which is none that is known here; ${length} bytes skipped`,
    mend: 'software skips it as well; a newer revision of the specification may have it',
  };
}

function tooLong(what: string, offset: number, length: number, end: number): Remark {
  return {
    severity: 'error',
    offset,
    text: `the ${what} at byte ${hex(offset)} has a length of ${length}, and ends ${offset + length - end} bytes behind what holds it`,
    mend: 'its length is wrong, or the table was cut: read it anew',
  };
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
