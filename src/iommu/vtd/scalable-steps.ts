/**
 * Translation in scalable mode one step at a time: one entry, or 128 bits of a larger one, a step; each cached entry that could serve is
 * used or gone. For the explorer and the adversary.
 * Long because all that one step may lead to is in one class.
 */
import { hex } from '../../bits/index.ts';
import type { Dma } from '../../machine/index.ts';
import { MARK, SLOT } from '../../machine/index.ts';
import { levelOf } from './cache-entries.ts';
import type { VtdCore } from './core.ts';
import { isProtected } from './protected-memory.ts';
import { admit, isInterruptPage, REQUEST } from './request.ts';
import { ADDRESS_TYPE, kindOfSlot, requestOf } from './request-of-slot.ts';
import type { Scalable } from './scalable.ts';
import { rightsFor } from './scalable.ts';
import { askStep, nthAnswer, rightsOf } from './scalable-asks.ts';
import { cachedFault, cacheFault, pageFaultOf, pasidFaultOf } from './scalable-cached-faults.ts';
import { contextFaultOf, PASID_TAG, SM_CONTEXT_TAG, SM_IOTLB, SM_TAG } from './scalable-entries.ts';
import { SM_FAULT } from './scalable-faults.ts';
import { mostSteps, stepsLeft } from './scalable-left.ts';
import { clearWalk, endWalk, LOOK, loadWalk, SCALABLE_SLOT_WORDS, SCALABLE_STEP, saveWalk } from './scalable-slot.ts';
import { entryText } from './scalable-step-text.ts';
import { FS_ENTRY_NAME, PGTT } from './scalable-structures.ts';
import { FILL, STAGE } from './scalable-walk.ts';
import { ENTRY_NAME } from './structures.ts';
import { TornEntries } from './torn-entries.ts';
import { isRecoverableInScalableMode } from './translation-completion.ts';
import { isInterruptFrame, STEP } from './walk.ts';

export class ScalableSteps {
  private readonly core: VtdCore;
  private readonly dma: Dma;
  private readonly scalable: Scalable;
  private readonly torn: TornEntries;
  private readonly state = { asks: false, look: 0, used: 0 };

  constructor(core: VtdCore, dma: Dma, scalable: Scalable) {
    if (dma.translatorWords < SCALABLE_SLOT_WORDS)
      throw new RangeError(
        `a unit with scalable mode needs ${SCALABLE_SLOT_WORDS} words of a transaction: translatorWords of the machine`,
      );
    this.core = core;
    this.dma = dma;
    this.scalable = scalable;
    this.torn = new TornEntries(core, dma);
  }

  /** Whether a transaction is, or begins to be, translated in scalable mode. */
  takes(slot: number, begins: boolean): boolean {
    const step = this.dma.get(slot, SLOT.step);
    return step >= SCALABLE_STEP || (step === 0 && begins);
  }

  private load(slot: number): void {
    const { core, dma, scalable } = this;
    const { access, at, pasid, privileged, sid, vpnHi, vpnLo } = requestOf(dma, slot, core.walk);
    scalable.begin(sid, pasid, vpnHi, vpnLo, access, privileged, false);
    scalable.walk.at = at;
    this.state.asks = at === ADDRESS_TYPE.asks;
    if (dma.get(slot, SLOT.step) >= SCALABLE_STEP) loadWalk(dma, slot, scalable, this.state);
  }

  /** Whether the request is one of a supervisor by its PASID prefix; RID_PRIV counts in what entries grant. */
  private get supervisor(): boolean {
    const { pasid, privileged } = this.scalable.walk;
    return pasid >= 0 && privileged;
  }

  choices(slot: number): number {
    this.load(slot);
    const { core, dma, scalable } = this;
    if (dma.get(slot, SLOT.step) < SCALABLE_STEP) {
      if (this.state.asks) return 1;
      if (core.walk.at === ADDRESS_TYPE.translated) return scalable.caches.findContext(scalable.walk.sid) < 0 ? 1 : 2;
      if (admit(core, core.walk, kindOfSlot(dma, slot)) !== STEP.more) return 1;
      return this.translations() + (cachedFault(scalable) < 0 ? 0 : 1) + 1;
    }
    return this.state.look === LOOK.none ? 1 : this.candidates() + 1;
  }

  /** See `Translator.left`. @param writes of hardware that may still change memory */
  left(slot: number, writes: number): number {
    const nests = this.core.has.ecap.NEST === 1;
    if (this.dma.get(slot, SLOT.step) < SCALABLE_STEP) return mostSteps(nests, writes);
    this.load(slot);
    const { first, walk } = this.scalable;
    const changed = walk.stage > STAGE.known && walk.leafLo !== 0 && first.unchangedLeaf(walk) < 0;
    return stepsLeft(walk, this.state.look, nests, changed, writes);
  }

  step(slot: number, choice: number): void {
    this.load(slot);
    if (this.dma.get(slot, SLOT.step) < SCALABLE_STEP) this.start(slot, choice);
    else if (this.state.look !== LOOK.none) this.look(slot, choice);
    else this.fetch(slot);
  }

  // ---- the IOTLB ----------------------------------------------------------------------------------------------------------

  /** Offset of the `n`th cached translation that may serve, −1 when there are no more. */
  private translation(n: number): number {
    const { caches, walk } = this.scalable;
    return caches.nthTranslation(
      walk.sid,
      walk.pasid,
      walk.vpnHi,
      walk.vpnLo,
      rightsFor(walk.access, this.supervisor),
      false,
      n,
    );
  }

  private translations(): number {
    let n = 0;
    while (this.translation(n) >= 0) n++;
    return n;
  }

  private start(slot: number, choice: number): void {
    const { core, dma, scalable } = this;
    this.state.used = 0;
    // What blocks a translation request is in the context entry, which is asked before the IOTLB.
    if (this.state.asks) return this.begin(slot);
    if (core.walk.at === ADDRESS_TYPE.translated) return this.direct(slot, choice);
    const admitted = admit(core, core.walk, kindOfSlot(dma, slot));
    if (admitted === STEP.done) return this.land(slot, ...dma.identity(slot));
    if (admitted === STEP.fault) {
      core.report(core.walk);
      return dma.abort(slot);
    }
    const entry = this.translation(choice);
    if (entry >= 0) {
      core.fire('iotlbUsed');
      scalable.hit(entry);
      scalable.takeTags(entry);
      const { pfnHi, pfnLo } = scalable.walk;
      if (core.telling) core.say(`IOTLB hit: ${hex(core.frame(pfnHi, pfnLo))}`);
      return this.finish(slot);
    }
    const fault = cachedFault(scalable);
    if (fault >= 0 && choice === this.translations()) return this.refusedByPage(slot, fault);
    for (let gone = this.translation(0); gone >= 0; gone = this.translation(0)) this.evict(gone);
    if (fault >= 0) this.evict(fault);
    this.begin(slot);
  }

  /** A cached translation, or fault, could have served, and is gone. */
  private evict(entry: number): void {
    const { core, scalable } = this;
    core.fire('iotlbEvicted');
    if (core.telling) core.say('the IOTLB entry is gone (evicted)');
    scalable.caches.iotlb.drop(entry);
  }

  /** A cached fault refuses the request (6.1), whatever the tables say by now. */
  private refusedByPage(slot: number, entry: number): void {
    const { caches, walk } = this.scalable;
    walk.did = caches.word(entry, SM_IOTLB.did);
    this.refusedByCache(slot, isSet(caches.tag(entry), SM_TAG.fpd), pageFaultOf(caches, entry));
  }

  private refusedByCache(slot: number, fpd: boolean, reason: number): void {
    const { core, scalable } = this;
    core.fire('faultUsed');
    if (core.telling) core.say('a cached fault refuses it: the tables are not read');
    scalable.walk.fpd = fpd;
    scalable.walk.fault = reason;
    this.refuse(slot);
  }

  private begin(slot: number): void {
    const { core, state } = this;
    this.go(slot, LOOK.context);
    if (core.telling && state.look === LOOK.none)
      core.say('nothing is cached for it: the walk begins at the root table');
  }

  /** A translated request (4.2.5): the context entry has to allow it, which is read in one step; the address is taken as it is. */
  private direct(slot: number, choice: number): void {
    const { core, dma, scalable } = this;
    const { caches, walk } = scalable;
    const cached = caches.findContext(walk.sid);
    let result: number;
    if (cached >= 0 && choice === 0) {
      const fault = contextFaultOf(caches.tag(cached));
      if (fault !== 0) return this.refusedByCache(slot, isSet(caches.tag(cached), SM_CONTEXT_TAG.fpd), fault);
      core.fire('contextUsed');
      result = scalable.useContext(cached);
    } else {
      if (cached >= 0) {
        core.fire('contextEvicted');
        caches.context.drop(cached);
      }
      do result = scalable.step();
      while (result !== STEP.fault && walk.stage !== STAGE.directory);
      if (result !== STEP.fault) scalable.fillContext();
    }
    if (result === STEP.fault) return this.faulted(slot);
    const [pfnHi, pfnLo] = [dma.get(slot, SLOT.pfnHi), dma.get(slot, SLOT.pfnLo)];
    if (walk.dte === 0) return this.refused(slot, SM_FAULT.blocked);
    if (pfnHi >= 2 ** (core.has.haw - 32)) return this.refused(slot, SM_FAULT.beyondHostWidth);
    if (isInterruptFrame(pfnHi, pfnLo)) return this.refused(slot, SM_FAULT.interruptRange);
    this.land(slot, pfnHi, pfnLo);
  }

  /** The context entry is known. A translation request may be blocked by it, and answered from the IOTLB. */
  private afterContext(slot: number): void {
    const { core, scalable, state } = this;
    const { walk } = scalable;
    if (!state.asks) return this.go(slot, LOOK.pasid);
    if (walk.dte === 0) return this.refused(slot, SM_FAULT.blocked);
    // S.1: interrupts go out untranslated.
    if (walk.pasid < 0 && isInterruptPage(walk.vpnHi, walk.vpnLo)) {
      clearWalk(this.dma, slot);
      if (core.telling) core.say('translation completion: untranslated requests only');
      return this.dma.ats?.untranslatedOnly(slot);
    }
    this.go(slot, LOOK.iotlb);
  }

  /** A cached translation answers a translation request, or is gone. */
  private answerFromCache(slot: number, choice: number): void {
    const { core, scalable, supervisor } = this;
    const { caches, walk } = scalable;
    const entry = nthAnswer(scalable, supervisor, choice);
    if (entry >= 0) {
      core.fire('iotlbUsed');
      const tag = caches.tag(entry);
      scalable.hit(entry);
      if (core.telling) core.say('IOTLB hit');
      return this.answer(slot, walk.pfnHi, walk.pfnLo, rightsOf(tag, supervisor), levelOf(tag));
    }
    const fault = cachedFault(scalable);
    if (fault >= 0 && choice === this.answers()) return this.refusedByPage(slot, fault);
    for (let gone = nthAnswer(scalable, supervisor, 0); gone >= 0; gone = nthAnswer(scalable, supervisor, 0))
      this.evict(gone);
    if (fault >= 0) this.evict(fault);
    this.go(slot, LOOK.pasid);
  }

  /** @param rights R 1, W 2; 0 for a translation completion without. @param level of the page's size */
  private answer(slot: number, pfnHi: number, pfnLo: number, rights: number, level: number): void {
    const { core, dma } = this;
    clearWalk(dma, slot);
    if (core.telling) {
      const what = rights === 0 ? 'without rights' : `${hex(core.frame(pfnHi, pfnLo))}, rights ${rights}`;
      core.say(`translation completion: ${what}`);
    }
    dma.ats?.answered(slot, pfnHi, pfnLo, rights, level);
  }

  // ---- the other caches -----------------------------------------------------------------------------------------------------

  /** How many cached entries could serve now. */
  private candidates(): number {
    const { core, scalable } = this;
    const { caches, walk } = scalable;
    let n = 0;
    switch (this.state.look) {
      case LOOK.context:
        return caches.findContext(walk.sid) >= 0 ? 1 : 0;
      case LOOK.iotlb:
        return this.answers() + (cachedFault(scalable) < 0 ? 0 : 1);
      case LOOK.pasid:
        return caches.findPasid(walk.sid, walk.tablePasid) >= 0 ? 1 : 0;
      case LOOK.first:
        for (let level = 2; level <= walk.level; level++) if (this.firstAt(level) >= 0) n++;
        return n;
      default:
        for (let level = 2; level <= walk.secondLevel; level++)
          if (core.caches.findPaging(level, walk.did, walk.inHi, walk.inLo) >= 0) n++;
        return n;
    }
  }

  /** How many cached translations may answer a translation request. */
  private answers(): number {
    let n = 0;
    while (nthAnswer(this.scalable, this.supervisor, n) >= 0) n++;
    return n;
  }

  private firstAt(level: number): number {
    const { caches, walk } = this.scalable;
    return caches.findFirst(level, walk.did, walk.tablePasid, walk.vpnHi, walk.vpnLo);
  }

  /** Goes on with a look-up, which is left out where nothing is cached. */
  private go(slot: number, look: number): void {
    const { walk } = this.scalable;
    const { state } = this;
    state.look = look;
    if (look === LOOK.iotlb && this.candidates() === 0) state.look = LOOK.pasid;
    if (look === LOOK.first && this.candidates() === 0)
      state.look = walk.stage === STAGE.second ? LOOK.second : LOOK.none;
    if (state.look !== LOOK.none && this.candidates() === 0) state.look = LOOK.none;
    saveWalk(this.dma, slot, this.scalable, state);
  }

  /** @param choice how many of the cached entries that could serve, deepest first, are gone */
  private look(slot: number, choice: number): void {
    const { core, scalable, state } = this;
    const { caches, walk } = scalable;
    const { look } = state;
    if (look === LOOK.context) {
      const entry = caches.findContext(walk.sid);
      // Since the last step of this request, another one or an invalidation has taken it away.
      if (entry < 0) return this.go(slot, LOOK.none);
      if (choice > 0) {
        core.fire('contextEvicted');
        caches.context.drop(entry);
        return this.go(slot, LOOK.none);
      }
      const fault = contextFaultOf(caches.tag(entry));
      if (fault !== 0) return this.refusedByCache(slot, isSet(caches.tag(entry), SM_CONTEXT_TAG.fpd), fault);
      core.fire('contextUsed');
      if (core.telling) core.say('context cache hit');
      if (scalable.useContext(entry) === STEP.fault) return this.faulted(slot);
      return this.afterContext(slot);
    }
    if (look === LOOK.iotlb) return this.answerFromCache(slot, choice);
    if (look === LOOK.pasid) {
      const entry = caches.findPasid(walk.sid, walk.tablePasid);
      if (entry < 0) return this.go(slot, LOOK.none);
      if (choice > 0) {
        core.fire('pasidEvicted');
        caches.pasid.drop(entry);
        return this.go(slot, LOOK.none);
      }
      const fault = pasidFaultOf(caches, entry);
      if (fault !== 0) return this.refusedByCache(slot, walk.fpd || isSet(caches.tag(entry), PASID_TAG.fpd), fault);
      core.fire('pasidUsed');
      scalable.usePasid(entry);
      if (core.telling) core.say(`PASID cache hit: PASID ${hex(walk.tablePasid)}, DID ${walk.did}`);
      return this.enter(slot);
    }
    let left = choice;
    if (look === LOOK.first) {
      for (let level = 2, top = walk.level; level <= top; level++) {
        const entry = this.firstAt(level);
        if (entry < 0) continue;
        if (left-- > 0) {
          core.fire('pagingEvicted');
          caches.first[level].drop(entry);
        } else if (scalable.useFirst(level, entry)) {
          core.fire('pagingUsed');
          if (core.telling) core.say(`${FS_ENTRY_NAME[level]} cache hit`);
          state.used = level;
          return this.go(slot, LOOK.none);
        }
      }
      return this.go(slot, walk.stage === STAGE.second ? LOOK.second : LOOK.none);
    }
    for (let level = 2, top = walk.secondLevel; level <= top; level++) {
      const entry = core.caches.findPaging(level, walk.did, walk.inHi, walk.inLo);
      if (entry < 0) continue;
      if (left-- > 0) {
        core.fire('pagingEvicted');
        core.caches.paging[level].drop(entry);
      } else if (scalable.useSecond(level, entry)) {
        core.fire('pagingUsed');
        if (core.telling) core.say(`SS-${ENTRY_NAME[level]} cache hit`);
        if (walk.pgtt === PGTT.secondStage) state.used = level;
        break;
      }
    }
    this.go(slot, LOOK.none);
  }

  /** The PASID-table entry is known. */
  private enter(slot: number): void {
    const { scalable } = this;
    const { walk } = scalable;
    const result = scalable.enter();
    if (result === STEP.fault) return this.faulted(slot);
    if (result === STEP.done) return this.finish(slot);
    this.go(slot, walk.pgtt === PGTT.secondStage ? LOOK.second : LOOK.first);
  }

  // ---- memory ---------------------------------------------------------------------------------------------------------------

  private fetch(slot: number): void {
    const { core, dma, scalable, state } = this;
    const { walk } = scalable;
    const { stage } = walk;
    const isPaging = stage === STAGE.first || stage === STAGE.second;
    const where = core.frame(walk.pfnHi, walk.pfnLo);
    const levels = { first: walk.level, second: walk.secondLevel };
    if (isPaging) dma.tableRead(walk.pfn(), walk.did);
    const table = walk.pfn();
    const result = state.asks ? askStep(scalable) : scalable.step();
    if (core.telling) core.say(`reads ${entryText(walk, stage, where, levels)}`);
    if (stage === STAGE.contextHigh || stage === STAGE.entryHigh) this.torn.acted(slot, scalable, stage, table);
    else if (walk.stage === STAGE.contextHigh || walk.stage === STAGE.entryHigh) this.torn.keep(scalable);
    if (state.used === 0) {
      if (stage === STAGE.first) state.used = levels.first;
      else if (stage === STAGE.second && walk.pgtt === PGTT.secondStage) state.used = levels.second;
    }
    if (result === STEP.fault) return this.faulted(slot);
    const mayFill = (dma.get(slot, SLOT.flags) & MARK.stale) === 0;
    if (result === STEP.done) {
      if (mayFill) scalable.fillTranslation();
      return this.finish(slot);
    }
    if (mayFill) {
      if (walk.stage === STAGE.directory && stage === STAGE.contextHigh) scalable.fillContext();
      if (walk.stage === STAGE.known) scalable.fillPasid();
      if (walk.fill !== FILL.none) scalable.fillPaging();
    }
    if (walk.stage === STAGE.known) return this.enter(slot);
    if (walk.stage === STAGE.directory) return this.afterContext(slot);
    this.go(slot, walk.began ? LOOK.second : LOOK.none);
  }

  // ---- ends -----------------------------------------------------------------------------------------------------------------

  private finish(slot: number): void {
    const { dma, scalable, state } = this;
    const { access, pageLevel, pfnHi, pfnLo } = scalable.walk;
    if (state.asks) return this.answer(slot, pfnHi, pfnLo, access, Math.max(1, pageLevel));
    endWalk(dma, slot, scalable);
    this.land(slot, pfnHi, pfnLo);
  }

  /** The frame is known; protected memory stops the request without a fault (11.4.8.1). */
  private land(slot: number, pfnHi: number, pfnLo: number): void {
    const { core, dma } = this;
    if (!core.protects || !isProtected(core, pfnHi, pfnLo)) return dma.translated(slot, pfnHi, pfnLo);
    if (core.telling) core.say(`blocked: ${hex(core.frame(pfnHi, pfnLo))} is protected memory`);
    dma.abort(slot);
  }

  private refused(slot: number, reason: number): void {
    this.scalable.walk.fault = reason;
    this.faulted(slot);
  }

  private faulted(slot: number): void {
    const { core, dma, scalable } = this;
    if (core.has.cap.CM === 1 && (dma.get(slot, SLOT.flags) & MARK.stale) === 0) cacheFault(scalable);
    this.refuse(slot);
  }

  private refuse(slot: number): void {
    const { core, dma, scalable, state } = this;
    const { walk } = scalable;
    if (state.asks) {
      if (isRecoverableInScalableMode(walk.fault)) return this.answer(slot, 0, 0, 0, 1);
      walk.access = REQUEST.read;
    }
    core.report(walk);
    dma.abort(slot);
  }
}

function isSet(tag: number, at: number): boolean {
  return ((tag >>> at) & 1) === 1;
}
