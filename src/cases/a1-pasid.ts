import { defineCase } from './define.ts';
import { FIRST_STAGE_MUTANTS, FIRST_STAGE_VARIANTS, reclaimFirstStage, UNFIRED } from './reclaim.ts';

export const A1_PASID = defineCase({
  id: 'A1-pasid',
  title:
    'A1 with first-stage translation: a page is reclaimed after a PASID-based IOTLB invalidation: can a write still land in it?',
  thread: '000',
  model: 'vtd',
  invariants: ['I3', 'I1'],
  variants: FIRST_STAGE_VARIANTS,
  mutants: FIRST_STAGE_MUTANTS,
  needs: ['drain'],
  unfired: UNFIRED,
  build: (setup) => reclaimFirstStage(setup, 'write'),
});
