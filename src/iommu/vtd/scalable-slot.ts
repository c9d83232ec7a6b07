/** Where a transaction in steps keeps its walk of scalable mode: in its slot, as slots may change places. */
import type { Dma } from '../../machine/index.ts';
import { PHASE, SLOT, TRANSLATOR_WORD } from '../../machine/index.ts';
import type { Scalable } from './scalable.ts';
import { STAGE } from './scalable-walk.ts';

/** `SLOT.step` of a transaction in scalable mode: this plus its stage; those of legacy mode are less. */
export const SCALABLE_STEP = 32;

/** Caches that are to be looked at before the next entry is read. */
export const LOOK = { none: 0, context: 1, pasid: 2, first: 3, second: 4, iotlb: 5 } as const;

const WORDS = [
  'levels',
  'entry',
  'ridPasid',
  'tablePasid',
  'directoryHi',
  'directoryLo',
  'secondTopHi',
  'secondTopLo',
  'firstTopHi',
  'firstTopLo',
  'leafLo',
  'leafHi',
  'leafTableHi',
  'leafTableLo',
  'inHi',
  'inLo',
] as const;

/** Words that a machine's transactions need for a unit with scalable mode (`MachineOptions.translatorWords`). */
export const SCALABLE_SLOT_WORDS = WORDS.length;

const AT = Object.fromEntries(WORDS.map((name, i) => [name, TRANSLATOR_WORD + i])) as Record<
  (typeof WORDS)[number],
  number
>;

/**
 * Bits of `levels`: level, leaf's, second stage's, page's; what to look at; level of the first paging entry that was used, 0 for none; of a
 * translation request, rights that it still can have.
 */
const LEVELS = {
  level: 0,
  leaf: 3,
  second: 6,
  page: 9,
  look: 12,
  used: 15,
  first: 18,
  table: 20,
  perms: 22,
  dirty: 24,
  asked: 26,
} as const;
/** Bits of `entry`: what the context entry and the PASID-table entry say. */
const ENTRY = {
  fpd: 0,
  paside: 1,
  ridPriv: 2,
  dte: 3,
  pdts: 4,
  supervisor: 7,
  pgtt: 8,
  aw: 11,
  fspm: 14,
  sre: 16,
  wpe: 17,
  eafe: 18,
  ssade: 19,
  snooped: 20,
  purpose: 21,
  torn: 22,
} as const;

/** What has become of an entry whose first part was read, and the others were not yet: see `torn-entries.ts`. */
export const TORN = { whole: 0, firstGone: 1, torn: 2 } as const;

/** Words that the first part of an entry is kept in until the others are read; those of the leaf, which comes later. */
export const FIRST_PART = [AT.leafLo, AT.leafHi, AT.leafTableHi, AT.leafTableLo] as const;

/** See {@link TORN}. @param flags to be set, if given */
export function tornFlags(dma: Dma, slot: number, flags?: number): number {
  const entry = dma.get(slot, AT.entry);
  if (flags === undefined) return (entry >>> ENTRY.torn) & 3;
  dma.set(slot, AT.entry, (entry & ~(3 << ENTRY.torn)) | (flags << ENTRY.torn));
  return flags;
}

/** Page frame number of the table that a walk reads next. */
export function tableOf(dma: Dma, slot: number): number {
  return dma.get(slot, SLOT.pfnHi) * 0x100000 + dma.get(slot, SLOT.pfnLo);
}

/** What `levels` has besides the walk. */
export interface SlotState {
  /** Whether it is a translation request: `walk.access` is what it can have then, and else is in the slot. */
  asks: boolean;
  look: number;
  used: number;
}

export function loadWalk(dma: Dma, slot: number, scalable: Scalable, state: SlotState): void {
  const { walk } = scalable;
  const levels = dma.get(slot, AT.levels);
  const entry = dma.get(slot, AT.entry);
  walk.stage = dma.get(slot, SLOT.step) - SCALABLE_STEP;
  walk.did = dma.get(slot, SLOT.did);
  walk.pfnHi = dma.get(slot, SLOT.pfnHi);
  walk.pfnLo = dma.get(slot, SLOT.pfnLo);
  walk.level = (levels >>> LEVELS.level) & 7;
  walk.leafLevel = (levels >>> LEVELS.leaf) & 7;
  walk.secondLevel = (levels >>> LEVELS.second) & 7;
  walk.pageLevel = (levels >>> LEVELS.page) & 7;
  state.look = (levels >>> LEVELS.look) & 7;
  state.used = (levels >>> LEVELS.used) & 7;
  walk.firstRights = (levels >>> LEVELS.first) & 3;
  walk.tableRights = (levels >>> LEVELS.table) & 3;
  walk.perms = (levels >>> LEVELS.perms) & 3;
  walk.dirty = (levels >>> LEVELS.dirty) & 1;
  if (state.asks) walk.access = (levels >>> LEVELS.asked) & 3;
  walk.fpd = ((entry >>> ENTRY.fpd) & 1) === 1;
  walk.paside = (entry >>> ENTRY.paside) & 1;
  walk.ridPriv = (entry >>> ENTRY.ridPriv) & 1;
  walk.dte = (entry >>> ENTRY.dte) & 1;
  walk.pdts = (entry >>> ENTRY.pdts) & 7;
  walk.supervisor = ((entry >>> ENTRY.supervisor) & 1) === 1;
  walk.pgtt = (entry >>> ENTRY.pgtt) & 7;
  walk.aw = (entry >>> ENTRY.aw) & 7;
  walk.fspm = (entry >>> ENTRY.fspm) & 3;
  walk.sre = (entry >>> ENTRY.sre) & 1;
  walk.wpe = (entry >>> ENTRY.wpe) & 1;
  walk.eafe = (entry >>> ENTRY.eafe) & 1;
  walk.ssade = (entry >>> ENTRY.ssade) & 1;
  walk.snooped = (entry >>> ENTRY.snooped) & 1;
  walk.purpose = (entry >>> ENTRY.purpose) & 1;
  walk.ridPasid = dma.get(slot, AT.ridPasid);
  walk.tablePasid = dma.get(slot, AT.tablePasid);
  walk.directoryHi = dma.get(slot, AT.directoryHi);
  walk.directoryLo = dma.get(slot, AT.directoryLo);
  walk.secondTopHi = dma.get(slot, AT.secondTopHi);
  walk.secondTopLo = dma.get(slot, AT.secondTopLo);
  walk.firstTopHi = dma.get(slot, AT.firstTopHi);
  walk.firstTopLo = dma.get(slot, AT.firstTopLo);
  walk.leafLo = dma.get(slot, AT.leafLo);
  walk.leafHi = dma.get(slot, AT.leafHi);
  walk.leafTableHi = dma.get(slot, AT.leafTableHi);
  walk.leafTableLo = dma.get(slot, AT.leafTableLo);
  walk.inHi = dma.get(slot, AT.inHi);
  walk.inLo = dma.get(slot, AT.inLo);
}

/** What is not needed any more is forgotten, so that states which differ in nothing else are one. */
export function saveWalk(dma: Dma, slot: number, scalable: Scalable, state: SlotState): void {
  const { walk } = scalable;
  const known = walk.stage >= STAGE.known;
  dma.set(slot, SLOT.phase, PHASE.translating);
  dma.set(slot, SLOT.step, SCALABLE_STEP + walk.stage);
  dma.set(slot, SLOT.did, walk.did);
  dma.set(slot, SLOT.pfnHi, walk.pfnHi);
  dma.set(slot, SLOT.pfnLo, walk.pfnLo);
  dma.set(
    slot,
    AT.levels,
    (walk.level << LEVELS.level) |
      (walk.leafLevel << LEVELS.leaf) |
      (walk.secondLevel << LEVELS.second) |
      (walk.pageLevel << LEVELS.page) |
      (state.look << LEVELS.look) |
      (state.used << LEVELS.used) |
      (walk.firstRights << LEVELS.first) |
      (walk.tableRights << LEVELS.table) |
      (walk.perms << LEVELS.perms) |
      (walk.dirty << LEVELS.dirty) |
      ((state.asks ? walk.access : 0) << LEVELS.asked),
  );
  dma.set(
    slot,
    AT.entry,
    ((walk.fpd ? 1 : 0) << ENTRY.fpd) |
      ((known ? 0 : walk.paside) << ENTRY.paside) |
      ((known ? 0 : walk.ridPriv) << ENTRY.ridPriv) |
      ((known ? 0 : walk.dte) << ENTRY.dte) |
      ((known ? 0 : walk.pdts) << ENTRY.pdts) |
      ((walk.supervisor ? 1 : 0) << ENTRY.supervisor) |
      (walk.pgtt << ENTRY.pgtt) |
      (walk.aw << ENTRY.aw) |
      (walk.fspm << ENTRY.fspm) |
      (walk.sre << ENTRY.sre) |
      (walk.wpe << ENTRY.wpe) |
      (walk.eafe << ENTRY.eafe) |
      (walk.ssade << ENTRY.ssade) |
      (walk.snooped << ENTRY.snooped) |
      (walk.purpose << ENTRY.purpose),
  );
  dma.set(slot, AT.ridPasid, known ? 0 : walk.ridPasid);
  dma.set(slot, AT.tablePasid, walk.tablePasid);
  dma.set(slot, AT.directoryHi, known ? 0 : walk.directoryHi);
  dma.set(slot, AT.directoryLo, known ? 0 : walk.directoryLo);
  dma.set(slot, AT.secondTopHi, walk.secondTopHi);
  dma.set(slot, AT.secondTopLo, walk.secondTopLo);
  dma.set(slot, AT.firstTopHi, known ? 0 : walk.firstTopHi);
  dma.set(slot, AT.firstTopLo, known ? 0 : walk.firstTopLo);
  dma.set(slot, AT.leafLo, walk.leafLo);
  dma.set(slot, AT.leafHi, walk.leafHi);
  dma.set(slot, AT.leafTableHi, walk.leafTableHi);
  dma.set(slot, AT.leafTableLo, walk.leafTableLo);
  dma.set(slot, AT.inHi, walk.inHi);
  dma.set(slot, AT.inLo, walk.inLo);
}

export function clearWalk(dma: Dma, slot: number): void {
  for (let i = 0; i < SCALABLE_SLOT_WORDS; i++) dma.set(slot, TRANSLATOR_WORD + i, 0);
}

/** The walk is over: of it, only what a drain goes by is kept, which {@link drainedBy} reads. */
export function endWalk(dma: Dma, slot: number, { walk }: Scalable): void {
  clearWalk(dma, slot);
  dma.set(slot, SLOT.did, walk.did);
  dma.set(slot, AT.tablePasid, walk.tablePasid);
  dma.set(slot, AT.entry, walk.pgtt << ENTRY.pgtt);
}

/** PASID and PGTT of a transaction that is translated, or whose PASID-table entry is known. */
export function tagsOf(dma: Dma, slot: number): { pasid: number; pgtt: number } {
  return { pasid: dma.get(slot, AT.tablePasid), pgtt: (dma.get(slot, AT.entry) >>> ENTRY.pgtt) & 7 };
}

/** Level of the first paging entry that a walk has used; 0 where it has used none. */
export function usedLevel(dma: Dma, slot: number): number {
  return (dma.get(slot, AT.levels) >>> LEVELS.used) & 7;
}

/** Whether a walk has read the first stage's leaf, with nesting: what is left is to translate the page that it gives. */
export function hasReadLeaf(dma: Dma, slot: number): boolean {
  return ((dma.get(slot, AT.levels) >>> LEVELS.leaf) & 7) !== 0;
}
