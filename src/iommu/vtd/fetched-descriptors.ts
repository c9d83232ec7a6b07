/** Descriptors that were fetched and are not executed yet, and which of them may be executed next (VT-d 6.5.2.12). */
import type { Region } from '../../machine/index.ts';
import { MARK } from '../../machine/index.ts';
import {
  CONTEXT_INV_DSC,
  DEVICE_TLB_INV_DSC,
  IEC_INV_DSC,
  IOTLB_INV_DSC,
  PAGE_GRP_RESP_DSC,
  PASID_CACHE_INV_DSC,
  PASID_DEVICE_TLB_INV_DSC,
  PASID_IOTLB_INV_DSC,
  WAIT_DSC,
} from './commands.ts';
import type { VtdCore } from './core.ts';

const { fixed: CONTEXT } = CONTEXT_INV_DSC.TYPE;
const { fixed: PASID_CACHE } = PASID_CACHE_INV_DSC.TYPE;
const IOTLBS: readonly (number | null)[] = [IOTLB_INV_DSC.TYPE.fixed, PASID_IOTLB_INV_DSC.TYPE.fixed];

const DEVICE_TLBS: readonly (number | null)[] = [DEVICE_TLB_INV_DSC.TYPE.fixed, PASID_DEVICE_TLB_INV_DSC.TYPE.fixed];
const { fixed: RESPONSE } = PAGE_GRP_RESP_DSC.TYPE;
/** What goes out to devices. */
const TO_DEVICES: readonly (number | null)[] = [...DEVICE_TLBS, RESPONSE];
/** What a device-TLB invalidation does not overtake. */
const BEFORE_DEVICE_TLBS: readonly (number | null)[] = [...IOTLBS, IEC_INV_DSC.TYPE.fixed];

const FIELDS = ['w0', 'w1', 'w2', 'w3'] as const;

/** Kept in the order of the queue, without gaps; an empty place is all zero (no descriptor is: its type is not 0). */
export class FetchedDescriptors {
  private readonly core: VtdCore;
  private readonly region: Region | null;
  private readonly places: number;

  /** @param places how many there can be */
  constructor(core: VtdCore, places: number, name = 'vtd.fetched') {
    this.core = core;
    this.places = places;
    this.region = places === 0 ? null : core.arena.region(name, FIELDS, places);
  }

  word(place: number, i: number): number {
    return this.core.arena.words[(this.region as Region).base + place * FIELDS.length + i];
  }

  get count(): number {
    let n = 0;
    while (n < this.places && this.word(n, 0) !== 0) n++;
    return n;
  }

  get hasRoom(): boolean {
    return this.count < this.places;
  }

  add(descriptor: Int32Array): void {
    const base = (this.region as Region).base + this.count * FIELDS.length;
    for (let i = 0; i < FIELDS.length; i++) this.core.arena.set(base + i, descriptor[i]);
  }

  /** Number of descriptors that may be executed now. */
  ready(): number {
    let ready = 0;
    for (let place = 0; place < this.count; place++) if (this.isReady(place)) ready++;
    return ready;
  }

  /** Takes the `n`th of them. @returns its type */
  take(n: number, into: Int32Array): number {
    let place = 0;
    for (let left = n; ; place++) if (this.isReady(place) && left-- === 0) break;
    if (place > 0) this.core.fire('postponed');
    for (let i = 0; i < FIELDS.length; i++) into[i] = this.word(place, i);
    this.remove(place);
    return into[0] & 0xf;
  }

  private remove(place: number): void {
    const last = this.count - 1;
    const { base } = this.region as Region;
    for (let to = place; to <= last; to++) {
      for (let i = 0; i < FIELDS.length; i++)
        this.core.arena.set(base + to * FIELDS.length + i, to < last ? this.word(to + 1, i) : 0);
    }
  }

  /** Forgets waits. */
  dropWaits(): void {
    for (let place = this.count - 1; place >= 0; place--)
      if ((this.word(place, 0) & 0xf) === WAIT_DSC.TYPE.fixed) this.remove(place);
  }

  /** Whether the descriptor that comes next in the queue may be executed before all of these. */
  mayFollow(descriptor: Int32Array): boolean {
    return this.mayOvertake(descriptor[0], this.count);
  }

  private isReady(place: number): boolean {
    const word = this.word(place, 0);
    const { deviceTlbs, dma } = this.core;
    const type = word & 0xf;
    if (type === WAIT_DSC.TYPE.fixed && isWaitHeld(this.core, word)) return false;
    if (DEVICE_TLBS.includes(type) && (deviceTlbs?.hasRoom !== true || dma?.anyMarked(MARK.holdWalk) === true))
      return false;
    return this.mayOvertake(word, place);
  }

  /**
   * Whether a descriptor may be executed before the first `places` that are here, all ahead of it in the queue.
   * @param word its word 0
   */
  private mayOvertake(word: number, places: number): boolean {
    const type = word & 0xf;
    let behindWait = false;
    for (let place = places - 1; place >= 0; place--) {
      const ahead = this.word(place, 0);
      const aheadType = ahead & 0xf;
      if (aheadType === WAIT_DSC.TYPE.fixed) {
        // FN: what follows is executed only when the wait is complete. Without it, a wait has to look back to the previous one only.
        if (((ahead >>> WAIT_DSC.FN.lo) & 1) === 1) return false;
        behindWait = true;
      } else if (type === WAIT_DSC.TYPE.fixed) {
        if (!behindWait) return false;
      } else if (aheadType === CONTEXT && (type === PASID_CACHE || IOTLBS.includes(type))) return false;
      else if (aheadType === PASID_CACHE && IOTLBS.includes(type)) return false;
      // 7.8: nothing that goes out to devices passes a page group response, nor is passed by one.
      else if (type === RESPONSE && TO_DEVICES.includes(aheadType)) return false;
      else if (aheadType === RESPONSE && TO_DEVICES.includes(type)) return false;
      else if (DEVICE_TLBS.includes(type) && BEFORE_DEVICE_TLBS.includes(aheadType)) return false;
    }
    return true;
  }
}

/** Whether a wait cannot complete yet: something is to be drained, or a device-TLB invalidation is under way; with PD also page requests (7.7). @param word its word 0 */
export function isWaitHeld(core: VtdCore, word: number): boolean {
  if (core.isHeld() || core.deviceTlbs?.isBusy === true) return true;
  return ((word >>> WAIT_DSC.PD.lo) & 1) === 1 && core.dma?.ats?.pages?.channel.isDraining === true;
}
