/** All that is known of one translation on its way: the locals of the emulation's loop, or a transaction's slot while a step is taken. */
import type { SmmuCapabilities } from './capabilities.ts';
import type { EventSource } from './event-record.ts';
import { isTranslationRequest } from './request.ts';
import { StageWalk } from './walk.ts';

/**
 * What is read next: a level-1 descriptor, an STE, a CD, a descriptor of stage 1 or 2; `firstUpdate` once more, to set its flags. `output` is what stage 2 makes of the
 * transaction's IPA in the end; `done` and `refused` are ends.
 */
export const TASK = {
  ...{ none: 0, l1std: 1, ste: 2, l1cd: 3, cd: 4, first: 5, firstUpdate: 6, second: 7 },
  ...{ output: 8, done: 9, refused: 10 },
} as const;

/** Caches that are to be looked at before anything is read. */
export const LOOK = { none: 0, ste: 1, l1std: 2, cd: 3, l1cd: 4, tlb: 5, ipa: 6 } as const;

/** `event` of a refusal that is no event. */
export const NO_EVENT = 0;

export class Translation implements EventSource {
  readonly first: StageWalk;
  readonly second: StageWalk;

  /** StreamID, unsigned; SubstreamID, −1 for none; the address as the device sent it. */
  sid = 0;
  ssid = -1;
  hi = 0;
  lo = 0;
  /** See {@link REQUEST}; overrides of the STE are in it when the STE is known. */
  kind = 0;
  /** Rights that it needs, and those that make pages dirty. */
  want = 0;
  dirties = 0;

  /** Offsets of decoded words, in a cache or in the transaction's slot: STE, CD, and which of the CD's tables. */
  ste = 0;
  cd = 0;
  table = 0;
  /** Stages that translate: STE.Config, without bit 0 where S1DSS bypasses stage 1. */
  config = 0;
  /** Index of its CD. */
  index = 0;
  /** StreamWorld has unprivileged accesses, ASIDs and two tables. */
  both = true;
  /** Split-stage ATS: a translation request is answered with an IPA, a translated transaction has one. */
  split = false;
  /** Whose its translations are: bits of a tag, see ENTRY, VMID and ASID. */
  owner = 0;
  id = 0;

  /** See {@link TASK}, {@link LOOK}; what stage 2 is translating an address for, a TASK again. */
  task = 0;
  look = 0;
  purpose = 0;
  /** Where what is read next is in memory. */
  physHi = 0;
  physLo = 0;
  /** When it is done: the address that goes out, log2 of the bytes that the translation holds for, and what it permits. */
  outHi = 0;
  outLo = 0;
  bits = 0;
  grants = 0;

  event = 0;
  rnw = 0;
  pnu = 0;
  ind = 0;
  s2 = 0;
  class = 0;
  ipaHi = 0;
  ipaLo = 0;
  fetchHi = 0;
  fetchLo = 0;
  s = 0;
  r = 0;
  a = 1;
  mev = 0;
  ttrnw = 0;
  rights = 0;
  span = 0;

  constructor(has: SmmuCapabilities) {
    this.first = new StageWalk(has, false);
    this.second = new StageWalk(has, true);
  }

  /** Whether it is a translation request. */
  get asks(): boolean {
    return isTranslationRequest(this.kind);
  }

  /** @param event see EVENT, or {@link NO_EVENT} @returns false: it is refused */
  refuse(event: number): false {
    this.event = event;
    this.task = TASK.refused;
    this.look = LOOK.none;
    return false;
  }

  /** It goes out to an address. */
  finish(hi: number, lo: number): void {
    this.outHi = hi;
    this.outLo = lo;
    this.task = TASK.done;
    this.look = LOOK.none;
  }
}
