/** `pinhole replay`: takes a kept counterexample again. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { buildCommand } from '@stricli/core';
import type { CaseRun } from '../../cases/index.ts';
import { INVARIANTS } from '../../cases/index.ts';
import { replay } from '../../explore/index.ts';
import type { Job } from '../job.ts';
import { newRun } from '../job.ts';
import { selectJobs } from '../select.ts';
import { walk } from '../step.ts';
import { laneLines, tellStory } from '../story.ts';
import { coloursFor, print } from '../terminal.ts';
import type { Trace } from '../trace.ts';
import { fromJson, fromToken, isToken, toToken } from '../trace.ts';
import { UsageError } from '../usage-error.ts';
import { failureOf } from '../user-case/failure.ts';
import { guarded, PORTION_LIMIT_MS, within } from '../watchdog.ts';

interface ReplayFlags {
  readonly step?: boolean;
}

export const replayCommand = buildCommand<ReplayFlags, [string, string?]>({
  docs: {
    brief: 'take a counterexample again; exit 1 where it no longer reproduces',
    customUsage: ['TRACE [FILE.ts] [--step]'],
  },
  parameters: {
    flags: {
      step: {
        kind: 'boolean',
        optional: true,
        withNegated: false,
        brief: 'step by step, forth and back, on a terminal',
      },
    },
    positional: {
      kind: 'tuple',
      parameters: [
        {
          brief: "a token that 'check' printed, or a file that 'check --trace' wrote",
          parse: String,
          placeholder: 'TRACE',
        },
        {
          brief: 'where the case of your own is now, if not where it was',
          parse: String,
          placeholder: 'FILE.ts',
          optional: true,
        },
      ],
    },
  },
  async func(flags, source, file) {
    if (flags.step === true && !(process.stdin.isTTY && process.stdout.isTTY))
      throw new UsageError('--step asks for Enter, and this is no terminal; leave it out');
    let failed = false;
    for (const trace of read(source)) {
      const moved = file === undefined || trace.file === null ? trace : { ...trace, file };
      failed = !(await replayOne(moved, flags.step === true)) || failed;
    }
    process.exitCode = failed ? 1 : 0;
  },
});

function read(source: string): Trace[] {
  if (isToken(source)) return [fromToken(source)];
  let text: string;
  try {
    text = readFileSync(source, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${source}: cannot be read (${(error as Error).message}); give a trace file, or a token that begins with 'ph1.'`,
    );
  }
  const trimmed = text.trim();
  return isToken(trimmed) ? [fromToken(trimmed)] : fromJson(text, source);
}

/** @returns whether the same invariant still breaks in the same state */
async function replayOne(trace: Trace, stepwise: boolean): Promise<boolean> {
  const { variant, profile, mutant } = trace;
  const jobs = await selectJobs([trace.file ?? trace.case], {
    variant,
    profile,
    ...(mutant === null ? {} : { mutant }),
  });
  const job = jobs.find((j) => j.definition.id === trace.case);
  if (job === undefined) throw new UsageError(`${trace.file}: holds no case '${trace.case}' any more; check it again`);
  try {
    const run = newRun(job, job.file === null ? {} : { guarded });
    const again = () => tell(job, run, trace);
    // The operations of a user's own case are watched.
    const [text, reproduced] = job.file === null ? again() : within(PORTION_LIMIT_MS, again);
    if (stepwise && reproduced) await walkOnTerminal(run, trace);
    else print(text);
    return reproduced;
  } catch (error) {
    throw job.file === null ? error : failureOf(error, job.file);
  }
}

async function walkOnTerminal(run: CaseRun, trace: Trace): Promise<void> {
  const input = createInterface({ input: process.stdin });
  await walk(run, trace.invariant, trace.decisions, input, print, coloursFor(process.stdout));
  input.close();
}

/** What is to be said of a trace, and whether it reproduces. */
function tell(job: Job, run: CaseRun, trace: Trace): [text: string, reproduced: boolean] {
  const colours = coloursFor(process.stdout);
  const instance = run.fresh();
  const told = replay(instance, trace.decisions);
  const { id, name, broken } = INVARIANTS[trace.invariant];
  const of = `${job.definition.id} ${job.variant}`;
  const differs = (what: string): [string, boolean] => {
    const verdict = colours.red(`no longer reproduces: ${what}; check the case again`);
    return [[...laneLines(told.steps, colours), '', verdict].join('\n'), false];
  };
  if (told.failedAt >= 0) {
    const { agent } = trace.decisions[told.failedAt];
    const who = instance.agents[agent]?.name ?? `agent ${agent}, which there is not`;
    const next = instance.actors[agent]?.next();
    const step = `step ${told.failedAt + 1} of ${trace.decisions.length} of ${of}`;
    return differs(`${step}, by ${who}, cannot be taken${next ? ` (it is at '${next}')` : ''}`);
  }
  if (!(id === 'I9' ? told.deadlocked || told.recurs >= 0 : broken(told.facts)))
    return differs(`${id} ${name} of ${of} is not broken in the last step`);
  if (told.fingerprint !== trace.fingerprint)
    return differs(`${id} ${name} of ${of} is broken, but in another state than when the trace was kept`);
  const story = tellStory(run, trace.invariant, trace.decisions, toToken(trace), colours);
  return [`${story}\n${colours.green(`reproduced: the same run, the same state (${told.fingerprint})`)}`, true];
}
