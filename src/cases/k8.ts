import { defineCase } from './define.ts';
import { pasidReplace } from './pasid-replace.ts';

/** Control: nobody promises that DMA goes on while a domain is replaced; who did would be wrong, which the mutant shows. */
export const K8 = defineCase({
  id: 'K8',
  title: 'control: while a PASID-table entry is replaced by clearing it first, DMA is blocked; nothing is wrong',
  thread: '003',
  tags: ['control'],
  model: 'vtd',
  invariants: ['I1', 'I4', 'I10'],
  variants: { fixed: 'holds' },
  mutants: { 'promised-hitless': { variant: 'fixed', title: 'the caller promises that DMA goes on meanwhile' } },
  unfired: { 'paging.survive-hint': 'the invalidation is of all of a PASID or a domain, which knows no hint' },
  build: (setup) =>
    pasidReplace(setup, { inPlace: false, stage: 'first-stage', hitless: setup.mutant === 'promised-hitless' }),
});
