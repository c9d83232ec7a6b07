/**
 * Invalidations of devices' translation caches on their way (PCI Express ATS 10.3): each has a place from when its request is sent to when the device's
 * completion has arrived, or its time has run out. VT-d calls the place an ITag.
 */
import type { Agent, Arena, AtcInvalidation, Dma, Region } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';

const FIELDS = ['state', 'sid', 'pasid', 'vpnHi', 'vpnLo', 'am'] as const;

/** A request that the device has not got yet, or has acted on. */
const STATE = { free: 0, sent: 1, accepted: 2 } as const;

/** Steps that an invalidation takes from then on. */
export const ATC_INVALIDATION_STEPS = 2;

/** What a device is asked, where it is not part of the machine. */
export interface AtcRequest extends AtcInvalidation {
  /** Of {@link AtcInvalidation.vpnHi} and vpnLo: the byte address, with the lower bits that do not matter as 0. */
  readonly address: bigint;
  /** Bytes; 2^64 for everything. */
  readonly size: bigint;
}

/** Takes an invalidation request. @returns whether the device has completed it; false lets its time run out */
export type AtcSink = (request: AtcRequest) => boolean;

/** 2^52 pages are every address. */
export const EVERY_PAGE = 52;

/** The IOMMU that sends them. */
export interface AtcOwner {
  readonly arena: Arena;
  /** Null where everything is done at once. */
  readonly dma: Dma | null;
  readonly telling: boolean;
  say(text: string): void;
  fire(rule: 'timedOut'): void;
}

export interface AtcInvalidationOptions {
  /** Of the region of the state. */
  readonly region: string;
  /** Of the agents, and of what is told. */
  readonly name: string;
  readonly sink: AtcSink | undefined;
  /** How many can be under way at once; one for which there is no place is put off. */
  readonly places: number;
  /** Whether a device that could answer may fail to; one that is not there always does. */
  readonly timesOut: boolean;
  /** The time of one has run out. */
  readonly onTimeOut: (sid: number) => void;
}

export class AtcInvalidations {
  readonly agents: readonly Agent[];
  private readonly owner: AtcOwner;
  private readonly options: AtcInvalidationOptions;
  /** Null where everything is done at once. */
  private readonly region: Region | null;

  constructor(owner: AtcOwner, options: AtcInvalidationOptions) {
    this.owner = owner;
    this.options = options;
    const { arena, dma } = owner;
    this.region = dma === null ? null : arena.region(options.region, FIELDS, options.places, true);
    this.agents = Array.from({ length: this.region?.units ?? 0 }, (_, i) => this.agent(i));
    const { base, units } = this.region ?? { base: 0, units: 0 };
    dma?.namings.push({
      ...{ base, units, length: FIELDS.length, owner: 1, by: 'sid', valid: 0 },
      ...{ ordered: false, implied: [] },
    });
  }

  private word(at: number, field: number): number {
    return this.owner.arena.words[at + field];
  }

  private at(i: number): number {
    return (this.region as Region).base + i * FIELDS.length;
  }

  /** Whether some invalidation is not complete. */
  get isBusy(): boolean {
    for (let i = 0; i < this.agents.length; i++) if (this.word(this.at(i), 0) !== STATE.free) return true;
    return false;
  }

  /** Whether a place is free. */
  get hasRoom(): boolean {
    if (this.region === null) return true;
    for (let i = 0; i < this.agents.length; i++) if (this.word(this.at(i), 0) === STATE.free) return true;
    return false;
  }

  /** Steps that are left of those under way. */
  left(): number {
    let steps = 0;
    for (let i = 0; i < this.agents.length; i++) steps += this.leftOf(this.at(i));
    return steps;
  }

  /** Sends one, for which there has to be room. @param lo, hi byte address as halves; its lower bits do not matter */
  send(sid: number, pasid: number, lo: number, hi: number, am: number): void {
    const vpnHi = (hi << 2) | (lo >>> 30);
    const vpnLo = (lo >>> 12) & 0x3ffff;
    if (this.region === null) return this.atOnce({ sid, pasid, vpnHi, vpnLo, am }, lo, hi);
    for (let i = 0; i < this.agents.length; i++) {
      const at = this.at(i);
      if (this.word(at, 0) !== STATE.free) continue;
      const values = [STATE.sent, sid, pasid, vpnHi, vpnLo, am];
      for (let field = 0; field < values.length; field++) this.owner.arena.set(at + field, values[field]);
      return;
    }
  }

  private atOnce(inv: AtcInvalidation, lo: number, hi: number): void {
    const { onTimeOut, sink } = this.options;
    if (sink === undefined) return;
    const whole = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
    const bits = BigInt(inv.am >= EVERY_PAGE ? 64 : 12 + inv.am);
    const address = (whole >> bits) << bits;
    if (!sink({ ...inv, address, size: 1n << bits })) onTimeOut(inv.sid);
  }

  private free(at: number): void {
    for (let field = 0; field < FIELDS.length; field++) this.owner.arena.set(at + field, 0);
  }

  private leftOf(at: number): number {
    const state = this.word(at, 0);
    return state === STATE.free ? 0 : 1 + ATC_INVALIDATION_STEPS - state;
  }

  private agent(i: number): Agent {
    const ats = this.owner.dma?.ats ?? null;
    const { name, onTimeOut, timesOut } = this.options;
    // The completion is posted behind page requests of the device, and they arrive first (VT-d 7.7).
    const ready = (at: number, state: number) => {
      const sid = this.word(at, 1);
      if (ats?.hasDevice(sid) !== true) return false;
      return state === STATE.sent || (!ats.isBusy(sid) && ats.pages?.channel.hasDispatched(sid) !== true);
    };
    return {
      name: `${name} ${i}`,
      lane: 'device',
      sparesSoftware: true,
      choices: () => {
        const at = this.at(i);
        const state = this.word(at, 0);
        if (state === STATE.free) return 0;
        const answers = ats?.hasDevice(this.word(at, 1)) === true;
        return (ready(at, state) ? 1 : 0) + (timesOut || !answers ? 1 : 0);
      },
      left: () => this.leftOf(this.at(i)),
      step: (choice) => {
        const { owner } = this;
        const at = this.at(i);
        const state = this.word(at, 0);
        const sid = this.word(at, 1);
        if (choice > 0 || !ready(at, state)) {
          owner.fire('timedOut');
          this.free(at);
          return onTimeOut(sid);
        }
        if (state === STATE.sent) return this.arrive(at, sid);
        ats?.pages?.channel.drain();
        if (owner.telling) owner.say(`${bdf(sid)} completes its ${name}`);
        this.free(at);
      },
    };
  }

  private arrive(at: number, sid: number): void {
    const { owner } = this;
    const [pasid, vpnHi, vpnLo, am] = [2, 3, 4, 5].map((field) => this.word(at, field));
    owner.dma?.ats?.invalidate({ sid, pasid, vpnHi, vpnLo, am });
    owner.arena.set(at, STATE.accepted);
    if (owner.telling) owner.say(`${bdf(sid)} has the invalidation request: what it had cached for it is gone`);
  }
}
