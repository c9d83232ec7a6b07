import { MARK, SLOT } from '../../machine/index.ts';
import type { AtcSink } from '../kit/atc-invalidations.ts';
import type { PageResponseSink } from '../kit/page-requests.ts';
import type { UnitParts } from '../kit/unit-core.ts';
import { offsetsOf, UnitCore } from '../kit/unit-core.ts';
import type { SmmuCapabilities, SmmuCapabilityOptions } from './capabilities.ts';
import { smmuCapabilitiesOf } from './capabilities.ts';
import { AIDR, IDR0, IDR1, IDR3, IDR5, IIDR } from './capability-registers.ts';
import { EventQueue } from './event-queue.ts';
import type { InterruptLine, SmmuMessageSink } from './interrupts.ts';
import type { SmmuProfile } from './profiles.ts';
import { PROFILES } from './profiles.ts';
import { STRTAB_BASE, STRTAB_BASE_CFG } from './queue-registers.ts';
import { REGISTER_BYTES, registersOf } from './register-block.ts';
import { CR0, CR0ACK, CR2, GBPA } from './registers.ts';
import type { RuleName } from './rules.ts';
import { RARE, RULES } from './rules.ts';
import type { StallSink } from './stalls.ts';
import { Stalls } from './stalls.ts';
import type { InvalidatedCaches } from './tlb-scope.ts';

export interface SmmuOptions extends SmmuCapabilityOptions {
  readonly profile?: SmmuProfile;
  /** Whether GBPA.ABORT is 1 after a reset (6.3.14: implementation defined); false if absent. */
  readonly abortsAtReset?: boolean;
  /** Whether two events in a row that are alike become one where STE.MEV allows it (7.3.1: may be); false if absent. */
  readonly mergesEvents?: boolean;
  /** Transactions that can be stalled at once: at most IDR5.STALL_MAX, which it is if absent. Each takes room in the state. */
  readonly stalls?: number;
  /** Whether a device may fail to complete a CMD_ATC_INV; false if absent. Where requests are taken in steps only. */
  readonly atcTimesOut?: boolean;
}

/**
 * What the SMMU is built into: STEs, CDs and descriptors are read in `tables`; in `memory` commands are read, and events, page requests and MSIs are
 * written.
 */
export interface SmmuParts extends UnitParts {
  /** Which requesters of `dma` (index) are behind this SMMU, where there are several: it waits for and marks no others. All if absent. */
  readonly mine?: (requester: number) => boolean;
  /** What stories and waits call it; `SMMU` if absent. */
  readonly name?: string;
  /** Takes MSIs to where no memory is (3.18). */
  readonly message?: SmmuMessageSink;
  /** Takes pulses of the interrupt wires (3.18). */
  readonly wire?: (line: InterruptLine) => void;
  /** Takes the event that CMD_SYNC sends with CS = SEV (4.7.3). */
  readonly sendEvent?: () => void;
  /** With IDR0.ATS: takes what CMD_ATC_INV sends (4.5.1). If absent, no device has translations, and all are completed. */
  readonly invalidateAtc?: AtcSink;
  /** With IDR0.PRI: takes page request group responses, of software and of the SMMU (4.5.2, 8.1, 8.2). */
  readonly pageResponse?: PageResponseSink;
  /** Told what becomes of a stalled transaction (4.7.1), where everything is done at once. */
  readonly stallResolved?: StallSink;
}

/** Words of an SMMU's state that are in no register. */
const INTERNAL_WORDS = ['enabled', 'abort', 'updates', 'atcFailed'] as const;

/** Offsets in {@link SmmuCore.internal}: SMMUEN and GBPA.ABORT in force; Updates that have taken effect and are not complete. */
export const INTERNAL = offsetsOf(INTERNAL_WORDS);

/** What all parts of an SMMU share: registers, caches, queues' other ends, and how to tell of what happens. */
export class SmmuCore<C extends InvalidatedCaches = InvalidatedCaches> extends UnitCore<RuleName> {
  readonly profile: SmmuProfile;
  /** What the ID registers say. */
  readonly has: SmmuCapabilities;
  /** See {@link SmmuParts.name}. */
  readonly name: string;
  readonly events: EventQueue;
  readonly stalls: Stalls;
  readonly caches: C;
  readonly parts: SmmuParts;
  readonly message: SmmuMessageSink | undefined;
  readonly mergesEvents: boolean;
  readonly atcTimesOut: boolean;
  /** IDR0.MSI, and the profile knows them. */
  readonly writesMsis: boolean;
  /** Bits of the upper half of an address below the physical address size (IDR5.OAS). */
  readonly addressHiMask: number;

  /** @param makeCaches called when everything else is there */
  constructor(parts: SmmuParts, options: SmmuOptions, makeCaches: (core: SmmuCore<C>) => C) {
    const has = smmuCapabilitiesOf(options);
    // Registers of page 1 are folded into page 0: see register-block.ts.
    const registers = { registerBytes: REGISTER_BYTES, registers: registersOf(has) };
    super(parts, RULES, { prefix: 'smmu', ...registers, internal: INTERNAL_WORDS });
    this.parts = parts;
    this.name = parts.name ?? 'SMMU';
    this.message = parts.message;
    this.profile = options.profile ?? PROFILES[0];
    this.mergesEvents = options.mergesEvents === true;
    this.atcTimesOut = parts.dma !== undefined && options.atcTimesOut === true;
    this.has = has;
    this.writesMsis = has.idr0.MSI === 1 && this.profile.writesMsis;
    this.addressHiMask = 2 ** (has.oas - 32) - 1;
    this.preset(options.abortsAtReset === true);
    const most = has.stalls ? has.idr5.STALL_MAX : 0;
    this.stalls = new Stalls(this, Math.min(options.stalls ?? most, most));
    this.events = new EventQueue(this);
    this.declareRules((name) => !RARE.has(name) && (name !== 'timedOut' || (has.idr0.ATS === 1 && this.atcTimesOut)));
    this.caches = makeCaches(this);
  }

  /** What a reset leaves: registers whose value is unknown then (6.3) are 0. */
  private preset(aborts: boolean): void {
    const { halves } = this.has;
    this.regs.force32(IDR0.offset, halves.idr0);
    this.regs.force32(IDR1.offset, halves.idr1);
    this.regs.force32(IDR3.offset, halves.idr3);
    this.regs.force32(IDR5.offset, halves.idr5);
    this.regs.force32(IIDR.offset, halves.iidr);
    this.regs.force32(AIDR.offset, halves.aidr);
    this.regs.put(GBPA, GBPA.SHCFG, 1);
    this.regs.put(GBPA, GBPA.ABORT, aborts ? 1 : 0);
    this.setInternal(INTERNAL.abort, aborts ? 1 : 0);
  }

  override fire(name: RuleName | 'overtakes'): void {
    if (RARE.has(name)) this.declareLate(name);
    super.fire(name);
  }

  /** A line of the story; it says which SMMU where there are several. */
  override say(text: string): void {
    super.say(this.parts.name === undefined ? text : `${this.name}: ${text}`);
  }

  isMine(slot: number): boolean {
    const { mine } = this.parts;
    return mine === undefined || this.dma === null || mine(this.dma.get(slot, SLOT.device));
  }

  /** Whether a request in flight that is this SMMU's bears one of the marks. */
  anyMarked(marks: number): boolean {
    return this.dma?.anyMarked(marks, this.parts.mine) === true;
  }

  /** CR0.SMMUEN in force. */
  get enabled(): boolean {
    return this.getInternal(INTERNAL.enabled) !== 0;
  }

  /** GBPA.ABORT in force: what becomes of transactions while SMMUEN is 0. */
  get aborts(): boolean {
    return this.getInternal(INTERNAL.abort) !== 0;
  }

  /** CR0.ATSCHK in force. */
  get checksAts(): boolean {
    return this.regs.get(CR0ACK, CR0ACK.ATSCHK) === 1;
  }

  /** CR2.E2H. CR2 is Guarded by SMMUEN (6.3.12). */
  get e2h(): boolean {
    return this.regs.get(CR2, CR2.E2H) === 1;
  }

  /** Page frame number of the stream table, below 2^40: STRTAB_BASE is Guarded by SMMUEN. Its alignment is the reader's (6.3.24). */
  get streamTableLo(): number {
    return this.regs.read32(STRTAB_BASE.offset) & -64;
  }

  get streamTableHi(): number {
    return this.regs.read32(STRTAB_BASE.offset + 4) & this.addressHiMask;
  }

  /** STRTAB_BASE_CFG: bits of a StreamID that select an STE, as written; more than IDR1.SIDSIZE count as that many, but where the table is aligned. */
  get streamTableLog2(): number {
    return this.regs.get(STRTAB_BASE_CFG, STRTAB_BASE_CFG.LOG2SIZE);
  }

  /** Bits that select within a level-2 table; 0 in a linear table. Reserved values behave as 6 (6.3.25). */
  get streamTableSplit(): number {
    if (this.has.idr0.ST_LEVEL === 0 || this.regs.get(STRTAB_BASE_CFG, STRTAB_BASE_CFG.FMT) !== 1) return 0;
    const split = this.regs.get(STRTAB_BASE_CFG, STRTAB_BASE_CFG.SPLIT);
    return split === 8 || split === 10 ? split : 6;
  }

  /** Bits of a VMID that invalidations compare (CR0.VMW, 6.3.9); reserved values behave as 0. */
  get vmidMask(): number {
    const width = this.has.idr0.VMID16 === 1 ? 0xffff : 0xff;
    const wild = this.regs.get(CR0ACK, CR0ACK.VMW);
    return wild <= 4 ? width & -(1 << wild) : width;
  }

  /** CR0.PRIQEN in force: SMMUEN = 0 implies PRIQEN = 0 (6.3.9.5). */
  get takesPageRequests(): boolean {
    return this.enabled && this.regs.get(CR0ACK, CR0ACK.PRIQEN) === 1;
  }

  /** Whether a register that is Guarded by a field of CR0 may be written: neither set nor being Updated (6.2). */
  isOpen(field: typeof CR0.SMMUEN): boolean {
    return this.regs.get(CR0, field) === 0 && this.regs.get(CR0ACK, field) === 0;
  }

  pulse(line: InterruptLine): void {
    if (this.telling) this.say(`${line} interrupt: its wire is pulsed`);
    this.parts.wire?.(line);
  }

  /** Whether a CMD_SYNC, or an Update, has to wait for a request in flight. */
  isHeld(): boolean {
    const held = this.profile.syncWaits && this.anyMarked(MARK.holdWalk | MARK.holdDrain | MARK.holdAtc);
    if (held) this.fire('held');
    return held;
  }
}
