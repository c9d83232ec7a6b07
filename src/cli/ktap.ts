/** Verdicts as KTAP, the kernel's test format, for those who collect it already. */
import type { Finished, Job } from './job.ts';
import { isAsExpected } from './job.ts';
import { notes } from './report.ts';

/** A result line per run; one that is not exhausted is not ok, with its reason. */
export function toKtap(rows: readonly { readonly job: Job; readonly finished: Finished }[], planned: number): string {
  const out = ['KTAP version 1', `1..${planned}`];
  rows.forEach(({ job, finished }, i) => {
    const { definition, variant, profile, mutant } = job;
    const fine = isAsExpected(job, finished) && finished.verdict !== 'bounded' && !finished.interrupted;
    const name = [definition.id, variant, profile.name, ...(mutant === null ? [] : [mutant])].join('.');
    const why = finished.broken.map((b) => `${b.invariant} in ${b.run.length} steps`).join(', ');
    for (const note of notes(job, finished)) out.push(`# ${name}: ${note}`);
    out.push(
      `${fine ? 'ok' : 'not ok'} ${i + 1} ${name} # ${finished.verdict}${why === '' ? '' : `: ${why}`}, expected ${finished.expected}`,
    );
  });
  return out.join('\n');
}
