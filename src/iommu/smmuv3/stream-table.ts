/** From a StreamID to its STE (IHI 0070, 3.3.1, 3.3.2, 5.1, 5.2), an access at a time; and what the STE decides before any translation. */
import type { Memory } from '../../machine/index.ts';
import { wordAt } from '../kit/words.ts';
import { ALL_RIGHTS, ENTRY, idOf } from './cache-entries.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { STE_AT, STE_TAG } from './configuration.ts';
import { CLASS, EVENT } from './event-record.ts';
import { ATS, dirtiesOf, isTranslatedRequest, isTranslationRequest, overridden, REQUEST, rightsOf } from './request.ts';
import { STE_CONFIG } from './structures.ts';
import type { Translation } from './translation.ts';
import { LOOK, NO_EVENT, TASK } from './translation.ts';

/** Registers that a look-up goes by, as an {@link SmmuCore} has them. */
export interface StreamTableBase {
  readonly has: SmmuCapabilities;
  readonly e2h: boolean;
  readonly checksAts: boolean;
  readonly streamTableHi: number;
  readonly streamTableLo: number;
  readonly streamTableLog2: number;
  readonly streamTableSplit: number;
}

/** log2 of the bytes of an STE and of a CD, and of a level-1 descriptor. */
export const STRUCTURE_BITS = 6;
export const LEVEL_ONE_BITS = 3;

/** Spans from 12 on are reserved (5.1). */
const MOST_SPAN = 11;

/** S1DSS: what becomes of transactions without SubstreamID; 0 and 3 terminate. */
export const S1DSS = { bypass: 1, substream0: 2 } as const;

/** STE.EATS; 3 behaves as 0 without a device permission table (5.2). */
export const EATS = { full: 1, split: 2 } as const;

/** log2 of the bytes that a pass-through is known to hold for. */
const PAGE_BITS = 12;

/** STRW of EL2; the others of Non-secure STEs are EL1 (5.2). */
const STRW_EL2 = 2;

/** What comes before the STE: the StreamID is in the table, or not. @returns index of its level-1 descriptor; −1 in a linear table; −2: refused */
export function levelOneIndex(base: StreamTableBase, t: Translation): number {
  const log2 = Math.min(base.streamTableLog2, base.has.idr1.SIDSIZE);
  if (t.sid >= 2 ** log2) {
    t.refuse(EVENT.C_BAD_STREAMID);
    return -2;
  }
  const split = base.streamTableSplit;
  return split === 0 ? -1 : t.sid >>> split;
}

/** The STE of a linear table, or the level-1 descriptor, is read next. @param index of {@link levelOneIndex} */
export function locateStream(base: StreamTableBase, t: Translation, index: number): void {
  t.look = LOOK.none;
  t.physHi = base.streamTableHi;
  // The table is aligned to its size by LOG2SIZE as it is written, which IDR1.SIDSIZE does not limit (6.3.24).
  const log2 = base.streamTableLog2;
  if (index < 0) {
    const low = log2 + STRUCTURE_BITS;
    place(t, base.streamTableLo, low, t.sid, STRUCTURE_BITS);
    t.task = TASK.ste;
  } else {
    const low = Math.max(STRUCTURE_BITS, log2 - base.streamTableSplit + LEVEL_ONE_BITS);
    place(t, base.streamTableLo, low, index, LEVEL_ONE_BITS);
    t.task = TASK.l1std;
  }
}

/** `physHi` and `physLo` of an element of a table that is aligned to 2^low bytes. */
export function place(t: Translation, baseLo: number, low: number, index: number, elementBits: number): void {
  // Up to 2^38 bytes of a linear table of 2^32 STEs: beyond the lower half. What is aligned to more than any address has begins at 0.
  const offset = index * 2 ** elementBits;
  const aligned = low >= 32 ? 0 : baseLo & (-1 << low);
  if (low > 32) t.physHi = (low < 64 ? t.physHi & (-1 << (low - 32)) : 0) | Math.floor(offset / 2 ** 32);
  t.physLo = aligned | (offset | 0);
}

/** A level-1 descriptor of the stream table (5.1). @returns false: refused */
export function takeL1std(base: StreamTableBase, t: Translation, lo: number, hi: number): boolean {
  const span = lo & 31;
  const split = base.streamTableSplit;
  if (span === 0 || span > MOST_SPAN || span > split + 1) return t.refuse(EVENT.C_BAD_STREAMID);
  const index = t.sid & ((1 << split) - 1);
  if (index >= 1 << (span - 1)) return t.refuse(EVENT.C_BAD_STREAMID);
  t.physHi = hi & 0xffffff;
  place(t, lo, STRUCTURE_BITS + span - 1, index, STRUCTURE_BITS);
  t.look = LOOK.none;
  t.task = TASK.ste;
  // 3.4.3 (5): a fetch from beyond the OAS is F_STE_FETCH.
  return t.physHi >>> (base.has.oas - 32) === 0 ? true : refuseFetch(t, EVENT.F_STE_FETCH);
}

export function refuseFetch(t: Translation, event: number): false {
  t.fetchHi = t.physHi;
  t.fetchLo = t.physLo;
  return t.refuse(event);
}

/** Reads `into.length` halves from where the translation is at. @returns false where nothing decodes */
export function readHalves(memory: Memory, t: Translation, into: Int32Array): boolean {
  for (let i = 0; i < into.length; i += 2) {
    const at = wordAt(memory, t.physHi, t.physLo + 4 * i);
    if (at < 0) return false;
    into[i] = memory.lo(at);
    into[i + 1] = memory.hi(at);
  }
  return true;
}

/**
 * The STE is known: what it decides by itself, in the order of 7.3.22. Then look at what `look` says; a bypass is done.
 * @param words where `t.ste` is
 * @returns false: refused
 */
export function enterStream(base: StreamTableBase, t: Translation, words: Int32Array): boolean {
  const tag = words[t.ste + STE_AT.tag];
  if (((tag >>> STE_TAG.bad) & 1) !== 0) return t.refuse(EVENT.C_BAD_STE);
  t.config = (tag >>> STE_TAG.config) & 7;
  if (t.config === STE_CONFIG.abort) return t.refuse(NO_EVENT);
  t.mev = (tag >>> STE_TAG.mev) & 1;
  const eats = (tag >>> STE_TAG.eats) & 3;
  if ((t.kind & ATS) !== 0 && !allowsAts(base, t, eats)) return false;
  const substreams = (tag >>> STE_TAG.cdMax) & 31;
  const dss = (tag >>> STE_TAG.dss) & 3;
  if (t.ssid >= 0) {
    if ((t.config & 1) === 0 || substreams === 0 || t.ssid >= 1 << substreams) return t.refuse(EVENT.C_BAD_SUBSTREAMID);
    if (t.ssid === 0 && dss === S1DSS.substream0) return t.refuse(EVENT.F_STREAM_DISABLED);
    t.index = t.ssid;
  } else {
    if ((t.config & 1) !== 0 && substreams > 0) {
      if (dss === S1DSS.bypass) t.config &= ~1;
      else if (dss !== S1DSS.substream0) return t.refuse(EVENT.F_STREAM_DISABLED);
    }
    t.index = 0;
  }
  takeOverrides(t, (tag >>> STE_TAG.priv) & 3, (tag >>> STE_TAG.inst) & 3);
  const el2 = ((tag >>> STE_TAG.strw) & 3) === STRW_EL2;
  t.both = !el2 || base.e2h;
  t.owner = el2 ? 1 << ENTRY.regime : 0;
  t.id = idOf(el2 ? 0 : words[t.ste + STE_AT.vmid], 0);
  t.split = eats === EATS.split;
  if (isTranslatedRequest(t.kind)) return enterTranslated(base.has, t);
  if ((t.config & 1) !== 0) {
    t.look = LOOK.cd;
    return true;
  }
  return bypassFirst(base.has, t);
}

/** What ATS wants of a stream (3.9.1.2, 3.9.1.3): STE.EATS, which has no effect without translation, and `split` without ATSCHK. @returns false: refused */
function allowsAts({ checksAts }: StreamTableBase, t: Translation, eats: number): boolean {
  const allowed = t.config !== STE_CONFIG.bypass && (eats === EATS.full || (eats === EATS.split && checksAts));
  return allowed || t.refuse(isTranslationRequest(t.kind) ? EVENT.F_BAD_ATS_TREQ : EVENT.F_TRANSL_FORBIDDEN);
}

/** A translated transaction goes to where its address says, with split-stage ATS through stage 2 (13.6.3). */
function enterTranslated(has: SmmuCapabilities, t: Translation): boolean {
  if (!t.split) {
    t.finish(t.hi, t.lo);
    return true;
  }
  t.config = STE_CONFIG.s2;
  return bypassFirst(has, t);
}

/** Attributes of the request, with what the STE makes of them. */
export function takeOverrides(t: Translation, priv: number, inst: number): void {
  const kind = priv + inst === 0 ? t.kind : overridden(t.kind, priv, inst);
  t.kind = kind;
  // A translation request gets what rights there are (3.9.1).
  t.want = isTranslationRequest(kind) ? 0 : rightsOf(kind);
  t.dirties = dirtiesOf(kind);
  const isWrite = (kind & REQUEST.write) !== 0;
  t.rnw = isWrite ? 0 : 1;
  t.ind = isWrite || (kind & REQUEST.instruction) === 0 ? 0 : 1;
  t.pnu = (kind & REQUEST.privileged) !== 0 ? 1 : 0;
}

/** Stage 1 does not translate: the address is an IPA, or goes out as it is, if it is within the IAS, which is the OAS (3.4). */
function bypassFirst(has: SmmuCapabilities, t: Translation): boolean {
  if (t.hi >>> (has.oas - 32) !== 0) {
    // Such a transaction is aborted whatever a CD or the STE says of faults (3.12).
    t.class = CLASS.IN;
    t.s2 = 0;
    t.s = 0;
    t.r = 1;
    t.a = 1;
    return t.refuse(EVENT.F_ADDR_SIZE);
  }
  if ((t.config & 2) === 0) {
    t.grants = ALL_RIGHTS;
    t.bits = PAGE_BITS;
    t.finish(t.hi, t.lo);
    return true;
  }
  t.purpose = TASK.output;
  t.second.inHi = t.hi;
  t.second.inLo = t.lo;
  t.second.want = t.want;
  t.second.dirties = t.dirties;
  t.look = LOOK.ipa;
  return true;
}
