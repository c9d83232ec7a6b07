export type { Remark, TableNode } from './node.ts';
export { allNodes } from './node.ts';
export type { ReadBits, ReadField } from './read-field.ts';
export type { AcpiTable } from './table.ts';
export { isTable, readTable, remarksOf, TABLE_KINDS } from './table.ts';
export type { Behind, IdRange, Region, Topology, Unit } from './topology.ts';
export { segmentText } from './topology.ts';
