/** A thread of `check --workers`: runs the jobs that it is sent, one at a time. */
import { parentPort } from 'node:worker_threads';
import type { CaseRun } from '../cases/index.ts';
import { DepthFirst, OpenStates, SharedFingerprintSet, SharedWork } from '../explore/index.ts';
import type { Job, Progress } from './job.ts';
import { newRun } from './job.ts';
import type { Order, Report } from './runner.ts';
import { runWatched } from './runner.ts';
import { selectJobs } from './select.ts';
import type { Part, Share } from './shared-run.ts';
import { UsageError } from './usage-error.ts';
import { failureOf } from './user-case/failure.ts';

let stopped = false;
/** A job whose search this thread is to take part in, and its machine. */
let joined: { readonly job: Job; readonly run: CaseRun } | null = null;

function report(message: Report): void {
  parentPort?.postMessage(message);
}

async function carryOut(order: Order): Promise<void> {
  const { name, id, variant, profile, mutant, maxStates } = order;
  try {
    const jobs = await selectJobs([name], {
      variant,
      profile,
      mutant: mutant ?? undefined,
      maxStates,
      without: order.without,
      sample: order.sample,
    });
    const job = jobs.find((j) => j.definition.id === id);
    if (job === undefined) throw new Error(`${name} has no case ${id} in this thread`);
    if (order.joins) {
      joined = { job, run: newRun(job) };
      report({ kind: 'ready' });
      return;
    }
    const onProgress = (progress: Progress) => report({ kind: 'progress', progress });
    const finished = await runWatched(job, { onProgress, isStopped: () => stopped });
    report({ kind: 'finished', finished });
  } catch (error) {
    tell(error);
  }
}

function tell(error: unknown): void {
  if (error instanceof UsageError) report({ kind: 'refused', message: error.message });
  else report({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

/** This thread's part of a shared search, to its end. */
function takePart(share: Share): void {
  try {
    if (joined === null) throw new Error('a part of a search before its job');
    report({ kind: 'part', part: searchedPart(joined.job, joined.run, share) });
  } catch (error) {
    const file = joined?.job.file ?? null;
    tell(file === null ? error : failureOf(error, file));
  }
}

function searchedPart(job: Job, run: CaseRun, share: Share): Part {
  const visited = new SharedFingerprintSet(share.visited);
  const { instance, properties } = run;
  const search = new DepthFirst(instance, { properties, visited, ample: !job.without.includes('ample') });
  search.close(share.broken);
  search.follow(new OpenStates(share.open));
  const part = (stacks: number[][]): Part => ({
    stacks,
    violations: search.violations,
    fired: instance.machine.rules.fired,
    reduced: search.reduced,
    cyclic: search.cyclic,
  });
  const work = new SharedWork(share.work);
  const ids = properties.map((p) => p.id);
  const left = work.run(share.thread, search, [...share.stacks], visited, ids, job.maxStates, (stacks) =>
    report({ kind: 'stands', part: part(stacks) }),
  );
  // Positions that only this thread has come to.
  run.verify();
  return part(left);
}

parentPort?.on('message', (message: Order | Share | 'stop') => {
  if (message === 'stop') stopped = true;
  else if ('thread' in message) takePart(message);
  else void carryOut(message);
});
