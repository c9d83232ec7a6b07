/** Shapes of the RISC-V IOMMU's tables, as data: directories by the widths of their indices, page tables by their modes. */
import type { BitsField } from '../../../bits/index.ts';
import { width } from '../../../bits/index.ts';
import { DDI, PDI } from '../../../iommu/riscv/structures.ts';
import type { Level } from '../radix.ts';

export interface Scheme {
  readonly name: string;
  /** Of the addresses that it translates. */
  readonly width: number;
  readonly levels: readonly Level[];
}

/** Privileged architecture: levels of 9 bits and entries of 8 bytes, of Sv32 10 and 4; x4: the root has two bits more. */
function scheme(name: string, count: number, kind: string): Scheme {
  const is32 = name.startsWith('Sv32');
  const [bits, bytes] = is32 ? [10, 4] : [9, 8];
  const more = name.endsWith('x4') ? 2 : 0;
  const levels = Array.from({ length: count }, (_, i): Level => {
    const number = count - 1 - i;
    return {
      ...{ kind: is32 ? `${kind}-32` : kind, name: `level-${number} ${more === 0 ? 'PTE' : 'second-stage PTE'}` },
      ...{ shift: 12 + bits * number, bits: i === 0 ? bits + more : bits, bytes, valid: 'V' },
    };
  });
  return { name, width: 12 + bits * count + more, levels };
}

type ByMode = Readonly<Record<number, Scheme>>;

/** By iosatp.MODE: with tc.SXL = 0, and 1 (2.1.3.4). */
export const FIRST_STAGE: readonly [ByMode, ByMode] = [
  {
    8: scheme('Sv39', 3, 'riscv.pte'),
    9: scheme('Sv48', 4, 'riscv.pte'),
    10: scheme('Sv57', 5, 'riscv.pte'),
  },
  { 8: scheme('Sv32', 2, 'riscv.pte') },
];

/** By iohgatp.MODE: with fctl.GXL = 0, and 1 (2.1.3.2). */
export const SECOND_STAGE: readonly [ByMode, ByMode] = [
  {
    8: scheme('Sv39x4', 3, 'riscv.gpte'),
    9: scheme('Sv48x4', 4, 'riscv.gpte'),
    10: scheme('Sv57x4', 5, 'riscv.gpte'),
  },
  { 8: scheme('Sv32x4', 2, 'riscv.gpte') },
];

/** Levels of a directory, top first: entries of 8 bytes lead to the last level's contexts. */
function directory(
  indices: readonly BitsField[],
  entry: Pick<Level, 'kind' | 'name'>,
  context: Pick<Level, 'kind' | 'name' | 'bytes' | 'valid'> & { words?: number },
): readonly Level[] {
  return indices
    .map((field, i): Level => {
      const index = { shift: field.lo, bits: width(field) };
      return i === 0 ? { ...index, ...context } : { ...index, ...entry, bytes: 8, valid: 'V' };
    })
    .reverse();
}

const DDTE = { kind: 'riscv.ddte', name: 'non-leaf DDT entry' } as const;
const DC = { kind: 'riscv.dc', name: 'device context', valid: 'tc_V' } as const;

/** Three levels, of which a smaller directory has the last ones; without and with capabilities.MSI_FLAT (2.1). */
export const DEVICE_DIRECTORY = [
  directory(DDI.base, DDTE, { ...DC, bytes: 32, words: 4 }),
  directory(DDI.extended, DDTE, { ...DC, bytes: 64, words: 8 }),
] as const;

/** 2.2. */
export const PROCESS_DIRECTORY = directory(
  PDI,
  { kind: 'riscv.pdte', name: 'non-leaf PDT entry' },
  { kind: 'riscv.pc', name: 'process context', bytes: 16, valid: 'ta_V' },
);
