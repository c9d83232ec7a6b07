/** `pinhole replay`: takes a kept counterexample again. */
import { readFileSync } from 'node:fs';
import { buildCommand } from '@stricli/core';
import { INVARIANTS } from '../../cases/index.ts';
import { replay } from '../../explore/index.ts';
import type { Job } from '../job.ts';
import { newRun } from '../job.ts';
import { selectJobs } from '../select.ts';
import { laneLines, tellStory } from '../story.ts';
import { coloursFor, print } from '../terminal.ts';
import type { Trace } from '../trace.ts';
import { fromJson, fromToken, isToken, toToken } from '../trace.ts';
import { UsageError } from '../usage-error.ts';
import { failureOf } from '../user-case/failure.ts';
import { guarded } from '../watchdog.ts';

export const replayCommand = buildCommand<Record<never, never>, [string]>({
  docs: { brief: 'take a counterexample again; exit 1 where it no longer reproduces' },
  parameters: {
    flags: {},
    positional: {
      kind: 'tuple',
      parameters: [
        {
          brief: "a token that 'check' printed, or a file that 'check --trace' wrote",
          parse: String,
          placeholder: 'TRACE',
        },
      ],
    },
  },
  async func(_flags, source) {
    let failed = false;
    for (const trace of read(source)) failed = !(await replayOne(trace)) || failed;
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
async function replayOne(trace: Trace): Promise<boolean> {
  const { variant, profile, mutant } = trace;
  const jobs = await selectJobs([trace.file ?? trace.case], {
    variant,
    profile,
    ...(mutant === null ? {} : { mutant }),
  });
  const job = jobs.find((j) => j.definition.id === trace.case);
  if (job === undefined) throw new UsageError(`${trace.file}: holds no case '${trace.case}' any more; check it again`);
  try {
    return tell(job, trace);
  } catch (error) {
    throw job.file === null ? error : failureOf(error, job.file);
  }
}

function tell(job: Job, trace: Trace): boolean {
  const colours = coloursFor(process.stdout);
  const run = newRun(job, job.file === null ? {} : { guarded });
  const told = replay(run.fresh(), trace.decisions);
  const invariant = INVARIANTS[trace.invariant];
  const of = `${job.definition.id} ${job.variant}`;
  if (told.failedAt >= 0) {
    print(laneLines(told.steps, colours).join('\n'));
    const step = `step ${told.failedAt + 1} of ${trace.decisions.length}`;
    print(colours.red(`no longer reproduces: ${step} of ${of} cannot be taken any more; check the case again`));
    return false;
  }
  const broken = trace.invariant === 'I9' ? told.deadlocked : invariant.broken(told.facts);
  if (!broken) {
    print(laneLines(told.steps, colours).join('\n'));
    print(
      colours.red(
        `no longer reproduces: ${invariant.id} ${invariant.name} of ${of} is not broken in the last step; check the case again`,
      ),
    );
    return false;
  }
  print(tellStory(run, trace.invariant, trace.decisions, toToken(trace), colours));
  if (told.fingerprint !== trace.fingerprint) {
    print(
      colours.red(
        `no longer reproduces exactly: ${invariant.id} breaks, but in another state than when the trace was kept`,
      ),
    );
    return false;
  }
  print(colours.green(`reproduced: the same run, the same state (${told.fingerprint})`));
  return true;
}
