/** A thread of `check --workers`: runs the jobs that it is sent, one at a time. */
import { parentPort } from 'node:worker_threads';
import { DepthFirst, SharedFingerprintSet, SharedWork } from '../explore/index.ts';
import type { Job, Progress } from './job.ts';
import { newRun } from './job.ts';
import type { Order, Report } from './runner.ts';
import { runWatched } from './runner.ts';
import { selectJobs } from './select.ts';
import type { Part, Share } from './shared-run.ts';
import { UsageError } from './usage-error.ts';

let stopped = false;

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
    if (order.share !== undefined) {
      report({ kind: 'part', part: takePart(job, order.share) });
      return;
    }
    const onProgress = (progress: Progress) => report({ kind: 'progress', progress });
    const finished = await runWatched(job, { onProgress, isStopped: () => stopped });
    report({ kind: 'finished', finished });
  } catch (error) {
    if (error instanceof UsageError) report({ kind: 'refused', message: error.message });
    else report({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

/** This thread's part of a shared search, to its end. */
function takePart(job: Job, share: Share): Part {
  const visited = new SharedFingerprintSet(share.visited);
  const run = newRun(job);
  const { instance, properties } = run;
  const search = new DepthFirst(instance, { properties, visited, ample: !job.without.includes('ample') });
  search.close(share.broken);
  const part = (stacks: number[][]): Part => ({
    stacks,
    violations: search.violations,
    fired: instance.machine.rules.fired,
    reduced: search.reduced,
    cyclic: search.cyclic,
  });
  const work = new SharedWork(share.work);
  const ids = properties.map((p) => p.id);
  work.run(share.thread, search, [...share.stacks], visited, ids, job.maxStates, (stacks) =>
    report({ kind: 'stands', part: part(stacks) }),
  );
  return part([]);
}

parentPort?.on('message', (message: Order | 'stop') => {
  if (message === 'stop') stopped = true;
  else void carryOut(message);
});
