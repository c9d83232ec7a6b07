/** Translation in scalable mode at once: caches are used where they can be, filled, and nothing is left undecided. */
import type { VtdCore } from './core.ts';
import { REQUEST } from './request.ts';
import type { Scalable } from './scalable.ts';
import { rightsFor } from './scalable.ts';
import { SM_FAULT } from './scalable-faults.ts';
import { ScalableShortWalk } from './scalable-short.ts';
import { PGTT } from './scalable-structures.ts';
import { FILL, STAGE } from './scalable-walk.ts';
import type { TranslationCompletion } from './translation-completion.ts';
import { isRecoverableInScalableMode } from './translation-completion.ts';
import type { Walk } from './walk.ts';
import { STEP } from './walk.ts';

/** Rights that a translation request is walked for, until some are there. */
const RIGHTS_TRIED = [REQUEST.atomic, REQUEST.read, REQUEST.write] as const;
const READ_ONLY = [REQUEST.read] as const;

export class ScalablePrompt {
  private readonly core: VtdCore;
  private readonly scalable: Scalable;
  private readonly short: ScalableShortWalk;

  constructor(core: VtdCore, scalable: Scalable) {
    this.core = core;
    this.scalable = scalable;
    this.short = new ScalableShortWalk(core, scalable);
  }

  /**
   * Translates a page; the table mode is scalable, and the request is none that the interrupt range or the mode refuses.
   * @param pasid −1 for a request without
   * @param access rights that it needs (see {@link REQUEST})
   * @returns 0, with the frame in the {@link Walk} of the core; or a reason, with the walk of the scalable mode as it was refused
   */
  translate(
    sid: number,
    pasid: number,
    vpnHi: number,
    vpnLo: number,
    access: number,
    privileged: boolean,
    execute: boolean,
  ): number {
    const { core, scalable } = this;
    const { caches, walk } = scalable;
    if (!execute && access !== REQUEST.zeroLengthRead) {
      const supervisor = pasid >= 0 && privileged;
      const entry = caches.findTranslation(sid, pasid, vpnHi, vpnLo, rightsFor(access, supervisor));
      if (entry >= 0) {
        core.walk.pfnHi = caches.pageHi(entry);
        core.walk.pfnLo = caches.pageLo(entry, vpnLo);
        return 0;
      }
      const { short } = this;
      if (!supervisor && short.translate(sid, pasid, vpnHi, vpnLo, access)) {
        core.walk.pfnHi = short.pfnHi;
        core.walk.pfnLo = short.pfnLo;
        return 0;
      }
    }
    scalable.begin(sid, pasid, vpnHi, vpnLo, access, privileged, execute);
    if (this.walk() === STEP.fault) return walk.fault;
    scalable.fillTranslation();
    core.walk.pfnHi = walk.pfnHi;
    core.walk.pfnLo = walk.pfnLo;
    return 0;
  }

  /**
   * A translation request (4.2.3). Flags are set as for an AtomicOp, or a read with `noWrite` (4.2.3.1); where a right is missing, for what is left.
   * @param message kind of a request to the interrupt range without PASID, else 0
   * @returns 0, with the answer and the frame in the {@link Walk} of the core; or a reason, which was recorded
   */
  ask(request: Walk, noWrite: boolean, message: number, completion: TranslationCompletion): number {
    const { core, scalable } = this;
    const { walk } = scalable;
    const { execute, pasid, privileged, sid, vpnHi, vpnLo } = request;
    completion.clear();
    completion.privileged = pasid >= 0 && privileged;
    let reason = 0;
    for (const access of noWrite ? READ_ONLY : RIGHTS_TRIED) {
      scalable.begin(sid, pasid, vpnHi, vpnLo, access, privileged, execute);
      const found = this.findContext();
      if (found !== STEP.fault && walk.dte === 0) walk.fault = SM_FAULT.blocked;
      else if (found !== STEP.fault && message !== 0) {
        completion.write = message === REQUEST.translation;
        completion.untranslatedOnly = completion.write;
        return 0;
      } else if (found !== STEP.fault && this.afterContext() !== STEP.fault) {
        scalable.fillTranslation();
        core.walk.pfnHi = walk.pfnHi;
        core.walk.pfnLo = walk.pfnLo;
        completion.read = (access & REQUEST.read) !== 0;
        completion.write = (access & REQUEST.write) !== 0;
        completion.level = Math.max(1, walk.pageLevel);
        return 0;
      }
      reason = walk.fault;
      if (reason !== SM_FAULT.write && reason !== SM_FAULT.read && reason !== SM_FAULT.secondNotPresent) break;
    }
    if (isRecoverableInScalableMode(reason)) return 0;
    walk.at = request.at;
    walk.access = REQUEST.read;
    return this.report(reason);
  }

  /** A translated request (4.2.5); one with PASID is refused, as there is no ECAP.DT then. @returns 0, or a reason, which was recorded */
  direct({ access, at, pasid, sid, vpnHi, vpnLo }: Walk, beyond: boolean, isInterrupt: boolean): number {
    const { scalable } = this;
    const { walk } = scalable;
    scalable.begin(sid, pasid, vpnHi, vpnLo, access, false, false);
    let reason = 0;
    if (this.findContext() === STEP.fault) reason = walk.fault;
    else if (walk.dte === 0) reason = SM_FAULT.blocked;
    else if (beyond) reason = SM_FAULT.beyondHostWidth;
    else if (isInterrupt) reason = SM_FAULT.interruptRange;
    if (reason === 0) return 0;
    walk.at = at;
    return this.report(reason);
  }

  /** Records the fault in which {@link translate} ended. @returns the reason */
  report(reason: number): number {
    this.scalable.walk.fault = reason;
    this.core.report(this.scalable.walk);
    return reason;
  }

  private walk(): number {
    const result = this.findContext();
    return result === STEP.more ? this.afterContext() : result;
  }

  private afterContext(): number {
    let result = this.findEntry();
    if (result === STEP.more) result = this.scalable.enter();
    if (result !== STEP.more) return result;
    this.skipFirst();
    this.skipSecond();
    return this.tables();
  }

  private findContext(): number {
    const { scalable } = this;
    const entry = scalable.caches.findContext(scalable.walk.sid);
    if (entry >= 0) return scalable.useContext(entry);
    const { walk } = scalable;
    while (walk.stage !== STAGE.directory) if (scalable.step() === STEP.fault) return STEP.fault;
    scalable.fillContext();
    return STEP.more;
  }

  private findEntry(): number {
    const { scalable } = this;
    const { walk } = scalable;
    const entry = scalable.caches.findPasid(walk.sid, walk.tablePasid);
    if (entry >= 0) {
      scalable.usePasid(entry);
      return STEP.more;
    }
    while (walk.stage !== STAGE.known) if (scalable.step() === STEP.fault) return STEP.fault;
    scalable.fillPasid();
    return STEP.more;
  }

  /** The deepest cached first-stage entry with the rights. */
  private skipFirst(): void {
    const { scalable } = this;
    const { walk } = scalable;
    if (walk.pgtt === PGTT.secondStage || scalable.caches.first[2].entries === 0) return;
    for (let level = 2; level <= 4 + walk.fspm; level++) {
      const entry = scalable.caches.findFirst(level, walk.did, walk.tablePasid, walk.vpnHi, walk.vpnLo);
      if (entry < 0 || !scalable.useFirst(level, entry)) continue;
      walk.began = false;
      return;
    }
  }

  /** Where the second stage begins: the deepest cached entry with the rights. */
  private skipSecond(): void {
    const { scalable } = this;
    const { caches } = this.core;
    const { walk } = scalable;
    if (!walk.began || caches.paging[2].entries === 0) return;
    for (let level = 2; level <= walk.secondLevel; level++) {
      const entry = caches.findPaging(level, walk.did, walk.inHi, walk.inLo);
      if (entry >= 0 && scalable.useSecond(level, entry)) return;
    }
  }

  private tables(): number {
    const { scalable } = this;
    const { walk } = scalable;
    for (;;) {
      const result = scalable.step();
      if (result !== STEP.more) return result;
      if (walk.fill !== FILL.none) scalable.fillPaging();
      if (walk.began) this.skipSecond();
    }
  }
}
