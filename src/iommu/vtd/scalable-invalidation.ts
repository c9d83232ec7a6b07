/** What an invalidation does to the caches of scalable mode (VT-d 6.5.2, tables 23 and 24). */
import { PASID_GRANULARITY, PASID_IOTLB_GRANULARITY } from './commands.ts';
import type { IotlbInvalidation } from './invalidation.ts';
import { CONTEXT_GRANULARITY, IOTLB_GRANULARITY } from './registers.ts';
import type { Scalable } from './scalable.ts';
import { ADDRESSED, EVERYTHING } from './scalable-caches.ts';

/** A PASID-based IOTLB invalidation. */
export interface PasidInvalidation {
  readonly granularity: number;
  readonly did: number;
  readonly pasid: number;
  /** Address bits 61:30, and 29:12. */
  readonly vpnHi: number;
  readonly vpnLo: number;
  readonly am: number;
  /** Non-leaf entries are kept. */
  readonly leafOnly: boolean;
}

/** Every PGTT: of each, the address counts. */
const ALL = -1;

/** Context entries are not tagged by domain here (table 17): a domain-selective invalidation is global, a device-selective one ignores DID. */
export function contextScope(
  granularity: number,
  sid: number,
  functionMask: number,
): { readonly requester: number; readonly ignore: number } {
  const device = granularity === CONTEXT_GRANULARITY.device;
  return { requester: device ? sid : -1, ignore: [0, 4, 6, 7][functionMask] };
}

/** @param granularity see {@link PASID_GRANULARITY} */
export function invalidatePasidCache(scalable: Scalable, granularity: number, did: number, pasid: number): void {
  scalable.caches.dropPasids(
    granularity === PASID_GRANULARITY.global ? -1 : did,
    granularity === PASID_GRANULARITY.pasid ? pasid : -1,
  );
}

/**
 * An IOTLB invalidation (table 23), but for the second-stage paging-structure caches, which are those of legacy mode. Page-selective, it
 * selects second-stage and pass-through translations by address; all others of the domain go.
 */
export function invalidateScalableIotlb({ caches }: Scalable, inv: IotlbInvalidation): void {
  const page = inv.granularity === IOTLB_GRANULARITY.page;
  const did = inv.granularity === IOTLB_GRANULARITY.global ? -1 : inv.did;
  const all = { ...EVERYTHING, did };
  const { am, vpnHi, vpnLo } = inv;
  caches.dropTranslations(page ? { did, pasid: -1, am, vpnHi, vpnLo } : all, page ? ADDRESSED.iotlb : ALL, true);
  caches.dropFirst(all, false);
}

/**
 * A PASID-based IOTLB invalidation (table 24): page-selective, it selects first-stage and nested translations by address and leaves the
 * others. It does nothing to PASID cache and second stage.
 * @returns number of non-leaf entries in the scope that were kept because of the hint
 */
export function invalidatePasidIotlb({ caches }: Scalable, inv: PasidInvalidation): number {
  const { am, did, pasid, vpnHi, vpnLo } = inv;
  const page = inv.granularity === PASID_IOTLB_GRANULARITY.page;
  const scope = page ? { did, pasid, am, vpnHi, vpnLo } : { ...EVERYTHING, did, pasid };
  caches.dropTranslations(scope, page ? ADDRESSED.pasid : ALL, false);
  return caches.dropFirst(scope, page && inv.leafOnly);
}

/** Everything goes, at SRTP with CAP.ESRTPS (6.6) or when translation is disabled (11.4.4.1). */
export function forgetScalable({ caches }: Scalable): void {
  for (const cache of [caches.context, caches.pasid, caches.iotlb, ...caches.first]) cache.dropAll();
}
