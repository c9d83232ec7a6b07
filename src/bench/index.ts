/** What `pinhole bench` measures. Translations first: the explorer's use of the same code makes it slower from then on. */
import { EXPLANATIONS } from './explain.ts';
import { EXPLORATIONS } from './explore.ts';
import { INVALIDATIONS } from './invalidate.ts';
import type { Benchmark } from './measure.ts';
import { TRACES } from './trace.ts';
import { TRANSLATIONS } from './translate.ts';
import { SMMU_TRANSLATIONS } from './translate-smmu.ts';

export * from './measure.ts';

export const BENCHMARKS: readonly Benchmark[] = [
  ...TRANSLATIONS,
  ...SMMU_TRANSLATIONS,
  ...INVALIDATIONS,
  ...EXPLORATIONS,
  ...EXPLANATIONS,
  ...TRACES,
];
