/** The toy of bench/: Pinhole and Spin count the same states, and both miss what is left out. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { explore } from '../bench/peers/explore.ts';
import { parse, runSpin, whyNoSpin } from '../bench/peers/spin.ts';

const why = whyNoSpin();

/** What both count without reductions; known, so that Pinhole's half is tested without Spin too. */
const STATES = { 1: 563, 2: 17_618, 3: 574_031 } as const;
const TRANSITIONS = { 1: 1197, 2: 56_576, 3: 2_464_877 } as const;

describe('Pinhole alone', () => {
  test.each([1, 2, 3] as const)('%i actors: every state', (actors) => {
    const { states, transitions, violated, exhausted } = explore({ actors }, false);
    expect({ states, transitions, violated, exhausted }).toEqual({
      states: STATES[actors],
      transitions: TRANSITIONS[actors],
      violated: false,
      exhausted: true,
    });
  });

  test.each([2, 3] as const)('%i actors, reduced: fewer states, the same verdict', (actors) => {
    const { states, violated, exhausted } = explore({ actors }, true);
    expect(states).toBeLessThan(STATES[actors]);
    expect({ violated, exhausted }).toEqual({ violated: false, exhausted: true });
  });
});

const BROKEN = [{ drainReads: false }, { drainWrites: false }, { flush: false }] as const;

describe('what breaks it', () => {
  test.each(BROKEN)('%o: Pinhole', (left) => {
    for (const actors of [1, 2]) {
      expect(explore({ actors, ...left }, false).violated).toBe(true);
      expect(explore({ actors, ...left }, true).violated).toBe(true);
    }
  });
});

describe(why === null ? 'beside Spin' : `beside Spin: skipped, ${why}`, () => {
  test.skipIf(why !== null).each([1, 2, 3] as const)('%i actors: as many states and transitions', (actors) => {
    const { states, transitions, violated } = runSpin({ actors }, false);
    expect({ states, transitions, violated }).toEqual({
      states: STATES[actors],
      transitions: TRANSITIONS[actors],
      violated: false,
    });
  });

  test.skipIf(why !== null)('its partial-order reduction leaves some out', () => {
    const { states, violated } = runSpin({ actors: 2 }, true);
    expect(states).toBeLessThan(STATES[2]);
    expect(violated).toBe(false);
  });

  test.skipIf(why !== null).each(BROKEN)('%o: Spin', (left) => {
    expect(runSpin({ actors: 2, ...left }, false).violated).toBe(true);
  });
});

describe('what pan prints', () => {
  const lines = (end: string) =>
    `errors: 0\n 563 states, stored\n 635 states, matched\n1198 transitions\n${end}pan: elapsed time 0.02 seconds\n`;

  test('its counts, less the start', () => {
    expect(parse(lines(''))).toEqual({ states: 563, transitions: 1197, violated: false, seconds: 0.02 });
  });

  test.each(['error: max search depth too small\n', 'Warning: Search not completed\n'])('refused: %s', (warning) => {
    expect(() => parse(lines(warning))).toThrow('did not come to the end');
  });

  test('rounded counts are refused', () => {
    expect(() => parse(lines('').replace('563', '1.0411022e+08'))).toThrow('no exact');
  });
});

describe('npm run bench:peers', () => {
  const run = (args: readonly string[], path = process.env.PATH) => {
    const script = fileURLToPath(new URL('../bench/peers/run.ts', import.meta.url));
    const env = { ...process.env, PATH: path };
    return spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8', env });
  };

  test.skipIf(why !== null)('--json: equal counts, status 0', () => {
    const { stdout, status } = run(['--actors', '1', '--json']);
    const all = { actors: 1, reduced: false, ratio: null, wrong: null };
    expect(JSON.parse(stdout).rows[0]).toMatchObject({ ...all, spin: { states: 563 }, pinhole: { states: 563 } });
    expect(status).toBe(0);
  });

  test('without Spin it says so', () => {
    const { stdout, status } = run([], '/nowhere');
    expect(stdout).toBe('skipped: spin is not installed (bench/peers/install.sh does it)\n');
    expect(status).toBe(0);
  });

  test.each([['--actors', '5'], ['--actors', '0'], ['--runs', 'many'], ['--nodes']])('%s %s is refused', (...args) => {
    const { stderr, status } = run(args.filter((a) => a !== undefined));
    expect(stderr).toContain('usage: npm run bench:peers');
    expect(status).toBe(2);
  });
});

test('CI installs what these tests need', () => {
  const run = readFileSync(fileURLToPath(new URL('../.ci/run', import.meta.url)), 'utf8');
  const packages = /^debian_packages=\((.*)\)$/m.exec(run)?.[1].split(/\s+/) ?? [];
  expect(packages).toEqual(expect.arrayContaining(['spin', 'gcc', 'libc6-dev']));
});
