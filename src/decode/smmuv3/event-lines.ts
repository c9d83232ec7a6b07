/**
 * Linux's lines of SMMUv3 events (drivers/iommu/arm/arm-smmu-v3). Up to 6.12 the record as four words; since then those words first, then the event by its
 * name and, of translation faults, a line of what was tried. Xen prints the words.
 */
import { EVENTS } from '../../iommu/smmuv3/events.ts';
import type { AccessKind, Detail, Finding } from '../finding.ts';
import { hexNumber } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import type { DecodedStructure } from '../structure.ts';
import { decodedOrNull } from '../structure.ts';
import { smmuEventFinding } from './event-finding.ts';
import { SMMU_EVENT } from './kinds.ts';

/** Before a message: the unit that prints it. A line that has nothing of an SMMU before it is another's. */
export const UNIT = String.raw`^(?=.{0,300}?smmu).{0,300}?(?:(?<unit>[^\s:]{1,64}): )?`;
/** A word of 64 bits on a line of its own; a tab before it may have been written as an escape. */
export const WORD = String.raw`(?:^|[\s:])(?:#011)?0x(?<word>[0-9a-f]{8} ?[0-9a-f]{8})\s*$`;

const NAMED = String.raw`event: (?<name>[A-Z][A-Z0-9_]{1,30}) client: (?<client>\(unassigned sid\)|\S{1,64}) sid: (?<sid>0x[0-9a-f]{1,8}|0) ssid: (?<ssid>0x[0-9a-f]{1,5}|0)(?: iova: (?<iova>0x[0-9a-f]{1,16}|0) ipa: (?<ipa>0x[0-9a-f]{1,16}|0)| fetch_addr: (?<fetch>0x[0-9a-f]{1,16}|0))?`;
/** The class of an address has a name in quotes. */
const TRIED = `(?<privilege>(?:un)?priv) (?<what>data|inst) (?<how>read|write) (?<stage>s1|s2) "(?<class>[^"]{1,40})"(?<table> ttd_read| ttd_write)?(?<stall> stall)? stag: (?<stag>0x[0-9a-f]{1,4}|0)`;

const numberOf = (text: string | undefined) => (text === undefined ? null : Number(hexNumber(text)));

/** The word of a line, which a mail may have broken by a space. */
export function wordOf({ word }: Groups): bigint | null {
  return word === undefined ? null : hexNumber(word.replace(' ', ''));
}

/** Names in a log, and numbers: what Linux does not know it calls UNKNOWN. */
const NUMBER_OF = new Map(Object.entries(EVENTS).map(([number, { name }]) => [name, Number(number)]));

function accessOf(number: number, isRead: boolean | null, isInstruction: boolean): AccessKind | null {
  if (number === NUMBER_OF.get('F_BAD_ATS_TREQ')) return 'translation request';
  if (number === NUMBER_OF.get('E_PAGE_REQUEST')) return 'page request';
  if (isRead === null) return null;
  if (!isRead) return 'write';
  return isInstruction ? 'execute' : 'read';
}

/** From the words of a record. */
function fromRecord(number: number, first: Groups, record: DecodedStructure, client: string | null): Finding {
  const values = new Map(record.fields.map(({ meaning, name, value }) => [name, { meaning, value }]));
  const value = (name: string) => values.get(name)?.value ?? null;
  const isSet = (name: string) => value(name) === 1n;
  const substream = value('SubstreamID');
  const hasSubstream = substream !== null && (values.has('SSV') ? isSet('SSV') : true);
  const isRead = values.has('RnW') ? isSet('RnW') : null;
  const details = recordDetails(values, isSet('Stall'));
  return smmuEventFinding({
    ...{ kind: 'smmuv3.event', number, unit: first.unit ?? null, client, details, structures: [record] },
    streamId: Number(value('StreamID')),
    substreamId: hasSubstream ? Number(substream) : null,
    access: accessOf(number, isRead, isSet('InD')),
    input: value('InputAddr'),
    fetch: value('FetchAddr'),
    ipa: isSet('S2') ? value('IPA') : null,
    ownAddress: (value('CLASS') ?? CLASS_IN) === CLASS_IN,
    stalled: isSet('Stall'),
  });
}

/** What the line that Linux prints since 6.13 has, under the same names; the rest is in the record. */
function recordDetails(
  values: ReadonlyMap<string, { readonly meaning: string | null; readonly value: bigint }>,
  stalled: boolean,
): Detail[] {
  const named: readonly (readonly [field: string, name: string])[] = [
    ['S2', 'stage'],
    ['CLASS', 'class'],
    ['PnU', 'privilege'],
  ];
  const details = named.flatMap(([field, name]): Detail[] => {
    const of = values.get(field);
    return of === undefined ? [] : [[name, of.meaning ?? `0x${of.value.toString(16)}`]];
  });
  return stalled ? [...details, ['STAG', `0x${values.get('STAG')?.value.toString(16)}`]] : details;
}

const CLASS_IN = 2n;
/** Linux's name of that class. */
const CLASS_IN_TEXT = 'Input address caused fault';

/** From the lines that name it; `tried` is there for translation faults only. */
function fromNames(number: number, first: Groups, named: Groups, tried: Groups): Finding {
  const [iova, ipa, fetch] = [named.iova, named.ipa, named.fetch].map((text) =>
    text === undefined ? null : hexNumber(text),
  );
  const has = tried.how !== undefined;
  const ssid = numberOf(named.ssid);
  return smmuEventFinding({
    ...{ kind: 'smmuv3.event', number, unit: first.unit ?? null, structures: [] },
    client: clientOf(named),
    streamId: numberOf(named.sid),
    // SubstreamID 0 and none are printed alike.
    substreamId: ssid === 0 ? null : ssid,
    access: accessOf(number, has ? tried.how === 'read' : null, tried.what === 'inst'),
    input: iova ?? null,
    fetch: fetch ?? null,
    ipa: tried.stage === 's2' ? (ipa ?? null) : null,
    ownAddress: !has || tried.class === CLASS_IN_TEXT,
    stalled: tried.stall !== undefined,
    details: has ? triedDetails(tried) : [],
  });
}

function triedDetails(tried: Groups): Detail[] {
  return [
    ['stage', tried.stage === 's2' ? 'stage 2' : 'stage 1'],
    ['class', tried.class ?? ''],
    ['privilege', tried.privilege === 'priv' ? 'privileged' : 'unprivileged'],
    ...(tried.stall === undefined ? [] : [['STAG', tried.stag ?? ''] as const]),
    ...(tried.table === undefined ? [] : [['access to the table', tried.table.trim()] as const]),
  ];
}

/** Null where Linux has no device of that StreamID. */
function clientOf({ client }: Groups): string | null {
  return client === undefined || client.startsWith('(') ? null : client;
}

/** All that came of one event: four words, a name, what was tried. */
function event(first: Groups, rest: readonly Groups[]): Finding | null {
  const number = numberOf(first.id) ?? 0;
  const words = rest.map(wordOf).filter((word) => word !== null);
  const named = rest.find(({ name }) => name !== undefined) ?? {};
  const tried = rest.find(({ how }) => how !== undefined) ?? {};
  const record = words.length === WORDS ? decodedOrNull(SMMU_EVENT, words) : null;
  // Words that say another number are of another event.
  if (record !== null && Number((words[0] ?? 0n) & 0xffn) === number)
    return fromRecord(number, first, record, clientOf(named));
  return fromNames(number, first, named, tried);
}

const WORDS = 4;

function namedEvent(first: Groups, rest: readonly Groups[]): Finding | null {
  const number = NUMBER_OF.get(first.name ?? '');
  return number === undefined ? null : fromNames(number, first, first, rest[0] ?? {});
}

const NAMED_EXAMPLE =
  'arm-smmu-v3 fc900000.iommu: event: F_TRANSLATION client: 0000:01:00.0 sid: 0x100 ssid: 0x0 iova: 0x90000f040 ipa: 0x0';
const TRIED_EXAMPLE = 'arm-smmu-v3 fc900000.iommu: unpriv data write s1 "Input address caused fault" stag: 0x0';

export const EVENT_LINES: readonly LineFormat[] = [
  {
    id: 'smmuv3.event',
    needle: 'event 0x',
    pattern: new RegExp(String.raw`${UNIT}event (?<id>0x[0-9a-f]{2}) received:\s*$`, 'i'),
    example: 'arm-smmu-v3 arm-smmu-v3.2.auto: event 0x10 received:',
    printedBy: 'Linux 4.1 and later, Xen; the words of the record follow',
    decode: (groups) => event(groups, []),
    follow: {
      pattern: new RegExp(`${WORD}|${NAMED}|${TRIED}`, 'i'),
      count: WORDS + 2,
      example: [
        ...SMMU_EVENT.example.map((word) => `arm-smmu-v3 fc900000.iommu: \t0x${word.slice(2).padStart(16, '0')}`),
        NAMED_EXAMPLE,
        TRIED_EXAMPLE,
      ],
      decode: event,
    },
  },
  {
    id: 'smmuv3.event.named',
    needle: ' client: ',
    pattern: new RegExp(`${UNIT}${NAMED}`, 'i'),
    example: NAMED_EXAMPLE,
    printedBy: 'Linux 6.13 and later, after the words',
    decode: (groups) => namedEvent(groups, []),
    follow: { pattern: new RegExp(TRIED), count: 1, example: [TRIED_EXAMPLE], decode: namedEvent },
  },
];
