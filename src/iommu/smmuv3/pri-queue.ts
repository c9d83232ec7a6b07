/**
 * The page request queue (IHI 0070, chapter 8): devices that can wait for a page ask software for it here. What cannot be queued the SMMU answers
 * itself. At once a request is written when it arrives; in steps it is accepted first.
 */
import { get, hex64, put } from '../../bits/index.ts';
import type { PageRequestChannel, PageRequestMessage, PageRequestSink } from '../../machine/index.ts';
import { bdf } from '../../machine/index.ts';
import { CMD_PRI_RESP } from './commands.ts';
import type { SmmuCore } from './core.ts';
import { isActive, raiseGlobalError } from './global-errors.ts';
import { interrupt, PRIQ_INTERRUPT } from './interrupts.ts';
import { PRIQ_ENTRY, PRIQ_ENTRY_BYTES } from './page-request-structures.ts';
import { CODE_OF_RESP, RESPONSE_CODE } from './page-responses.ts';
import { entriesIn, entryOf, isEmpty, isInconsistent, next } from './queue-index.ts';
import { entryAddress, log2Of, writeEntry } from './queue-memory.ts';
import { PRIQ_BASE } from './queue-registers.ts';
import { PRIQ_CONS, PRIQ_PROD } from './register-block.ts';
import { GERROR, PRIQ_IRQ_CFG2 } from './registers.ts';

/** A page request message of a device, or a Stop PASID marker: `last` with PASID, without read and write. */
export interface PageRequest {
  readonly sid: number;
  /** SubstreamID; −1 for a request without PASID. */
  readonly ssid: number;
  /** Byte address, as halves; its low 12 bits do not matter. */
  readonly hi: number;
  readonly lo: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute?: boolean;
  readonly privileged?: boolean;
  /** Page request group index, 9 bits. */
  readonly group: number;
  /** The last one of its group, which is answered. */
  readonly last: boolean;
}

/** STE.PPAR of a stream; −1 where there is no valid STE (8.1). */
export type PparSource = (sid: number) => number;

function isStopMarker({ last, read, write, ssid }: PageRequest): boolean {
  return last && !read && !write && ssid >= 0;
}

export class PriQueue implements PageRequestSink {
  private readonly core: SmmuCore;
  private readonly ppar: PparSource;
  private readonly halves = new Int32Array(PRIQ_ENTRY_BYTES / 4);
  /** Requests under way; null where each is written at once. */
  private readonly channel: PageRequestChannel | null;

  constructor(core: SmmuCore, ppar: PparSource) {
    this.core = core;
    this.ppar = ppar;
    this.channel = core.dma?.ats?.pages?.channel ?? null;
    if (this.channel !== null) this.channel.sink = this;
  }

  /** A device's message arrives. @returns whether it is in the queue now */
  receive(request: PageRequest): boolean {
    return this.take(request, 0) && this.put(request);
  }

  accept(request: PageRequestMessage, queued: number): boolean {
    return this.take(requestOf(request), queued);
  }

  deliver(request: PageRequestMessage): void {
    this.put(requestOf(request));
  }

  /** CMD_PRI_RESP (4.5.2): ignored while SMMUEN is 0. */
  answer(command: Int32Array): void {
    const { core } = this;
    if (!core.enabled) return;
    const { PRGIndex, Resp, SSV, StreamID, SubstreamID } = CMD_PRI_RESP;
    // Without substreams the command behaves as though SSV were 0.
    const ssid = core.has.idr1.SSIDSIZE > 0 && get(SSV, command) === 1 ? get(SubstreamID, command) : -1;
    this.respond(get(StreamID, command), ssid, get(PRGIndex, command), CODE_OF_RESP[get(Resp, command)]);
  }

  private log2(): number {
    return log2Of(this.core.regs.read32(PRIQ_BASE.offset), this.core.has.idr1.PRIQS);
  }

  /** @param queued requests that have their place behind PROD. @returns whether it is to be written to the queue */
  private take(request: PageRequest, queued: number): boolean {
    const { core } = this;
    const { regs } = core;
    if (!core.takesPageRequests || isActive(core, GERROR.PRIQ_ABT_ERR)) {
      // 8.2: each is answered, without PASID.
      if (!isStopMarker(request)) this.respond(request.sid, -1, request.group, RESPONSE_CODE.failure);
      return this.discard(request, 'the queue is not enabled');
    }
    const [prod, cons, log2] = [regs.read32(PRIQ_PROD.offset), regs.read32(PRIQ_CONS.offset), this.log2()];
    const flag = regs.get(PRIQ_PROD, PRIQ_PROD.OVFLG);
    const overflowed = flag !== regs.get(PRIQ_CONS, PRIQ_CONS.OVACKFLG);
    const full = isInconsistent(prod, cons, log2) || entriesIn(prod, cons, log2) + queued >= 1 << log2;
    if (!overflowed && !full) return true;
    if (!overflowed) regs.put(PRIQ_PROD, PRIQ_PROD.OVFLG, flag ^ 1);
    if (request.last && !isStopMarker(request)) this.respondToOverflow(request);
    // 6.3.36: with LO, also of those that an overflow discards.
    if (request.last && regs.get(PRIQ_IRQ_CFG2, PRIQ_IRQ_CFG2.LO) === 1) interrupt(core, PRIQ_INTERRUPT);
    return this.discard(request, 'the queue has overflowed');
  }

  /** 8.1: the PASID of the answer is a matter of IDR3.PPS, and of the STE. */
  private respondToOverflow({ group, sid, ssid }: PageRequest): void {
    const { idr1, idr3 } = this.core.has;
    if (ssid < 0 || idr1.SSIDSIZE === 0) return this.respond(sid, -1, group, RESPONSE_CODE.success);
    const ppar = idr3.PPS === 1 ? 1 : this.ppar(sid);
    if (ppar < 0) return this.respond(sid, -1, group, RESPONSE_CODE.failure);
    this.respond(sid, ppar === 1 ? ssid : -1, group, RESPONSE_CODE.success);
  }

  /** The entry is written, then the index moves, then there may be an interrupt (3.5.2). */
  private put(request: PageRequest): boolean {
    const { core, halves } = this;
    const { regs } = core;
    const [prod, cons, log2] = [regs.read32(PRIQ_PROD.offset), regs.read32(PRIQ_CONS.offset), this.log2()];
    const base = [regs.read32(PRIQ_BASE.offset + 4), regs.read32(PRIQ_BASE.offset)] as const;
    const entry = entryAddress(...base, core.addressHiMask, log2, PRIQ_ENTRY_BYTES, entryOf(prod, log2));
    this.fill(request);
    if (!writeEntry(core.memory, entry, halves)) {
      raiseGlobalError(core, GERROR.PRIQ_ABT_ERR);
      if (!isStopMarker(request)) this.respond(request.sid, -1, request.group, RESPONSE_CODE.failure);
      return this.discard(request, 'the queue cannot be written');
    }
    regs.put(PRIQ_PROD, PRIQ_PROD.WR, next(prod, log2));
    if (core.telling) {
      core.say(`page request of ${bdf(request.sid)} is in the queue: ${hex64(request.lo & ~0xfff, request.hi)}`);
    }
    const lastOnly = regs.get(PRIQ_IRQ_CFG2, PRIQ_IRQ_CFG2.LO) === 1;
    if (lastOnly ? request.last : isEmpty(prod, cons, log2)) interrupt(core, PRIQ_INTERRUPT);
    return true;
  }

  private fill({
    sid,
    ssid,
    hi,
    lo,
    read,
    write,
    execute = false,
    privileged = false,
    group,
    last,
  }: PageRequest): void {
    const { halves } = this;
    halves.fill(0);
    const withPasid = ssid >= 0;
    put(PRIQ_ENTRY.StreamID, halves, sid);
    put(PRIQ_ENTRY.SubstreamID, halves, withPasid ? ssid : 0);
    put(PRIQ_ENTRY.SSV, halves, withPasid ? 1 : 0);
    // 8: 0 without PASID.
    put(PRIQ_ENTRY.Priv, halves, withPasid && privileged ? 1 : 0);
    put(PRIQ_ENTRY.X, halves, withPasid && execute ? 1 : 0);
    put(PRIQ_ENTRY.R, halves, read ? 1 : 0);
    put(PRIQ_ENTRY.W, halves, write ? 1 : 0);
    put(PRIQ_ENTRY.Last, halves, last ? 1 : 0);
    put(PRIQ_ENTRY.PRGIndex, halves, group & 0x1ff);
    halves[2] |= lo & ~0xfff;
    halves[3] = hi;
  }

  private discard({ sid }: PageRequest, why: string): false {
    if (this.core.telling) this.core.say(`page request of ${bdf(sid)} is discarded: ${why}`);
    return false;
  }

  private respond(sid: number, ssid: number, group: number, code: number): void {
    const { core } = this;
    if (core.telling) core.say(`page group response to ${bdf(sid)}: code ${code}`);
    const ats = core.dma?.ats ?? null;
    if (ats?.pages != null && ats.hasDevice(sid)) ats.pages.respond(sid, ssid, group, code === RESPONSE_CODE.success);
    else core.parts.pageResponse?.(sid, ssid, group, code);
  }
}

/** Page requests of the machine are of one page, the last of its group. */
function requestOf({ sid, pasid, vpnHi, vpnLo, access, privileged, group }: PageRequestMessage): PageRequest {
  const [lo, hi] = [(vpnHi << 30) | (vpnLo << 12), vpnHi >> 2];
  return {
    sid,
    ssid: pasid,
    hi,
    lo,
    read: (access & 1) !== 0,
    write: (access & 2) !== 0,
    privileged,
    group,
    last: true,
  };
}
