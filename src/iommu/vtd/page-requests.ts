/** Page requests (VT-d 7.4 – 7.7): devices that can wait for a page ask for it by the page request queue, and are answered by the invalidation queue. */
import { encodeHalves, get, hex } from '../../bits/index.ts';
import { bdf } from '../../machine/index.ts';
import { nextInRing } from '../kit/ring.ts';
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

/** What a device gets back. @param pasid −1 for none. @param code see {@link RESPONSE} */
export type PageGroupResponseSink = (sid: number, pasid: number, group: number, code: number) => void;

export class PageRequests {
  private readonly core: VtdCore;
  private readonly invalidator: Invalidator;
  private readonly respond: PageGroupResponseSink;

  constructor(core: VtdCore, invalidator: Invalidator, respond: PageGroupResponseSink = () => {}) {
    this.core = core;
    this.invalidator = invalidator;
    this.respond = respond;
  }

  /** A device's message arrives. @returns whether it is in the queue now */
  receive(request: PageRequest): boolean {
    const { core } = this;
    const { regs } = core;
    if (core.mode === MODE.off) return false;
    if (!this.admits(request)) return this.drop(request, RESPONSE.invalidRequest, 'refused');
    if (regs.get(PRS, PRS.PRO) === 1) return this.drop(request, RESPONSE.success, 'the queue has overflowed');
    const isNews = regs.get(PRS, PRS.PPR) === 0;
    const size = 4096 << regs.get(PQA, PQA.PQS);
    const tail = regs.read32(PQT.offset) & (size - 1);
    const next = nextInRing(tail, BYTES, size);
    if (next === (regs.read32(PQH.offset) & (size - 1))) {
      regs.put(PRS, PRS.PRO, 1);
      if (isNews) raiseEvent(core, PAGE_REQUEST_EVENT);
      return this.drop(request, RESPONSE.success, 'the queue is full: PRS.PRO set');
    }
    this.invalidate(request);
    this.write(request, tail);
    regs.force32(PQT.offset, next);
    regs.put(PRS, PRS.PPR, 1);
    if (core.telling) core.say(`page request of ${bdf(request.sid)}: ${hex(request.address)}`);
    if (isNews) raiseEvent(core, PAGE_REQUEST_EVENT);
    return true;
  }

  /** The tables up to the PASID-table entry, read afresh (table 30, the columns of page requests). */
  private admits({ sid, pasid, address: iova, privileged = false }: PageRequest): boolean {
    const { core } = this;
    const { scalable } = core;
    const vpn = BigInt.asIntN(64, iova) >> 12n;
    const [vpnHi, vpnLo] = [Number(BigInt.asIntN(32, vpn >> 18n)), Number(vpn & 0x3ffffn)];
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
  private drop({ sid, pasid, group, last }: PageRequest, code: number, why: string): boolean {
    if (this.core.telling) this.core.say(`page request of ${bdf(sid)} is dropped: ${why}`);
    if (last) this.respond(sid, pasid, group, code);
    return false;
  }

  /** What may be cached of the page goes (6.5.3.1, table 27). */
  private invalidate({ address: iova }: PageRequest): void {
    const { invalidator } = this;
    const { did, pgtt, tablePasid } = (this.core.scalable as NonNullable<VtdCore['scalable']>).walk;
    const [lo, hi] = [Number(BigInt.asIntN(32, iova)), Number(BigInt.asIntN(32, iova >> 32n))];
    if (pgtt === PGTT.firstStage)
      return invalidator.pasidIotlb(PASID_IOTLB_GRANULARITY.page, did, tablePasid, lo, hi, 0, false);
    const granularity = pgtt === PGTT.nested ? IOTLB_GRANULARITY.domain : IOTLB_GRANULARITY.page;
    invalidator.iotlb(lo, hi, { granularity, did, am: 0, leafOnly: false, drainReads: false, drainWrites: false });
  }

  private write(request: PageRequest, tail: number): void {
    const { memory, pfnHiMask, regs } = this.core;
    const { sid, pasid, address: iova, read, write, execute = false, privileged = false, group, last } = request;
    const halves = encodeHalves(PAGE_REQ_DSC, {
      ...{ PP: pasid < 0 ? 0 : 1, RID: sid, PASID: Math.max(pasid, 0), EXR: execute ? 1 : 0, PMR: privileged ? 1 : 0 },
      ...{ RDR: read ? 1 : 0, WRR: write ? 1 : 0, LPIG: last ? 1 : 0, PRGI: group },
      ADDR: BigInt.asUintN(64, iova) & ~0xfffn,
    });
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
