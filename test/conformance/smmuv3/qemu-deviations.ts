/** Conformance tests that QEMU 11.1.3 fails, by what it does. */
import type { ExpectedFailures } from '../judge.ts';

export const DEVIATIONS: readonly ExpectedFailures[] = [];
