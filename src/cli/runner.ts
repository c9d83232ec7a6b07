/** Runs jobs one after the other, or several at a time; Ctrl-C ends them with what they have. */
import { Worker } from 'node:worker_threads';
import type { Sample } from '../cases/index.ts';
import type { Reduction } from '../explore/index.ts';
import { ProgramError } from '../explore/index.ts';
import type { Finished, Job, Progress } from './job.ts';
import type { RunHooks } from './run-job.ts';
import { runJob } from './run-job.ts';
import type { Part } from './shared-run.ts';
import { ProgressLine } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { failureOf } from './user-case/failure.ts';
import { EndlessError } from './watchdog.ts';

/** What a worker is told to run; it finds the case itself, as functions cannot be sent. */
export interface Order {
  readonly name: string;
  readonly id: string;
  readonly variant: string;
  readonly profile: string;
  readonly mutant: string | null;
  readonly maxStates: number;
  readonly without: readonly Reduction[];
  readonly sample?: Sample;
  /** It is for a part of a search that several threads share, whose {@link Share} is sent once the thread is ready; a whole run if absent. */
  readonly joins?: boolean;
}

/** What a worker says. `refused`: a line for the user; `failed`: the stack of a bug of our own; `ready`, `stands`, `part`: of a shared search. */
export type Report =
  | { readonly kind: 'ready' }
  | { readonly kind: 'stands'; readonly part: Part }
  | { readonly kind: 'part'; readonly part: Part }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'finished'; readonly finished: Finished }
  | { readonly kind: 'refused' | 'failed'; readonly message: string };

/** A shell's status for Ctrl-C. */
export const INTERRUPTED = 130;

/** See {@link RunHooks}. */
export type Keeping = Pick<RunHooks, 'checkpoint' | 'resume'>;

type OnProgress = (progress: Progress) => void;
/** Runs one job; `isStopped` ends it early. */
type Execute = (job: Job, onProgress: OnProgress) => Promise<Finished>;

/** How a job ended: with a result, or with an error that ends the whole command. */
type End = { readonly finished: Finished } | { readonly error: unknown };

/**
 * Runs jobs and tells of them in their order, whatever the number of workers. Where one fails, those before it are told of first.
 * @param workers jobs at the same time, each in a thread of its own; where there is one job, threads that share its search. 1 is this thread
 * @param keeping what is done so that an interrupted search can go on; of one job only
 * @param onFinished called for each job, in the order of the jobs
 */
export async function runJobs(
  jobs: readonly Job[],
  workers: number,
  onFinished: (job: Job, finished: Finished) => void,
  keeping: Keeping = {},
): Promise<void> {
  const line = new ProgressLine();
  const onWarning = (text: string) => {
    line.clear();
    process.stderr.write(`pinhole: ${text}\n`);
  };
  const lanes = Array.from({ length: Math.min(workers, jobs.length) }, () =>
    jobs.length === 1 || workers === 1 ? hereLane({ ...keeping, workers, onWarning }) : threadLane(),
  );
  let stopped = false;
  let failed = false;
  const stop = () => {
    // A second Ctrl-C is from somebody who does not want to wait.
    if (stopped) process.exit(INTERRUPTED);
    stopped = true;
    for (const lane of lanes) lane.stop();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const ends: (End | undefined)[] = [];
  let next = 0;
  let told = 0;
  const work = async (execute: Execute): Promise<void> => {
    while (next < jobs.length && !stopped && !failed) {
      const i = next++;
      try {
        ends[i] = { finished: await execute(jobs[i], (p) => line.show(jobs[i], i, jobs.length, p)) };
      } catch (error) {
        ends[i] = { error };
        failed = true;
      }
      line.clear();
      for (let end = ends[told]; end !== undefined && 'finished' in end; end = ends[told]) {
        onFinished(jobs[told++], end.finished);
      }
    }
  };
  try {
    await Promise.all(lanes.map((lane) => work(lane.execute)));
  } finally {
    line.clear();
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
    for (const lane of lanes) lane.close();
  }
  const end = ends[told];
  if (end !== undefined && 'error' in end) throw end.error;
}

interface LaneOfWork {
  readonly execute: Execute;
  stop(): void;
  close(): void;
}

function hereLane(keeping: Keeping & Pick<RunHooks, 'workers' | 'onWarning'>): LaneOfWork {
  let stopped = false;
  return {
    execute: (job, onProgress) => runWatched(job, { ...keeping, onProgress, isStopped: () => stopped }),
    stop: () => {
      stopped = true;
    },
    close: () => {},
  };
}

/** How often a user's own case is run because it did not come back; on a busy machine, that may not be its fault. */
const ATTEMPTS = 5;

/** Runs a job in this thread. A user's own code is watched; ours is not, it has tests. */
export async function runWatched(job: Job, hooks: RunHooks): Promise<Finished> {
  if (job.file === null) return runJob(job, 'nothing', hooks);
  for (let attempt = 1; ; attempt++) {
    try {
      return await runJob(job, attempt === 1 ? 'portions' : 'programs', hooks);
    } catch (error) {
      const endless = error instanceof ProgramError ? error.thrown : error;
      const again = endless instanceof EndlessError && (attempt === 1 || endless.stalled);
      if (!again || attempt === ATTEMPTS) throw failureOf(error, job.file);
    }
  }
}

function threadLane(): LaneOfWork {
  const worker = startWorker();
  return {
    execute: (job, onProgress) =>
      new Promise((resolve, reject) => {
        const settle = (run: () => void) => {
          worker.off('message', onMessage);
          worker.off('error', onError);
          worker.off('exit', onExit);
          run();
        };
        const onError = (error: unknown) => settle(() => reject(error));
        const onExit = () => settle(() => reject(new Error('a thread ended before its job')));
        const onMessage = (report: Report) => {
          if (report.kind === 'progress') onProgress(report.progress);
          else if (report.kind === 'finished') settle(() => resolve(report.finished));
          else if (report.kind === 'refused') settle(() => reject(new UsageError(report.message)));
          else if (report.kind === 'failed') settle(() => reject(new Error(report.message)));
        };
        worker.on('message', onMessage);
        worker.on('error', onError);
        worker.on('exit', onExit);
        worker.postMessage(orderOf(job));
      }),
    stop: () => worker.postMessage('stop'),
    close: () => void worker.terminate(),
  };
}

export function orderOf(job: Job): Order {
  const { definition, file, variant, profile, mutant, maxStates, without, sample } = job;
  const name = file ?? definition.id;
  return {
    name,
    id: definition.id,
    variant,
    profile: profile.name,
    mutant,
    maxStates,
    without,
    ...(sample && { sample }),
  };
}

/** In a checkout the worker's module is TypeScript, which a thread of Node 20 runs only after it has registered tsx itself. */
export function startWorker(): Worker {
  const here = import.meta.url;
  if (!here.endsWith('.ts')) return new Worker(new URL('./worker.js', here));
  const [tsx, module] = [import.meta.resolve('tsx/esm/api'), new URL('./worker.ts', here).href];
  const start = `import(${JSON.stringify(tsx)}).then((api) => { api.register(); return import(${JSON.stringify(module)}); });`;
  return new Worker(start, { eval: true });
}
