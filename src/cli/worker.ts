/** A thread of `check --workers`: runs the jobs that it is sent, one at a time. */
import { parentPort } from 'node:worker_threads';
import type { Order, Report } from './runner.ts';
import { runWatched } from './runner.ts';
import { selectJobs } from './select.ts';
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
    });
    const job = jobs.find((j) => j.definition.id === id);
    if (job === undefined) throw new Error(`${name} has no case ${id} in this thread`);
    const finished = await runWatched(
      job,
      (progress) => report({ kind: 'progress', progress }),
      () => stopped,
    );
    report({ kind: 'finished', finished });
  } catch (error) {
    if (error instanceof UsageError) report({ kind: 'refused', message: error.message });
    else report({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

parentPort?.on('message', (message: Order | 'stop') => {
  if (message === 'stop') stopped = true;
  else void carryOut(message);
});
