/** What STEs say, as the driver makes them (`arm_smmu_make_abort_ste`, `…_bypass_ste`, `…_cdtable_ste`, `…_s2_domain_ste`). */
import { encode } from '../../bits/index.ts';
import { STE, STE_CONFIG } from '../../iommu/smmuv3/structures.ts';
import type { Entry } from './entry-writer.ts';

/** SHCFG: shareability of a transaction is kept. */
const INCOMING = 1;
/** Of the SMMU's own fetches: Write-Back, Inner Shareable. */
const WRITE_BACK = 1;
const INNER = 3;
/** S1DSS: transactions without SubstreamID use CD 0. */
const CD_OF_SUBSTREAM_0 = 2;
/** Bits of addresses that stage 2 takes, and OAS of 48 bits. */
const BITS_39 = 64 - 39;
const OAS_48 = 5;
/** S2SL0 with the granule of 4 KiB: the walk begins at level 1. */
const FROM_LEVEL_1 = 1;

/** What a device may do beside plain transactions. */
export interface StreamFeatures {
  /** Its translation requests are answered (EATS). */
  readonly ats?: boolean;
  /** Its faults at stage 1 stall where the CD says so; otherwise S1STALLD is set. */
  readonly stalls?: boolean;
}

export interface Stage1 {
  /** Byte address of the context descriptors. */
  readonly cdTable: bigint;
  /** log2 of their number; 0 if absent. */
  readonly s1cdmax?: number;
}

export interface Stage2 {
  readonly vmid: number;
  /** Byte address of the table that a walk begins at. */
  readonly s2ttb: bigint;
  /** What a walk begins with; {@link STAGE_2_39} if absent. */
  readonly geometry?: Stage2Geometry;
}

export interface Stage2Geometry {
  readonly S2T0SZ: number;
  readonly S2SL0: number;
  readonly S2TG: number;
}

/** Addresses of 39 bits with the granule of 4 KiB, from level 1 on. */
export const STAGE_2_39: Stage2Geometry = { S2T0SZ: BITS_39, S2SL0: FROM_LEVEL_1, S2TG: 0 };

/** No transaction gets through, and none is told of. */
export const ABORT_STE: Entry = encode(STE, { V: 1, Config: STE_CONFIG.abort });

export const BYPASS_STE: Entry = encode(STE, { V: 1, Config: STE_CONFIG.bypass, SHCFG: INCOMING });

function stage1({ cdTable, s1cdmax = 0 }: Stage1, { stalls = false }: StreamFeatures) {
  const fetches = { S1CIR: WRITE_BACK, S1COR: WRITE_BACK, S1CSH: INNER };
  return {
    S1ContextPtr: cdTable,
    S1CDMax: s1cdmax,
    S1DSS: CD_OF_SUBSTREAM_0,
    S1STALLD: stalls ? 0 : 1,
    ...fetches,
  };
}

function stage2({ vmid, s2ttb, geometry = STAGE_2_39 }: Stage2) {
  const walks = { S2IR0: WRITE_BACK, S2OR0: WRITE_BACK, S2SH0: INNER };
  const size = { ...geometry, S2PS: OAS_48, S2AA64: 1 };
  return { S2VMID: vmid, S2TTB: s2ttb, S2PTW: 1, S2R: 1, SHCFG: INCOMING, ...walks, ...size };
}

export function stage1Ste(of: Stage1, has: StreamFeatures = {}): Entry {
  return encode(STE, { V: 1, Config: STE_CONFIG.s1, EATS: has.ats === true ? 1 : 0, ...stage1(of, has) });
}

export function stage2Ste(of: Stage2, has: StreamFeatures = {}): Entry {
  return encode(STE, { V: 1, Config: STE_CONFIG.s2, EATS: has.ats === true ? 1 : 0, ...stage2(of) });
}

/** Nested: the guest's stage 1 over the host's stage 2 (`arm_smmu_make_nested_cd_table_ste`). */
export function nestedSte(first: Stage1, second: Stage2, has: StreamFeatures = {}): Entry {
  const both = { ...stage1(first, has), ...stage2(second) };
  return encode(STE, { V: 1, Config: STE_CONFIG.s1s2, EATS: has.ats === true ? 1 : 0, ...both });
}
