/** One run of the checker: a case's variant under a profile, and what came of it, as plain data. */
import type { Case, Feature, InvariantId, ModelName, ProfileOf, RunOptions, Sample, Verdict } from '../cases/index.ts';
import { CaseRun } from '../cases/index.ts';
import type { Decision, Reduction } from '../explore/index.ts';
import type { Trace } from './trace.ts';

export interface Job {
  readonly definition: Case;
  /** File of a user's own case, as it was given. */
  readonly file: string | null;
  readonly variant: string;
  readonly profile: ProfileOf[ModelName];
  readonly mutant: string | null;
  /** Distinct states to stop at. */
  readonly maxStates: number;
  /** Reductions to do without. */
  readonly without: readonly Reduction[];
  /** Some runs instead of all. */
  readonly sample?: Sample;
}

export interface BrokenInvariant {
  readonly invariant: InvariantId;
  readonly run: readonly Decision[];
  readonly blocks: number;
  /** No run that breaks it is shorter; else `run.length` is an upper bound. */
  readonly shortest: boolean;
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
  readonly rules: Readonly<Record<string, number>>;
  readonly bytesPerState: number;
  readonly lacks: readonly Feature[];
  readonly expectedCollisions: number;
  readonly seconds: number;
  /** Somebody pressed Ctrl-C. */
  readonly interrupted: boolean;
  /** Where there is something to go on with, and it was to be saved; `isKept`: the last save had all that there was. */
  readonly checkpoint: { readonly file: string; readonly isKept: boolean } | null;
}

/** What a run that is under way has done so far. */
export interface Progress {
  readonly states: number;
  readonly depth: number;
  readonly frontier: number;
  readonly seconds: number;
}

/**
 * States at which a run stops if nobody says otherwise: more than that would want more memory than a small machine has (10 to 14 bytes a
 * state; more while a counterexample is looked for).
 */
export const DEFAULT_MAX_STATES = 50_000_000;

export function newRun(job: Job, options: RunOptions = {}): CaseRun {
  return new CaseRun(job.definition, job.variant, job.profile, {
    ...options,
    maxStates: job.maxStates,
    mutant: job.mutant,
    without: job.without,
  });
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
