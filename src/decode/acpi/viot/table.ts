/** VIOT: virtio-iommu units and their endpoints. */
import { bdf } from '../../finding.ts';
import { readCounted } from '../counted.ts';
import type { Add, IdMapping } from '../id-mapping.ts';
import { checkMappings, checkOutputs, idsText, pciText } from '../id-mapping.ts';
import type { ListFormat } from '../list.ts';
import { hex } from '../list.ts';
import type { Remark, TableNode } from '../node.ts';
import { bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { number } from '../read-field.ts';
import type { TableKind } from '../table-kind.ts';
import type { Behind, Topology, Unit } from '../topology.ts';
import { segmentText } from '../topology.ts';
import { MMIO, NODES, PCI_RANGE, VIOT_TABLE, VIRTIO_MMIO, VIRTIO_PCI } from './structures.ts';

const FORMAT: ListFormat = {
  what: 'node',
  head: 4,
  at: (table, offset) => {
    const type = number(table, offset, 1);
    return { declared: NODES[type as keyof typeof NODES] ?? null, type, length: number(table, offset + 2, 2) };
  },
};

function read(table: TableBytes, root: TableNode): TableNode[] {
  if (!isNode(root, VIOT_TABLE)) return [];
  const [offset, count] = [numberOf(root, 'Node offset'), numberOf(root, 'Node count')];
  return readCounted(table, root, FORMAT, offset, count, VIOT_TABLE.size);
}

type PciRange = TableNode<keyof typeof PCI_RANGE.fields>;

/** Segment and requester id in one number, as endpoint ids count them on. */
const start = (node: PciRange) => numberOf(node, 'PCI Segment start') * 0x1_0000 + numberOf(node, 'PCI BDF start');
const end = (node: PciRange) => numberOf(node, 'PCI Segment end') * 0x1_0000 + numberOf(node, 'PCI BDF end');

function mappingsOf(nodes: readonly TableNode[]): IdMapping[] {
  return nodesOf(nodes, PCI_RANGE).map((node) => ({
    ...{ node, owner: node, first: start(node), last: end(node), single: false },
    ...{ out: numberOf(node, 'Endpoint start'), target: numberOf(node, 'Output node') },
  }));
}

function topology(_: TableBytes, { children }: TableNode): Topology {
  const units = unitsOf(children).map((node, i): Unit => {
    const devices: Behind[] = [
      ...nodesOf(children, PCI_RANGE)
        .filter((range) => numberOf(range, 'Output node') === node.offset)
        .map(behindOfRange),
      ...nodesOf(children, MMIO)
        .filter((endpoint) => numberOf(endpoint, 'Output node') === node.offset)
        .map((endpoint) => ({
          what: `device at ${hex(bigOf(endpoint, 'Base address'))}`,
          ...{ kind: 'MMIO', ids: null, out: `endpoint ${hex(numberOf(endpoint, 'Endpoint ID'))}` },
          outIds: { first: numberOf(endpoint, 'Endpoint ID'), last: numberOf(endpoint, 'Endpoint ID') },
        })),
    ];
    const name = `virtio-iommu ${i}`;
    if (!isNode(node, VIRTIO_PCI))
      return {
        name,
        segment: null,
        at: null,
        base: bigOf(node as typeof node & TableNode, 'Base address'),
        facts: [],
        devices,
      };
    const segment = numberOf(node, 'PCI Segment');
    return { name, segment, at: bdf(numberOf(node, 'PCI BDF')), base: null, facts: ['virtio-pci'], devices };
  });
  return { facts: [], units, regions: [], untranslated: [] };
}

function unitsOf(nodes: readonly TableNode[]): TableNode<string>[] {
  const units: TableNode<string>[] = [...nodesOf(nodes, VIRTIO_PCI), ...nodesOf(nodes, VIRTIO_MMIO)];
  return units.sort((a, b) => a.offset - b.offset);
}

function behindOfRange(node: PciRange): Behind {
  const [segment, lastSegment] = [numberOf(node, 'PCI Segment start'), numberOf(node, 'PCI Segment end')];
  const [first, last] = [numberOf(node, 'PCI BDF start'), numberOf(node, 'PCI BDF end')];
  const out = numberOf(node, 'Endpoint start');
  const many = segment !== lastSegment;
  return {
    what: many
      ? `${segmentText(segment)}:${bdf(first)} to ${segmentText(lastSegment)}:${bdf(last)}`
      : `${segment === 0 ? '' : `${segmentText(segment)}:`}${pciText(first, last)}`,
    kind: 'PCI devices',
    ids: many ? null : { segment, first, last },
    out: `endpoints ${idsText(out, out + end(node) - start(node))}`,
    outIds: { first: out, last: out + end(node) - start(node) },
  };
}

function check(_: TableBytes, { children }: TableNode): Remark[] {
  const remarks: Remark[] = [];
  const add: Add = (severity, { offset }, text, mend) => remarks.push({ severity, offset, text, mend });
  const units = new Set(unitsOf(children).map(({ offset }) => offset));
  const endpoints = [...nodesOf(children, PCI_RANGE), ...nodesOf(children, MMIO)];
  for (const node of endpoints) {
    const target = numberOf(node as TableNode<'Output node'>, 'Output node');
    if (!units.has(target))
      add(
        'error',
        node,
        `the ${node.structure.id} at byte ${hex(node.offset)} leads to byte ${hex(target)}, where no virtio-iommu is`,
        'its devices are translated by nobody, and Linux leaves the node out',
      );
  }
  const mappings = mappingsOf(children);
  for (const { first, last, node } of mappings)
    if (last < first)
      add('error', node, `the PCI range at byte ${hex(node.offset)} ends before it begins`, 'no device is in it');
  const sound = mappings.filter(({ first, last }) => first <= last);
  checkMappings(sound, 'PCI ranges', add);
  for (const unit of units)
    checkOutputs(
      sound.filter(({ target }) => target === unit),
      'endpoints',
      add,
    );
  return remarks;
}

export const VIOT: TableKind = {
  signature: 'VIOT',
  title: 'Virtual I/O Translation Table',
  clause: VIOT_TABLE.clause,
  body: VIOT_TABLE,
  ...{ read, topology, check },
};
