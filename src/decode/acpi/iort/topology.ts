/** What an IORT table says of the machine: devices, the SMMUs they are behind, and where their MSIs go. */
import type { IdMapping } from '../id-mapping.ts';
import { idsText, outLast, pciText } from '../id-mapping.ts';
import { hex } from '../list.ts';
import type { TableNode } from '../node.ts';
import { bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import type { Behind, Region, Topology, Unit } from '../topology.ts';
import { segmentText } from '../topology.ts';
import { isSmmu, mappingsOf, nameOf, smmusOf } from './graph.ts';
import { ITS, MEMORY_RANGE, NAMED, PMCG, RMR, ROOT_COMPLEX } from './structures.ts';

export function topologyOfIort(_: TableBytes, { children }: TableNode): Topology {
  const devices = [...nodesOf(children, ROOT_COMPLEX), ...nodesOf(children, NAMED)].flatMap((node) =>
    mappingsOf(node as TableNode),
  );
  const at = new Map(children.map((node) => [node.offset, node]));
  const units = smmusOf(children).map(
    (node): Unit => ({
      name: nameOf(children, node),
      ...{ segment: null, at: null, base: bigOf(node as TableNode<'Base Address'>, 'Base Address') },
      facts: factsOf(children, node, at),
      devices: devices
        .filter(({ target }) => target === node.offset)
        .map((mapping) => behindOf(children, mapping, 'StreamID')),
    }),
  );
  const untranslated = devices
    .filter(({ target }) => at.get(target)?.structure.id === ITS.id)
    .map((mapping) => {
      const its = nameOf(children, at.get(mapping.target) as TableNode);
      return behindOf(children, mapping, `MSIs to ${its} as DeviceID`);
    });
  const facts = nodesOf(children, PMCG).map((node) => {
    const of = at.get(numberOf(node, 'Node Reference'));
    const what = of === undefined ? 'nothing' : nameOf(children, of);
    return `counters at ${hex(bigOf(node, 'Page 0 Base Address'))} of ${what}`;
  });
  return {
    facts,
    units,
    regions: nodesOf(children, RMR).flatMap((node) => regionsOf(children, node, at)),
    untranslated,
  };
}

/** @param as what its ids become */
function behindOf(nodes: readonly TableNode[], mapping: IdMapping, as: string): Behind {
  const { first, last, out, owner, single } = mapping;
  const ids = `${as} ${idsText(out, outLast(mapping))}`;
  const outIds = { first: out, last: outLast(mapping) };
  if (isNode(owner, ROOT_COMPLEX)) {
    const segment = numberOf(owner, 'PCI Segment Number');
    if (single)
      return {
        what: `all of segment ${segmentText(segment)}`,
        kind: 'PCI devices',
        ids: { segment, first: 0, last: 0xffff },
        ...{ out: ids, outIds },
      };
    const what = `${segment === 0 ? '' : `${segmentText(segment)}:`}${pciText(first, Math.min(last, 0xffff))}`;
    return { what, kind: 'PCI devices', ids: { segment, first, last: Math.min(last, 0xffff) }, out: ids, outIds };
  }
  const kind = single ? 'named component' : `named component, ids ${idsText(first, last)}`;
  return { what: nameOf(nodes, owner), kind, ids: null, out: ids, outIds };
}

function factsOf(nodes: readonly TableNode[], node: TableNode, at: ReadonlyMap<number, TableNode>): string[] {
  const model = node.fields.find(({ name }) => name === 'Model')?.meaning ?? 'unknown model';
  const facts = [model];
  for (const mapping of mappingsOf(node)) {
    const target = at.get(mapping.target);
    const to = target === undefined ? `byte ${hex(mapping.target)}` : nameOf(nodes, target);
    const from = mapping.single ? 'its own MSIs' : `MSIs of StreamID ${idsText(mapping.first, mapping.last)}`;
    facts.push(`${from} to ${to} as DeviceID ${idsText(mapping.out, outLast(mapping))}`);
  }
  return facts;
}

function regionsOf(
  nodes: readonly TableNode[],
  node: TableNode<'Flags'>,
  at: ReadonlyMap<number, TableNode>,
): Region[] {
  const mappings = mappingsOf(node);
  const outIds = mappings.map((mapping) => ({ first: mapping.out, last: outLast(mapping) }));
  const devices = mappings.map((mapping) => {
    const target = at.get(mapping.target);
    const to = target !== undefined && isSmmu(target) ? nameOf(nodes, target) : `byte ${hex(mapping.target)}`;
    return `StreamID ${idsText(mapping.out, outLast(mapping))} at ${to}`;
  });
  const flags = node.fields.find(({ name }) => name === 'Flags')?.bits ?? [];
  const attributes = flags.find(({ name }) => name === 'access attributes')?.meaning ?? 'reserved attributes';
  const remapped = (numberOf(node, 'Flags') & 1) !== 0 ? 'may be mapped elsewhere' : 'mapped to itself';
  return nodesOf(node.children, MEMORY_RANGE).map((range) => {
    const first = bigOf(range, 'Physical Range offset');
    const last = first + bigOf(range, 'Physical Range length') - 1n;
    return { kind: 'RMR', first, last, devices, facts: [remapped, attributes], of: { all: false, ids: [], outIds } };
  });
}
