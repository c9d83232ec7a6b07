/** `npm run bench:peers`: Pinhole and Spin on the same toy, in the same run. See README.md here. */
import { parseArgs } from 'node:util';
import type { Explored } from './explore.ts';
import { explore } from './explore.ts';
import type { SpinRun } from './spin.ts';
import { MAX_ACTORS, runSpin, spinVersion, whyNoSpin } from './spin.ts';

const USAGE = `usage: npm run bench:peers -- [--actors N,…] [--runs K] [--json]
  --actors  numbers of DMA actors, 1 to ${MAX_ACTORS}; 1,2,3 if absent (4: 1.7 GB, one to three minutes a run)
  --runs    how often each is run, in turns; the median time counts; 1 if absent`;

/** Two tools on the toy; times in seconds, medians. */
interface Row {
  readonly actors: number;
  readonly reduced: boolean;
  readonly spin: Pick<SpinRun, 'states' | 'transitions' | 'seconds'>;
  readonly pinhole: Pick<Explored, 'states' | 'transitions' | 'seconds'>;
  /** Pinhole's time by Spin's; null where that is too short to be measured. */
  readonly ratio: number | null;
  /** What is wrong: counts that should be equal are not, or a tool found a violation; null for nothing. */
  readonly wrong: string | null;
}

/** Spin's times are to 10 ms; from here on they say something. */
const MEASURABLE_SECONDS = 0.1;

function compare(actors: number, reduced: boolean, runs: number): Row {
  const pairs = Array.from({ length: runs }, () => ({
    spin: runSpin({ actors }, reduced),
    pinhole: explore({ actors }, reduced),
  }));
  const spin = { ...pairs[0].spin, seconds: median(pairs.map((p) => p.spin.seconds)) };
  const pinhole = { ...pairs[0].pinhole, seconds: median(pairs.map((p) => p.pinhole.seconds)) };
  const differ = spin.states !== pinhole.states || spin.transitions !== pinhole.transitions;
  let wrong: string | null = null;
  if (spin.violated || pinhole.violated) wrong = `a DMA landed too late (${spin.violated ? 'Spin' : 'Pinhole'})`;
  else if (!pinhole.exhausted) wrong = 'Pinhole stopped early';
  else if (!reduced && differ) wrong = 'the counts differ';
  const ratio = spin.seconds < MEASURABLE_SECONDS ? null : pinhole.seconds / spin.seconds;
  return { actors, reduced, spin: counts(spin), pinhole: counts(pinhole), ratio, wrong };
}

function counts({ states, transitions, seconds }: Row['spin']): Row['spin'] {
  return { states, transitions, seconds };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function line({ actors, reduced, spin, pinhole, ratio, wrong }: Row): string {
  const tool = (r: Row['spin']) =>
    `${r.states.toLocaleString('en').padStart(11)} states ${r.transitions.toLocaleString('en').padStart(12)} steps ${r.seconds.toFixed(2).padStart(6)} s`;
  const end = wrong ?? (ratio === null ? 'too short to compare' : `ratio ${ratio.toFixed(2)}`);
  return `N=${actors} ${reduced ? 'reduced' : 'all    '}  Spin ${tool(spin)}   Pinhole ${tool(pinhole)}   ${end}`;
}

function options(): { actors: number[]; runs: number; json: boolean } | null {
  try {
    const { values } = parseArgs({
      options: { actors: { type: 'string' }, runs: { type: 'string' }, json: { type: 'boolean' } },
    });
    const actors = (values.actors ?? '1,2,3').split(',').map(Number);
    const runs = Number(values.runs ?? 1);
    if (!actors.every((n) => Number.isInteger(n) && n >= 1 && n <= MAX_ACTORS)) return null;
    if (!Number.isInteger(runs) || runs < 1) return null;
    return { actors, runs, json: values.json === true };
  } catch {
    return null;
  }
}

function main(): number {
  const chosen = options();
  if (chosen === null) {
    console.error(USAGE);
    return 2;
  }
  const why = whyNoSpin();
  if (why !== null) {
    console.log(chosen.json ? JSON.stringify({ skipped: why }) : `skipped: ${why}`);
    return 0;
  }
  const version = spinVersion();
  if (!chosen.json) console.log(`Spin ${version}, gcc -O2; Node ${process.version}. Ratio: Pinhole's time by Spin's.`);
  const rows: Row[] = [];
  for (const actors of chosen.actors) {
    for (const reduced of [false, true]) {
      const row = compare(actors, reduced, chosen.runs);
      rows.push(row);
      if (!chosen.json) console.log(line(row));
    }
  }
  if (chosen.json) console.log(JSON.stringify({ spin: version, node: process.version, rows }, null, 2));
  return rows.some((row) => row.wrong !== null) ? 1 : 0;
}

process.exitCode = main();
