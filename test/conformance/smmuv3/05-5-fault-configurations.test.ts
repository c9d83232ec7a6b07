/** SMMUv3 5.5, 3.12: what A, R and S of a CD, S2R and S2S of an STE make of each fault: recorded or not, stalled or not; of the others nothing. */
import { describe, expect, test } from 'vitest';
import { CMD_STALL_TERM } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { MEMORY, READ, unrecorded, WRITE } from './unit.ts';

const SID = 1;
const VA = 0x40_1000n;
const AF = 1n << 10n;
const NOWHERE = 1n << 43n;

/** How each of the four comes about at either stage: bits of the page's descriptor, and the kind of the access. */
const FAULTS: [name: string, event: number, first: bigint, second: bigint, kind: number][] = [
  ['F_TRANSLATION', 16, 0n, 0n, READ],
  ['F_ADDR_SIZE', 17, (1n << 44n) | LEAF.both | 3n, (1n << 44n) | LEAF.second | 3n, READ],
  ['F_ACCESS', 18, (LEAF.both & ~AF) | 3n, (LEAF.second & ~AF) | 3n, READ],
  ['F_PERMISSION', 19, LEAF.readOnly | 3n, (LEAF.second & ~0x80n) | 3n, WRITE],
];

/** A, R, S; events recorded; Stall. */
const ARS: [number, number, number, number, number][] = [
  [0, 0, 0, 0, 0],
  [0, 1, 0, 1, 0],
  [1, 0, 0, 0, 0],
  [1, 1, 0, 1, 0],
  [0, 0, 1, 1, 1],
  [0, 1, 1, 1, 1],
  [1, 0, 1, 1, 1],
  [1, 1, 1, 1, 1],
];

function first(context: object, descriptor: bigint, stream: object = {}, options: BenchOptions = {}): TableBench {
  const bench = new TableBench(options);
  const table = bench.stage1(SID, { IPS: 4, ...context }, stream);
  bench.poke(bench.place(table, VA), descriptor);
  return bench;
}

function second(stream: object, descriptor: bigint, options: BenchOptions = {}): TableBench {
  const bench = new TableBench(options);
  const table = bench.stage2(SID, { S2PS: 4, ...stream });
  bench.poke(bench.place(table, VA), descriptor);
  return bench;
}

describe('5.5 stage 1', () => {
  const cases = FAULTS.flatMap(([name, event, descriptor, , kind]) =>
    ARS.map(([A, R, S, recorded, Stall]) => ({ name, A, R, S, recorded, Stall, event, descriptor, kind })),
  );
  test.each(cases)('$name, A $A, R $R, S $S: $recorded events, Stall $Stall', ({ A, R, S, ...of }) => {
    const bench = first({ A, R, S }, of.descriptor);
    expect(bench.ask(SID, VA, of.kind)).toEqual(of.recorded === 1 ? { event: of.event } : unrecorded(of.event));
    const events = bench.takeEvents();
    expect(events.length).toBe(of.recorded);
    if (of.recorded === 1) expect(events).toMatchObject([{ ID: of.event, Stall: of.Stall, S2: 0, CLASS: 2 }]);
  });

  test('STE.S2R and S2S say nothing of stage 1', () => {
    const bench = new TableBench();
    bench.nested(SID, { R: 0 }, { S2R: 1, S2S: 1 });
    expect([bench.ask(SID, VA), bench.takeEvents()]).toEqual([unrecorded(16), []]);
    const records = new TableBench();
    records.nested(SID, { R: 1 }, { S2R: 0, S2S: 0 });
    expect([records.ask(SID, VA), records.takeEvents().length]).toEqual([{ event: 16 }, 1]);
  });

  test.each([
    ['IDR0.STALL_MODEL 2: S is 1', { idr0: { STALL_MODEL: 2 } }, { S: 1 }, 1],
    ['IDR0.STALL_MODEL 1: S is 0', { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } }, { S: 0 }, 0],
    ['IDR0.TERM_MODEL 1: A is 1', { idr0: { TERM_MODEL: 1 } }, { A: 1 }, 0],
  ])('%s', (_, options, context, Stall) => {
    const bench = first(context, 0n, {}, options);
    expect(bench.ask(SID, VA)).toEqual({ event: 16 });
    expect(bench.takeEvents()).toMatchObject([{ Stall }]);
  });
});

describe('5.5 stage 2', () => {
  const cases = FAULTS.flatMap(([name, event, , descriptor, kind]) =>
    [
      [0, 0, 0, 0],
      [1, 0, 1, 0],
      [0, 1, 1, 1],
      [1, 1, 1, 1],
    ].map(([S2R, S2S, recorded, Stall]) => ({ name, S2R, S2S, recorded, Stall, event, descriptor, kind })),
  );
  test.each(cases)('$name, S2R $S2R, S2S $S2S: $recorded events, Stall $Stall', ({ S2R, S2S, ...of }) => {
    const bench = second({ S2R, S2S }, of.descriptor);
    expect(bench.ask(SID, VA, of.kind)).toEqual(of.recorded === 1 ? { event: of.event } : unrecorded(of.event));
    const events = bench.takeEvents();
    expect(events.length).toBe(of.recorded);
    if (of.recorded === 1) expect(events).toMatchObject([{ ID: of.event, Stall: of.Stall, S2: 1, CLASS: 2 }]);
  });

  test.each([
    ['the page', {}, 0x4000_0000n, 2],
    ['a table', { TTB0: 0x4000_0000n }, 0x8000n, 1],
  ])('5.5 what fetches for stage 1 at stage 2 goes by S2R: %s', (_, context, to, CLASS) => {
    for (const [S2R, R, count] of [
      [0, 1, 0],
      [1, 0, 1],
    ]) {
      const bench = new TableBench();
      const { table } = bench.nested(SID, { R, ...context }, { S2R });
      if (CLASS === 2) bench.map(table, VA, to);
      expect(bench.ask(SID, VA)).toEqual(count === 1 ? { event: 16 } : unrecorded(16));
      expect(bench.takeEvents()).toMatchObject(Array(count).fill({ ID: 16, S2: 1, CLASS }));
    }
  });

  test('so does a CD', () => {
    for (const [S2R, count] of [
      [0, 0],
      [1, 1],
    ]) {
      const bench = new TableBench();
      bench.nested(SID, {}, { S2R, S1ContextPtr: 0x4000_0000n });
      expect(bench.ask(SID, VA)).toEqual(count === 1 ? { event: 16 } : unrecorded(16));
      expect(bench.takeEvents()).toMatchObject(Array(count).fill({ ID: 16, S2: 1, CLASS: 0 }));
    }
  });
});

describe('5.5 what is no fault of translation aborts, and is recorded whatever the flags say', () => {
  const QUIET = { A: 0, R: 0, S: 0 };
  const STALLING = { A: 0, R: 0, S: 1 };
  const cases: [string, number, (flags: object) => TableBench][] = [
    ['C_BAD_CD', 10, (flags) => first({ ...flags, AA64: 0 }, 0n)],
    [
      'F_WALK_EABT of the first table',
      11,
      (flags) => {
        const bench = new TableBench();
        bench.stage1(SID, { ...flags, TTB0: NOWHERE });
        return bench;
      },
    ],
    [
      'F_WALK_EABT of a table below',
      11,
      (flags) => {
        const bench = first({ ...flags, IPS: 5 }, 0n);
        const table = bench.peek(MEMORY + 0x1_1048n) & 0xffff_ffff_fff0n;
        bench.poke(bench.place(table, VA, { level: 2 }), NOWHERE | 3n);
        return bench;
      },
    ],
    [
      'F_CD_FETCH',
      9,
      (flags) => {
        const bench = first(flags, 0n);
        bench.steOf(SID, { Config: 5, S1ContextPtr: NOWHERE });
        return bench;
      },
    ],
  ];
  test.each(cases)('%s', (_, event, make) => {
    for (const flags of [QUIET, STALLING]) {
      const bench = make(flags);
      expect(bench.ask(SID, VA)).toEqual({ event });
      expect(bench.takeEvents()).toMatchObject([{ ID: event, StreamID: SID }]);
    }
  });

  test.each([
    ['F_WALK_EABT', 11, { S2TTB: NOWHERE }],
    ['C_BAD_STE', 4, { S2AA64: 0 }],
  ])('stage 2: %s', (_, event, fields) => {
    for (const [S2R, S2S] of [
      [0, 0],
      [0, 1],
    ]) {
      const bench = new TableBench();
      bench.stage2(SID, { S2R, S2S, ...fields });
      expect(bench.ask(SID, VA)).toEqual({ event });
      expect(bench.takeEvents()).toMatchObject([{ ID: event }]);
    }
  });
});

describe('3.12.2 STAGs', () => {
  test('each stalled transaction has its own; CMD_STALL_TERM gives those of a stream back (4.7.2)', () => {
    const bench = first({ S: 1 }, 0n);
    const stags = () => bench.takeEvents().map(({ STAG }) => STAG);
    for (let i = 0; i < 4; i++) bench.ask(SID, VA);
    const held = stags();
    expect(new Set(held).size).toBe(4);
    bench.command(CMD_STALL_TERM, { StreamID: SID });
    for (let i = 0; i < 16; i++) bench.ask(SID, VA);
    expect(new Set(stags()).size).toBe(16);
  });

  test.each([1, 2, 5])('IDR5.STALL_MAX %i: no more are recorded', (STALL_MAX) => {
    const bench = first({ S: 1 }, 0n, {}, { idr5: { STALL_MAX } });
    for (let i = 0; i < STALL_MAX + 2; i++) bench.ask(SID, VA);
    expect(bench.takeEvents().length).toBe(STALL_MAX);
  });
});
