/**
 * Caching mode (VT-d 6.1, CAP.CM): entries that led to a fault may be cached. The explorer and the adversary fill them and choose whether
 * one serves; at once (`prompt`) nothing is filled, which CM permits as well.
 */
import { didOf, faultOf, levelTag, TAG } from './caches.ts';
import type { VtdCore } from './core.ts';
import { FAULT } from './faults.ts';
import { REQUEST } from './request.ts';
import type { Walk } from './walk.ts';

/** Accesses that a fault with this reason is about, R 1 and W 2: a missing right is about one. */
function accessesOf(reason: number): number {
  if (reason === FAULT.read) return REQUEST.read;
  return reason === FAULT.write ? REQUEST.write : REQUEST.read | REQUEST.write;
}

function tagOf(walk: Walk): number {
  const fpd = (walk.fpd ? 1 : 0) << TAG.fpd;
  return TAG.valid | fpd | (1 << TAG.refused) | (accessesOf(walk.fault) << TAG.perms) | (walk.fault << TAG.fault);
}

/** The requester has no usable context entry. It is tagged by domain id 0 (6.2.2), which no other entry has. */
export function cacheContextFault(core: VtdCore): void {
  core.caches.fillContext(core.walk.sid, tagOf(core.walk), 0, 0);
}

/**
 * The page is not translated. It is tagged as a translation would be (6.2.4.1), of 4 KiB, as a larger one may be cached in
 * parts; and where the fault is one of a paging entry above the leaves, so is that (6.2.5.5).
 * @param level of the paging entry that was read; 0 for none
 */
export function cacheFault(core: VtdCore, level: number): void {
  const { caches, walk } = core;
  const tag = tagOf(walk) | (walk.did << TAG.did);
  caches.fillTranslation(walk.sid, tag | levelTag(1), walk.vpnHi, walk.vpnLo, 0, 0);
  if (level < 2 || walk.fault === FAULT.interruptRange) return;
  const known = caches.findPaging(level, walk.did, walk.vpnHi, walk.vpnLo);
  if (known < 0 || faultOf(caches.tag(known)) !== 0) caches.fillPagingFault(level, tag, walk.vpnHi, walk.vpnLo);
}

/** Reason for which a cached entry refuses what the walk wants; 0 where it does not. */
export function refusalOf(core: VtdCore, entry: number): number {
  const tag = core.caches.tag(entry);
  const about = (tag >>> TAG.perms) & 3 & core.walk.access;
  return faultOf(tag) !== 0 && (about !== 0 || didOf(tag) === 0) ? faultOf(tag) : 0;
}
