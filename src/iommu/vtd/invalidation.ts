/** What an invalidation does to the caches and to requests in flight (VT-d 6.5). */
import type { Dma } from '../../machine/index.ts';
import { ACCESS, MARK, PHASE, SLOT } from '../../machine/index.ts';
import type { VtdCaches } from './caches.ts';
import { didOf, EVERY_PAGE, pageBits, sameBlock } from './caches.ts';
import type { VtdCore } from './core.ts';
import { CONTEXT_GRANULARITY, IOTLB_GRANULARITY } from './registers.ts';

/** Steps of a translation, as kept in a transaction's slot. */
export const WALK_STEP = {
  start: 0,
  root: 1,
  context: 2,
  /** The context is known, no paging entry was read yet. */
  fresh: 3,
  /** Plus the level of the first paging entry, read or cached, that was used (1 to 5): some entry was. */
  deep: 4,
} as const;

/** One IOTLB invalidation, from whichever interface. */
export interface IotlbInvalidation {
  granularity: number;
  did: number;
  vpnHi: number;
  vpnLo: number;
  am: number;
  /** Non-leaf entries are kept. */
  leafOnly: boolean;
  drainReads: boolean;
  drainWrites: boolean;
}

/** Drops the context-cache entries in the scope. A request that has read the root entry may not fill behind it. */
export function invalidateContext(
  caches: VtdCaches,
  dma: Dma | null,
  granularity: number,
  did: number,
  sid: number,
  functionMask: number,
): void {
  const { context } = caches;
  // FM 1, 2, 3: the function number's bit 2, bits 2:1, bits 2:0 are masked (VT-d 6.5.2.1).
  const ignore = [0, 4, 6, 7][functionMask];
  for (let i = 0; i < context.entries; i++) {
    const at = context.at(i);
    const tag = caches.tag(at);
    if (tag === 0) continue;
    if (granularity !== CONTEXT_GRANULARITY.global && didOf(tag) !== did) continue;
    if (granularity === CONTEXT_GRANULARITY.device && ((caches.contextSid(at) ^ sid) & ~ignore) !== 0) continue;
    context.drop(at);
  }
  if (dma === null || granularity !== CONTEXT_GRANULARITY.global) return;
  for (let i = 0; i < dma.slots; i++) {
    const slot = dma.at(i);
    const reading = dma.get(slot, SLOT.phase) === PHASE.translating && dma.get(slot, SLOT.step) === WALK_STEP.context;
    if (reading) dma.mark(slot, MARK.stale | MARK.holdWalk);
  }
}

/**
 * Drops what an IOTLB invalidation covers, and marks the requests in its scope.
 *
 * The first end, "the entry is gone", holds when this returns. The second, "what was translated with it has drained", is a
 * mark on every request of the scope that a drain was asked for (VT-d 6.5.4: the domain's, where page-selective those whose address overlaps).
 * Interrupts are no requests to memory; what drains them is the invalidation of their own cache (6.5.5).
 * A walk in progress that has read an entry of the scope may not fill and is finished before the completion: VT-d 5.10
 * does not say so in words; software relies on it whenever it frees a table after the invalidation.
 * @returns number of non-leaf entries in the scope that were kept because of the hint
 */
export function invalidateIotlb(caches: VtdCaches, dma: Dma | null, inv: IotlbInvalidation): number {
  const { paging } = caches;
  const page = inv.granularity === IOTLB_GRANULARITY.page;
  let kept = 0;
  const did = inv.granularity === IOTLB_GRANULARITY.global ? -1 : inv.did;
  caches.dropTranslations(did, page ? inv.am : EVERY_PAGE, inv.vpnHi, inv.vpnLo);
  for (let level = 2; level < paging.length; level++) {
    const cache = paging[level];
    for (let i = 0; i < cache.entries; i++) {
      const at = cache.at(i);
      const tag = cache.tag(at);
      if (tag === 0 || (did >= 0 && didOf(tag) !== did)) continue;
      if (page && !caches.isInBlock(at, inv.am, inv.vpnHi, inv.vpnLo)) continue;
      if (inv.leafOnly) kept++;
      else cache.drop(at);
    }
  }
  if (dma === null) return kept;
  for (let i = 0; i < dma.slots; i++) {
    const slot = dma.at(i);
    const phase = dma.get(slot, SLOT.phase);
    if (phase !== PHASE.translating && phase !== PHASE.translated) continue;
    if ((dma.get(slot, SLOT.flags) & MARK.message) !== 0) continue;
    // 6.5.4: what goes to addresses that its device has translated is drained by the invalidation of its device-TLB.
    if ((dma.get(slot, SLOT.flags) & MARK.direct) !== 0) continue;
    const drain = dma.get(slot, SLOT.access) === ACCESS.read ? inv.drainReads : inv.drainWrites;
    const holdDrain = drain && overlaps(dma, slot, inv, 0) ? MARK.holdDrain : 0;
    if (phase === PHASE.translated) {
      if (holdDrain !== 0) dma.mark(slot, MARK.holdDrain);
    } else if (hasReadAffected(dma, slot, inv)) {
      dma.mark(slot, MARK.stale | MARK.holdWalk | holdDrain);
    }
  }
  return kept;
}

/** Marks every request in flight that the unit can drain: what follows waits for them (6.5.4; 11.4.8.1 for protected memory). */
export function drainAll(core: VtdCore): void {
  const { dma } = core;
  if (dma === null) return;
  for (let i = 0; i < dma.slots; i++) {
    const slot = dma.at(i);
    if (dma.get(slot, SLOT.phase) !== PHASE.translated || (dma.get(slot, SLOT.flags) & MARK.message) !== 0) continue;
    const drains = dma.get(slot, SLOT.access) === ACCESS.read ? core.drainsReads : core.drainsWrites;
    if (drains) dma.mark(slot, MARK.holdDrain);
  }
}

/** Whether the invalidation covers part of the block of 2^bits pages around the request's. */
function overlaps(dma: Dma, slot: number, inv: IotlbInvalidation, bits: number): boolean {
  if (inv.granularity === IOTLB_GRANULARITY.global) return true;
  if (dma.get(slot, SLOT.did) !== inv.did) return false;
  if (inv.granularity === IOTLB_GRANULARITY.domain) return true;
  const block = Math.max(inv.am, bits);
  return sameBlock(block, dma.get(slot, SLOT.vpnHi), dma.get(slot, SLOT.vpnLo), inv.vpnHi, inv.vpnLo);
}

/**
 * Whether a walk in progress holds something that the invalidation makes void: a paging entry that covers part of its range, as a cached
 * one would be dropped; or, where all of the domain is meant, the top table's address from the context entry.
 */
function hasReadAffected(dma: Dma, slot: number, inv: IotlbInvalidation): boolean {
  const step = dma.get(slot, SLOT.step);
  if (step === WALK_STEP.fresh) return inv.granularity !== IOTLB_GRANULARITY.page && overlaps(dma, slot, inv, 0);
  return step > WALK_STEP.deep && !inv.leafOnly && overlaps(dma, slot, inv, pageBits(step - WALK_STEP.deep));
}
