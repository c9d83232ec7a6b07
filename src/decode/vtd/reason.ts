/** A VT-d fault reason as a {@link Code}. */
import { FAULT_TEXT } from '../../iommu/vtd/faults.ts';
import type { Code } from '../finding.ts';

/** The clause that defines a reason of each kind. */
export function reasonCode(reason: number): Code {
  const meaning = FAULT_TEXT[reason];
  if (meaning === undefined) {
    return { value: reason, name: 'FR', meaning: 'a reason that revision 5.10 has not', clause: null };
  }
  const isInterrupt = reason >= 0x20 && reason < 0x30;
  const clause = isInterrupt ? 'VT-d 5.1.4.1, table 15' : 'VT-d 7.1.3, table 30';
  return { value: reason, name: 'FR', meaning, clause };
}
