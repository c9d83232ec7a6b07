/** The first two double-words of a guest's STE, and what becomes of them in the physical one (arm-smmu-v3-iommufd.c of Linux). */
import { encodeHalves, get, put, toHalves } from '../../bits/index.ts';
import { STE, STE_CONFIG } from '../../iommu/smmuv3/structures.ts';
import type { Errno } from './errno.ts';

const EATS = { ABORT: 0, FULL: 1 } as const;

/** Fields of its STE that a guest decides over: the rest is the host's. */
export const GUEST_FIELDS = [
  ...['V', 'Config', 'S1Fmt', 'S1ContextPtr', 'S1CDMax'],
  ...['S1DSS', 'S1CIR', 'S1COR', 'S1CSH', 'S1STALLD', 'EATS'],
] as const satisfies readonly (keyof typeof STE.fields)[];

/** Halves of the two double-words. */
const GUEST_HALVES = 4;

const GUEST_BITS = new Int32Array(GUEST_HALVES);
for (const name of GUEST_FIELDS) {
  const { hi, lo } = STE.fields[name];
  // Linux knows the pointer up to bit 51.
  for (let n = lo; n <= (name === 'S1ContextPtr' ? 51 : hi); n++) GUEST_BITS[n >> 5] |= 1 << (n & 31);
}

/** What a guest's STE says. */
export interface GuestSte {
  /** Without EATS, which the host sets. All zero where V was 0. */
  readonly halves: Int32Array;
  readonly config: number;
  /** Aborts or bypasses stage 1: the guest has no tables that could be cached. */
  readonly isUntranslated: boolean;
  readonly enablesAts: boolean;
}

const ABORTING: GuestSte = {
  ...{ halves: new Int32Array(GUEST_HALVES), config: STE_CONFIG.abort, isUntranslated: true, enablesAts: false },
};

/** @returns EIO for anything that a guest may not ask for */
export function validateGuestSte(ste0: bigint, ste1: bigint): GuestSte | Errno {
  const halves = toHalves([ste0, ste1]);
  if (get(STE.V, halves) === 0) return ABORTING;
  for (let i = 0; i < GUEST_HALVES; i++) if ((halves[i] & ~GUEST_BITS[i]) !== 0) return 'EIO';
  const config = get(STE.Config, halves);
  if (config !== STE_CONFIG.abort && config !== STE_CONFIG.bypass && config !== STE_CONFIG.s1) return 'EIO';
  const eats = get(STE.EATS, halves);
  if (eats !== EATS.ABORT && eats !== EATS.FULL) return 'EIO';
  put(STE.EATS, halves, 0);
  const isUntranslated = config !== STE_CONFIG.s1;
  return { halves, config, isUntranslated, enablesAts: !isUntranslated && eats === EATS.FULL };
}

/** Where stage 2 begins, as the physical STE has it. */
export interface Stage2Root {
  readonly S2TTB: bigint;
  readonly S2T0SZ: number;
  readonly S2SL0: number;
  readonly S2TG: number;
  readonly S2PS: number;
  /** Stage 2 forces write-back. */
  readonly S2FWB: number;
}

/** The physical STE of a device whose transactions stage 2 alone translates (arm_smmu_make_s2_domain_ste). */
export function stage2Ste(root: Stage2Root, vmid: number, hasAts: boolean): Int32Array {
  return encodeHalves(STE, {
    ...{ V: 1, Config: STE_CONFIG.s2, SHCFG: 1, EATS: hasAts ? EATS.FULL : EATS.ABORT },
    // Inner-shareable write-back walks; faults of stage 2 are recorded; stage-1 tables in Device memory are refused.
    ...{ S2VMID: vmid, S2IR0: 1, S2OR0: 1, S2SH0: 3, S2AA64: 1, S2PTW: 1, S2R: 1 },
    ...root,
  });
}

/** All transactions abort, and no event says so (SMMUv3 5.2, Config 0b000). */
export function abortSte(): Int32Array {
  return encodeHalves(STE, { V: 1, Config: STE_CONFIG.abort });
}

/** The physical STE of a device that has a guest's: stage 2 is always the host's. */
export function nestedSte(guest: GuestSte, root: Stage2Root, vmid: number, hasAts: boolean): Int32Array {
  if (guest.config === STE_CONFIG.abort) return abortSte();
  const halves = stage2Ste(root, vmid, hasAts);
  if (guest.config === STE_CONFIG.bypass) return halves;
  for (let i = 0; i < GUEST_HALVES; i++) {
    // The first double-word is the guest's alone, the second has the host's fields beside its.
    halves[i] = i < 2 ? guest.halves[i] : halves[i] | guest.halves[i];
  }
  put(STE.Config, halves, STE_CONFIG.s1s2);
  // So that a guest cannot flood the host's event queue.
  put(STE.MEV, halves, 1);
  return halves;
}
