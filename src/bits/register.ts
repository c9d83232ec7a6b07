import type { Access } from './field.ts';
import type { Fields, Layout } from './layout.ts';
import { layout, maskOf } from './layout.ts';

/** Which bits of each 32-bit half a write can change, and how. */
export interface WriteMasks {
  readonly rw: Int32Array;
  /** Bits of {@link rw} that read as zero. */
  readonly hidden: Int32Array;
  readonly w1c: Int32Array;
  readonly oneShot: Int32Array;
}

/** A register of 32 or 64 bits at a byte offset of its block; its fields are members (`GCMD.TE`). */
export type Register<F extends Fields> = Layout<F> & F & { readonly offset: number; readonly masks: WriteMasks };

/**
 * Declares a register. Bits of no field are reserved: read-only zero.
 * @param offset byte offset from the register base
 */
export function register<F extends Fields>(
  name: string,
  offset: number,
  clause: string,
  fields: F,
  widthInBits: 32 | 64 = 32,
): Register<F> {
  const bits = layout(name, clause, widthInBits, fields);
  const hidden = accessMask(bits, 'wo');
  const rw = accessMask(bits, 'rw').map((mask, i) => mask | hidden[i]);
  const masks = { rw, hidden, w1c: accessMask(bits, 'w1c'), oneShot: accessMask(bits, 'one-shot') };
  return Object.freeze({ ...fields, ...bits, offset, masks });
}

/** The same register at another offset: one that an implementation places where it likes. */
export function moved<R extends { readonly offset: number }>(of: R, offset: number): R {
  return Object.freeze({ ...of, offset });
}

function accessMask(of: Layout<Fields>, access: Access): Int32Array {
  const halves = of.width / 32;
  const mask = new Int32Array(halves);
  for (const field of Object.values(of.fields)) {
    if (field.access !== access) continue;
    const bits = maskOf(field, halves);
    for (let i = 0; i < halves; i++) mask[i] |= bits[i];
  }
  return mask;
}

/**
 * What a half of the register holds after software wrote `written` over `old`. One-shot bits are not kept.
 * @param lanes the bits that the write carries: those of its enabled bytes
 */
export function afterWrite(
  of: { masks: Pick<WriteMasks, 'rw' | 'w1c'> },
  half: number,
  old: number,
  written: number,
  lanes = -1,
): number {
  const rw = of.masks.rw[half] & lanes;
  return ((old & ~rw) | (written & rw)) & ~(written & of.masks.w1c[half] & lanes);
}

/** The one-shot bits that a write of `written` to a half starts. */
export function triggered(of: { masks: WriteMasks }, half: number, written: number): number {
  return written & of.masks.oneShot[half];
}
