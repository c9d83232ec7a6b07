import type { VersionName } from '../guest/index.ts';
import { defineCase } from './define.ts';
import { mergeLoop, mutationOf } from './superpage.ts';

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
    'invalidation.overtake': 'the driver asks the queue to drain reads and writes, as Linux does',
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
