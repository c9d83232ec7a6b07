/** Interrupt remapping (VT-d 5.1.3, 5.1.4): what a request says, the entry that it names, what of it is checked, in the specification's order. */
import { hex, hex64 } from '../../bits/index.ts';
import type { Dma } from '../../machine/index.ts';
import { bdf, MARK, PHASE, SLOT } from '../../machine/index.ts';
import type { CacheSizes } from './cache-entries.ts';
import type { VtdCore } from './core.ts';
import { INTERNAL } from './core.ts';
import { recordFault } from './fault-records.ts';
import { InterruptCache, sameBlock } from './interrupt-cache.ts';
import { hasInterruptIndex, INTERRUPT_FAULT, INTERRUPT_FAULT_TEXT, isQualifiedInterrupt } from './interrupt-faults.ts';
import { InterruptMessage } from './interrupt-message.ts';
import {
  COMPATIBILITY_ADDRESS,
  COMPATIBILITY_DATA,
  IRTE,
  IRTE_BYTES,
  REMAPPABLE_ADDRESS,
  REMAPPABLE_DATA,
  SVT,
} from './interrupt-structures.ts';
import { GSTS, IRTA } from './registers.ts';
import { REQUEST } from './request.ts';
import { STEP, Walk } from './walk.ts';

/** Interrupt indexes are of so many bits: an invalidation that masks them all. */
export const EVERY_INDEX = 16;

const INTERRUPT_RANGE = 0xfee00000;

/** SQ: bits of the requester's function number that are not compared. */
const IGNORED_BITS = [0, 4, 6, 7] as const;

// The declarations as this module's own constants, which V8 folds: generic readers made a cached interrupt nine times as slow.
const [RESERVED_0, RESERVED_1, RESERVED_2, RESERVED_3] = IRTE.reserved;
const { P, FPD, DM, RH, TM, DLM, IM, V } = IRTE;
const [FPD_AT, DM_AT, RH_AT, TM_AT, DLM_AT, V_AT] = [FPD.lo, DM.lo, RH.lo, TM.lo, DLM.lo, V.lo];
const [SQ_AT, SVT_AT] = [IRTE.SQ.lo & 31, IRTE.SVT.lo & 31];
const PRESENT = 1 << P.lo;
const POSTED = 1 << IM.lo;
const [SVT_REQUESTER, SVT_BUS] = [SVT.requester, SVT.bus];
const { DEST, RH: RH_BIT, DM: DM_BIT } = COMPATIBILITY_ADDRESS;
const [DEST_TO, RH_TO, DM_TO] = [DEST.lo, RH_BIT.lo, DM_BIT.lo];
const [DLM_TO, TM_TO] = [COMPATIBILITY_DATA.DLM.lo, COMPATIBILITY_DATA.TM.lo];
const ASSERTED = 1 << COMPATIBILITY_DATA.LEVEL.lo;
const [HANDLE_AT, HANDLE_15_AT] = [REMAPPABLE_ADDRESS.HANDLE.lo, REMAPPABLE_ADDRESS.HANDLE_15.lo];
const REMAPPABLE = 1 << REMAPPABLE_ADDRESS.FORMAT.lo;
const HAS_SUBHANDLE = 1 << REMAPPABLE_ADDRESS.SHV.lo;
const RESERVED_DATA = REMAPPABLE_DATA.reserved[0];
const EIME_AT = IRTA.EIME.lo;
const DONE = STEP.done;

/** DLM 3 and 6: 9.9 defines them not. */
const UNDEFINED_MODES = (1 << 3) | (1 << 6);

export class InterruptRemapping {
  readonly cache: InterruptCache;
  /** What the last request that was not refused became. */
  readonly message = new InterruptMessage();
  /** Of the last request in remappable format; of 17 bits where handle and subhandle add up to that. */
  index = 0;
  /** Why the last one was refused. */
  fault = 0;
  private readonly core: VtdCore;
  private readonly changed: ((first: number, count: number) => void) | undefined;
  /** Address and data of the request at hand. */
  private readonly request = new Int32Array(2);
  private readonly entry = new Int32Array(IRTE_BYTES / 4);
  /** What a fault record is made from. */
  private readonly faulted = new Walk();

  /** @param changed told which indexes, from one on, may mean something else from now on */
  constructor(
    core: VtdCore,
    sizes: Partial<CacheSizes>,
    replaces: boolean,
    changed: ((first: number, count: number) => void) | undefined,
  ) {
    this.core = core;
    this.changed = changed;
    const { interrupts = 4, interruptSets = 1 } = sizes;
    this.cache = new InterruptCache(core.arena, interruptSets, interrupts / interruptSets, replaces);
  }

  /** Table address, size and mode in force: IRTA_REG as SIRTP took it. */
  private get tableLo(): number {
    return this.core.arena.words[this.core.internal.base + INTERNAL.irtaLo];
  }

  private get extended(): boolean {
    return ((this.tableLo >>> EIME_AT) & 1) === 1;
  }

  /**
   * What is decided before the table is looked at.
   * @param lo address of the DWORD write, in 0xFEEx_xxxx
   * @returns STEP.done: it passes, as {@link message}; STEP.more: {@link index} is to be looked up; STEP.fault: refused, for {@link fault}
   */
  decode(lo: number, data: number): number {
    const { core, request } = this;
    const { ecap } = core.has;
    request[0] = lo;
    request[1] = data;
    if (!core.remapsInterrupts) return ecap.IRREQ === 1 ? this.refuse(INTERRUPT_FAULT.remappingRequired) : this.pass();
    if (ecap.EIMER === 1 && !this.extended) return this.refuse(INTERRUPT_FAULT.modeRequired);
    if ((lo & REMAPPABLE) === 0) {
      const blocked = this.extended || core.regs.get(GSTS, GSTS.CFIS) === 0;
      return blocked ? this.refuse(INTERRUPT_FAULT.compatibilityBlocked) : this.pass();
    }
    const handle = (((lo >>> HANDLE_15_AT) & 1) << 15) | ((lo >>> HANDLE_AT) & 0x7fff);
    const hasSubhandle = (lo & HAS_SUBHANDLE) !== 0;
    if (hasSubhandle && (data & RESERVED_DATA) !== 0) return this.refuse(INTERRUPT_FAULT.requestReserved);
    this.index = hasSubhandle ? handle + (data & 0xffff) : handle;
    if (this.index >= 2 << (this.tableLo & 0xf)) return this.refuse(INTERRUPT_FAULT.index);
    return STEP.more;
  }

  private pass(): number {
    this.message.set(0, this.request[0], this.request[1]);
    return STEP.done;
  }

  /** @returns STEP.fault, always */
  private refuse(reason: number): number {
    this.fault = reason;
    return STEP.fault;
  }

  /** The entry of {@link index} as it was cached. @param at offset in {@link cache} */
  takeCached(at: number): void {
    this.cache.load(at, this.entry);
  }

  /** Reads the entry of {@link index}, all of it at once. @returns STEP.more, or STEP.fault */
  fetch(): number {
    const { core, entry, index } = this;
    const { tables } = core;
    const pfn = this.pfn();
    if (pfn >= 2 ** (core.has.haw - 12)) return this.refuse(INTERRUPT_FAULT.index);
    for (let i = 0; i < 2; i++) {
      const at = tables.locate(pfn, this.word() + i);
      if (at < 0) return this.refuse(INTERRUPT_FAULT.tableAddress);
      entry[2 * i] = tables.lo(at);
      entry[2 * i + 1] = tables.hi(at);
    }
    if (core.telling) {
      core.say(`reads interrupt remapping entry ${index}: ${hex64(entry[2], entry[3])}:${hex64(entry[0], entry[1])}`);
    }
    return STEP.more;
  }

  /** Page frame and index there of the first 64-bit word of the entry of {@link index}. */
  private pfn(): number {
    const { arena, internal } = this.core;
    const hi = arena.words[internal.base + INTERNAL.irtaHi] >>> 0;
    return hi * 0x100000 + (this.tableLo >>> 12) + Math.floor((this.index * IRTE_BYTES) / 4096);
  }

  private word(): number {
    return ((this.index * IRTE_BYTES) & 0xfff) / 8;
  }

  /** The entry that was fetched is acted on, if it is present. @returns its name where it is of no version that software declared, else null */
  usedMix({ versions }: Dma): string | null {
    return (this.entry[0] & PRESENT) === 0 ? null : versions.used(this.pfn(), this.word(), this.entry);
  }

  /** Fills the entry that was fetched into the cache. */
  fill(): void {
    this.cache.fill(this.index, this.entry);
  }

  /**
   * Checks the entry that was taken or fetched, and makes the {@link message} from it: present, requester, contents (5.1.4).
   * @returns STEP.done, or STEP.fault
   */
  apply(sid: number): number {
    const { entry } = this;
    const lo = entry[0];
    if ((lo & PRESENT) === 0) return this.refuse(INTERRUPT_FAULT.notPresent);
    if (!this.isFrom(sid)) return this.refuse(INTERRUPT_FAULT.sourceId);
    if (this.isMalformed()) return this.refuse(INTERRUPT_FAULT.entryReserved);
    const id = this.extended ? entry[1] : entry[1] >>> 8;
    const flags = (((lo >>> RH_AT) & 1) << RH_TO) | (((lo >>> DM_AT) & 1) << DM_TO);
    // The level is asserted, always (5.1.4).
    const data =
      ((lo >>> V_AT) & 0xff) | (((lo >>> DLM_AT) & 7) << DLM_TO) | ASSERTED | (((lo >>> TM_AT) & 1) << TM_TO);
    this.message.set(id & ~0xff, INTERRUPT_RANGE | ((id & 0xff) << DEST_TO) | flags, data);
    return DONE;
  }

  /** Whether the requester may use the entry (9.9: SVT, SQ, SID). SVT 3 is reserved, which {@link isMalformed} finds. */
  private isFrom(sid: number): boolean {
    const hi = this.entry[2];
    const svt = (hi >>> SVT_AT) & 3;
    if (svt === SVT_REQUESTER) return ((hi ^ sid) & 0xffff & ~IGNORED_BITS[(hi >>> SQ_AT) & 3]) === 0;
    if (svt === SVT_BUS) return sid >>> 8 >= ((hi >>> 8) & 0xff) && sid >>> 8 <= (hi & 0xff);
    return true;
  }

  /** Reserved bits, and values that 9.9 does not define. IM is reserved, as there is no CAP.PI. */
  private isMalformed(): boolean {
    const { entry } = this;
    const lo = entry[0];
    const reserved = (lo & RESERVED_0) | (entry[1] & RESERVED_1) | (entry[2] & RESERVED_2) | (entry[3] & RESERVED_3);
    if (reserved !== 0 || (lo & POSTED) !== 0 || ((entry[2] >>> SVT_AT) & 3) === 3) return true;
    if (((UNDEFINED_MODES >>> ((lo >>> DLM_AT) & 7)) & 1) === 1) return true;
    return !this.extended && (entry[1] & 0xffff00ff) !== 0;
  }

  /**
   * A request at once: cached entries are used where they grant it, and filled.
   * @param lo address, bits 31:0; those above are 0
   * @returns 0, with the {@link message}; a reason, which was recorded unless FPD is set
   */
  remap(sid: number, lo: number, data: number): number {
    const { cache, core } = this;
    const decoded = this.decode(lo, data);
    if (decoded !== STEP.more) return decoded === STEP.done ? 0 : this.report(sid);
    const hit = cache.find(this.index);
    if (hit >= 0) {
      this.takeCached(hit);
      if (this.apply(sid) === STEP.done) return 0;
    }
    if (this.fetch() === STEP.fault || this.apply(sid) === STEP.fault) return this.report(sid);
    if (core.profile.interruptEntryCache) this.fill();
    return 0;
  }

  /** Records why a request was refused (7.2.1, 11.4.7.6). @returns the reason */
  report(sid: number): number {
    const { core, entry, fault, faulted, index } = this;
    const quiet = isQualifiedInterrupt(fault) && ((entry[0] >>> FPD_AT) & 1) === 1;
    faulted.sid = sid;
    faulted.access = REQUEST.write;
    faulted.fault = fault;
    const recorded = quiet
      ? 'not recorded: FPD'
      : recordFault(core, faulted, hasInterruptIndex(fault) ? index & 0xffff : 0);
    if (core.telling) {
      const which = hasInterruptIndex(fault) ? ` index ${index}` : '';
      core.say(
        `[INTR-REMAP] Request device [${bdf(sid)}] fault${which} [fault reason ${hex(fault)}] ${INTERRUPT_FAULT_TEXT[fault]} (${recorded})`,
      );
    }
    return fault;
  }

  /**
   * The interrupt entry cache is invalidated (6.5.2.8), and what was remapped by what is dropped has to drain (6.5.5); not so what passed as it was.
   * @param mask the block has 2^mask indexes; {@link EVERY_INDEX} for all
   */
  invalidate(index: number, mask: number): void {
    const { core } = this;
    const { dma } = core;
    this.cache.invalidate(index, mask);
    for (let i = 0; dma !== null && core.profile.drains && i < dma.slots; i++) {
      const slot = dma.at(i);
      if (dma.get(slot, SLOT.phase) !== PHASE.translated || (dma.get(slot, SLOT.flags) & MARK.message) === 0) continue;
      const remapped = dma.get(slot, SLOT.did) - 1;
      if (remapped >= 0 && sameBlock(remapped, index, mask)) dma.mark(slot, MARK.holdDrain);
    }
    this.tell(index, mask);
  }

  /** Tells a VMM which indexes may mean something else. */
  tell(index: number, mask: number): void {
    if (mask >= EVERY_INDEX) this.changed?.(0, 1 << EVERY_INDEX);
    else this.changed?.((index >>> mask) << mask, 1 << mask);
  }

  /** Marks every interrupt in flight, remapped or not: IRES is set when they have drained (11.4.4.1). */
  drain(): void {
    const { core } = this;
    const { dma } = core;
    for (let i = 0; dma !== null && core.profile.drains && i < dma.slots; i++) {
      const slot = dma.at(i);
      if (dma.get(slot, SLOT.phase) !== PHASE.translated || (dma.get(slot, SLOT.flags) & MARK.message) === 0) continue;
      dma.mark(slot, MARK.holdDrain);
    }
  }
}
