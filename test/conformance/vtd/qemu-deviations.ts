import type { ExpectedFailures } from '../judge.ts';

export const DEVIATIONS: readonly ExpectedFailures[] = [];
