/** SMMUv3's structures, commands, events, page requests and registers by name. */
import * as CAPABILITY from '../../iommu/smmuv3/capability-registers.ts';
import * as CMDQV from '../../iommu/smmuv3/cmdqv-registers.ts';
import { commandAt } from '../../iommu/smmuv3/commands.ts';
import { CD, L1CD } from '../../iommu/smmuv3/context-structures.ts';
import { eventRecordAt } from '../../iommu/smmuv3/events.ts';
import { PRIQ_ENTRY } from '../../iommu/smmuv3/page-request-structures.ts';
import * as QUEUES from '../../iommu/smmuv3/queue-registers.ts';
import * as REGISTERS from '../../iommu/smmuv3/registers.ts';
import { L1STD, STE } from '../../iommu/smmuv3/structures.ts';
import type { Granule } from '../../iommu/smmuv3/translation-structures.ts';
import { descriptorAt, STAGE1, STAGE2 } from '../../iommu/smmuv3/translation-structures.ts';
import type { StructureKind } from '../structure-kinds.ts';
import { kindOf, registerKinds } from '../structure-kinds.ts';

export const SMMU_EVENT: StructureKind = {
  id: 'smmuv3.event',
  layout: (halves) => eventRecordAt(halves),
  words: [4],
  wordBits: 64,
  example: ['0x0000010000000010', '0x0000020000000000', '0x000000090000f040', '0x0'],
};

export const SMMU_COMMAND: StructureKind = {
  id: 'smmuv3.cmd',
  layout: (halves) => commandAt(halves),
  words: [2],
  wordBits: 64,
  example: ['0x0000000000000046', '0x0'],
};

const eight = (...words: string[]) => [...words, ...Array<string>(8 - words.length).fill('0x0')];

export const GRANULES: readonly Granule[] = [4, 16, 64];

/** Levels that a granule has; with 64 KiB there is no level 0. */
const levelsOf = (granule: Granule) => (granule === 64 ? [1, 2, 3] : [0, 1, 2, 3]);

/** Tables, blocks and pages: `smmuv3.s1-4k-l3` and the like. Bits 1:0 tell which. */
const DESCRIPTORS = GRANULES.flatMap((granule) =>
  ([1, 2] as const).flatMap((stage) =>
    levelsOf(granule).map((level): StructureKind => {
      const of = (stage === 1 ? STAGE1 : STAGE2)[granule];
      const page = stage === 1 ? '0x0000000103f00703' : '0x0000000103f007ff';
      return {
        id: `smmuv3.s${stage}-${granule}k-l${level}`,
        layout: (halves) => descriptorAt(of, level, halves[0] as number),
        words: [1],
        wordBits: 64,
        example: [level === 3 ? page : '0x0000000103f00003'],
      };
    }),
  ),
);

export const SMMU_KINDS: readonly StructureKind[] = [
  kindOf('smmuv3.l1std', L1STD, '0x0000000103f0c009'),
  kindOf('smmuv3.ste', STE, ...eight('0x000000010338004b', '0x00000000480000e8')),
  kindOf('smmuv3.l1cd', L1CD, '0x0000000103f0c001'),
  kindOf('smmuv3.cd', CD, ...eight('0x00010005c0b03510', '0x0000000103f0c000', '0x0', '0x0000000000ff4404')),
  ...DESCRIPTORS,
  SMMU_COMMAND,
  SMMU_EVENT,
  kindOf('smmuv3.pri', PRIQ_ENTRY, '0xf000000500000100', '0x00007f0000001003'),
  ...registerKinds('smmuv3', { ...CAPABILITY, ...REGISTERS, ...QUEUES, ...CMDQV }),
];
