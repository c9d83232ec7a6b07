/** Which commands are illegal on the Non-secure command queue (IHI 0070, 4.1.3, 4.1.5, chapter 4): CERROR_ILL. */
import type { Fields, Layout } from '../../bits/index.ts';
import { get, reservedSet } from '../../bits/index.ts';
import type { SmmuCapabilities } from './capabilities.ts';
import * as commands from './commands.ts';
import { commandAt } from './commands.ts';
import { RESP } from './page-responses.ts';
import type { CommandChecks } from './profiles.ts';

type Has = SmmuCapabilities;
type Check = (halves: Int32Array, has: Has) => string | null;

const NEVER: Check = () => 'it is no command of this queue';
const NEEDS_STAGE_1: Check = (_, { idr0 }) => (idr0.S1P === 1 ? null : 'there is no stage 1');
const NEEDS_STAGE_2: Check = (_, { idr0 }) => (idr0.S2P === 1 ? null : 'there is no stage 2');
const NEEDS_HYP: Check = (_, { idr0 }) => (idr0.S1P === 1 && idr0.Hyp === 1 ? null : 'there is no EL2 (IDR0.Hyp)');
const NEEDS_STALLS: Check = (_, { stalls }) => (stalls ? null : 'nothing stalls (IDR0.STALL_MODEL)');

/** Commands whose legality depends on what there is, by opcode; the others are always there. */
const PRESENT: Readonly<Record<number, Check>> = byOpcode([
  [[commands.CMD_CFGI_CD, commands.CMD_CFGI_CD_ALL], NEEDS_STAGE_1],
  // No MPAM, no VMS (4.3.5).
  [[commands.CMD_CFGI_VMS_PIDM], NEVER],
  [
    [commands.CMD_TLBI_NH_ALL, commands.CMD_TLBI_NH_ASID, commands.CMD_TLBI_NH_VA, commands.CMD_TLBI_NH_VAA],
    NEEDS_STAGE_1,
  ],
  [
    [commands.CMD_TLBI_EL2_ALL, commands.CMD_TLBI_EL2_ASID, commands.CMD_TLBI_EL2_VA, commands.CMD_TLBI_EL2_VAA],
    NEEDS_HYP,
  ],
  [[commands.CMD_TLBI_S2_IPA, commands.CMD_TLBI_S12_VMALL], NEEDS_STAGE_2],
  // Of the Secure queue only (4.4.2.5, 4.4.2.11, 4.4.3.3, 4.4.4.2).
  [[commands.CMD_TLBI_EL3_ALL, commands.CMD_TLBI_EL3_VA, commands.CMD_TLBI_SNH_ALL], NEVER],
  [
    [
      ...[commands.CMD_TLBI_S_EL2_ALL, commands.CMD_TLBI_S_EL2_ASID, commands.CMD_TLBI_S_EL2_VA],
      ...[commands.CMD_TLBI_S_EL2_VAA, commands.CMD_TLBI_S_S12_VMALL, commands.CMD_TLBI_S_S2_IPA],
    ],
    NEVER,
  ],
  [[commands.CMD_ATC_INV], (_, { idr0 }) => (idr0.ATS === 1 ? null : 'there is no ATS')],
  [[commands.CMD_PRI_RESP], (_, { idr0 }) => (idr0.PRI === 1 ? null : 'there is no PRI')],
  [[commands.CMD_RESUME, commands.CMD_STALL_TERM], NEEDS_STALLS],
]);

function byOpcode(
  list: readonly (readonly [layouts: readonly { OPCODE: { fixed: number | null } }[], check: Check])[],
) {
  const checks: Record<number, Check> = {};
  for (const [layouts, check] of list) for (const { OPCODE } of layouts) checks[OPCODE.fixed as number] = check;
  return checks;
}

/** Bit 10 of CMD_CFGI_*, CMD_PREFETCH_*, CMD_RESUME, CMD_STALL_TERM (4.1.6). */
const { SSec } = commands.CMD_CFGI_STE;

function hasSSec(of: Layout<Fields>): boolean {
  return 'SSec' in of.fields;
}

/** TG, TTL, NUM and SCALE are at the same places in all commands by address (4.4.1.1). */
const { NUM, SCALE, TG, TTL, TTL128 } = commands.CMD_TLBI_NH_VA;

/** TTL as it counts: level 1 of the 16 KiB granule is reserved without IDR5.DS, and taken for 0. */
export function levelHint(halves: Int32Array): number {
  const ttl = get(TTL, halves);
  return get(TG, halves) === 2 && ttl === 1 ? 0 : ttl;
}

/** Of an invalidation by address: fields that are RES0 here, and the combination that is reserved (4.4.1.1). */
function wrongRange(halves: Int32Array, { idr3 }: Has): string | null {
  const [num, scale, tg, ttl] = [NUM, SCALE, TG, TTL].map((field) => get(field, halves));
  const ttl128 = get(TTL128, halves);
  if (idr3.RIL === 0 && (num | scale | tg | ttl | ttl128) !== 0) return 'a field of a range, without IDR3.RIL';
  if (tg === 0 && (num | scale | ttl | ttl128) !== 0) return 'a field of a range with TG = 0';
  if (ttl128 !== 0) return 'TTL128 without 128-bit descriptors';
  // Bit 5 is of IDR5.DS.
  if (scale > 31) return 'SCALE of more than 5 bits';
  if (tg !== 0 && num === 0 && scale === 0 && levelHint(halves) === 0) return 'TG with NUM = 0, SCALE = 0 and no TTL';
  return null;
}

/** 4.5.1: everything. */
const ATC_SIZE_MAX = 52;

/** Values that a command may not have, whatever there is. */
function wrongValue(of: Layout<Fields>, halves: Int32Array): string | null {
  if (of === commands.CMD_SYNC && get(commands.CMD_SYNC.CS, halves) === 3) return 'CS 3 is reserved';
  if (of === commands.CMD_PRI_RESP && get(commands.CMD_PRI_RESP.Resp, halves) > RESP.success)
    return 'Resp 3 is reserved';
  if (of === commands.CMD_ATC_INV && get(commands.CMD_ATC_INV.Size, halves) > ATC_SIZE_MAX)
    return `Size above ${ATC_SIZE_MAX}`;
  return null;
}

/** Stride and NS of CMD_PREFETCH_ADDR have no declared bits. */
function mayHaveMore(of: Layout<Fields>): boolean {
  return of === commands.CMD_PREFETCH_ADDR;
}

/**
 * Why a command is illegal, or null.
 * @param checks how much the implementation looks at; see {@link CommandChecks}
 */
export function illegal(halves: Int32Array, has: Has, checks: CommandChecks): string | null {
  if (checks === 'none') return null;
  const of = commandAt(halves);
  if (of === null) return 'no such opcode';
  const absent = PRESENT[halves[0] & 0xff]?.(halves, has) ?? null;
  if (absent !== null) return absent;
  if (hasSSec(of) && get(SSec, halves) === 1) return 'SSec is of the Secure queue';
  if (checks === 'unknown') return null;
  const wrong = 'TG' in of.fields ? wrongRange(halves, has) : null;
  if (wrong !== null) return wrong;
  if (!mayHaveMore(of) && reservedSet(of, halves)) return 'a reserved bit is set';
  return wrongValue(of, halves);
}
