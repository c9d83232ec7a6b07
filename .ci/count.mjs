// Prints "N passed, N failed" (and ", N skipped") from vitest's JSON report; exits 1 if anything failed.
// Usage: node .ci/count.mjs REPORT TEST_COMMAND_STATUS
import { readFileSync } from 'node:fs';

const [file, status] = process.argv.slice(2);

let report = null;
try {
  report = JSON.parse(readFileSync(file, 'utf8'));
} catch {
  // Type check or lint ended the command before vitest began: that is one failure, counted below.
}

const passed = report?.numPassedTests ?? 0;
const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
let failed = report?.numFailedTests ?? 0;
// A file that does not load has failed without a single test in it.
for (const suite of report?.testResults ?? []) {
  if (suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed')) failed++;
}
const commandFailed = status !== '0' || report === null || report.success === false;
if (failed === 0 && (commandFailed || passed === 0)) failed = 1;

console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
