/** Scalable mode: its caches, and the walk of its tables, of which a step handles one entry (VT-d 3.4.3, 3.6 – 3.9, 6.2). */
import type { CacheSizes } from './cache-entries.ts';
import { levelTag } from './cache-entries.ts';
import type { VtdCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { FirstStage, missingFirst } from './first-stage.ts';
import { ScalableCaches } from './scalable-caches.ts';
import {
  FIRST_PAGING,
  FIRST_TAG,
  PASID,
  PASID_TAG,
  RIGHT,
  SM_CONTEXT,
  SM_CONTEXT_TAG,
  SM_IOTLB,
  SM_TAG,
} from './scalable-entries.ts';
import { SM_FAULT } from './scalable-faults.ts';
import type { ScalableReserved } from './scalable-reserved.ts';
import { scalableReserved } from './scalable-reserved.ts';
import { PGTT } from './scalable-structures.ts';
import { refuse, ScalableTables } from './scalable-tables.ts';
import { FILL, FIRST, PURPOSE, resetWalk, ScalableWalk, STAGE } from './scalable-walk.ts';
import { missingSecond, SecondStage } from './second-stage.ts';
import { isInterruptFrame, STEP } from './walk.ts';

export class Scalable {
  readonly caches: ScalableCaches;
  /** The walk at hand; loaded and saved around each step of a transaction. */
  readonly walk = new ScalableWalk();
  readonly tables: ScalableTables;
  readonly reserved: ScalableReserved;
  readonly first: FirstStage;
  private readonly second: SecondStage;
  private readonly core: VtdCore;
  private readonly vpnHiLimit: Int32Array;
  private readonly hostLimit: number;

  constructor(core: VtdCore, sizes: CacheSizes, replaces: boolean) {
    const { has, walker } = core;
    this.core = core;
    this.caches = new ScalableCaches(core.arena, sizes, replaces);
    const { profile } = core;
    const reserved = scalableReserved(has, profile.checksPasidReserved);
    this.reserved = reserved;
    this.vpnHiLimit = walker.vpnHiLimit;
    this.tables = new ScalableTables(walker.memory, has, reserved, walker.vpnHiLimit, profile.setsUnsnoopedFlags);
    this.first = new FirstStage(walker.memory, reserved, walker.vpnHiLimit);
    this.second = new SecondStage(walker);
    this.hostLimit = 2 ** (has.haw - 30);
  }

  /**
   * A request begins. @param pasid −1 for one without
   * @param access rights that it needs (see REQUEST)
   */
  begin(
    sid: number,
    pasid: number,
    vpnHi: number,
    vpnLo: number,
    access: number,
    privileged: boolean,
    execute: boolean,
  ): void {
    const { core, walk } = this;
    const { words } = core.arena;
    resetWalk(walk);
    walk.sid = sid;
    walk.pasid = pasid;
    walk.vpnHi = vpnHi;
    walk.vpnLo = vpnLo;
    walk.access = access;
    walk.privileged = privileged;
    walk.execute = execute;
    walk.pfnHi = words[core.internal.base + INTERNAL.rootHi];
    walk.pfnLo = words[core.internal.base + INTERNAL.rootLo];
    walk.stage = STAGE.root;
  }

  /** Handles one entry: that of `walk.stage`. @returns see STEP; done with the page's frame in the walk */
  step(): number {
    const { walk } = this;
    walk.fill = FILL.none;
    walk.began = false;
    switch (walk.stage) {
      case STAGE.root:
        return this.tables.root(walk);
      case STAGE.context:
        return this.tables.context(walk);
      case STAGE.contextHigh:
        return this.tables.contextHigh(walk);
      case STAGE.directory:
        return this.tables.directory(walk);
      case STAGE.entry:
        return this.tables.entry(walk);
      case STAGE.entryHigh:
        return this.tables.entryHigh(walk);
      case STAGE.first:
        return this.first.entry(walk);
      case STAGE.second:
        return this.second.entry(walk);
      default:
        return this.first.dirty(walk);
    }
  }

  /** The PASID-table entry is known, read or cached: what the request asks for (SPT.5, SPT.6), and where its translation begins. */
  enter(): number {
    const { walk } = this;
    walk.began = false;
    if (walk.execute) return refuse(walk, SM_FAULT.executeUnsupported);
    if (walk.supervisor && walk.sre === 0) return refuse(walk, SM_FAULT.supervisorDisabled);
    if (walk.pgtt === PGTT.passThrough) return this.pass();
    if (walk.pgtt === PGTT.secondStage) {
      if (walk.vpnHi < 0 || walk.vpnHi >= this.vpnHiLimit[walk.aw]) return refuse(walk, SM_FAULT.beyondInputWidth);
      walk.inHi = walk.vpnHi;
      walk.inLo = walk.vpnLo;
      walk.secondLevel = walk.aw + 2;
      walk.pfnHi = walk.secondTopHi;
      walk.pfnLo = walk.secondTopLo;
      walk.stage = STAGE.second;
      walk.began = true;
      return STEP.more;
    }
    if (!FirstStage.isCanonical(walk.vpnHi, walk.fspm)) return refuse(walk, SM_FAULT.notCanonical);
    walk.level = 4 + walk.fspm;
    if (walk.pgtt === PGTT.nested) this.first.nest(walk, PURPOSE.table, walk.firstTopHi, walk.firstTopLo);
    else {
      walk.pfnHi = walk.firstTopHi;
      walk.pfnLo = walk.firstTopLo;
      walk.stage = STAGE.first;
    }
    return STEP.more;
  }

  /** The address as it is, in the host's address space (3.9; SGN.4, SGN.8). */
  private pass(): number {
    const { walk } = this;
    if (walk.vpnHi < 0 || walk.vpnHi >= this.hostLimit) return refuse(walk, SM_FAULT.beyondHostWidth);
    walk.pfnHi = walk.vpnHi >>> 2;
    walk.pfnLo = ((walk.vpnHi & 3) << 18) | walk.vpnLo;
    return isInterruptFrame(walk.pfnHi, walk.pfnLo) ? refuse(walk, SM_FAULT.interruptRange) : STEP.done;
  }

  // ---- caches ---------------------------------------------------------------------------------------------------------

  /** A context-cache entry does instead of root and context entry. */
  useContext(entry: number): number {
    const { caches, walk } = this;
    const tag = caches.tag(entry);
    walk.fpd = ((tag >>> SM_CONTEXT_TAG.fpd) & 1) === 1;
    walk.paside = (tag >>> SM_CONTEXT_TAG.paside) & 1;
    walk.ridPriv = (tag >>> SM_CONTEXT_TAG.ridPriv) & 1;
    walk.pdts = (tag >>> SM_CONTEXT_TAG.pdts) & 7;
    walk.dte = (tag >>> SM_CONTEXT_TAG.dte) & 1;
    walk.ridPasid = caches.word(entry, SM_CONTEXT.ridPasid);
    walk.directoryHi = caches.word(entry, SM_CONTEXT.directoryHi);
    walk.directoryLo = caches.word(entry, SM_CONTEXT.directoryLo);
    return this.tables.select(walk);
  }

  fillContext(): void {
    const { caches, walk } = this;
    const tag =
      SM_CONTEXT_TAG.valid |
      ((walk.fpd ? 1 : 0) << SM_CONTEXT_TAG.fpd) |
      (walk.paside << SM_CONTEXT_TAG.paside) |
      (walk.ridPriv << SM_CONTEXT_TAG.ridPriv) |
      (walk.pdts << SM_CONTEXT_TAG.pdts) |
      (walk.dte << SM_CONTEXT_TAG.dte);
    caches.fillContext(tag, walk.sid, walk.ridPasid, walk.directoryHi, walk.directoryLo);
  }

  /** A PASID-cache entry does instead of directory and table entry. */
  usePasid(entry: number): void {
    const { caches, walk } = this;
    const tag = caches.tag(entry);
    walk.fpd ||= ((tag >>> PASID_TAG.fpd) & 1) === 1;
    walk.pgtt = (tag >>> PASID_TAG.pgtt) & 7;
    walk.aw = (tag >>> PASID_TAG.aw) & 7;
    walk.fspm = (tag >>> PASID_TAG.fspm) & 1;
    walk.wpe = (tag >>> PASID_TAG.wpe) & 1;
    walk.eafe = (tag >>> PASID_TAG.eafe) & 1;
    walk.ssade = (tag >>> PASID_TAG.ssade) & 1;
    walk.snooped = (tag >>> PASID_TAG.snooped) & 1;
    walk.sre = (tag >>> PASID_TAG.sre) & 1;
    walk.did = tag >>> PASID_TAG.did;
    walk.secondTopHi = caches.word(entry, PASID.secondTopHi);
    walk.secondTopLo = caches.word(entry, PASID.secondTopLo);
    walk.firstTopHi = caches.word(entry, PASID.firstTopHi);
    walk.firstTopLo = caches.word(entry, PASID.firstTopLo);
    walk.stage = STAGE.known;
  }

  fillPasid(): void {
    const { caches, walk } = this;
    const tag =
      PASID_TAG.valid |
      ((walk.fpd ? 1 : 0) << PASID_TAG.fpd) |
      (walk.pgtt << PASID_TAG.pgtt) |
      (walk.aw << PASID_TAG.aw) |
      (walk.fspm << PASID_TAG.fspm) |
      (walk.wpe << PASID_TAG.wpe) |
      (walk.eafe << PASID_TAG.eafe) |
      (walk.ssade << PASID_TAG.ssade) |
      (walk.snooped << PASID_TAG.snooped) |
      (walk.sre << PASID_TAG.sre) |
      (walk.did << PASID_TAG.did);
    const { firstTopHi, firstTopLo, secondTopHi, secondTopLo } = walk;
    caches.fillPasid(tag, walk.sid, walk.tablePasid, secondTopHi, secondTopLo, firstTopHi, firstTopLo);
  }

  /** A cached first-stage entry does instead of those above. @returns false where it lacks a right */
  useFirst(level: number, entry: number): boolean {
    const { caches, walk } = this;
    const tag = caches.tag(entry);
    const rights = (tag >>> FIRST_TAG.rights) & FIRST.all;
    if (missingFirst(walk, rights) !== 0) return false;
    walk.firstRights = rights;
    walk.tableRights = (tag >>> FIRST_TAG.tableRights) & 3;
    walk.level = level - 1;
    walk.pfnHi = caches.word(entry, FIRST_PAGING.tableHi);
    walk.pfnLo = caches.word(entry, FIRST_PAGING.tableLo);
    walk.purpose = PURPOSE.page;
    walk.secondLevel = 0;
    walk.inHi = 0;
    walk.inLo = 0;
    walk.perms = 3;
    walk.stage = STAGE.first;
    return true;
  }

  /** A cached second-stage entry does instead of those above. @returns false where it lacks a right */
  useSecond(level: number, entry: number): boolean {
    const { caches } = this.core;
    const { walk } = this;
    const perms = caches.pagingPerms(entry);
    const needs = walk.purpose === PURPOSE.page ? walk.access : walk.ssade === 1 ? 3 : 1;
    if (missingSecond(needs, perms) !== 0) return false;
    walk.perms = perms;
    walk.secondLevel = level - 1;
    walk.pfnHi = caches.pagingTableHi(entry);
    walk.pfnLo = caches.pagingTableLo(entry);
    return true;
  }

  /** Caches the entry that the last step has read, where it references a table. */
  fillPaging(): void {
    const { caches, walk } = this;
    if (walk.fill === FILL.second) {
      const { did, fillLevel, inHi, inLo, perms, pfnHi, pfnLo } = walk;
      this.core.caches.fillPaging(fillLevel, did, perms, inHi, inLo, pfnHi, pfnLo);
    } else if (walk.fill === FILL.first) {
      const tag =
        levelTag(walk.fillLevel) |
        (walk.firstRights << FIRST_TAG.rights) |
        (walk.tableRights << FIRST_TAG.tableRights) |
        (walk.did << FIRST_TAG.did);
      caches.fillFirst(tag, walk.tablePasid, walk.vpnHi, walk.vpnLo, walk.pfnHi, walk.pfnLo);
    }
  }

  /** Caches the page that was found, as one of `level`; not one that was passed through. */
  fillTranslation(level = this.walk.pageLevel): void {
    const { caches, walk } = this;
    if (walk.pageLevel === 0) return;
    const tag =
      levelTag(level) |
      (this.rights() << SM_TAG.rights) |
      ((walk.fpd ? 1 : 0) << SM_TAG.fpd) |
      (walk.dirty << SM_TAG.dirty) |
      (walk.pgtt << SM_TAG.pgtt);
    const pfnLo = walk.pfnLo & (-1 << (9 * (level - 1)));
    const { did, pasid, pfnHi, sid, tablePasid, vpnHi, vpnLo } = walk;
    caches.fillTranslation(tag, did, sid, pasid >= 0, tablePasid, vpnHi, vpnLo, pfnHi, pfnLo);
  }

  /**
   * What the page grants. Requests without PASID have one privilege, which is settled here; those with PASID have theirs each.
   */
  private rights(): number {
    const { walk } = this;
    const writable = (walk.perms & 2) !== 0;
    const read = walk.perms & RIGHT.read;
    const userWrite = writable && (walk.firstRights & FIRST.rw) !== 0;
    const supervisorWrite = writable && (walk.wpe === 0 || (walk.firstRights & FIRST.rw) !== 0);
    const user = (walk.firstRights & FIRST.us) !== 0;
    if (walk.pasid < 0 && walk.supervisor) return read | RIGHT.user | (supervisorWrite ? RIGHT.write : 0);
    const rights = read | (user ? RIGHT.user : 0) | (userWrite ? RIGHT.write : 0);
    if (walk.pasid < 0 || walk.sre === 0) return rights;
    return rights | RIGHT.supervisor | (supervisorWrite ? RIGHT.supervisorWrite : 0);
  }

  /** A cached translation serves. */
  hit(entry: number): void {
    const { caches, walk } = this;
    walk.fpd = ((caches.tag(entry) >>> SM_TAG.fpd) & 1) === 1;
    walk.did = caches.word(entry, SM_IOTLB.did);
    walk.pfnHi = caches.pageHi(entry);
    walk.pfnLo = caches.pageLo(entry, walk.vpnLo);
  }

  /** What the request is known by then to who drains it (6.5.4), besides its domain id. */
  takeTags(entry: number): void {
    const { caches, walk } = this;
    walk.tablePasid = caches.word(entry, SM_IOTLB.pasid);
    walk.pgtt = (caches.tag(entry) >>> SM_TAG.pgtt) & 7;
  }
}

/** What a cached translation must grant. @param access see REQUEST */
export function rightsFor(access: number, supervisor: boolean): number {
  const reads = access & RIGHT.read;
  if ((access & RIGHT.write) === 0) return RIGHT.read | (supervisor ? RIGHT.supervisor : RIGHT.user);
  return reads | (supervisor ? RIGHT.supervisorWrite : RIGHT.write | RIGHT.user);
}
