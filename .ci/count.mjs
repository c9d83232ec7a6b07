// Prints "N passed, N failed" (and ", N skipped"), added up over JSON reports as vitest writes them; exits 1 if anything failed.
// Usage: node .ci/count.mjs REPORT COMMAND_STATUS [REPORT COMMAND_STATUS …]
import { readFileSync } from 'node:fs';

const total = { passed: 0, failed: 0, skipped: 0 };
const args = process.argv.slice(2);
for (let i = 0; i < args.length; i += 2) {
  const { passed, failed, skipped } = count(args[i], args[i + 1]);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}

const { passed, failed, skipped } = total;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function count(file, status) {
  let report = null;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Type check or lint ended the command before the tests began: that is one failure, counted below.
  }
  const passed = report?.numPassedTests ?? 0;
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  let failed = report?.numFailedTests ?? 0;
  // A file that does not load has failed without a single test in it.
  for (const suite of report?.testResults ?? []) {
    if (suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed')) failed++;
  }
  const commandFailed = status !== '0' || report === null || report.success === false;
  // What is skipped says so by itself; where nothing was passed in all, it is a failure (below).
  if (failed === 0 && (commandFailed || passed + skipped === 0)) failed = 1;
  return { passed, failed, skipped };
}
