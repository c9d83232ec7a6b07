/** Event records (IHI 0070, 7.3): what is known of a transaction, in the places that the declaration of its event has. */
import type { Field, Fields } from '../../bits/index.ts';
import { put } from '../../bits/index.ts';
import { EVENT_BYTES } from './event-structures.ts';
import { EVENTS } from './events.ts';

/** Event numbers that a model compares with (7.3). */
export const EVENT = {
  F_UUT: 0x01,
  C_BAD_STREAMID: 0x02,
  F_STE_FETCH: 0x03,
  C_BAD_STE: 0x04,
  F_BAD_ATS_TREQ: 0x05,
  F_STREAM_DISABLED: 0x06,
  F_TRANSL_FORBIDDEN: 0x07,
  C_BAD_SUBSTREAMID: 0x08,
  F_CD_FETCH: 0x09,
  C_BAD_CD: 0x0a,
  F_WALK_EABT: 0x0b,
  F_TRANSLATION: 0x10,
  F_ADDR_SIZE: 0x11,
  F_ACCESS: 0x12,
  F_PERMISSION: 0x13,
  F_TLB_CONFLICT: 0x20,
  F_CFG_CONFLICT: 0x21,
  E_PAGE_REQUEST: 0x24,
  F_VMS_FETCH: 0x25,
} as const;

/** CLASS of an event (7.3). */
export const CLASS = { CD: 0, TTD: 1, IN: 2 } as const;

/** Bits of {@link EventSource.rights}. */
export const RIGHT = { uR: 1, uW: 2, uX: 4, pR: 8, pW: 16, pX: 32 } as const;

/**
 * What an event is made of; a walk is one. Numbers and bits throughout, so that none is boxed; what its event has no place for says nothing.
 * Addresses are halves of byte addresses.
 */
export interface EventSource {
  /** See {@link EVENT}. */
  event: number;
  /** StreamID, unsigned. */
  sid: number;
  /** SubstreamID; −1: none was supplied. */
  ssid: number;
  /** 1: read. */
  rnw: number;
  /** After the overrides of the STE, as {@link ind}. */
  pnu: number;
  ind: number;
  /** 1: it faulted at stage 2. */
  s2: number;
  /** See {@link CLASS}. */
  class: number;
  /** Input address. */
  hi: number;
  lo: number;
  /** Of a stage 2 fault. */
  ipaHi: number;
  ipaLo: number;
  /** What an access that was aborted was to read. */
  fetchHi: number;
  fetchLo: number;
  /** CD.S, CD.R, CD.A of stage 1; STE.S2S, STE.S2R, 1 of stage 2 (5.5). S is 0 of what cannot stall. */
  s: number;
  r: number;
  a: number;
  /** STE.MEV. */
  mev: number;
  /** F_PERMISSION of a table: 1, the table was read. */
  ttrnw: number;
  /** Of translation requests and page requests: rights, see {@link RIGHT}; log2 of the span or the span. */
  rights: number;
  span: number;
}

/** A source with nothing in it. */
export function eventSource(): EventSource {
  return {
    ...{ event: 0, sid: 0, ssid: -1, rnw: 0, pnu: 0, ind: 0, s2: 0, class: 0, hi: 0, lo: 0, ipaHi: 0, ipaLo: 0 },
    ...{ fetchHi: 0, fetchLo: 0, s: 0, r: 0, a: 1, mev: 0, ttrnw: 0, rights: 0, span: 0 },
  };
}

type Value = (of: EventSource) => number;

const right =
  (bit: number): Value =>
  ({ rights }) =>
    (rights & bit) !== 0 ? 1 : 0;
/** With privilege or without. */
const either = (bits: number): Value => right(bits);

/** By the field's name in the declarations; fields that are not here are 0. STAG and Stall are put in when there is a STAG. */
const VALUES: Readonly<Record<string, Value>> = {
  StreamID: ({ sid }) => sid,
  SSV: ({ ssid }) => (ssid < 0 ? 0 : 1),
  SubstreamID: ({ ssid }) => Math.max(ssid, 0),
  RnW: ({ rnw }) => rnw,
  PnU: ({ pnu }) => pnu,
  InD: ({ ind }) => ind,
  S2: ({ s2 }) => s2,
  CLASS: (of) => of.class,
  TTRnW: ({ ttrnw }) => ttrnw,
  Span: ({ span }) => span,
  R: either(RIGHT.uR | RIGHT.pR),
  W: either(RIGHT.uW | RIGHT.pW),
  X: either(RIGHT.uX | RIGHT.pX),
  Priv: either(RIGHT.pR | RIGHT.pW | RIGHT.pX),
  uR: right(RIGHT.uR),
  uW: right(RIGHT.uW),
  uX: right(RIGHT.uX),
  pR: right(RIGHT.pR),
  pW: right(RIGHT.pW),
  pX: right(RIGHT.pX),
};

/** Addresses likewise, which of the source's they are: upper half, lower half. IPA counts with S2 only. */
const ADDRESSES: Readonly<Record<string, readonly [hi: Value, lo: Value]>> = {
  InputAddr: [({ hi }) => hi, ({ lo }) => lo],
  IPA: [(of) => (of.s2 === 1 ? of.ipaHi : 0), (of) => (of.s2 === 1 ? of.ipaLo : 0)],
  FetchAddr: [({ fetchHi }) => fetchHi, ({ fetchLo }) => fetchLo],
};

type Writer = (halves: Int32Array, of: EventSource) => void;

/** Bits of a field that lie in a half of its record. */
function inHalf(field: Field, half: number): number {
  let mask = 0;
  for (let n = 0; n < 32; n++) if (half * 32 + n >= field.lo && half * 32 + n <= field.hi) mask |= 1 << n;
  return mask;
}

function writer(name: string, field: Field): Writer | null {
  const value = VALUES[name];
  if (value !== undefined) return (halves, of) => put(field, halves, value(of));
  const address = ADDRESSES[name];
  if (address === undefined) return null;
  const half = (field.lo >>> 6) * 2;
  const [loMask, hiMask] = [inHalf(field, half), inHalf(field, half + 1)];
  return (halves, of) => {
    halves[half] |= address[1](of) & loMask;
    halves[half + 1] |= address[0](of) & hiMask;
  };
}

const WRITERS: Readonly<Record<number, readonly Writer[]>> = Object.fromEntries(
  Object.entries(EVENTS).map(([number, { record }]) => [
    number,
    Object.entries(record.fields as Fields)
      .map(([name, field]) => writer(name, field))
      .filter((write): write is Writer => write !== null),
  ]),
);

/** Halves of a record. */
export const RECORD_HALVES = EVENT_BYTES / 4;

/** Makes the record of an event that has a declaration. */
export function makeRecord(of: EventSource, into: Int32Array): void {
  into.fill(0);
  into[0] = of.event;
  for (const write of WRITERS[of.event]) write(into, of);
}
