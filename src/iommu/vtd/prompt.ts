/** Translation at once, as emulation needs it (VT-d 6.2.7): caches are used where they can be, filled, and nothing is left undecided. */
import type { VtdCaches } from './caches.ts';
import { TAG } from './caches.ts';
import type { VtdCore } from './core.ts';
import { INTERNAL, MODE } from './core.ts';
import { FAULT } from './faults.ts';
import { isProtected } from './protected-memory.ts';
import {
  addressType,
  admit,
  BLOCKED,
  isInterruptPage,
  isRecoverable,
  isTranslatedRequest,
  isTranslationRequest,
  PREFIX,
  REQUEST,
  RIGHTS,
  refusedByMode,
  suffices,
  TT_DEVICE_TLB,
} from './request.ts';
import { ScalablePrompt } from './scalable-prompt.ts';
import { ShortWalk } from './short-walk.ts';
import { SS_PAGE } from './structures.ts';
import { COMPLETION_STATUS, statusOf, TranslationCompletion } from './translation-completion.ts';
import type { Walk } from './walk.ts';
import { contextTag, isInterruptFrame, STEP } from './walk.ts';

// Again as this module's own, which V8 folds (see `caches.ts`).
const LEGACY = MODE.legacy;
const SCALABLE = MODE.scalable;
const isInterrupt = isInterruptPage;
const leadsToInterrupts = isInterruptFrame;

export class Prompt {
  /** What the last translation request was answered. */
  readonly completion = new TranslationCompletion();
  private readonly core: VtdCore;
  private readonly caches: VtdCaches;
  private readonly words: Int32Array;
  private readonly walk: Walk;
  private readonly short: ShortWalk;
  /** Null in a unit without scalable mode. */
  private readonly scalable: ScalablePrompt | null;
  /** Offsets of {@link INTERNAL} words. */
  private readonly modeAt: number;
  private readonly protectsAt: number;

  constructor(core: VtdCore) {
    this.core = core;
    this.caches = core.caches;
    this.words = core.arena.words;
    this.walk = core.walk;
    this.short = new ShortWalk(core);
    this.scalable = core.scalable === null ? null : new ScalablePrompt(core, core.scalable);
    this.modeAt = core.internal.base + INTERNAL.mode;
    this.protectsAt = core.internal.base + INTERNAL.protects;
  }

  /**
   * Translates one page for a requester at once, as `prompt` does: caches are used where they can be and filled.
   * @param vpnHi upper part of the input page number, bits above 18
   * @param access 1 read, 2 write of one DWORD; other requests are {@link request}'s
   * @returns 0, with the frame in the {@link Walk} of the core; a fault reason, which was recorded unless FPD is set; or {@link BLOCKED}
   */
  translate(sid: number, vpnHi: number, vpnLo: number, access: number): number {
    const { caches, words } = this;
    if (words[this.modeAt] !== LEGACY || isInterrupt(vpnHi, vpnLo)) return this.beforeTables(sid, vpnHi, vpnLo, access);
    const hit = caches.findTranslation(sid, vpnHi, vpnLo, access);
    if (hit >= 0 && words[this.protectsAt] === 0) {
      const { walk } = this;
      const pfnHi = caches.pageHi(hit);
      const pfnLo = caches.pageLo(hit, vpnLo);
      walk.pfnHi = pfnHi;
      walk.pfnLo = pfnLo;
      if (!leadsToInterrupts(pfnHi, pfnLo)) return 0;
    }
    return this.afterLookUp(hit, sid, vpnHi, vpnLo, access);
  }

  /** Nothing is remapped, the interrupt range, or another table mode than legacy. */
  private beforeTables(sid: number, vpnHi: number, vpnLo: number, access: number): number {
    const { scalable } = this;
    if (scalable !== null && this.words[this.modeAt] === SCALABLE && !isInterrupt(vpnHi, vpnLo)) {
      const reason = scalable.translate(sid, -1, vpnHi, vpnLo, access, false, false);
      if (reason === 0) return this.words[this.protectsAt] === 0 ? 0 : this.land();
      return scalable.report(reason);
    }
    this.begin(sid, vpnHi, vpnLo, access);
    return this.admitted(admit(this.core, this.core.walk, access));
  }

  /** A request in scalable mode, or one that is decided already. @param result of {@link admit} */
  private admitted(result: number): number {
    const { core } = this;
    const { access, execute, pasid, privileged, sid, vpnHi, vpnLo } = core.walk;
    if (result === STEP.done) return this.pass();
    if (result === STEP.fault) return this.refuse(core.walk.fault);
    const scalable = this.scalable as ScalablePrompt;
    const reason = scalable.translate(sid, pasid, vpnHi, vpnLo, access, privileged, execute);
    return reason === 0 ? this.land() : scalable.report(reason);
  }

  /** @param hit what the IOTLB has for the request, −1 for nothing */
  private afterLookUp(hit: number, sid: number, vpnHi: number, vpnLo: number, access: number): number {
    if (hit < 0 && this.words[this.protectsAt] === 0 && this.short.translate(sid, vpnHi, vpnLo, access)) return 0;
    this.begin(sid, vpnHi, vpnLo, access);
    return hit >= 0 ? this.hit(hit) : this.miss();
  }

  /** As {@link translate}, for every kind of request. @param kind see {@link REQUEST} */
  request(sid: number, vpnHi: number, vpnLo: number, kind: number): number {
    const { caches, has, walk } = this.core;
    // Only the interrupt range tells longer writes from those of a DWORD, and they are what devices send most.
    if (kind === REQUEST.longWrite && !isInterruptPage(vpnHi, vpnLo))
      return this.translate(sid, vpnHi, vpnLo, REQUEST.write);
    // 3.14: without CAP.ZLR a zero-length read is a read like another; in the interrupt range it passes either way (3.15).
    const access = kind === REQUEST.zeroLengthRead && has.cap.ZLR === 0 ? REQUEST.read : kind & RIGHTS;
    this.begin(sid, vpnHi, vpnLo, access);
    walk.at = addressType(kind);
    if (isTranslationRequest(kind)) return this.ask(kind);
    if (isTranslatedRequest(kind)) return this.direct();
    const admitted = admit(this.core, walk, kind);
    if (admitted !== STEP.more || this.core.mode !== LEGACY) return this.admitted(admitted);
    for (let n = 0; ; n++) {
      const hit = caches.nthTranslation(sid, vpnHi, vpnLo, REQUEST.atomic, n);
      if (hit < 0) return this.miss();
      if (suffices((caches.tag(hit) >>> TAG.perms) & 3, access)) return this.hit(hit);
    }
  }

  /**
   * As {@link request}, for a request with PASID.
   * @param pasid 20 bits. @param prefix see {@link PREFIX}
   */
  requestWithPasid(sid: number, pasid: number, vpnHi: number, vpnLo: number, kind: number, prefix: number): number {
    const { core } = this;
    const { has, walk } = core;
    const access = kind === REQUEST.zeroLengthRead && has.cap.ZLR === 0 ? REQUEST.read : kind & RIGHTS;
    this.begin(sid, vpnHi, vpnLo, access);
    walk.pasid = pasid;
    walk.privileged = (prefix & PREFIX.privileged) !== 0;
    walk.execute = (prefix & PREFIX.execute) !== 0;
    walk.at = addressType(kind);
    if (isTranslationRequest(kind)) return this.ask(kind);
    if (isTranslatedRequest(kind)) return this.direct();
    return this.admitted(admit(core, walk, kind));
  }

  private begin(sid: number, vpnHi: number, vpnLo: number, access: number): void {
    const { walk } = this.core;
    walk.pasid = -1;
    walk.privileged = false;
    walk.execute = false;
    walk.sid = sid;
    walk.vpnHi = vpnHi;
    walk.vpnLo = vpnLo;
    walk.access = access;
    walk.fpd = false;
    walk.at = 0;
  }

  private hit(entry: number): number {
    const { caches, walk } = this.core;
    walk.fpd = ((caches.tag(entry) >>> TAG.fpd) & 1) === 1;
    walk.pfnHi = caches.pageHi(entry);
    walk.pfnLo = caches.pageLo(entry, walk.vpnLo);
    return isInterruptFrame(walk.pfnHi, walk.pfnLo) ? this.refuse(FAULT.interruptRange) : this.land();
  }

  /** From the context cache, or the root table, on. */
  private miss(): number {
    const { walk, walker } = this.core;
    let result = this.findContext();
    if (result === STEP.done) return this.pass();
    if (result === STEP.fault) return this.refuse(walk.fault);
    let top = true;
    for (let level = 2; top && level <= walk.level; level++) {
      const entry = this.caches.findPaging(level, walk.did, walk.vpnHi, walk.vpnLo);
      if (entry >= 0 && this.core.usePaging(level, entry)) top = false;
    }
    while (result === STEP.more) {
      const { level } = walk;
      result = walker.entry(walk, top);
      top = false;
      if (result === STEP.more) this.core.fillPaging(level);
      else if (result === STEP.done) {
        const page = this.core.pageOf(level);
        if (isInterruptFrame(walk.pfnHi, page)) return this.refuse(FAULT.interruptRange);
        this.core.fillTranslation(level);
        walk.pfnLo = page;
      }
    }
    return result === STEP.fault ? this.refuse(walk.fault) : this.land();
  }

  /** The requester's context entry, cached or read; the walk is at its page table then. */
  private findContext(): number {
    const { arena, caches, internal, walk, walker } = this.core;
    const context = caches.findContext(walk.sid);
    if (context >= 0) {
      const tag = caches.tag(context);
      walk.fpd = ((tag >>> TAG.fpd) & 1) === 1;
      return walker.enter(
        walk,
        (tag >>> TAG.tt) & 3,
        (tag >>> TAG.aw) & 7,
        tag >>> TAG.did,
        caches.contextTableHi(context),
        caches.contextTableLo(context),
      );
    }
    const { words } = arena;
    let result = walker.root(walk, words[internal.base + INTERNAL.rootHi], words[internal.base + INTERNAL.rootLo]);
    if (result !== STEP.more) return result;
    result = walker.context(walk);
    // The entry is as good for other addresses where this one is too wide for its tables (6.2.2.1).
    const good = result !== STEP.fault || walk.fault === FAULT.beyondAddressWidth;
    if (good) caches.fillContext(walk.sid, contextTag(walk), walk.pfnHi, walk.pfnLo);
    return result;
  }

  /** A translation request (4.2.3). @returns 0, with {@link completion}; BLOCKED where remapping is off (4.2.1); a reason, which was recorded */
  private ask(kind: number): number {
    const { completion, core } = this;
    const { walk } = core;
    completion.clear();
    completion.status = COMPLETION_STATUS.unsupportedRequest;
    if (core.mode === MODE.off) return BLOCKED;
    const refused = refusedByMode(core, walk);
    if (refused !== 0) return this.refuseAsked(refused);
    // NW counts only with ECAP.NWFS.
    const noWrite = kind === REQUEST.translationNoWrite && core.has.ecap.NWFS === 1;
    const isMessage = walk.pasid < 0 && isInterruptPage(walk.vpnHi, walk.vpnLo);
    if (this.scalable !== null && core.mode === MODE.scalable) {
      const reason = this.scalable.ask(walk, noWrite, isMessage ? kind : 0, completion);
      if (reason !== 0) completion.status = statusOf(reason);
      return reason;
    }
    const result = this.findContext();
    if (result === STEP.fault && walk.fault !== FAULT.beyondAddressWidth) return this.refuseAsked(walk.fault);
    if (walk.tt !== TT_DEVICE_TLB) return this.refuseAsked(FAULT.blocked);
    if (isMessage) return this.answerMessage(kind);
    return result === STEP.fault ? this.answerNothing() : this.askTables(noWrite);
  }

  /** S.1, S.2: interrupts go out untranslated. */
  private answerMessage(kind: number): number {
    const { completion } = this;
    completion.clear();
    completion.write = kind === REQUEST.translation;
    completion.untranslatedOnly = completion.write;
    return 0;
  }

  private answerNothing(): number {
    this.completion.clear();
    return 0;
  }

  /** The tables are read, whatever the IOTLB has: an answer is as good as they are now, and N is not cached. */
  private askTables(noWrite: boolean): number {
    const { completion, core } = this;
    const { walk, walker } = core;
    walk.access = REQUEST.zeroLengthRead;
    let { level } = walk;
    let result = walker.entry(walk, true);
    while (result === STEP.more) {
      core.fillPaging(level);
      level = walk.level;
      result = walker.entry(walk, false);
    }
    if (result === STEP.fault) return isRecoverable(walk.fault) ? this.answerNothing() : this.refuseAsked(walk.fault);
    const page = core.pageOf(level);
    if (isInterruptFrame(walk.pfnHi, page)) return this.refuseAsked(FAULT.interruptRange);
    core.fillTranslation(level);
    walk.pfnLo = page;
    completion.clear();
    completion.read = (walk.perms & REQUEST.read) !== 0;
    completion.write = (walk.perms & REQUEST.write) !== 0 && !noWrite;
    completion.level = level;
    completion.nonSnooped = core.has.ecap.SC === 1 && ((walk.entryLo >>> SS_PAGE.SNP.lo) & 1) === 1;
    return 0;
  }

  private refuseAsked(reason: number): number {
    this.core.walk.access = REQUEST.read;
    this.completion.status = statusOf(reason);
    return this.refuse(reason);
  }

  /** A translated request (4.2.5): the context entry has to allow it; the address is taken as it is. */
  private direct(): number {
    const { core } = this;
    const { walk } = core;
    if (core.mode === MODE.off) return BLOCKED;
    const refused = refusedByMode(core, walk);
    if (refused !== 0) return this.refuse(refused);
    // 4.2.1, 4.2.5: with device-TLBs and without ECAP.PTRS the root complex lets none with PASID through.
    if (walk.pasid >= 0 && core.deviceTlbs !== null) return BLOCKED;
    const { vpnHi, vpnLo } = walk;
    const beyond = vpnHi < 0 || vpnHi >= 2 ** (core.has.haw - 30);
    if (this.scalable !== null && core.mode === MODE.scalable) {
      const reason = this.scalable.direct(walk, beyond, isInterruptPage(vpnHi, vpnLo));
      return reason === 0 ? this.pass() : reason;
    }
    // How far an untranslated address reaches is not asked here.
    const wrong = this.findContext() === STEP.fault && walk.fault !== FAULT.beyondAddressWidth;
    if (wrong) return this.refuse(walk.fault);
    if (walk.tt !== TT_DEVICE_TLB) return this.refuse(FAULT.blocked);
    if (beyond) return this.refuse(FAULT.beyondAddressWidth);
    return isInterruptPage(vpnHi, vpnLo) ? this.refuse(FAULT.interruptRange) : this.pass();
  }

  /** The frame is known; protected memory stops the request without a fault (11.4.8.1). */
  private land(): number {
    const { core } = this;
    return core.protects && isProtected(core, core.walk.pfnHi, core.walk.pfnLo) ? BLOCKED : 0;
  }

  private refuse(reason: number): number {
    this.core.walk.fault = reason;
    this.core.report(this.core.walk);
    return reason;
  }

  private pass(): number {
    const { walk } = this.core;
    const pfn = walk.vpnHi * 0x40000 + walk.vpnLo;
    walk.pfnHi = Math.floor(pfn / 0x100000);
    walk.pfnLo = pfn % 0x100000;
    return this.land();
  }
}
