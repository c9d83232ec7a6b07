import { defineCase } from './define.ts';
import { iotlbOnly, mergeLoop, mergePsc, UNFIRED_ORDERLY } from './superpage.ts';

/** Control: the bug of vtd-merge-psc cannot be seen on a model without the cache that it needs, and the result says so. */
export const K5 = defineCase({
  id: 'K5',
  title: 'control: vtd-merge-psc on a model without a paging-structure cache finds nothing',
  thread: '003',
  tags: ['core', 'control'],
  model: 'vtd',
  invariants: ['I4', 'I2'],
  variants: { buggy: 'holds', fixed: 'holds' },
  mutants: {
    'with-paging-structure-cache': { variant: 'buggy', title: 'the model has a paging-structure cache after all' },
    'no-flush': { variant: 'fixed', title: 'neither unmap nor map invalidates' },
  },
  needs: ['paging-structure cache'],
  lacks: ['paging-structure cache'],
  unfired: UNFIRED_ORDERLY,
  build: (setup) =>
    mergeLoop({
      profile: setup.mutant === 'with-paging-structure-cache' ? setup.profile : iotlbOnly(setup.profile),
      otherFrames: true,
      readsAgain: true,
      ...mergePsc(setup),
    }),
});
