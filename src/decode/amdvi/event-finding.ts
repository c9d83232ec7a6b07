/** An AMD-Vi event, as a log prints its parts, as a {@link Finding}. */

import type { AmdEvent, Flag } from '../../iommu/amdvi/events.ts';
import { flagsOf, INVALID_REQUEST_TEXT, pageFaultText } from '../../iommu/amdvi/events.ts';
import type { AccessKind, Address, Detail, Finding, Requester, Space } from '../finding.ts';
import { NOTHING } from '../finding.ts';
import type { DecodedStructure } from '../structure.ts';
import { suspectsOf } from './suspects.ts';

/** Parts of an event that its line has; those that it has not are null. */
export interface Logged {
  readonly kind: string;
  readonly code: number;
  readonly event: AmdEvent;
  readonly requester: Requester | null;
  readonly domain: number | null;
  readonly address: bigint | null;
  /** 12 bits; what each means depends on the event. */
  readonly flags: number | null;
  readonly details: readonly Detail[];
  readonly structures: readonly DecodedStructure[];
}

/** Of which space the address of each event is: of tables and commands physical; the others of the request. */
const SPACE: Readonly<Record<number, Space>> = {
  3: 'physical',
  4: 'physical',
  5: 'physical',
  6: 'physical',
  7: 'physical',
  12: 'physical',
  13: 'IPA',
  14: 'physical',
};

/** What the address is the address of, where it is none of the request. */
const OF_WHAT: Readonly<Record<number, string>> = {
  3: 'of the device table entry',
  4: 'of the paging entry',
  5: 'of the command',
  6: 'of the command',
  7: 'of the command',
};

export function eventFinding(logged: Logged): Finding {
  const { code, event, flags, requester } = logged;
  const decoded = flags === null ? [] : flagsOf(event.entry, flags);
  const values = Object.fromEntries(decoded.map(({ name, value }) => [name, value]));
  const access = accessOf(values);
  const meaning = meaningOf(code, event, flags, values);
  const address = addressOf(logged, access);
  const where = address === null ? '' : `, address 0x${address.value.toString(16)}${ofWhat(code)}`;
  return {
    ...NOTHING,
    kind: logged.kind,
    model: 'amdvi',
    severity: code === COUNTER_ZERO ? 'info' : 'error',
    summary: `${whoText(requester)}${event.name}: ${meaning}${where}`,
    requester,
    access,
    address,
    code: { value: code, name: event.name, meaning, clause: event.clause },
    details: [...detailsOf(logged, decoded), ...logged.details],
    structures: logged.structures,
    causes: suspectsOf(code, {
      flags: values,
      access,
      pasid: requester?.pasid ?? null,
      address: address?.value ?? null,
      domain: logged.domain,
    }),
  };
}

/** EVENT_COUNTER_ZERO informs of a counter. */
const COUNTER_ZERO = 10;

function whoText(requester: Requester | null): string {
  if (requester === null) return '';
  const { pasid, text } = requester;
  return pasid === null ? `${text}: ` : `${text} PASID 0x${pasid.toString(16)}: `;
}

function ofWhat(code: number): string {
  const what = OF_WHAT[code];
  return what === undefined ? '' : ` ${what}`;
}

/** Of events that have RW and the like among their flags. */
function accessOf({ I, RW, TR }: Readonly<Record<string, number>>): AccessKind | null {
  if (I === 1) return 'interrupt';
  if (TR === 1) return 'translation request';
  if (RW === undefined) return null;
  return RW === 1 ? 'write' : 'read';
}

function addressOf({ address, code }: Logged, access: AccessKind | null): Address | null {
  if (address === null) return null;
  // An interrupt has none of the device's addresses, but one of the range that stands for interrupts.
  return { value: address, space: SPACE[code] ?? (access === 'interrupt' ? 'unknown' : 'IOVA') };
}

function meaningOf(
  code: number,
  event: AmdEvent,
  flags: number | null,
  { RZ, TR, Type }: Readonly<Record<string, number>>,
): string {
  if (flags === null) return event.text;
  switch (event.name) {
    case 'IO_PAGE_FAULT':
      return pageFaultText(flags);
    case 'ILLEGAL_DEV_TABLE_ENTRY':
      return `${event.text}: ${RZ === 1 ? 'a reserved bit is set' : 'an encoding is invalid'}`;
    case 'INVALID_DEVICE_REQUEST':
      return INVALID_REQUEST_TEXT[TR === 1 ? 1 : 0][Type ?? -1] ?? `${event.text} (type ${Type})`;
    default:
      return code === COUNTER_ZERO ? event.text : withType(event, Type);
  }
}

/** Hardware errors say what became of the access. */
function withType({ entry, text }: AmdEvent, type: number | undefined): string {
  const what = type === undefined ? undefined : entry.fields.Type?.values?.[type];
  return what === undefined ? text : `${text}: ${what}`;
}

/** Every flag that the event has. */
function detailsOf({ domain, flags }: Logged, decoded: readonly Flag[]): Detail[] {
  const details: Detail[] = [];
  if (domain !== null) details.push(['domain', `0x${domain.toString(16)}`]);
  if (flags !== null) {
    const each = decoded.map(({ name, text, value }) =>
      name === 'reserved'
        ? `reserved bits 0x${value.toString(16)} are set`
        : `${name} ${value}${text === null ? '' : ` (${text})`}`,
    );
    details.push(['flags', `0x${flags.toString(16).padStart(4, '0')}: ${each.join(', ') || 'none has a meaning'}`]);
  }
  return details;
}
