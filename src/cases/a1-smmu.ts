import { A1 } from './a1.ts';
import { defineCase } from './define.ts';
import { SMMU_MUTANTS, SMMU_VARIANTS, smmuReclaim } from './smmu-reclaim.ts';
import { ALL_DRAINED, STAGE_2_ALONE } from './smmu-unfired.ts';

export const A1_SMMU = defineCase({
  id: A1.id,
  title: A1.title,
  thread: '000',
  tags: ['core'],
  model: 'smmuv3',
  invariants: ['I3', 'I1'],
  variants: SMMU_VARIANTS,
  mutants: SMMU_MUTANTS,
  needs: ['drain'],
  unfired: { ...STAGE_2_ALONE, ...ALL_DRAINED },
  build: (setup) => smmuReclaim(setup, 'write'),
});
