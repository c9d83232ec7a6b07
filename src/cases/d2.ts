import { defineCase } from './define.ts';
import { iotlbOnly, mergeLoop, mutationOf, UNFIRED_ORDERLY } from './superpage.ts';

export const D2 = defineCase({
  id: 'D2',
  title: 'the merge of vtd-merge-psc on a model that has an IOTLB and nothing else',
  thread: '003',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I4', 'I2'],
  variants: { orderly: 'holds', stray: 'violated' },
  mutants: {
    'with-paging-structure-cache': { variant: 'orderly', title: 'the model has a paging-structure cache after all' },
    'no-unmap-flush': { variant: 'orderly', title: 'the unmap does not invalidate' },
  },
  needs: ['paging-structure cache'],
  lacks: ['paging-structure cache'],
  unfired: UNFIRED_ORDERLY,
  build: (setup) =>
    mergeLoop({
      profile: setup.mutant === 'with-paging-structure-cache' ? setup.profile : iotlbOnly(setup.profile),
      otherFrames: true,
      readsAgain: true,
      version: 'linux-5.11',
      via: 'register',
      device: setup.variant as 'orderly' | 'stray',
      ...mutationOf(setup),
    }),
});
