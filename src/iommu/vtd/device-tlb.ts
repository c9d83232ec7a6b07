/** Device-TLB invalidations (VT-d 4.3, 6.5.2.5, 6.5.2.6, 6.5.2.11): what descriptors ask for, and what becomes of those that are not answered. */
import { get, hex } from '../../bits/index.ts';
import type { Agent } from '../../machine/index.ts';
import { bdf, EVERY_PASID } from '../../machine/index.ts';
import type { AtcRequest, AtcSink } from '../kit/atc-invalidations.ts';
import { ATC_INVALIDATION_STEPS, AtcInvalidations, EVERY_PAGE } from '../kit/atc-invalidations.ts';
import { DEVICE_TLB_INV_DSC, PASID_DEVICE_TLB_INV_DSC } from './commands.ts';
import type { VtdCore } from './core.ts';
import { MODE } from './core.ts';
import { FAULT_EVENT, hasUnservicedFault, raiseEvent } from './events.ts';
import { FSTS, IQERCD } from './registers.ts';

/** Steps that an invalidation takes from when it is sent. */
export const ITAG_STEPS = ATC_INVALIDATION_STEPS;

/** What a device is asked, where it is not part of the machine: see `VtdParts.invalidateDeviceTlb`. */
export type DeviceTlbInvalidation = AtcRequest;

/** Takes an invalidation request. @returns whether the device has completed it; false lets its time run out */
export type DeviceTlbSink = AtcSink;

/** Number of low page-number bits that do not matter, from S and the address bits 63:12 of a descriptor (PCI Express ATS). */
export function pagesMasked(s: number, lo: number, hi: number): number {
  if (s === 0) return 0;
  for (let bit = 12; bit < 64; bit++) {
    const set = bit < 32 ? (lo >>> bit) & 1 : (hi >>> (bit - 32)) & 1;
    if (set === 0) return Math.min(bit - 11, EVERY_PAGE);
  }
  return EVERY_PAGE;
}

export class DeviceTlbs {
  readonly agents: readonly Agent[];
  private readonly core: VtdCore;
  private readonly underWay: AtcInvalidations;

  /**
   * @param itags that there are; an invalidation for which none is free is put off
   * @param timesOut whether a device that could answer may fail to; one that is not there always does
   */
  constructor(core: VtdCore, sink: DeviceTlbSink | undefined, itags: number, timesOut: boolean) {
    this.core = core;
    this.underWay = new AtcInvalidations(core, {
      ...{ region: 'vtd.itags', name: 'device-TLB invalidation', sink, places: itags, timesOut },
      onTimeOut: (sid) => this.timeOut(sid),
    });
    this.agents = this.underWay.agents;
  }

  /** Whether some invalidation is not complete: a wait descriptor is held. */
  get isBusy(): boolean {
    return this.underWay.isBusy;
  }

  /** Whether an ITag is free. */
  get hasRoom(): boolean {
    return this.underWay.hasRoom;
  }

  /** Sends what a descriptor of one of the two kinds asks for. */
  send(descriptor: Int32Array, type: number): void {
    const { core } = this;
    const withPasid = type === PASID_DEVICE_TLB_INV_DSC.TYPE.fixed;
    const of = withPasid ? PASID_DEVICE_TLB_INV_DSC : DEVICE_TLB_INV_DSC;
    const sid = get(of.SID, descriptor);
    let pasid = -1;
    if (withPasid) {
      const every = get(PASID_DEVICE_TLB_INV_DSC.GI, descriptor) === 1;
      pasid = every ? EVERY_PASID : get(PASID_DEVICE_TLB_INV_DSC.PASID, descriptor);
    }
    const [lo, hi] = [descriptor[2], descriptor[3]];
    const am = pagesMasked(get(of.S, descriptor), lo, hi);
    if (core.telling) {
      const what =
        am >= EVERY_PAGE
          ? 'everything'
          : `${hex(((hi >>> 0) * 2 ** 32 + ((lo & ~0xfff) >>> 0)) / 4096)}, ${am} bits masked`;
      core.say(`device-TLB invalidation request to ${bdf(sid)}${withPasid ? ', with PASID' : ''}: ${what}`);
    }
    this.underWay.send(sid, pasid, lo, hi, am);
  }

  /** An invalidation's time has run out (6.5.2.11): the ITag is free, waits that are pending are not completed, and the queue stops. */
  private timeOut(sid: number): void {
    const { core } = this;
    const { regs } = core;
    const isNews = !hasUnservicedFault(core);
    if (regs.get(FSTS, FSTS.ITE) === 0) regs.put(IQERCD, IQERCD.ITESID, sid);
    regs.put(FSTS, FSTS.ITE, 1);
    this.onTimeOut();
    if (core.telling) core.say(`the device-TLB invalidation of ${bdf(sid)} has timed out; FSTS.ITE set`);
    if (isNews) raiseEvent(core, FAULT_EVENT);
  }

  /** Set by the queue: forgets waits that are pending. */
  onTimeOut: () => void = () => {};

  /**
   * A device sends an invalidation completion that nobody waits for (4.3): FSTS.ICE, unless remapping is off, where it is an unsupported
   * request (4.2.1).
   */
  unexpectedCompletion(sid: number): void {
    const { core } = this;
    const { regs } = core;
    if (core.mode === MODE.off) return;
    const isNews = !hasUnservicedFault(core);
    if (regs.get(FSTS, FSTS.ICE) === 0) regs.put(IQERCD, IQERCD.ICESID, sid);
    regs.put(FSTS, FSTS.ICE, 1);
    if (core.telling) core.say(`an invalidation completion of ${bdf(sid)} that nobody waits for; FSTS.ICE set`);
    if (isNews) raiseEvent(core, FAULT_EVENT);
  }
}
