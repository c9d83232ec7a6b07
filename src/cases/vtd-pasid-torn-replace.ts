import { defineCase } from './define.ts';
import type { Replacement } from './pasid-replace.ts';
import { pasidReplace } from './pasid-replace.ts';

const HOW: Readonly<Record<string, Replacement>> = {
  buggy: { inPlace: true, stage: 'first-stage' },
  'buggy/second-stage': { inPlace: true, stage: 'second-stage' },
  // The fix without the one before it in its series (75ed00055c05): what is cleared first is cleared as a whole.
  'zeroed-at-once': { inPlace: false, stage: 'first-stage', tearDown: 'zeroed-at-once' },
  fixed: { inPlace: false, stage: 'first-stage' },
  'fixed/second-stage': { inPlace: false, stage: 'second-stage' },
};

const CHANGES: Readonly<Record<string, Partial<Replacement>>> = {
  'in-place': { inPlace: true },
  'in-place-second-stage': { inPlace: true },
  'zeroed-at-once': { tearDown: 'zeroed-at-once' },
  'no-pasid-cache-flush': { leaves: 'pasid-cache' },
  'no-iotlb-flush': { leaves: 'iotlb' },
};

/** Hardware may read the entry in parts of 128 bits (VT-d chapter 9); software's stores have 64. */
export const PASID_TORN_REPLACE = defineCase({
  id: 'vtd-pasid-torn-replace',
  title: '"Fix race condition during PASID entry replacement": a walk acts on half an old and half a new entry',
  thread: '003',
  tags: ['corpus'],
  model: 'vtd',
  invariants: ['I5', 'I6', 'I1'],
  variants: {
    buggy: 'violated',
    'buggy/second-stage': 'violated',
    'zeroed-at-once': 'violated',
    fixed: 'holds',
    'fixed/second-stage': 'holds',
  },
  mutants: {
    'in-place': { variant: 'fixed', title: 'the new entry is stored over the old one' },
    'zeroed-at-once': { variant: 'fixed', title: 'the old entry is zeroed before anything is invalidated' },
    'no-pasid-cache-flush': { variant: 'fixed', title: 'the PASID cache is not invalidated' },
    'no-iotlb-flush': { variant: 'fixed', title: 'the IOTLB is not invalidated' },
    'in-place-second-stage': { variant: 'fixed/second-stage', title: 'the new entry is stored over the old one' },
  },
  unfired: { 'paging.survive-hint': 'the invalidation is of all of a PASID or a domain, which knows no hint' },
  build: (setup) => pasidReplace(setup, { ...HOW[setup.variant], ...CHANGES[setup.mutant ?? ''] }),
});
