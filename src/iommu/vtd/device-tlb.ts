/**
 * Device-TLB invalidations on their way (VT-d 4.3, 6.5.2.5, 6.5.2.6, 6.5.2.11): each has an ITag from when its request is sent to when the device's
 * completion has arrived, or its time has run out.
 */
import { get, hex } from '../../bits/index.ts';
import type { Agent, AtcInvalidation, Region } from '../../machine/index.ts';
import { bdf, EVERY_PASID } from '../../machine/index.ts';
import { DEVICE_TLB_INV_DSC, PASID_DEVICE_TLB_INV_DSC } from './commands.ts';
import type { VtdCore } from './core.ts';
import { MODE } from './core.ts';
import { FAULT_EVENT, hasUnservicedFault, raiseEvent } from './events.ts';
import { FSTS, IQERCD } from './registers.ts';

const FIELDS = ['state', 'sid', 'pasid', 'vpnHi', 'vpnLo', 'am'] as const;

/** A request that the device has not got yet, or has acted on. */
const STATE = { free: 0, sent: 1, accepted: 2 } as const;

/** Steps that an invalidation takes from then on. */
export const ITAG_STEPS = 2;

/** What a device is asked, where it is not part of the machine: see `VtdParts.invalidateDeviceTlb`. */
export interface DeviceTlbInvalidation extends AtcInvalidation {
  /** Of {@link AtcInvalidation.vpnHi} and vpnLo: the byte address, with the lower bits that do not matter as 0. */
  readonly address: bigint;
  /** Bytes; 2^64 for everything. */
  readonly size: bigint;
}

/** Takes an invalidation request. @returns whether the device has completed it; false lets its time run out */
export type DeviceTlbSink = (request: DeviceTlbInvalidation) => boolean;

/** 2^52 pages are every address. */
const EVERY_PAGE = 52;

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
  private readonly sink: DeviceTlbSink | undefined;
  private readonly timesOut: boolean;
  /** Null where everything is done at once. */
  private readonly region: Region | null;

  /**
   * @param itags that there are; an invalidation for which none is free is put off
   * @param timesOut whether a device that could answer may fail to; one that is not there always does
   */
  constructor(core: VtdCore, sink: DeviceTlbSink | undefined, itags: number, timesOut: boolean) {
    this.core = core;
    this.sink = sink;
    this.timesOut = timesOut;
    this.region = core.dma === null ? null : core.arena.region('vtd.itags', FIELDS, itags, true);
    this.agents = Array.from({ length: this.region?.units ?? 0 }, (_, i) => this.agent(i));
    const { base, units } = this.region ?? { base: 0, units: 0 };
    core.dma?.namings.push({
      ...{ base, units, length: FIELDS.length, owner: 1, by: 'sid', valid: 0 },
      ...{ ordered: false, implied: [] },
    });
  }

  private word(at: number, field: number): number {
    return this.core.arena.words[at + field];
  }

  private at(i: number): number {
    return (this.region as Region).base + i * FIELDS.length;
  }

  /** Whether some invalidation is not complete: a wait descriptor is held. */
  get isBusy(): boolean {
    for (let i = 0; i < this.agents.length; i++) if (this.word(this.at(i), 0) !== STATE.free) return true;
    return false;
  }

  /** Whether an ITag is free. */
  get hasRoom(): boolean {
    if (this.region === null) return true;
    for (let i = 0; i < this.agents.length; i++) if (this.word(this.at(i), 0) === STATE.free) return true;
    return false;
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
    const vpnHi = (hi << 2) | (lo >>> 30);
    const vpnLo = (lo >>> 12) & 0x3ffff;
    if (core.telling) {
      const what =
        am >= EVERY_PAGE
          ? 'everything'
          : `${hex(((hi >>> 0) * 2 ** 32 + ((lo & ~0xfff) >>> 0)) / 4096)}, ${am} bits masked`;
      core.say(`device-TLB invalidation request to ${bdf(sid)}${withPasid ? ', with PASID' : ''}: ${what}`);
    }
    if (this.region === null) return this.atOnce({ sid, pasid, vpnHi, vpnLo, am }, lo, hi);
    for (let i = 0; i < this.agents.length; i++) {
      const at = this.at(i);
      if (this.word(at, 0) !== STATE.free) continue;
      const values = [STATE.sent, sid, pasid, vpnHi, vpnLo, am];
      for (let field = 0; field < values.length; field++) core.arena.set(at + field, values[field]);
      return;
    }
  }

  private atOnce(inv: AtcInvalidation, lo: number, hi: number): void {
    if (this.sink === undefined) return;
    const whole = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
    const bits = BigInt(inv.am >= EVERY_PAGE ? 64 : 12 + inv.am);
    const address = (whole >> bits) << bits;
    if (!this.sink({ ...inv, address, size: 1n << bits })) this.timeOut(inv.sid);
  }

  private free(at: number): void {
    for (let field = 0; field < FIELDS.length; field++) this.core.arena.set(at + field, 0);
  }

  private agent(i: number): Agent {
    const ats = this.core.dma?.ats ?? null;
    // 7.7: the completion is posted behind page requests of the device, and they arrive first.
    const ready = (at: number, state: number) => {
      const sid = this.word(at, 1);
      if (ats?.hasDevice(sid) !== true) return false;
      return state === STATE.sent || (!ats.isBusy(sid) && ats.pages?.channel.hasDispatched(sid) !== true);
    };
    return {
      name: `device-TLB invalidation ${i}`,
      lane: 'device',
      sparesSoftware: true,
      choices: () => {
        const at = this.at(i);
        const state = this.word(at, 0);
        if (state === STATE.free) return 0;
        const answers = ats?.hasDevice(this.word(at, 1)) === true;
        return (ready(at, state) ? 1 : 0) + (this.timesOut || !answers ? 1 : 0);
      },
      left: () => {
        const state = this.word(this.at(i), 0);
        return state === STATE.free ? 0 : 1 + ITAG_STEPS - state;
      },
      step: (choice) => {
        const at = this.at(i);
        const state = this.word(at, 0);
        const sid = this.word(at, 1);
        if (choice > 0 || !ready(at, state)) {
          this.core.fire('timedOut');
          this.free(at);
          return this.timeOut(sid);
        }
        if (state === STATE.sent) return this.arrive(at, sid);
        ats?.pages?.channel.drain();
        if (this.core.telling) this.core.say(`${bdf(sid)} completes its device-TLB invalidation`);
        this.free(at);
      },
    };
  }

  private arrive(at: number, sid: number): void {
    const { core } = this;
    const [pasid, vpnHi, vpnLo, am] = [2, 3, 4, 5].map((field) => this.word(at, field));
    core.dma?.ats?.invalidate({ sid, pasid, vpnHi, vpnLo, am });
    core.arena.set(at, STATE.accepted);
    if (core.telling) core.say(`${bdf(sid)} has the invalidation request: what it had cached for it is gone`);
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
