/**
 * What an invalidation means for transactions in flight (IHI 0070, 3.21.1, 3.21.3): walks that hold something that it makes void may not fill any cache and
 * end before it completes, and what was translated by what it names is drained.
 */
import type { Dma } from '../../machine/index.ts';
import { MARK, PHASE, SLOT } from '../../machine/index.ts';
import { blockTag } from '../kit/block-cache.ts';
import { originOf } from './cache-entries.ts';
import type { SmmuCaches } from './caches.ts';
import type { SmmuCore } from './core.ts';
import { Fills } from './fills.ts';
import { spanOf } from './geometry.ts';
import type { Drained, Used } from './slot.ts';
import { load, loadForDrain, STALLED_STEP } from './slot.ts';
import { isInScope, isTableInScope } from './tlb-match.ts';
import type { RequestMarks, TlbScope } from './tlb-scope.ts';
import { SCOPE_STAGE } from './tlb-scope.ts';
import { LOOK, TASK, Translation } from './translation.ts';
import type { StageWalk } from './walk.ts';

export class Marks implements RequestMarks {
  private readonly core: SmmuCore<SmmuCaches>;
  private readonly dma: Dma;
  private readonly fills: Fills;
  private readonly t: Translation;
  private readonly used: Used = { first: 0, second: 0 };
  private readonly drained: Drained = { first: 0, second: 0, cd: false };
  private readonly held: number;

  constructor(core: SmmuCore<SmmuCaches>, dma: Dma) {
    this.core = core;
    this.dma = dma;
    this.fills = new Fills(core);
    this.t = new Translation(core.has);
    this.held = MARK.holdWalk | MARK.holdDrain | (core.profile.forgetsStaleWalks ? MARK.stale : 0);
  }

  private isMine(slot: number): boolean {
    const { mine } = this.core.parts;
    return mine === undefined || mine(this.dma.get(slot, SLOT.device));
  }

  /** Whether the slot's translation has begun and holds something. */
  private isWalking(slot: number): boolean {
    const step = this.dma.get(slot, SLOT.step);
    return this.dma.get(slot, SLOT.phase) === PHASE.translating && step > 0 && step < STALLED_STEP;
  }

  forTlb(scope: TlbScope): void {
    const { dma } = this;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      if (!this.isMine(slot)) continue;
      if (this.isWalking(slot)) {
        if (this.isWalkConcerned(slot, scope)) dma.mark(slot, this.held);
      } else if (dma.get(slot, SLOT.phase) === PHASE.translated && this.isTranslationConcerned(slot, scope)) {
        dma.mark(slot, MARK.holdDrain);
      }
    }
  }

  private isTranslationConcerned(slot: number, scope: TlbScope): boolean {
    const { drained, t } = this;
    loadForDrain(this.dma, slot, t, drained);
    const { first, second } = drained;
    if (scope.stage !== SCOPE_STAGE.two && first !== 0 && isInScope(scope, first, t.id, t.hi, t.lo)) return true;
    if (scope.stage === SCOPE_STAGE.one || second === 0) return false;
    return isInScope(scope, second, t.id, t.second.inHi, t.second.inLo);
  }

  private isWalkConcerned(slot: number, scope: TlbScope): boolean {
    const { t, used } = this;
    load(this.dma, slot, t, used);
    const { first, second } = t;
    if (scope.stage !== SCOPE_STAGE.two && (t.config & 1) === 1) {
      const { inHi, inLo } = first;
      // Its leaf was read; or tables above the leaf, of which the first covers most.
      if (t.purpose === TASK.output && isInScope(scope, this.fills.tagOf(t, first.bits, 0), t.id, inHi, inLo))
        return true;
      if (used.first > 0 && !scope.leafOnly && isTableInScope(scope, tableTag(first, used.first), t.id, inHi, inLo))
        return true;
    }
    if (scope.stage === SCOPE_STAGE.one || t.purpose === TASK.none || t.look !== LOOK.none) return false;
    const vmid = t.id & ~0xffff;
    const { inHi, inLo } = second;
    if (t.task !== TASK.second) {
      // Stage 2 has said where something is that is read next.
      const tag = blockTag(spanOf(second.granule, second.level)) | originOf(second.granule, second.level);
      return isInScope(scope, tag, vmid, inHi, inLo);
    }
    return used.second > 0 && !scope.leafOnly && isTableInScope(scope, tableTag(second, used.second), vmid, inHi, inLo);
  }

  forConfig(sid: number, log2: number, ssid: number): void {
    const { dma, drained, t, used } = this;
    for (let i = 0; i < dma.slots; i++) {
      const slot = dma.at(i);
      const phase = dma.get(slot, SLOT.phase);
      if (phase !== PHASE.translating && phase !== PHASE.translated) continue;
      const { sid: own } = dma.requesters[dma.get(slot, SLOT.device)];
      if (!this.isMine(slot) || Math.floor(own / 2 ** log2) !== Math.floor(sid / 2 ** log2)) continue;
      if (this.isWalking(slot)) {
        load(dma, slot, t, used);
        if (ssid < 0 || usesCd(t, ssid)) dma.mark(slot, this.held);
      } else if (phase === PHASE.translated) {
        loadForDrain(dma, slot, t, drained);
        if (ssid < 0 || (drained.cd && t.index === ssid)) dma.mark(slot, MARK.holdDrain);
      }
    }
  }
}

/** Whether a walk has read a CD, or the level-1 descriptor that leads to it. */
function usesCd(t: Translation, ssid: number): boolean {
  if ((t.config & 1) === 0 || t.index !== ssid || t.task === TASK.ste || t.task === TASK.l1std) return false;
  return t.look !== LOOK.cd && t.task !== TASK.l1cd && t.purpose !== TASK.l1cd;
}

/** Tag of the table that the first descriptor that was used points at. @param used its level, plus 1 */
function tableTag(stage: StageWalk, used: number): number {
  return blockTag(spanOf(stage.granule, used - 1)) | originOf(stage.granule, used - 1);
}
