/**
 * A guest's invalidation commands as the kernel passes them on to the physical SMMU (arm_vsmmu_convert_user_cmd of Linux). Command words are
 * 32-bit halves, four a command; nothing is allocated, so that an explored state may convert.
 */
import { get, put } from '../../bits/index.ts';
import {
  CMD_ATC_INV,
  CMD_CFGI_CD,
  CMD_CFGI_CD_ALL,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
} from '../../iommu/smmuv3/commands.ts';
import type { Kernel } from './kernels.ts';
import type { CommandFeatures, CommandMasks } from './supported-bits.ts';
import { COMMAND_HALVES, isSupported } from './supported-bits.ts';

/** A vIOMMU, as conversion sees it. */
export interface VsmmuIds {
  /** Of the stage 2, on the SMMU that the commands go to. */
  readonly vmid: number;
  readonly features: CommandFeatures;
  readonly masks: CommandMasks;
  /** StreamID of the device that has a vStreamID, as a vDEVICE says; −1 where none has. */
  sidOf(vsid: number): number;
}

/** What is put into a command, by its opcode; commands without a row are refused. */
export type Conversion = 'one VMID' | 'VMID' | 'StreamID';

const ROWS = [
  [CMD_TLBI_NSNH_ALL, 'one VMID'],
  [CMD_TLBI_NH_ALL, 'VMID'],
  [CMD_TLBI_NH_ASID, 'VMID'],
  [CMD_TLBI_NH_VA, 'VMID'],
  [CMD_TLBI_NH_VAA, 'VMID'],
  [CMD_ATC_INV, 'StreamID'],
  [CMD_CFGI_CD, 'StreamID'],
  [CMD_CFGI_CD_ALL, 'StreamID'],
] as const;

/** By opcode. */
export const CONVERSIONS: readonly (Conversion | undefined)[] = Array.from(
  { length: 256 },
  (_, opcode) => ROWS.find(([of]) => of.OPCODE.fixed === opcode)?.[1],
);

const { OPCODE, VMID } = CMD_TLBI_NH_ALL;
const SID = CMD_CFGI_CD.StreamID;

/**
 * Converts the command at `at` in place: whatever VMID or vStreamID the guest wrote, the host's stands there afterwards.
 * @returns false where the kernel says −EIO; the words are then as they were
 */
export function convertCommand(words: Int32Array, at: number, vsmmu: VsmmuIds, kernel: Kernel): boolean {
  const conversion = CONVERSIONS[get(OPCODE, words, at)];
  if (conversion === undefined) return false;
  if (kernel.rejectsUnsupportedBits && !isSupported(words, at, vsmmu.features, vsmmu.masks)) return false;
  if (conversion === 'StreamID') {
    const sid = vsmmu.sidOf(get(SID, words, at));
    if (sid < 0) return false;
    put(SID, words, sid, at);
    return true;
  }
  // What a guest calls everything is one VMID: its own.
  if (conversion === 'one VMID') {
    for (let i = 0; i < COMMAND_HALVES; i++) words[at + i] = 0;
    put(OPCODE, words, CMD_TLBI_NH_ALL.OPCODE.fixed as number, at);
  }
  put(VMID, words, vsmmu.vmid, at);
  return true;
}
