/** Invalidating for a domain that is the second stage of nested ones (`parent_domain_flush`, v6.8; cache tags of nesting, v6.10). */
import { encode } from '../../bits/index.ts';
import { DEVICE_TLB_INV_DSC } from '../../iommu/vtd/commands.ts';
import type { Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import { EVERY_PAGE, sized } from './device-tlb.ts';
import type { InvalidationQueue, Invalidator, PageFlush } from './invalidation.ts';

export interface NestedParentOptions {
  /** Domain ids under which nested translations through this domain are cached. */
  readonly nested: readonly number[];
  /** Source ids of functions with ATS that use them. */
  readonly devices?: readonly number[];
}

/** Hardware caches what it finds through the parent under the domain id of the nested domain (VT-d 6.2.1). */
export class NestedParentInvalidation implements Invalidator {
  private readonly queue: InvalidationQueue;
  private readonly options: NestedParentOptions;

  constructor(queue: InvalidationQueue, options: NestedParentOptions) {
    this.queue = queue;
    this.options = options;
  }

  *flushPages(flush: PageFlush): Program {
    yield* this.queue.flushPages(flush);
    for (const did of this.options.nested) yield* this.queue.flushPages({ ...flush, did });
    yield* this.flushDevices();
  }

  *flushDomain(did: number): Program {
    for (const each of [did, ...this.options.nested]) yield* this.queue.flushDomain(each);
    yield* this.flushDevices();
  }

  /** All of a device's cache, as nobody knows which addresses of the first stage lead to a page of the second. */
  private *flushDevices(): Program {
    for (const sid of this.options.devices ?? []) {
      const words = encode(DEVICE_TLB_INV_DSC, { SID: sid, ...sized(0, EVERY_PAGE) });
      yield* this.queue.submit(words, `queues device-TLB invalidate: ${bdf(sid)}, everything; a wait behind it; IQT`);
    }
  }
}
