/** What a context descriptor says, as the driver makes it (`arm_smmu_make_s1_cd`). */
import { encode } from '../../bits/index.ts';
import { CD } from '../../iommu/smmuv3/context-structures.ts';
import type { Entry } from './entry-writer.ts';

const WRITE_BACK = 1;
const INNER = 3;
const OAS_48 = 5;
/** Addresses of 39 bits: the walk begins at level 1. */
const FROM_39 = { T0SZ: 64 - 39, TG0: 0 };

/** Non-cacheable, Write-Back, Device-nGnRE, inner Non-cacheable with outer Write-Back: indices 0 to 3. */
const MAIR0 = 0xf404ff44;

export interface ContextOptions {
  readonly asid: number;
  /** Byte address of the table that a walk begins at. */
  readonly ttb0: bigint;
  /** Size of addresses, and granule; 39 bits and 4 KiB if absent. */
  readonly geometry?: { readonly T0SZ: number; readonly TG0: number };
  /** Faults stall the transaction. */
  readonly stalls?: boolean;
}

/** TTB0 alone translates; what faults is recorded, and aborts where it does not stall. */
export function stage1Cd({ asid, ttb0, geometry = FROM_39, stalls = false }: ContextOptions): Entry {
  const walks = { IR0: WRITE_BACK, OR0: WRITE_BACK, SH0: INNER };
  return encode(CD, {
    ...{ V: 1, AA64: 1, EPD1: 1, ...geometry, IPS: OAS_48, ...walks },
    ...{ S: stalls ? 1 : 0, R: 1, A: 1 },
    ...{ ASET: 1, ASID: asid, TTB0: ttb0, MAIR0 },
  });
}
