/** Cases of one's own: the one that `new` writes, all the ways in which one can be wrong, Ctrl-C. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Ended } from './pinhole.ts';
import { folderWith, pinhole, pinholeInTurn } from './pinhole.ts';

/** A case around the body of a build(); the body begins in line 10. */
function caseOf(body: string, end = 'return machine;'): string {
  return `import { choose, defineCase, operation, VtdScene } from 'pinhole';

export default defineCase({
  id: 'mine',
  title: 'a case of mine',
  model: 'vtd',
  invariants: ['I3'],
  variants: { only: 'holds' },
  build({ profile }) {
    const { machine, domain } = new VtdScene({ profile });
${body}
    ${end}
  },
});
`;
}

test('new writes a case of about 30 lines that is violated and holds, and overwrites nothing', async () => {
  const folder = folderWith({});
  const made = await pinhole(['new', 'my-driver.ts'], folder);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  const text = readFileSync(join(folder, 'my-driver.ts'), 'utf8');
  expect(text.split('\n').length).toBeLessThan(45);
  const [again, checked, bounded] = await Promise.all([
    pinhole(['new', 'my-driver.ts'], folder),
    pinhole(['check', 'my-driver.ts', '--json'], folder),
    pinhole(['check', 'my-driver.ts', '--variant', 'flush', '--max-states', '10'], folder),
  ]);
  expect(again).toEqual({
    status: 2,
    stdout: '',
    stderr: 'pinhole: my-driver.ts: is there already; name another file, or move it away\n',
  });
  expect(readFileSync(join(folder, 'my-driver.ts'), 'utf8')).toBe(text);
  const runs = JSON.parse(checked.stdout);
  expect(runs).toMatchObject([
    { case: 'my-driver', thread: null, variant: 'no-flush', verdict: 'violated', file: 'my-driver.ts' },
    { variant: 'flush', verdict: 'holds', exhausted: true },
  ]);
  // A case of one's own that is violated is no success, even if its author expected it.
  expect(checked.status).toBe(1);
  expect(bounded.status).toBe(3);

  const moved = folderWith({ 'moved.ts': text });
  const [here, away, named] = await Promise.all([
    pinhole(['replay', runs[0].trace], folder),
    pinhole(['replay', runs[0].trace], moved),
    pinhole(['replay', runs[0].trace, 'moved.ts'], moved),
  ]);
  expect(here).toMatchObject({ status: 0, stdout: expect.stringMatching(/\nreproduced: /) });
  expect(away).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/^pinhole: my-driver\.ts: there is no such file;/),
  });
  expect(named).toMatchObject({ status: 0, stdout: expect.stringMatching(/\nreproduced: /) });
});

const actor = (...lines: string[]) =>
  [`    machine.actor('a', function* () {`, ...lines.map((line) => `      ${line}`), '    });'].join('\n');
const plain = (name: string) => `yield* operation('${name}', { run: () => {} });`;

/** What it is, the case, what is said after the file's name. */
const WRONG: readonly (readonly [string, string, string])[] = [
  ['it does not parse', caseOf('    const x = ;'), ':11: syntax error: Expression expected; mend that line'],
  [
    'a program throws',
    caseOf(actor('yield* domain.unmap(0n, 0x1000n);', "throw new TypeError('oh');")),
    ":13: actor 'a': it threw: TypeError: oh; mend that line, or catch it",
  ],
  [
    'a result that is not declared',
    caseOf(actor(plain('begin'), "yield* operation('roll', { run: () => 6 });")),
    ":13: actor 'a': 'roll' returns 6 but declares no results; add results: [...]",
  ],
  [
    'a result that is not among the declared ones',
    caseOf(actor("yield* operation('roll', { run: () => 6, results: [1, 2] });")),
    ":12: actor 'a': 'roll' returned 6, which is not among its results [1, 2]; add it there",
  ],
  [
    'a program that is another one each time',
    caseOf(actor(`for (let i = 0; i < 30; i++) yield* operation(\`\${Math.random()}\`, { run: () => {} });`)),
    ":12: actor 'a': it is not the same program twice: after 0 operations it went on with 'NUMBER', now with 'NUMBER'; keep what must last or is shared in machine.word(); what is free, take from choose()",
  ],
  [
    'actors that share a variable',
    caseOf(
      [
        '    let done = false;',
        actor('done = true;', plain('a')),
        "    machine.actor('b', function* () {",
        `      if (done) ${plain('b')}`,
        '    });',
      ].join('\n'),
    ),
    ":16: actor 'b': alone it is another program than beside the others: after 0 operations it went on with 'b', now with 'its end'; keep what must last or is shared in machine.word(); actors share nothing but the machine",
  ],
  [
    'an operation that keeps state outside the machine',
    caseOf(
      [
        "    const word = machine.word('w');",
        '    let n = 0;',
        actor("yield* operation('count', { run: () => { word.value = ++n; } });"),
      ].join('\n'),
    ),
    ":14: actor 'a': 'count' does two things when it is taken twice from one state; keep what it changes in machine.word()",
  ],
  [
    'a program that never ends',
    caseOf(actor(`for (;;) ${plain('poll')}`)),
    ":12: actor 'a': it never ends: more than 10000 operations; bound its loop, and wait with a guard instead of polling",
  ],
  [
    'a loop that never yields',
    caseOf(actor(plain('begin'), 'for (;;) {}')),
    ":12: actor 'a': it neither yields nor ends within 2 s; bound its loop, and wait with a guard (after 'begin')",
  ],
  [
    'an operation that never returns',
    caseOf(actor(plain('begin'), "yield* operation('spin', { run: () => { for (;;) {} } });")),
    ":13: actor 'a': 'spin' does not come back; an operation is one step, so wait with ready(), not with a loop",
  ],
  ['a build() that never returns', caseOf('    for (;;) {}'), ':9: build() does not return; bound its loop'],
  [
    'a build() that throws',
    caseOf("    machine.frame('page', 0x1001n, 0);"),
    ':11: it threw: frame page: 0x1001 is not page aligned; mend that line',
  ],
  [
    'a build() without a machine',
    caseOf('', 'return 7 as never;'),
    ":9: build() returns no machine; end it with 'return machine'",
  ],
  [
    'a yield without its star',
    caseOf(actor("yield operation('x', { run: () => {} }) as never;")),
    ":12: actor 'a': it yields something that is no operation; write yield* cpu.write64(…), not yield",
  ],
  [
    'an invariant that there is not',
    caseOf('').replace("['I3']", "['I99' as 'I1']"),
    ':3: case mine: no invariant I99; there are I1 I2 I3 I4 I5 I6 I7 I8 I9 I10 I11 I12 I13 OPEN',
  ],
  [
    'a verdict that there is not',
    caseOf('').replace("'holds'", "'good' as 'holds'"),
    ":3: case mine: of variant only, 'good' is expected, which is no verdict; write 'holds' or 'violated'",
  ],
  ['no case', 'export default 7;\n', ":1: its default export is no case; write 'export default defineCase({ … })'"],
  ['no cases', 'export default [];\n', ': exports an empty list of cases; put one in'],
];

describe('what is wrong with a case is told in one line, with file and line; status 2', () => {
  let ended: Ended[] = [];
  beforeAll(async () => {
    const folder = folderWith(Object.fromEntries(WRONG.map(([, text], i) => [`${i}.ts`, text])));
    const commands = WRONG.map((_, i) => ['check', `${i}.ts`, '--table']);
    // Those that are waited for run beside the others.
    const isSlow = (i: number) => WRONG[i][0].includes('never');
    const [slow, quick] = await Promise.all(
      [true, false].map((kind) =>
        pinholeInTurn(
          commands.filter((_, i) => isSlow(i) === kind),
          folder,
        ),
      ),
    );
    ended = WRONG.map((_, i) => (isSlow(i) ? slow : quick).shift() as Ended);
  }, 120_000);

  test.each(WRONG.map(([what, , message], i) => [what, i, message] as const))('%s', (_, i, message) => {
    const { stdout, stderr, status } = ended[i];
    const said = stderr.replaceAll(/'0\.\d+'/g, "'NUMBER'");
    expect({ stdout, said, status }).toEqual({ stdout: '', said: `pinhole: ${i}.ts${message}\n`, status: 2 });
  });

  test('as a user sees it', async () => {
    const ended = await pinhole(['check', 'mine.ts'], folderWith({ 'mine.ts': WRONG[0][1] }));
    expect(ended).toEqual({ stdout: '', stderr: `pinhole: mine.ts${WRONG[0][2]}\n`, status: 2 });
  });

  test('a case that ends the process', async () => {
    const ended = await pinhole(['check', 'mine.ts'], folderWith({ 'mine.ts': 'process.exit(0);\n' }));
    const message =
      'the case ended the process, or waits for ever while it is loaded; take process.exit() and such an await out';
    expect(ended).toEqual({ stdout: '', stderr: `pinhole: ${message}\n`, status: 2 });
  });
});

test('a program that waits for ever breaks I9, and the story says what it waits for', async () => {
  const body = ["    const word = machine.word('w');", actor(plain('begin'), 'yield* word.until(1);')].join('\n');
  const { stdout, status } = await pinhole(['check', 'mine.ts'], folderWith({ 'mine.ts': caseOf(body) }));
  expect(stdout).toMatch(/^mine only \(spec\): violated, expected: holds; I9 in 1 steps/);
  expect(stdout).toMatch(/✗ I9 PROGRESS is broken in step 1: .*\n {4}a waits: wait w = 1\n/);
  expect(status).toBe(1);
});

test('with several workers, the first that is wrong is told', async () => {
  const folder = folderWith({
    'one.ts': caseOf(actor(`for (;;) ${plain('poll')}`)),
    'two.ts': caseOf(actor("throw new Error('two');")),
  });
  const { stderr, status } = await pinhole(['check', 'one.ts', 'two.ts', '--workers', '2'], folder);
  expect(stderr).toMatch(/^pinhole: one\.ts:12: actor 'a': it never ends/);
  expect(status).toBe(2);
});

describe.concurrent('Ctrl-C', () => {
  // Six writers of one word, thirty times each: nearly a thousand million states.
  const long = caseOf(
    [
      "    console.error('begun');",
      "    const word = machine.word('w');",
      '    for (const name of [1, 2, 3, 4, 5, 6].map(String)) {',
      '      machine.actor(name, function* () {',
      '        for (let i = 0; i < 30; i++) yield* word.set(i);',
      '      });',
      '    }',
    ].join('\n'),
  );

  test.each(['1', '2'])('prints what was found so far, with %s workers', async (workers) => {
    const folder = folderWith({ 'long.ts': long });
    const args = ['check', 'D3', 'long.ts', '--json', '--workers', workers];
    const { stdout, stderr, status } = await pinhole(args, folder, 'begun');
    // Each time that the machine is made.
    expect(stderr).toMatch(/^(begun\n)+$/);
    expect(status).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject([
      // With two workers, it may have been interrupted too.
      workers === '1' ? { case: 'D3', verdict: 'violated', interrupted: false } : { case: 'D3' },
      { case: 'mine', verdict: 'bounded', interrupted: true, exhausted: false },
    ]);
    expect(JSON.parse(stdout)[1].states).toBeGreaterThan(10);
  });

  test('and says so to a person', async () => {
    const folder = folderWith({ 'long.ts': long });
    const { stdout, status } = await pinhole(['check', 'long.ts'], folder, 'begun');
    expect(stdout).toMatch(
      /^mine only \(spec\): bounded \(interrupted\), expected: holds\n {2}not exhausted, [\d,]+ states/,
    );
    expect(status).toBe(130);
  });
});
