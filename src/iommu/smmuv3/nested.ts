/**
 * One translation after the other's needs: STE, CD and both stages put together (IHI 0070, 3.3.2, 7.3.22). Each {@link Walker.step} is one access to memory;
 * what caches have instead is taken in between, by who drives it: `prompt.ts` at once, `requests.ts` in steps.
 */
import type { Memory } from '../../machine/index.ts';
import { BLOCK, blockBits } from '../kit/block-cache.ts';
import { wordAt } from '../kit/words.ts';
import { granted } from './ats-completion.ts';
import { ENTRY, levelOf, PRIVILEGED_SHIFT } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import { CD_WORDS, CONTROL, decodeCd, decodeSte, STE_AT, STE_TAG, STE_WORDS, TABLE_AT } from './configuration.ts';
import { contextLevelOne, enterContext, isInRange, locateContext, takeL1cd } from './context-table.ts';
import type { SmmuCore } from './core.ts';
import { EVENT, RIGHT } from './event-record.ts';
import { Fills } from './fills.ts';
import { refuseFirst, refuseSecond } from './stage-faults.ts';
import { enterStream, levelOneIndex, locateStream, readHalves, refuseFetch, takeL1std } from './stream-table.ts';
import type { Translation } from './translation.ts';
import { LOOK, TASK } from './translation.ts';
import type { StageWalk } from './walk.ts';
import { STEP } from './walk.ts';

const { F_CD_FETCH, F_PERMISSION, F_STE_FETCH, F_TRANSLATION } = EVENT;
const BOTH_STAGES = 3;

/** A stage-1 walk, or the fetch of a CD, reads as data. */
const READS = RIGHT.uR;
const READS_AND_WRITES = RIGHT.uR | RIGHT.uW;

export class Walker {
  readonly fills: Fills;
  private readonly core: SmmuCore<SmmuCaches>;
  private readonly memory: Memory;
  private readonly words: Int32Array;
  /** The structure that was read last. */
  readonly steHalves = new Int32Array(16);
  readonly cdHalves = new Int32Array(16);
  /** The first word of the structure that is read now, if it was read before the others: 1, and its halves. */
  readonly firstWord = new Int32Array(3);
  /** Words of the structure that was decoded last. */
  readonly steWords = new Int32Array(STE_WORDS.length);
  readonly cdWords = new Int32Array(CD_WORDS.length);

  constructor(core: SmmuCore<SmmuCaches>) {
    this.core = core;
    this.memory = core.tables;
    this.words = core.arena.words;
    this.fills = new Fills(core);
  }

  // What there is to do where a cache has nothing.

  /** The STE is to be read, or its level-1 descriptor looked for. @returns false: refused */
  withoutSte(t: Translation): boolean {
    const index = levelOneIndex(this.core, t);
    if (index === -2) return false;
    if (index < 0) locateStream(this.core, t, index);
    else t.look = LOOK.l1std;
    return true;
  }

  withoutL1std(t: Translation): void {
    locateStream(this.core, t, levelOneIndex(this.core, t));
  }

  /** The CD is to be fetched, or its level-1 descriptor looked for. */
  withoutCd(t: Translation): void {
    if (contextLevelOne(t, this.words) >= 0) t.look = LOOK.l1cd;
    else this.fetch(t, locateContext(t, this.words, -1), READS, 0);
  }

  withoutL1cd(t: Translation): void {
    this.fetch(t, locateContext(t, this.words, contextLevelOne(t, this.words)), READS, 0);
  }

  /** No cached translation: the tables may be walked, or not. @returns false: refused */
  mayWalkFirst(t: Translation): boolean {
    return isInRange(t) || refuseFirst(t, this.words, F_TRANSLATION);
  }

  /** Stage 1 begins at its first level. */
  withoutFirstTable(t: Translation): void {
    const { first } = t;
    first.begin(first.control, this.words[t.table + TABLE_AT.hi], this.words[t.table + TABLE_AT.lo]);
    this.nextOfFirst(t);
  }

  /** No cached translation of the IPA: see {@link mayWalkFirst}. */
  mayWalkSecond(t: Translation): boolean {
    const { second } = t;
    second.control = this.words[t.ste + STE_AT.control];
    return isIpaInRange(second) || refuseSecond(t, this.words, F_TRANSLATION);
  }

  /** Stage 2 begins at its first level. */
  withoutSecondTable(t: Translation): void {
    const { second } = t;
    second.begin(second.control, this.words[t.ste + STE_AT.ttbHi], this.words[t.ste + STE_AT.ttbLo]);
    this.nextOfSecond(t);
  }

  // What caches have.

  /** @param ste offset of its words @returns false: refused */
  withSte(t: Translation, ste: number): boolean {
    t.ste = ste;
    t.look = LOOK.none;
    t.purpose = TASK.none;
    return enterStream(this.core, t, this.words);
  }

  withL1std(t: Translation, lo: number, hi: number): boolean {
    return takeL1std(this.core, t, lo, hi);
  }

  /** @param cd offset of its words @returns false: refused */
  withCd(t: Translation, cd: number): boolean {
    t.cd = cd;
    t.look = LOOK.none;
    t.purpose = TASK.none;
    return enterContext(t, this.words);
  }

  withL1cd(t: Translation, lo: number, hi: number): boolean {
    if (!takeL1cd(this.core.has, t, this.words, lo, hi)) return false;
    this.fetch(t, TASK.cd, READS, 0);
    return true;
  }

  /** A cached translation serves. @param at its entry in the TLB */
  withTranslation(t: Translation, at: number): void {
    const { caches } = this.core;
    const tag = caches.tag(at);
    t.grants = (tag >>> ENTRY.rights) & 63;
    t.bits = blockBits(tag);
    t.finish(caches.tlb.outHi(at, t.first.inHi), caches.tlb.outLo(at, t.first.inLo));
  }

  /** Stage 1 goes on below a cached table. @param at its entry */
  withFirstTable(t: Translation, at: number): void {
    this.below(t.first, this.words, at);
    this.nextOfFirst(t);
  }

  /** Stage 2 goes on below a cached table. */
  withSecondTable(t: Translation, at: number): void {
    this.below(t.second, this.words, at);
    this.nextOfSecond(t);
  }

  private below(stage: StageWalk, words: Int32Array, at: number): void {
    stage.level = levelOf(words[at]) + 1;
    stage.restrict = (words[at] >>> ENTRY.restrict) & 15;
    stage.tableHi = words[at + BLOCK.outHi];
    stage.tableLo = words[at + BLOCK.outLo];
  }

  /** A cached translation of stage 2 serves. @param at its entry. @param fills whether the TLB is filled @returns false: refused */
  withIpa(t: Translation, at: number, fills: boolean): boolean {
    const { caches } = this.core;
    const { second } = t;
    const tag = caches.tag(at);
    second.rights = (tag >>> ENTRY.rights) & 63;
    second.bits = blockBits(tag);
    second.level = levelOf(tag);
    second.outHi = caches.ipa.outHi(at, second.inHi);
    second.outLo = caches.ipa.outLo(at, second.inLo);
    // What is cached has no nT that counts.
    second.cached = true;
    return this.secondDone(t, ((tag >>> ENTRY.device) & 1) !== 0, fills);
  }

  // One access.

  /** Does what `task` says, and finds out what is next. @param fills whether caches are filled */
  step(t: Translation, fills: boolean): void {
    switch (t.task) {
      case TASK.l1std: {
        const at = wordAt(this.memory, t.physHi, t.physLo);
        if (at < 0) return void refuseFetch(t, F_STE_FETCH);
        const lo = this.memory.lo(at);
        const hi = this.memory.hi(at);
        if (fills) this.fills.l1std(t, lo, hi);
        return void takeL1std(this.core, t, lo, hi);
      }
      case TASK.ste:
        return this.readSte(t, fills);
      case TASK.l1cd: {
        const at = wordAt(this.memory, t.physHi, t.physLo);
        if (at < 0) return void refuseFetch(t, F_CD_FETCH);
        const lo = this.memory.lo(at);
        const hi = this.memory.hi(at);
        if (fills) this.fills.l1cd(t, contextLevelOne(t, this.words), lo, hi);
        return void this.withL1cd(t, lo, hi);
      }
      case TASK.cd:
        return this.readCd(t, fills);
      case TASK.first:
        return this.readFirst(t, fills);
      case TASK.firstUpdate:
        return this.updateFirst(t, fills);
      case TASK.second:
        return this.readSecond(t, fills);
    }
  }

  private readStructure(t: Translation, into: Int32Array): boolean {
    const { firstWord } = this;
    if (!readHalves(this.memory, t, into)) return false;
    if (firstWord[0] === 0) return true;
    into[0] = firstWord[1];
    into[1] = firstWord[2];
    return true;
  }

  private readSte(t: Translation, fills: boolean): void {
    if (!this.readStructure(t, this.steHalves)) return void refuseFetch(t, F_STE_FETCH);
    decodeSte(this.core.has, t.sid, this.steHalves, this.steWords);
    this.withSte(t, this.fills.ste(t, this.steWords, fills));
  }

  private readCd(t: Translation, fills: boolean): void {
    if (!this.readStructure(t, this.cdHalves)) return void refuseFetch(t, F_CD_FETCH);
    const under = { both: t.both, stallDisabled: ((this.words[t.ste] >>> STE_TAG.stallDisabled) & 1) === 1 };
    decodeCd(this.core.has, t.sid, t.index, this.cdHalves, under, this.cdWords);
    this.withCd(t, this.fills.cd(t, this.cdWords, fills));
  }

  private readFirst(t: Translation, fills: boolean): void {
    const { first } = t;
    switch (first.read(this.memory, t.physHi, t.physLo)) {
      case STEP.more:
        return this.belowFirst(t, fills);
      case STEP.update:
        if ((t.config & 2) === 0) return this.setFirst(t, fills);
        // 3.13.5: the page that the descriptor is in has to be writable.
        t.physHi = first.fetchHi;
        t.physLo = first.fetchLo;
        return this.fetch(t, TASK.firstUpdate, READS_AND_WRITES, RIGHT.uW);
      case STEP.done:
        return this.firstDone(t, fills);
      default:
        refuseFirst(t, this.words, first.event);
    }
  }

  /** The descriptor's page is writable: it may be another by now than the one that was read before. */
  private updateFirst(t: Translation, fills: boolean): void {
    const { first } = t;
    switch (first.read(this.memory, t.physHi, t.physLo)) {
      case STEP.more:
        return this.belowFirst(t, fills);
      case STEP.update:
        return this.setFirst(t, fills);
      case STEP.done:
        return this.firstDone(t, fills);
      default:
        refuseFirst(t, this.words, first.event);
    }
  }

  private belowFirst(t: Translation, fills: boolean): void {
    if (fills) this.fills.firstTable(t);
    this.nextOfFirst(t);
  }

  private setFirst(t: Translation, fills: boolean): void {
    t.first.update(this.memory, t.physHi, t.physLo);
    this.firstDone(t, fills);
  }

  private readSecond(t: Translation, fills: boolean): void {
    const { second } = t;
    second.cached = false;
    switch (second.read(this.memory, t.physHi, t.physLo)) {
      case STEP.more:
        if (fills) this.fills.secondTable(t);
        return this.nextOfSecond(t);
      case STEP.update:
        second.update(this.memory, t.physHi, t.physLo);
        return void this.secondDone(t, second.device, fills);
      case STEP.done:
        return void this.secondDone(t, second.device, fills);
      default:
        refuseSecond(t, this.words, second.event);
    }
  }

  // From one thing to the next.

  /** Something at `physHi`, `physLo` is read or written next: an IPA where stage 2 translates. @param rights that it takes there */
  private fetch(t: Translation, task: number, rights: number, dirties: number): void {
    t.look = LOOK.none;
    t.task = task;
    if ((t.config & 2) === 0) return;
    const { second } = t;
    t.purpose = task;
    second.inHi = t.physHi;
    second.inLo = t.physLo;
    second.want = rights;
    second.dirties = dirties;
    t.look = LOOK.ipa;
  }

  private nextOfFirst(t: Translation): void {
    const { first } = t;
    first.locate();
    t.physHi = first.fetchHi;
    t.physLo = first.fetchLo;
    this.fetch(t, TASK.first, READS, 0);
  }

  private nextOfSecond(t: Translation): void {
    const { second } = t;
    second.locate();
    t.physHi = second.fetchHi;
    t.physLo = second.fetchLo;
    t.task = TASK.second;
    t.look = LOOK.none;
  }

  private firstDone(t: Translation, fills: boolean): void {
    const { first, second } = t;
    if ((t.config & 2) === 0) {
      t.grants = first.rights;
      t.bits = first.bits;
      if (fills) this.fills.translation(t, first.bits, first.rights, first.outHi, first.outLo);
      return t.finish(first.outHi, first.outLo);
    }
    // 3.9.1.2: of what stage 1 grants no request stage 2 is not asked.
    if (t.asks && !this.isGranted(t, first.rights)) {
      t.grants = 0;
      return t.finish(first.outHi, first.outLo);
    }
    t.purpose = TASK.output;
    second.inHi = first.outHi;
    second.inLo = first.outLo;
    second.want = t.want;
    second.dirties = t.dirties;
    t.look = LOOK.ipa;
  }

  /** Whether a translation request would have any access by rights that are all there are. */
  private isGranted(t: Translation, rights: number): boolean {
    const inst = (this.words[t.ste] >>> STE_TAG.inst) & 3;
    return granted(t.pnu === 1 ? rights >>> PRIVILEGED_SHIFT : rights, inst, t.kind) !== 0;
  }

  /** @returns false: refused */
  private secondDone(t: Translation, device: boolean, fills: boolean): boolean {
    const { second } = t;
    if (fills && !second.cached) this.fills.ipa(t, device);
    const ptw = ((this.words[t.ste] >>> STE_TAG.ptw) & 1) !== 0;
    if (t.purpose !== TASK.output) {
      if (ptw && device) {
        second.faultsRead = t.purpose !== TASK.firstUpdate;
        return refuseSecond(t, this.words, F_PERMISSION);
      }
      t.physHi = second.outHi;
      t.physLo = second.outLo;
      t.task = t.purpose;
      t.look = LOOK.none;
      return true;
    }
    const nested = (t.config & BOTH_STAGES) === BOTH_STAGES;
    t.grants = nested ? t.first.rights & second.rights : second.rights;
    t.bits = nested ? Math.min(t.first.bits, second.bits) : second.bits;
    if (nested && fills) this.fills.translation(t, t.bits, t.grants, second.outHi, second.outLo);
    if (t.asks && t.split) t.finish(second.inHi, second.inLo);
    else t.finish(second.outHi, second.outLo);
    return true;
  }
}

/** Whether an IPA is within S2T0SZ (3.4). */
function isIpaInRange({ control, inHi, inLo }: StageWalk): boolean {
  const bits = (control >>> CONTROL.input) & 63;
  return bits >= 32 ? inHi >>> (bits - 32) === 0 : inHi === 0 && inLo >>> bits === 0;
}
