/** Runs jobs one after the other, or several at a time; Ctrl-C ends them with what they have. */
import type { RunOptions } from '../cases/index.ts';
import type { Finished, Job } from './job.ts';
import { runJob } from './job.ts';
import { ProgressLine } from './terminal.ts';
import { failureOf } from './user-case/failure.ts';
import { guarded } from './watchdog.ts';

/** @param onFinished called for each job, in the order of the jobs */
export async function runJobs(
  jobs: readonly Job[],
  _workers: number,
  onFinished: (job: Job, finished: Finished) => void,
): Promise<void> {
  const progress = new ProgressLine();
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  process.once('SIGINT', stop);
  try {
    for (let i = 0; i < jobs.length && !stopped; i++) {
      const job = jobs[i];
      const finished = await guardedRun(
        job,
        (p) => progress.show(job, i, jobs.length, p),
        () => stopped,
      );
      progress.clear();
      onFinished(job, finished);
    }
  } finally {
    progress.clear();
    process.removeListener('SIGINT', stop);
  }
}

/** A user's own code is watched; ours is not, it has tests. */
async function guardedRun(
  job: Job,
  onProgress: Parameters<typeof runJob>[2],
  isStopped: () => boolean,
): Promise<Finished> {
  if (job.file === null) return runJob(job, {}, onProgress, isStopped);
  const options: RunOptions = { guarded };
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 100;
  try {
    return await runJob(job, options, onProgress, isStopped);
  } catch (error) {
    throw failureOf(error, job.file);
  } finally {
    Error.stackTraceLimit = limit;
  }
}
