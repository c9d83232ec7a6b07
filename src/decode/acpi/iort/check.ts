/** What is wrong with the nodes and id mappings of an IORT table (DEN 0049E chapter 3). */
import type { Add, IdMapping } from '../id-mapping.ts';
import { checkMappings, checkOutputs, idsText } from '../id-mapping.ts';
import { hex } from '../list.ts';
import type { Remark, TableNode } from '../node.ts';
import { bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { isSmmu, mappingsOf, nameOf, smmusOf } from './graph.ts';
import { ITS, IWB, MEMORY_RANGE, NAMED, PMCG, RMR, ROOT_COMPLEX, SMMU_V3 } from './structures.ts';

const PAGE = 4096n;
const REGISTERS = 1n << 16n;

export function checkIort(_: TableBytes, { children }: TableNode): Remark[] {
  const remarks: Remark[] = [];
  const add: Add = (severity, { offset }, text, mend) => remarks.push({ severity, offset, text, mend });
  const at = new Map(children.filter(({ whole }) => whole).map((node) => [node.offset, node]));
  const all = children.filter(({ whole }) => whole).flatMap(mappingsOf);
  for (const mapping of all) checkTarget(children, mapping, at, add);
  for (const node of children)
    if (node.whole)
      checkMappings(
        mappingsOf(node).filter(({ target }) => at.has(target)),
        nameOf(children, node),
        add,
      );
  for (const node of smmusOf(children)) {
    checkOutputs(
      all.filter(({ owner, target }) => target === node.offset && owner.structure.id !== RMR.id),
      `StreamIDs of ${nameOf(children, node)}`,
      add,
    );
    checkUnit(children, node, add);
  }
  checkSegments(children, at, add);
  for (const node of nodesOf(children, RMR)) checkRegions(node, add);
  for (const node of nodesOf(children, PMCG))
    if (!at.has(numberOf(node, 'Node Reference')))
      add(
        'warning',
        node,
        `PMCG counts for byte ${hex(numberOf(node, 'Node Reference'))}, where no node is`,
        'its counters are of nobody',
      );
  checkIdentifiers(children, add);
  return remarks;
}

/** Where ids of a node may lead. */
function mayLeadTo(owner: TableNode, target: TableNode): boolean {
  const toIts = target.structure.id === ITS.id;
  if (isSmmu(owner) || owner.structure.id === PMCG.id || owner.structure.id === IWB.id) return toIts;
  if (owner.structure.id === RMR.id) return isSmmu(target);
  return toIts || isSmmu(target);
}

function checkTarget(
  nodes: readonly TableNode[],
  mapping: IdMapping,
  at: ReadonlyMap<number, TableNode>,
  add: Add,
): void {
  const { first, last, node, owner, single, target } = mapping;
  const name = nameOf(nodes, owner);
  const ids = single ? 'its single mapping' : `ids ${idsText(first, last)}`;
  const to = at.get(target);
  if (to === undefined)
    add(
      'error',
      node,
      `${name}: ${ids} lead nowhere (byte ${hex(target)} is no node)`,
      'their devices have no SMMU and no MSIs: DMA is not translated, or the driver does not start',
    );
  else if (!mayLeadTo(owner, to))
    add(
      'error',
      node,
      `${name}: ${ids} lead to ${nameOf(nodes, to)}, where a ${owner.structure.id} may not lead`,
      'devices lead to SMMUs or ITSs, SMMUs to ITSs, reserved memory to SMMUs',
    );
  if (single && last > first)
    add(
      'warning',
      node,
      `${name}: a single mapping has a number of ids (${hex(last - first)})`,
      'software ignores it: one id comes out, whatever comes in',
    );
  if (single && owner.structure.id === ROOT_COMPLEX.id)
    add(
      'warning',
      node,
      `${name}: a single mapping at a root complex: all of its devices have one id`,
      'its SMMU cannot tell them apart: they share tables, faults and a group; as a rule a range is meant',
    );
  if (!single && owner.structure.id === ROOT_COMPLEX.id && last > 0xffff)
    add(
      'error',
      node,
      `${name}: ids up to ${hex(last)}, and PCI has 16 bits`,
      'the number of ids is one less than there are (0xffff for all)',
    );
}

function checkUnit(nodes: readonly TableNode[], node: TableNode, add: Add): void {
  const base = bigOf(node as TableNode<'Base Address'>, 'Base Address');
  const name = nameOf(nodes, node);
  if (base === 0n || base % REGISTERS !== 0n)
    add(
      'error',
      node,
      `${name} has its registers at ${hex(base)}, ${base === 0n ? 'which is nowhere' : 'not aligned to 64 KiB'}`,
      'SMMUs have pages of 64 KiB; the driver finds no unit there',
    );
  const same = smmusOf(nodes).find(
    (other) => other.offset < node.offset && bigOf(other as TableNode<'Base Address'>, 'Base Address') === base,
  );
  if (same !== undefined)
    add('error', node, `${name} has the registers of ${nameOf(nodes, same)}`, 'one of them is wrong');
  if (!isNode(node, SMMU_V3) || (numberOf(node, 'Flags') & 0x10) === 0) return;
  const index = numberOf(node, 'DeviceID Mapping Index');
  const count = mappingsOf(node as TableNode).length;
  if (index >= count)
    add(
      'error',
      node,
      `${name} has its own MSIs by mapping ${index}, of ${count}`,
      'the driver finds no ITS for its events and errors: it goes on with wired interrupts, or without',
    );
}

/** Root complexes of one segment that have the same ids. */
function checkSegments(nodes: readonly TableNode[], at: ReadonlyMap<number, TableNode>, add: Add): void {
  const complexes = nodesOf(nodes, ROOT_COMPLEX);
  const all = complexes.flatMap((node) =>
    mappingsOf(node as TableNode)
      .filter(({ single, target }) => !single && at.has(target))
      .map((mapping) => ({ segment: numberOf(node, 'PCI Segment Number'), mapping })),
  );
  all.sort((a, b) => a.segment - b.segment || a.mapping.first - b.mapping.first);
  all.slice(1).forEach(({ mapping, segment }, i) => {
    const before = all[i];
    if (before.segment !== segment || before.mapping.owner === mapping.owner || mapping.first > before.mapping.last)
      return;
    add(
      'error',
      mapping.node,
      `ids ${idsText(mapping.first, Math.min(mapping.last, before.mapping.last))} of segment ${segment} are those of two root complexes`,
      'software takes the first root complex of the segment',
    );
  });
}

function checkRegions(node: TableNode<'Number of ID mappings'>, add: Add): void {
  const ranges = nodesOf(node.children, MEMORY_RANGE)
    .map((range) => ({
      range,
      first: bigOf(range, 'Physical Range offset'),
      length: bigOf(range, 'Physical Range length'),
    }))
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  for (const { first, length, range } of ranges) {
    const name = `RMR ${hex(first)}, ${hex(length)} bytes`;
    if (length === 0n) add('error', range, `${name} is empty`, 'Linux leaves it out: the DMA that needs it faults');
    else if (first % PAGE !== 0n || length % PAGE !== 0n)
      add(
        'error',
        range,
        `${name} is not made of whole pages`,
        'Linux rounds it to pages of its own size, and says "firmware bug"',
      );
  }
  ranges.slice(1).forEach(({ first, range }, i) => {
    const before = ranges[i];
    if (first < before.first + before.length)
      add('error', range, `RMR ${hex(first)} overlaps ${hex(before.first)}`, 'ranges of a node may not overlap');
  });
  if (mappingsOf(node as TableNode).length === 0)
    add('warning', node, 'RMR has no id mapping', 'it is reserved for nobody');
}

/** From revision E on, identifiers are unique. */
function checkIdentifiers(nodes: readonly TableNode[], add: Add): void {
  const seen = new Map<number, TableNode>();
  const named = [ITS, NAMED, ROOT_COMPLEX, SMMU_V3, PMCG, RMR].map(({ id }) => id);
  for (const node of nodes) {
    if (!node.whole || !named.includes(node.structure.id)) continue;
    const id = numberOf(node as TableNode<'Identifier'>, 'Identifier');
    const other = seen.get(id);
    if (id !== 0 && other !== undefined)
      add(
        'info',
        node,
        `the identifier ${hex(id)} is that of the node at byte ${hex(other.offset)}`,
        'DEN 0049E wants it unique',
      );
    seen.set(id, node);
  }
}
