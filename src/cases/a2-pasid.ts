import { defineCase } from './define.ts';
import { FIRST_STAGE_MUTANTS, FIRST_STAGE_VARIANTS, reclaimFirstStage, UNFIRED } from './reclaim.ts';

export const A2_PASID = defineCase({
  id: 'A2-pasid',
  title:
    'A2 with first-stage translation: a page is reclaimed after a PASID-based IOTLB invalidation: can a read in flight still return its new content?',
  thread: '000',
  model: 'vtd',
  invariants: ['I12', 'I1'],
  variants: FIRST_STAGE_VARIANTS,
  mutants: FIRST_STAGE_MUTANTS,
  needs: ['drain'],
  unfired: UNFIRED,
  build: (setup) => reclaimFirstStage(setup, 'read'),
});
