/** What a kind of table brings: its declaration, how its structures are read, what they mean together. */
import type { Structure } from './declaration.ts';
import type { Remark, TableNode } from './node.ts';
import type { TableBytes } from './read-field.ts';
import type { Topology } from './topology.ts';

export interface TableKind {
  readonly signature: string;
  readonly title: string;
  readonly clause: string;
  /** The head and the fields behind it. */
  readonly body: Structure;
  /** The structures behind the body; called where the body is whole. */
  read(table: TableBytes, root: TableNode): TableNode[];
  topology(table: TableBytes, root: TableNode): Topology;
  /** What is wrong with structures together. What is wrong with one alone is remarked where it is read. */
  check(table: TableBytes, root: TableNode): Remark[];
}
