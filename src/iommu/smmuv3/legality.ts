/** Which STEs and CDs are ILLEGAL (IHI 0070, 5.2.2, 5.4.2), of Non-secure streams. The checks are in the order of the pseudocode there. */
import { get, getAddress } from '../../bits/index.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { CD } from './context-structures.ts';
import { GRANULE_OF_TG0, GRANULE_OF_TG1, LAST_LEVEL, outputBits, stage2FirstLevel, strideOf } from './geometry.ts';
import { STE, STE_CONFIG } from './structures.ts';

/** IDR0.STALL_MODEL. */
const STALL_MODEL = { both: 0, terminateOnly: 1, stallOnly: 2 } as const;
/** IDR0.TTENDIAN. */
const LITTLE_ONLY = 2;
const BIG_ONLY = 3;
const EATS = { full: 1, split: 2 } as const;
/** STE.STRW, a value that Non-secure STEs have not. */
const STRW_RESERVED = 1;

/** Tables start below 2^48 where their granule is less than 64 KiB (5.2 S2TTB, 5.4 TTB0); CD.DS and STE.S2DS are not modelled. */
const NARROW_BITS = 48;

/** An address of 48 bits cannot be in a table of this or a smaller granule. */
function tableBits(granule: number, output: number): number {
  return granule < 16 ? Math.min(output, NARROW_BITS) : output;
}

const isBeyond = (address: bigint, bits: number): boolean => address >> BigInt(bits) !== 0n;

export function isGranuleSupported({ idr5 }: SmmuCapabilities, granule: number): boolean {
  if (granule === 12) return idr5.GRAN4K === 1;
  if (granule === 14) return idr5.GRAN16K === 1;
  return granule === 16 && idr5.GRAN64K === 1;
}

function isEndianSupported({ idr0 }: SmmuCapabilities, endi: number): boolean {
  return !(idr0.TTENDIAN === LITTLE_ONLY && endi === 1) && !(idr0.TTENDIAN === BIG_ONLY && endi === 0);
}

/** The largest TxSZ or S2T0SZ (5.2, 5.4): 39 without small tables. */
function greatestSize({ idr3 }: SmmuCapabilities, granule: number): number {
  if (idr3.STT === 0) return 39;
  return granule === 16 ? 47 : 48;
}

/** STRW where it counts; EL1 where not: stage 2 is of NS-EL1, and without Hyp there is nothing else (5.2 STRW). */
export function strwOf(has: SmmuCapabilities, config: number, halves: Int32Array): number {
  return has.idr0.S1P === 1 && has.idr0.Hyp === 1 && config === STE_CONFIG.s1 ? get(STE.STRW, halves) : 0;
}

/** What of an STE the meaning of a CD depends on (5.4.1). */
export interface CdContext {
  /** StreamWorld has unprivileged accesses, ASIDs and a second table: EL1 or EL2-E2H, not EL2. */
  readonly both: boolean;
  readonly stallDisabled: boolean;
}

/** @param halves of an STE as it is in memory */
export function isSteIllegal(has: SmmuCapabilities, halves: Int32Array): boolean {
  const { idr0 } = has;
  if (get(STE.V, halves) === 0) return true;
  const config = get(STE.Config, halves);
  if ((config & 4) === 0) return false;
  if ((config & 1) !== 0 && idr0.S1P === 0) return true;
  if ((config & 2) !== 0 && idr0.S2P === 0) return true;
  if (idr0.ATS === 1 && config !== STE_CONFIG.bypass) {
    const eats = get(STE.EATS, halves);
    const stalls = get(STE.S2S, halves) === 1;
    if (eats === EATS.split && (config !== STE_CONFIG.s1s2 || stalls || idr0.NS1ATS === 1)) return true;
    if (eats === EATS.full && stalls && (config & 2) !== 0) return true;
  }
  if ((strwOf(has, config, halves) & STRW_RESERVED) !== 0) return true;
  if ((config & 1) !== 0 && isStage1Illegal(has, halves)) return true;
  if ((config & 2) !== 0 && isStage2Illegal(has, halves)) return true;
  // S2VMID counts with EL1's translations only.
  const tagged = idr0.S2P === 1 && config !== STE_CONFIG.bypass && strwOf(has, config, halves) === 0;
  return tagged && idr0.VMID16 === 0 && get(STE.S2VMID, halves) > 0xff;
}

function isStage1Illegal(has: SmmuCapabilities, halves: Int32Array): boolean {
  const { idr0, idr1 } = has;
  if (get(STE.S1STALLD, halves) === 1 && idr0.STALL_MODEL !== STALL_MODEL.both) return true;
  const substreams = get(STE.S1CDMax, halves);
  if (idr1.SSIDSIZE > 0 && substreams > idr1.SSIDSIZE) return true;
  const fmt = get(STE.S1Fmt, halves);
  if (idr1.SSIDSIZE > 0 && substreams > 0 && idr0.CD2L === 0 && (fmt === 1 || fmt === 2)) return true;
  // An IPA or a PA; with VMSAv8-64 alone both have as many bits (3.4).
  return isBeyond(getAddress(STE.S1ContextPtr, halves), has.oas);
}

function isStage2Illegal(has: SmmuCapabilities, halves: Int32Array): boolean {
  const { idr0 } = has;
  const stalls = get(STE.S2S, halves) === 1;
  if (stalls && idr0.STALL_MODEL === STALL_MODEL.terminateOnly) return true;
  if (!stalls && idr0.STALL_MODEL === STALL_MODEL.stallOnly) return true;
  // VMSAv8-32 LPAE (IDR0.TTF[0]) and VMSAv9-128 are not there.
  if (get(STE.S2AA64, halves) === 0) return true;
  const [ha, hd] = [get(STE.S2HA, halves), get(STE.S2HD, halves)];
  if ((ha === 1 || hd === 1) && idr0.HTTU === 0) return true;
  if (hd === 1 && idr0.HTTU === 1) return true;
  const granule = GRANULE_OF_TG0[get(STE.S2TG, halves)];
  if (!isGranuleSupported(has, granule)) return true;
  const output = outputBits(has, get(STE.S2PS, halves));
  if (isBeyond(getAddress(STE.S2TTB, halves), tableBits(granule, output))) return true;
  const size = get(STE.S2T0SZ, halves);
  // The IAS is the OAS, which has 48 bits at most in SMMUv3.0.
  const least = Math.max(granule === 16 ? 12 : 16, 64 - has.oas);
  if (size < least || size > greatestSize(has, granule)) return true;
  if (isWalkInconsistent(has, 64 - size, get(STE.S2SL0, halves), granule)) return true;
  return !isEndianSupported(has, get(STE.S2ENDI, halves));
}

/**
 * Whether a stage 2 that begins at STE.S2SL0 does not fit its input addresses: DDI 0487, AArch64.S2InvalidSL and AArch64.S2InconsistentSL. Up to 16
 * tables are concatenated.
 */
function isWalkInconsistent(has: SmmuCapabilities, input: number, sl0: number, granule: number): boolean {
  const level = stage2FirstLevel(sl0, granule);
  if (level < 0) return true;
  // Levels that wider output addresses alone need.
  if (granule === 12 && sl0 === 2 && has.oas < 44) return true;
  if (granule === 12 && sl0 === 3 && has.idr3.STT === 0) return true;
  if (granule === 14 && sl0 === 2 && has.oas < 42) return true;
  if (granule === 16 && sl0 === 2 && has.oas < 44) return true;
  const least = (LAST_LEVEL - level) * strideOf(granule) + granule + 1;
  const most = least + strideOf(granule) - 1 + 4;
  return input < least || input > most;
}

/** @param halves of a CD as it is in memory. @param under the STE that it was found through */
export function isCdIllegal(has: SmmuCapabilities, halves: Int32Array, under: CdContext): boolean {
  const { idr0 } = has;
  if (get(CD.V, halves) === 0) return true;
  const stalls = get(CD.S, halves) === 1;
  if (under.stallDisabled && stalls) return true;
  if (idr0.TERM_MODEL === 1 && get(CD.A, halves) === 0) return true;
  if (idr0.STALL_MODEL === STALL_MODEL.terminateOnly && stalls) return true;
  if (idr0.STALL_MODEL === STALL_MODEL.stallOnly && !stalls) return true;
  const lower = !under.both || get(CD.EPD0, halves) === 0;
  const upper = under.both && get(CD.EPD1, halves) === 0;
  if ((lower || upper) && !isEndianSupported(has, get(CD.ENDI, halves))) return true;
  // VMSAv8-32 LPAE (IDR0.TTF[0]) and VMSAv9-128 are not there.
  if (get(CD.AA64, halves) === 0) return true;
  const [ha, hd] = [get(CD.HA, halves), get(CD.HD, halves)];
  if ((ha === 1 || hd === 1) && idr0.HTTU === 0) return true;
  if (hd === 1 && idr0.HTTU === 1) return true;
  if (under.both && idr0.ASID16 === 0 && get(CD.ASID, halves) > 0xff) return true;
  const output = outputBits(has, get(CD.IPS, halves));
  const [granule0, granule1] = [GRANULE_OF_TG0[get(CD.TG0, halves)], GRANULE_OF_TG1[get(CD.TG1, halves)]];
  if (lower && isTableIllegal(has, get(CD.T0SZ, halves), granule0, getAddress(CD.TTB0, halves), output)) return true;
  return upper && isTableIllegal(has, get(CD.T1SZ, halves), granule1, getAddress(CD.TTB1, halves), output);
}

function isTableIllegal(has: SmmuCapabilities, size: number, granule: number, ttb: bigint, output: number): boolean {
  if (!isGranuleSupported(has, granule)) return true;
  const least = has.idr5.VAX >= 1 && granule === 16 ? 12 : 16;
  if (size < least || size > greatestSize(has, granule)) return true;
  return isBeyond(ttb, tableBits(granule, output));
}
