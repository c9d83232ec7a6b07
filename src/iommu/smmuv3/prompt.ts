/** Translation at once, as emulation needs it: caches are used where they can be, filled, and nothing is left undecided. */
import { BLOCK, BLOCK_TAG } from '../kit/block-cache.ts';
import { AtsRequests } from './ats-requests.ts';
import { ENTRY } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import { LEVEL_ONE } from './caches.ts';
import { CD_AT, CD_TAG, CONTROL, STE_AT, STE_TAG } from './configuration.ts';
import { contextLevelOne } from './context-table.ts';
import type { SmmuCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { Walker } from './nested.ts';
import { CR2 } from './registers.ts';
import { ATS, BLOCKED, isTranslationRequest, REQUEST } from './request.ts';
import { ShortWalk } from './short-walk.ts';
import { levelOneIndex } from './stream-table.ts';
import { STE_CONFIG } from './structures.ts';
import { LOOK, NO_EVENT, TASK, Translation } from './translation.ts';

// Again as this module's own, which V8 folds.
const ATOMIC = REQUEST.atomic;
const STE_SID = STE_AT.sid;
const CD_SID = CD_AT.sid;
const CD_SSID = CD_AT.ssid;
const CD_ASET = CD_TAG.aset;
const ASET = ENTRY.aset;
const TABLE0 = CD_AT.table0;
const TABLE1 = CD_AT.table1;
const TBI = CONTROL.tbi;
const VMID = STE_AT.vmid;
const SIZE = BLOCK_TAG.size;
const OUT_HI = BLOCK.outHi;
const OUT_LO = BLOCK.outLo;
const ASID = CD_AT.asid;

/** Of a CD's tag. */
const USABLE = 1 << CD_TAG.valid;
const USABLE_MASK = USABLE | (1 << CD_TAG.bad);

/** Of an STE's tag: stage 1 translates, for EL1, without substreams and overrides. */
const PLAIN = (1 << STE_TAG.valid) | (STE_CONFIG.s1 << STE_TAG.config);
const PLAIN_MASK =
  PLAIN | (1 << STE_TAG.bad) | (31 << STE_TAG.cdMax) | (3 << STE_TAG.strw) | (3 << STE_TAG.priv) | (3 << STE_TAG.inst);

export class Prompt {
  readonly walker: Walker;
  private readonly short: ShortWalk;
  readonly ats: AtsRequests;
  /** The last translation. */
  readonly t: Translation;
  /** What became of the last transaction that faulted: see OUTCOME. */
  outcome = 0;
  private readonly core: SmmuCore<SmmuCaches>;
  private readonly probe: Translation;
  private readonly caches: SmmuCaches;
  private readonly words: Int32Array;
  private readonly enabledAt: number;
  private lastSte: number;
  private lastCd: number;

  constructor(core: SmmuCore<SmmuCaches>) {
    this.core = core;
    this.caches = core.caches;
    this.words = core.arena.words;
    this.walker = new Walker(core);
    this.short = new ShortWalk(core);
    this.t = new Translation(core.has);
    this.probe = new Translation(core.has);
    this.ats = new AtsRequests(core, this);
    this.enabledAt = core.internal.base + INTERNAL.enabled;
    this.lastSte = core.caches.ste.base;
    this.lastCd = core.caches.cd.base;
  }

  /**
   * Translates for a transaction.
   * @param sid StreamID, unsigned. @param ssid SubstreamID; −1: none
   * @param hi upper half of the address, as it is sent. @param kind see REQUEST
   * @returns 0, with `outHi` and `outLo` of {@link t}; the event, which was recorded as the configuration says; BLOCKED
   */
  translate(sid: number, ssid: number, hi: number, lo: number, kind: number): number {
    const { t } = this;
    if (kind <= ATOMIC && ssid < 0 && this.words[this.enabledAt] !== 0 && this.ordinary(sid | 0, hi, lo, kind))
      return 0;
    t.sid = sid;
    t.ssid = ssid;
    t.hi = hi;
    t.lo = lo;
    t.kind = kind;
    t.mev = 0;
    if ((kind & ATS) !== 0) return isTranslationRequest(kind) ? this.ats.ask(t, kind) : this.ats.direct(t, kind);
    if (this.words[this.enabledAt] === 0) return this.disabled();
    t.task = TASK.none;
    t.look = LOOK.ste;
    this.run(t);
    return t.task === TASK.done ? 0 : this.refused();
  }

  /**
   * A read, write or atomic without SubstreamID of a stream that stage 1 of EL1 translates, alone or with stage 2, and whose configuration is
   * cached: from the TLB, or by a walk without anything unusual.
   * @returns false: nothing is done
   */
  private ordinary(sid: number, hi: number, lo: number, kind: number): boolean {
    const { caches, words } = this;
    let ste = this.lastSte;
    let cd = this.lastCd;
    // Where the last request's were: a guess, which is checked. There is one entry for a stream, and one for its CD.
    if (words[ste + STE_SID] !== sid || words[cd + CD_SID] !== sid || words[cd + CD_SSID] !== 0) {
      ste = caches.findSte(sid);
      cd = caches.findCd(sid, 0);
      if (ste < 0 || cd < 0) return false;
      this.lastSte = ste;
      this.lastCd = cd;
    }
    const tag = words[cd];
    // What is empty is not plain either.
    if ((words[ste] & PLAIN_MASK) !== PLAIN || (tag & USABLE_MASK) !== USABLE) return false;
    const table = cd + ((hi & (1 << 23)) !== 0 ? TABLE1 : TABLE0);
    const effective = ((words[table] >>> TBI) & 1) === 0 ? hi : (hi << 8) >> 8;
    const id = (words[ste + VMID] << 16) | words[cd + ASID];
    const at = caches.findTranslation(((tag >>> CD_ASET) & 1) << ASET, id, effective, lo, kind);
    const { short, t } = this;
    if (at >= 0) {
      const bits = ((words[at] >>> SIZE) & 0x3f) + 12;
      if (bits < 32) {
        t.outHi = words[at + OUT_HI];
        t.outLo = words[at + OUT_LO] | (lo & ~(-1 << bits));
      } else {
        t.outHi = caches.tlb.outHi(at, effective);
        t.outLo = lo;
      }
      return true;
    }
    if (!short.translate(ste, cd, table, id, effective, lo, kind)) return false;
    t.outHi = short.outHi;
    t.outLo = short.outLo;
    return true;
  }

  /** Until it is done, or refused. */
  run(t: Translation): void {
    while (t.task < TASK.done || t.look !== LOOK.none) {
      if (t.look === LOOK.none) this.walker.step(t, true);
      else this.look(t);
    }
  }

  private look(t: Translation): void {
    const { caches, walker } = this;
    switch (t.look) {
      case LOOK.ste: {
        const at = caches.findSte(t.sid | 0);
        return void (at >= 0 ? walker.withSte(t, at) : walker.withoutSte(t));
      }
      case LOOK.l1std: {
        const at = caches.findLevelOne(caches.l1std, -1, levelOneIndex(this.core, t));
        if (at < 0) return walker.withoutL1std(t);
        return void walker.withL1std(t, this.words[at + LEVEL_ONE.lo], this.words[at + LEVEL_ONE.hi]);
      }
      case LOOK.cd: {
        const at = caches.findCd(t.sid | 0, t.index);
        if (at < 0) return walker.withoutCd(t);
        return void walker.withCd(t, at);
      }
      case LOOK.l1cd: {
        const at = caches.findLevelOne(caches.l1cd, t.sid | 0, contextLevelOne(t, this.words));
        if (at < 0) return walker.withoutL1cd(t);
        return void walker.withL1cd(t, this.words[at + LEVEL_ONE.lo], this.words[at + LEVEL_ONE.hi]);
      }
      case LOOK.tlb: {
        const { first } = t;
        // With split-stage ATS the answer is an IPA, which the TLB has not.
        const split = t.split && t.asks;
        const at = split ? -1 : caches.findTranslation(t.owner, t.id, first.inHi, first.inLo, t.want | t.dirties);
        if (at >= 0) return walker.withTranslation(t, at);
        if (!walker.mayWalkFirst(t)) return;
        const table = caches.findTable(caches.walk1, t.owner, t.id, first.inHi, first.inLo);
        return table >= 0 ? walker.withFirstTable(t, table) : walker.withoutFirstTable(t);
      }
      default: {
        const { second } = t;
        const at = caches.findIpa(t.id, second.inHi, second.inLo, second.want | second.dirties);
        if (at >= 0) return void walker.withIpa(t, at, true);
        if (!walker.mayWalkSecond(t)) return;
        const table = caches.findTable(caches.walk2, 0, t.id & ~0xffff, second.inHi, second.inLo);
        return table >= 0 ? walker.withSecondTable(t, table) : walker.withoutSecondTable(t);
      }
    }
  }

  /**
   * STE.PPAR of a stream, which is read if it is not cached; −1 where it has no valid STE (8.1). Why it has none is recorded with CR2.REC_CFG_ATS.
   * @param ssid SubstreamID of the page request
   */
  pparOf(sid: number, ssid: number): number {
    const { core, probe, walker } = this;
    probe.sid = sid;
    probe.ssid = ssid;
    probe.kind = REQUEST.read;
    probe.mev = 0;
    probe.ste = 0;
    probe.task = TASK.none;
    probe.look = LOOK.ste;
    while (probe.ste === 0 && probe.task !== TASK.refused) {
      if (probe.look === LOOK.none) walker.step(probe, true);
      else this.look(probe);
    }
    const tag = probe.ste === 0 ? 0 : this.words[probe.ste];
    if (probe.ste !== 0 && ((tag >>> STE_TAG.bad) & 1) === 0) return (tag >>> STE_TAG.ppar) & 1;
    if (core.regs.get(CR2, CR2.REC_CFG_ATS) === 1) core.events.record(probe);
    return -1;
  }

  /** The event of the translation is recorded, or not. */
  private refused(): number {
    const { t } = this;
    if (t.event === NO_EVENT) return BLOCKED;
    this.outcome = this.core.events.record(t);
    return t.event;
  }

  /** SMMUEN is 0: all is aborted, or goes out as it is if it is not beyond the OAS (3.4, 6.3.14). */
  private disabled(): number {
    const { core, t } = this;
    if (core.aborts || t.hi >>> (core.has.oas - 32) !== 0) return BLOCKED;
    t.finish(t.hi, t.lo);
    return 0;
  }
}
