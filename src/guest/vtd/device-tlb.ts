/** Invalidating where a device has ATS: the unit's IOTLB and the device's own cache (VT-d 6.5.2.5, `qi_flush_dev_iotlb`). */
import { encode } from '../../bits/index.ts';
import { DEVICE_TLB_INV_DSC } from '../../iommu/vtd/commands.ts';
import type { Program } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import type { InvalidationQueue, Invalidator, PageFlush } from './invalidation.ts';

/** Which of the two are asked for, and in which order; 6.5.2.5 has the IOTLB first. */
export type FlushOrder = 'iotlb-only' | 'device-tlb-first' | 'iotlb-first';

/** Address bits of a device-TLB invalidation of 2^am pages: with S, the lowest 0 says how many (PCI Express ATS). */
export function sized(pfn: number, am: number): { S: number; ADDR: bigint } {
  const first = BigInt(pfn) & ~((1n << BigInt(am)) - 1n);
  if (am === 0) return { S: 0, ADDR: first << 12n };
  return { S: 1, ADDR: (first | ((1n << BigInt(am - 1)) - 1n)) << 12n };
}

/** Everything. */
export const EVERY_PAGE = 52;

export class AtsInvalidation implements Invalidator {
  private readonly queue: InvalidationQueue;
  private readonly sid: number;
  private readonly order: FlushOrder;

  /** @param sid source id of the one device of the domain */
  constructor(queue: InvalidationQueue, sid: number, order: FlushOrder) {
    this.queue = queue;
    this.sid = sid;
    this.order = order;
  }

  *flushPages(flush: PageFlush): Program {
    const { order, queue } = this;
    if (order === 'device-tlb-first') yield* this.flushDevice(flush.pfn, flush.am);
    yield* queue.flushPages(flush);
    if (order === 'iotlb-first') yield* this.flushDevice(flush.pfn, flush.am);
  }

  *flushDomain(did: number): Program {
    const { order, queue } = this;
    if (order === 'device-tlb-first') yield* this.flushDevice(0, EVERY_PAGE);
    yield* queue.flushDomain(did);
    if (order === 'iotlb-first') yield* this.flushDevice(0, EVERY_PAGE);
  }

  private flushDevice(pfn: number, am: number): Program {
    const words = encode(DEVICE_TLB_INV_DSC, { SID: this.sid, ...sized(pfn, am) });
    const what = am === EVERY_PAGE ? 'everything' : `pages 0x${(pfn * 4096).toString(16)} AM ${am}`;
    return this.queue.submit(words, `queues device-TLB invalidate: ${bdf(this.sid)}, ${what}; a wait behind it; IQT`);
  }
}
