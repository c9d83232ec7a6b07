/** Random VT-d programs under each conduct: page-table stores, invalidations of all kinds by either interface, DMA, stray DMA, canaries. */
import { randomVtd } from './random-programs.ts';
import { testRefinement } from './refinement/refine.ts';

testRefinement({ subject: randomVtd, programs: 10_000, shards: 10, maxStates: 20_000, searched: 1 });
