/** Which bits of an STE and of a CD hardware looks at, by what they say: the others are ignored (`arm_smmu_get_ste_used`, `arm_smmu_get_cd_used`). */
import type { Field } from '../../bits/index.ts';
import { decode, join, maskOf } from '../../bits/index.ts';
import { CD } from '../../iommu/smmuv3/context-structures.ts';
import { STE, STE_CONFIG } from '../../iommu/smmuv3/structures.ts';
import type { Entry } from './entry-writer.ts';
import { ENTRY_WORDS } from './entry-writer.ts';

function bitsOf(fields: readonly Field[]): bigint[] {
  const halves = new Int32Array(2 * ENTRY_WORDS);
  for (const field of fields) for (const [i, mask] of maskOf(field, halves.length).entries()) halves[i] |= mask;
  return Array.from({ length: ENTRY_WORDS }, (_, i) => join(halves[2 * i], halves[2 * i + 1]));
}

const STAGE_1 = [
  ...[STE.S1Fmt, STE.S1ContextPtr, STE.S1CDMax, STE.S1DSS, STE.S1CIR, STE.S1COR, STE.S1CSH],
  ...[STE.S1STALLD, STE.STRW, STE.EATS, STE.S2VMID],
];

const STAGE_2 = [
  ...[STE.EATS, STE.SHCFG, STE.S2VMID, STE.S2T0SZ, STE.S2SL0, STE.S2IR0, STE.S2OR0, STE.S2SH0, STE.S2TG, STE.S2PS],
  ...[STE.S2AA64, STE.S2ENDI, STE.S2PTW, STE.S2S, STE.S2R, STE.S2TTB],
];

/** STE.S1DSS of streams whose transactions without SubstreamID bypass stage 1. */
const BYPASS = 1;

/** See the file. The STE's own words, of 64 bits. */
export function usedOfSte(entry: Entry): Entry {
  const { Config, S1DSS, V } = decode(STE, ...entry);
  if (V === 0) return bitsOf([STE.V]);
  const stage1 = Config === STE_CONFIG.s1 || Config === STE_CONFIG.s1s2;
  const stage2 = Config === STE_CONFIG.s2 || Config === STE_CONFIG.s1s2;
  const bypasses = Config === STE_CONFIG.bypass || (stage1 && S1DSS === BYPASS);
  return bitsOf([
    ...[STE.V, STE.Config],
    ...(stage1 ? STAGE_1 : []),
    ...(stage2 ? STAGE_2 : []),
    ...(bypasses ? [STE.SHCFG] : []),
  ]);
}

const EVERY_BIT = Array.from({ length: ENTRY_WORDS }, () => 0xffff_ffff_ffff_ffffn);

/** Ignored with EPD0. */
const LOWER = bitsOf([CD.T0SZ, CD.TG0, CD.IR0, CD.OR0, CD.SH0, CD.TTB0]);

/** See the file. */
export function usedOfCd(entry: Entry): Entry {
  const { EPD0, V } = decode(CD, ...entry);
  if (V === 0) return bitsOf([CD.V]);
  return EPD0 === 1 ? EVERY_BIT.map((word, i) => word & ~LOWER[i]) : EVERY_BIT;
}
