/**
 * Memory of a search of so many states, in this process: `npm run bench:memory [-- --states N]`. Prints an array as `pinhole bench --json` does.
 * The largest size of the process is its whole resident set, Node included.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { newRun } from '../src/cli/job.ts';
import { selectJobs } from '../src/cli/select.ts';

const { values } = parseArgs({ options: { states: { type: 'string', default: '20000000' } } });
const file = fileURLToPath(new URL('cases/d1-dmas.ts', import.meta.url));
const [job] = await selectJobs([file], { variant: 'six', maxStates: Number(values.states) });
const run = newRun(job);
const start = performance.now();
while (!run.advance(2_000_000)) {
  if (process.stderr.isTTY) process.stderr.write(`\r${run.progress.states.toLocaleString('en')} states`);
}
if (process.stderr.isTTY) process.stderr.write('\n');
const { states, bytesPerState } = run.outcome();
const rows = [
  ['states', 'states', states],
  ['bytes-per-state', 'B', bytesPerState],
  ['largest-process', 'MB', process.resourceUsage().maxRSS / 1000],
  ['seconds', 's', (performance.now() - start) / 1000],
] as const;
console.log(
  JSON.stringify(
    rows.map(([name, unit, value]) => {
      return { name: `explore/d1-dmas-six/${name}`, unit, median: value, min: value, max: value, runs: 1 };
    }),
    null,
    2,
  ),
);
