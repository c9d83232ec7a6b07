/** Invalidations that there are in scalable mode only (VT-d 6.5.2.2, 6.5.2.4), as `qi_flush_pasid_cache` and `qi_flush_piotlb` ask for them. */
import { encode, hex } from '../../bits/index.ts';
import {
  PASID_CACHE_INV_DSC,
  PASID_DEVICE_TLB_INV_DSC,
  PASID_GRANULARITY,
  PASID_IOTLB_GRANULARITY,
  PASID_IOTLB_INV_DSC,
} from '../../iommu/vtd/commands.ts';
import type { Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import { EVERY_PAGE, sized } from './device-tlb.ts';
import type { InvalidationQueue, Invalidator, PageFlush } from './invalidation.ts';

/** The words of a descriptor that invalidates all that a device has cached of one PASID. */
export function deviceTlbOfPasid(sid: number, pasid: number): bigint[] {
  const { ADDR, S } = sized(0, EVERY_PAGE);
  return encode(PASID_DEVICE_TLB_INV_DSC, { SID: sid, PASID: pasid, S, ADDR });
}

export class PasidInvalidation {
  private readonly queue: InvalidationQueue;

  /** @param queue with descriptors of 256 bits */
  constructor(queue: InvalidationQueue) {
    this.queue = queue;
  }

  /** Invalidates what the PASID cache has of one PASID of a domain. */
  pasidCache(did: number, pasid: number): Program {
    const words = encode(PASID_CACHE_INV_DSC, { G: PASID_GRANULARITY.pasid, DID: did, PASID: pasid });
    return this.queue.submit(
      words,
      `queues PASID-cache invalidate: PASID ${hex(pasid)} of DID ${did}; a wait behind it; IQT`,
    );
  }

  /** Invalidates what the PASID cache has of a domain. */
  pasidCacheOfDomain(did: number): Program {
    const words = encode(PASID_CACHE_INV_DSC, { G: PASID_GRANULARITY.domain, DID: did });
    return this.queue.submit(words, `queues PASID-cache invalidate: all of DID ${did}; a wait behind it; IQT`);
  }

  /** Invalidates all first-stage and nested translations of one PASID, and drains its requests. */
  pasidIotlb(did: number, pasid: number): Program {
    const words = encode(PASID_IOTLB_INV_DSC, { G: PASID_IOTLB_GRANULARITY.pasid, DID: did, PASID: pasid });
    return this.queue.submit(
      words,
      `queues PASID-based IOTLB invalidate: all of PASID ${hex(pasid)}, DID ${did}; a wait behind it; IQT`,
    );
  }

  /** Invalidates all that a device has cached of one PASID. */
  deviceTlb(sid: number, pasid: number): Program {
    const words = deviceTlbOfPasid(sid, pasid);
    const what = `device-TLB invalidate: ${bdf(sid)}, all of PASID ${hex(pasid)}`;
    return this.queue.submit(words, `queues PASID-based ${what}; a wait behind it; IQT`);
  }

  /** The same of some pages. */
  pasidIotlbPages(pasid: number, { did, pfn, am, hint }: PageFlush): Program {
    const words = encode(PASID_IOTLB_INV_DSC, {
      G: PASID_IOTLB_GRANULARITY.page,
      DID: did,
      PASID: pasid,
      ADDR: BigInt(pfn) << 12n,
      AM: am,
      IH: hint ? 1 : 0,
    });
    const what = `pages ${hex(BigInt(pfn) << 12n)} AM ${am} IH=${hint ? 1 : 0}, PASID ${hex(pasid)}, DID ${did}`;
    return this.queue.submit(words, `queues PASID-based IOTLB invalidate: ${what}; a wait behind it; IQT`);
  }
}

/** What a change of first-stage tables asks for (VT-d table 28). There is nothing to ask about draining: hardware always drains (6.5.2.4). */
export class FirstStageInvalidation implements Invalidator {
  private readonly invalidation: PasidInvalidation;
  private readonly pasid: number;
  private readonly scope: 'page' | 'pasid';

  /**
   * @param pasid under which the domain is used: that of requests, or RID_PASID of the function
   * @param scope `pasid`: a change of pages invalidates all of the PASID
   */
  constructor(invalidation: PasidInvalidation, pasid: number, scope: 'page' | 'pasid') {
    this.invalidation = invalidation;
    this.pasid = pasid;
    this.scope = scope;
  }

  flushPages(flush: PageFlush): Program {
    if (this.scope === 'pasid') return this.flushDomain(flush.did);
    return this.invalidation.pasidIotlbPages(this.pasid, flush);
  }

  flushDomain(did: number): Program {
    return this.invalidation.pasidIotlb(did, this.pasid);
  }
}
