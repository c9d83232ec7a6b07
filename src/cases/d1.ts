import type { Mutation, VersionName } from '../guest/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { iotlbOnly, mergeLoop, ORDERLY } from './superpage.ts';

const DRAINED = 'the driver asks the queue to drain reads and writes, as Linux does';
const ONCE = 'no page is read twice while it is mapped';

const UNFIRED_ORDERLY = {
  'invalidation.overtake': ORDERLY,
  'invalidation.held': ORDERLY,
  'iotlb.use': ONCE,
  'iotlb.evict': ONCE,
};

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'no-superpage-flush': { noSuperpageFlush: true },
  'no-unmap-flush': { noUnmapFlush: true },
  'no-flush': { noUnmapFlush: true, noSuperpageFlush: true },
  'hint-set': { hint: true },
};

function mutationOf(setup: Setup): { mutation?: Mutation } {
  const mutation = setup.mutant === null ? undefined : MUTATIONS[setup.mutant];
  return mutation === undefined ? {} : { mutation };
}

/** Queued invalidation, as everybody runs it. There, the old versions lose the hint (see `VERSIONS`), so every unmap drops PD[0] too. */
export const D1 = defineCase({
  id: 'D1',
  title: 'a superpage takes the place of a page table while a stray device does DMA (the loop of the report)',
  thread: '003',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I2', 'I4'],
  variants: { 'linux-5.11': 'violated', 'linux-5.13': 'violated', 'linux-6.12.117': 'violated', ideal: 'holds' },
  mutants: {
    'no-superpage-flush': {
      variant: 'ideal',
      title: 'no invalidation when the superpage takes the place of the table',
    },
    'hint-set': { variant: 'ideal', title: 'every invalidation says that only leaves were changed' },
  },
  needs: ['paging-structure cache'],
  unfired: {
    'invalidation.overtake': DRAINED,
    'paging.survive-hint': 'this version loses the hint in the queue',
  },
  build: (setup) =>
    mergeLoop({
      profile: setup.profile,
      version: setup.variant as VersionName,
      via: 'queue',
      device: 'stray',
      ...mutationOf(setup),
    }),
});

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
      version: 'linux-5.11',
      via: 'register',
      device: setup.variant as 'orderly' | 'stray',
      ...mutationOf(setup),
    }),
});

export const D3 = defineCase({
  id: 'D3',
  title: 'a table was freed, and the invalidation says that only leaves were changed (IH = 1)',
  thread: '003',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I2', 'I4'],
  variants: { 'ih-1': { spec: 'violated', 'qemu-10': 'holds' } },
  needs: ['paging-structure cache'],
  build: (setup) =>
    mergeLoop({ profile: setup.profile, version: 'ideal', via: 'queue', device: 'stray', mutation: { hint: true } }),
});

/**
 * Each kernel over the interface on which it really sends IH = 1 when the unmap freed no table: 5.11 by registers
 * (in its queue the hint was lost), 6.12.117 by the queue (in its registers the hint lands in the address mask).
 */
export const MERGE_PSC = defineCase({
  id: 'vtd-merge-psc',
  title: '"Force to flush iotlb before creating superpage": the cached PDE survives the unmap',
  thread: '003',
  tags: ['core', 'corpus'],
  model: 'vtd',
  invariants: ['I4', 'I2'],
  variants: { buggy: { spec: 'violated', 'qemu-10': 'holds' }, fixed: 'holds' },
  mutants: {
    'no-superpage-flush': {
      variant: 'fixed',
      title: 'no invalidation when the superpage takes the place of the table',
    },
  },
  needs: ['paging-structure cache'],
  unfired: UNFIRED_ORDERLY,
  build: (setup) =>
    mergeLoop({
      profile: setup.profile,
      device: 'orderly',
      ...mutationOf(setup),
      ...(setup.variant === 'buggy'
        ? ({ version: 'linux-5.11', via: 'register' } as const)
        : ({ version: 'linux-6.12.117', via: 'queue' } as const)),
    }),
});

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
      device: 'orderly',
      ...mutationOf(setup),
      ...(setup.variant === 'buggy'
        ? ({ version: 'linux-5.11', via: 'register' } as const)
        : ({ version: 'linux-6.12.117', via: 'queue' } as const)),
    }),
});
