/** Random programs on an SMMU under each conduct, of stage 1, stage 2 and both. */
import { randomSmmu } from './random-smmu.ts';
import { testRefinement } from './refinement/refine.ts';

testRefinement({
  ...{ subject: randomSmmu, programs: 240, shards: 4, maxStates: 60_000 },
  // More than nine tenths of the 60 of each shard.
  searched: 55 / 60,
});
