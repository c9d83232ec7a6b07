/** An ACPI table as JSON: numbers of 64 bits as hexadecimal text. */
import type { ExplainedTable } from '../../decode/explainer.ts';
import type { TableNode } from '../../decode/index.ts';
import { remarksOf } from '../../decode/index.ts';

const hex = (value: bigint) => `0x${value.toString(16)}`;
const hexOrNull = (value: bigint | null) => (value === null ? null : hex(value));

export function tableToJson({ input, table }: ExplainedTable) {
  const { bytes, clause, root, signature, title, topology } = table;
  return {
    ...{ input, signature, title, clause, bytes },
    remarks: remarksOf(table),
    topology: {
      facts: topology.facts,
      units: topology.units.map(({ base, ...unit }) => ({ ...unit, base: hexOrNull(base) })),
      regions: topology.regions.map(({ first, last, of: _, ...region }) => ({
        ...region,
        first: hex(first),
        last: hex(last),
      })),
      untranslated: topology.untranslated,
    },
    tree: nodeToJson(root),
  };
}

export interface JsonNode {
  readonly id: string;
  readonly children: readonly JsonNode[];
}

function nodeToJson({ children, end, fields, offset, structure, whole }: TableNode): JsonNode {
  const { clause, id, title } = structure;
  return {
    ...{ id, title, clause, offset, length: end - offset, whole },
    fields: fields.map(({ bits, meaning, name, offset: at, reserved, size, text, value }) => ({
      ...{ name, offset: at, size, text, meaning, reserved },
      value: hexOrNull(value),
      bits: bits.map((part) => ({ ...part, value: hex(part.value) })),
    })),
    children: children.map(nodeToJson),
  } as JsonNode;
}
