/** ATS translation requests and translated transactions (IHI 0070, 3.9.1, 13.6, 13.7), at once. */
import { ATS_STATUS, AtsCompletion, granted, isDenial } from './ats-completion.ts';
import type { SmmuCaches } from './caches.ts';
import { STE_AT, STE_TAG } from './configuration.ts';
import type { SmmuCore } from './core.ts';
import { EVENT, RIGHT } from './event-record.ts';
import type { Prompt } from './prompt.ts';
import { CR2 } from './registers.ts';
import { BLOCKED, REQUEST } from './request.ts';
import { EATS } from './stream-table.ts';
import type { Translation } from './translation.ts';
import { LOOK, NO_EVENT, TASK } from './translation.ts';

export class AtsRequests {
  readonly completion = new AtsCompletion();
  private readonly core: SmmuCore<SmmuCaches>;
  private readonly prompt: Prompt;

  constructor(core: SmmuCore<SmmuCaches>, prompt: Prompt) {
    this.core = core;
    this.prompt = prompt;
  }

  /** A translation request. @returns 0, with {@link completion}; the event that stands for its refusal, recorded or not; BLOCKED */
  ask(t: Translation, kind: number): number {
    const { completion, core } = this;
    completion.clear();
    completion.status = ATS_STATUS.unsupportedRequest;
    if (core.has.idr0.ATS === 0) return BLOCKED;
    t.rights = rightsAsked(kind);
    t.span = 1;
    // Without a PASID there is neither privilege nor execution (13.7).
    t.kind = t.ssid < 0 ? kind & ~(REQUEST.instruction | REQUEST.privileged) : kind;
    if (!core.enabled) return this.record(t, EVENT.F_BAD_ATS_TREQ);
    t.task = TASK.none;
    t.look = LOOK.ste;
    this.prompt.run(t);
    if (t.task === TASK.done) return this.answer(t, kind);
    // A stream that is disabled: UR, and no event.
    if (t.event === NO_EVENT) return BLOCKED;
    if (t.event === EVENT.F_BAD_ATS_TREQ) return this.record(t, t.event);
    if (isDenial(t.event)) return this.deny(kind);
    completion.status = ATS_STATUS.completerAbort;
    return this.recordConfiguration(t, false);
  }

  private deny(kind: number): number {
    this.completion.clear();
    this.completion.privileged = (kind & REQUEST.privileged) !== 0;
    return 0;
  }

  private answer(t: Translation, kind: number): number {
    const { completion, core } = this;
    // Without a PASID there is neither privilege nor execution (13.7).
    const asked = t.ssid < 0 ? kind & ~(REQUEST.instruction | REQUEST.privileged) : kind;
    this.deny(asked);
    const inst = (core.arena.words[t.ste + STE_AT.tag] >>> STE_TAG.inst) & 3;
    const rights = granted(t.pnu === 1 ? t.grants >>> 3 : t.grants, inst, asked);
    completion.read = (rights & RIGHT.uR) !== 0;
    completion.write = (rights & RIGHT.uW) !== 0;
    completion.execute = (rights & RIGHT.uX) !== 0;
    if (!completion.read && !completion.write) return 0;
    completion.bits = t.bits;
    completion.hi = t.outHi;
    completion.lo = t.outLo;
    return 0;
  }

  /** A translated transaction. @returns as {@link Prompt.translate} does */
  direct(t: Translation, kind: number): number {
    const { core, prompt } = this;
    if (core.has.idr0.ATS === 0) return BLOCKED;
    t.kind = kind & ~(REQUEST.instruction | REQUEST.privileged);
    // Without IDR3.PASIDTT a PASID of such a transaction says nothing (3.9.1.3).
    t.ssid = -1;
    // It may be refused before anything of the STE is taken (7.3.8).
    t.rnw = (kind & REQUEST.write) === 0 ? 1 : 0;
    if (!core.enabled) return this.record(t, EVENT.F_TRANSL_FORBIDDEN);
    // 3.9.1.1: beyond the OAS it is aborted silently; unless it is an IPA, which is looked at later.
    if (!core.checksAts) return this.pass(t);
    t.task = TASK.none;
    t.look = LOOK.ste;
    prompt.run(t);
    if (t.task === TASK.done) return ((core.arena.words[t.ste] >>> STE_TAG.eats) & 3) === EATS.split ? 0 : this.pass(t);
    if (t.event === NO_EVENT) return BLOCKED;
    if (t.event < EVENT.F_WALK_EABT && t.event !== EVENT.F_TRANSL_FORBIDDEN) return this.recordConfiguration(t, true);
    return this.record(t, t.event);
  }

  private pass(t: Translation): number {
    if (t.hi >>> (this.core.has.oas - 32) !== 0) return BLOCKED;
    t.finish(t.hi, t.lo);
    return 0;
  }

  /**
   * Errors of the configuration are recorded with CR2.REC_CFG_ATS alone. @returns the event
   * @param direct of a translated transaction, for which RECINVSID says nothing (3.9.1.3)
   */
  private recordConfiguration(t: Translation, direct: boolean): number {
    if (this.core.regs.get(CR2, CR2.REC_CFG_ATS) === 1) return this.record(t, t.event, direct);
    return t.event;
  }

  private record(t: Translation, event: number, invalidToo = false): number {
    t.event = event;
    this.prompt.outcome = this.core.events.record(t, invalidToo);
    return event;
  }
}

/** R is always asked for (7.3.6). */
function rightsAsked(kind: number): number {
  let rights = RIGHT.uR;
  if ((kind & REQUEST.write) !== 0) rights |= RIGHT.uW;
  if ((kind & REQUEST.instruction) !== 0) rights |= RIGHT.uX;
  return (kind & REQUEST.privileged) !== 0 ? rights << 3 : rights;
}
