/** What a guest's firmware has to say of its SMMUs, counted in the table itself. */
import { IORT_TABLE, ITS } from '../../decode/acpi/iort/structures.ts';

export interface FirmwareSize {
  readonly bytes: number;
  readonly nodes: number;
  readonly mappings: number;
}

/** Goes through the nodes of an IORT (DEN 0049E 3.1). @param table whole */
export function iortSize(table: Uint8Array): FirmwareSize {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const of = IORT_TABLE.fields;
  const nodes = view.getUint32(of['Number of IORT Nodes'].offset, true);
  let at = view.getUint32(of['Offset to Array of IORT Nodes'].offset, true);
  let mappings = 0;
  for (let i = 0; i < nodes; i++) {
    // All nodes have the same head.
    mappings += view.getUint32(at + ITS.fields['Number of ID mappings'].offset, true);
    at += view.getUint16(at + ITS.fields.Length.offset, true);
  }
  return { bytes: table.length, nodes, mappings };
}
