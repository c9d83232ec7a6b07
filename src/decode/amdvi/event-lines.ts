/** Linux's lines of AMD-Vi events (iommu_print_event and what it calls, drivers/iommu/amd/iommu.c), the newest form and those before it. */
import type { AmdEvent } from '../../iommu/amdvi/events.ts';
import { EVENTS } from '../../iommu/amdvi/events.ts';
import type { Finding, Requester } from '../finding.ts';
import { bdf, hexNumber, pciRequester } from '../finding.ts';
import type { FollowingLines, Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodedOrNull, kindNamed } from '../structure.ts';
import type { StructureKind } from '../structure-kinds.ts';
import type { Logged } from './event-finding.ts';
import { eventFinding } from './event-finding.ts';
import { AMD_COMMAND, AMD_DTE } from './kinds.ts';

/** A device's own line begins with its name; the unit's, with that of the unit, which is none of PCI. */
const PREFIX = String.raw`(?:(?<owner>[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): (?:AMD-Vi: )?)?`;
const HEAD = String.raw`Event logged \[`;
/** What stands between the name and the bracket. */
export const FIELDS = String.raw`(?<fields>[^\]]{0,300})`;

const MAX_FLAGS = 0xfff;
/** Flags and PASIDs that have no meaning of their own are left to {@link eventFinding}. */
const OWN_FIELDS = new Set(['device', 'devid', 'domain', 'pasid', 'address', 'spa', 'gpa', 'flags']);

/** `name=value` of a line, values as they stand. */
function fieldsOf(text: string): Map<string, string> {
  return new Map(Array.from(text.matchAll(/(\w{1,20})=([^\s,]{1,40})/g), ([, name, value]) => [name, value] as const));
}

/** A number of a field; undefined where there is no such field, null where it is none that it can have. */
function numberOf(fields: Map<string, string>, name: string): bigint | null | undefined {
  const text = fields.get(name);
  // GUEST_EVENT_FAULT has `gid=#5`.
  return text === undefined ? undefined : hexNumber(text.replace(/^#/, ''));
}

export const EVENT_BY_CODE: Readonly<Record<number, AmdEvent>> = EVENTS;

/** @returns null where a field has a value that it cannot have */
export function decodeEvent(
  kind: string,
  code: number,
  { fields: text, owner }: Groups,
  structures: readonly DecodedStructure[] = [],
): Finding | null {
  const fields = fieldsOf(text ?? '');
  const event = EVENT_BY_CODE[code];
  const [address, flags] = [firstOf(fields, 'address', 'spa', 'gpa'), numberOf(fields, 'flags')];
  const space = firstOf(fields, 'domain', 'pasid');
  if (event === undefined || address === null || flags === null || space === null) return null;
  if ((flags ?? 0n) > MAX_FLAGS || (space ?? 0n) > 0xfffffn) return null;
  const { domain, pasid } = spaceOf(code, flags ?? null, space);
  const requester = requesterOf(fields, owner, pasid);
  if (requester === undefined) return null;
  const others = [...fields].filter(([name]) => !OWN_FIELDS.has(name));
  const logged: Logged = {
    ...{ kind, code, event, requester, domain, structures },
    address: address ?? null,
    flags: flags === undefined ? null : Number(flags),
    details: others,
  };
  return eventFinding(logged);
}

function firstOf(fields: Map<string, string>, ...names: string[]): bigint | null | undefined {
  return names.map((name) => numberOf(fields, name)).find((value) => value !== undefined);
}

/** GN, bit 0 of the flags: what is printed as domain or PASID is a PASID; otherwise the domain, of events that have one. */
function spaceOf(code: number, flags: bigint | null, value: bigint | undefined) {
  const none = { domain: null, pasid: null };
  if (value === undefined) return none;
  const isPasid = EVENT_BY_CODE[code]?.name === 'INVALID_PPR_REQUEST' || ((flags ?? 0n) & 1n) === 1n;
  if (isPasid) return { domain: null, pasid: Number(value) };
  return EVENT_BY_CODE[code]?.entry.fields.DomainID === undefined ? none : { domain: Number(value), pasid: null };
}

/** @returns undefined where the line names a device that there cannot be; null where it names none */
function requesterOf(
  fields: Map<string, string>,
  owner: string | undefined,
  pasid: number | null,
): Requester | null | undefined {
  const named = fields.get('device') ?? owner;
  if (named !== undefined) return pciRequester(named, pasid) ?? undefined;
  const id = numberOf(fields, 'devid');
  if (id === undefined) return null;
  return id === null || id > 0xffffn ? undefined : pciRequester(bdf(Number(id)), pasid);
}

/** A dump of words that follows: DTE[0] … DTE[3], or CMD[0] … CMD[3] of 32 bits. */
function dumpOf(kind: StructureKind, rest: readonly Groups[]): DecodedStructure[] {
  const words: (bigint | null)[] = [];
  for (const { n, word } of rest) if (n !== undefined) words[Number(n)] = hexNumber(word ?? '');
  if (words.length !== 4 || !Array.from(words).every((word) => typeof word === 'bigint')) return [];
  const [a, b, c, d] = words as [bigint, bigint, bigint, bigint];
  const decoded = decodedOrNull(kind, kind === AMD_COMMAND ? [a | (b << 32n), c | (d << 32n)] : [a, b, c, d]);
  return decoded === null ? [] : [decoded];
}

/** A dump of each, as it is printed. */
const DTE_WORDS = ['7d90000000000003', '0000100103fc0009', '2000000117840013', '0000000000000000'];
const CMD_WORDS = ['00000000', '30000013', 'fffff003', '7fffffff'];

function followedBy(kind: string, code: number, name: 'DTE' | 'CMD'): FollowingLines {
  const [structure, words] = name === 'DTE' ? [AMD_DTE, DTE_WORDS] : [AMD_COMMAND, CMD_WORDS];
  return {
    // Since Linux 6.14 the control register stands between an event and its device table entry.
    pattern: new RegExp(
      String.raw`${name}\[(?<n>[0-3])\]: (?<word>[0-9a-f]{${words[0]?.length}})\b|Control Reg : 0x(?<control>[0-9a-f]{1,16})`,
      'i',
    ),
    count: 5,
    example: words.map((word, n) => `AMD-Vi: ${name}[${n}]: ${word}`),
    decode: (first, rest) => {
      const control = rest.find((line) => line.control !== undefined)?.control;
      const structures = [...dumpOf(structure, rest), ...controlOf(control)];
      return decodeEvent(kind, code, first, structures);
    },
  };
}

function controlOf(text: string | undefined): DecodedStructure[] {
  const kind = kindNamed('amdvi.control');
  const value = text === undefined ? null : hexNumber(text);
  if (kind === null || value === null) return [];
  const decoded = decodedOrNull(kind, [value]);
  return decoded === null ? [] : [decoded];
}

/** Name in a log, and kind of its finding. */
export const loggedName = ({ logged, name }: AmdEvent) => logged ?? name;
export const kindOfEvent = ({ name }: AmdEvent) => `amdvi.${name.toLowerCase().replaceAll('_', '-')}`;

const LINUX = 'Linux';
const VIOMMU = 'Linux with virtual IOMMUs of AMD (patches)';

/** An example of each event; what Linux has no line for it prints as UNKNOWN. */
const EXAMPLES: readonly (readonly [code: number, example: string, printedBy: string, follow?: 'DTE' | 'CMD'])[] = [
  [
    1,
    'iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:06:00.0 pasid=0x00000 address=0x135300000 flags=0x0080]',
    LINUX,
    'DTE',
  ],
  [2, 'nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000b address=0xb6674000 flags=0x0000]', LINUX],
  [
    3,
    'iommu ivhd0: AMD-Vi: Event logged [DEV_TAB_HARDWARE_ERROR device=0000:06:00.0 address=0x103f0c000 flags=0x0200]',
    LINUX,
  ],
  [
    4,
    'iommu ivhd0: AMD-Vi: Event logged [PAGE_TAB_HARDWARE_ERROR device=0000:06:00.0 pasid=0x000b address=0x103f0c000 flags=0x0220]',
    LINUX,
  ],
  [5, 'iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR address=0x100340]', LINUX, 'CMD'],
  [6, 'iommu ivhd0: AMD-Vi: Event logged [COMMAND_HARDWARE_ERROR address=0x100340 flags=0x0200]', LINUX],
  [7, 'iommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=63:00.0 address=0x42b5b01a0]', LINUX],
  [
    8,
    'iommu ivhd1: AMD-Vi: Event logged [INVALID_DEVICE_REQUEST device=0000:00:00.0 pasid=0x00000 address=0xfffffffdf8000000 flags=0x0a00]',
    LINUX,
  ],
  [
    9,
    'iommu ivhd0: AMD-Vi: Event logged [INVALID_PPR_REQUEST device=0000:06:00.0 pasid=0x00005 address=0x7f0000001000 flags=0x0004 tag=0x003]',
    LINUX,
  ],
  [11, 'iommu ivhd0: AMD-Vi: Event logged [GUEST_EVENT_FAULT gid=#5 flags=0x0000 vflags=0x2]', VIOMMU],
  [
    12,
    'iommu ivhd0: AMD-Vi: Event logged [VIOMMU_HW_ERR gid=0x5 address=0x103f0c000 src=0x1 flags=0x200 vflags=0x2]',
    VIOMMU,
  ],
  [
    13,
    'nvme 0000:01:00.0: AMD-Vi: Event logged [RMP_PAGE_FAULT vmg_tag=0x0001, gpa=0x12340000, flags_rmp=0x0001, flags=0x0020]',
    'Linux 5.15 and later',
  ],
  [
    14,
    'AMD-Vi: Event logged [RMP_HW_ERROR device=0000:06:00.0, vmg_tag=0x0000, spa=0x10000, flags=0x0200]',
    'Linux 5.15 and later',
  ],
];

function formatOf([code, example, printedBy, follow]: (typeof EXAMPLES)[number]): LineFormat {
  const event = EVENT_BY_CODE[code] as AmdEvent;
  const kind = kindOfEvent(event);
  return {
    id: kind,
    needle: `[${loggedName(event)}`,
    pattern: new RegExp(String.raw`${PREFIX}${HEAD}${loggedName(event)}\b${FIELDS}`, 'i'),
    example,
    printedBy,
    decode: (groups) => decodeEvent(kind, code, groups),
    ...(follow === undefined ? {} : { follow: followedBy(kind, code, follow) }),
  };
}

export const EVENT_LINES: readonly LineFormat[] = EXAMPLES.map(formatOf);
