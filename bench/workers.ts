/**
 * One search, alone and shared by two threads, turn about: `npm run bench:workers [-- --runs N --variant V]`. Prints an array as
 * `pinhole bench --json` does. Beside the ratio stands what the machine gives at that time: two searches at once that share nothing.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '3' }, variant: { type: 'string', default: 'five' } },
});
const runs = Number(values.runs);
const bin = fileURLToPath(new URL('../bin/pinhole.js', import.meta.url));
const file = fileURLToPath(new URL('cases/d1-dmas.ts', import.meta.url));

interface Result {
  readonly verdict: string;
  readonly states: number;
  readonly transitions: number;
  readonly seconds: number;
  readonly bytesPerState: number;
}

function search(workers: number): Promise<Result> {
  const args = [bin, 'check', file, '--variant', values.variant, '--workers', String(workers), '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data) => {
    said += data;
  });
  return new Promise((resolve, reject) =>
    child.on('close', (status) => {
      if (status !== 0) reject(new Error(`pinhole ended with ${status}`));
      else resolve(JSON.parse(said)[0]);
    }),
  );
}

const figures = { one: [] as number[], two: [] as number[], ratio: [] as number[], apart: [] as number[] };
let last: Result | null = null;
for (let i = 0; i < runs; i++) {
  const one = await search(1);
  const two = await search(2);
  const [left, right] = await Promise.all([search(1), search(1)]);
  if (one.states !== two.states || one.transitions !== two.transitions || one.verdict !== two.verdict) {
    console.error(
      `two threads found ${two.states} states and '${two.verdict}', one ${one.states} and '${one.verdict}'`,
    );
    process.exit(1);
  }
  figures.one.push(one.seconds);
  figures.two.push(two.seconds);
  figures.ratio.push(one.seconds / two.seconds);
  figures.apart.push((2 * one.seconds) / Math.max(left.seconds, right.seconds));
  last = one;
}

function row(name: string, unit: string, of: readonly number[]) {
  const sorted = [...of].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  return { name, unit, median, min: sorted[0], max: sorted[sorted.length - 1], runs: of.length };
}

const name = `explore/d1-dmas-${values.variant}`;
console.log(
  JSON.stringify(
    [
      row(`${name}/states`, 'states', [last?.states ?? 0]),
      row(`${name}/bytes-per-state`, 'B', [last?.bytesPerState ?? 0]),
      row(`${name}/seconds`, 's', figures.one),
      row(`${name}/seconds-two-workers`, 's', figures.two),
      row(`${name}/two-workers`, 'x', figures.ratio),
      row(`${name}/two-searches-apart`, 'x', figures.apart),
    ],
    null,
    2,
  ),
);
