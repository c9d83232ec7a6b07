/** The IORT that tells a guest of its SMMUs and of which devices are behind which (Arm DEN 0049E). */

import type { Structure } from '../../decode/acpi/declaration.ts';
import {
  ID_MAPPING,
  IORT_TABLE,
  ITS,
  ITS_ID,
  NODE_HEAD,
  ROOT_COMPLEX,
  SMMU_V3,
} from '../../decode/acpi/iort/structures.ts';
import type { FieldValues } from './acpi-writer.ts';
import { joined, setChecksum, structureBytes } from './acpi-writer.ts';

/** Requester ids of one SMMU: the buses of a bridge, as QEMU's `-device arm-smmuv3,primary-bus=…` has them. */
export interface RequesterRange {
  readonly first: number;
  readonly last: number;
  /** StreamID of the first; the requester id if absent. */
  readonly streamId?: number;
}

export interface GuestSmmuFirmware {
  /** Of its registers. */
  readonly base: bigint;
  /** Wired interrupts: events, page requests, global errors, CMD_SYNC. */
  readonly interrupts: { readonly event: number; readonly pri: number; readonly gerr: number; readonly sync: number };
  readonly requesters: readonly RequesterRange[];
}

export interface GuestFirmware {
  readonly segment: number;
  /** Identifier of the ITS that all MSIs go to. */
  readonly its: number;
  readonly smmus: readonly GuestSmmuFirmware[];
}

const LAST_REQUESTER = 0xffff;

/** A node that others can lead to; mappings know their targets by name until offsets are known. */
interface Node {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mappings: readonly Mapping[];
}

interface Mapping {
  readonly first: number;
  readonly last: number;
  readonly out: number;
  readonly to: string;
}

/** The table. Requester ids that no SMMU has go to the ITS as they are: their DMA is not translated. */
export function iortOf({ its, segment, smmus }: GuestFirmware): Uint8Array {
  const nodes: Node[] = [
    {
      name: 'its',
      mappings: [],
      bytes: joined([structureBytes(ITS, { 'Number of ITSs': 1 }), structureBytes(ITS_ID, { Identifier: its })]),
    },
    ...smmus.map(smmuNode),
    { name: 'root complex', bytes: structureBytes(ROOT_COMPLEX, ROOT(segment)), mappings: requesterMappings(smmus) },
  ];
  return tableOf(nodes);
}

const ROOT = (segment: number): FieldValues<keyof typeof ROOT_COMPLEX.fields> => ({
  ...{ 'Cache Coherent Attribute': 1, 'Memory Access Flags': 3, 'PCI Segment Number': segment },
  ...{ 'ATS Attribute': 0, 'Memory Address Size Limit': 64 },
});

function smmuNode({ base, interrupts, requesters }: GuestSmmuFirmware, index: number): Node {
  const { event, gerr, pri, sync } = interrupts;
  const bytes = structureBytes(SMMU_V3, {
    ...{ 'Base Address': base, Flags: 1, 'Event GSIV': event, 'PRI GSIV': pri, 'GERR GSIV': gerr, 'Sync GSIV': sync },
  });
  // Behind the SMMU a device's MSIs still have its StreamID.
  const mappings = requesters.map((range) => {
    const first = streamOf(range);
    return { first, last: first + (range.last - range.first), out: first, to: 'its' };
  });
  return { name: smmuName(index), bytes, mappings };
}

const smmuName = (index: number): string => `smmu ${index}`;

const streamOf = ({ first, streamId }: RequesterRange): number => streamId ?? first;

function requesterMappings(smmus: readonly GuestSmmuFirmware[]): Mapping[] {
  const taken = smmus.flatMap(({ requesters }, i) => requesters.map((range) => ({ range, to: smmuName(i) })));
  taken.sort((a, b) => a.range.first - b.range.first);
  const mappings: Mapping[] = [];
  let next = 0;
  for (const { range, to } of taken) {
    const { first, last } = range;
    if (first < next || last < first || last > LAST_REQUESTER)
      throw new RangeError(
        `requester ids 0x${first.toString(16)} to 0x${last.toString(16)} are those of two SMMUs, or none`,
      );
    if (first > next) mappings.push({ first: next, last: first - 1, out: next, to: 'its' });
    mappings.push({ first, last, out: streamOf(range), to });
    next = last + 1;
  }
  if (next <= LAST_REQUESTER) mappings.push({ first: next, last: LAST_REQUESTER, out: next, to: 'its' });
  return mappings;
}

type HeadField = 'Type' | 'Length' | 'Revision' | 'Identifier' | 'Number of ID mappings' | 'Reference to ID Array';

/** Revisions of nodes, as their declarations have all fields: DEN 0049E. */
const REVISIONS: Readonly<Record<string, number>> = { its: 1, 'root complex': 4 };
const SMMU_REVISION = 5;
const TABLE_REVISION = 6;

/** Nodes whose last fields are not a multiple of 4 bytes: what stands behind them is aligned. */
const padded = (bytes: Uint8Array): Uint8Array => joined([bytes, new Uint8Array(-bytes.length & 3)]);

function tableOf(nodes: readonly Node[]): Uint8Array {
  const sized = nodes.map((node) => ({ ...node, bytes: padded(node.bytes) }));
  const offsets = new Map<string, number>();
  let at = IORT_TABLE.size;
  for (const { bytes, mappings, name } of sized) {
    offsets.set(name, at);
    at += bytes.length + mappings.length * ID_MAPPING.size;
  }
  const head = structureBytes(IORT_TABLE, {
    ...{
      Signature: 'IORT',
      Length: at,
      Revision: TABLE_REVISION,
      OEMID: 'PINHOL',
      'OEM Table ID': 'PINHOLE',
      'OEM Revision': 1,
    },
    ...{ 'Creator ID': 'PINH', 'Creator Revision': 1 },
    ...{ 'Number of IORT Nodes': nodes.length, 'Offset to Array of IORT Nodes': IORT_TABLE.size },
  });
  const body = sized.map((node, i) => nodeBytes(node, i, offsets));
  return setChecksum(joined([head, ...body]));
}

function nodeBytes(
  { bytes, mappings, name }: Node,
  identifier: number,
  offsets: ReadonlyMap<string, number>,
): Uint8Array {
  const of: Structure<HeadField> = name === 'its' ? ITS : name === 'root complex' ? ROOT_COMPLEX : SMMU_V3;
  const type = Number(Object.keys(of.fields.Type.values ?? {})[0]);
  const head = structureBytes(of, {
    ...{ Type: type, Length: bytes.length + mappings.length * ID_MAPPING.size, Identifier: identifier },
    ...{ Revision: REVISIONS[name] ?? SMMU_REVISION, 'Number of ID mappings': mappings.length },
    'Reference to ID Array': mappings.length === 0 ? 0 : bytes.length,
  });
  const whole = Uint8Array.from(bytes);
  whole.set(head.subarray(0, NODE_HEAD));
  const maps = mappings.map(({ first, last, out, to }) =>
    structureBytes(ID_MAPPING, {
      ...{ 'Input base': first, 'Number of IDs': last - first, 'Output base': out },
      'Output Reference': offsets.get(to) as number,
    }),
  );
  return joined([whole, ...maps]);
}
