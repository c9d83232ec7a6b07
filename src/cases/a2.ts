import { defineCase } from './define.ts';
import { MUTANTS, reclaim, UNFIRED } from './reclaim.ts';

export const A2 = defineCase({
  id: 'A2',
  title: 'a page is reclaimed after "the invalidation is complete": can a read in flight still return its new content?',
  thread: '000',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I12', 'I1'],
  variants: {
    'queue/drain': { spec: 'holds', 'qemu-10': 'violated' },
    'queue/no-drain': 'violated',
    'register/drain': { spec: 'holds', 'qemu-10': 'violated' },
    'register/no-drain': 'violated',
    'linux-register': 'violated',
  },
  mutants: MUTANTS,
  needs: ['drain'],
  unfired: UNFIRED,
  build: (setup) => reclaim(setup, 'read'),
});
