/**
 * What the SMMU makes of an STE and a CD: plain numbers, in a few words that caches and transactions keep (IHI 0070, 5.2, 5.4). A structure that
 * is ILLEGAL has them too: it may be cached in any state (5.2.1, 5.4.1).
 */
import { get, getAddress } from '../../bits/index.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import { CD } from './context-structures.ts';
import {
  firstLevel,
  firstTableBits,
  GRANULE_OF_TG0,
  GRANULE_OF_TG1,
  outputBits,
  stage2FirstLevel,
} from './geometry.ts';
import type { CdContext } from './legality.ts';
import { isCdIllegal, isSteIllegal, strwOf } from './legality.ts';
import { STE, STE_CONFIG } from './structures.ts';

/** Words of an STE. `tag` is not 0 in one that is there: {@link STE_TAG}. `control`, `ttb` are of stage 2. */
export const STE_WORDS = ['tag', 'sid', 'contextHi', 'contextLo', 'vmid', 'control', 'ttbHi', 'ttbLo'] as const;
/** Words of a CD: {@link CD_TAG}; for each of the two tables {@link CONTROL} and the address of its first level. */
export const CD_WORDS = [
  ...['tag', 'sid', 'ssid', 'asid'],
  ...['control0', 'ttb0Hi', 'ttb0Lo', 'control1', 'ttb1Hi', 'ttb1Lo'],
] as const;

export const STE_AT = { tag: 0, sid: 1, contextHi: 2, contextLo: 3, vmid: 4, control: 5, ttbHi: 6, ttbLo: 7 } as const;
export const CD_AT = { tag: 0, sid: 1, ssid: 2, asid: 3, table0: 4, table1: 7 } as const;
/** Within {@link CD_AT}.table0 and table1. */
export const TABLE_AT = { control: 0, hi: 1, lo: 2 } as const;

/** Where the fields of an STE's `tag` are; of more than one bit: `config` 3, `fmt` 2, `cdMax` 5, `dss`, `strw`, `eats`, `priv`, `inst` 2. */
export const STE_TAG = {
  ...{ valid: 0, config: 1, bad: 4, fmt: 5, cdMax: 7, dss: 12, strw: 14, eats: 16, mev: 18, stallDisabled: 19 },
  ...{ priv: 20, inst: 22, record: 24, stall: 25, ptw: 26, ppar: 27 },
} as const;

/** Where the bits of a CD's `tag` are. */
export const CD_TAG = {
  ...{ valid: 0, bad: 1, stall: 2, record: 3, abort: 4, wxn: 5, pan: 6, epan: 7, aset: 8 },
} as const;

/**
 * How the tables of a stage are walked: bits of input and output addresses (6 each), log2 of the granule (5), first level (2); then one bit each:
 * big-endian, no Access flag faults, HTTU of Access flag and of dirty state; of stage 1 hierarchical attributes disabled, walks disabled, no unprivileged access, top byte
 * ignored; of stage 2 its memory attributes are those of FWB.
 */
export const CONTROL = {
  ...{ input: 0, output: 6, granule: 12, level: 17, endi: 19, affd: 20, ha: 21, hd: 22 },
  ...{ had: 23, epd: 24, e0pd: 25, tbi: 26, fwb: 27 },
} as const;

function control(
  has: SmmuCapabilities,
  { input, size, granule, level }: { input: number; size: number; granule: number; level: number },
  flags: number,
): number {
  return (
    (input << CONTROL.input) |
    (outputBits(has, size) << CONTROL.output) |
    (granule << CONTROL.granule) |
    (level << CONTROL.level) |
    flags
  );
}

/** Stores a table's address, aligned as the SMMU takes it (5.2 S2TTB, 5.4 TTB0). */
function putTable(into: Int32Array, at: number, address: bigint, bits: number, output: number): void {
  // With output addresses of 52 bits a table has 64 bytes at least.
  const low = BigInt(Math.max(bits, output === 52 ? 6 : 0));
  const aligned = (address >> low) << low;
  into[at] = Number(aligned >> 32n);
  into[at + 1] = Number(BigInt.asIntN(32, aligned));
}

const bool = (value: number, at: number): number => (value === 0 ? 0 : 1 << at);

/** @param halves of an STE as it is in memory. @param into {@link STE_WORDS} of it */
export function decodeSte(has: SmmuCapabilities, sid: number, halves: Int32Array, into: Int32Array): void {
  into.fill(0);
  into[STE_AT.sid] = sid | 0;
  const bad = isSteIllegal(has, halves);
  const raw = get(STE.Config, halves);
  // 1 to 3 behave as 0.
  const config = (raw & 4) === 0 ? STE_CONFIG.abort : raw;
  let tag = (1 << STE_TAG.valid) | (config << STE_TAG.config) | bool(bad ? 1 : 0, STE_TAG.bad);
  if (!bad && config !== STE_CONFIG.abort) {
    const overrides = has.idr1.ATTR_PERMS_OVR === 1;
    const substreams = has.idr1.SSIDSIZE > 0 ? get(STE.S1CDMax, halves) : 0;
    // S1Fmt 3 behaves as 0.
    const fmt = get(STE.S1Fmt, halves) === 3 ? 0 : get(STE.S1Fmt, halves);
    tag |=
      (fmt << STE_TAG.fmt) |
      (substreams << STE_TAG.cdMax) |
      (get(STE.S1DSS, halves) << STE_TAG.dss) |
      (strwOf(has, config, halves) << STE_TAG.strw) |
      ((has.idr0.ATS === 1 ? get(STE.EATS, halves) : 0) << STE_TAG.eats) |
      bool(get(STE.MEV, halves), STE_TAG.mev) |
      bool(get(STE.S1STALLD, halves), STE_TAG.stallDisabled) |
      // With PPS answers have a PASID whatever PPAR says (5.2).
      bool(has.idr0.PRI & (has.idr3.PPS | get(STE.PPAR, halves)), STE_TAG.ppar) |
      ((overrides ? get(STE.PRIVCFG, halves) : 0) << STE_TAG.priv) |
      ((overrides ? get(STE.INSTCFG, halves) : 0) << STE_TAG.inst);
    if ((config & 1) !== 0) putTable(into, STE_AT.contextHi, getAddress(STE.S1ContextPtr, halves), 0, 0);
    into[STE_AT.vmid] = has.idr0.S2P === 1 ? get(STE.S2VMID, halves) : 0;
    if ((config & 2) !== 0) tag |= decodeStage2(has, halves, into);
  }
  into[STE_AT.tag] = tag;
}

/** @returns bits of the tag */
function decodeStage2(has: SmmuCapabilities, halves: Int32Array, into: Int32Array): number {
  const granule = GRANULE_OF_TG0[get(STE.S2TG, halves)];
  const level = stage2FirstLevel(get(STE.S2SL0, halves), granule);
  const input = 64 - get(STE.S2T0SZ, halves);
  const ha = get(STE.S2HA, halves);
  const flags =
    bool(get(STE.S2ENDI, halves), CONTROL.endi) |
    bool(get(STE.S2AFFD, halves), CONTROL.affd) |
    bool(ha, CONTROL.ha) |
    // S2HD without S2HA behaves as 0.
    bool(ha & get(STE.S2HD, halves), CONTROL.hd) |
    bool(has.idr3.FWB & get(STE.S2FWB, halves), CONTROL.fwb);
  const size = get(STE.S2PS, halves);
  into[STE_AT.control] = control(has, { input, size, granule, level }, flags);
  const bits = firstTableBits(input, granule, level);
  putTable(into, STE_AT.ttbHi, getAddress(STE.S2TTB, halves), bits, outputBits(has, size));
  return (
    bool(get(STE.S2R, halves), STE_TAG.record) |
    bool(get(STE.S2S, halves), STE_TAG.stall) |
    bool(get(STE.S2PTW, halves), STE_TAG.ptw)
  );
}

/** @param halves of a CD as it is in memory. @param into {@link CD_WORDS} of it */
export function decodeCd(
  has: SmmuCapabilities,
  sid: number,
  ssid: number,
  halves: Int32Array,
  under: CdContext,
  into: Int32Array,
): void {
  into.fill(0);
  into[CD_AT.sid] = sid | 0;
  into[CD_AT.ssid] = ssid;
  if (isCdIllegal(has, halves, under)) {
    into[CD_AT.tag] = (1 << CD_TAG.valid) | (1 << CD_TAG.bad);
    return;
  }
  into[CD_AT.asid] = under.both ? get(CD.ASID, halves) : 0;
  into[CD_AT.tag] =
    (1 << CD_TAG.valid) |
    bool(get(CD.S, halves), CD_TAG.stall) |
    bool(get(CD.R, halves), CD_TAG.record) |
    bool(get(CD.A, halves), CD_TAG.abort) |
    bool(get(CD.WXN, halves), CD_TAG.wxn) |
    bool(under.both ? get(CD.PAN, halves) : 0, CD_TAG.pan) |
    bool(under.both ? has.idr3.EPAN & get(CD.EPAN, halves) : 0, CD_TAG.epan) |
    bool(under.both ? get(CD.ASET, halves) : 0, CD_TAG.aset);
  const { T0SZ, T1SZ, TBI0, TBI1, HAD0, HAD1, EPD0, EPD1, E0PD0, E0PD1, TTB0, TTB1 } = CD;
  const granule0 = GRANULE_OF_TG0[get(CD.TG0, halves)];
  const granule1 = GRANULE_OF_TG1[get(CD.TG1, halves)];
  const low = { granule: granule0, epd: EPD0, txsz: T0SZ, tbi: TBI0, had: HAD0, e0pd: E0PD0, ttb: TTB0 };
  const high = { granule: granule1, epd: EPD1, txsz: T1SZ, tbi: TBI1, had: HAD1, e0pd: E0PD1, ttb: TTB1 };
  decodeTable(has, halves, under.both, low, into, CD_AT.table0);
  if (under.both) decodeTable(has, halves, true, high, into, CD_AT.table1);
}

/** The fields of one of the two tables. */
interface TableFields {
  readonly granule: number;
  readonly epd: typeof CD.EPD0;
  readonly txsz: typeof CD.T0SZ;
  readonly tbi: typeof CD.TBI0;
  readonly had: typeof CD.HAD0;
  readonly e0pd: typeof CD.E0PD0;
  readonly ttb: typeof CD.TTB0;
}

function decodeTable(
  has: SmmuCapabilities,
  halves: Int32Array,
  both: boolean,
  of: TableFields,
  into: Int32Array,
  at: number,
): void {
  const ha = get(CD.HA, halves);
  const tbi = bool(get(of.tbi, halves), CONTROL.tbi);
  // 5.4.1: walks can be disabled only where there are two tables; then nothing else of the table counts, but how its addresses are taken.
  if (both && get(of.epd, halves) === 1) {
    into[at + TABLE_AT.control] = (1 << CONTROL.epd) | tbi;
    return;
  }
  const input = 64 - get(of.txsz, halves);
  const level = firstLevel(input, of.granule);
  const size = get(CD.IPS, halves);
  const flags =
    bool(get(CD.ENDI, halves), CONTROL.endi) |
    bool(get(CD.AFFD, halves), CONTROL.affd) |
    bool(ha, CONTROL.ha) |
    // HD without HA behaves as 0.
    bool(ha & get(CD.HD, halves), CONTROL.hd) |
    bool(has.idr3.HAD & get(of.had, halves), CONTROL.had) |
    bool(both ? has.idr3.E0PD & get(of.e0pd, halves) : 0, CONTROL.e0pd) |
    tbi;
  into[at + TABLE_AT.control] = control(has, { input, size, granule: of.granule, level }, flags);
  const bits = firstTableBits(input, of.granule, level);
  putTable(into, at + TABLE_AT.hi, getAddress(of.ttb, halves), bits, outputBits(has, size));
}
