/** What a request wants (VT-d 3.14, 3.15, 4.1), and what is decided of it before any table is read. */
import type { VtdCore } from './core.ts';
import { MODE } from './core.ts';
import { FAULT } from './faults.ts';
import { INTERRUPT_FAULT } from './interrupt-faults.ts';
import { SM_FAULT } from './scalable-faults.ts';
import type { Walk } from './walk.ts';
import { STEP } from './walk.ts';

/**
 * Kinds of requests without PASID. Bits 1:0 are the rights that it needs, R and W. The first two are the common ones,
 * {@link Vtd.translate} takes them only; {@link Vtd.request} takes all.
 */
export const REQUEST = {
  read: 1,
  /** A write of one DWORD: in the interrupt range, an interrupt. */
  write: 2,
  /** An AtomicOp: needs both rights. */
  atomic: 3,
  /** A read of no byte (3.14): with CAP.ZLR either right is enough. */
  zeroLengthRead: 4,
  /** A write that is not one DWORD long. */
  longWrite: 8 | 2,
  /** A translation request, AT = 01b; what it is answered is in {@link Vtd.completion}. */
  translation: 16 | 1,
  /** The same with NW: the device wants to read only. */
  translationNoWrite: 64 | 16 | 1,
  /** Requests with an address that was translated already, AT = 10b. */
  translated: 32 | 1,
  translatedWrite: 32 | 2,
  translatedAtomic: 32 | 3,
} as const;

/** What a PASID prefix asks for besides (3.6.1): supervisor privilege (PR), execution (ER). */
export const PREFIX = { none: 0, privileged: 1, execute: 2 } as const;

/** `Walk.access` of a page request, which is no memory request. */
export const PAGE_REQUEST = 128;

/** Bits of a request's kind that are rights, or stand for "either right". */
export const RIGHTS = 7;

/** Bits of a request's kind that make it a translation request, and a translated one. */
const TRANSLATION = 16;
const TRANSLATED = 32;

export const isTranslationRequest = (kind: number): boolean => (kind & TRANSLATION) !== 0;
export const isTranslatedRequest = (kind: number): boolean => (kind & TRANSLATED) !== 0;

/** AT of a request (FRCD.AT). */
export function addressType(kind: number): number {
  return (kind >>> 4) & 3;
}

/** Context TT 01b: translation and translated requests are allowed. */
export const TT_DEVICE_TLB = 1;

/** Conditions of legacy mode which a translation request meets with a completion without rights, and no fault (table 30, LGN.1.1, 2, 3). */
export function isRecoverable(reason: number): boolean {
  return reason === FAULT.beyondAddressWidth || reason === FAULT.write || reason === FAULT.read;
}

/** Result of a request that is blocked without a fault: protected memory (11.4.8.1), AT other than 00b while TES is 0 (4.2.1). */
export const BLOCKED = 0x100;

/** Whether rights R 1, W 2 are enough for what a walk wants. */
export function suffices(perms: number, access: number): boolean {
  const lacks = access & ~perms;
  return lacks === 0 || (lacks === REQUEST.zeroLengthRead && perms !== 0);
}

/** Reason of the fault where rights are missing (table 30, LGN.2 and LGN.3; which is first the specification leaves open). */
export function missingRight(perms: number, access: number): number {
  return (access & ~perms & REQUEST.write) !== 0 ? FAULT.write : FAULT.read;
}

/** Whether a page lies in 0xFEE00000 … 0xFEEFFFFF. @param vpnHi upper part of its number, bits above 18 */
export function isInterruptPage(vpnHi: number, vpnLo: number): boolean {
  return vpnHi === 3 && vpnLo >>> 8 === 0x3ee;
}

/**
 * What is decided before any table is read.
 * @param kind see {@link REQUEST}
 * @returns STEP.more: it is to be translated; STEP.done: it passes as it is; STEP.fault: refused, for `walk.fault`
 */
export function admit(core: VtdCore, walk: Walk, kind: number): number {
  const { mode } = core;
  if (mode === MODE.off && !core.remapsInterrupts) return STEP.done;
  if (walk.pasid < 0 && isInterruptPage(walk.vpnHi, walk.vpnLo)) {
    // 3.15: interrupts and zero-length reads are not remapped; what else goes there is blocked and reported. No context
    // entry is looked at, so no FPD either. Table 30 has no row for it: LGN.4 is the one about that range.
    if (kind === REQUEST.write || kind === REQUEST.zeroLengthRead) return STEP.done;
    // A unit that knows interrupts has a reason of its own for it (table 15).
    if (core.interrupts !== null) walk.fault = INTERRUPT_FAULT.notAnInterrupt;
    else walk.fault = mode === MODE.scalable ? SM_FAULT.interruptRange : FAULT.interruptRange;
    return STEP.fault;
  }
  if (mode === MODE.off) return STEP.done;
  walk.fault = refusedByMode(core, walk);
  return walk.fault === 0 ? STEP.more : STEP.fault;
}

/** Reason for which the table mode refuses a request (RTA.1 – 5); 0 where it does not. */
export function refusedByMode(core: VtdCore, walk: Walk): number {
  const { mode } = core;
  if (mode === MODE.invalid) return FAULT.tableMode;
  if (mode === MODE.abort) return SM_FAULT.abortMode;
  if (walk.pasid < 0) return 0;
  if (mode === MODE.legacy) return SM_FAULT.pasidInLegacyMode;
  return walk.execute && core.has.ver.MAX >= 8 ? SM_FAULT.execute : 0;
}
