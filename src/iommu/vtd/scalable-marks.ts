/**
 * What an invalidation in scalable mode means for transactions in flight (VT-d 6.5.4): those to be drained, and walks that hold
 * something that it makes void: these may not fill any cache, end before it completes, and what they have translated is drained like the rest.
 */
import type { Dma } from '../../machine/index.ts';
import { ACCESS, MARK, PHASE, SLOT } from '../../machine/index.ts';
import { sameBlock } from './cache-entries.ts';
import { PASID_GRANULARITY, PASID_IOTLB_GRANULARITY } from './commands.ts';
import type { IotlbInvalidation } from './invalidation.ts';
import { IOTLB_GRANULARITY } from './registers.ts';
import { ADDRESSED } from './scalable-caches.ts';
import type { PasidInvalidation } from './scalable-invalidation.ts';
import { hasReadLeaf, SCALABLE_STEP, tagsOf, usedLevel } from './scalable-slot.ts';
import { PGTT } from './scalable-structures.ts';
import { STAGE } from './scalable-walk.ts';

const VOID = MARK.stale | MARK.holdWalk;

/** Calls for each transaction that is being translated in scalable mode, or is translated. */
function each(dma: Dma, visit: (slot: number, stage: number, translated: boolean) => void): void {
  for (let i = 0; i < dma.slots; i++) {
    const slot = dma.at(i);
    // 6.5.4: what goes to addresses that its device has translated is drained by the invalidation of its device-TLB.
    if ((dma.get(slot, SLOT.flags) & (MARK.message | MARK.direct)) !== 0) continue;
    const phase = dma.get(slot, SLOT.phase);
    const step = dma.get(slot, SLOT.step);
    if (phase === PHASE.translated) visit(slot, -1, true);
    else if (phase === PHASE.translating && step >= SCALABLE_STEP) visit(slot, step - SCALABLE_STEP, false);
  }
}

/** @param sid −1 for every requester. @param ignore bits of the source id that do not matter */
export function markForContext(dma: Dma | null, sid: number, ignore: number): void {
  if (dma === null) return;
  each(dma, (slot, stage) => {
    const reading = stage === STAGE.context || stage === STAGE.contextHigh;
    const { sid: own } = dma.requesters[dma.get(slot, SLOT.device)];
    if (reading && (sid < 0 || ((own ^ sid) & ~ignore) === 0)) dma.mark(slot, VOID);
  });
}

/** Walks between the directory and the end of the table entry hold a pointer or a part of it; whose domain they will have is not known yet. */
export function markForPasids(dma: Dma | null, granularity: number, pasid: number): void {
  if (dma === null) return;
  each(dma, (slot, stage) => {
    if (stage < STAGE.directory || stage > STAGE.entryHigh) return;
    if (granularity !== PASID_GRANULARITY.pasid || tagsOf(dma, slot).pasid === pasid) dma.mark(slot, VOID);
  });
}

/** @param inv with what is drained */
export function markForIotlb(dma: Dma | null, inv: IotlbInvalidation): void {
  if (dma === null) return;
  const page = inv.granularity === IOTLB_GRANULARITY.page;
  each(dma, (slot, stage, translated) => {
    const domain = inv.granularity === IOTLB_GRANULARITY.global || dma.get(slot, SLOT.did) === inv.did;
    const asked = dma.get(slot, SLOT.access) === ACCESS.read ? inv.drainReads : inv.drainWrites;
    const byAddress = page && ((ADDRESSED.iotlb >>> tagsOf(dma, slot).pgtt) & 1) === 1;
    const drains = asked && domain && (!byAddress || overlaps(dma, slot, inv, 0)) ? MARK.holdDrain : 0;
    if (translated) return dma.mark(slot, drains);
    if (stage <= STAGE.known || !domain) return;
    // Of a nested translation the first stage's tables, too, were found through second-stage leaves.
    if (!page || tagsOf(dma, slot).pgtt !== PGTT.secondStage) return dma.mark(slot, VOID | drains);
    const used = usedLevel(dma, slot);
    if (used > 0 && !inv.leafOnly && overlaps(dma, slot, inv, 9 * (used - 1))) dma.mark(slot, VOID | drains);
  });
}

/** @param implemented it always asks to drain (6.5.2.4); whether the implementation does it */
export function markForPasidIotlb(dma: Dma | null, inv: PasidInvalidation, implemented: boolean): void {
  if (dma === null) return;
  const page = inv.granularity === PASID_IOTLB_GRANULARITY.page;
  each(dma, (slot, stage, translated) => {
    const { pasid, pgtt } = tagsOf(dma, slot);
    if (dma.get(slot, SLOT.did) !== inv.did || pasid !== inv.pasid) return;
    const addressed = ((ADDRESSED.pasid >>> pgtt) & 1) === 1;
    if (page && !addressed) return;
    const drains = implemented && (!page || overlaps(dma, slot, inv, 0)) ? MARK.holdDrain : 0;
    if (translated) return dma.mark(slot, drains);
    if (stage <= STAGE.known) return;
    if (!page) return dma.mark(slot, VOID | drains);
    const used = usedLevel(dma, slot);
    // A nested walk goes on behind the first stage's leaf: that it has read it counts whatever the hint says.
    const affected = hasReadLeaf(dma, slot) || (used > 0 && !inv.leafOnly);
    if (affected && overlaps(dma, slot, inv, 9 * (used - 1))) dma.mark(slot, VOID | drains);
  });
}

/** Whether the block of 2^bits pages around the request's meets that of the invalidation. */
function overlaps(
  dma: Dma,
  slot: number,
  { am, vpnHi, vpnLo }: { readonly am: number; readonly vpnHi: number; readonly vpnLo: number },
  bits: number,
): boolean {
  return sameBlock(Math.max(am, bits), dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo), vpnHi, vpnLo);
}
