/** Transactions that are stalled (IHI 0070, 3.12.2): each holds one of IDR5.STALL_MAX places, whose number is its STAG. */
import type { Region } from '../../machine/index.ts';
import type { SmmuCore } from './core.ts';

/** What becomes of a stalled transaction. `waiting`: software has been told, and has not answered; `unreported`: its event could not be written. */
export const STALL = { free: 0, waiting: 1, unreported: 2, retry: 3, abort: 4, razwi: 5 } as const;

/** Told of a place that it is to be retried, or terminated with an abort or with RAZ/WI: see {@link STALL}. The place is free then. */
export type StallSink = (stag: number, becomes: number) => void;

const FIELDS = ['state', 'sid'] as const;

export class Stalls {
  private readonly core: SmmuCore;
  private readonly region: Region;

  constructor(core: SmmuCore, places: number) {
    this.core = core;
    this.region = core.arena.region('smmu.stalls', FIELDS, places);
  }

  /** Places, which STAGs are below. */
  get places(): number {
    return this.region.units;
  }

  private at(stag: number): number {
    return this.region.base + stag * FIELDS.length;
  }

  /** See {@link STALL}. @param stag one of {@link begin} */
  stateOf(stag: number): number {
    return this.core.arena.words[this.at(stag)];
  }

  get hasRoom(): boolean {
    for (let stag = 0; stag < this.places; stag++) if (this.stateOf(stag) === STALL.free) return true;
    return false;
  }

  /** A transaction of a stream stalls. @returns its STAG; −1 where no place is left: it is not looked at before there is */
  begin(sid: number): number {
    for (let stag = 0; stag < this.places; stag++) {
      if (this.stateOf(stag) !== STALL.free) continue;
      this.set(stag, STALL.waiting, sid);
      return stag;
    }
    return -1;
  }

  /** Its event cannot be written (7.2.1): it is retried when the queue is writable again, as it may be. */
  notReported(stag: number): void {
    this.core.arena.set(this.at(stag), STALL.unreported);
  }

  /** The transaction acts on what {@link stateOf} says, and gives its place back. */
  end(stag: number): void {
    this.set(stag, STALL.free, 0);
  }

  /** CMD_RESUME: nothing where nothing with that STAG and StreamID waits (4.7.1). */
  resume(sid: number, stag: number, becomes: number): boolean {
    if (stag >= this.places || this.stateOf(stag) !== STALL.waiting || this.sidOf(stag) !== sid) return false;
    this.become(stag, becomes);
    return true;
  }

  /** CMD_STALL_TERM (4.7.2): all that are stalled of a stream end with an abort. @returns how many */
  terminate(sid: number): number {
    let count = 0;
    for (let stag = 0; stag < this.places; stag++)
      if (this.isStalled(stag) && this.sidOf(stag) === sid) {
        count++;
        this.become(stag, STALL.abort);
      }
    return count;
  }

  /** SMMUEN becomes 0 (6.3.9.6). */
  terminateAll(): void {
    for (let stag = 0; stag < this.places; stag++) if (this.isStalled(stag)) this.become(stag, STALL.abort);
  }

  /** The event queue is writable again. */
  retryUnreported(): void {
    for (let stag = 0; stag < this.places; stag++)
      if (this.stateOf(stag) === STALL.unreported) this.become(stag, STALL.retry);
  }

  private isStalled(stag: number): boolean {
    const state = this.stateOf(stag);
    return state === STALL.waiting || state === STALL.unreported;
  }

  private sidOf(stag: number): number {
    return this.core.arena.words[this.at(stag) + 1] >>> 0;
  }

  private set(stag: number, state: number, sid: number): void {
    this.core.arena.set(this.at(stag), state);
    this.core.arena.set(this.at(stag) + 1, sid | 0);
  }

  /** In steps the transaction finds it there; at once somebody is told. */
  private become(stag: number, state: number): void {
    if (this.core.dma !== null) return this.core.arena.set(this.at(stag), state);
    this.end(stag);
    this.core.parts.stallResolved?.(stag, state);
  }
}
