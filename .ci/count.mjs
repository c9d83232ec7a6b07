// Prints what failed, and "N passed, N failed" (and ", N skipped"), added up over JSON reports as vitest writes them; exits 1 if anything failed.
// Usage: node .ci/count.mjs REPORT COMMAND_STATUS [REPORT COMMAND_STATUS …]
import { existsSync, readFileSync } from 'node:fs';

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
  for (const suite of report?.testResults ?? []) {
    const tests = suite.assertionResults.filter((test) => test.status === 'failed');
    for (const test of tests) say(suite.name, test.fullName, test.failureMessages[0]);
    // A file that does not load, or whose end fails, has failed without a single test in it.
    if (suite.status !== 'failed' || tests.length > 0) continue;
    say(suite.name, '(the file)', suite.message);
    failed++;
  }
  for (const error of unhandled(file)) {
    say('(no test)', 'unhandled', error);
    failed++;
  }
  const commandFailed = status !== '0' || report === null || report.success === false;
  // What is skipped says so by itself; where nothing was passed in all, it is a failure (below).
  if (failed === 0 && (commandFailed || passed + skipped === 0)) {
    say('(the command)', `ended with status ${status}${report === null ? ', without a report' : ''}`, '');
    failed = 1;
  }
  return { passed, failed, skipped };
}

/** Errors of the runner that are no test's: test/unhandled-reporter.ts. */
function unhandled(file) {
  return existsSync(`${file}.unhandled`) ? JSON.parse(readFileSync(`${file}.unhandled`, 'utf8')) : [];
}

function say(file, name, why = '') {
  console.log(`failed: ${file}: ${name}${why === '' ? '' : `\n  ${why.trim().split('\n').slice(0, 8).join('\n  ')}`}`);
}
