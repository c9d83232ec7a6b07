/** What a DMAR table says of the machine. */
import { hex } from '../list.ts';
import type { TableNode } from '../node.ts';
import { bigOf, isNode, nodesOf, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import type { Behind, Region, Topology, Unit } from '../topology.ts';
import { segmentText } from '../topology.ts';
import { behindOf, scopesOf } from './scope.ts';
import { ANDD, ATSR, DMAR_TABLE, DRHD, RHSA, RMRR, SATC, SIDP } from './structures.ts';

export const INCLUDE_PCI_ALL = 1;
const ALL_PORTS = 1;

export function topologyOfDmar(table: TableBytes, root: TableNode): Topology {
  const { children } = root;
  const names = new Map(
    nodesOf(children, ANDD).map((node) => [
      numberOf(node, 'ACPI Device Number'),
      node.fields.find(({ name }) => name === 'ACPI Object Name')?.text ?? '',
    ]),
  );
  const behind = (node: TableNode, segment: number): Behind[] =>
    scopesOf(table, node).map((scope) => behindOf(scope, segment, names));
  const domains = new Map(
    nodesOf(children, RHSA).map((node) => [bigOf(node, 'Register Base Address'), numberOf(node, 'Proximity Domain')]),
  );
  const units = nodesOf(children, DRHD).map((node, i): Unit => {
    const segment = numberOf(node, 'Segment Number');
    const base = bigOf(node, 'Register Base Address');
    const domain = domains.get(base);
    return {
      name: `DRHD ${i}`,
      ...{ segment, base, at: null },
      facts: [
        `${4 << (numberOf(node, 'Size') & 0xf)} KiB of registers`,
        ...(domain === undefined ? [] : [`proximity domain ${domain}`]),
      ],
      devices: [...behind(node, segment), ...allOthers(node, segment)],
    };
  });
  const regions = nodesOf(children, RMRR).map((node): Region => {
    const segment = numberOf(node, 'Segment Number');
    const devices = behind(node, segment);
    return {
      kind: 'RMRR',
      first: bigOf(node, 'Reserved Memory Region Base Address'),
      last: bigOf(node, 'Reserved Memory Region Limit Address'),
      devices: devices.map(({ what }) => (segment === 0 ? what : `${segmentText(segment)}:${what}`)),
      facts: [],
      of: { all: false, ids: devices.flatMap(({ ids }) => ids ?? []), outIds: [] },
    };
  });
  return { facts: factsOf(root, behind), units, regions, untranslated: [] };
}

function allOthers(node: TableNode, segment: number): Behind[] {
  if (!isNode(node, DRHD) || (numberOf(node, 'Flags') & INCLUDE_PCI_ALL) === 0) return [];
  const what = `all other PCI devices of segment ${segmentText(segment)}`;
  return [{ what, kind: 'INCLUDE_PCI_ALL', ids: null, out: null, restOf: numberOf(node, 'Segment Number') }];
}

function factsOf(root: TableNode, behind: (node: TableNode, segment: number) => Behind[]): string[] {
  if (!isNode(root, DMAR_TABLE) || !root.whole) return [];
  const flags = numberOf(root, 'Flags');
  const facts = [
    `addresses of ${numberOf(root, 'Host Address Width') + 1} bits`,
    (flags & 1) === 0 ? 'no interrupt remapping' : 'interrupt remapping',
  ];
  if ((flags & 2) !== 0) facts.push('asks software not to use x2APIC (X2APIC_OPT_OUT)');
  if ((flags & 4) !== 0)
    facts.push('DMA outside of reserved memory may be blocked from boot on (kernel DMA protection)');
  const listed = (nodes: readonly TableNode<'Segment Number'>[], what: string) => {
    for (const node of nodes) {
      const segment = numberOf(node, 'Segment Number');
      const devices = behind(node, segment).map(({ what: device }) => device);
      facts.push(`${what} of segment ${segmentText(segment)}: ${devices.length === 0 ? 'none' : devices.join(', ')}`);
    }
  };
  const { children } = root;
  for (const node of nodesOf(children, ATSR)) {
    if ((numberOf(node, 'Flags') & ALL_PORTS) === 0) listed([node], 'root ports with ATS');
    else facts.push(`ATS at all root ports of segment ${segmentText(numberOf(node, 'Segment Number'))}`);
  }
  for (const node of nodesOf(children, SATC))
    listed([node], (numberOf(node, 'Flags') & 1) === 0 ? 'ATC recommended for devices' : 'ATC required for devices');
  listed(nodesOf(children, SIDP), 'devices with properties of their own (SIDP)');
  for (const node of nodesOf(children, ANDD))
    facts.push(`ACPI device ${numberOf(node, 'ACPI Device Number')}: ${node.fields.at(-1)?.text ?? hex(node.offset)}`);
  return facts;
}
