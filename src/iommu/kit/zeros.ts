import type { Fields } from '../../bits/index.ts';

/** All fields of a register or structure as 0: what an implementation has that does not say otherwise. */
export function zeros<F extends Fields>(of: { readonly fields: F }): Record<keyof F, number> {
  return Object.fromEntries(Object.keys(of.fields).map((name) => [name, 0])) as Record<keyof F, number>;
}
