/** ACPI tables that tell of IOMMUs: bytes in, a tree, a topology and remarks out. */
import { DMAR } from './dmar/table.ts';
import { headOf, headRemarks } from './header.ts';
import { IORT } from './iort/table.ts';
import { IVRS } from './ivrs/table.ts';
import type { Remark, TableNode } from './node.ts';
import { allNodes, readNode } from './node.ts';
import type { TableBytes } from './read-field.ts';
import { RIMT } from './rimt/table.ts';
import type { TableKind } from './table-kind.ts';
import type { Topology } from './topology.ts';
import { VIOT } from './viot/table.ts';

export const TABLE_KINDS: readonly TableKind[] = [DMAR, IVRS, IORT, VIOT, RIMT];

export interface AcpiTable {
  /** `DMAR`. */
  readonly signature: string;
  readonly title: string;
  readonly clause: string;
  /** Bytes that are there and belong to it. */
  readonly bytes: number;
  /** The table's head and body; its structures are the children. */
  readonly root: TableNode;
  readonly topology: Topology;
}

/** Whether bytes begin as a table that can be read here: its signature, and a length that a table can have. */
export function isTable(data: Uint8Array): boolean {
  const head = headOf(data);
  return head !== null && TABLE_KINDS.some(({ signature }) => signature === head.signature);
}

/**
 * Reads a table; what is cut or damaged is read as far as it makes sense, and remarked.
 * @param data the table from its signature on
 * @returns null where it does not begin as one ({@link isTable})
 */
export function readTable(data: Uint8Array): AcpiTable | null {
  const head = headOf(data);
  const kind = TABLE_KINDS.find(({ signature }) => signature === head?.signature);
  if (head === null || kind === undefined) return null;
  const table: TableBytes = { data, end: Math.min(data.length, head.length) };
  const root = readNode(table, kind.body, 0, table.end);
  root.remarks.unshift(...headRemarks(table, head.signature, head.length));
  if (root.whole) root.children.push(...kind.read(table, root));
  const topology = kind.topology(table, root);
  root.remarks.push(...kind.check(table, root));
  const { clause, signature, title } = kind;
  return { signature, title, clause, bytes: table.end, root, topology };
}

const ORDER = { error: 0, warning: 1, info: 2 } as const;

/** All remarks of a table: errors first, then in the order of the table. */
export function remarksOf({ root }: AcpiTable): Remark[] {
  return [...allNodes(root)]
    .flatMap(({ remarks }) => remarks)
    .sort((a, b) => ORDER[a.severity] - ORDER[b.severity] || a.offset - b.offset);
}
