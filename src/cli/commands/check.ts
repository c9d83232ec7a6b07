/** `pinhole check`: runs cases, prints verdicts and counterexamples. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { buildCommand } from '@stricli/core';
import type { Sample } from '../../cases/index.ts';
import { INVARIANTS, wordsOf } from '../../cases/index.ts';
import type { Reduction } from '../../explore/index.ts';
import { MAX_WORKERS, REDUCTIONS, replay } from '../../explore/index.ts';
import type { CheckpointOf } from '../checkpoint.ts';
import { readCheckpoint, refuseUnwritable } from '../checkpoint.ts';
import type { Finished, Job } from '../job.ts';
import { isAsExpected, newRun, traceOf } from '../job.ts';
import { toKtap } from '../ktap.ts';
import type { Measurement } from '../measured.ts';
import { measurementLines, measurementResult, toCsv } from '../measured.ts';
import { unknownName } from '../nearest.ts';
import { toLines, toResult } from '../report.ts';
import type { Keeping } from '../runner.ts';
import { INTERRUPTED, runJobs } from '../runner.ts';
import type { Selected } from '../select.ts';
import { select, selectJobs } from '../select.ts';
import type { Colours } from '../story.ts';
import { tellStory } from '../story.ts';
import type { Row } from '../table.ts';
import { summary, verdictTable } from '../table.ts';
import { coloursFor, print } from '../terminal.ts';
import { toJson, toToken } from '../trace.ts';
import { UsageError } from '../usage-error.ts';

export interface CheckFlags {
  readonly variant?: string;
  readonly model?: string;
  readonly profile?: string;
  readonly mutant?: string;
  readonly tag?: string;
  readonly json?: boolean;
  readonly table?: boolean;
  readonly format?: 'ktap' | 'csv';
  readonly workers?: number;
  readonly maxStates?: number;
  readonly trace?: string;
  readonly random?: number;
  readonly seed?: number;
  readonly preemptions?: number;
  readonly without?: readonly Reduction[];
  readonly checkpoint?: string;
  readonly checkpointEvery?: number;
  readonly resume?: string;
}

/** Exit statuses of `check` (DESIGN §6). */
const EXIT = { fine: 0, differs: 1, bound: 3, interrupted: INTERRUPTED } as const;

/** A whole number within bounds, both of them included. */
function wholeFrom(text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < least)
    throw new UsageError(`give a whole number${least > 0 ? ` from ${least} up` : ''}`);
  if (n > most) throw new UsageError(`give at most ${most}`);
  return n;
}

/** A positive whole number. */
function count(text: string): number {
  return wholeFrom(text, 1);
}

/** A number of threads. */
function threads(text: string): number {
  const n = count(text);
  if (n > MAX_WORKERS) throw new UsageError(`give at most ${MAX_WORKERS}; more threads are no quicker`);
  return n;
}

/** Seconds between two checkpoints, if nobody says otherwise. */
const CHECKPOINT_EVERY = 60;

/** A whole number, 0 too. */
function whole(text: string): number {
  return wholeFrom(text, 0);
}

/** A seed: 32 bits. */
function seed(text: string): number {
  return wholeFrom(text, 0, 2 ** 32 - 1);
}

/** The sample that the flags ask for; undefined for all runs. */
function sampleOf({ random, seed, preemptions, checkpoint, resume }: CheckFlags): Sample | undefined {
  if (random === undefined && seed !== undefined)
    throw new UsageError('--seed is of random runs; say how many with --random');
  const maxPreemptions = preemptions === undefined ? {} : { maxPreemptions: preemptions };
  if ((random ?? preemptions) !== undefined && (checkpoint ?? resume) !== undefined)
    throw new UsageError('checkpoints are of exhaustive searches; leave --random and --preemptions out');
  if (random !== undefined) return { kind: 'random', runs: random, seed: seed ?? 1, ...maxPreemptions };
  return preemptions === undefined ? undefined : { kind: 'preemptions', maxPreemptions: preemptions };
}

/** Names of reductions, separated by commas. */
function reductions(text: string): readonly Reduction[] {
  if (text === 'all') return REDUCTIONS;
  return text.split(',').map((name) => {
    const known = REDUCTIONS.find((r) => r === name);
    if (known === undefined) throw new UsageError(unknownName('reduction', name, [...REDUCTIONS, 'all']));
    return known;
  });
}

const DESCRIPTION = `run cases: verdicts, and the shortest run that breaks each invariant

Every order of steps that the architecture permits is tried. A CASE is an id (D1) or the letter of an
argument (D: D1, D2, D3); a FILE.ts is a case of your own. Without either, all cases are run.

Exit status: 0 all as expected; 1 a verdict differs, or a case of your own is violated; 2 bad usage or
input; 3 a bound was hit before a search was exhausted; 130 Ctrl-C, after what was found so far.`;

export const checkCommand = buildCommand<CheckFlags, string[]>({
  docs: {
    brief: 'run cases: verdicts, and the shortest run that breaks each invariant',
    fullDescription: DESCRIPTION,
    customUsage: ['[CASE… | FILE.ts…] [OPTION…]'],
  },
  parameters: {
    flags: {
      variant: { kind: 'parsed', parse: String, optional: true, brief: 'only this variant', placeholder: 'V' },
      model: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'only what is about this IOMMU',
        placeholder: 'M',
      },
      profile: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'what the hardware does, as `pinhole list` tells (default spec)',
        placeholder: 'P',
      },
      mutant: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'with this deliberate mistake, as `pinhole list` tells',
        placeholder: 'M',
      },
      tag: { kind: 'parsed', parse: String, optional: true, brief: 'only cases with this tag', placeholder: 'T' },
      json: { kind: 'boolean', optional: true, withNegated: false, brief: 'one JSON array, an object per run' },
      table: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'the verdict table only (what many cases print)',
      },
      format: {
        kind: 'enum',
        values: ['ktap', 'csv'],
        optional: true,
        brief: 'verdicts as KTAP lines; figures of measured cases as CSV',
      },
      workers: {
        kind: 'parsed',
        parse: threads,
        optional: true,
        brief: 'threads: several runs at a time, or one search shared by all (default 1)',
        placeholder: 'N',
      },
      maxStates: {
        kind: 'parsed',
        parse: count,
        optional: true,
        brief: 'stop a run after so many states',
        placeholder: 'N',
      },
      trace: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'write counterexamples to this file',
        placeholder: 'OUT',
      },
      random: {
        kind: 'parsed',
        parse: count,
        optional: true,
        brief: 'so many random runs instead of all; what they break is shrunk',
        placeholder: 'RUNS',
      },
      seed: {
        kind: 'parsed',
        parse: seed,
        optional: true,
        brief: 'seed of the random runs (default 1)',
        placeholder: 'N',
      },
      preemptions: {
        kind: 'parsed',
        parse: whole,
        optional: true,
        brief: 'only runs with at most so many changes away from an agent that could have gone on',
        placeholder: 'K',
      },
      without: {
        kind: 'parsed',
        parse: reductions,
        optional: true,
        brief: `search without these reductions: ${REDUCTIONS.join(',')}, or all`,
        placeholder: 'R,…',
      },
      checkpoint: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'save the search (of one run) to this file at intervals, on Ctrl-C and at a bound',
        placeholder: 'FILE',
      },
      checkpointEvery: {
        kind: 'parsed',
        parse: count,
        optional: true,
        brief: `seconds between two checkpoints (default ${CHECKPOINT_EVERY})`,
        placeholder: 'S',
      },
      resume: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'go on with the search of this checkpoint, and keep saving it there',
        placeholder: 'FILE',
      },
    },
    positional: {
      kind: 'array',
      parameter: { brief: 'case id, letter of an argument, or file', parse: String, placeholder: 'CASE' },
    },
  },
  async func(flags, ...names) {
    const outputs = [flags.json === true, flags.table === true, flags.format !== undefined].filter(Boolean);
    if (outputs.length > 1)
      throw new UsageError('--json, --table and --format are different outputs; leave all but one out');
    if (flags.trace !== undefined) checkWritable(flags.trace);
    const sample = sampleOf(flags);
    const resume = flags.resume === undefined ? undefined : { file: flags.resume, ...readCheckpoint(flags.resume) };
    const selected =
      resume === undefined ? await select(names, { ...flags, sample }) : await jobOf(resume.of, names, flags);
    const { jobs } = selected;
    if (flags.format === 'csv' && selected.measurements.length === 0)
      throw new UsageError('--format csv is of figures, and none of these cases is measured; --json has all of them');
    const file = flags.checkpoint ?? flags.resume;
    if (file === undefined && flags.checkpointEvery !== undefined)
      throw new UsageError('--checkpoint-every says how often; name the file with --checkpoint');
    if (file !== undefined) refuseUnwritable(file);
    if (file !== undefined && jobs.length > 1)
      throw new UsageError(`a checkpoint is of one run, and these are ${jobs.length}; choose one with --variant`);
    const everyMs = (flags.checkpointEvery ?? CHECKPOINT_EVERY) * 1000;
    process.exitCode = await check(selected, Math.max(names.length, resume === undefined ? 0 : 1), flags, {
      ...(file === undefined ? {} : { checkpoint: { file, everyMs } }),
      ...(resume === undefined ? {} : { resume }),
    });
  },
});

/** The run that a checkpoint is of; what the command line says besides must agree. */
async function jobOf(of: CheckpointOf, names: readonly string[], flags: CheckFlags): Promise<Selected> {
  const name = of.file ?? of.case;
  const other = names.find((n) => n !== name);
  if (other !== undefined) throw new UsageError(`the checkpoint is of ${name}, not of ${other}; leave the name out`);
  const jobs = await selectJobs([name], {
    variant: flags.variant ?? of.variant,
    profile: flags.profile ?? of.profile,
    mutant: flags.mutant ?? of.mutant ?? undefined,
    maxStates: flags.maxStates ?? of.maxStates,
    without: flags.without ?? of.without,
  });
  return { jobs: jobs.filter((job) => job.definition.id === of.case), measurements: [] };
}

async function check(selected: Selected, named: number, flags: CheckFlags, keeping: Keeping): Promise<number> {
  const { measurements } = selected;
  // Only figures fit into CSV.
  const jobs = flags.format === 'csv' ? [] : selected.jobs;
  const colours = coloursFor(process.stdout);
  const table = flags.table === true || named === 0;
  const told = flags.json !== true && flags.format === undefined && !table;
  const rows: Row[] = [];
  const onFinished = (job: Job, finished: Finished) => {
    rows.push({ job, finished });
    if (told) print([...toLines(job, finished, colours), ...stories(job, finished)].join('\n'));
  };
  await runJobs(jobs, flags.workers ?? 1, onFinished, keeping);
  if (flags.json === true)
    print(
      JSON.stringify(
        [...rows.map(({ job, finished }) => toResult(job, finished)), ...measurements.map(measurementResult)],
        null,
        2,
      ),
    );
  else if (flags.format === 'ktap') print(toKtap(rows, jobs.length));
  else if (flags.format === 'csv') print(toCsv(measurements));
  else {
    if (table && rows.length > 0) print(verdictTable(rows, colours));
    tellFigures(measurements, table && rows.length > 0, colours);
    if (!table && rows.length > 1) print(summary(rows, colours));
  }
  if (flags.trace !== undefined) writeTraces(flags.trace, rows);
  return status(rows, jobs.length);
}

/** @param isBehind something stands above them */
function tellFigures(measurements: readonly Measurement[], isBehind: boolean, colours: Colours): void {
  if (measurements.length > 0 && isBehind) print('');
  for (const measurement of measurements) print(measurementLines(measurement, colours).join('\n'));
}

/** The shortest counterexample as a story; where more is broken, a line for each that tells how to see it. */
function stories(job: Job, finished: Finished): string[] {
  const [first, ...others] = finished.broken;
  if (first === undefined) return [''];
  const colours = coloursFor(process.stdout);
  const tokens = finished.broken.map((broken) => toToken(traceOf(job, broken)));
  const story = tellStory(newRun(job), first.invariant, first.run, tokens[0], colours);
  const same = JSON.stringify(first.run);
  const also = others.flatMap(({ invariant, run }, i) => {
    if (invariant === 'OPEN')
      return [`  also reached: a state that ${wordsOf('OPEN', job.definition.model).clause} leaves open`];
    const name = `${invariant} ${INVARIANTS[invariant].name}`;
    if (JSON.stringify(run) === same) return [`  the same run breaks ${name}: ${INVARIANTS[invariant].meaning}`];
    return [`  also broken: ${name}, in ${run.length} steps`, colours.dim(`  replay: pinhole replay ${tokens[i + 1]}`)];
  });
  return ['', story, ...also, ''];
}

/** Fails before a long search, not after it. */
function checkWritable(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw notWritable(file, error);
  }
}

function notWritable(file: string, error: unknown): UsageError {
  return new UsageError(`${file}: cannot be written (${(error as Error).message}); name a file that can`);
}

function writeTraces(file: string, rows: readonly Row[]): void {
  const traces = rows.flatMap(({ job, finished }) =>
    finished.broken.map((broken) => {
      const { steps } = replay(newRun(job).fresh(), broken.run);
      return toJson(
        traceOf(job, broken),
        steps.map((step) => `${step.agent}: ${step.lines[0]?.text ?? 'goes on'}`),
      );
    }),
  );
  try {
    writeFileSync(file, `${JSON.stringify(traces.length === 1 ? traces[0] : traces, null, 2)}\n`);
  } catch (error) {
    throw notWritable(file, error);
  }
}

function status(rows: readonly Row[], jobs: number): number {
  if (rows.length < jobs || rows.some(({ finished }) => finished.interrupted)) return EXIT.interrupted;
  if (rows.some(({ job, finished }) => !isAsExpected(job, finished))) return EXIT.differs;
  if (rows.some(({ finished }) => finished.verdict === 'bounded')) return EXIT.bound;
  return EXIT.fine;
}
