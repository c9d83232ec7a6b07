/**
 * Translation of a transaction one step at a time, for the explorer and the adversary: in a step caches are looked up, and one thing is read. Whatever is
 * cached may serve, or be gone (IHI 0070, 3.21, 16.2).
 * Long because all that one step may lead to is in one class.
 */
import { hex64 } from '../../bits/index.ts';
import type { Dma, Translator } from '../../machine/index.ts';
import { FACT, MARK, PHASE, SLOT } from '../../machine/index.ts';
import type { BlockCache } from '../kit/block-cache.ts';
import { BLOCK } from '../kit/block-cache.ts';
import type { Cache } from '../kit/cache.ts';
import { wordAt } from '../kit/words.ts';
import { isDenial } from './ats-completion.ts';
import { ENTRY } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import { LEVEL_ONE } from './caches.ts';
import { contextLevelOne } from './context-table.ts';
import type { SmmuCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { OUTCOME } from './event-queue.ts';
import { CLASS, EVENT, RIGHT } from './event-record.ts';
import { Walker } from './nested.ts';
import { isTranslatedRequest, isTranslationRequest, REQUEST } from './request.ts';
import type { RuleName } from './rules.ts';
import type { Drained, Used } from './slot.ts';
import { clear, FIRST_WORD_STEP, keepForDrain, load, SLOT_CD, SLOT_STE, STALLED_STEP, save } from './slot.ts';
import { STALL } from './stalls.ts';
import { textOf } from './step-text.ts';
import { partsLeft, stepsLeft } from './steps-left.ts';
import { levelOneIndex } from './stream-table.ts';
import { LOOK, NO_EVENT, TASK, Translation } from './translation.ts';

/** Look-ups that one step can make, at most: STE and its level-1 descriptor, CD and its, TLB, stage 2. */
const MOST_LOOKS = 8;

/** IDR3.BBML from which several entries for an address are no conflict (3.21.1.3). */
const NO_CONFLICT = 2;

/** What a cache may have, or have no longer. */
type CachedThing = 'ste' | 'cd' | 'levelOne' | 'tlb' | 'ipa' | 'table';

const NAME_OF: Readonly<Record<CachedThing, string>> = {
  ste: 'the STE',
  cd: 'the CD',
  levelOne: 'the level-1 descriptor',
  tlb: 'the translation',
  ipa: 'the translation of the IPA',
  table: 'a table on the way',
};

const RULE_OF: Readonly<Record<CachedThing, { readonly used: RuleName; readonly evicted: RuleName }>> = {
  ste: { used: 'steUsed', evicted: 'steEvicted' },
  cd: { used: 'cdUsed', evicted: 'cdEvicted' },
  levelOne: { used: 'levelOneUsed', evicted: 'levelOneEvicted' },
  tlb: { used: 'tlbUsed', evicted: 'tlbEvicted' },
  ipa: { used: 'ipaUsed', evicted: 'ipaEvicted' },
  table: { used: 'tableUsed', evicted: 'tableEvicted' },
};

export class RequestSteps implements Pick<Translator, 'choices' | 'step' | 'left' | 'most'> {
  private readonly core: SmmuCore<SmmuCaches>;
  private readonly dma: Dma;
  private readonly caches: SmmuCaches;
  private readonly words: Int32Array;
  private readonly walker: Walker;
  private readonly t: Translation;
  private readonly used: Used = { first: 0, second: 0 };
  private readonly drained: Drained = { first: 0, second: 0, cd: false };
  /** Of each look-up of a step: which of its ways is taken, and how many there are. */
  private readonly ways = new Int32Array(MOST_LOOKS);
  private readonly counts = new Int32Array(MOST_LOOKS);
  private looks = 0;
  private readonly readsInParts: boolean;

  /** @param readsInParts see `SmmuUnitOptions` */
  constructor(core: SmmuCore<SmmuCaches>, dma: Dma, readsInParts: boolean) {
    this.readsInParts = readsInParts;
    this.core = core;
    this.dma = dma;
    this.caches = core.caches;
    this.words = core.arena.words;
    this.walker = new Walker(core);
    this.t = new Translation(core.has);
  }

  // ---- in how many ways

  choices(slot: number): number {
    const { dma } = this;
    const step = dma.get(slot, SLOT.step);
    if (step >= STALLED_STEP) return this.stallChoices(step - STALLED_STEP - 1);
    if (step === 0 && this.isPlain(slot)) return 1;
    load(dma, slot, this.t, this.used);
    if (this.t.look === LOOK.none) return 1;
    this.ways.fill(0);
    let count = 1;
    this.tryWays(slot);
    while (this.nextWays()) {
      count++;
      this.tryWays(slot);
    }
    return count;
  }

  private stallChoices(stag: number): number {
    const { stalls } = this.core;
    if (stag < 0) return stalls.hasRoom ? 1 : 0;
    const state = stalls.stateOf(stag);
    return state === STALL.waiting || state === STALL.unreported ? 0 : 1;
  }

  /** Nothing is looked up: the SMMU is disabled, or a translated transaction is let through as it is. */
  private isPlain(slot: number): boolean {
    const { core, dma } = this;
    if (!core.enabled) return true;
    return (dma.get(slot, SLOT.flags) & MARK.direct) !== 0 && !core.checksAts;
  }

  /** Goes the ways of {@link ways} without doing anything, to count those that there are. */
  private tryWays(slot: number): void {
    const { dma, t, used } = this;
    load(dma, slot, t, used);
    this.looks = 0;
    while (t.look !== LOOK.none) {
      const count = this.count(t);
      this.counts[this.looks] = count;
      this.go(t, this.ways[this.looks], false);
      this.looks++;
    }
  }

  /** The next of all combinations, the last look-up first. @returns false when there are no more */
  private nextWays(): boolean {
    for (let i = this.looks - 1; i >= 0; i--) {
      this.ways[i]++;
      if (this.ways[i] < this.counts[i]) return true;
      this.ways[i] = 0;
    }
    return false;
  }

  /** Ways of one look-up: each entry that may serve; tables, nearest to the leaf first; the beginning. */
  private count(t: Translation): number {
    const { caches } = this;
    switch (t.look) {
      case LOOK.ste:
        return caches.findSte(t.sid | 0) < 0 ? 1 : 2;
      case LOOK.l1std:
        return caches.findLevelOne(caches.l1std, -1, levelOneIndex(this.core, t)) < 0 ? 1 : 2;
      case LOOK.cd:
        return caches.findCd(t.sid | 0, t.index) < 0 ? 1 : 2;
      case LOOK.l1cd:
        return caches.findLevelOne(caches.l1cd, t.sid | 0, contextLevelOne(t, this.words)) < 0 ? 1 : 2;
      case LOOK.tlb:
        return this.translations(t) + 1 + this.tables(t, caches.walk1) + (this.conflicts(t) ? 1 : 0);
      default:
        return this.ipas(t) + 1 + this.tables(t, caches.walk2);
    }
  }

  /** Offset of the `n`th translation of the address with the rights that are wanted; −1 when there are no more. */
  private translation(t: Translation, n: number): number {
    if (t.split && t.asks) return -1;
    const { inHi, inLo } = t.first;
    return this.caches.nthTranslation(t.owner, t.id, inHi, inLo, t.want | t.dirties, n);
  }

  private translations(t: Translation): number {
    let n = 0;
    while (this.translation(t, n) >= 0) n++;
    return n;
  }

  /** Whether several entries hold the address, which may be a conflict (3.21.1). */
  private conflicts(t: Translation): boolean {
    if (this.core.has.idr3.BBML >= NO_CONFLICT) return false;
    const { inHi, inLo } = t.first;
    return this.caches.nthTranslation(t.owner, t.id, inHi, inLo, 0, 1) >= 0;
  }

  private ipa(t: Translation, n: number): number {
    const { inHi, inLo, want, dirties } = t.second;
    return this.caches.ipa.nth(t.id & ~0xffff, -1, inHi, inLo, 0, 0, (want | dirties) << ENTRY.rights, 0, n);
  }

  private ipas(t: Translation): number {
    let n = 0;
    while (this.ipa(t, n) >= 0) n++;
    return n;
  }

  /** Offset of the `n`th cached table of a stage on the way to the address, that nearest to the leaf first. */
  private table(t: Translation, of: BlockCache, n: number): number {
    const isFirst = of === this.caches.walk1;
    const { inHi, inLo } = isFirst ? t.first : t.second;
    const id = isFirst ? t.id : t.id & ~0xffff;
    return of.nth(id, -1, inHi, inLo, isFirst ? t.owner & (1 << ENTRY.regime) : 0, 1 << ENTRY.regime, 0, 0, n);
  }

  private tables(t: Translation, of: BlockCache): number {
    let n = 0;
    while (this.table(t, of, n) >= 0) n++;
    return n;
  }

  // ---- going one

  /** @param way of {@link count}. @param really entries that were declined are gone, and rules fire */
  private go(t: Translation, way: number, really: boolean): void {
    const { caches, walker, words } = this;
    switch (t.look) {
      case LOOK.ste: {
        const at = caches.findSte(t.sid | 0);
        if (at < 0) return void walker.withoutSte(t);
        if (way === 0) return void walker.withSte(t, really ? this.keep(at, t.ste, caches.ste.size, 'ste') : at);
        if (really) this.evict('ste', caches.ste, at);
        return void walker.withoutSte(t);
      }
      case LOOK.l1std: {
        const at = caches.findLevelOne(caches.l1std, -1, levelOneIndex(this.core, t));
        if (at < 0 || way === 1) {
          if (at >= 0 && really) this.evict('levelOne', caches.l1std, at);
          return walker.withoutL1std(t);
        }
        if (really) this.use('levelOne');
        return void walker.withL1std(t, words[at + LEVEL_ONE.lo], words[at + LEVEL_ONE.hi]);
      }
      case LOOK.cd: {
        const at = caches.findCd(t.sid | 0, t.index);
        if (at < 0) return walker.withoutCd(t);
        if (way === 0) return void walker.withCd(t, really ? this.keep(at, t.cd, caches.cd.size, 'cd') : at);
        if (really) this.evict('cd', caches.cd, at);
        return walker.withoutCd(t);
      }
      case LOOK.l1cd: {
        const at = caches.findLevelOne(caches.l1cd, t.sid | 0, contextLevelOne(t, words));
        if (at < 0 || way === 1) {
          if (at >= 0 && really) this.evict('levelOne', caches.l1cd, at);
          return walker.withoutL1cd(t);
        }
        if (really) this.use('levelOne');
        return void walker.withL1cd(t, words[at + LEVEL_ONE.lo], words[at + LEVEL_ONE.hi]);
      }
      case LOOK.tlb:
        return this.goFirst(t, way, really);
      default:
        return this.goSecond(t, way, really);
    }
  }

  private goFirst(t: Translation, way: number, really: boolean): void {
    const { caches, walker } = this;
    const serving = this.translations(t);
    if (way < serving) {
      const at = this.translation(t, way);
      if (really) {
        this.use('tlb');
        this.drained.first = caches.tag(at);
        t.id = this.words[at + BLOCK.id];
      }
      return walker.withTranslation(t, at);
    }
    if (way === this.count(t) - 1 && this.conflicts(t)) return this.conflict(t, really);
    // Entries that could have served are not there: evicted at some time before this look-up.
    if (really) {
      for (let at = this.translation(t, 0); at >= 0; at = this.translation(t, 0))
        this.evict('tlb', caches.tlb.cache, at);
    }
    if (!walker.mayWalkFirst(t)) return;
    const at = this.tableOf(t, caches.walk1, way - serving, really);
    if (at < 0) return walker.withoutFirstTable(t);
    this.used.first = ((this.words[at] >>> ENTRY.level) & 3) + 1;
    walker.withFirstTable(t, at);
  }

  private goSecond(t: Translation, way: number, really: boolean): void {
    const { caches, walker } = this;
    const serving = this.ipas(t);
    if (way < serving) {
      const at = this.ipa(t, way);
      if (really) {
        this.use('ipa');
        this.drained.second = caches.tag(at);
      }
      this.used.second = 0;
      return void walker.withIpa(t, at, false);
    }
    if (really) {
      for (let at = this.ipa(t, 0); at >= 0; at = this.ipa(t, 0)) this.evict('ipa', caches.ipa.cache, at);
    }
    if (!walker.mayWalkSecond(t)) return;
    const at = this.tableOf(t, caches.walk2, way - serving, really);
    this.used.second = at < 0 ? 0 : ((this.words[at] >>> ENTRY.level) & 3) + 1;
    if (at < 0) walker.withoutSecondTable(t);
    else walker.withSecondTable(t, at);
  }

  /** The table that the walk goes on below, −1 for none. @param declined how many nearer ones are not there any more */
  private tableOf(t: Translation, of: BlockCache, declined: number, really: boolean): number {
    if (!really) return this.table(t, of, declined);
    for (let i = 0; i < declined; i++) {
      const at = this.table(t, of, 0);
      if (at >= 0) this.evict('table', of.cache, at);
    }
    const at = this.table(t, of, 0);
    if (at >= 0) this.use('table');
    return at;
  }

  /** What becomes of the transaction is left open: nothing that software was promised is about it any more (3.20.1, 3.21.1.2). */
  private leaveOpen(slot: number): void {
    const { core, dma } = this;
    dma.facts.bits |= FACT.leftOpen;
    dma.set(slot, SLOT.flags, dma.get(slot, SLOT.flags) & ~MARK.steady);
    if (core.telling) core.say('the TLB has translations of two sizes: a conflict');
  }

  private conflict(t: Translation, really: boolean): void {
    if (really) this.core.fire('conflict');
    t.class = CLASS.IN;
    t.s2 = 0;
    t.ipaHi = 0;
    t.ipaLo = 0;
    t.refuse(EVENT.F_TLB_CONFLICT);
  }

  /** Copies a decoded structure to where the transaction keeps it, without its StreamID. @returns that place */
  private keep(from: number, to: number, size: number, what: 'ste' | 'cd'): number {
    this.use(what);
    for (let i = 0; i < size; i++) this.core.arena.set(to + i, i === 1 ? 0 : this.words[from + i]);
    return to;
  }

  private use(what: CachedThing): void {
    this.core.fire(RULE_OF[what].used);
    if (this.core.telling) this.core.say(`${NAME_OF[what]} is in the cache`);
  }

  private evict(what: CachedThing, from: Cache, at: number): void {
    this.core.fire(RULE_OF[what].evicted);
    if (this.core.telling) this.core.say(`${NAME_OF[what]} is gone from the cache (evicted)`);
    from.drop(at);
  }

  // ---- a step

  step(slot: number, choice: number): void {
    const { dma, t, used, walker } = this;
    const stalled = dma.get(slot, SLOT.step) - STALLED_STEP - 1;
    if (stalled >= -1) return this.resume(slot, stalled);
    if (dma.get(slot, SLOT.step) === 0 && this.isPlain(slot)) return this.plain(slot);
    this.ways.fill(0);
    if (choice > 0) {
      this.tryWays(slot);
      for (let i = 0; i < choice; i++) {
        this.nextWays();
        if (i + 1 < choice) this.tryWays(slot);
      }
    }
    load(dma, slot, t, used);
    walker.fills.steAt = slot + SLOT_STE;
    walker.fills.cdAt = slot + SLOT_CD;
    this.drained.first = 0;
    this.drained.second = 0;
    for (let i = 0; t.look !== LOOK.none; i++) {
      if (t.look === LOOK.tlb && this.conflicts(t)) this.leaveOpen(slot);
      this.go(t, this.ways[i], true);
    }
    if (this.readsInParts && (t.task === TASK.ste || t.task === TASK.cd) && this.readsFirstWord(slot)) return;
    const fills = (dma.get(slot, SLOT.flags) & MARK.stale) === 0;
    if (t.task < TASK.done) this.access(slot, fills);
    walker.firstWord[0] = 0;
    // What was refused or is done by a look-up alone has filled nothing.
    if (t.task === TASK.done) return this.land(slot);
    if (t.task === TASK.refused) return this.refused(slot);
    save(dma, slot, t, used);
  }

  /**
   * Of an STE or a CD the first word is read, and kept where the structure will be; or it was, and the rest is read now (3.21.3).
   * @returns whether that was the step
   */
  private readsFirstWord(slot: number): boolean {
    const { core, dma, t, used, walker } = this;
    const at = t.task === TASK.ste ? slot + SLOT_STE : slot + SLOT_CD;
    if (dma.get(slot, SLOT.step) === FIRST_WORD_STEP) {
      walker.firstWord[0] = 1;
      walker.firstWord[1] = this.words[at];
      walker.firstWord[2] = this.words[at + 1];
      return false;
    }
    const word = wordAt(core.tables, t.physHi, t.physLo);
    if (word < 0) return false;
    core.arena.set(at, core.tables.lo(word));
    core.arena.set(at + 1, core.tables.hi(word));
    save(dma, slot, t, used);
    dma.set(slot, SLOT.step, FIRST_WORD_STEP);
    if (core.telling) {
      const what = t.task === TASK.ste ? 'STE' : 'CD';
      core.say(`reads the first word of the ${what}: ${hex64(this.words[at], this.words[at + 1])}`);
    }
    return true;
  }

  /** Reads what the task says. */
  private access(slot: number, fills: boolean): void {
    const { core, dma, t, used, walker } = this;
    const { task } = t;
    const pfn = t.physHi * 0x100000 + (t.physLo >>> 12);
    const isTable = task >= TASK.first;
    if (isTable) dma.tableRead(pfn, dma.requesters[dma.get(slot, SLOT.device)].did);
    const level = task === TASK.second ? t.second.level : t.first.level;
    if (isTable) {
      if (task === TASK.second) used.second ||= level + 1;
      else used.first ||= level + 1;
    }
    const [hi, lo] = [t.physHi, t.physLo];
    walker.step(t, fills);
    if (task === TASK.ste || task === TASK.cd) this.usedEntry(task, hi, lo);
    if (task === TASK.second && t.task !== TASK.second) used.second = 0;
    if (core.telling) core.say(textOf(t, task, level, hi, lo, walker));
  }

  /** A structure was read: what software has made of it by then is what it is (3.21.3). */
  private usedEntry(task: number, hi: number, lo: number): void {
    const { core, dma, walker } = this;
    const halves = task === TASK.ste ? walker.steHalves : walker.cdHalves;
    const mixed = dma.versions.used(hi * 0x100000 + (lo >>> 12), (lo >>> 3) & 511, halves);
    if (mixed !== null && core.telling) core.say(`${mixed} is a mix of what it was and what it is to be`);
  }

  /** It is translated: goes on, or is answered. */
  private land(slot: number): void {
    const { core, dma, drained, t } = this;
    const pfnHi = t.outHi;
    const pfnLo = t.outLo >>> 12;
    if (core.telling) core.say(`it goes to ${hex64(t.outLo, t.outHi)}`);
    if (t.asks) return this.answer(slot, t);
    const first = (t.config & 1) === 1;
    drained.cd = first;
    if (first && drained.first === 0) drained.first = this.walker.fills.tagOf(t, t.bits, t.grants);
    if ((t.config & 2) === 0 || (first && t.purpose !== TASK.output)) drained.second = 0;
    else if (drained.second === 0) drained.second = this.walker.fills.ipaTagOf(t, false);
    keepForDrain(dma, slot, t, drained);
    dma.translated(slot, pfnHi, pfnLo);
  }

  private answer(slot: number, t: Translation): void {
    const { dma } = this;
    const rights = t.pnu === 1 ? t.grants >>> 3 : t.grants;
    const write = (rights & RIGHT.uW) !== 0 && (t.kind & REQUEST.write) !== 0;
    clear(dma, slot);
    const level = t.bits >= 30 ? 3 : t.bits >= 21 ? 2 : 1;
    dma.ats?.answered(slot, t.outHi, t.outLo >>> 12, (rights & RIGHT.uR) | (write ? 2 : 0), level);
  }

  /** Refused: its event is recorded, and the transaction ends, or stalls. */
  private refused(slot: number): void {
    const { core, dma, t } = this;
    if (isTranslationRequest(t.kind)) return this.denied(slot);
    const silent =
      t.event === NO_EVENT ||
      (isTranslatedRequest(t.kind) && t.event < EVENT.F_WALK_EABT && t.event !== EVENT.F_TRANSL_FORBIDDEN);
    clear(dma, slot);
    if (silent) {
      if (core.telling) core.say('it is aborted, without an event');
      return dma.abort(slot);
    }
    const outcome = core.events.record(t);
    if (outcome === OUTCOME.abort) return dma.abort(slot);
    if (outcome === OUTCOME.razwi) return dma.ignored(slot);
    dma.set(slot, SLOT.phase, PHASE.translating);
    dma.set(slot, SLOT.step, STALLED_STEP + 1 + (outcome === OUTCOME.stalled ? core.events.stag : -1));
    // What it had read is forgotten: it begins anew (3.12.2).
    dma.set(slot, SLOT.flags, dma.get(slot, SLOT.flags) & ~(MARK.stale | MARK.holdWalk | MARK.holdDrain));
  }

  /** A translation request that is refused: no access; where the configuration is at fault, UR or CA, which to a device is the same. */
  private denied(slot: number): void {
    const { core, dma, t } = this;
    clear(dma, slot);
    if (t.event === EVENT.F_BAD_ATS_TREQ) core.events.record(t);
    if (core.telling)
      core.say(isDenial(t.event) ? 'translation completion without access' : 'the translation request is refused');
    dma.ats?.answered(slot, 0, 0, 0, 1);
  }

  /** A transaction that stalled is told what becomes of it (4.7.1). */
  private resume(slot: number, stag: number): void {
    const { core, dma } = this;
    const state = stag < 0 ? STALL.retry : core.stalls.stateOf(stag);
    if (stag >= 0) core.stalls.end(stag);
    if (state === STALL.abort) return dma.abort(slot);
    if (state === STALL.razwi) return dma.ignored(slot);
    if (core.telling) core.say('the stalled transaction is retried');
    dma.set(slot, SLOT.step, 0);
  }

  private plain(slot: number): void {
    const { core, dma, t, used } = this;
    load(dma, slot, t, used);
    if (core.enabled) return this.passes(slot, t);
    if (isTranslationRequest(t.kind)) return this.denied(slot);
    if (isTranslatedRequest(t.kind) || core.getInternal(INTERNAL.abort) !== 0) return dma.abort(slot);
    this.passes(slot, t);
  }

  private passes(slot: number, t: Translation): void {
    const { core, dma } = this;
    if (t.hi >>> (core.has.oas - 32) !== 0) return dma.abort(slot);
    dma.translated(slot, t.hi, t.lo >>> 12);
  }

  /** See {@link Translator.left}. */
  left(slot: number): number {
    const { dma } = this;
    const step = dma.get(slot, SLOT.step);
    if (step >= STALLED_STEP) return stepsLeft(null) + 1;
    load(dma, slot, this.t, this.used);
    const t = step === 0 ? null : this.t;
    return stepsLeft(t) + (this.readsInParts ? partsLeft(t, step === FIRST_WORD_STEP) : 0);
  }

  most(): number {
    return stepsLeft(null) + 1 + (this.readsInParts ? partsLeft(null, false) : 0);
  }
}
