/** Which bits of a command a kernel that looks at them passes on (arm_vsmmu_validate_user_cmd, Linux after September 2026). */
import { get } from '../../bits/index.ts';
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

/** Halves of a command. */
export const COMMAND_HALVES = 4;

/** What of a physical SMMU decides which bits of a command mean something. */
export interface CommandFeatures {
  /** IDR3.RIL: range invalidation. */
  readonly rangeInvalidation: boolean;
  /** IDR5.DS: SCALE has its bit 25; TTL = 1 with granules of 16 KiB. */
  readonly ds: boolean;
  readonly ats: boolean;
  /** IDR0.ASID16: 16, else 8. */
  readonly asidBits: number;
  /** IDR1.SSIDSIZE. */
  readonly substreamBits: number;
}

/** log2 of pages from which on CMD_ATC_INV means all (SMMUv3 4.5.1). */
const ATC_ALL = 52;

const LAYOUTS = {
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_ATC_INV,
  CMD_CFGI_CD,
  CMD_CFGI_CD_ALL,
};

interface Rule {
  readonly of: keyof typeof LAYOUTS;
  readonly fields: readonly string[];
  /** Where the SMMU has substreams. */
  readonly substream?: readonly string[];
  /** Where it has range invalidation. */
  readonly range?: readonly string[];
}

const RANGE = ['NUM', 'SCALE', 'TG', 'TTL'];
const RULES: readonly Rule[] = [
  { of: 'CMD_TLBI_NSNH_ALL', fields: [] },
  { of: 'CMD_TLBI_NH_ALL', fields: ['VMID'] },
  { of: 'CMD_TLBI_NH_ASID', fields: ['VMID', 'ASID'] },
  { of: 'CMD_TLBI_NH_VA', fields: ['VMID', 'ASID', 'Leaf', 'Address'], range: RANGE },
  { of: 'CMD_TLBI_NH_VAA', fields: ['VMID', 'Leaf', 'Address'], range: RANGE },
  { of: 'CMD_ATC_INV', fields: ['StreamID', 'Size', 'Address'], substream: ['SSV', 'SubstreamID', 'Global'] },
  { of: 'CMD_CFGI_CD', fields: ['StreamID', 'Leaf'], substream: ['SubstreamID'] },
  { of: 'CMD_CFGI_CD_ALL', fields: ['StreamID'] },
];

/** By opcode: the bits that may be set, as halves. */
export type CommandMasks = readonly (Int32Array | undefined)[];

export function commandMasks(features: CommandFeatures): CommandMasks {
  const masks: (Int32Array | undefined)[] = new Array(256).fill(undefined);
  for (const { of, fields, substream = [], range = [] } of RULES) {
    const layout = LAYOUTS[of];
    const mask = new Int32Array(COMMAND_HALVES);
    const names = [
      ...['OPCODE', ...fields],
      ...(features.substreamBits > 0 ? substream : []),
      ...(features.rangeInvalidation ? range : []),
    ];
    for (const name of names) {
      const { lo, hi } = (layout.fields as Readonly<Record<string, { lo: number; hi: number }>>)[name];
      let top = hi;
      // The upper half of an ASID is reserved where ASIDs have 8 bits, bit 5 of SCALE without DS (SMMUv3 4.4.1.1).
      if (name === 'ASID') top = lo + features.asidBits - 1;
      if (name === 'SCALE' && !features.ds) top = hi - 1;
      for (let n = lo; n <= top; n++) mask[n >> 5] |= 1 << (n & 31);
    }
    masks[layout.OPCODE.fixed as number] = mask;
  }
  return masks;
}

/** Whether the command at `at` has no bit that the kernel would not pass on. Opcodes that it does not know are not supported. */
export function isSupported(words: Int32Array, at: number, features: CommandFeatures, masks: CommandMasks): boolean {
  const opcode = get(CMD_TLBI_NH_ALL.OPCODE, words, at);
  const mask = masks[opcode];
  if (mask === undefined) return false;
  if (opcode === CMD_ATC_INV.OPCODE.fixed && !isAtcInvalidation(words, at, features)) return false;
  const hasRange = opcode === CMD_TLBI_NH_VA.OPCODE.fixed || opcode === CMD_TLBI_NH_VAA.OPCODE.fixed;
  if (hasRange && features.rangeInvalidation && !isRange(words, at, features)) return false;
  for (let i = 0; i < COMMAND_HALVES; i++) if ((words[at + i] & ~mask[i]) !== 0) return false;
  return true;
}

function isAtcInvalidation(words: Int32Array, at: number, features: CommandFeatures): boolean {
  return features.ats && get(CMD_ATC_INV.Size, words, at) <= ATC_ALL;
}

/** Combinations of NUM, SCALE, TTL and TG that SMMUv3 4.4.1.1 does not reserve. */
function isRange(words: Int32Array, at: number, features: CommandFeatures): boolean {
  const { NUM, SCALE, TG, TTL } = CMD_TLBI_NH_VA;
  const many = get(NUM, words, at) !== 0 || get(SCALE, words, at) !== 0;
  const ttl = get(TTL, words, at);
  const tg = get(TG, words, at);
  if (tg === 0) return !many && ttl === 0;
  if (tg === 2 && ttl === 1 && !features.ds) return false;
  return many || ttl !== 0;
}
