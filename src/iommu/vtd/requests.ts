/**
 * Translation of a DMA request one step at a time (VT-d 6.2.7), for the explorer and the adversary.
 * Long because all that one step may lead to is in one class.
 */
import { hex, hex64 } from '../../bits/index.ts';
import type { Dma } from '../../machine/index.ts';
import { bdf, MARK, PHASE, SLOT } from '../../machine/index.ts';
import { cacheContextFault, cacheFault, refusalOf } from './cached-faults.ts';
import { didOf, faultOf, levelOf, TAG } from './caches.ts';
import type { VtdCore } from './core.ts';
import { MODE } from './core.ts';
import { FAULT } from './faults.ts';
import { WALK_STEP } from './invalidation.ts';
import { isProtected } from './protected-memory.ts';
import { admit, isRecoverable, missingRight, REQUEST, refusedByMode, TT_DEVICE_TLB } from './request.ts';
import { ADDRESS_TYPE, kindOfSlot, requestOf } from './request-of-slot.ts';
import { ENTRY_NAME } from './structures.ts';
import type { Walk } from './walk.ts';
import { contextTag, indexAt, isInterruptFrame, STEP } from './walk.ts';

/** Bits of a slot's `perms` word above R and W. */
const SLOT_FPD = 4;
const SLOT_FPD_SHIFT = 2;

/** Rights of which a cached translation has to have one. */
function wantedOf(walk: Walk): number {
  return walk.access === REQUEST.zeroLengthRead ? REQUEST.atomic : walk.access;
}

export class RequestSteps {
  private readonly core: VtdCore;
  private readonly dma: Dma;

  constructor(core: VtdCore, dma: Dma) {
    this.core = core;
    this.dma = dma;
  }

  private load(slot: number): Walk {
    const { walk } = this.core;
    const { dma } = this;
    requestOf(dma, slot, walk);
    // 4.2.3: a translation request is answered with what there is, be it the right to read or to write only; legacy mode has no flags.
    if (walk.at === ADDRESS_TYPE.asks) walk.access = REQUEST.zeroLengthRead;
    walk.level = dma.get(slot, SLOT.level);
    walk.perms = dma.get(slot, SLOT.perms) & 3;
    walk.fpd = (dma.get(slot, SLOT.perms) & SLOT_FPD) !== 0;
    walk.did = dma.get(slot, SLOT.did);
    walk.pfnHi = dma.get(slot, SLOT.pfnHi);
    walk.pfnLo = dma.get(slot, SLOT.pfnLo);
    return walk;
  }

  private asks(slot: number): boolean {
    return (this.dma.get(slot, SLOT.flags) & MARK.asks) !== 0;
  }

  private isDirect(slot: number): boolean {
    return (this.dma.get(slot, SLOT.flags) & MARK.direct) !== 0;
  }

  private save(slot: number, step: number): void {
    const { walk } = this.core;
    const { dma } = this;
    dma.set(slot, SLOT.phase, PHASE.translating);
    dma.set(slot, SLOT.step, step);
    dma.set(slot, SLOT.level, walk.level);
    dma.set(slot, SLOT.perms, walk.perms | ((walk.fpd ? 1 : 0) << SLOT_FPD_SHIFT));
    dma.set(slot, SLOT.did, walk.did);
    dma.set(slot, SLOT.pfnHi, walk.pfnHi);
    dma.set(slot, SLOT.pfnLo, walk.pfnLo);
  }

  choices(slot: number): number {
    const { dma } = this;
    const { caches } = this.core;
    const walk = this.load(slot);
    const { vpnHi, vpnLo } = walk;
    const step = dma.get(slot, SLOT.step);
    if (step === WALK_STEP.start) {
      if (this.isDirect(slot)) return caches.findContext(walk.sid) < 0 || this.core.mode !== MODE.legacy ? 1 : 2;
      if (admit(this.core, walk, kindOfSlot(dma, slot)) !== STEP.more) return 1;
      return this.startChoices(walk) + (this.lacking(walk) < 0 ? 0 : 1);
    }
    if (step === WALK_STEP.context) {
      const did = this.core.walker.peekDomain(walk);
      return did < 0 ? 1 : 1 + caches.countPaging(5, did, vpnHi, vpnLo);
    }
    // The entry may turn out to map a larger page, which may be cached whole or in part.
    return this.core.fractures && walk.level > 1 ? 2 : 1;
  }

  /** In how many ways a look-up can go, but for the refusal by an entry without the right that is wanted, which comes last. */
  private startChoices(walk: Walk): number {
    const { caches } = this.core;
    let n = 0;
    while (this.usable(walk, n) >= 0) n++;
    const context = caches.findContext(walk.sid);
    if (context < 0) return n + 1;
    return n + this.pagingChoices(caches.tag(context) >>> TAG.did, caches.tag(context)) + 1;
  }

  /**
   * Offset of the `n`th cached translation that may serve, −1 when there are no more. A translation request is answered only where the
   * context entry is known to allow it (LCT.5).
   */
  private usable(walk: Walk, n: number): number {
    const { caches } = this.core;
    if (walk.at === ADDRESS_TYPE.asks) {
      const context = caches.findContext(walk.sid);
      if (context < 0 || ((caches.tag(context) >>> TAG.tt) & 3) !== TT_DEVICE_TLB) return -1;
    }
    return caches.nthTranslation(walk.sid, walk.vpnHi, walk.vpnLo, wantedOf(walk), n);
  }

  /** A cached translation of the page that lacks the right that is wanted; −1 for none. */
  private lacking(walk: Walk): number {
    const { caches } = this.core;
    if (walk.access === REQUEST.zeroLengthRead) return -1;
    for (let n = 0; ; n++) {
      const at = caches.nthTranslation(walk.sid, walk.vpnHi, walk.vpnLo, REQUEST.atomic, n);
      if (at < 0) return -1;
      const tag = caches.tag(at);
      if (faultOf(tag) === 0 && ((tag >>> TAG.perms) & walk.access) === 0) return at;
    }
  }

  /** A cached translation without the right refuses the request, though the tables may grant it by now (6.5.3.5). */
  private denied(slot: number, tag: number): void {
    const { core } = this;
    core.fire('denied');
    if (core.telling) core.say('the IOTLB entry lacks the right: the tables are not read');
    core.walk.fpd = ((tag >>> TAG.fpd) & 1) === 1;
    this.refused(slot, missingRight((tag >>> TAG.perms) & 3, core.walk.access));
  }

  private pagingChoices(did: number, tag: number): number {
    if (((tag >>> TAG.tt) & 3) === 2 || faultOf(tag) !== 0) return 1;
    return 1 + this.core.caches.countPaging(5, did, this.core.walk.vpnHi, this.core.walk.vpnLo);
  }

  step(slot: number, choice: number): void {
    const { dma } = this;
    const walk = this.load(slot);
    switch (dma.get(slot, SLOT.step)) {
      case WALK_STEP.start:
        return this.start(slot, choice);
      case WALK_STEP.root: {
        const result = this.core.walker.root(
          walk,
          this.core.arena.words[this.core.internal.base],
          this.core.arena.words[this.core.internal.base + 1],
        );
        if (this.core.telling)
          this.core.say(`reads root entry ${hex64(walk.entryLo, walk.entryHi)} of bus ${hex(walk.sid >>> 8)}`);
        if (result !== STEP.fault) return this.save(slot, WALK_STEP.context);
        if (this.cachesFaults(slot) && walk.fault !== FAULT.rootTableAddress) cacheContextFault(this.core);
        return this.faulted(slot);
      }
      case WALK_STEP.context: {
        const table = walk.pfn();
        const result = this.core.walker.context(walk);
        if (this.core.telling) {
          this.core.say(
            `reads context entry ${hex64(walk.entryLo, walk.entryHi)} of ${bdf(walk.sid)}: DID ${walk.did}`,
          );
        }
        this.usedEntry(table, result);
        // The entry is as good for other addresses where this one is too wide for its tables (6.2.2.1).
        const good = result !== STEP.fault || walk.fault === FAULT.beyondAddressWidth;
        if (good && (dma.get(slot, SLOT.flags) & MARK.stale) === 0) {
          this.core.caches.fillContext(walk.sid, contextTag(walk), walk.pfnHi, walk.pfnLo);
        }
        if (result === STEP.fault) {
          if (this.cachesFaults(slot)) {
            if (good) cacheFault(this.core, 0);
            else if (walk.fault !== FAULT.contextTableAddress) cacheContextFault(this.core);
          }
          return this.faulted(slot);
        }
        return this.enterTables(slot, choice);
      }
      default:
        return this.entryStep(slot, dma.get(slot, SLOT.step) === WALK_STEP.fresh, choice === 1);
    }
  }

  /** A context entry that is present was read, in one access (chapter 9): what software has made of it by then counts. */
  private usedEntry(table: number, result: number): void {
    const { walk, walker } = this.core;
    if (result === STEP.fault && (walk.fault === FAULT.contextTableAddress || walk.fault === FAULT.contextNotPresent))
      return;
    const mixed = this.dma.versions.used(table, (walk.sid & 0xff) * 2, walker.halves);
    if (mixed !== null && this.core.telling) this.core.say(`${mixed} is a mix of what it was and what it is to be`);
  }

  /** Look-up (6.2.7): IOTLB by source id and address, then the context cache, then the paging-structure caches. */
  private start(slot: number, choice: number): void {
    const { caches, walk } = this.core;
    const { sid, vpnLo } = walk;
    const { dma } = this;
    if (this.isDirect(slot)) return this.direct(slot, choice);
    if (this.asks(slot) && this.core.mode === MODE.off) return this.unsupported(slot);
    const admitted = admit(this.core, walk, kindOfSlot(dma, slot));
    if (admitted === STEP.done) return this.pass(slot);
    if (admitted === STEP.fault) return this.faulted(slot);
    const lacking = this.lacking(walk);
    if (lacking >= 0 && choice === this.startChoices(walk)) return this.denied(slot, caches.tag(lacking));
    let left = choice;
    const hit = this.usable(walk, left);
    if (hit >= 0) {
      const refusal = refusalOf(this.core, hit);
      if (refusal !== 0) return this.refusedByCache(slot, caches.tag(hit), refusal);
      this.core.fire('iotlbUsed');
      dma.set(slot, SLOT.did, caches.tag(hit) >>> TAG.did);
      if (this.core.telling)
        this.core.say(`IOTLB hit: ${hex(this.core.frame(caches.pageHi(hit), caches.pageLo(hit, vpnLo)))}`);
      walk.fpd = ((caches.tag(hit) >>> TAG.fpd) & 1) === 1;
      const [hi, lo] = [caches.pageHi(hit), caches.pageLo(hit, vpnLo)];
      if (isInterruptFrame(hi, lo)) return this.refused(slot, FAULT.interruptRange);
      const cached = caches.tag(hit);
      return this.land(slot, hi, lo, (cached >>> TAG.perms) & 3, levelOf(cached));
    }
    // Entries that could have served are not there: evicted at some time before this look-up.
    for (let usable = this.usable(walk, 0); usable >= 0; left--) {
      this.core.fire('iotlbEvicted');
      if (this.core.telling) this.core.say('the IOTLB entry is gone (evicted)');
      caches.iotlb.drop(usable);
      usable = this.usable(walk, 0);
    }
    const context = caches.findContext(sid);
    if (context < 0) {
      if (this.core.telling) this.core.say('nothing is cached for it: the walk begins at the root table');
      return this.save(slot, WALK_STEP.root);
    }
    const tag = caches.tag(context);
    if (left === this.pagingChoices(tag >>> TAG.did, tag)) {
      this.core.fire('contextEvicted');
      if (this.core.telling) this.core.say('the context-cache entry is gone (evicted)');
      caches.context.drop(context);
      return this.save(slot, WALK_STEP.root);
    }
    if (faultOf(tag) !== 0) return this.refusedByCache(slot, tag, faultOf(tag));
    this.core.fire('contextUsed');
    walk.fpd = ((tag >>> TAG.fpd) & 1) === 1;
    const [tt, aw] = [(tag >>> TAG.tt) & 3, (tag >>> TAG.aw) & 7];
    const result = this.core.walker.enter(
      walk,
      tt,
      aw,
      tag >>> TAG.did,
      caches.contextTableHi(context),
      caches.contextTableLo(context),
    );
    if (this.core.telling) this.core.say(`context cache hit: DID ${walk.did}`);
    if (result === STEP.fault) {
      if (this.cachesFaults(slot)) cacheFault(this.core, 0);
      return this.faulted(slot);
    }
    this.enterTables(slot, left);
  }

  /** The context is known: begin at the top, or below a cached non-leaf entry. @param choice how many of those to do without */
  private enterTables(slot: number, choice: number): void {
    const { caches, walk } = this.core;
    const { dma } = this;
    if (this.asks(slot) && walk.tt !== TT_DEVICE_TLB) return this.refused(slot, FAULT.blocked);
    if (walk.tt === 2) {
      dma.set(slot, SLOT.did, walk.did);
      return this.pass(slot);
    }
    let left = choice;
    for (let level = 2; level <= walk.level; level++) {
      const entry = caches.findPaging(level, walk.did, walk.vpnHi, walk.vpnLo);
      if (entry < 0) continue;
      if (left-- > 0) {
        this.core.fire('pagingEvicted');
        caches.paging[level].drop(entry);
        continue;
      }
      const refusal = refusalOf(this.core, entry);
      if (refusal !== 0) return this.refusedByCache(slot, caches.tag(entry), refusal);
      if (this.core.usePaging(level, entry)) return this.save(slot, WALK_STEP.deep + level);
    }
    this.save(slot, WALK_STEP.fresh);
  }

  /**
   * One paging entry (3.7). @param top whether it is the first one
   * @param fractures a larger page is cached as the one page of 4 KiB that is asked for
   */
  private entryStep(slot: number, top: boolean, fractures: boolean): void {
    const { walk } = this.core;
    const { dma } = this;
    const { level } = walk;
    const step = top ? WALK_STEP.deep + level : dma.get(slot, SLOT.step);
    const table = walk.pfn();
    dma.tableRead(table, walk.did);
    const result = this.core.walker.entry(walk, top);
    if (this.core.telling) {
      const address = table * 4096 + indexAt(level, walk.vpnHi, walk.vpnLo) * 8;
      this.core.say(`reads ${ENTRY_NAME[level]} ${hex64(walk.entryLo, walk.entryHi)} at ${hex(address)}`);
    }
    if (result === STEP.fault) {
      if (this.cachesFaults(slot)) cacheFault(this.core, level);
      return this.faulted(slot);
    }
    const mayFill = (dma.get(slot, SLOT.flags) & MARK.stale) === 0;
    if (result === STEP.more) {
      if (mayFill) this.core.fillPaging(level);
      return this.save(slot, step);
    }
    const page = this.core.pageOf(level);
    if (isInterruptFrame(walk.pfnHi, page)) {
      walk.fault = FAULT.interruptRange;
      if (this.cachesFaults(slot)) cacheFault(this.core, level);
      return this.faulted(slot);
    }
    if (mayFill && fractures && level > 1) {
      this.core.fire('fractured');
      this.core.fillTranslation(1, page);
    } else if (mayFill) this.core.fillTranslation(level);
    this.land(slot, walk.pfnHi, page, walk.perms, level);
  }

  private pass(slot: number): void {
    const [hi, lo] = this.dma.identity(slot);
    this.land(slot, hi, lo);
  }

  /**
   * A translated request (4.2.5): the context entry has to allow it, and the address is taken as it is. Root and context entry are read in
   * one step: nothing of them is used but whether they allow it.
   */
  private direct(slot: number, choice: number): void {
    const { core, dma } = this;
    const { caches, walk, walker } = core;
    if (core.mode === MODE.off) return this.unsupported(slot);
    const refused = refusedByMode(core, walk);
    if (refused !== 0) return this.refused(slot, refused);
    const [pfnHi, pfnLo] = [dma.get(slot, SLOT.pfnHi), dma.get(slot, SLOT.pfnLo)];
    const context = caches.findContext(walk.sid);
    if (context >= 0 && choice === 0) {
      core.fire('contextUsed');
      walk.tt = (caches.tag(context) >>> TAG.tt) & 3;
      walk.fpd = ((caches.tag(context) >>> TAG.fpd) & 1) === 1;
      dma.set(slot, SLOT.did, didOf(caches.tag(context)));
    } else {
      if (context >= 0) {
        core.fire('contextEvicted');
        caches.context.drop(context);
      }
      const { arena, internal } = core;
      let result = walker.root(walk, arena.words[internal.base], arena.words[internal.base + 1]);
      if (result !== STEP.fault) {
        const table = walk.pfn();
        result = walker.context(walk);
        this.usedEntry(table, result);
      }
      // How far the untranslated address reaches is not asked here.
      if (result === STEP.fault && walk.fault !== FAULT.beyondAddressWidth) return this.faulted(slot);
      caches.fillContext(walk.sid, contextTag(walk), walk.pfnHi, walk.pfnLo);
      dma.set(slot, SLOT.did, walk.did);
    }
    if (walk.tt !== TT_DEVICE_TLB) return this.refused(slot, FAULT.blocked);
    if (pfnHi >= 2 ** (core.has.haw - 32)) return this.refused(slot, FAULT.beyondAddressWidth);
    if (isInterruptFrame(pfnHi, pfnLo)) return this.refused(slot, FAULT.interruptRange);
    this.land(slot, pfnHi, pfnLo);
  }

  /** Refused without a fault (4.2.1). */
  private unsupported(slot: number): void {
    if (this.core.telling) this.core.say('unsupported request: remapping is off');
    this.dma.abort(slot);
  }

  /**
   * The frame is known; protected memory stops the request without a fault (11.4.8.1). A translation request gets its answer.
   * @param perms rights of the page, R 1, W 2. @param level of its size
   */
  private land(slot: number, pfnHi: number, pfnLo: number, perms = 3, level = 1): void {
    const { core } = this;
    if (this.asks(slot)) {
      if (core.telling) core.say(`translation completion: ${hex(core.frame(pfnHi, pfnLo))}, rights ${perms}`);
      return this.dma.ats?.answered(slot, pfnHi, pfnLo, perms, level);
    }
    if (!core.protects || !isProtected(core, pfnHi, pfnLo)) return this.dma.translated(slot, pfnHi, pfnLo);
    if (core.telling) core.say(`blocked: ${hex(core.frame(pfnHi, pfnLo))} is protected memory`);
    this.dma.abort(slot);
  }

  /** Whether what faults now may be cached: with CAP.CM, by a walk that has read nothing invalidated. */
  private cachesFaults(slot: number): boolean {
    return this.core.has.cap.CM === 1 && (this.dma.get(slot, SLOT.flags) & MARK.stale) === 0;
  }

  /** A cached fault refuses the request (6.1), whatever the tables say by now. */
  private refusedByCache(slot: number, tag: number, reason: number): void {
    const { core } = this;
    core.fire('faultUsed');
    if (core.telling) core.say(`a cached fault refuses it: the tables are not read (DID ${didOf(tag)})`);
    core.walk.fpd = ((tag >>> TAG.fpd) & 1) === 1;
    this.refused(slot, reason);
  }

  private refused(slot: number, reason: number): void {
    this.core.walk.fault = reason;
    this.faulted(slot);
  }

  private faulted(slot: number): void {
    const { walk } = this.core;
    if (this.asks(slot) && isRecoverable(walk.fault)) {
      if (this.core.telling) this.core.say('translation completion without rights');
      return this.dma.ats?.answered(slot, 0, 0, 0, 1);
    }
    if (this.asks(slot)) walk.access = REQUEST.read;
    this.core.report(walk);
    this.dma.abort(slot);
  }
}
