/** Runs one job to its end: in portions, in several threads once it is large, saved at intervals. */
import type { CaseRun, InvariantId, Sample, SavedRun } from '../cases/index.ts';
import { SampledRun } from '../cases/index.ts';
import { ProgramError, replay } from '../explore/index.ts';
import type { CheckpointOf } from './checkpoint.ts';
import { checkSame, identityOf } from './checkpoint.ts';
import type { Finished, Job, Progress } from './job.ts';
import { newRun } from './job.ts';
import type { Checkpoint } from './saving.ts';
import { Saving } from './saving.ts';
import { decideShared, Team } from './shared-run.ts';
import { textOf } from './user-case/load.ts';
import { VERSION } from './version.ts';
import { EndlessError, guarded, PORTION_LIMIT_MS, within } from './watchdog.ts';

/** Length of a portion of the search, after which progress is shown and Ctrl-C is heard. */
const PORTION_MS = 40;

/**
 * What of a user's own case is interrupted where it does not come back. `portions`: the search, which costs nothing. `programs`: each
 * program from one operation to the next as well, which costs more than the search and tells where it is.
 */
export type Watch = 'nothing' | 'portions' | 'programs';

/** Transitions of a portion of a sample. */
const SAMPLE_PORTION = 20_000;

/** What a run tells, and how it is kept. */
export interface RunHooks {
  readonly onProgress: (progress: Progress) => void;
  /** Asked between portions; true ends the run with what it has. */
  readonly isStopped: () => boolean;
  /** Threads that share the search once it is large; 1 if absent. */
  readonly workers?: number;
  /** Where the run is saved, and how often. */
  readonly checkpoint?: Checkpoint;
  /** A run to go on with. */
  readonly resume?: { readonly file: string; readonly of: CheckpointOf; readonly saved: SavedRun };
  /** Told what went wrong, in a line, and ended nothing. */
  readonly onWarning?: (line: string) => void;
}

/** Transitions after which a search is worth several threads. It goes on in this one until they are ready, a second or so later. */
const SHARE_AFTER = 300_000;

/** Runs a job to its end. */
export async function runJob(job: Job, watch: Watch, hooks: RunHooks): Promise<Finished> {
  if (job.sample !== undefined) return runSampled(job, job.sample, watch, hooks);
  const { onProgress, isStopped, workers = 1, checkpoint, resume, onWarning = () => {} } = hooks;
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const run = watched(watch, () => newRun(job, watch === 'programs' ? { guarded } : {}));
  const of = checkpoint === undefined && resume === undefined ? null : describe(job, run);
  if (resume !== undefined && of !== null) {
    checkSame(resume.file, resume.of, of);
    run.restore(resume.saved);
  }
  const saving = checkpoint === undefined || of === null ? null : new Saving(checkpoint, of, onWarning);
  const save = (saved = run.whole()) => {
    if (saved !== null) saving?.save(saved);
  };
  let portion = 256;
  let over = false;
  let team: Team | null = null;
  // Where programs are watched one by one, it is to be told which one does not come back.
  let mayShare = workers > 1 && watch !== 'programs';
  try {
    while (!over && !isStopped()) {
      if (mayShare && run.isDeciding && run.search.transitions >= shareAfter()) {
        team ??= new Team(job, workers);
        if (process.env.PINHOLE_SHARE_AFTER !== undefined) await team.ready;
      }
      if (team?.isReady && run.isDeciding) {
        const tell = (p: Omit<Progress, 'seconds'>) => onProgress({ ...p, seconds: seconds() });
        const shared = await decideShared(job, run.search.whole(), team, {
          onProgress: tell,
          isStopped,
          wantsSave: () => saving?.isDue === true,
          onSave: (search) => save({ phase: 'deciding', search }),
        });
        team.close();
        // One thread, which is watched, tells what does not come back.
        if (shared === null) {
          team = null;
          mayShare = false;
          continue;
        }
        run.adopt(shared.decided);
        if (run.isCut) save({ phase: 'deciding', search: shared.left });
        continue;
      }
      const before = performance.now();
      const { isDeciding } = run;
      over = advance(run, portion, watch);
      // What is left is what there is to go on with, whatever is told of it afterwards.
      if (isDeciding && run.isCut) save({ phase: 'deciding', search: run.search.whole() });
      const took = performance.now() - before;
      if (took < PORTION_MS / 2) portion *= 2;
      else if (took > PORTION_MS * 2 && portion > 64) portion >>= 1;
      if (!over) {
        onProgress({ ...run.progress, seconds: seconds() });
        if (saving?.isDue) save();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  } finally {
    team?.close();
  }
  if (!over) save();
  const goesOn = !over || run.isCut;
  const kept = saving !== null && goesOn ? { file: saving.file, isKept: saving.isKept } : null;
  return { ...finishedOf(job, run, seconds(), !over), checkpoint: kept };
}

/** Some runs instead of all. */
async function runSampled(job: Job, sample: Sample, watch: Watch, hooks: RunHooks): Promise<Finished> {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const { definition, variant, profile, mutant, maxStates, without } = job;
  const options = { mutant, maxStates, without };
  const run = watched(watch, () => new SampledRun(definition, variant, profile, sample, options));
  let over = false;
  while (!over && !hooks.isStopped()) {
    over = watched(watch, () => run.advance(SAMPLE_PORTION));
    hooks.onProgress({ ...run.progress, seconds: seconds() });
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { ...finishedOf(job, run, seconds(), !over), checkpoint: null };
}

function finishedOf(
  job: Job,
  run: CaseRun | SampledRun,
  seconds: number,
  interrupted: boolean,
): Omit<Finished, 'checkpoint'> {
  const outcome = run.outcome();
  const broken = outcome.broken.map(({ invariant, run: steps, blocks, shortest }) => {
    const { fingerprint } = replay(run.fresh(), steps, false);
    return { invariant: invariant.id as InvariantId, run: steps, blocks, shortest, fingerprint };
  });
  const expected = job.mutant === null ? outcome.expected : 'violated';
  return { ...outcome, expected, broken, seconds, interrupted };
}

/** {@link SHARE_AFTER}, or what a test wants, which then waits for the threads. */
function shareAfter(): number {
  return Number(process.env.PINHOLE_SHARE_AFTER ?? SHARE_AFTER);
}

function describe(job: Job, run: CaseRun): CheckpointOf {
  const { definition, file, variant, profile, mutant, maxStates, without } = job;
  const identity = identityOf(definition, run.instance, file === null ? '' : textOf(file));
  return {
    pinhole: VERSION,
    case: definition.id,
    file,
    variant,
    profile: profile.name,
    mutant,
    maxStates,
    without,
    identity,
  };
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
  const { actors } = run.current;
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
