/**
 * Page requests (VT-d 7.4 – 7.7): devices that can wait for a page ask for it by the page request queue, and are answered by the invalidation
 * queue.
 */
import type { Field } from '../../bits/index.ts';
import { get } from '../../bits/index.ts';
import type { Dma } from '../../machine/index.ts';
import { MARK, SLOT } from '../../machine/index.ts';
import type { PageRequest as Message, PageResponseSink } from '../kit/page-requests.ts';
import { PageRequestPort, RESPONSE_CODE } from '../kit/page-requests.ts';
import { nextInRing } from '../kit/ring.ts';
import { writeEntry } from '../kit/words.ts';
import { PAGE_GRP_RESP_DSC, PASID_IOTLB_GRANULARITY } from './commands.ts';
import type { VtdCore } from './core.ts';
import { MODE } from './core.ts';
import { PAGE_REQUEST_EVENT, raiseEvent } from './events.ts';
import { FAULT } from './faults.ts';
import type { Invalidator } from './invalidator.ts';
import { PAGE_REQ_DSC } from './page-request-structures.ts';
import { IOTLB_GRANULARITY, PQA, PQH, PQT, PRS } from './registers.ts';
import { PAGE_REQUEST } from './request.ts';
import { SM_FAULT } from './scalable-faults.ts';
import { PGTT } from './scalable-structures.ts';
import { STAGE } from './scalable-walk.ts';
import type { Walk } from './walk.ts';
import { STEP } from './walk.ts';

const BYTES = 32;

/** Response codes (VT-d 7.6.1, table 32). */
export const RESPONSE = RESPONSE_CODE;

/** A page request message of a device. */
export interface PageRequest extends Omit<Message, 'hi' | 'lo'> {
  /** Byte address; its low 12 bits do not matter. */
  readonly address: bigint;
}

/** What a device gets back. @param pasid −1 for none. @param code see {@link RESPONSE} */
export type PageGroupResponseSink = PageResponseSink;

/** What an implicit invalidation does not wait for: nobody asks for its completion. */
const HOLDS = MARK.holdWalk | MARK.holdDrain;

export class PageRequests extends PageRequestPort<VtdCore> {
  private readonly invalidator: Invalidator;
  private readonly halves = new Int32Array(BYTES / 4);

  /** @param sink takes what devices of the machine do not */
  constructor(core: VtdCore, invalidator: Invalidator, sink?: PageGroupResponseSink) {
    super(core, sink);
    this.invalidator = invalidator;
  }

  /** 7.5: a read of PQT, PRS or PECTL is answered when what was accepted is delivered. */
  push(): void {
    this.channel?.deliverAll();
  }

  /** @param queued requests that have their place behind the tail */
  protected take(request: Message, queued: number): boolean {
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
  protected put(request: Message): boolean {
    const { core } = this;
    const { regs } = core;
    const size = this.queueBytes();
    const tail = regs.read32(PQT.offset) & (size - 1);
    const isNews = regs.get(PRS, PRS.PPR) === 0 && regs.get(PRS, PRS.PRO) === 0;
    this.write(request, tail);
    regs.force32(PQT.offset, nextInRing(tail, BYTES, size));
    regs.put(PRS, PRS.PPR, 1);
    this.tellQueued(request);
    if (isNews) raiseEvent(core, PAGE_REQUEST_EVENT);
    return true;
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
  private drop(request: Message, code: number, why: string): boolean {
    const { sid, pasid, group, last } = request;
    this.discard(request, why);
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
    const base = (regs.read32(PQA.offset + 4) & pfnHiMask) * 2 ** 32 + ((regs.read32(PQA.offset) & ~0xfff) >>> 0);
    writeEntry(memory, base + tail, halves);
  }

  /** Software answers a group (7.6.1). */
  answer(descriptor: Int32Array): void {
    const sid = get(PAGE_GRP_RESP_DSC.RID, descriptor);
    const pasid = get(PAGE_GRP_RESP_DSC.PP, descriptor) === 1 ? get(PAGE_GRP_RESP_DSC.PASID, descriptor) : -1;
    const code = get(PAGE_GRP_RESP_DSC.RC, descriptor);
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
