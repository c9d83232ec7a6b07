/** The TLB invalidations that Linux sends for a range (__arm_smmu_tlb_inv_range). */
import { encodeHalves, toHalves } from '../../bits/index.ts';
import { CMD_SYNC, CMD_TLBI_NH_VA, CMD_TLBI_S2_IPA } from '../../iommu/smmuv3/commands.ts';
import type { Unmapped } from './smmu-hardware.ts';
import { COMMAND_HALVES } from './supported-bits.ts';

/** Whose translations: of stage 1 by ASID, or of stage 2. */
export type RangeScope =
  | { readonly vmid: number; readonly asid: number }
  | { readonly vmid: number; readonly asid: null };

/** Most granules, in units of 2^SCALE, that one command has (SMMUv3 4.4.1.1). */
const MOST = 31;
const GRANULE_BITS = 12;
const STRIDE = 9;
const LEVEL_OF_PAGES = 3;

/**
 * Commands for all that leaves of one size describe in a range: as few as ranges permit, else one for each leaf.
 * @param leaf bytes of each: 4 KiB, 2 MiB or 1 GiB. A level is said to the SMMU, and must be right: it may look for no other leaves (4.4.1)
 * @param isRanged IDR3.RIL
 * @returns command words, {@link COMMAND_HALVES} each, without a CMD_SYNC
 */
export function rangeCommands(scope: RangeScope, { iova, leaf, length }: Unmapped, isRanged: boolean): Int32Array {
  const out: number[] = [];
  const add = (address: bigint, range: object) => {
    const where = { VMID: scope.vmid, Leaf: 1, ...range, Address: address };
    const halves =
      scope.asid === null
        ? encodeHalves(CMD_TLBI_S2_IPA, where)
        : encodeHalves(CMD_TLBI_NH_VA, { ...where, ASID: scope.asid });
    out.push(...halves);
  };
  if (!isRanged) {
    for (let done = 0n; done < length; done += leaf) add(iova + done, {});
    return Int32Array.from(out);
  }
  const TTL = LEVEL_OF_PAGES - (leaf.toString(2).length - 1 - GRANULE_BITS) / STRIDE;
  let pages = Number(length >> BigInt(GRANULE_BITS));
  for (let address = iova; pages > 0; ) {
    const scale = Math.log2(pages & -pages);
    const granules = (pages / 2 ** scale) & MOST;
    add(address, { TG: 1, TTL, SCALE: scale, NUM: granules - 1 });
    address += BigInt(granules) << BigInt(scale + GRANULE_BITS);
    pages -= granules * 2 ** scale;
  }
  return Int32Array.from(out);
}

/** How many commands they are. */
export const countOf = (commands: Int32Array): number => commands.length / COMMAND_HALVES;

/** A CMD_SYNC that signals nothing. */
export const SYNC = toHalves([BigInt(CMD_SYNC.OPCODE.fixed as number), 0n]);
