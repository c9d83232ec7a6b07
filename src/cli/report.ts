/** What a run comes to: a line for people, an object for scripts. */
import { INVARIANTS, MODELS, wordsOf } from '../cases/index.ts';
import type { Finished, Job } from './job.ts';
import { isAsExpected, traceOf } from './job.ts';
import type { Colours } from './story.ts';
import { toToken } from './trace.ts';

/** The object of `check --json` (DESIGN §6). Keys are only ever added. */
export function toResult(job: Job, finished: Finished): Record<string, unknown> {
  const { definition, variant, profile, mutant } = job;
  const found = finished.broken.map((broken) => {
    const { id, name } = INVARIANTS[broken.invariant];
    const { clause } = wordsOf(broken.invariant, definition.model);
    return {
      invariant: id,
      name,
      clause,
      steps: broken.run.length,
      shortest: broken.shortest,
      blocks: broken.blocks,
      trace: toToken(traceOf(job, broken)),
    };
  });
  const [first] = found;
  const open = found.find(({ invariant }) => invariant === 'OPEN');
  return {
    case: definition.id,
    title: definition.title,
    thread: definition.thread ?? null,
    variant,
    model: definition.model,
    profile: profile.name,
    expected: finished.expected,
    verdict: finished.verdict,
    invariant: first === undefined || first === open ? null : first.invariant,
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
    violations: found.filter((each) => each !== open),
    lacks: finished.lacks,
    mutant,
    file: job.file,
    transitions: finished.transitions,
    expectedCollisions: finished.expectedCollisions,
    notes: notes(job, finished),
    interrupted: finished.interrupted,
    rules: finished.rules,
    bytesPerState: Number(finished.bytesPerState.toFixed(1)),
    stepsExact: first?.shortest ?? null,
    without: job.without,
    sample: job.sample ?? null,
    // Where the specification leaves open what happens, though nothing breaks or something else does.
    open: open ?? null,
    // To go on with.
    checkpoint: finished.checkpoint?.isKept === true ? finished.checkpoint.file : null,
  };
}

/** What a reader of the verdict must know besides. */
export function notes(job: Job, finished: Finished): string[] {
  const out: string[] = [];
  for (const feature of finished.lacks) {
    out.push(
      feature === 'drain'
        ? MODELS[job.definition.model].withoutDrain
        : `the model has no ${feature}: a bug that needs one cannot be seen here`,
    );
  }
  if (finished.verdict === 'undefined') {
    const { clause } = wordsOf('OPEN', job.definition.model);
    out.push(`${clause} leaves open what happens; in every way in which it may go on, no invariant of the case breaks`);
  }
  if (finished.interrupted) out.push('interrupted: the search is not complete');
  else if (job.sample?.kind === 'random' && finished.verdict === 'bounded')
    out.push(
      `${job.sample.runs.toLocaleString('en')} random runs (seed ${job.sample.seed}) broke nothing, which proves nothing`,
    );
  else if (job.sample !== undefined && finished.verdict === 'bounded')
    out.push(`nothing is known of runs with more than ${job.sample.maxPreemptions} preemptions`);
  else if (!finished.exhausted && finished.verdict === 'bounded') out.push(stopped(job, finished));
  if (finished.checkpoint !== null) out.push(kept(finished.checkpoint, finished.interrupted));
  const unexplained = finished.unfiredRules.filter((rule) => job.definition.unfired?.[rule] === undefined);
  if (finished.verdict === 'holds' && unexplained.length > 0) {
    out.push(`never used: ${unexplained.join(', ')}; does the case do what it is meant to?`);
  }
  return out;
}

function kept({ file, isKept }: NonNullable<Finished['checkpoint']>, interrupted: boolean): string {
  if (!isKept) return `what was found since the last checkpoint is lost: it could not be saved in ${file}`;
  return `saved: --resume ${file}${interrupted ? '' : ' with a larger --max-states'} goes on from here`;
}

/** Why a search ended before it had seen all. */
function stopped({ maxStates }: Job, { states }: Finished): string {
  const [at, why] =
    states < maxStates ? [states, 'as there is no memory for more'] : [maxStates, 'before the search was exhausted'];
  const mend = states < maxStates ? '--random takes some runs instead of all' : '--max-states raises the bound';
  return `stopped at ${at.toLocaleString('en')} states, ${why}: nothing is known of what lies behind (${mend})`;
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

/** The line of one run, its figures, and what else is to be known of it. */
export function toLines(job: Job, finished: Finished, colours: Colours): string[] {
  const { definition, variant, profile, mutant } = job;
  const { verdict, expected, exhausted, broken, states, depth, seconds } = finished;
  const nameOf = (id: string) => (id === 'OPEN' ? 'left open' : id);
  const name = `${definition.id} ${variant}${mutant === null ? '' : ` + ${mutant}`} (${profile.name})`;
  const said = `${verdictText(job, finished, colours)}${finished.interrupted ? ' (interrupted)' : ''}`;
  const expectation = verdict === expected ? 'as expected' : `expected: ${expected}`;
  const what = broken
    .map((b) => `; ${nameOf(b.invariant)} in ${b.shortest ? '' : 'at most '}${b.run.length} steps, ${b.blocks} blocks`)
    .join('');
  const figures = [`${states.toLocaleString('en')} states`, `depth ${depth}`, `${seconds.toFixed(2)} s`];
  if (verdict !== 'violated') {
    figures.unshift(exhausted ? 'exhausted' : 'not exhausted');
    figures.push(`expected hash collisions ${collisions(finished.expectedCollisions)}`);
  }
  const below = [figures.join(', '), ...notes(job, finished)];
  if (verdict === 'holds') below.push(...reasons(job, finished));
  return [`${colours.bold(name)}: ${said}, ${expectation}${what}`, ...below.map((text) => colours.dim(`  ${text}`))];
}

/** Why rules of the hardware were never used, as the case explains it; those with one reason in one line. */
function reasons({ definition }: Job, { unfiredRules }: Finished): string[] {
  const rulesOf = new Map<string, string[]>();
  for (const rule of unfiredRules) {
    const reason = definition.unfired?.[rule];
    if (reason !== undefined) rulesOf.set(reason, [...(rulesOf.get(reason) ?? []), rule]);
  }
  return [...rulesOf].map(([reason, rules]) => `never used: ${rules.join(', ')}: ${reason}`);
}
