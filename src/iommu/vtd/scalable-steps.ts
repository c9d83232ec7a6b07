/**
 * Translation in scalable mode one step at a time: one entry, or 128 bits of a larger one, a step; each cached entry that could serve is
 * used or gone. For the explorer and the adversary.
 */
import { hex, hex64 } from '../../bits/index.ts';
import type { Dma } from '../../machine/index.ts';
import { bdf, MARK, SLOT } from '../../machine/index.ts';
import type { VtdCore } from './core.ts';
import { isProtected } from './protected-memory.ts';
import { admit } from './request.ts';
import { kindOfSlot } from './requests.ts';
import type { Scalable } from './scalable.ts';
import { rightsFor } from './scalable.ts';
import { mostSteps, stepsLeft } from './scalable-left.ts';
import { endWalk, LOOK, loadWalk, SCALABLE_SLOT_WORDS, SCALABLE_STEP, saveWalk } from './scalable-slot.ts';
import { FS_ENTRY_NAME, PGTT } from './scalable-structures.ts';
import { FILL, PURPOSE, STAGE } from './scalable-walk.ts';
import { ENTRY_NAME } from './structures.ts';
import { TornEntries } from './torn-entries.ts';
import { STEP } from './walk.ts';

export class ScalableSteps {
  private readonly core: VtdCore;
  private readonly dma: Dma;
  private readonly scalable: Scalable;
  private readonly torn: TornEntries;
  private readonly state = { look: 0, used: 0 };

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
    const { pasid = -1, sid } = dma.requesters[dma.get(slot, SLOT.device)];
    const access = dma.get(slot, SLOT.access);
    scalable.begin(sid, pasid, dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo), access, false, false);
    core.walk.sid = sid;
    core.walk.pasid = pasid;
    core.walk.vpnHi = scalable.walk.vpnHi;
    core.walk.vpnLo = scalable.walk.vpnLo;
    core.walk.access = access;
    core.walk.fpd = false;
    if (dma.get(slot, SLOT.step) >= SCALABLE_STEP) loadWalk(dma, slot, scalable, this.state);
  }

  choices(slot: number): number {
    this.load(slot);
    const { core, dma } = this;
    if (dma.get(slot, SLOT.step) < SCALABLE_STEP) {
      if (admit(core, core.walk, kindOfSlot(dma, slot)) !== STEP.more) return 1;
      return this.translations() + 1;
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
    return caches.nthTranslation(walk.sid, walk.pasid, walk.vpnHi, walk.vpnLo, rightsFor(walk.access, false), false, n);
  }

  private translations(): number {
    let n = 0;
    while (this.translation(n) >= 0) n++;
    return n;
  }

  private start(slot: number, choice: number): void {
    const { core, dma, scalable } = this;
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
    for (let gone = this.translation(0); gone >= 0; gone = this.translation(0)) {
      core.fire('iotlbEvicted');
      if (core.telling) core.say('the IOTLB entry is gone (evicted)');
      scalable.caches.iotlb.drop(gone);
    }
    this.state.used = 0;
    this.go(slot, LOOK.context);
    if (core.telling && this.state.look === LOOK.none)
      core.say('nothing is cached for it: the walk begins at the root table');
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

  private firstAt(level: number): number {
    const { caches, walk } = this.scalable;
    return caches.findFirst(level, walk.did, walk.tablePasid, walk.vpnHi, walk.vpnLo);
  }

  /** Goes on with a look-up, which is left out where nothing is cached. */
  private go(slot: number, look: number): void {
    const { walk } = this.scalable;
    const { state } = this;
    state.look = look;
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
      if (choice > 0) {
        core.fire('contextEvicted');
        caches.context.drop(entry);
        return this.go(slot, LOOK.none);
      }
      core.fire('contextUsed');
      if (core.telling) core.say('context cache hit');
      if (scalable.useContext(entry) === STEP.fault) return this.faulted(slot);
      return this.go(slot, LOOK.pasid);
    }
    if (look === LOOK.pasid) {
      const entry = caches.findPasid(walk.sid, walk.tablePasid);
      if (choice > 0) {
        core.fire('pasidEvicted');
        caches.pasid.drop(entry);
        return this.go(slot, LOOK.none);
      }
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
    const result = scalable.step();
    if (core.telling) this.tell(stage, where, levels);
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
    if (walk.stage === STAGE.directory) return this.go(slot, LOOK.pasid);
    this.go(slot, walk.began ? LOOK.second : LOOK.none);
  }

  private tell(stage: number, where: number, { first, second }: { first: number; second: number }): void {
    const { core, scalable } = this;
    const { walk } = scalable;
    const entry = hex64(walk.entryLo, walk.entryHi);
    const purpose = walk.purpose === PURPOSE.page ? '' : ' for a first-stage table';
    const what: Readonly<Record<number, string>> = {
      [STAGE.root]: `root entry of bus ${hex(walk.sid >>> 8)}`,
      [STAGE.context]: `context entry ${entry} of ${bdf(walk.sid)}, lower half`,
      [STAGE.contextHigh]: 'the upper half of the context entry',
      [STAGE.directory]: `directory entry ${entry} of PASID ${hex(walk.tablePasid)}`,
      [STAGE.entry]: `PASID table entry ${entry}, first quarter: DID ${walk.did}`,
      [STAGE.entryHigh]: 'the rest of the PASID table entry',
      [STAGE.first]: `${FS_ENTRY_NAME[first]} ${entry} in ${hex(where)}`,
      [STAGE.second]: `SS-${ENTRY_NAME[second]} ${entry} in ${hex(where)}${purpose}`,
      [STAGE.dirty]: 'the first-stage leaf again, for its dirty flag',
    };
    core.say(`reads ${what[stage]}`);
  }

  // ---- ends -----------------------------------------------------------------------------------------------------------------

  private finish(slot: number): void {
    const { dma, scalable } = this;
    endWalk(dma, slot, scalable);
    this.land(slot, scalable.walk.pfnHi, scalable.walk.pfnLo);
  }

  /** The frame is known; protected memory stops the request without a fault (11.4.8.1). */
  private land(slot: number, pfnHi: number, pfnLo: number): void {
    const { core, dma } = this;
    if (!core.protects || !isProtected(core, pfnHi, pfnLo)) return dma.translated(slot, pfnHi, pfnLo);
    if (core.telling) core.say(`blocked: ${hex(core.frame(pfnHi, pfnLo))} is protected memory`);
    dma.abort(slot);
  }

  private faulted(slot: number): void {
    this.core.report(this.scalable.walk);
    this.dma.abort(slot);
  }
}
