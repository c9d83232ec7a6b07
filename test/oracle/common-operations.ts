/** Operations that scripts of all IOMMUs have, and how any script becomes a program. */
import { EDU_BUFFER_BYTES } from '../../src/devices/edu.ts';
import type { Random } from '../conformance/vtd/random.ts';
import type { Program } from './platform.ts';
import type { OpOf } from './script-text.ts';
import { ADDRESS, COUNT, DIRECTION, SIZE, WORD } from './script-text.ts';

/**
 *   store A V           a 64-bit word of memory
 *   reg N SIZE V        a register of the IOMMU, by offset, of 4 or 8 bytes
 *   dma D IOVA LEN GPA  test device D writes LEN bytes; then it looks at GPA
 *   edu read|write IOVA AT LEN    `edu` reads into its buffer at AT, or writes from there
 *   dump                all registers
 */
export const COMMON_OPERATIONS = {
  store: { at: ADDRESS, value: WORD },
  reg: { offset: ADDRESS, size: SIZE, value: WORD },
  dma: { device: COUNT, iova: WORD, length: COUNT, gpa: WORD },
  edu: { write: DIRECTION, iova: WORD, inside: COUNT, length: COUNT },
  dump: {},
} as const;

export type CommonOp = OpOf<typeof COMMON_OPERATIONS>;

/** Whether an operation is a request of a device. */
export const isRequest = <O extends { readonly op: string }>(
  op: O | undefined,
): op is Extract<O, { readonly op: 'dma' | 'edu' }> => op?.op === 'dma' || op?.op === 'edu';

/**
 * Data that is not the same anywhere, so that a write of `edu` which should not arrive, or should, is seen in memory.
 * @param at address of a page, from which `edu` reads it
 */
export function fillBuffer(random: Random, at: number): CommonOp[] {
  const ops: CommonOp[] = [];
  for (let offset = 0; offset < EDU_BUFFER_BYTES; offset += 128)
    ops.push({ op: 'store', at: at + offset, value: random.big(64) });
  ops.push({ op: 'edu', write: false, iova: BigInt(at), inside: 0, length: EDU_BUFFER_BYTES });
  return ops;
}

/** A lowered script: what is read, and after which operation. */
export interface Lowered {
  readonly program: Program;
  /** Index of the operation that each value read belongs to; the script's length for what is looked at in the end. */
  readonly ops: readonly number[];
}

/** How operations of a kind are lowered. */
export interface Lowering<O extends { readonly op: string }> {
  /** Address of the IOMMU's registers. */
  readonly registers: number;
  /** Registers that are looked at after each operation, those that it can change: their offsets and names. */
  readonly after: Readonly<Partial<Record<O['op'], readonly (readonly [offset: number, name: string])[]>>>;
  /** The accesses of one operation. */
  one(op: O): void;
  /** What is looked at in the end. */
  end(): void;
}

/** @param program takes the accesses */
export function lowerScript<O extends { readonly op: string }>(
  program: Program,
  script: readonly O[],
  { registers, after, one, end }: Lowering<O>,
): Lowered {
  const ops: number[] = [];
  script.forEach((op, i) => {
    one(op);
    for (const [offset, name] of after[op.op as O['op']] ?? []) program.read32(registers + offset, name);
    while (ops.length < program.labels.length) ops.push(i);
  });
  end();
  while (ops.length < program.labels.length) ops.push(script.length);
  return { program, ops };
}

/** The accesses of an operation that means the same to every IOMMU. @param registers address of the IOMMU's */
export function lowerCommon(program: Program, op: Exclude<CommonOp, { op: 'dump' }>, registers: number): void {
  switch (op.op) {
    case 'store':
      return program.write64(op.at, op.value);
    case 'reg':
      if (op.size === 8) return program.write64(registers + op.offset, op.value);
      return program.write32(registers + op.offset, Number(op.value));
    case 'dma':
      return program.testdev(op.device, op.iova, op.length, op.gpa, 'RESULT');
    case 'edu':
      return program.edu(op.write, op.iova, op.inside, op.length);
  }
}
