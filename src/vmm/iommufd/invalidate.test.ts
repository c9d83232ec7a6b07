import { describe, expect, test } from 'vitest';
import { join } from '../../bits/index.ts';
import type { VsmmuIds } from './convert.ts';
import type { Errno } from './errno.ts';
import type { CommandSink, Invalidated } from './invalidate.ts';
import { BATCH, INVALIDATE_ARM_SMMUV3, invalidateVsmmu } from './invalidate.ts';
import type { Kernel } from './kernels.ts';
import { KERNELS, kernelNamed } from './kernels.ts';
import type { CommandFeatures } from './supported-bits.ts';
import { commandMasks } from './supported-bits.ts';
import type { UserArray } from './user-array.ts';
import { FlatUserMemory } from './user-memory.ts';

const OLD = kernelNamed('linux-6.18');
const NEW = kernelNamed('linux-2026-09');
const AT = 0x7000_0000n;
const features: CommandFeatures = { rangeInvalidation: true, ds: true, ats: true, asidBits: 16, substreamBits: 20 };
const vsmmu: VsmmuIds = {
  ...{ vmid: 5, features, masks: commandMasks(features) },
  sidOf: (vsid) => (vsid === 0x10 ? 0x108 : -1),
};

/** A command queue that keeps what it is given, batch by batch, as first words; `fails` is the batch that times out. */
class Recorder implements CommandSink {
  readonly batches: bigint[][] = [];
  readonly fails: number;
  constructor(fails = -1) {
    this.fails = fails;
  }
  issue(words: Int32Array, from: number, commands: number): Errno | null {
    if (this.batches.length === this.fails) return 'ETIMEDOUT';
    this.batches.push(Array.from({ length: commands }, (_, i) => join(words[from + 4 * i], words[from + 4 * i + 1])));
    return null;
  }
}

function memoryOf(commands: readonly (readonly [bigint, bigint])[], entryBytes = 16): FlatUserMemory {
  const memory = new FlatUserMemory(AT, 8, 0x100);
  const view = new DataView(memory.bytes.buffer);
  commands.forEach(([lo, hi], i) => {
    view.setBigUint64(entryBytes * i, lo, true);
    if (entryBytes >= 16) view.setBigUint64(entryBytes * i + 8, hi, true);
  });
  return memory;
}

function run(
  commands: readonly (readonly [bigint, bigint])[],
  kernel: Kernel,
  { fails = -1, ...over }: Partial<UserArray> & { fails?: number } = {},
): Invalidated & { batches: bigint[][] } {
  const queue = new Recorder(fails);
  const array = { type: INVALIDATE_ARM_SMMUV3, at: AT, entryBytes: 16, entries: commands.length, ...over };
  const memory = memoryOf(commands, Math.max(array.entryBytes, 8));
  return { ...invalidateVsmmu(memory, array, vsmmu, queue, kernel), batches: queue.batches };
}

const ASID = (asid: number) => [0x11n | (BigInt(asid) << 48n), 0n] as const;
const BAD = [0x46n, 0n] as const;
const executed = (asid: number) => 0x11n | (5n << 32n) | (BigInt(asid) << 48n);

describe.each(KERNELS.map((kernel) => [kernel.name, kernel] as const))('%s', (_, kernel) => {
  test('one batch is one CMD_SYNC', () => {
    expect(run([ASID(1), ASID(2)], kernel)).toEqual({
      ...{ errno: null, handled: 2 },
      batches: [[executed(1), executed(2)]],
    });
  });

  test('63 commands a batch', () => {
    const many = Array.from({ length: 2 * BATCH + 1 }, (_, i) => ASID(i));
    const { batches, errno, handled } = run(many, kernel);
    expect([errno, handled, batches.map((batch) => batch.length)]).toEqual([null, 127, [63, 63, 1]]);
  });

  test('type, memory and what is too long for the kernel', () => {
    expect(run([ASID(1)], kernel, { type: 0 })).toMatchObject({ errno: 'EINVAL', handled: 0, batches: [] });
    expect(run([ASID(1)], kernel, { at: 0x10n })).toMatchObject({ errno: 'EFAULT', handled: 0, batches: [] });
    expect(run([ASID(1)], kernel, { entryBytes: 24 })).toMatchObject({ errno: null, handled: 1 });
    const memory = memoryOf([ASID(1)], 24);
    memory.bytes[20] = 1;
    const array = { type: INVALIDATE_ARM_SMMUV3, at: AT, entryBytes: 24, entries: 1 };
    expect(invalidateVsmmu(memory, array, vsmmu, new Recorder(), kernel)).toEqual({ errno: 'E2BIG', handled: 0 });
  });

  test('an entry may be shorter: what is missing is zero', () => {
    expect(run([ASID(3)], kernel, { entryBytes: 8 })).toMatchObject({
      errno: null,
      handled: 1,
      batches: [[executed(3)]],
    });
  });
});

describe('a command that is refused', () => {
  test('in mid-batch: Linux 6.18 reports those before it as handled, and issued none', () => {
    expect(run([ASID(1), ASID(2), BAD, ASID(3)], OLD)).toEqual({ errno: 'EIO', handled: 2, batches: [] });
  });

  test('in mid-batch: what was not issued is not reported any more', () => {
    expect(run([ASID(1), ASID(2), BAD, ASID(3)], NEW)).toEqual({ errno: 'EIO', handled: 0, batches: [] });
  });

  test('in the second batch', () => {
    const many = [...Array.from({ length: BATCH }, (_, i) => ASID(i)), ASID(70), BAD];
    const first = many.slice(0, BATCH).map((_, i) => executed(i));
    expect(run(many, OLD)).toEqual({ errno: 'EIO', handled: BATCH + 1, batches: [first] });
    expect(run(many, NEW)).toEqual({ errno: 'EIO', handled: BATCH, batches: [first] });
  });

  test('an unknown vStreamID', () => {
    expect(run([[0x40n | (0x99n << 32n), 52n]], OLD)).toMatchObject({ errno: 'EIO', handled: 0 });
  });
});

test('a CMD_SYNC that does not complete', () => {
  const many = Array.from({ length: BATCH + 2 }, (_, i) => ASID(i));
  expect(run(many, OLD, { fails: 1 })).toMatchObject({ errno: 'ETIMEDOUT', handled: BATCH + 1 });
  expect(run(many, NEW, { fails: 1 })).toMatchObject({ errno: 'ETIMEDOUT', handled: BATCH });
});

test('an empty array', () => {
  expect(run([], OLD)).toEqual({ errno: 'EINVAL', handled: 0, batches: [] });
  expect(run([], NEW)).toEqual({ errno: null, handled: 0, batches: [] });
  expect(run([], NEW, { type: 0 })).toEqual({ errno: 'EINVAL', handled: 0, batches: [] });
});

test('more than the kernel allocates at once', () => {
  const entries = (4 << 20) / 16 + 1;
  expect(run([ASID(1)], OLD, { entries })).toEqual({ errno: 'ENOMEM', handled: entries, batches: [] });
  // Batch by batch there is no such limit: the array ends where user memory does.
  expect(run([ASID(1)], NEW, { entries })).toMatchObject({ errno: 'EIO', handled: 0 });
});
