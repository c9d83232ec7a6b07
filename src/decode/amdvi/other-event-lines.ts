/** Further forms of AMD-Vi events: what Linux has no line for, what it printed in two lines once, and what Xen prints. */
import type { Finding } from '../finding.ts';
import { bdf, hexNumber, NOTHING, pciRequester } from '../finding.ts';
import type { Groups, LineFormat } from '../line-format.ts';
import { decodedOrNull, fieldOf } from '../structure.ts';
import { eventFinding } from './event-finding.ts';
import { decodeEvent, EVENT_BY_CODE, FIELDS, kindOfEvent, loggedName } from './event-lines.ts';
import { AMD_EVENT } from './kinds.ts';

const ALL_EVENTS = Object.entries(EVENT_BY_CODE);

/** `IO_PAGE_FAULT device=…]` on a line of its own. */
function splitEvent({ fields, name }: Groups): Finding | null {
  const found = ALL_EVENTS.find(([, event]) => loggedName(event) === name);
  return found === undefined ? null : decodeEvent(kindOfEvent(found[1]), Number(found[0]), { fields });
}

/** Four words of 32 bits, of an event that Linux does not know: the code may all the same be one of the specification. */
function unknownEvent({ a, b, c, d }: Groups): Finding | null {
  const words = [a, b, c, d].map((word) => hexNumber(word ?? ''));
  if (!words.every((word) => word !== null)) return null;
  const [w0, w1, w2, w3] = words as [bigint, bigint, bigint, bigint];
  const decoded = decodedOrNull(AMD_EVENT, [w0 | (w1 << 32n), w2 | (w3 << 32n)]);
  const code = Number(w1 >> 28n);
  const event = EVENT_BY_CODE[code];
  return {
    ...NOTHING,
    kind: 'amdvi.unknown-event',
    model: 'amdvi',
    severity: event?.name === 'EVENT_COUNTER_ZERO' ? 'info' : 'error',
    summary:
      event === undefined
        ? `an event of code 0x${code.toString(16)}, which the specification has not`
        : `${event.name}: ${event.text} (Linux has no line for it)`,
    code: {
      value: code,
      name: event?.name ?? 'EventCode',
      meaning: event?.text ?? 'no event of revision 3.11',
      clause: event?.clause ?? null,
    },
    structures: decoded === null ? [] : [decoded],
  };
}

/** An event as Xen prints it: a name, which its words have, too; of those, what every event has at the same place (AMD-Vi 2.5). */
function xenWords({ a, b, c, d }: Groups): Finding | null {
  const words = [a, b, c, d].map((word) => hexNumber(word ?? ''));
  if (!words.every((word) => word !== null)) return null;
  const [w0, w1, w2, w3] = words as [bigint, bigint, bigint, bigint];
  const entry = [w0 | (w1 << 32n), w2 | (w3 << 32n)] as const;
  const code = Number(w1 >> 28n);
  const event = EVENT_BY_CODE[code];
  const record = decodedOrNull(AMD_EVENT, entry);
  if (event === undefined || record === null) return null;
  const id = Number(fieldOf(record, 'DeviceID'));
  const names = new Set(record.fields.map(({ name }) => name));
  return eventFinding({
    ...{ kind: kindOfEvent(event), code, event, details: [], structures: [record] },
    requester: names.has('DeviceID') ? pciRequester(bdf(id)) : null,
    domain: names.has('DomainID') ? Number(fieldOf(record, 'DomainID')) : null,
    address: entry[1],
    flags: Number((entry[0] >> 48n) & 0xfffn),
  });
}

/** Xen's line of a page fault. Its flags are those of the entry. */
function xenFault({ address, device, flags, id }: Groups): Finding | null {
  const event = EVENT_BY_CODE[PAGE_FAULT];
  const named = device ?? (id === undefined ? '' : bdf(Number.parseInt(id, 16)));
  const requester = pciRequester(named);
  const value = hexNumber(address ?? '');
  if (event === undefined || requester === null || value === null) return null;
  return eventFinding({
    ...{ kind: kindOfEvent(event), code: PAGE_FAULT, event, requester, address: value },
    ...{ domain: null, details: [], structures: [] },
    flags: Number.parseInt(flags ?? '', 16),
  });
}

const PAGE_FAULT = 2;

const HEX32 = (name: string) => `0x(?<${name}>[0-9a-f]{1,8})`;

export const OTHER_EVENT_LINES: readonly LineFormat[] = [
  {
    id: 'amdvi.unknown-event',
    needle: 'UNKNOWN event[0]=',
    pattern: new RegExp(
      String.raw`UNKNOWN event\[0\]=${HEX32('a')} event\[1\]=${HEX32('b')} event\[2\]=${HEX32('c')} event\[3\]=${HEX32('d')}`,
      'i',
    ),
    example:
      'iommu ivhd0: AMD-Vi: Event logged [UNKNOWN event[0]=0x00000000 event[1]=0xa0000000 event[2]=0x00000001 event[3]=0x00000000',
    printedBy: 'Linux',
    decode: unknownEvent,
  },
  {
    id: 'amdvi.event.split',
    needle: 'Event logged [',
    pattern: /Event logged \[\s*$/,
    example: 'AMD-Vi: Event logged [',
    printedBy: 'Linux 4.9 to 4.20: the event on a line of its own',
    decode: () => ({
      ...NOTHING,
      kind: 'amdvi.event',
      model: 'amdvi',
      severity: 'error',
      summary: 'an event whose text is not in the log',
    }),
    follow: {
      pattern: new RegExp(
        String.raw`(?<!Event logged \[)\b(?<name>${ALL_EVENTS.map(([, event]) => loggedName(event)).join('|')}) ${FIELDS}\]`,
      ),
      count: 1,
      example: ['IO_PAGE_FAULT device=02:00.0 domain=0x0017 address=0x00000000be9f9880 flags=0x0010]'],
      decode: (_, [second]) => splitEvent(second ?? {}),
    },
  },
  {
    id: 'amdvi.io-page-fault.xen',
    needle: 'AMD-Vi: IO_PAGE_FAULT: ',
    pattern:
      /AMD-Vi: IO_PAGE_FAULT: (?<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) d\S{1,12} addr (?<address>[0-9a-f]{1,16}) flags (?:0x)?(?<flags>[0-9a-f]{1,3})\b/i,
    example: '(XEN) AMD-Vi: IO_PAGE_FAULT: 0000:00:13.1 d0 addr 00000000000eb380 flags 0x20 RW',
    printedBy: 'Xen 4.14 and later',
    decode: xenFault,
  },
  {
    id: 'amdvi.io-page-fault.xen-old',
    needle: 'AMD-Vi: IO_PAGE_FAULT: ',
    pattern:
      /AMD-Vi: IO_PAGE_FAULT: domain = \d{1,5}, device id = 0x(?<id>[0-9a-f]{1,4}), fault address = 0x(?<address>[0-9a-f]{1,16}), flags = 0x(?<flags>[0-9a-f]{1,3})\b/i,
    example:
      '(XEN) AMD-Vi: IO_PAGE_FAULT: domain = 0, device id = 0x2600, fault address = 0xfffffffdf8000000, flags = 0x8',
    printedBy: 'Xen before 4.14',
    decode: xenFault,
  },
  {
    id: 'amdvi.invalid-device-request.xen',
    needle: '(XEN) AMD-Vi: ',
    pattern:
      /AMD-Vi: (?:\[?(?:ILLEGAL_DEV_TABLE_ENTRY|IO_PAGE_FAULT|DEV_TABLE_HW_ERROR|PAGE_TABLE_HW_ERROR|ILLEGAL_COMMAND_ERROR|COMMAND_HW_ERROR|IOTLB_INV_TIMEOUT|INVALID_DEV_REQUEST)\]?):? (?<a>[0-9a-f]{8}) (?<b>[0-9a-f]{8}) (?<c>[0-9a-f]{8}) (?<d>[0-9a-f]{8})/,
    example: '(XEN) AMD-Vi: INVALID_DEV_REQUEST 00000800 8a000000 f8000840 000000fd',
    printedBy: 'Xen 4.14 and later: the entry in words',
    decode: xenWords,
  },
];
