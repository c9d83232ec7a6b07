/**
 * Page requests (VT-d 7.4 – 7.7): devices that can wait for a page ask for it by the page request queue, and are answered by the invalidation
 * queue. At once a request is delivered when it arrives; in steps it is accepted first (7.5).
 */
import type { Field } from '../../bits/index.ts';
import { get, hex64 } from '../../bits/index.ts';
import type { Dma, PageRequestChannel, PageRequestMessage, PageRequestSink } from '../../machine/index.ts';
import { bdf, MARK, SLOT } from '../../machine/index.ts';
import { nextInRing } from '../kit/ring.ts';
import { PAGE_GRP_RESP_DSC, PASID_IOTLB_GRANULARITY } from './commands.ts';
import type { VtdCore } from './core.ts';
import { MODE } from './core.ts';
import { PAGE_REQUEST_EVENT, raiseEvent } from './events.ts';
import { FAULT } from './faults.ts';
import type { Invalidator } from './invalidator.ts';
import { PAGE_REQ_DSC } from './page-request-structures.ts';
import { IOTLB_GRANULARITY, PQA, PQH, PQT, PRS } from './registers.ts';
import { PAGE_REQUEST, REQUEST } from './request.ts';
import { SM_FAULT } from './scalable-faults.ts';
import { PGTT } from './scalable-structures.ts';
import { STAGE } from './scalable-walk.ts';
import type { Walk } from './walk.ts';
import { STEP } from './walk.ts';

const BYTES = 32;

/** Response codes (VT-d 7.6.1, table 32). */
export const RESPONSE = { success: 0, invalidRequest: 1, failure: 15 } as const;

/** A page request message of a device. */
export interface PageRequest {
  readonly sid: number;
  /** −1 for one without. */
  readonly pasid: number;
  /** Byte address; its low 12 bits do not matter. */
  readonly address: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute?: boolean;
  readonly privileged?: boolean;
  /** Page request group index, 9 bits. */
  readonly group: number;
  /** The last one of its group, which is answered. */
  readonly last: boolean;
}

/** The same with its address as halves, as it is handled. */
interface Message extends Omit<PageRequest, 'address'> {
  readonly lo: number;
  readonly hi: number;
}

/** What a device gets back. @param pasid −1 for none. @param code see {@link RESPONSE} */
export type PageGroupResponseSink = (sid: number, pasid: number, group: number, code: number) => void;

/** What an implicit invalidation does not wait for: nobody asks for its completion. */
const HOLDS = MARK.holdWalk | MARK.holdDrain;

export class PageRequests implements PageRequestSink {
  private readonly core: VtdCore;
  private readonly invalidator: Invalidator;
  private readonly respond: PageGroupResponseSink;
  private readonly halves = new Int32Array(BYTES / 4);
  /** Requests under way; null where each is delivered at once. */
  private readonly channel: PageRequestChannel | null;

  /** @param respond takes what devices of the machine do not */
  constructor(core: VtdCore, invalidator: Invalidator, respond: PageGroupResponseSink = () => {}) {
    this.core = core;
    this.invalidator = invalidator;
    const ats = core.dma?.ats ?? null;
    this.channel = ats?.pages?.channel ?? null;
    if (this.channel !== null) this.channel.sink = this;
    this.respond = (sid, pasid, group, code) => {
      if (ats?.pages != null && ats.hasDevice(sid)) ats.pages.respond(sid, pasid, group, code === RESPONSE.success);
      else respond(sid, pasid, group, code);
    };
  }

  /** A device's message arrives. @returns whether it is in the queue now */
  receive({ address: iova, ...rest }: PageRequest): boolean {
    const request = { ...rest, lo: Number(BigInt.asIntN(32, iova)), hi: Number(BigInt.asIntN(32, iova >> 32n)) };
    if (!this.take(request, 0)) return false;
    this.put(request);
    return true;
  }

  accept(request: PageRequestMessage, queued: number): boolean {
    return this.take(messageOf(request), queued);
  }

  deliver(request: PageRequestMessage): void {
    this.put(messageOf(request));
  }

  /** 7.5: a read of PQT, PRS or PECTL is answered when what was accepted is delivered. */
  push(): void {
    this.channel?.deliverAll();
  }

  /** @param queued requests that have their place behind the tail. @returns whether it is to be written to the queue */
  private take(request: Message, queued: number): boolean {
    const { core } = this;
    const { regs } = core;
    if (core.mode === MODE.off) return false;
    if (!this.admits(request)) return this.drop(request, RESPONSE.invalidRequest, 'refused');
    if (regs.get(PRS, PRS.PRO) === 1) return this.drop(request, RESPONSE.success, 'the queue has overflowed');
    const size = this.queueBytes();
    const tail = (regs.read32(PQT.offset) + queued * BYTES) & (size - 1);
    if (nextInRing(tail, BYTES, size) === (regs.read32(PQH.offset) & (size - 1))) {
      const isNews = regs.get(PRS, PRS.PPR) === 0;
      regs.put(PRS, PRS.PRO, 1);
      if (isNews) raiseEvent(core, PAGE_REQUEST_EVENT);
      return this.drop(request, RESPONSE.success, 'the queue is full: PRS.PRO set');
    }
    this.invalidate(request);
    return true;
  }

  private queueBytes(): number {
    return 4096 << this.core.regs.get(PQA, PQA.PQS);
  }

  /** The descriptor is written, then the tail moves, then there may be an event (7.5). */
  private put(request: Message): void {
    const { core } = this;
    const { regs } = core;
    const size = this.queueBytes();
    const tail = regs.read32(PQT.offset) & (size - 1);
    const isNews = regs.get(PRS, PRS.PPR) === 0 && regs.get(PRS, PRS.PRO) === 0;
    this.write(request, tail);
    regs.force32(PQT.offset, nextInRing(tail, BYTES, size));
    regs.put(PRS, PRS.PPR, 1);
    if (core.telling) {
      const pasid = request.pasid < 0 ? '' : `, PASID 0x${request.pasid.toString(16)}`;
      core.say(
        `page request of ${bdf(request.sid)}${pasid} is in the queue: ${hex64(request.lo & ~0xfff, request.hi)}`,
      );
    }
    if (isNews) raiseEvent(core, PAGE_REQUEST_EVENT);
  }

  /** The tables up to the PASID-table entry, read afresh (table 30, the columns of page requests). */
  private admits({ sid, pasid, lo, hi, privileged = false }: Message): boolean {
    const { core } = this;
    const { scalable } = core;
    const [vpnHi, vpnLo] = [(hi << 2) | (lo >>> 30), (lo >>> 12) & 0x3ffff];
    if (core.mode !== MODE.scalable || scalable === null) {
      const { walk } = core;
      Object.assign(walk, { sid, pasid, vpnHi, vpnLo, privileged, execute: false, fpd: false });
      let reason: number = SM_FAULT.pageRequestInLegacyMode;
      if (core.mode === MODE.invalid) reason = FAULT.tableMode;
      if (core.mode === MODE.abort) reason = SM_FAULT.abortMode;
      return this.refuse(walk, reason);
    }
    const { walk } = scalable;
    scalable.begin(sid, pasid, vpnHi, vpnLo, PAGE_REQUEST, privileged, false);
    while (walk.stage !== STAGE.known) {
      if (scalable.step() === STEP.fault) return this.refuse(walk, walk.fault);
      if (walk.stage === STAGE.directory && walk.pre === 0) return this.refuse(walk, SM_FAULT.pageRequestsDisabled);
    }
    return true;
  }

  private refuse(walk: Walk, reason: number): boolean {
    walk.fault = reason;
    walk.access = PAGE_REQUEST;
    walk.at = 0;
    this.core.report(walk);
    return false;
  }

  /** Only the last one of a group is answered (table 31). */
  private drop({ sid, pasid, group, last }: Message, code: number, why: string): boolean {
    if (this.core.telling) this.core.say(`page request of ${bdf(sid)} is dropped: ${why}`);
    if (last) this.respond(sid, pasid, group, code);
    return false;
  }

  /** What may be cached of the page goes (6.5.3.1, table 27); walks that have read it may not fill any more. Nothing waits for it. */
  private invalidate({ lo, hi }: Message): void {
    const { core, invalidator } = this;
    const { did, pgtt, tablePasid } = (core.scalable as NonNullable<VtdCore['scalable']>).walk;
    const held = core.dma === null ? [] : slotsOf(core.dma).map((slot) => core.dma?.get(slot, SLOT.flags) ?? 0);
    if (pgtt === PGTT.firstStage)
      invalidator.pasidIotlb(PASID_IOTLB_GRANULARITY.page, did, tablePasid, lo, hi, 0, false);
    else {
      const granularity = pgtt === PGTT.nested ? IOTLB_GRANULARITY.domain : IOTLB_GRANULARITY.page;
      invalidator.iotlb(lo, hi, { granularity, did, am: 0, leafOnly: false, drainReads: false, drainWrites: false });
    }
    held.forEach((flags, i) => {
      const { dma } = core;
      const slot = dma?.at(i) ?? 0;
      dma?.set(slot, SLOT.flags, (dma.get(slot, SLOT.flags) & ~HOLDS) | (flags & HOLDS));
    });
  }

  private write(request: Message, tail: number): void {
    const { halves } = this;
    const { memory, pfnHiMask, regs } = this.core;
    const { sid, pasid, lo, hi, read, write, execute = false, privileged = false, group, last } = request;
    halves.fill(0);
    place(halves, PAGE_REQ_DSC.TYPE, PAGE_REQ_DSC.TYPE.fixed ?? 0);
    place(halves, PAGE_REQ_DSC.PP, pasid < 0 ? 0 : 1);
    place(halves, PAGE_REQ_DSC.RID, sid);
    place(halves, PAGE_REQ_DSC.PASID, Math.max(pasid, 0));
    place(halves, PAGE_REQ_DSC.EXR, execute ? 1 : 0);
    place(halves, PAGE_REQ_DSC.PMR, privileged ? 1 : 0);
    place(halves, PAGE_REQ_DSC.RDR, read ? 1 : 0);
    place(halves, PAGE_REQ_DSC.WRR, write ? 1 : 0);
    place(halves, PAGE_REQ_DSC.LPIG, last ? 1 : 0);
    place(halves, PAGE_REQ_DSC.PRGI, group);
    halves[PAGE_REQ_DSC.ADDR.lo >>> 5] |= lo & ~0xfff;
    halves[(PAGE_REQ_DSC.ADDR.lo >>> 5) + 1] = hi;
    const base = (regs.read32(PQA.offset + 4) & pfnHiMask) * 0x100000 + (regs.read32(PQA.offset) >>> 12);
    for (let i = 0; i < BYTES / 8; i++) {
      const at = memory.locate(base + (tail >>> 12), ((tail & 0xfff) >>> 3) + i);
      if (at >= 0) memory.write(at, halves[2 * i], halves[2 * i + 1]);
    }
  }

  /** Software answers a group (7.6.1). */
  answer(descriptor: Int32Array): void {
    const sid = get(PAGE_GRP_RESP_DSC.RID, descriptor);
    const pasid = get(PAGE_GRP_RESP_DSC.PP, descriptor) === 1 ? get(PAGE_GRP_RESP_DSC.PASID, descriptor) : -1;
    const code = get(PAGE_GRP_RESP_DSC.RC, descriptor);
    if (this.core.telling) this.core.say(`page group response to ${bdf(sid)}: code ${code}`);
    this.respond(sid, pasid, get(PAGE_GRP_RESP_DSC.PRGI, descriptor), code);
  }
}

/** Sets a field that lies in one half. */
function place(halves: Int32Array, { lo }: Pick<Field, 'lo'>, value: number): void {
  halves[lo >>> 5] |= value << (lo & 31);
}

function slotsOf(dma: Dma): number[] {
  return Array.from({ length: dma.slots }, (_, i) => dma.at(i));
}

/** Page requests of the machine are of one page, the last of its group. */
function messageOf({ sid, pasid, vpnHi, vpnLo, access, privileged, group }: PageRequestMessage): Message {
  const [read, write] = [(access & REQUEST.read) !== 0, (access & REQUEST.write) !== 0];
  const [lo, hi] = [(vpnHi << 30) | (vpnLo << 12), vpnHi >> 2];
  return { sid, pasid, lo, hi, read, write, privileged, group, last: true };
}
