/**
 * Page requests on their way from devices to software (PCI Express ATS 10.4; VT-d 7.7 has the words): *dispatched* by the device, *accepted* by the
 * IOMMU when it arrives there, *delivered* when software sees it. Requests of one device keep their order on the way, and all keep theirs from
 * the IOMMU on.
 */
import type { Agent } from './agent.ts';
import type { Arena, Region } from './arena.ts';
import type { Dma } from './dma.ts';
import { bdf } from './requester.ts';

/** A page request message; the last one of its group. */
export interface PageRequestMessage {
  readonly sid: number;
  /** −1 for one without. */
  readonly pasid: number;
  /** Page number: bits above 18, with their sign, and the lower 18. */
  readonly vpnHi: number;
  readonly vpnLo: number;
  /** What its request wants: R 1, W 2. */
  readonly access: number;
  readonly privileged: boolean;
  /** Page request group index, 9 bits. */
  readonly group: number;
}

/** The IOMMU, as requests get to it. */
export interface PageRequestSink {
  /** One arrives, with `queued` accepted ones ahead of it that are not delivered. @returns whether it is accepted; else it is over, and answered if need be */
  accept(request: PageRequestMessage, queued: number): boolean;
  /** Software sees the oldest one that was accepted. */
  deliver(request: PageRequestMessage): void;
}

/** `order` is how many are ahead: of its device's while dispatched, of all accepted ones then. `before`: a drain waits for it. */
const FIELDS = ['state', 'sid', 'pasid', 'vpnHi', 'vpnLo', 'wants', 'group', 'order', 'before'] as const;
const AT = Object.fromEntries(FIELDS.map((name, i) => [name, i])) as Record<(typeof FIELDS)[number], number>;

const STATE = { free: 0, dispatched: 1, accepted: 2 } as const;

/** Steps of one that was dispatched. */
export const PAGE_REQUEST_STEPS = 2;

/** Bit of `wants` above R and W. */
const PRIVILEGED = 4;

export class PageRequestChannel {
  readonly agents: readonly Agent[];
  /** Set by the IOMMU; without it requests are lost. */
  sink: PageRequestSink | null = null;
  private readonly arena: Arena;
  private readonly dma: Dma;
  private readonly region: Region;

  /** @param requests that can be under way at once: a device waits with one for which there is no room */
  constructor(arena: Arena, dma: Dma, requests: number) {
    this.arena = arena;
    this.dma = dma;
    this.region = arena.region('page requests', FIELDS, requests, true);
    this.agents = Array.from({ length: requests }, (_, i) => this.agent(i));
    const { base, units } = this.region;
    dma.namings.push({
      ...{ base, units, length: FIELDS.length, owner: AT.sid, by: 'sid', valid: AT.state },
      ...{ ordered: false, implied: [] },
    });
    // Each is written to memory once.
    dma.otherWrites.push(() => this.count(STATE.dispatched) + this.count(STATE.accepted));
  }

  private at(i: number): number {
    return this.region.base + i * FIELDS.length;
  }

  private word(at: number, field: number): number {
    return this.arena.words[at + field];
  }

  /** @param sid −1 for all */
  private count(state: number, sid = -1): number {
    let count = 0;
    for (let i = 0; i < this.region.units; i++) {
      const at = this.at(i);
      if (this.word(at, AT.state) === state && (sid < 0 || this.word(at, AT.sid) === sid)) count++;
    }
    return count;
  }

  get hasRoom(): boolean {
    return this.count(STATE.free) > 0;
  }

  /** Whether a request of the device is on its way to the IOMMU: what it posts now arrives behind it. */
  hasDispatched(sid: number): boolean {
    return this.count(STATE.dispatched, sid) > 0;
  }

  /** A device dispatches one. There has to be room. */
  dispatch({ sid, pasid, vpnHi, vpnLo, access, privileged, group }: PageRequestMessage): void {
    const order = this.count(STATE.dispatched, sid);
    for (let i = 0; ; i++) {
      const at = this.at(i);
      if (this.word(at, AT.state) !== STATE.free) continue;
      const wants = access | (privileged ? PRIVILEGED : 0);
      const values = [STATE.dispatched, sid, pasid, vpnHi, vpnLo, wants, group, order, 0];
      for (let field = 0; field < values.length; field++) this.arena.set(at + field, values[field]);
      return;
    }
  }

  /** The request in a unit; at another time another one. */
  private load(at: number): PageRequestMessage {
    const wants = this.word(at, AT.wants);
    return {
      sid: this.word(at, AT.sid),
      pasid: this.word(at, AT.pasid),
      vpnHi: this.word(at, AT.vpnHi),
      vpnLo: this.word(at, AT.vpnLo),
      access: wants & 3,
      privileged: (wants & PRIVILEGED) !== 0,
      group: this.word(at, AT.group),
    };
  }

  /** Those that have arrived are what a drain waits for from now on ({@link isDraining}). */
  drain(): void {
    for (let i = 0; i < this.region.units; i++) {
      if (this.word(this.at(i), AT.state) === STATE.accepted) this.arena.set(this.at(i) + AT.before, 1);
    }
  }

  get isDraining(): boolean {
    for (let i = 0; i < this.region.units; i++) if (this.word(this.at(i), AT.before) !== 0) return true;
    return false;
  }

  /** All that were accepted are delivered, oldest first: something pushes them. */
  deliverAll(): void {
    for (let i = 0; i < this.region.units; ) {
      const at = this.at(i);
      const isNext = this.word(at, AT.state) === STATE.accepted && this.word(at, AT.order) === 0;
      if (isNext) this.deliver(at);
      i = isNext ? 0 : i + 1;
    }
  }

  private agent(i: number): Agent {
    const at = this.at(i);
    return {
      name: `page request ${i}`,
      lane: 'iommu',
      sparesSoftware: true,
      choices: () => (this.word(at, AT.state) !== STATE.free && this.word(at, AT.order) === 0 ? 1 : 0),
      left: () => {
        const state = this.word(at, AT.state);
        return state === STATE.free ? 0 : 1 + PAGE_REQUEST_STEPS - state;
      },
      step: () => (this.word(at, AT.state) === STATE.dispatched ? this.arrive(at) : this.deliver(at)),
    };
  }

  private arrive(at: number): void {
    const request = this.load(at);
    const queued = this.count(STATE.accepted);
    this.behind(STATE.dispatched, request.sid);
    const { log } = this.dma;
    if (log.on) log.say('iommu', `a page request of ${bdf(request.sid)} arrives`);
    if (this.sink?.accept(request, queued) !== true) return this.free(at);
    this.arena.set(at + AT.state, STATE.accepted);
    this.arena.set(at + AT.order, queued);
  }

  private deliver(at: number): void {
    const request = this.load(at);
    this.behind(STATE.accepted, -1);
    this.free(at);
    this.sink?.deliver(request);
  }

  /** The first one of a queue leaves it. */
  private behind(state: number, sid: number): void {
    for (let i = 0; i < this.region.units; i++) {
      const at = this.at(i);
      if (this.word(at, AT.state) !== state || (sid >= 0 && this.word(at, AT.sid) !== sid)) continue;
      const order = this.word(at, AT.order);
      if (order > 0) this.arena.set(at + AT.order, order - 1);
    }
  }

  private free(at: number): void {
    for (let field = 0; field < FIELDS.length; field++) this.arena.set(at + field, 0);
  }
}
