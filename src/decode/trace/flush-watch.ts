/**
 * Pages that were unmapped and not yet invalidated: until then the IOMMU may still translate them, and a new owner of the address would
 * share it with the old one. Needs the qi_submit events of VT-d; from the first of them on it watches.
 */
import { get } from '../../bits/index.ts';
import { IOTLB_INV_DSC, PASID_IOTLB_GRANULARITY, PASID_IOTLB_INV_DSC } from '../../iommu/vtd/commands.ts';
import { IOTLB_GRANULARITY } from '../../iommu/vtd/registers.ts';
import type { Origin } from './interval-table.ts';
import { IntervalTable } from './interval-table.ts';

/** Ranges that may wait; a trace with more has a queue of a size that no kernel has, and the check ends. */
const MAX_PENDING = 1 << 20;

/** A descriptor prints its type as its low four bits say. */
const TYPES = 16;

export class FlushWatch {
  readonly pending = new IntervalTable();
  /** Descriptors by the low four bits of their type. */
  readonly counts = new Float64Array(TYPES);
  /** Descriptors at all. */
  submitted = 0;
  /** Domain ids that invalidations named, in order; at most {@link MAX_DOMAINS}. */
  readonly domains: number[] = [];
  /** More were pending than are kept. */
  overflowed = false;

  get isOn(): boolean {
    return this.submitted > 0 && !this.overflowed;
  }

  unmapped(start: number, end: number, of: Readonly<Origin>): void {
    if (!this.isOn) return;
    this.pending.remove(start, end);
    this.pending.insert(start, end, of);
    if (this.pending.size <= MAX_PENDING) return;
    this.overflowed = true;
    this.pending.clear();
  }

  /** @param halves words of the descriptor, low halves first */
  submit(halves: Int32Array): void {
    this.submitted++;
    const type = get(IOTLB_INV_DSC.TYPE, halves);
    this.counts[type]++;
    if (type === IOTLB) this.invalidate(get(IOTLB_INV_DSC.G, halves) === IOTLB_GRANULARITY.page, halves);
    else if (type === PASID_IOTLB)
      this.invalidate(get(PASID_IOTLB_INV_DSC.G, halves) === PASID_IOTLB_GRANULARITY.page, halves);
  }

  /** Whose pages they were the unmap does not say: an invalidation of any domain counts. */
  private invalidate(isPage: boolean, halves: Int32Array): void {
    const domain = get(IOTLB_INV_DSC.DID, halves);
    if (this.domains.length < MAX_DOMAINS && !this.domains.includes(domain)) this.domains.push(domain);
    if (this.pending.size === 0) return;
    if (!isPage) {
      this.pending.clear();
      return;
    }
    const count = 2 ** get(IOTLB_INV_DSC.AM, halves);
    const page = (halves[3] >>> 0) * 2 ** 20 + (halves[2] >>> 12);
    const start = page - (page % count);
    this.pending.remove(start, start + count);
  }
}

/** Domain ids that are told apart. */
export const MAX_DOMAINS = 64;

const IOTLB = IOTLB_INV_DSC.fields.TYPE.fixed as number;
const PASID_IOTLB = PASID_IOTLB_INV_DSC.fields.TYPE.fixed as number;
