/** How a run is kept: at intervals, at a bound, on Ctrl-C, and what it comes to when it goes on from there. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import type { SavedRun } from '../cases/index.ts';
import { CASES } from '../cases/index.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { Finished, Job } from './job.ts';
import { DEFAULT_MAX_STATES } from './job.ts';
import { notes, toResult } from './report.ts';
import type { RunHooks } from './run-job.ts';
import { runJob } from './run-job.ts';

const folder = mkdtempSync(join(tmpdir(), 'pinhole-run-job-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => void vi.restoreAllMocks());

function jobOf(variant: string, maxStates = DEFAULT_MAX_STATES): Job {
  const definition = CASES.find((c) => c.id === 'D1');
  if (definition === undefined) throw new Error('no D1');
  return { definition, file: null, variant, profile: PROFILES[0], mutant: null, maxStates, without: [] };
}

function run(job: Job, hooks: Partial<RunHooks> = {}): Promise<Finished> {
  return runJob(job, 'nothing', { onProgress: () => {}, isStopped: () => false, ...hooks });
}

/** All but what is of this run alone. */
const figures = (finished: Finished) => ({ ...finished, seconds: 0, checkpoint: null });

/** States that a saved run has seen, in the search that it is in. */
const statesIn = (saved: SavedRun) =>
  saved.phase === 'deciding' ? saved.search.entries.length / 2 : (saved.shortest?.parents.length ?? 0);

/** Milliseconds from one look at the clock to the next: a portion of the search takes them, and is then neither made larger nor smaller. */
const TICK = 25;

/** A clock that goes on only where somebody looks at it. */
function slowly(): { now: number } {
  const clock = { now: 0 };
  vi.spyOn(performance, 'now').mockImplementation(() => (clock.now += TICK));
  return clock;
}

const everyTime = (file: string) => ({ checkpoint: { file, everyMs: 0 } });
const resumed = (file: string) => ({ ...everyTime(file), resume: { file, ...readCheckpoint(file) } });

describe('at intervals', () => {
  test('all that was shown as progress is in the file, but for what came since the last save', async () => {
    const file = join(folder, 'often');
    let shown = 0;
    let saves = 0;
    await run(jobOf('linux-5.11'), {
      ...everyTime(file),
      onProgress: ({ states }) => {
        if (shown > 0) {
          expect(statesIn(readCheckpoint(file).saved)).toBe(shown);
          saves++;
        }
        shown = states;
      },
    });
    expect(saves).toBeGreaterThan(3);
  });

  test('as often as they say, by the clock', async () => {
    const file = join(folder, 'seldom');
    const clock = slowly();
    const savedAt: number[] = [];
    let known = 0;
    await run(jobOf('linux-5.11'), {
      checkpoint: { file, everyMs: 1000 },
      onProgress: () => {
        const states = existsSync(file) ? statesIn(readCheckpoint(file).saved) : known;
        if (states !== known) savedAt.push(clock.now);
        known = states;
      },
    });
    const between = savedAt.map((at, i) => at - (savedAt[i - 1] ?? 0));
    expect(between.length).toBeGreaterThan(3);
    // Not before, and at the end of the next portion.
    expect(Math.min(...between)).toBeGreaterThanOrEqual(1000);
    expect(Math.max(...between)).toBeLessThan(1000 + 10 * TICK);
  });

  test('where it cannot be saved any more, it says so once, and goes on', async () => {
    const gone = mkdtempSync(join(folder, 'gone-'));
    const file = join(gone, 'file');
    const warnings: string[] = [];
    const job = jobOf('ideal', 5000);
    const finished = await run(job, {
      ...everyTime(file),
      onProgress: () => rmSync(gone, { recursive: true, force: true }),
      onWarning: (line) => warnings.push(line),
    });
    expect(warnings).toEqual([expect.stringContaining(`${file}: the checkpoint cannot be written (ENOENT`)]);
    expect(warnings[0]).toMatch(/; the search goes on, and is saved when that is possible again$/);
    expect(finished).toMatchObject({ verdict: 'bounded', states: 5000, checkpoint: { file, isKept: false } });
    expect(notes(job, finished).at(-1)).toBe(
      `what was found since the last checkpoint is lost: it could not be saved in ${file}`,
    );
    expect(toResult(job, finished).checkpoint).toBeNull();
  });
});

describe('gone on with, it comes to the same, to the last figure', () => {
  test.each(['ideal', 'linux-6.12.117'])('from one bound to the next: %s', async (variant) => {
    const file = join(folder, `bound-${variant}`);
    const whole = await run(jobOf(variant));
    let hooks: Partial<RunHooks> = { checkpoint: { file, everyMs: 10 ** 9 } };
    for (const bound of [500, 501, 3000]) {
      const job = jobOf(variant, bound);
      const finished = await run(job, hooks);
      expect(finished).toMatchObject({ exhausted: false, states: bound, checkpoint: { file, isKept: true } });
      expect(toResult(job, finished).checkpoint).toBe(file);
      expect(notes(job, finished)).toContain(`saved: --resume ${file} with a larger --max-states goes on from here`);
      hooks = resumed(file);
      // With the same bound, it is where it was.
      expect(figures(await run(job, hooks))).toEqual(figures(finished));
    }
    expect(figures(await run(jobOf(variant), hooks))).toEqual(figures(whole));
  });

  test('from a bound before which something broke, though its shortest run is told', async () => {
    const file = join(folder, 'broken');
    const whole = await run(jobOf('linux-5.11'));
    // One of its two invariants breaks within the bound, the other one beyond.
    let [bound, cut] = [4000, await run(jobOf('linux-5.11', 4000), everyTime(file))];
    for (; cut.broken.length !== 1 && bound < 6500; bound += 100)
      cut = await run(jobOf('linux-5.11', bound), everyTime(file));
    expect(cut).toMatchObject({ verdict: 'violated', exhausted: false, checkpoint: { file, isKept: true } });
    expect(readCheckpoint(file).saved.phase).toBe('deciding');
    expect(figures(await run(jobOf('linux-5.11'), resumed(file)))).toEqual(figures(whole));
  });

  test('from within the search for the shortest run', async () => {
    slowly();
    const file = join(folder, 'telling');
    const whole = await run(jobOf('linux-5.11'));
    for (const least of [0, 1000, 3000]) {
      const isThere = () => {
        const { saved } = readCheckpoint(file);
        return saved.phase === 'telling' && statesIn(saved) > least;
      };
      let begun = false;
      const isStopped = () => begun && isThere();
      const cut = await run(jobOf('linux-5.11'), {
        ...(least === 0 ? everyTime(file) : resumed(file)),
        isStopped,
        onProgress: () => {
          begun = true;
        },
      });
      expect([cut.interrupted, cut.checkpoint]).toEqual([true, { file, isKept: true }]);
      expect(cut.states).toBe(whole.states);
      expect(isThere()).toBe(true);
    }
    const shown: number[] = [];
    const hooks = resumed(file);
    const last = statesIn(hooks.resume.saved);
    const again = await run(jobOf('linux-5.11'), { ...hooks, onProgress: ({ states }) => shown.push(states) });
    expect(figures(again)).toEqual(figures(whole));
    expect(Math.min(...shown, Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(last);
  });
});
