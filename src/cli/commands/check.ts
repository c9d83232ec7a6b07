/** `pinhole check`: runs cases, prints verdicts and counterexamples. */
import { writeFileSync } from 'node:fs';
import { buildCommand } from '@stricli/core';
import { replay } from '../../explore/index.ts';
import type { Finished, Job } from '../job.ts';
import { isAsExpected, newRun, traceOf } from '../job.ts';
import { toLines, toResult } from '../report.ts';
import { INTERRUPTED, runJobs } from '../runner.ts';
import { selectJobs } from '../select.ts';
import { tellStory } from '../story.ts';
import type { Row } from '../table.ts';
import { summary, verdictTable } from '../table.ts';
import { coloursFor, print } from '../terminal.ts';
import { toJson, toToken } from '../trace.ts';
import { UsageError } from '../usage-error.ts';

export interface CheckFlags {
  readonly variant?: string;
  readonly profile?: string;
  readonly mutant?: string;
  readonly tag?: string;
  readonly json?: boolean;
  readonly table?: boolean;
  readonly workers?: number;
  readonly maxStates?: number;
  readonly trace?: string;
}

/** Exit statuses of `check` (DESIGN §6). */
const EXIT = { fine: 0, differs: 1, bound: 3, interrupted: INTERRUPTED } as const;

/** A positive whole number. */
function count(text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < 1 || !Number.isSafeInteger(n))
    throw new UsageError(`'${text}' is no number of them; give a whole number from 1 up`);
  return n;
}

export const checkCommand = buildCommand<CheckFlags, string[]>({
  docs: { brief: 'run cases: verdicts, and the shortest run that breaks each invariant' },
  parameters: {
    flags: {
      variant: { kind: 'parsed', parse: String, optional: true, brief: 'only this variant', placeholder: 'V' },
      profile: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'what the hardware does: spec (default), qemu-10',
        placeholder: 'P',
      },
      mutant: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'with this deliberate mistake (see list)',
        placeholder: 'M',
      },
      tag: { kind: 'parsed', parse: String, optional: true, brief: 'only cases with this tag', placeholder: 'T' },
      json: { kind: 'boolean', optional: true, withNegated: false, brief: 'one JSON array, an object per run' },
      table: { kind: 'boolean', optional: true, withNegated: false, brief: 'the verdict table only' },
      workers: {
        kind: 'parsed',
        parse: count,
        optional: true,
        brief: 'runs at the same time (default 1)',
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
    },
    positional: {
      kind: 'array',
      parameter: { brief: 'case id, letter of an argument, or file', parse: String, placeholder: 'CASE' },
    },
  },
  async func(flags, ...names) {
    const jobs = await selectJobs(names, flags);
    process.exitCode = await check(jobs, names.length, flags);
  },
});

async function check(jobs: readonly Job[], named: number, flags: CheckFlags): Promise<number> {
  const colours = coloursFor(process.stdout);
  const table = flags.table === true || named === 0;
  const told = flags.json !== true && !table;
  const rows: Row[] = [];
  await runJobs(jobs, flags.workers ?? 1, (job, finished) => {
    rows.push({ job, finished });
    if (told) print([...toLines(job, finished, colours), ...stories(job, finished)].join('\n'));
  });
  if (flags.json === true)
    print(
      JSON.stringify(
        rows.map(({ job, finished }) => toResult(job, finished)),
        null,
        2,
      ),
    );
  else if (table) print(verdictTable(rows, colours));
  else if (rows.length > 1) print(summary(rows, colours));
  if (flags.trace !== undefined) writeTraces(flags.trace, rows);
  return status(rows, jobs.length);
}

function stories(job: Job, finished: Finished): string[] {
  const colours = coloursFor(process.stdout);
  return finished.broken.flatMap((broken) => {
    const token = toToken(traceOf(job, broken));
    return ['', tellStory(newRun(job), broken.invariant, broken.run, token, colours), ''];
  });
}

function writeTraces(file: string, rows: readonly Row[]): void {
  const traces = rows.flatMap(({ job, finished }) =>
    finished.broken.map((broken) => {
      const { steps } = replay(newRun(job).fresh(), broken.run);
      return toJson(
        traceOf(job, broken),
        steps.map((step) => `${step.agent}: ${step.lines[0]?.text ?? ''}`),
      );
    }),
  );
  try {
    writeFileSync(file, `${JSON.stringify(traces.length === 1 ? traces[0] : traces, null, 2)}\n`);
  } catch (error) {
    throw new UsageError(`${file}: cannot be written (${(error as Error).message}); name a file that can`);
  }
}

function status(rows: readonly Row[], jobs: number): number {
  if (rows.length < jobs || rows.some(({ finished }) => finished.interrupted)) return EXIT.interrupted;
  if (rows.some(({ job, finished }) => !isAsExpected(job, finished))) return EXIT.differs;
  if (rows.some(({ finished }) => finished.verdict === 'bounded')) return EXIT.bound;
  return EXIT.fine;
}
