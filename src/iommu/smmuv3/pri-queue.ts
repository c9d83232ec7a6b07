/**
 * The page request queue (IHI 0070, chapter 8): devices that can wait for a page ask software for it here. What cannot be queued the SMMU answers
 * itself.
 */
import { get, put } from '../../bits/index.ts';
import type { PageRequest as Message } from '../kit/page-requests.ts';
import { PageRequestPort, RESPONSE_CODE } from '../kit/page-requests.ts';
import { writeEntry } from '../kit/words.ts';
import { CMD_PRI_RESP } from './commands.ts';
import type { SmmuCore } from './core.ts';
import { isActive, raiseGlobalError } from './global-errors.ts';
import { interrupt, PRIQ_INTERRUPT } from './interrupts.ts';
import { PRIQ_ENTRY, PRIQ_ENTRY_BYTES } from './page-request-structures.ts';
import { CODE_OF_RESP } from './page-responses.ts';
import { entriesIn, entryOf, isEmpty, isInconsistent, next } from './queue-index.ts';
import { entryAddress, log2Of } from './queue-memory.ts';
import { PRIQ_BASE } from './queue-registers.ts';
import { PRIQ_CONS, PRIQ_PROD } from './register-block.ts';
import { GERROR, PRIQ_IRQ_CFG2 } from './registers.ts';

/** A page request message of a device, or a Stop PASID marker: `last` with SubstreamID, without read and write. */
export interface PageRequest extends Omit<Message, 'pasid'> {
  /** SubstreamID; −1 for a request without PASID. */
  readonly ssid: number;
}

/** STE.PPAR of a stream; −1 where there is no valid STE (8.1), which may be recorded. `ssid` is the request's. */
export type PparSource = (sid: number, ssid: number) => number;

function isStopMarker({ last, read, write, pasid }: Message): boolean {
  return last && !read && !write && pasid >= 0;
}

export class PriQueue extends PageRequestPort<SmmuCore> {
  private readonly ppar: PparSource;
  private readonly halves = new Int32Array(PRIQ_ENTRY_BYTES / 4);

  constructor(core: SmmuCore, ppar: PparSource) {
    super(core, core.parts.pageResponse);
    this.ppar = ppar;
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

  /** @param queued requests that have their place behind PROD */
  protected take(request: Message, queued: number): boolean {
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
  private respondToOverflow({ group, sid, pasid }: Message): void {
    const { idr1, idr3 } = this.core.has;
    if (pasid < 0 || idr1.SSIDSIZE === 0) return this.respond(sid, -1, group, RESPONSE_CODE.success);
    const ppar = idr3.PPS === 1 ? 1 : this.ppar(sid, pasid);
    if (ppar < 0) return this.respond(sid, -1, group, RESPONSE_CODE.failure);
    this.respond(sid, ppar === 1 ? pasid : -1, group, RESPONSE_CODE.success);
  }

  /** The entry is written, then the index moves, then there may be an interrupt (3.5.2). */
  protected put(request: Message): boolean {
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
    this.tellQueued(request);
    const lastOnly = regs.get(PRIQ_IRQ_CFG2, PRIQ_IRQ_CFG2.LO) === 1;
    if (lastOnly ? request.last : isEmpty(prod, cons, log2)) interrupt(core, PRIQ_INTERRUPT);
    return true;
  }

  private fill(request: Message): void {
    const { sid, pasid, hi, lo, read, write, execute = false, privileged = false, group, last } = request;
    const { halves } = this;
    halves.fill(0);
    const withPasid = pasid >= 0;
    put(PRIQ_ENTRY.StreamID, halves, sid);
    put(PRIQ_ENTRY.SubstreamID, halves, withPasid ? pasid : 0);
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
}
