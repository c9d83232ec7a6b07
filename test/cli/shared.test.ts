/** One search in several threads says what it says in one. The threads begin after 500 transitions instead of 300,000. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ended } from './pinhole.ts';
import { folderWith, pinhole, pinholeInTurn } from './pinhole.ts';

const before = process.env.PINHOLE_SHARE_AFTER;
beforeAll(() => {
  process.env.PINHOLE_SHARE_AFTER = '500';
});
afterAll(() => {
  if (before === undefined) delete process.env.PINHOLE_SHARE_AFTER;
  else process.env.PINHOLE_SHARE_AFTER = before;
});

type Run = Readonly<Record<string, unknown>> & { readonly violations: readonly Run[] };

/** What must not depend on the number of threads: all but times, tokens and figures that depend on who came first. */
function said({ verdict, exhausted, steps, blocks, invariant, unfiredRules, violations, notes }: Run) {
  const each = violations.map((v) => [v.invariant, v.steps, v.shortest]).sort();
  return { verdict, exhausted, steps, blocks, invariant, unfiredRules, each, notes };
}

/** What is run, and in how many threads: each command line in one process after the other. */
const RUNS = [
  [
    ['D1', '--variant', 'ideal'],
    [1, 2],
  ],
  [
    ['D1', '--variant', 'linux-5.11'],
    [1, 3],
  ],
  [
    ['D3', '--without', 'ample,symmetry'],
    [1, 2],
  ],
  [['D1', '--variant', 'ideal', '--max-states', '2000'], [2]],
  // More than any table has room for.
  [
    ['D1', '--variant', 'ideal', '--max-states', '9007199254740991'],
    [1, 2],
  ],
] as const;

let ended: Ended[] = [];
beforeAll(async () => {
  const commands = RUNS.flatMap(([args, workers]) =>
    workers.map((n) => ['check', ...args, '--workers', String(n), '--json']),
  );
  ended = await pinholeInTurn([...commands, ['check', 'D2', '--workers', '65']], folderWith({}));
});

function ran(index: number): { runs: Run[]; statuses: number[] } {
  const from = RUNS.slice(0, index).reduce((sum, [, workers]) => sum + workers.length, 0);
  const of = ended.slice(from, from + RUNS[index][1].length);
  expect(of.map(({ stderr }) => stderr).join('')).toBe('');
  return { runs: of.map(({ stdout }) => JSON.parse(stdout)[0]), statuses: of.map(({ status }) => status) };
}

test('where it holds, every figure but the depth is the same', () => {
  // Nothing in it is left out by partial-order reduction (`reduced` depends on who came first), nor does the search end before it has seen all.
  const { runs, statuses } = ran(0);
  expect(statuses).toEqual([0, 0]);
  for (const result of runs) {
    expect(said(result)).toEqual(said(runs[0]));
    expect([result.states, result.transitions]).toEqual([runs[0].states, runs[0].transitions]);
    // How deep a state lies depends on who came to it first.
    expect(result.depth).toBeGreaterThan(30);
  }
  expect(runs[0]).toMatchObject({ verdict: 'holds', exhausted: true });
});

test.each([1, 2])('where it is violated (%i), so are verdict, invariants and shortest runs', (index) => {
  const { runs, statuses } = ran(index);
  expect(statuses).toEqual([0, 0]);
  // The search ends once everything is broken, so that its figures, and the rules that fired, depend on the order.
  const [one, many] = runs.map((run) => ({ ...said(run), unfiredRules: null, exhausted: null }));
  expect(many).toEqual(one);
  expect([one.verdict, one.each.length]).toEqual(['violated', 2]);
});

test('a bound is never taken for a proof', () => {
  const { runs, statuses } = ran(3);
  expect(statuses).toEqual([3]);
  expect(runs[0]).toMatchObject({ verdict: 'bounded', exhausted: false, steps: null });
  expect(runs[0].states).toBeGreaterThanOrEqual(2000);
  // Each thread looks at the bound every 2,000 transitions.
  expect(runs[0].states).toBeLessThan(7000);
});

test('a bound that is beyond any memory is none', () => {
  const { runs, statuses } = ran(4);
  expect(statuses).toEqual([0, 0]);
  const figures = runs.map(({ verdict, exhausted, states, transitions }) => ({
    verdict,
    exhausted,
    states,
    transitions,
  }));
  expect(figures).toEqual([figures[0], figures[0]]);
  expect(figures[0]).toMatchObject({ verdict: 'holds', exhausted: true });
});

test('more threads than there may be are refused in one line', () => {
  expect(ended.at(-1)).toEqual({
    status: 2,
    stdout: '',
    stderr: "pinhole: --workers 65: give at most 64; more threads are no quicker; 'pinhole --help' tells the options\n",
  });
});

test('what is wrong with a case of ones own is refused in one line, whichever thread finds it', async () => {
  const folder = folderWith({
    'late.ts': `import { choose, defineCase, Machine } from 'pinhole';

export default defineCase({
  id: 'late',
  title: 'wrong behind many states',
  model: 'vtd',
  invariants: ['I3'],
  variants: { only: 'holds' },
  build() {
    const machine = new Machine();
    const words = Array.from({ length: 5 }, (_, i) => machine.word('w' + i));
    for (const word of words) {
      machine.actor(word.name, function* () {
        for (let i = 1; i < 7; i++) yield* word.set(i + 0 * (yield* word.get()));
        if ((yield* words[0].get()) + (yield* words[1].get()) === 7) throw new Error('late');
      });
    }
    return machine;
  },
});
`,
  });
  const [one, two] = await Promise.all(
    ['1', '2'].map((workers) => pinhole(['check', 'late.ts', '--without', 'all', '--workers', workers], folder)),
  );
  const line = /^pinhole: late\.ts:15: actor 'w\d': it threw: late; mend that line, or catch it\n$/;
  for (const found of [one, two]) {
    expect(found).toEqual({ status: 2, stdout: '', stderr: expect.stringMatching(line) });
  }
});

test('a program that depends on what another one has done is refused, though only threads come so far', async () => {
  const folder = folderWith({
    'leaks.ts': `import { defineCase, Machine } from 'pinhole';

export default defineCase({
  id: 'leaks',
  title: 'one program tells another where it is, and not by the machine',
  model: 'vtd',
  invariants: ['I3'],
  variants: { only: 'holds' },
  build() {
    const machine = new Machine();
    const word = machine.word('word');
    let leak = 0;
    machine.actor('reader', function* () {
      const last = (yield* word.get()) === 1000;
      if (last && leak === 1) yield* word.set(2000);
      else if (last) yield* word.set(3000);
    });
    machine.actor('writer', function* () {
      for (let i = 1; i <= 1000; i++) yield* word.set(i);
      leak = 1;
    });
    return machine;
  },
});
`,
  });
  const [one, two] = await Promise.all(
    ['1', '2'].map((workers) => pinhole(['check', 'leaks.ts', '--workers', workers], folder)),
  );
  const line = /^pinhole: leaks\.ts:\d+: actor 'reader': alone it is another program than beside the others: .*\n$/;
  for (const found of [one, two]) {
    expect(found).toEqual({ status: 2, stdout: '', stderr: expect.stringMatching(line) });
  }
});

test('an operation of ones own that does not come back ends the threads, and one thread tells which it is', async () => {
  const folder = folderWith({
    'stuck.ts': `import { defineCase, Machine } from 'pinhole';

export default defineCase({
  id: 'stuck',
  title: 'an endless operation behind many states',
  model: 'vtd',
  invariants: ['I3'],
  variants: { only: 'holds' },
  build() {
    const machine = new Machine();
    const words = Array.from({ length: 5 }, (_, i) => machine.word('w' + i));
    for (const word of words) {
      machine.actor(word.name, function* () {
        for (let i = 1; i < 7; i++)
          yield { name: word.name + ' ' + i, returns: 'nothing', run: () => {
            word.value = i;
            if (word === words[0] && i === 6 && words.every((w) => w.value >= 5)) for (;;);
          } };
      });
    }
    return machine;
  },
});
`,
  });
  const { stdout, stderr, status } = await pinhole(['check', 'stuck.ts', '--workers', '2'], folder);
  expect(stderr).toMatch(/^pinhole: stuck\.ts:15: actor 'w0': 'w0 6' does not come back; an operation is one step/);
  expect({ stdout, status }).toEqual({ stdout: '', status: 2 });
});
