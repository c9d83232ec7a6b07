import { expect, test } from 'vitest';
import type { VtdFlush } from './intel-nested.ts';
import { invalidateVtd } from './intel-nested.ts';
import { FlatUserMemory, ULONG_MAX } from './user-memory.ts';

const AT = 0x7000_0000n;

function run(
  entries: readonly (readonly [addr: bigint, npages: bigint, flags?: number, reserved?: number])[],
  over = {},
) {
  const memory = new FlatUserMemory(AT, 1, 0);
  const view = new DataView(memory.bytes.buffer);
  entries.forEach(([addr, npages, flags = 0, reserved = 0], i) => {
    view.setBigUint64(24 * i, addr, true);
    view.setBigUint64(24 * i + 8, npages, true);
    view.setUint32(24 * i + 16, flags, true);
    view.setUint32(24 * i + 20, reserved, true);
  });
  const flushed: VtdFlush[] = [];
  const array = { type: 0, at: AT, entryBytes: 24, entries: entries.length, ...over };
  return { ...invalidateVtd(memory, array, (one) => flushed.push(one)), flushed };
}

test('pages, leaves only, and everything', () => {
  expect(
    run([
      [0x4000n, 2n],
      [0n, ULONG_MAX, 1],
    ]),
  ).toEqual({
    ...{ errno: null, handled: 2 },
    flushed: [
      { from: 0x4000n, last: 0x5fffn, leafOnly: false },
      { from: 0n, last: ULONG_MAX, leafOnly: true },
    ],
  });
});

test('those before one that is wrong have been done', () => {
  const wrong = [
    [0x4800n, 1n],
    [0x1000n, ULONG_MAX],
  ] as const;
  for (const one of wrong)
    expect(run([[0x1000n, 1n], one])).toMatchObject({ errno: 'EINVAL', handled: 1, flushed: [{}] });
  expect(
    run([
      [0x1000n, 1n],
      [0n, 1n, 2],
    ]),
  ).toMatchObject({ errno: 'EOPNOTSUPP', handled: 1 });
  expect(
    run([
      [0x1000n, 1n],
      [0n, 1n, 0, 1],
    ]),
  ).toMatchObject({ errno: 'EOPNOTSUPP', handled: 1 });
});

test('arrays that are none', () => {
  expect(run([[0n, 1n]], { type: 1 })).toMatchObject({ errno: 'EINVAL', handled: 0 });
  expect(run([[0n, 1n]], { entryBytes: 16 })).toMatchObject({ errno: 'EINVAL', handled: 0 });
  expect(run([[0n, 1n]], { entryBytes: 32 })).toMatchObject({ errno: 'EINVAL', handled: 0 });
  expect(run([[0n, 1n]], { entries: 200 })).toMatchObject({ errno: 'EFAULT', handled: 170 });
  expect(run([])).toEqual({ errno: null, handled: 0, flushed: [] });
});
