/** `--random` and `--preemptions`: some runs instead of all, and what may be said of them. */
import { beforeAll, expect, test, vi } from 'vitest';
import { CASES } from '../../src/cases/index.ts';
import type { Ended } from './pinhole.ts';
import { folderWith, pinholeInTurn } from './pinhole.ts';

// A few seconds; on a machine that has more to do, much longer.
vi.setConfig({ hookTimeout: 240_000 });

/** D1 as the kernel's report has it. */
const VARIANT = 'linux-5.11';
const D1 = ['check', 'D1', '--variant', VARIANT];
/** Broken by two preemptions, not by fewer; 17 steps are the shortest that do it. */
const A7 = ['check', 'A7', '--variant', 'write/read-back-first'];
const IDEAL = ['check', 'D1', '--variant', 'ideal', '--json'];

const COMMANDS = {
  random: [...D1, '--random', '200', '--seed', '1', '--json'],
  again: [...D1, '--random', '200', '--seed', '1', '--json'],
  unseeded: [...D1, '--random', '200', '--json'],
  other: [...D1, '--random', '200', '--seed', '2', '--json'],
  bounded: [...A7, '--random', '200', '--preemptions', '1', '--json'],
  holds: [...IDEAL, '--random', '50', '--seed', '0'],
  one: [...IDEAL, '--random', '1'],
  told: ['check', 'D1', '--variant', 'ideal', '--random', '50'],
  none: [...A7, '--preemptions', '0', '--json'],
  few: [...A7, '--preemptions', '1', '--json'],
  enough: [...A7, '--preemptions', '2', '--json'],
  more: [...A7, '--preemptions', '3', '--json'],
  idealFew: [...IDEAL, '--preemptions', '1'],
  orderly: ['check', 'D2', '--variant', 'orderly', '--preemptions', '40', '--json'],
  full: ['check', 'D2', '--variant', 'orderly', '--json'],
} as const;

const WRONG: readonly (readonly [readonly string[], string])[] = [
  [['--random', '0'], "--random 0: give a whole number from 1 up; 'pinhole --help' tells the options"],
  [['--random', '1.5'], "--random 1.5: give a whole number from 1 up; 'pinhole --help' tells the options"],
  [['--random', 'many'], "--random many: give a whole number from 1 up; 'pinhole --help' tells the options"],
  [['--random', '5', '--seed', 'x'], "--seed x: give a whole number; 'pinhole --help' tells the options"],
  [['--preemptions', '2e3'], "--preemptions 2e3: give a whole number; 'pinhole --help' tells the options"],
  [['--seed', '3'], '--seed is of random runs; say how many with --random'],
  [['--random', '5', '--resume', 'x'], 'checkpoints are of exhaustive searches; leave --random and --preemptions out'],
  [
    ['--preemptions', '1', '--checkpoint', 'x'],
    'checkpoints are of exhaustive searches; leave --random and --preemptions out',
  ],
  [
    ['--without', 'ampel'],
    "--without ampel: no reduction 'ampel'; did you mean ample; 'pinhole --help' tells the options",
  ],
];

let ended: Record<keyof typeof COMMANDS, Ended>;
let refused: Ended[] = [];
beforeAll(async () => {
  const names = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[];
  const lines = [...names.map((name) => COMMANDS[name]), ...WRONG.map(([args]) => ['check', 'D1', ...args])];
  const all = await pinholeInTurn(lines, folderWith({}));
  ended = Object.fromEntries(names.map((name, i) => [name, all[i]])) as Record<keyof typeof COMMANDS, Ended>;
  refused = all.slice(names.length);
});

// biome-ignore lint/suspicious/noExplicitAny: JSON.
function resultOf(name: keyof typeof COMMANDS): any {
  expect(ended[name].stderr).toBe('');
  const [run] = JSON.parse(ended[name].stdout);
  return { ...run, seconds: 0 };
}

test('random runs find what is broken, and the same seed finds the same run', () => {
  const run = resultOf('random');
  expect(run).toMatchObject({ verdict: 'violated', exhausted: false, sample: { kind: 'random', runs: 200, seed: 1 } });
  expect(run.trace).toMatch(/^ph1\./);
  // It is shrunk, but no shorter run may be known: 27 steps are the shortest there are.
  expect(run.stepsExact).toBe(false);
  expect(run.steps).toBeGreaterThanOrEqual(27);
  expect(ended.random.status).toBe(0);
  expect(resultOf('again')).toEqual(run);
  // Nobody's seed is 1.
  expect(resultOf('unseeded')).toEqual(run);
  expect(resultOf('other').transitions).not.toBe(run.transitions);
});

test('random runs that break nothing prove nothing', () => {
  const run = resultOf('holds');
  expect(run).toMatchObject({ verdict: 'bounded', exhausted: false, steps: null, sample: { runs: 50, seed: 0 } });
  expect(run.notes).toEqual(['50 random runs (seed 0) broke nothing, which proves nothing']);
  expect(ended.holds.status).toBe(3);
  expect(resultOf('one').transitions).toBeLessThan(100);
  expect(ended.told.stdout).toMatch(/^D1 ideal \(spec\): bounded, expected: holds\n {2}not exhausted, /);
  expect(ended.told.stdout).toContain('\n  50 random runs (seed 1) broke nothing, which proves nothing\n');
  // Nor do they with fewer preemptions than it takes.
  expect(resultOf('bounded').verdict).toBe('bounded');
});

test('preemptions: what is found with few is a violation, what is not found is a bound', () => {
  for (const [name, most] of [
    ['none', 0],
    ['few', 1],
  ] as const) {
    expect(resultOf(name)).toMatchObject({
      verdict: 'bounded',
      exhausted: false,
      sample: { kind: 'preemptions', maxPreemptions: most },
      notes: [`nothing is known of runs with more than ${most} preemptions`],
    });
    expect(ended[name].status).toBe(3);
  }
  expect(resultOf('few').states).toBeGreaterThan(resultOf('none').states);
  for (const name of ['enough', 'more'] as const) {
    const run = resultOf(name);
    expect(run).toMatchObject({ verdict: 'violated', invariant: 'I3', exhausted: false, stepsExact: false, notes: [] });
    expect(run.steps).toBeGreaterThanOrEqual(17);
    expect(ended[name].status).toBe(0);
  }
  expect(resultOf('idealFew')).toMatchObject({ verdict: 'bounded', notes: [expect.stringContaining('1 preemptions')] });
  expect(ended.idealFew.status).toBe(3);
});

test('preemptions: a proof, where one more leads nowhere new', () => {
  const run = resultOf('orderly');
  expect(run).toMatchObject({ verdict: 'holds', exhausted: true });
  expect(run.states).toBe(resultOf('full').states);
  expect(ended.orderly.status).toBe(0);
  expect(CASES.find((c) => c.id === 'D2')?.variants.orderly).toBe('holds');
});

test.each(WRONG.map(([args, line], i) => [args.join(' '), line, i] as const))('bad usage: %s', (_, line, i) => {
  const { status, stdout, stderr } = refused[i];
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr.startsWith(`pinhole: ${line}`), stderr).toBe(true);
  expect(stderr.indexOf('\n')).toBe(stderr.length - 1);
});
