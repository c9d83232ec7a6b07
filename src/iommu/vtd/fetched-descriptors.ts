/** Descriptors that were fetched and are not executed yet, and which of them may be executed next (VT-d 6.5.2.12). */
import { MARK } from '../../machine/index.ts';
import { HeldCommands } from '../kit/held-commands.ts';
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

/** Words of a descriptor that say what it asks for: the others are reserved. */
const WORDS = 4;

/** Kept in the order of the queue. */
export class FetchedDescriptors extends HeldCommands {
  private readonly core: VtdCore;

  /** @param places how many there can be */
  constructor(core: VtdCore, places: number, name = 'vtd.fetched') {
    super(core.arena, name, WORDS, places, true);
    this.core = core;
  }

  /** Number of descriptors that may be executed now. */
  ready(): number {
    let ready = 0;
    for (let place = 0; place < this.count; place++) if (this.isReady(place)) ready++;
    return ready;
  }

  /** Takes the `n`th of them. @returns its type */
  takeReady(n: number, into: Int32Array): number {
    let place = 0;
    for (let left = n; ; place++) if (this.isReady(place) && left-- === 0) break;
    if (place > 0) this.core.fire('postponed');
    this.take(place, into);
    return into[0] & 0xf;
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
