/** What the runner's JSON report leaves out: errors that belong to no test, as of a process that ended. `.ci/count.mjs` prints them. */
import { writeFileSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

/** @param file where they are written, as a JSON list of texts */
export function unhandledReporter(file: string): Reporter {
  return {
    onTestRunEnd(_modules, errors) {
      const texts = errors.map(({ name, message, stack }) => stack ?? `${name}: ${message}`);
      writeFileSync(file, JSON.stringify(texts));
    },
  };
}
