/** RIMT: RISC-V IOMMUs, root complexes and platform devices, and the device ids that they have at the IOMMUs. */
import { bdf } from '../../finding.ts';
import { readCounted, readRecords } from '../counted.ts';
import type { Add, IdMapping } from '../id-mapping.ts';
import { checkMappings, checkOutputs, idsText, outLast, pciText } from '../id-mapping.ts';
import type { ListFormat } from '../list.ts';
import { hex } from '../list.ts';
import type { Remark, TableNode } from '../node.ts';
import { addText, bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import { characters, number } from '../read-field.ts';
import type { TableKind } from '../table-kind.ts';
import type { Behind, Topology, Unit } from '../topology.ts';
import { segmentText } from '../topology.ts';
import { ID_MAPPING, IOMMU, NODES, PLATFORM_DEVICE, RIMT_TABLE, ROOT_COMPLEX, WIRE } from './structures.ts';

const PCIE_DEVICE = 1;
const PAGE = 4096n;

const MAPPING_FORMAT: ListFormat = {
  what: 'ID mapping',
  head: ID_MAPPING.size,
  at: () => ({ declared: ID_MAPPING, type: 0, length: ID_MAPPING.size }),
};
const WIRE_FORMAT: ListFormat = {
  what: 'interrupt wire',
  head: WIRE.size,
  at: () => ({ declared: WIRE, type: 0, length: WIRE.size }),
};

/** Those with id mappings. */
type Mapped = TableNode<'ID mapping array offset' | 'Number of ID mappings'>;

const FORMAT: ListFormat = {
  what: 'node',
  head: 8,
  at: (table, offset) => {
    const type = number(table, offset, 1);
    return { declared: NODES[type as keyof typeof NODES] ?? null, type, length: number(table, offset + 2, 2) };
  },
  inner: (table, node) => {
    if (!node.whole) return;
    const mapped = isMapped(node) ? node : null;
    if (isNode(node, IOMMU)) {
      const count = numberOf(node, 'Number of interrupt wires');
      readRecords(table, node, WIRE_FORMAT, numberOf(node, 'Interrupt wire array offset'), count, WIRE.size);
      return;
    }
    if (mapped === null) return;
    const [offset, count] = [numberOf(mapped, 'ID mapping array offset'), numberOf(mapped, 'Number of ID mappings')];
    if (mapped.structure.id === PLATFORM_DEVICE.id) {
      const from = mapped.offset + PLATFORM_DEVICE.size;
      const end = count > 0 ? Math.min(mapped.offset + offset, mapped.end) : mapped.end;
      if (end > from) addText(table, mapped, 'Device Object Name', from, characters(table, from, end));
    }
    readRecords(table, mapped, MAPPING_FORMAT, offset, count, ID_MAPPING.size);
  },
};

function isMapped(node: TableNode): node is Mapped {
  return node.structure.id === ROOT_COMPLEX.id || node.structure.id === PLATFORM_DEVICE.id;
}

function read(table: TableBytes, root: TableNode): TableNode[] {
  if (!isNode(root, RIMT_TABLE)) return [];
  const [offset, count] = [numberOf(root, 'Offset to RIMT Node Array'), numberOf(root, 'Number of RIMT Nodes')];
  return readCounted(table, root, FORMAT, offset, count, RIMT_TABLE.size);
}

function mappedOf(nodes: readonly TableNode[]): Mapped[] {
  return nodes.filter((node): node is Mapped => node.whole && isMapped(node));
}

/** The number of ids is one itself here, unlike in IORT. */
function mappingsOf(owner: TableNode): IdMapping[] {
  return nodesOf(owner.children, ID_MAPPING).map((node) => {
    const first = numberOf(node, 'Source ID Base');
    return {
      ...{ node, owner, first, last: first + numberOf(node, 'Number of IDs') - 1, single: false },
      ...{ out: numberOf(node, 'Destination Device ID Base'), target: numberOf(node, 'Destination IOMMU Offset') },
    };
  });
}

function topology(_: TableBytes, { children }: TableNode): Topology {
  const mappings = mappedOf(children).flatMap(mappingsOf);
  const units = nodesOf(children, IOMMU).map((node, i): Unit => {
    const isPcie = (numberOf(node, 'Flags') & PCIE_DEVICE) !== 0;
    const wires = numberOf(node, 'Number of interrupt wires');
    return {
      name: `IOMMU ${i}`,
      segment: isPcie ? numberOf(node, 'PCIe Segment number') : null,
      base: isPcie ? null : bigOf(node, 'Base Address'),
      at: isPcie ? bdf(numberOf(node, 'PCIe B/D/F')) : null,
      facts: [wires === 0 ? 'interrupts by messages' : `${wires} interrupt wires`],
      devices: mappings.filter(({ target }) => target === node.offset).map(behindOf),
    };
  });
  return { facts: [], units, regions: [], untranslated: [] };
}

function behindOf(mapping: IdMapping): Behind {
  const { first, last, node, out, owner } = mapping;
  const outIds = { first: out, last: outLast(mapping) };
  const flags = numberOf(node as TableNode<'Flags'>, 'Flags');
  const asks = [(flags & 1) !== 0 ? ', ATS required' : '', (flags & 2) !== 0 ? ', PRI required' : ''].join('');
  const ids = `device ids ${idsText(out, outLast(mapping))}${asks}`;
  if (isNode(owner, ROOT_COMPLEX)) {
    const segment = numberOf(owner, 'PCIe Segment number');
    const what = `${segment === 0 ? '' : `${segmentText(segment)}:`}${pciText(first, last)}`;
    return { what, kind: 'PCI devices', ids: { segment, first, last }, ...{ out: ids, outIds } };
  }
  return { what: nameOf(owner), kind: `source ids ${idsText(first, last)}`, ids: null, out: ids, outIds };
}

function nameOf(node: TableNode): string {
  if (isNode(node, ROOT_COMPLEX))
    return `root complex of segment ${segmentText(numberOf(node, 'PCIe Segment number'))}`;
  const name = (node as TableNode).fields.find((field) => field.name === 'Device Object Name');
  return name?.text ?? `device at byte ${hex((node as TableNode).offset)}`;
}

function check(_: TableBytes, { children }: TableNode): Remark[] {
  const remarks: Remark[] = [];
  const add: Add = (severity, { offset }, text, mend) => remarks.push({ severity, offset, text, mend });
  const units = nodesOf(children, IOMMU);
  const ids = new Set<number>();
  for (const node of children) {
    if (!node.whole || !(node.structure.id in BY_ID)) continue;
    const id = numberOf(node as TableNode<'ID'>, 'ID');
    if (ids.has(id)) add('warning', node, `the ID ${id} is that of another node`, 'RIMT 2.1 wants it unique');
    ids.add(id);
  }
  for (const node of units) {
    const base = bigOf(node, 'Base Address');
    const isPcie = (numberOf(node, 'Flags') & PCIE_DEVICE) !== 0;
    if (!isPcie && (base === 0n || base % PAGE !== 0n))
      add(
        'error',
        node,
        `the IOMMU at byte ${hex(node.offset)} has its registers at ${hex(base)}, ${base === 0n ? 'which is nowhere' : 'not aligned to 4 KiB'}`,
        'a platform device needs them here; a PCIe device has bit 0 of Flags set',
      );
  }
  const all = mappedOf(children).flatMap((owner) => {
    const mappings = mappingsOf(owner);
    const sound = mappings.filter(({ first, last }) => last >= first);
    for (const { node } of mappings.filter(({ first, last }) => last < first))
      add(
        'error',
        node,
        `${nameOf(owner)}: a mapping of no ids`,
        'the number of ids counts them (it is not one less, as in IORT)',
      );
    checkMappings(sound, nameOf(owner), add);
    return sound;
  });
  for (const { first, last, node, owner, target } of all) {
    if (!units.some(({ offset }) => offset === target))
      add(
        'error',
        node,
        `${nameOf(owner)}: ids ${idsText(first, last)} lead to byte ${hex(target)}, where no IOMMU is`,
        'their devices are translated by nobody; in Linux their drivers wait for an IOMMU that never comes',
      );
    if (isNode(owner, ROOT_COMPLEX) && last > 0xffff)
      add('error', node, `${nameOf(owner)}: ids up to ${hex(last)}, and PCI has 16 bits`, 'the number of ids is wrong');
  }
  for (const { offset } of units)
    checkOutputs(
      all.filter(({ target }) => target === offset),
      'device ids',
      add,
    );
  return remarks;
}

const BY_ID = Object.fromEntries(Object.values(NODES).map((declared) => [declared.id, declared]));

export const RIMT: TableKind = {
  signature: 'RIMT',
  title: 'RISC-V IO Mapping Table',
  clause: RIMT_TABLE.clause,
  body: RIMT_TABLE,
  ...{ read, topology, check },
};
