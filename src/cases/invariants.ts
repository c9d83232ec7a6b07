import type { Property } from '../explore/index.ts';
import { FACT } from '../machine/index.ts';
import type { ModelName } from './models.ts';

/** A rule that every order of events must keep. */
export interface Invariant extends Property {
  readonly name: string;
  /** Where the rule comes from, in VT-d's words where several specifications have it; see {@link wordsOf}. */
  readonly clause: string;
  readonly meaning: string;
}

function invariant(id: string, name: string, fact: number, clause: string, meaning: string): Invariant {
  return Object.freeze({ id, name, clause, meaning, broken: (facts: number) => (facts & fact) !== 0 });
}

/** The invariants that all cases share. */
export const INVARIANTS = {
  I1: invariant(
    'I1',
    'NO-STALE',
    FACT.staleTranslation,
    'VT-d 6.5.1.2',
    'after the call that promises "the invalidation is complete" has returned, no DMA is translated by the old mapping',
  ),
  I2: invariant(
    'I2',
    'NO-UAF-WALK',
    FACT.foreignWalk,
    'VT-d 6.5.3.6',
    'a page walk never reads a table page that its domain no longer owns',
  ),
  I3: invariant(
    'I3',
    'NO-EARLY-REUSE',
    FACT.foreignWrite,
    'VT-d 6.5.4',
    'no DMA write lands in a page after that has a new owner',
  ),
  I4: invariant(
    'I4',
    'MAP-VISIBLE',
    FACT.deniedInside,
    'VT-d 6.1',
    'a DMA that was issued after map returned, to what it mapped, succeeds and reaches the new page',
  ),
  I5: invariant(
    'I5',
    'ATOMIC-CFG',
    FACT.tornEntry,
    'VT-d 6.2.2.1, 6.2.3.1',
    'hardware never acts on a mix of old and new words of one entry',
  ),
  I6: invariant(
    'I6',
    'ISOLATION',
    FACT.crossedDomain,
    'VT-d 6.2.1',
    'an entry cached for one device, PASID or domain never serves another',
  ),
  I7: invariant(
    'I7',
    'DIRTY',
    FACT.lostDirty,
    'VT-d 3.7.2',
    'every DMA write since the last report is in the next report',
  ),
  I8: invariant(
    'I8',
    'FAULT',
    FACT.lostFault,
    'VT-d 7.2, 7.11',
    'every fault or page request is delivered or accounted for',
  ),
  I9: invariant('I9', 'PROGRESS', FACT.deadlock, 'VT-d 6.5.2.9', 'every wait comes to an end'),
  I10: invariant(
    'I10',
    'NO-COLLATERAL',
    FACT.deniedOutside,
    'iommu_map(), iommu_unmap()',
    'a map or unmap of one range leaves everything outside it working at every step',
  ),
  I11: invariant(
    'I11',
    'STATUS=EFFECT',
    FACT.wrongStatus,
    'iommu_map(), iommu_unmap()',
    'the status that is returned agrees with what was done',
  ),
  I12: invariant(
    'I12',
    'NO-LEAK',
    FACT.leakedRead,
    'VT-d 6.5.4',
    'no device or CPU reads bytes that it was never granted',
  ),
  I13: invariant('I13', 'REFINE', FACT.shadowDiffers, 'virtual IOMMU', 'a shadow is what the tables in force say'),
  /** No invariant: alone, it makes the verdict `undefined`. */
  OPEN: invariant(
    'OPEN',
    'LEFT-OPEN',
    FACT.leftOpen,
    'VT-d 6.2.4.1, 6.5.3.3',
    'a request finds translations of two page sizes, and which one is used is left to the implementation',
  ),
} as const;

export type InvariantId = keyof typeof INVARIANTS;

/** Where the rules that depend on it come from in other models' specifications. */
const WORDS: Readonly<
  Record<
    Exclude<ModelName, 'vtd'>,
    Partial<Record<InvariantId, { readonly clause: string; readonly meaning?: string }>>
  >
> = {
  smmuv3: {
    I1: { clause: 'SMMUv3 3.21.1' },
    I2: { clause: 'SMMUv3 3.21.1' },
    I3: { clause: 'SMMUv3 3.21.1' },
    I4: { clause: 'SMMUv3 3.21.1' },
    I5: { clause: 'SMMUv3 3.21.3' },
    I6: { clause: 'SMMUv3 3.17' },
    I7: { clause: 'SMMUv3 3.13' },
    I8: { clause: 'SMMUv3 7.2' },
    I9: { clause: 'SMMUv3 4.7.3' },
    I12: { clause: 'SMMUv3 3.21.1' },
    OPEN: {
      clause: 'SMMUv3 3.20.1, 3.21.1.2',
      meaning:
        'a request finds translations of two sizes: F_TLB_CONFLICT, or whatever else an implementation makes of it',
    },
  },
};

/** An invariant in the words of a model's specification. */
export function wordsOf(id: InvariantId, model: ModelName): { readonly clause: string; readonly meaning: string } {
  const { clause, meaning } = INVARIANTS[id];
  return { clause, meaning, ...(model === 'vtd' ? {} : WORDS[model][id]) };
}
