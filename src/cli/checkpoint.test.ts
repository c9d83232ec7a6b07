/** Checkpoint files: what is written is read, and whatever is not as it was written is refused with a line that says why. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { SavedRun } from '../cases/index.ts';
import { CASES, MODELS } from '../cases/index.ts';
import type { SavedSearch } from '../explore/index.ts';
import { randomFrom } from '../explore/index.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import type { CheckpointOf } from './checkpoint.ts';
import { checkSame, identityOf, readCheckpoint, refuseUnwritable, writeCheckpoint } from './checkpoint.ts';
import { DEFAULT_MAX_STATES, newRun } from './job.ts';
import { UsageError } from './usage-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'pinhole-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OF: CheckpointOf = {
  pinhole: '1.2.3',
  case: 'D1',
  file: null,
  variant: 'ideal',
  profile: 'spec',
  mutant: null,
  maxStates: 1000,
  without: [],
  identity: '00112233445566778899aabbccddeeff',
};

const SEARCH: SavedSearch = {
  stacks: [[1, -2, 3], [], [2 ** 31 - 1, -(2 ** 31), 0, 7]],
  entries: Int32Array.from([1, 2, -3, -4, 2 ** 31 - 1, -(2 ** 31)]),
  transitions: 2 ** 40 + 1,
  depth: 17,
  reduced: 3,
  cyclic: true,
  violations: [
    {
      property: 'I2',
      run: [
        { agent: 0, choice: 0 },
        { agent: 3, choice: 2 },
      ],
    },
  ],
  fired: [0, 5, 12345678901],
};

const SAVED: SavedRun = { phase: 'deciding', search: SEARCH };

const { violations } = SEARCH;
const TELLING: SavedRun = {
  phase: 'telling',
  decided: {
    violations,
    states: 3,
    transitions: 2 ** 40 + 1,
    depth: 17,
    exhausted: true,
    fired: [1, 2],
    expectedCollisions: 2.4e-19,
    bytesPerState: 12.6,
    cyclic: false,
    reduced: 1,
  },
  shortest: {
    parents: Int32Array.of(-1, 0, 0),
    decisions: Int32Array.of(0, 4096, 2 ** 31 - 1),
    next: 1,
    levelEnd: 3,
    depth: 1,
    transitions: 2,
    violations,
  },
};

/** What is said of a file with these bytes. */
function refusalOf(bytes: Uint8Array, name = 'damaged'): string {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  try {
    readCheckpoint(file);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    const { message } = error as Error;
    expect(message).not.toContain('\n');
    expect(message.startsWith(`${file}: `)).toBe(true);
    return message.slice(file.length + 2);
  }
  throw new Error('was not refused');
}

/** A file as it is written, with the offset at which its words begin. */
function written(saved: SavedRun = SAVED): { bytes: Buffer; body: number } {
  const file = join(folder, 'whole');
  writeCheckpoint(file, OF, saved);
  const bytes = readFileSync(file);
  return { bytes, body: bytes.indexOf('\n', bytes.indexOf('\n') + 1) + 1 };
}

describe('what is written is read', () => {
  test('of made-up values', () => {
    const file = join(folder, 'a');
    writeCheckpoint(file, OF, SAVED);
    expect(readCheckpoint(file)).toEqual({ of: OF, saved: SAVED });
    // And over it, another one; nothing else is left behind.
    const of = { ...OF, file: 'ä\nb.ts', mutant: 'm', without: ['ample'] as const };
    const empty: SavedRun = { phase: 'deciding', search: { ...SEARCH, stacks: [], entries: new Int32Array() } };
    for (const saved of [empty, TELLING, { ...TELLING, shortest: null }]) {
      writeCheckpoint(file, of, saved);
      expect(readCheckpoint(file)).toEqual({ of, saved });
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('a'))).toEqual(['a']);
  });

  test('of a search that is under way', () => {
    const definition = CASES.find((c) => c.id === 'D1');
    if (definition === undefined) throw new Error('no D1');
    const job = { definition, file: null, variant: 'linux-5.11', profile: PROFILES[0], mutant: null };
    const run = newRun({ ...job, maxStates: DEFAULT_MAX_STATES, without: [] });
    run.advance(5000);
    const saved = run.whole() as SavedRun & { phase: 'deciding' };
    expect(saved.search.stacks[0].length).toBeGreaterThan(100);
    const file = join(folder, 'real');
    writeCheckpoint(file, OF, saved);
    expect(readCheckpoint(file).saved).toEqual(saved);
  });

  test('where it cannot be written, a line says so', () => {
    const file = join(folder, 'none', 'a');
    writeFileSync(join(folder, 'plain'), '');
    const refused = [file, folder, join(folder, 'plain', 'a')];
    for (const [i, why] of ['ENOENT', 'it is a folder', 'ENOTDIR'].entries())
      expect(() => refuseUnwritable(refused[i])).toThrow(`${refused[i]}: the checkpoint cannot be written (${why}`);
    // Whoever may write leaves nothing behind, and takes nothing away.
    for (const name of ['new', 'plain']) refuseUnwritable(join(folder, name));
    expect(readdirSync(folder).filter((name) => /^(new|plain)/.test(name))).toEqual(['plain']);
    expect(() => writeCheckpoint(file, OF, SAVED)).toThrow(UsageError);
    expect(() => writeCheckpoint(file, OF, SAVED)).toThrow(`${file}: the checkpoint cannot be written (ENOENT`);
    expect(() => readCheckpoint(file)).toThrow(`${file}: cannot be read (ENOENT`);
  });
});

describe('what is damaged is refused', () => {
  test('cut anywhere', () => {
    const { bytes, body } = written();
    const said = new Map<string, number>();
    for (let length = 0; length < bytes.length; length++) {
      const what = refusalOf(bytes.subarray(0, length)).replace(/: \d+ bytes of \d+/, '');
      said.set(what, (said.get(what) ?? 0) + 1);
    }
    const magic = bytes.indexOf('\n') + 1;
    expect([...said]).toEqual([
      ["is no checkpoint of this format ('pinhole checkpoint 2'); name one that --checkpoint wrote", magic],
      ['its header is damaged; use a whole copy, or begin anew without --resume', expect.any(Number)],
      ['is cut; use a whole copy, or begin anew without --resume', expect.any(Number)],
    ]);
    expect(refusalOf(bytes.subarray(0, body + 4))).toBe(
      `is cut: ${body + 4} bytes of ${bytes.length}; use a whole copy, or begin anew without --resume`,
    );
  });

  test('one byte altered, anywhere', () => {
    const { bytes } = written({ phase: 'deciding', search: { ...SEARCH, entries: new Int32Array(2000).fill(77) } });
    const random = randomFrom(1);
    const all = Array.from({ length: 700 }, (_, i) => i);
    const some = Array.from({ length: 400 }, () => random(bytes.length));
    for (const at of [...all, ...some, bytes.length - 1]) {
      const altered = Buffer.from(bytes);
      altered[at] ^= 1 << random(8);
      expect(refusalOf(altered)).toMatch(
        /^(is no checkpoint of this format .*; name|its header is damaged; use|is cut: .*; use|was altered \(its checksum does not fit\); begin) /,
      );
    }
  });

  test('with more behind it, with nothing in it, of another format', () => {
    const { bytes } = written();
    expect(refusalOf(Buffer.concat([bytes, Buffer.of(0)]))).toMatch(/^was altered/);
    expect(refusalOf(Buffer.alloc(0))).toMatch(/^is no checkpoint/);
    expect(refusalOf(Buffer.from(bytes.toString('latin1').replace('checkpoint 2', 'checkpoint 1'), 'latin1'))).toMatch(
      /^is no checkpoint of this format/,
    );
    const lengths = ['null', '[1]', '[1,1.5]', '[1,-1]', '[0,0,0]', '[0,0],"phase":"other"'];
    const headers = lengths.map((value) => `{"phase":"deciding","lengths":${value}}`);
    for (const header of ['null', '{}', ...headers, '{"lengths":[0,0]}', '[', '']) {
      expect(refusalOf(Buffer.from(`pinhole checkpoint 2\n${header}\n`))).toMatch(/^its header is damaged/);
    }
  });
});

describe('what is of something else is refused', () => {
  test.each<[Partial<CheckpointOf>, string]>([
    [{ pinhole: '1.2.4' }, 'was written by Pinhole 1.2.3, this is 1.2.4'],
    [{ case: 'D2' }, 'is of case D1, not D2'],
    [{ file: 'x.ts' }, 'is of file none, not x.ts'],
    [{ variant: 'linux-5.11' }, 'is of variant ideal, not linux-5.11'],
    [{ profile: 'qemu-10' }, 'is of profile spec, not qemu-10'],
    [{ mutant: 'hint-set' }, 'is of mutant none, not hint-set'],
    [{ without: ['ample'] }, 'was searched without nothing'],
    [{ identity: 'ff' }, 'is of another D1: the case has changed since'],
  ])('%o', (other, what) => {
    let thrown: unknown;
    try {
      checkSame('c', OF, { ...OF, ...other });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toEqual(new UsageError(`c: ${what}; begin anew without --resume`));
  });

  test('but not the same, nor with another bound', () => {
    expect(() => checkSame('c', OF, { ...OF, maxStates: 5 })).not.toThrow();
  });

  test('the identity of a case is that of its machine and of its text', () => {
    const identities = CASES.flatMap((definition) =>
      Object.keys(definition.variants).map((variant) => {
        const profile = MODELS[definition.model].profiles[0];
        const job = { definition, file: null, variant, profile, mutant: null };
        const identity = () => {
          const { instance } = newRun({ ...job, maxStates: 1, without: [] });
          return identityOf(definition, instance, '');
        };
        const first = identity();
        expect(identity()).toBe(first);
        return first;
      }),
    );
    // Variants that differ in a program alone have one machine at their start, unless the program is known as a whole; their names differ.
    expect(new Set(identities).size).toBeGreaterThan(identities.length / 2);
    const [definition] = CASES;
    const [variant] = Object.keys(definition.variants);
    const job = { definition, file: null, variant, profile: PROFILES[0], mutant: null, maxStates: 1, without: [] };
    const { instance } = newRun(job);
    expect(identityOf(definition, instance, 'a')).not.toBe(identityOf(definition, instance, 'b'));
  });
});
