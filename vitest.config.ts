import { defineConfig } from 'vitest/config';
import { unhandledReporter } from './test/unhandled-reporter.ts';

// CI sets this to a file's path, and counts the tests from what vitest writes there (.ci/count.mjs).
const report = process.env.PINHOLE_TEST_REPORT;

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 240_000,
    reporters: report
      ? ['default', ['json', { outputFile: report }], unhandledReporter(`${report}.unhandled`)]
      : ['default'],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['src/**/*.test.ts'] },
  },
});
