import { describe, expect, test } from 'vitest';
import type { Case } from '../cases/index.ts';
import { CASES, profileNamed } from '../cases/index.ts';
import type { Finished, Job } from './job.ts';
import { DEFAULT_MAX_STATES, isAsExpected } from './job.ts';
import { toKtap } from './ktap.ts';
import { notes, toLines, toResult } from './report.ts';
import { runJob } from './run-job.ts';
import { PLAIN } from './story.ts';
import type { Row } from './table.ts';
import { summary, verdictTable } from './table.ts';
import { fromToken } from './trace.ts';

function jobOf(id: string, variant: string, more: Partial<Job> = {}): Job {
  const definition = CASES.find((c) => c.id === id);
  const profile = profileNamed('spec');
  if (definition === undefined || profile === undefined) throw new Error(`no case ${id}`);
  return {
    definition,
    file: null,
    variant,
    profile,
    mutant: null,
    maxStates: DEFAULT_MAX_STATES,
    without: [],
    ...more,
  };
}

async function run(job: Job): Promise<Finished> {
  const finished = await runJob(job, 'nothing', { onProgress: () => {}, isStopped: () => false });
  return { ...finished, seconds: 0.125 };
}

const KEYS =
  'case title thread variant model profile expected verdict invariant clause steps blocks states depth exhausted unfiredRules figures seconds trace'.split(
    ' ',
  );
const ADDED =
  'violations lacks mutant file transitions expectedCollisions notes interrupted rules bytesPerState stepsExact without sample open checkpoint'.split(
    ' ',
  );

describe('the object of a run', () => {
  test('violated: the keys of the contract in their order, those added after them', async () => {
    const result = toResult(jobOf('D3', 'ih-1'), await run(jobOf('D3', 'ih-1')));
    expect(Object.keys(result)).toEqual([...KEYS, ...ADDED]);
    expect(result).toMatchObject({
      case: 'D3',
      thread: '003',
      model: 'vtd',
      profile: 'spec',
      expected: 'violated',
      verdict: 'violated',
      invariant: 'I2',
      clause: 'VT-d 6.5.3.6',
      figures: {},
      seconds: 0.125,
      mutant: null,
      interrupted: false,
    });
    const trace = fromToken(result.trace as string);
    expect(trace).toMatchObject({ case: 'D3', variant: 'ih-1', profile: 'spec', invariant: 'I2', file: null });
    expect(trace.decisions).toHaveLength(result.steps as number);
    const violations = result.violations as { invariant: string; steps: number }[];
    expect(violations.map((v) => v.invariant)).toEqual(['I2', 'I4']);
    expect(violations[0].steps).toBe(result.steps);
  });

  test('holds: no counterexample, and what it lacks is said', async () => {
    const result = toResult(jobOf('K5', 'buggy'), await run(jobOf('K5', 'buggy')));
    expect(result).toMatchObject({
      verdict: 'holds',
      exhausted: true,
      violations: [],
      lacks: ['paging-structure cache'],
    });
    for (const key of ['invariant', 'clause', 'steps', 'blocks', 'trace']) expect(result[key]).toBeNull();
    expect(result.notes).toEqual(['the model has no paging-structure cache: a bug that needs one cannot be seen here']);
  });

  test('undefined: the clause that leaves it open and the run that comes there, and nothing violated', async () => {
    const job = jobOf('D4', 'swap/no-fault');
    const finished = await run(job);
    const result = toResult(job, finished);
    expect(result).toMatchObject({
      expected: 'undefined',
      verdict: 'undefined',
      invariant: null,
      clause: 'VT-d 6.2.4.1, 6.5.3.3',
      exhausted: true,
      violations: [],
      open: { invariant: 'OPEN', steps: result.steps, trace: result.trace },
    });
    expect(fromToken(result.trace as string)).toMatchObject({ case: 'D4', invariant: 'OPEN' });
    expect(result.notes).toEqual([
      'VT-d 6.2.4.1, 6.5.3.3 leaves open what happens; in every way in which it may go on, no invariant of the case breaks',
    ]);
    expect(isAsExpected(job, finished)).toBe(true);
  });

  test('with a mutant, violated is expected', async () => {
    const job = jobOf('D1', 'ideal', { mutant: 'no-superpage-flush' });
    expect(toResult(job, await run(job))).toMatchObject({
      expected: 'violated',
      verdict: 'violated',
      mutant: 'no-superpage-flush',
    });
  });

  test('a bound: bounded, never holds', async () => {
    const job = jobOf('K5', 'buggy', { maxStates: 10 });
    const finished = await run(job);
    expect(toResult(job, finished)).toMatchObject({ verdict: 'bounded', exhausted: false, states: 10 });
    expect(isAsExpected(job, finished)).toBe(true);
    const behind = 'nothing is known of what lies behind';
    expect(notes(job, finished).slice(1)).toEqual([
      `stopped at 10 states, before the search was exhausted: ${behind} (--max-states raises the bound)`,
    ]);
    // The table was full before.
    expect(notes(job, { ...finished, states: 9 }).slice(1)).toEqual([
      `stopped at 9 states, as there is no memory for more: ${behind} (--random takes some runs instead of all)`,
    ]);
  });
});

test('a case of one’s own is fine only if nothing is violated', async () => {
  const shipped = jobOf('vtd-merge-psc', 'buggy');
  const finished = await run(shipped);
  expect(isAsExpected(shipped, finished)).toBe(true);
  expect(isAsExpected({ ...shipped, file: 'my.ts' }, finished)).toBe(false);
});

describe('for people', () => {
  test('the lines of a run', async () => {
    const violated = jobOf('vtd-merge-psc', 'buggy');
    expect(toLines(violated, await run(violated), PLAIN)).toEqual([
      'vtd-merge-psc buggy (spec): violated, as expected; I4 in 39 steps, 8 blocks; I2 in 39 steps, 8 blocks',
      expect.stringMatching(/^ {2}[\d,]+ states, depth \d+, 0\.13 s$/),
    ]);
    const holds = jobOf('K5', 'fixed');
    expect(toLines(holds, await run(holds), PLAIN)).toEqual([
      'K5 fixed (spec): holds, as expected',
      expect.stringMatching(/^ {2}exhausted, \d+ states, depth \d+, 0\.13 s, expected hash collisions \d\.\de-\d+$/),
      '  the model has no paging-structure cache: a bug that needs one cannot be seen here',
      expect.stringMatching(/^ {2}never used: invalidation\.overtake, invalidation\.held: the driver waits/),
    ]);
    const grouped = jobOf('vtd-merge-psc', 'fixed');
    expect(toLines(grouped, await run(grouped), PLAIN).slice(2)).toEqual([
      '  never used: iotlb.use, iotlb.evict: no page is read twice while it is mapped',
      expect.stringMatching(/^ {2}never used: invalidation\.overtake, invalidation\.held: the driver waits/),
    ]);
  });

  test('an interrupted run says so', async () => {
    const job = jobOf('D1', 'ideal');
    let asked = 0;
    const stop = () => asked++ > 0;
    const finished = await runJob(job, 'nothing', { onProgress: () => {}, isStopped: stop });
    expect(toLines(job, finished, PLAIN).slice(0, 1)).toEqual([
      'D1 ideal (spec): bounded (interrupted), expected: holds',
    ]);
  });

  test('the table: a group for each thread, in its columns, within 100 of them', async () => {
    const jobs = [jobOf('A1', 'queue/drain'), jobOf('A1', 'queue/no-drain'), jobOf('vtd-merge-psc', 'buggy')];
    const rows = await Promise.all(jobs.map(async (job) => ({ job, finished: await run(job) })));
    const wrong = {
      job: jobOf('K5', 'fixed', { file: 'my.ts' }),
      finished: { ...rows[2].finished, expected: 'holds' as const },
    };
    const lines = verdictTable([...rows, wrong], PLAIN).split('\n');
    expect(lines.filter((line) => !line.startsWith(' ') && line !== '').slice(0, -1)).toEqual([
      'Thread 000: in-flight DMA, invalidation and H_PUT_TCE',
      'Thread 003: superpages and paging-structure caches on VT-d',
    ]);
    expect(lines[2]).toMatch(/^ {2}A1 +queue\/drain +spec +holds +✓ +[\d,]+ +0\.13$/);
    expect(lines[3]).toMatch(/^ {2}A1 +queue\/no-drain +spec +violated +✓ +I3 +16 +7 +[\d,]+ +0\.13$/);
    expect(lines[8]).toMatch(/^ {2}K5 +fixed +spec +violated +✗ holds +I4 I2 /);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    const definition = CASES.find(({ id, model }) => id === 'A1' && model === 'smmuv3') as Case;
    const far: Row = { job: jobOf('A1', 'sync', { definition }), finished: rows[0].finished };
    const [, head, first] = verdictTable([...rows, far], PLAIN).split('\n');
    expect(head).toMatch(/^ {2}case +model +variant /);
    expect(first).toMatch(/^ {2}A1 +vtd +queue\/drain +spec /);
    const right = (line: string) => line.length;
    expect(right(lines[2])).toBe(right(lines[1]));
  });

  test('the summary', async () => {
    const job = jobOf('K5', 'fixed');
    const finished = { ...(await run(job)), states: 1234 };
    expect(summary([{ job, finished }], PLAIN)).toBe('1 run, 1,234 states: 0 violated, 1 holds; all as expected.');
    const bounded = { job, finished: { ...finished, verdict: 'bounded' as const } };
    expect(summary([bounded, { job, finished }], PLAIN)).toBe(
      '2 runs, 2,468 states: 0 violated, 1 holds, 1 bounded; not all were exhausted.',
    );
  });
});

test('KTAP: a line a run; what is bounded is not ok', async () => {
  const holds = jobOf('K5', 'buggy');
  const violated = jobOf('D3', 'ih-1');
  const bounded = jobOf('A1', 'queue/drain', { maxStates: 10 });
  const rows = await Promise.all([holds, violated, bounded].map(async (job) => ({ job, finished: await run(job) })));
  const lines = toKtap(rows, 3).split('\n');
  expect(lines.slice(0, 2)).toEqual(['KTAP version 1', '1..3']);
  expect(lines.filter((line) => !line.startsWith('#')).slice(2)).toEqual([
    'ok 1 K5.buggy.spec # holds, expected holds',
    'ok 2 D3.ih-1.spec # violated: I2 in 31 steps, I4 in 34 steps, expected violated',
    'not ok 3 A1.queue/drain.spec # bounded, expected holds',
  ]);
});
