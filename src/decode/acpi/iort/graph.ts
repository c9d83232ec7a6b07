/** IORT's nodes and the mappings between them: who leads where, under which ids. */
import type { IdMapping } from '../id-mapping.ts';
import { hex } from '../list.ts';
import type { TableNode } from '../node.ts';
import { isNode, nodesOf, numberOf } from '../node.ts';
import { segmentText } from '../topology.ts';
import { ID_MAPPING, ITS, ITS_ID, NAMED, ROOT_COMPLEX, SMMU, SMMU_V3 } from './structures.ts';

const SINGLE = 1;

/** The mappings of a node, those that have all of their bytes. */
export function mappingsOf(owner: TableNode): IdMapping[] {
  return nodesOf(owner.children, ID_MAPPING).map((node) => {
    const single = (numberOf(node, 'Flags') & SINGLE) !== 0;
    const first = numberOf(node, 'Input base');
    return {
      ...{ node, owner, single, first, last: first + numberOf(node, 'Number of IDs') },
      ...{ out: numberOf(node, 'Output base'), target: numberOf(node, 'Output Reference') },
    };
  });
}

/** All units, in the order of the table. */
export function smmusOf(nodes: readonly TableNode[]): TableNode<string>[] {
  return nodes.filter((node) => node.whole && isSmmu(node));
}

export function isSmmu(node: TableNode): boolean {
  return node.structure.id === SMMU.id || node.structure.id === SMMU_V3.id;
}

/** `SMMUv3 0`, `root complex of segment 0000`. */
export function nameOf(nodes: readonly TableNode[], node: TableNode<string>): string {
  const { id } = node.structure;
  if (isSmmu(node)) return `${id} ${nodes.filter((other) => other.structure.id === id).indexOf(node)}`;
  if (id === ROOT_COMPLEX.id)
    return `root complex of segment ${segmentText(numberOf(node as TableNode<'PCI Segment Number'>, 'PCI Segment Number'))}`;
  if (isNode(node, ITS))
    return `ITS ${nodesOf(node.children, ITS_ID)
      .map((its) => numberOf(its, 'Identifier'))
      .join(', ')}`;
  const named = (node as TableNode).fields.find(({ name }) => name === 'Device Object Name');
  if (id === NAMED.id && named !== undefined) return named.text;
  return `${id} at byte ${hex((node as TableNode).offset)}`;
}
