import { defineCase } from './define.ts';
import { MUTANTS, reclaim, UNFIRED } from './reclaim.ts';

export const A1 = defineCase({
  id: 'A1',
  title: 'a page is reclaimed after "the invalidation is complete": can a write still land in it?',
  thread: '000',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I3', 'I1'],
  variants: {
    'queue/drain': { spec: 'holds', 'qemu-10': 'violated' },
    'queue/no-drain': 'violated',
    'register/drain': { spec: 'holds', 'qemu-10': 'violated' },
    'register/no-drain': 'violated',
  },
  mutants: MUTANTS,
  needs: ['drain'],
  unfired: UNFIRED,
  build: (setup) => reclaim(setup, 'write'),
});
