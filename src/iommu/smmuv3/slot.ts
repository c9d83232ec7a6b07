/** Where a transaction in steps keeps its translation: in its slot, as slots may change places. */
import type { Dma } from '../../machine/index.ts';
import { MARK, PHASE, SLOT, TRANSLATOR_WORD } from '../../machine/index.ts';
import { ENTRY } from './cache-entries.ts';
import { CD_AT, CD_WORDS, STE_AT, STE_TAG, STE_WORDS, TABLE_AT } from './configuration.ts';
import { effectiveHi } from './context-table.ts';
import { REQUEST } from './request.ts';
import { takeOverrides } from './stream-table.ts';
import type { Translation } from './translation.ts';
import { LOOK, TASK } from './translation.ts';
import { DESCRIPTOR, SINGLE_PRIVILEGE } from './walk.ts';

const OWN = [
  ...(['progress', 'levels', 'rights', 'index', 'id', 'ipaHi', 'ipaLo', 'physHi', 'physLo'] as const),
  ...(['fetchHi', 'fetchLo'] as const),
];
type Own = (typeof OWN)[number];

const STE_BASE = TRANSLATOR_WORD;
const CD_BASE = STE_BASE + STE_WORDS.length;
const OWN_BASE = CD_BASE + CD_WORDS.length;

/** Words that a machine's transactions need for an SMMU (`MachineOptions.translatorWords`). */
export const SMMU_SLOT_WORDS = STE_WORDS.length + CD_WORDS.length + OWN.length;

const AT = Object.fromEntries(OWN.map((name, i) => [name, OWN_BASE + i])) as Record<Own, number>;

/** Offset in a slot of the words of its STE, and of its CD; without their StreamID, which the slot's device has. */
export const SLOT_STE = STE_BASE;
export const SLOT_CD = CD_BASE;

/** Of a transaction whose fault stalls: `step` is this plus its STAG, or plus −1 where it waits for a place (3.12.2). */
export const STALLED_STEP = 64;

/** `SLOT.step` of one that has begun. */
const BEGUN = 1;

/** The same of one that has read the first word of an STE or a CD, and is to read the rest; the word is where the structure will be. */
export const FIRST_WORD_STEP = 2;

/** Bits of `progress`. `kind` is REQUEST's, with the STE's overrides. */
const PROGRESS = {
  ...{ task: 0, look: 4, purpose: 7, config: 11, both: 14, split: 15, upper: 16, kind: 17 },
} as const;

/**
 * Bits of `levels`: level of either stage; log2 of the leaf of stage 1; hierarchical attributes; regime and ASET; first level of either stage that a descriptor, read or
 * cached, was used of, plus 1 (0: none).
 */
const LEVELS = {
  ...{ first: 0, second: 2, bits: 4, restrict: 10, owner: 14, usedFirst: 16, usedSecond: 19 },
  /** Of the leaf of stage 1: not global, nT. */
  ...{ notGlobal: 22, nT: 23 },
} as const;

/** Bits of `rights`: what the leaf of stage 1 grants; what stage 2 is to grant, and which of it makes dirty. */
const RIGHTS = { first: 0, second: 6, dirties: 12 } as const;

/** First levels that were used; see {@link LEVELS}. */
export interface Used {
  first: number;
  second: number;
}

/** A transaction as a request (3.9.1, 13.1), and what is known of it. */
export function load(dma: Dma, slot: number, t: Translation, used: Used): void {
  const { sid, pasid = -1, privileged } = dma.requesters[dma.get(slot, SLOT.device)];
  const flags = dma.get(slot, SLOT.flags);
  t.sid = sid;
  t.ssid = pasid;
  const direct = (flags & MARK.direct) !== 0;
  if (direct) {
    const [hi, lo] = [dma.get(slot, SLOT.pfnHi), dma.get(slot, SLOT.pfnLo)];
    t.hi = hi;
    t.lo = (lo << 12) | (dma.get(slot, SLOT.word) << 3);
    t.ssid = -1;
  } else {
    const [hi, lo] = [dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo)];
    t.hi = hi >> 2;
    t.lo = (hi << 30) | (lo << 12) | (dma.get(slot, SLOT.word) << 3);
  }
  t.ste = slot + STE_BASE;
  t.cd = slot + CD_BASE;
  if (dma.get(slot, SLOT.step) === 0) {
    let kind = dma.get(slot, SLOT.access);
    if ((flags & MARK.asks) !== 0) kind = kind === REQUEST.read ? REQUEST.translationNoWrite : REQUEST.translation;
    else if (direct) kind |= REQUEST.translated & ~REQUEST.read;
    t.kind = privileged === true && pasid >= 0 ? kind | REQUEST.privileged : kind;
    t.task = TASK.none;
    t.look = LOOK.ste;
    // What the STE and the CD will say; until then no other transaction's, which would be in this one's state.
    t.purpose = TASK.none;
    t.config = 0;
    t.both = true;
    t.split = false;
    t.table = t.cd + CD_AT.table0;
    t.owner = 0;
    t.id = 0;
    t.index = 0;
    t.mev = 0;
    used.first = 0;
    used.second = 0;
    return;
  }
  const progress = dma.get(slot, AT.progress);
  const levels = dma.get(slot, AT.levels);
  const rights = dma.get(slot, AT.rights);
  t.task = (progress >>> PROGRESS.task) & 15;
  t.look = (progress >>> PROGRESS.look) & 7;
  t.purpose = (progress >>> PROGRESS.purpose) & 15;
  t.config = (progress >>> PROGRESS.config) & 7;
  t.both = ((progress >>> PROGRESS.both) & 1) === 1;
  t.split = ((progress >>> PROGRESS.split) & 1) === 1;
  t.table = t.cd + (((progress >>> PROGRESS.upper) & 1) === 1 ? CD_AT.table1 : CD_AT.table0);
  t.kind = progress >>> PROGRESS.kind;
  takeOverrides(t, 0, 0);
  t.index = dma.get(slot, AT.index);
  t.id = dma.get(slot, AT.id);
  t.mev = (dma.get(t.ste, STE_AT.tag) >>> STE_TAG.mev) & 1;
  t.owner = ((levels >>> LEVELS.owner) & 3) << OWNER_AT;
  t.physHi = dma.get(slot, AT.physHi);
  t.physLo = dma.get(slot, AT.physLo);
  used.first = (levels >>> LEVELS.usedFirst) & 7;
  used.second = (levels >>> LEVELS.usedSecond) & 7;
  const { first, second } = t;
  first.control = dma.get(t.table, TABLE_AT.control);
  first.flags = dma.get(t.cd, CD_AT.tag) | (t.both ? 0 : SINGLE_PRIVILEGE);
  first.inLo = t.lo;
  first.inHi = effectiveHi(first.control, t.hi);
  first.want = t.want;
  first.dirties = t.dirties;
  first.level = (levels >>> LEVELS.first) & 3;
  first.bits = (levels >>> LEVELS.bits) & 63;
  first.restrict = (levels >>> LEVELS.restrict) & 15;
  first.fetchHi = dma.get(slot, AT.fetchHi);
  first.fetchLo = dma.get(slot, AT.fetchLo);
  first.rights = (rights >>> RIGHTS.first) & 63;
  // Of its leaf no more is asked for.
  first.lo =
    (((levels >>> LEVELS.notGlobal) & 1) === 1 ? DESCRIPTOR.NOT_GLOBAL : 0) |
    (((levels >>> LEVELS.nT) & 1) === 1 ? DESCRIPTOR.NT : 0);
  second.control = dma.get(t.ste, STE_AT.control);
  second.level = (levels >>> LEVELS.second) & 3;
  second.inHi = dma.get(slot, AT.ipaHi);
  second.inLo = dma.get(slot, AT.ipaLo);
  second.want = (rights >>> RIGHTS.second) & 63;
  second.dirties = (rights >>> RIGHTS.dirties) & 63;
}

/** Where `owner` has its two bits: regime and ASET, which are neighbours. */
const OWNER_AT = ENTRY.regime;

/** What is not needed any more is forgotten, so that states which differ in nothing else are one. */
export function save(dma: Dma, slot: number, t: Translation, used: Used): void {
  const { first, second } = t;
  // Stage 1 is being walked; its leaf is known, and stage 2 translates what it gives.
  const { purpose, task } = t;
  const ofFirst = task === TASK.first || task === TASK.firstUpdate || isOfFirst(purpose);
  const walksFirst = (t.config & 1) === 1 && ofFirst;
  const leafKnown = (t.config & 1) === 1 && purpose === TASK.output;
  const inSecond = purpose > 0;
  dma.set(slot, SLOT.phase, PHASE.translating);
  dma.set(slot, SLOT.step, BEGUN);
  dma.set(
    slot,
    AT.progress,
    (t.task << PROGRESS.task) |
      (t.look << PROGRESS.look) |
      (t.purpose << PROGRESS.purpose) |
      (t.config << PROGRESS.config) |
      ((t.both ? 1 : 0) << PROGRESS.both) |
      ((t.split ? 1 : 0) << PROGRESS.split) |
      ((t.table === t.cd + CD_AT.table1 ? 1 : 0) << PROGRESS.upper) |
      (t.kind << PROGRESS.kind),
  );
  dma.set(
    slot,
    AT.levels,
    ((walksFirst || leafKnown ? first.level : 0) << LEVELS.first) |
      ((inSecond && t.look === LOOK.none ? second.level : 0) << LEVELS.second) |
      ((leafKnown ? first.bits : 0) << LEVELS.bits) |
      ((walksFirst ? first.restrict : 0) << LEVELS.restrict) |
      (((t.owner >>> OWNER_AT) & 3) << LEVELS.owner) |
      (used.first << LEVELS.usedFirst) |
      (used.second << LEVELS.usedSecond) |
      ((leafKnown && (first.lo & DESCRIPTOR.NOT_GLOBAL) !== 0 ? 1 : 0) << LEVELS.notGlobal) |
      ((leafKnown && first.notCached ? 1 : 0) << LEVELS.nT),
  );
  dma.set(
    slot,
    AT.rights,
    ((leafKnown ? first.rights : 0) << RIGHTS.first) |
      ((inSecond ? second.want : 0) << RIGHTS.second) |
      ((inSecond ? second.dirties : 0) << RIGHTS.dirties),
  );
  dma.set(slot, AT.index, t.index);
  dma.set(slot, AT.id, t.id);
  dma.set(slot, AT.fetchHi, walksFirst ? first.fetchHi : 0);
  dma.set(slot, AT.fetchLo, walksFirst ? first.fetchLo : 0);
  dma.set(slot, AT.ipaHi, inSecond ? second.inHi : 0);
  dma.set(slot, AT.ipaLo, inSecond ? second.inLo : 0);
  const pending = t.look === LOOK.none;
  dma.set(slot, AT.physHi, pending ? t.physHi : 0);
  dma.set(slot, AT.physLo, pending ? t.physLo : 0);
}

function isOfFirst(purpose: number): boolean {
  return purpose === TASK.first || purpose === TASK.firstUpdate;
}

/** What has to be waited for of a transaction that is translated: the entries that it was translated by. */
export interface Drained {
  /** Tag of the translation, as the TLB has it, and of stage 2's; 0: none. */
  first: number;
  second: number;
  /** It used a CD. */
  cd: boolean;
}

/** The translation is over: of it, only what a drain goes by is kept. */
export function keepForDrain(dma: Dma, slot: number, t: Translation, drained: Drained): void {
  clear(dma, slot);
  dma.set(slot, AT.levels, drained.first);
  dma.set(slot, AT.progress, drained.second);
  dma.set(slot, AT.rights, drained.cd ? 1 : 0);
  dma.set(slot, AT.index, t.index);
  dma.set(slot, AT.id, t.id);
  dma.set(slot, AT.ipaHi, drained.second === 0 ? 0 : t.second.inHi);
  dma.set(slot, AT.ipaLo, drained.second === 0 ? 0 : t.second.inLo);
}

/** See {@link keepForDrain}. */
export function loadForDrain(dma: Dma, slot: number, t: Translation, into: Drained): void {
  into.first = dma.get(slot, AT.levels);
  into.second = dma.get(slot, AT.progress);
  into.cd = dma.get(slot, AT.rights) !== 0;
  t.index = dma.get(slot, AT.index);
  t.id = dma.get(slot, AT.id);
  t.second.inHi = dma.get(slot, AT.ipaHi);
  t.second.inLo = dma.get(slot, AT.ipaLo);
  const [hi, lo] = [dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo)];
  t.hi = hi >> 2;
  t.lo = (hi << 30) | (lo << 12);
}

export function clear(dma: Dma, slot: number): void {
  for (let i = 0; i < SMMU_SLOT_WORDS; i++) dma.set(slot, TRANSLATOR_WORD + i, 0);
}
