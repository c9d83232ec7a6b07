/** What a translation in scalable mode has found out so far (VT-d 3.4.3, 3.6 – 3.9). */
import { Walk } from './walk.ts';

/** What is read next: one entry, or 128 bits of one, which is what hardware reads at once (chapter 9). */
export const STAGE = {
  /** Nothing is; the caches were not looked at yet. */
  start: 0,
  root: 1,
  /** Lower and upper half of a context entry. */
  context: 2,
  contextHigh: 3,
  directory: 4,
  /** First quarter of a PASID-table entry, and the others: the last two have nothing in them but bits that must be 0. */
  entry: 5,
  entryHigh: 6,
  /** The PASID-table entry is known; the paging-structure caches were not looked at yet. */
  known: 7,
  first: 8,
  second: 9,
  /** The dirty flag of a first-stage leaf is to be set. */
  dirty: 10,
} as const;

/** What the second stage translates. */
export const PURPOSE = { page: 0, table: 1 } as const;

/** What the entry that was read is good for: a paging-structure cache of the first stage, or of the second. */
export const FILL = { none: 0, first: 1, second: 2 } as const;

/** Rights of the first stage so far, ANDed over the levels. */
export const FIRST = { rw: 1, us: 2, all: 3 } as const;

/** State of one walk. `pfnHi` and `pfnLo` are the table to read next, `level` that of the first stage, `perms` those of the second stage. */
export class ScalableWalk extends Walk {
  stage: number = STAGE.start;
  /** PASID under which it is translated: that of the request, or RID_PASID. */
  tablePasid = 0;
  /** The request's privilege, or RID_PRIV. */
  supervisor = false;
  /** Context entry: RID_PASID, RID_PRIV, PDTS, PASIDE, DTE, and the PASID directory. */
  ridPasid = 0;
  ridPriv = 0;
  pdts = 0;
  paside = 0;
  dte = 0;
  pre = 0;
  directoryHi = 0;
  directoryLo = 0;
  pgtt = 0;
  /** PASID-table entry: FSPM, WPE, EAFE, SSADE, and whether paging entries are snooped. */
  fspm = 0;
  sre = 0;
  wpe = 0;
  eafe = 0;
  ssade = 0;
  snooped = 0;
  secondTopHi = 0;
  secondTopLo = 0;
  firstTopHi = 0;
  firstTopLo = 0;
  firstRights = FIRST.all as number;
  /** Rights that the second stage gives to the first-stage table, R 1 and W 2. */
  tableRights = 3;
  /** Level of the first-stage leaf; 0 where there is none (yet). */
  leafLevel = 0;
  /** The first-stage leaf whose dirty flag is to be set, and the table that it is in. */
  leafLo = 0;
  leafHi = 0;
  leafTableHi = 0;
  leafTableLo = 0;
  /** Second stage: see {@link PURPOSE}; level whose entry is read next; page number that it translates. */
  purpose: number = PURPOSE.page;
  secondLevel = 0;
  inHi = 0;
  inLo = 0;
  /** Of the page that was found: smaller of both stages. */
  pageLevel = 0;
  /** The page's first-stage leaf, or its second-stage leaf with SSADE, is known to be dirty; 1 where there is no such flag. */
  dirty = 0;
  /** After a step: see {@link FILL}, and the level of the entry that is meant. */
  fill: number = FILL.none;
  fillLevel = 0;
  /** After a step: the second stage begins at its top; entries of its caches may do instead. */
  began = false;
}

/** Forgets what the request's walk before it has left, so that equal walks are equal. */
export function resetWalk(walk: ScalableWalk): void {
  walk.stage = STAGE.start;
  walk.at = 0;
  walk.fpd = false;
  walk.did = 0;
  walk.tablePasid = 0;
  walk.supervisor = false;
  walk.ridPasid = 0;
  walk.ridPriv = 0;
  walk.pdts = 0;
  walk.paside = 0;
  walk.dte = 0;
  walk.pre = 0;
  walk.directoryHi = 0;
  walk.directoryLo = 0;
  walk.pgtt = 0;
  walk.aw = 0;
  walk.fspm = 0;
  walk.sre = 0;
  walk.wpe = 0;
  walk.eafe = 0;
  walk.ssade = 0;
  walk.snooped = 0;
  walk.secondTopHi = 0;
  walk.secondTopLo = 0;
  walk.firstTopHi = 0;
  walk.firstTopLo = 0;
  walk.level = 0;
  walk.perms = 3;
  walk.firstRights = FIRST.all;
  walk.tableRights = 3;
  walk.leafLevel = 0;
  walk.leafLo = 0;
  walk.leafHi = 0;
  walk.leafTableHi = 0;
  walk.leafTableLo = 0;
  walk.purpose = PURPOSE.page;
  walk.secondLevel = 0;
  walk.inHi = 0;
  walk.inLo = 0;
  walk.pageLevel = 0;
  walk.dirty = 0;
  walk.fill = FILL.none;
  walk.began = false;
}
