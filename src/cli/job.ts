/** One run of the checker: a case's variant under a profile, and what came of it, as plain data. */
import type { Case, Feature, InvariantId, RunOptions, Verdict } from '../cases/index.ts';
import { CaseRun } from '../cases/index.ts';
import type { Decision } from '../explore/index.ts';
import { ProgramError, replay } from '../explore/index.ts';
import type { VtdProfile } from '../iommu/vtd/index.ts';
import type { Trace } from './trace.ts';
import { EndlessError, guarded, PORTION_LIMIT_MS, within } from './watchdog.ts';

export interface Job {
  readonly definition: Case;
  /** File of a user's own case, as it was given. */
  readonly file: string | null;
  readonly variant: string;
  readonly profile: VtdProfile;
  readonly mutant: string | null;
  /** Distinct states to stop at. */
  readonly maxStates: number;
}

export interface BrokenInvariant {
  readonly invariant: InvariantId;
  readonly run: readonly Decision[];
  readonly blocks: number;
  readonly fingerprint: string;
}

export interface Finished {
  readonly expected: Verdict;
  readonly verdict: Verdict;
  /** The one that breaks in fewest steps first. */
  readonly broken: readonly BrokenInvariant[];
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  readonly exhausted: boolean;
  readonly unfiredRules: readonly string[];
  readonly lacks: readonly Feature[];
  readonly expectedCollisions: number;
  readonly seconds: number;
  /** Somebody pressed Ctrl-C. */
  readonly interrupted: boolean;
}

/** What a run that is under way has done so far. */
export interface Progress {
  readonly states: number;
  readonly depth: number;
  readonly frontier: number;
  readonly seconds: number;
}

/**
 * States at which a run stops if nobody says otherwise: more than that would want more memory than a small machine has (some 25 bytes a
 * state, and the frontier).
 */
export const DEFAULT_MAX_STATES = 50_000_000;

/** Length of a portion of the search, after which progress is shown and Ctrl-C is heard. */
const PORTION_MS = 40;

/**
 * What of a user's own case is interrupted where it does not come back. `portions`: the search, which costs nothing. `programs`: each
 * program from one operation to the next as well, which costs more than the search and tells where it is.
 */
export type Watch = 'nothing' | 'portions' | 'programs';

export function newRun(job: Job, options: RunOptions = {}): CaseRun {
  return new CaseRun(job.definition, job.variant, job.profile, {
    ...options,
    maxStates: job.maxStates,
    mutant: job.mutant,
  });
}

/**
 * Runs a job to its end in portions.
 * @param isStopped asked between portions; true ends the run with what it has
 */
export async function runJob(
  job: Job,
  watch: Watch,
  onProgress: (progress: Progress) => void,
  isStopped: () => boolean,
): Promise<Finished> {
  const start = performance.now();
  const run = watched(watch, () => newRun(job, watch === 'programs' ? { guarded } : {}));
  let portion = 256;
  let over = false;
  while (!over && !isStopped()) {
    const before = performance.now();
    over = advance(run, portion, watch);
    const took = performance.now() - before;
    if (took < PORTION_MS / 2) portion *= 2;
    else if (took > PORTION_MS * 2 && portion > 64) portion >>= 1;
    if (!over) {
      const { states, depth, frontier } = run.search;
      onProgress({ states, depth, frontier, seconds: (performance.now() - start) / 1000 });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const outcome = run.outcome();
  const broken = outcome.broken.map(({ invariant, run: steps, blocks }) => {
    const { fingerprint } = replay(run.fresh(), steps, false);
    return { invariant: invariant.id as InvariantId, run: steps, blocks, fingerprint };
  });
  const expected = job.mutant === null ? outcome.expected : 'violated';
  return { ...outcome, expected, broken, seconds: (performance.now() - start) / 1000, interrupted: !over };
}

function watched<T>(watch: Watch, call: () => T): T {
  return watch === 'nothing' ? call() : within(PORTION_LIMIT_MS, call);
}

function advance(run: CaseRun, portion: number, watch: Watch): boolean {
  try {
    return watched(watch, () => run.advance(portion));
  } catch (error) {
    // Programs come back, or have said so themselves: it is an operation.
    if (watch === 'programs' && error instanceof EndlessError && !error.stalled) throw endlessOperation(run);
    throw error;
  }
}

/** Whose operation did not come back: the one that does not come back now either. */
function endlessOperation(run: CaseRun): Error {
  const { actors } = run.search.instance;
  const next = actors.map((actor) => actor.next());
  const culprit = actors.findIndex((actor) => {
    try {
      guarded(() => actor.choices() > 0 && actor.step(0));
    } catch (error) {
      return error instanceof EndlessError;
    }
    return false;
  });
  const names = next.filter((name, i) => name !== null && (culprit < 0 || i === culprit)).map((name) => `'${name}'`);
  const message = `${names.join(' or ')} does not come back; an operation is one step, so wait with ready(), not with a loop`;
  if (culprit < 0) return new EndlessError(message);
  const suspended = actors[culprit].suspended();
  return new ProgramError(actors[culprit].name, next[culprit], message, { suspended });
}

/** The counterexample of a broken invariant, to be kept. */
export function traceOf(job: Job, broken: BrokenInvariant): Trace {
  return {
    case: job.definition.id,
    file: job.file,
    variant: job.variant,
    profile: job.profile.name,
    mutant: job.mutant,
    invariant: broken.invariant,
    decisions: broken.run,
    fingerprint: broken.fingerprint,
  };
}

/** Whether the verdict is what was expected; a user's own case is fine only if nothing is violated. */
export function isAsExpected(job: Job, finished: Finished): boolean {
  if (finished.interrupted || finished.verdict === 'bounded') return true;
  if (job.file !== null && finished.verdict === 'violated') return false;
  return finished.verdict === finished.expected;
}
