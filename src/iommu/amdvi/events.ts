/** AMD-Vi events in words. Clauses: AMD publication 48882; see the README. */
import type { Field, Fields, Layout, Meaning } from '../../bits/index.ts';
import {
  COMMAND_HARDWARE_ERROR,
  DEV_TAB_HARDWARE_ERROR,
  EVENT_COUNTER_ZERO,
  GUEST_EVENT_FAULT,
  ILLEGAL_COMMAND_ERROR,
  ILLEGAL_DEV_TABLE_ENTRY,
  INVALID_DEVICE_REQUEST,
  INVALID_PPR_REQUEST,
  IO_PAGE_FAULT,
  IOTLB_INV_TIMEOUT,
  LOGGED_FLAGS,
  PAGE_TAB_HARDWARE_ERROR,
  RMP_HARDWARE_ERROR,
  RMP_PAGE_FAULT,
  VIOMMU_HARDWARE_ERROR,
} from './event-structures.ts';

export interface AmdEvent extends Meaning {
  readonly entry: Layout<Fields>;
  /** How Linux spells it in its log, where that differs. */
  readonly logged?: string;
}

function event(entry: Layout<Fields>, text: string, logged?: string): AmdEvent {
  const { name, clause } = entry;
  return logged === undefined ? { name, text, clause, entry } : { name, text, clause, entry, logged };
}

/** By event code, bits 63:60 of the entry. */
export const EVENTS = {
  1: event(ILLEGAL_DEV_TABLE_ENTRY, 'the device table entry of the device is illegal'),
  2: event(
    IO_PAGE_FAULT,
    'the request was refused: of a page by its paging entries, of an interrupt by its remapping entry',
  ),
  3: event(DEV_TAB_HARDWARE_ERROR, 'the device table could not be read'),
  4: event(PAGE_TAB_HARDWARE_ERROR, 'a page table, or the interrupt table, could not be read'),
  5: event(ILLEGAL_COMMAND_ERROR, 'a command has a reserved code or a reserved bit set; command processing stops'),
  6: event(COMMAND_HARDWARE_ERROR, 'a command could not be read, or its store failed; command processing stops'),
  7: event(IOTLB_INV_TIMEOUT, 'a device did not answer the invalidation of its IOTLB in time'),
  8: event(INVALID_DEVICE_REQUEST, 'the device may not send such a request'),
  9: event(INVALID_PPR_REQUEST, 'the device may not ask for pages'),
  10: event(EVENT_COUNTER_ZERO, 'a performance counter came round to 0'),
  11: event(GUEST_EVENT_FAULT, 'an event could not be written to the log of a virtual IOMMU'),
  12: event(VIOMMU_HARDWARE_ERROR, 'memory of a virtual IOMMU could not be accessed', 'VIOMMU_HW_ERR'),
  13: event(RMP_PAGE_FAULT, 'the reverse map table does not let the request reach the page'),
  14: event(RMP_HARDWARE_ERROR, 'the reverse map table could not be read', 'RMP_HW_ERROR'),
} as const satisfies Record<number, AmdEvent>;

/** INVALID_DEVICE_REQUEST.Type of an access (TR = 0), and of a translation request (TR = 1); the others are reserved. */
export const INVALID_REQUEST_TEXT: readonly [Readonly<Record<number, string>>, Readonly<Record<number, string>>] = [
  {
    0: 'a read or a non-posted write to the interrupt range',
    1: 'a translated request of a device whose entry has I = 0 or V = 0',
    2: 'port I/O of a device whose entry has IoCtl = 0',
    3: 'a posted write to the system management range that SysMgt does not let pass, or to the reserved range of translation requests',
    4: 'a read or a non-posted write to the system management range, or to the reserved range of translation requests',
    5: 'a posted write to the interrupt range of a device whose entry has IntCtl = 0',
    6: 'a posted write to a reserved part of the interrupt range',
    7: 'system management with SysMgt = 3, or port I/O with IoCtl = 2, where the entry has no translation (TV = 0)',
  },
  {
    0: 'a translation request of a device whose entry has I = 0, V = 0 or TV = 0',
    1: 'a translation request for a range that is not translated: interrupts, port I/O, system management',
  },
];

/** A field of an entry's flags as a log prints them. */
export interface Flag {
  readonly name: string;
  readonly value: number;
  /** What the value means, or null where it has no name. */
  readonly text: string | null;
}

/**
 * The fields that `flags=0x…` of a kernel log holds, lowest first.
 * @param entry of the event; `EVENTS[code].entry`
 * @param flags as printed: 12 bits, bit n of which is bit 48 + n of the entry
 * @returns all of them, 0 or not; a last one named `reserved`, if a bit is set that the event does not have
 */
export function flagsOf(entry: Layout<Fields>, flags: number): Flag[] {
  const fields: [string, Field][] = Object.entries(entry.fields)
    .filter(([, { lo, hi }]) => lo >= LOGGED_FLAGS.lo && hi <= LOGGED_FLAGS.hi)
    .sort(([, a], [, b]) => a.lo - b.lo);
  let rest = flags;
  const found = fields.map(([name, field]): Flag => {
    const shift = field.lo - LOGGED_FLAGS.lo;
    const mask = (1 << (field.hi - field.lo + 1)) - 1;
    const value = (flags >>> shift) & mask;
    rest &= ~(mask << shift);
    return { name, value, text: field.values?.[value] ?? null };
  });
  return rest === 0 ? found : [...found, { name: 'reserved', value: rest, text: null }];
}

/** IO_PAGE_FAULT in a sentence, by its flags. */
export function pageFaultText(flags: number): string {
  const is = Object.fromEntries(flagsOf(IO_PAGE_FAULT, flags).map(({ name, value }) => [name, value]));
  const wrong = is.RZ === 1 ? 'a reserved bit is set' : 'an encoding is invalid';
  if (is.I === 1) {
    if (is.PR === 0) return 'the interrupt is not remapped: its entry is not enabled, or it has none';
    return is.PE === 1 ? 'the interrupt is not permitted' : `${wrong} in the interrupt remapping entry`;
  }
  const what = is.TR === 1 ? 'translation request for a' : 'a';
  const access = is.RW === 1 ? 'write' : 'read';
  if (is.PR === 0) return `${what} ${access} of a page that is not present`;
  return is.PE === 1 ? `${what} ${access} without permission` : `${wrong} in a paging entry`;
}
