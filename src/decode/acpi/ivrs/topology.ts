/** What an IVRS table says of the machine. */
import { bdf } from '../../finding.ts';
import { hex } from '../list.ts';
import type { TableNode } from '../node.ts';
import { bigOf, isNode, numberOf } from '../node.ts';
import type { TableBytes } from '../read-field.ts';
import type { IdRange, Region, Topology, Unit } from '../topology.ts';
import { segmentText } from '../topology.ts';
import type { Ivmd } from './blocks.ts';
import { behindOf, entriesOf, ivmdsOf, rangeText, unitsOf } from './blocks.ts';
import { IVRS_TABLE } from './structures.ts';

export function topologyOfIvrs(_: TableBytes, root: TableNode): Topology {
  const units = unitsOf(root.children).map(({ blocks, id, segment, used }, i): Unit => {
    const types = blocks.map((block) => `${numberOf(block, 'Type').toString(16)}h`);
    return {
      name: `unit ${i}`,
      ...{ segment, base: bigOf(used, 'IOMMU Base Address'), at: bdf(id) },
      facts: [
        `IVHD ${numberOf(used, 'Type').toString(16)}h${types.length > 1 ? ` (of ${types.join(', ')})` : ''}`,
        `capability at ${hex(numberOf(used, 'Capability Offset'))}`,
      ],
      devices: entriesOf(used).ranges.map((range) => behindOf(range, segment)),
    };
  });
  return { facts: factsOf(root), units, regions: ivmdsOf(root.children).map(regionOf), untranslated: [] };
}

/** What an IVMD's flags ask for. */
const ASKS = [
  [8, 'excluded from translation'],
  [1, 'mapped to itself'],
  [2, 'read'],
  [4, 'write'],
] as const;

function regionOf(node: Ivmd): Region {
  const first = bigOf(node, 'Start Address');
  const length = bigOf(node, 'Memory Block Length');
  const flags = numberOf(node, 'Flags');
  return {
    kind: 'IVMD',
    first,
    last: first + length - 1n,
    devices: [devicesOf(node)],
    facts: ASKS.filter(([bit]) => (flags & bit) !== 0).map(([, text]) => text),
    of: { all: numberOf(node, 'Type') === ALL_DEVICES, ids: idsOf(node), outIds: [] },
  };
}

/** IVMD 20h, and 22h, which has a range. */
const ALL_DEVICES = 0x20;
const RANGE = 0x22;

function idsOf(node: Ivmd): IdRange[] {
  const type = numberOf(node, 'Type');
  if (type === ALL_DEVICES) return [];
  const first = numberOf(node, 'DeviceID');
  const last = type === RANGE ? numberOf(node, 'Auxiliary Data') : first;
  return [{ segment: numberOf(node, 'PCI Segment Group'), first, last }];
}

export function devicesOf(node: Ivmd): string {
  const segment = numberOf(node, 'PCI Segment Group');
  const first = numberOf(node, 'DeviceID');
  const type = numberOf(node, 'Type');
  if (type === ALL_DEVICES) return 'all devices';
  const range = rangeText(first, type === RANGE ? numberOf(node, 'Auxiliary Data') : first);
  return segment === 0 ? range : `${segmentText(segment)}:${range}`;
}

function factsOf(root: TableNode): string[] {
  if (!isNode(root, IVRS_TABLE) || !root.whole) return [];
  const { bits } = root.fields.find(({ name }) => name === 'IVinfo') ?? { bits: [] };
  const bit = (name: string) => Number(bits.find((part) => part.name === name)?.value ?? 0n);
  const facts: string[] = [];
  if (bit('PASize') !== 0) facts.push(`physical addresses of ${bit('PASize')} bits`);
  if (bit('VASize') !== 0) facts.push(`virtual addresses of ${bit('VASize')} bits`);
  if (bit('DmaRemapSup') !== 0) facts.push('DMA may be blocked from boot on (DmaRemapSup)');
  if (bit('HtAtsResv') !== 0) facts.push('the HyperTransport range is not translated for ATS (HtAtsResv)');
  return facts;
}
