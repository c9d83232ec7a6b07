/** The event queue (IHI 0070, 7.2 – 7.4): which faults are recorded, where, and what becomes of their transactions (5.5). */
import { get, hex, hex64, put } from '../../bits/index.ts';
import { bdf } from '../../machine/index.ts';
import { readEntry, writeEntry } from '../kit/words.ts';
import type { SmmuCore } from './core.ts';
import type { EventSource } from './event-record.ts';
import { EVENT, makeRecord, RECORD_HALVES } from './event-record.ts';
import { EVENT_BYTES, F_TRANSLATION } from './event-structures.ts';
import { EVENTS } from './events.ts';
import { isActive, raiseGlobalError } from './global-errors.ts';
import { EVENTQ_INTERRUPT, interrupt } from './interrupts.ts';
import { entryOf, isEmpty, isFull, isInconsistent, next } from './queue-index.ts';
import { entryAddress, log2Of } from './queue-memory.ts';
import { EVENTQ_BASE } from './queue-registers.ts';
import { EVENTQ_CONS, EVENTQ_PROD } from './register-block.ts';
import { CR0ACK, CR2, GERROR } from './registers.ts';

/** What a fault does to its transaction. `noPlace`: it would stall, and no place is left: it is looked at again when one is free. */
export const OUTCOME = { abort: 0, razwi: 1, stalled: 2, noPlace: 3 } as const;

/** What became of an event. */
export type Recording = 'recorded' | 'suppressed' | 'merged' | 'disabled' | 'full' | 'aborted';

/** Those that S, R and A are about (5.5). */
function isTranslationRelated(event: number): boolean {
  return event >= EVENT.F_TRANSLATION && event <= EVENT.F_PERMISSION;
}

/** Those that may be merged whatever STE.MEV says, which no STE was found for (7.3.1). */
const MERGED_ALWAYS: readonly number[] = [EVENT.F_UUT, EVENT.C_BAD_STREAMID, EVENT.F_STE_FETCH, EVENT.C_BAD_STE];

export class EventQueue {
  /** STAG of the last fault that stalled. */
  stag = -1;
  private readonly core: SmmuCore;
  private readonly halves = new Int32Array(RECORD_HALVES);
  private readonly last = new Int32Array(RECORD_HALVES);

  constructor(core: SmmuCore) {
    this.core = core;
  }

  /**
   * A transaction has faulted: its event is recorded, or not (5.5, 7.2.1).
   * @param invalidToo C_BAD_STREAMID is recorded whatever CR2.RECINVSID says
   * @returns see {@link OUTCOME}; of `stalled`, {@link stag} is its place
   */
  record(of: EventSource, invalidToo = false): number {
    const { core } = this;
    this.stag = -1;
    const related = isTranslationRelated(of.event);
    if (related && of.s === 1) return this.stall(of);
    const suppressed =
      (related && of.r === 0) ||
      (of.event === EVENT.C_BAD_STREAMID &&
        !invalidToo &&
        core.profile.honoursRecinvsid &&
        core.regs.get(CR2, CR2.RECINVSID) === 0);
    makeRecord(of, this.halves);
    const recording = suppressed ? 'suppressed' : this.write(of.mev === 1 || MERGED_ALWAYS.includes(of.event));
    if (core.telling) this.tell(of, TEXT[recording]);
    return related && of.a === 0 && core.has.idr0.TERM_MODEL === 0 ? OUTCOME.razwi : OUTCOME.abort;
  }

  /** An event that no fault is behind: E_PAGE_REQUEST (7.3.19). */
  announce(of: EventSource): Recording {
    makeRecord(of, this.halves);
    const recording = this.write(of.mev === 1);
    if (this.core.telling) this.tell(of, TEXT[recording]);
    return recording;
  }

  /** The queue is enabled, has room, and has no abort that is not acknowledged (7.2.1). */
  get isWritable(): boolean {
    const { regs } = this.core;
    if (regs.get(CR0ACK, CR0ACK.EVENTQEN) === 0 || isActive(this.core, GERROR.EVENTQ_ABT_ERR)) return false;
    return !this.isFull();
  }

  /** Software has changed what {@link isWritable} asks for. */
  refresh(): void {
    if (this.core.stalls.places > 0 && this.isWritable) this.core.stalls.retryUnreported();
  }

  private log2(): number {
    const { has, regs } = this.core;
    return log2Of(regs.read32(EVENTQ_BASE.offset), has.idr1.EVENTQS);
  }

  /** An index that cannot be makes the queue full (3.5.1: may be treated so). */
  private isFull(): boolean {
    const { regs } = this.core;
    const [prod, cons, log2] = [regs.read32(EVENTQ_PROD.offset), regs.read32(EVENTQ_CONS.offset), this.log2()];
    return isFull(prod, cons, log2) || isInconsistent(prod, cons, log2);
  }

  private stall(of: EventSource): number {
    const { core } = this;
    const stag = core.stalls.begin(of.sid);
    if (stag < 0) return OUTCOME.noPlace;
    this.stag = stag;
    const { halves } = this;
    makeRecord(of, halves);
    // The same place in all four (7.3.13 – 7.3.16).
    put(F_TRANSLATION.STAG, halves, stag);
    put(F_TRANSLATION.Stall, halves, 1);
    const writable = this.isWritable;
    if (!writable || this.write(false) !== 'recorded') core.stalls.notReported(stag);
    if (core.telling) this.tell(of, writable ? `it stalls, STAG ${stag}` : 'it stalls; the event waits for the queue');
    return OUTCOME.stalled;
  }

  /** Writes the record at hand where that is possible. @param mergeable it may be one with the event before it */
  private write(mergeable: boolean): Recording {
    const { core } = this;
    const { regs } = core;
    if (regs.get(CR0ACK, CR0ACK.EVENTQEN) === 0) return 'disabled';
    if (core.profile.overflows && isActive(core, GERROR.EVENTQ_ABT_ERR)) return 'aborted';
    const log2 = this.log2();
    const prod = regs.read32(EVENTQ_PROD.offset);
    const cons = regs.read32(EVENTQ_CONS.offset);
    if (mergeable && core.mergesEvents && !isEmpty(prod, cons, log2) && this.isSameAs(prod - 1, log2)) return 'merged';
    if (this.isFull()) {
      if (core.profile.overflows) this.overflow();
      else raiseGlobalError(core, GERROR.EVENTQ_ABT_ERR);
      return 'full';
    }
    // 7.2.2, a synchronous abort: the index stays.
    if (!writeEntry(core.memory, this.address(prod, log2), this.halves)) {
      raiseGlobalError(core, GERROR.EVENTQ_ABT_ERR);
      return 'aborted';
    }
    regs.put(EVENTQ_PROD, EVENTQ_PROD.WR, next(prod, log2));
    if (!core.profile.interruptsFromEmptyOnly || isEmpty(prod, cons, log2)) interrupt(core, EVENTQ_INTERRUPT);
    return 'recorded';
  }

  /** 7.4: told of once until software has acknowledged it. */
  private overflow(): void {
    const { regs } = this.core;
    const flag = regs.get(EVENTQ_PROD, EVENTQ_PROD.OVFLG);
    if (flag === regs.get(EVENTQ_CONS, EVENTQ_CONS.OVACKFLG)) regs.put(EVENTQ_PROD, EVENTQ_PROD.OVFLG, flag ^ 1);
  }

  private address(index: number, log2: number): number {
    const { addressHiMask, regs } = this.core;
    const [hi, lo] = [regs.read32(EVENTQ_BASE.offset + 4), regs.read32(EVENTQ_BASE.offset)];
    return entryAddress(hi, lo, addressHiMask, log2, EVENT_BYTES, entryOf(index, log2));
  }

  private isSameAs(index: number, log2: number): boolean {
    const { halves, last } = this;
    if (!readEntry(this.core.memory, this.address(index, log2), last)) return false;
    const stalls = isTranslationRelated(last[0] & 0xff) && get(F_TRANSLATION.Stall, last) === 1;
    return !stalls && last.every((half, i) => half === halves[i]);
  }

  private tell(of: EventSource, what: string): void {
    const { name } = EVENTS[of.event];
    const substream = of.ssid < 0 ? '' : ` substream ${hex(of.ssid)}`;
    const where = `${of.rnw === 1 ? 'read' : 'write'} ${hex64(of.lo, of.hi)}`;
    const ipa = of.s2 === 1 ? `, IPA ${hex64(of.ipaLo, of.ipaHi)}` : '';
    this.core.say(`${name} (${hex(of.event)}) of ${bdf(of.sid)}${substream}: ${where}${ipa} (${what})`);
  }
}

const TEXT: Readonly<Record<Recording, string>> = {
  recorded: 'recorded in the event queue',
  suppressed: 'not recorded: the configuration says so',
  merged: 'merged with the event before it',
  disabled: 'not recorded: the event queue is disabled',
  full: 'lost: the event queue is full',
  aborted: 'lost: the event queue cannot be written',
};
