/** What a run comes to: a line for people, an object for scripts. */
import { INVARIANTS } from '../cases/index.ts';
import type { Finished, Job } from './job.ts';
import { isAsExpected, traceOf } from './job.ts';
import type { Colours } from './story.ts';
import { toToken } from './trace.ts';

/** The object of `check --json` (DESIGN §6). Keys are only ever added. */
export function toResult(job: Job, finished: Finished): Record<string, unknown> {
  const { definition, variant, profile, mutant } = job;
  const violations = finished.broken.map((broken) => {
    const { id, name, clause } = INVARIANTS[broken.invariant];
    return {
      invariant: id,
      name,
      clause,
      steps: broken.run.length,
      blocks: broken.blocks,
      trace: toToken(traceOf(job, broken)),
    };
  });
  const first = violations[0];
  return {
    case: definition.id,
    title: definition.title,
    thread: definition.thread ?? null,
    variant,
    model: definition.model,
    profile: profile.name,
    expected: finished.expected,
    verdict: finished.verdict,
    invariant: first?.invariant ?? null,
    clause: first?.clause ?? null,
    steps: first?.steps ?? null,
    blocks: first?.blocks ?? null,
    states: finished.states,
    depth: finished.depth,
    exhausted: finished.exhausted,
    unfiredRules: finished.unfiredRules,
    figures: {},
    seconds: Number(finished.seconds.toFixed(3)),
    trace: first?.trace ?? null,
    violations,
    lacks: finished.lacks,
    mutant,
    file: job.file,
    transitions: finished.transitions,
    expectedCollisions: finished.expectedCollisions,
    notes: notes(job, finished),
    interrupted: finished.interrupted,
  };
}

/** What a reader of the verdict must know besides. */
export function notes(job: Job, finished: Finished): string[] {
  const out: string[] = [];
  for (const feature of finished.lacks) {
    out.push(
      feature === 'drain'
        ? 'this model drains nothing, whatever CAP says'
        : `the model has no ${feature}: a bug that needs one cannot be seen here`,
    );
  }
  if (finished.interrupted) out.push('interrupted: the search is not complete');
  else if (!finished.exhausted && finished.verdict === 'bounded')
    out.push('a bound was hit before the search was exhausted');
  const unexplained = finished.unfiredRules.filter((rule) => job.definition.unfired?.[rule] === undefined);
  if (finished.verdict === 'holds' && unexplained.length > 0) {
    out.push(`never used by the hardware: ${unexplained.join(', ')}; does the case do what it is meant to?`);
  }
  return out;
}

export function verdictText(job: Job, finished: Finished, colours: Colours): string {
  const right = isAsExpected(job, finished) && finished.verdict !== 'bounded';
  const paint = finished.verdict === 'bounded' ? colours.yellow : right ? colours.green : colours.red;
  return paint(finished.verdict);
}

/** Expected number of states lost to equal fingerprints, as people write it. */
export function collisions(expected: number): string {
  return expected === 0 ? '0' : expected.toExponential(1);
}

/** The line, and the notes below it, of one run. */
export function toLines(job: Job, finished: Finished, colours: Colours): string[] {
  const { definition, variant, profile, mutant } = job;
  const name = `${definition.id} ${variant}${mutant === null ? '' : ` + ${mutant}`} (${profile.name})`;
  const expectation = finished.verdict === finished.expected ? 'as expected' : `expected: ${finished.expected}`;
  const what =
    finished.verdict === 'violated'
      ? finished.broken.map((b) => `${b.invariant} in ${b.run.length} steps, ${b.blocks} blocks`).join('; ')
      : `${finished.exhausted ? 'exhausted' : 'not exhausted'}, expected hash collisions ${collisions(finished.expectedCollisions)}`;
  const figures = `${finished.states.toLocaleString('en')} states, depth ${finished.depth}, ${finished.seconds.toFixed(2)} s`;
  const head = `${colours.bold(name)}: ${verdictText(job, finished, colours)}, ${expectation}; ${what}; ${figures}`;
  const explained = finished.unfiredRules.filter((rule) => definition.unfired?.[rule] !== undefined);
  const reasons =
    finished.verdict === 'holds' ? explained.map((rule) => `${rule} is never used: ${definition.unfired?.[rule]}`) : [];
  return [head, ...[...notes(job, finished), ...reasons].map((text) => colours.dim(`  ${text}`))];
}
