/** A return code of a hypercall as a {@link Code}. */
import { H_CODES } from '../../iommu/spapr/faults.ts';
import type { Code } from '../finding.ts';

/** @param returns what the call itself says of its codes */
export function codeOf(value: number, returns: Readonly<Record<number, string>>): Code {
  const known = H_CODES[value];
  return {
    value,
    name: known?.name ?? 'return code',
    meaning: returns[value] ?? known?.text ?? 'a code that LoPAR has not',
    clause: known?.clause ?? null,
  };
}
