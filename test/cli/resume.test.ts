/** `--checkpoint` and `--resume`: a search that was interrupted, by whatever, comes to what it would have come to. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/cli/checkpoint.ts';
import { VERSION } from '../../src/cli/version.ts';
import type { SavedSearch } from '../../src/explore/index.ts';
import type { Ended } from './pinhole.ts';
import { folderWith, pinhole, pinholeInTurn } from './pinhole.ts';

const BIN = fileURLToPath(new URL('../../bin/pinhole.js', import.meta.url));

/** D1 with three DMAs in flight, and a driver that maps and unmaps so often that it takes some seconds. What it maps last stands outside build(). */
const BIG = `import { defineCase, VERSIONS, VtdScene } from 'pinhole';

const FRAMES = 0x21d200000n;
const LAST = 0x200000n;
console.error('begun');

export default defineCase({
  id: 'big',
  title: 'D1 with more DMAs in flight',
  model: 'vtd',
  invariants: ['I2', 'I4'],
  variants: { long: 'holds', longer: 'holds', broken: 'violated' },
  build({ variant, profile }) {
    const version = variant === 'broken' ? VERSIONS['linux-5.11'] : VERSIONS.ideal;
    const dmas = variant === 'longer' ? 6 : 3;
    const scene = new VtdScene({ profile, version, pdEntries: [0], machine: { dmaSlots: dmas } });
    for (let i = 0n; i < 4n; i++) scene.buffer(\`page \${i}\`, FRAMES + i * 0x1000n);
    scene.device('vfio-pci', [0n]).stray([0n], 'read', dmas);
    scene.machine.actor('driver', function* () {
      for (let i = 0; i < (variant === 'broken' ? 1 : 8); i++) {
        yield* scene.domain.map(0n, FRAMES, 0x4000n);
        yield* scene.domain.unmap(0n, 0x4000n);
      }
      yield* scene.domain.map(0n, FRAMES, LAST);
    });
    return scene.machine;
  },
});
`;

// Some ten seconds of one core in all; on a machine that has more to do, much longer.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const folder = folderWith({ 'big.ts': BIG });
const LONG = ['check', 'big.ts', '--variant', 'long', '--json'];
const BROKEN = ['check', 'big.ts', '--variant', 'broken', '--json'];

/** What the case says each time that it is loaded, in every thread; once in a process. */
const BEGUN = /^(begun\n)*$/;

type Run = Readonly<Record<string, unknown>>;

/** A run's result but for its times. */
function resultOf({ stdout, stderr }: Ended): Run {
  expect(stderr).toMatch(BEGUN);
  return { ...JSON.parse(stdout)[0], seconds: 0 };
}

/**
 * Starts the command and sends it a signal: once the file was written so often, or a while after it has begun. `null` as status is what the signal did.
 * @param saves states in the file, each time that it was seen to be another one; infinitely many once the search is decided
 */
function interrupted(
  args: readonly string[],
  signal: NodeJS.Signals,
  file: string | null,
  env: NodeJS.ProcessEnv = {},
  times = 1,
  saves: number[] = [],
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const { NODE_OPTIONS: _, VITEST: __, ...rest } = process.env;
  const child = spawn(process.execPath, [BIN, ...args], { cwd: folder, env: { ...rest, ...env } });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    said.stdout += data;
  });
  child.stderr.on('data', (data) => {
    said.stderr += data;
  });
  const poll = setInterval(() => {
    if (file !== null && existsSync(join(folder, file))) {
      // What is broken may be known before the first save: that is of the search for its shortest run then.
      const { saved } = readCheckpoint(join(folder, file));
      const states = saved.phase === 'deciding' ? saved.search.entries.length / 2 : Number.POSITIVE_INFINITY;
      if (states !== saves.at(-1)) saves.push(states);
    }
    if (file === null ? said.stderr === '' : saves.length < times) return;
    clearInterval(poll);
    setTimeout(() => child.kill(signal), file === null ? 300 : 0);
  }, 20);
  return new Promise((resolve) =>
    child.on('close', (status) => {
      clearInterval(poll);
      resolve({ status, ...said });
    }),
  );
}

/** The search in a checkpoint whose verdict was not known yet. */
function searchOf(path: string): SavedSearch {
  const { saved } = readCheckpoint(path);
  if (saved.phase !== 'deciding') throw new Error('it was decided already');
  return saved.search;
}

const checkpoint = (file: string) => ['--checkpoint', file, '--checkpoint-every', '1'];

/** What is there after a kill -9 in the middle of the long search. */
const KILLED = 'killed.ckpt';

let whole: Run;
let wholeBroken: Run;
beforeAll(async () => {
  const [long, broken] = await pinholeInTurn([LONG, BROKEN], folder);
  expect([long.status, broken.status]).toEqual([0, 1]);
  [whole, wholeBroken] = [resultOf(long), resultOf(broken)];
  expect(whole).toMatchObject({ verdict: 'holds', exhausted: true });
  expect(whole.states).toBeGreaterThan(300_000);
  expect(wholeBroken).toMatchObject({ verdict: 'violated', invariant: 'I2' });
  const killed = await interrupted([...LONG, ...checkpoint(KILLED)], 'SIGKILL', KILLED);
  expect(killed).toMatchObject({ status: null, stdout: '' });
});

test('killed with -9, it has lost nothing that was saved, and goes on from there', async () => {
  const file = 'longer.ckpt';
  const longer = ['check', 'big.ts', '--variant', 'longer', '--json'];
  const saves: number[] = [];
  const killed = await interrupted([...longer, ...checkpoint(file)], 'SIGKILL', file, {}, 2, saves);
  expect(killed).toMatchObject({ status: null, stdout: '' });
  // It was saved again and again, each time with more.
  expect(saves.length).toBeGreaterThanOrEqual(2);
  expect(saves).toEqual([...new Set(saves)].sort((a, b) => a - b));
  const { entries, transitions } = searchOf(join(folder, file));
  const states = entries.length / 2;
  expect(states).toBeGreaterThanOrEqual(saves.at(-1) as number);
  // A bound that has been reached already tells where it begins.
  const begun = await pinhole(['check', '--resume', file, '--max-states', String(states), '--json'], folder);
  expect(begun.status).toBe(3);
  expect(resultOf(begun)).toMatchObject({ verdict: 'bounded', states, transitions, checkpoint: file });
});

test('two threads stopped at a bound go on with a larger one', async () => {
  const { verdict, exhausted, states, transitions } = whole;
  const file = 'bound.ckpt';
  const bound = ['--max-states', '20000', '--workers', '2', '--checkpoint', file, '--checkpoint-every', '99'];
  const cut = await interrupted([...LONG, ...bound], 'SIGTERM', 'never', { PINHOLE_SHARE_AFTER: '500' });
  expect(cut.status).toBe(3);
  const [run] = JSON.parse(cut.stdout);
  expect(run).toMatchObject({ verdict: 'bounded', exhausted: false, interrupted: false, checkpoint: file });
  expect(run.notes).toContain(`saved: --resume ${file} with a larger --max-states goes on from here`);
  const saved = searchOf(join(folder, file));
  expect([saved.entries.length / 2, saved.transitions]).toEqual([run.states, run.transitions]);
  expect(run.states).toBeGreaterThanOrEqual(20_000);
  const resumed = await pinhole(['check', '--resume', file, '--max-states', '99000000', '--json'], folder);
  expect(resultOf(resumed)).toMatchObject({ verdict, exhausted, states, transitions, checkpoint: null });
});

describe('interrupted and gone on with, it comes to the same, to the last figure', () => {
  test('by kill -9, by Ctrl-C, and by a request to end', async () => {
    const file = 'long.ckpt';
    const path = join(folder, file);
    copyFileSync(join(folder, KILLED), path);
    let last = searchOf(path);
    expect(last.transitions).toBeGreaterThan(0);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const cut = await interrupted(['check', '--resume', file, '--json'], signal, null);
      expect(cut).toMatchObject({ status: 130, stderr: expect.stringMatching(BEGUN) });
      const [run] = JSON.parse(cut.stdout);
      expect(run).toMatchObject({ verdict: 'bounded', interrupted: true, exhausted: false });
      // What is saved last is what is told: nothing is lost, and it had gone on.
      const saved = searchOf(path);
      expect([saved.entries.length / 2, saved.transitions]).toEqual([run.states, run.transitions]);
      expect(saved.transitions).toBeGreaterThanOrEqual(last.transitions);
      last = saved;
    }
    expect(last.entries.length / 2).toBeLessThan(whole.states as number);
    expect(existsSync(`${path}.part`)).toBe(false);
    const resumed = await pinhole(['check', '--resume', file, '--json'], folder);
    expect(resumed.status).toBe(0);
    expect(resultOf(resumed)).toEqual(whole);
  });

  test('what is broken is broken, whether it was found before or after', async () => {
    // Two steps of a second: the first checkpoint may come before or after the violation; both are the same run.
    const file = 'broken.ckpt';
    const cut = await interrupted([...BROKEN, ...checkpoint(file)], 'SIGINT', file);
    // So small a search may be over before its first checkpoint on a fast machine; then there is nothing to go on with.
    if (!existsSync(join(folder, file))) {
      expect(resultOf(cut as Ended)).toEqual(wholeBroken);
      return;
    }
    const resumed = await pinhole(['check', '--resume', file, '--json'], folder);
    expect(resumed.status).toBe(1);
    expect(resultOf(resumed)).toEqual(wholeBroken);
  });
});

test('with two threads: states, transitions and verdict, gone on with by one or by two', async () => {
  const env = { PINHOLE_SHARE_AFTER: '500' };
  const file = 'shared.ckpt';
  const cut = await interrupted([...LONG, ...checkpoint(file), '--workers', '2'], 'SIGINT', file, env);
  expect(cut.status).toBe(130);
  const saved = searchOf(join(folder, file));
  // It was interrupted while two threads were at it, both of which had something left.
  expect(saved.stacks).toHaveLength(2);
  const bytes = readFileSync(join(folder, file));
  const { verdict, exhausted, states, transitions } = whole;
  for (const workers of ['1', '2']) {
    writeFileSync(join(folder, file), bytes);
    const resumed = await pinhole(['check', '--resume', file, '--json', '--workers', workers], folder);
    expect(resultOf(resumed)).toMatchObject({ verdict, exhausted, states, transitions });
  }
});

describe('what is refused, in one line', () => {
  const file = KILLED;
  const path = join(folder, file);

  test('another case, variant, profile or set of reductions; what is cut or altered; another version', async () => {
    const bytes = readFileSync(path);
    const { of, saved } = readCheckpoint(path);
    expect(of).toMatchObject({ pinhole: VERSION, case: 'big', file: 'big.ts', variant: 'long', profile: 'spec' });
    writeCheckpoint(join(folder, 'older.ckpt'), { ...of, pinhole: '0.0.1' }, saved);
    writeFileSync(join(folder, 'cut.ckpt'), bytes.subarray(0, bytes.length - 1));
    const altered = Buffer.from(bytes);
    altered[bytes.length >> 1] ^= 4;
    writeFileSync(join(folder, 'altered.ckpt'), altered);
    const anew = 'begin anew without --resume';
    const wrong: readonly (readonly [readonly string[], string | RegExp])[] = [
      [['D1', '--resume', file], 'the checkpoint is of big.ts, not of D1; leave the name out'],
      [['--resume', file, '--variant', 'broken'], `${file}: is of variant long, not broken; ${anew}`],
      [['--resume', file, '--profile', 'qemu-10'], `${file}: is of profile spec, not qemu-10; ${anew}`],
      [['--resume', file, '--without', 'ample'], `${file}: was searched without nothing; ${anew}`],
      [['--resume', 'older.ckpt'], `older.ckpt: was written by Pinhole 0.0.1, this is ${VERSION}; ${anew}`],
      [['--resume', 'cut.ckpt'], /^cut\.ckpt: is cut: \d+ bytes of \d+; use a whole copy, or begin anew/],
      [['--resume', 'altered.ckpt'], `altered.ckpt: was altered (its checksum does not fit); ${anew}`],
      [
        ['D3', '--checkpoint', 'none/x'],
        /^none\/x: the checkpoint cannot be written \(ENOENT.*\); name a file that can/,
      ],
      [['D3', '--checkpoint', '.'], '.: the checkpoint cannot be written (it is a folder); name a file that can'],
      [['--resume', 'none.ckpt'], /^none\.ckpt: cannot be read \(ENOENT.*\); name a checkpoint/],
      [['--resume', 'big.ts'], /^big\.ts: is no checkpoint of this format/],
      [['big.ts', '--checkpoint', 'x'], 'a checkpoint is of one run, and these are 3; choose one with --variant'],
      [['D3', '--checkpoint-every', '5'], '--checkpoint-every says how often; name the file with --checkpoint'],
      [
        ['D3', '--checkpoint', 'x', '--random', '5'],
        'checkpoints are of exhaustive searches; leave --random and --preemptions out',
      ],
    ];
    const ended = await pinholeInTurn(
      wrong.map(([args]) => ['check', ...args]),
      folder,
    );
    for (const [i, [args, line]] of wrong.entries()) {
      const name = args.join(' ');
      expect([ended[i].status, ended[i].stdout], name).toEqual([2, '']);
      const said = ended[i].stderr.replaceAll('begun\n', '').replace(/^pinhole: /, '');
      if (typeof line === 'string') expect(said, name).toBe(`${line}\n`);
      else expect(said, name).toMatch(line);
      expect(said.indexOf('\n'), name).toBe(said.length - 1);
    }
    // Nothing of it was touched.
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(statSync(path).size).toBe(bytes.length);
  });

  test('a case that has changed since: in build(), or outside of it', async () => {
    const changes: readonly (readonly [string, string])[] = [
      ['`page ', '`other '],
      ['const LAST = 0x200000n', 'const LAST = 0x4000n'],
    ];
    for (const [from, to] of changes) {
      const text = BIG.replace(from, to);
      expect(text).not.toBe(BIG);
      writeFileSync(join(folder, 'big.ts'), text);
      const { stderr, ...ended } = await pinhole(['check', '--resume', file], folder);
      expect({ ...ended, stderr: stderr.replaceAll('begun\n', '') }).toEqual({
        status: 2,
        stdout: '',
        stderr: `pinhole: ${file}: is of another big: the case has changed since; begin anew without --resume\n`,
      });
    }
    writeFileSync(join(folder, 'big.ts'), BIG);
  });
});
