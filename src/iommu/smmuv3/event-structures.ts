/** SMMUv3 event records (IHI 0070, 7.3), 256 bits each, little-endian. In words: events.ts. */
import type { Fields } from '../../bits/index.ts';
import { address, bit, bits, fixed, named, structure } from '../../bits/index.ts';

export const EVENT_BYTES = 32;

/** The event number: the key of EVENTS. */
export const EVENT_ID = bits(7, 0);

/** 7.3.1 is what all have. */
function event<F extends Fields>(name: string, number: number, clause: number, fields: F) {
  return structure(name, 256, `SMMUv3 7.3.${clause}`, { ID: fixed(EVENT_ID, number), ...fields });
}

const StreamID = { StreamID: bits(63, 32) };
const SubstreamID = { SubstreamID: bits(31, 12) };
/** SSV: SubstreamID counts. */
const stream = { SSV: bit(11), ...SubstreamID, ...StreamID };

/** Implementation defined. */
const Reason16 = { Reason: bits(79, 64) };
const Reason32 = { Reason: bits(95, 64) };
/** The abort is a granule protection check's. */
const GPCF = { GPCF: bit(80) };

const RnW = { RnW: named(bit(99), { 0: 'write', 1: 'read' }) };
const access = {
  PnU: named(bit(97), { 0: 'unprivileged', 1: 'privileged' }),
  InD: named(bit(98), { 0: 'data', 1: 'instruction' }),
  ...RnW,
};
/** NSIPA: the IPA is Non-secure, of Secure streams. */
const stage = { NSIPA: bit(102), S2: named(bit(103), { 0: 'stage 1', 1: 'stage 2' }) };
/** What was translated when it faulted. */
const CLASS = {
  CLASS: named(bits(105, 104), {
    0: "CD: a context descriptor's address",
    1: "TT: a stage-1 table's address",
    2: "IN: the transaction's address",
  }),
};

const InputAddr = { InputAddr: address(191, 128) };
const InputPage = { InputAddr: address(191, 140) };
const IPA = { IPA: address(247, 204) };
const FetchAddr = { FetchAddr: address(247, 195) };

export const F_UUT = event('F_UUT', 0x01, 2, { ...stream, ...Reason16, ...access, ...InputAddr });
export const C_BAD_STREAMID = event('C_BAD_STREAMID', 0x02, 3, stream);
export const F_STE_FETCH = event('F_STE_FETCH', 0x03, 4, { ...stream, ...Reason16, ...GPCF, ...FetchAddr });
export const C_BAD_STE = event('C_BAD_STE', 0x04, 5, stream);

/** Of the translation request: its length and rights. */
export const F_BAD_ATS_TREQ = event('F_BAD_ATS_TREQ', 0x05, 6, {
  ...stream,
  Span: bits(67, 64),
  Priv: bit(92),
  X: bit(93),
  W: bit(94),
  R: bit(95),
  ...InputPage,
});

export const F_STREAM_DISABLED = event('F_STREAM_DISABLED', 0x06, 7, StreamID);
export const F_TRANSL_FORBIDDEN = event('F_TRANSL_FORBIDDEN', 0x07, 8, { ...StreamID, ...RnW, ...InputAddr });
export const C_BAD_SUBSTREAMID = event('C_BAD_SUBSTREAMID', 0x08, 9, { ...SubstreamID, ...StreamID });
export const F_CD_FETCH = event('F_CD_FETCH', 0x09, 10, { ...stream, ...Reason16, ...GPCF, ...FetchAddr });
export const C_BAD_CD = event('C_BAD_CD', 0x0a, 11, stream);

export const F_WALK_EABT = event('F_WALK_EABT', 0x0b, 12, {
  ...{ ...stream, ...Reason16, ...GPCF, ...access, ...stage, ...CLASS, ...InputAddr },
  ...FetchAddr,
});

/** Stall: the transaction waits for CMD_RESUME with this STAG; otherwise STAG means nothing. */
const translation = {
  ...{ ...stream, STAG: bits(79, 64), Stall: bit(95), ...access, ...stage, ...CLASS },
  IMPDEF: bits(127, 112),
  ...InputAddr,
  /** Counts with S2. */
  ...IPA,
};

export const F_TRANSLATION = event('F_TRANSLATION', 0x10, 13, translation);
export const F_ADDR_SIZE = event('F_ADDR_SIZE', 0x11, 14, translation);
export const F_ACCESS = event('F_ACCESS', 0x12, 15, translation);

/** Overlay, AssuredOnly and DirtyBit of SMMUv3.4 are not declared: no readable source has their bits. */
export const F_PERMISSION = event('F_PERMISSION', 0x13, 16, {
  ...translation,
  /** With CLASS TT: of the access to the table. */
  TTRnW: named(bit(108), { 0: 'write', 1: 'read' }),
});

export const F_TLB_CONFLICT = event('F_TLB_CONFLICT', 0x20, 17, {
  ...{ ...stream, ...Reason32, ...access, ...stage, ...InputAddr },
  ...IPA,
});

export const F_CFG_CONFLICT = event('F_CFG_CONFLICT', 0x21, 18, { ...stream, ...Reason32 });

/** Rights that will be wanted: unprivileged, privileged. */
export const E_PAGE_REQUEST = event('E_PAGE_REQUEST', 0x24, 19, {
  ...stream,
  uX: bit(97),
  uW: bit(98),
  uR: bit(99),
  pX: bit(101),
  pW: bit(102),
  pR: bit(103),
  Span: bits(115, 108),
  ...InputPage,
});

export const F_VMS_FETCH = event('F_VMS_FETCH', 0x25, 20, { ...stream, ...Reason16, ...GPCF, ...FetchAddr });
