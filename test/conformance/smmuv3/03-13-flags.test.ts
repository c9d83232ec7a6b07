/** SMMUv3 3.13, 5.2 S2HA, S2HD, S2AFFD, 5.4 HA, HD, AFFD: Access flag and dirty state, of either stage and where both translate. */
import { describe, expect, test } from 'vitest';
import { LEAF, TableBench } from './tables.ts';
import { hex, titled } from './titled.ts';
import { ATOMIC, INSTRUCTION, PRIVILEGED, READ, WRITE } from './unit.ts';

const [F_ACCESS, F_PERMISSION] = [18, 19];
const SID = 1;
const VA = 0x40_1000n;
const TO = 0x20_0000n;
const AF = 1n << 10n;
const DBM = 1n << 51n;
/** AP[2], which is set where nobody may write; S2AP[1], where somebody may. */
const [READ_ONLY, S2_WRITE, S2_READ] = [0x80n, 0x80n, 0x40n];

/** Low bits of a stage-1 page that everybody may read and write, of a stage-2 one that nobody may; without AF. */
const [PAGE, PAGE_2] = [LEAF.both & ~AF, LEAF.second & ~AF & ~0xc0n];

interface Seen {
  /** Null: it passed. */
  readonly event: number | null;
  /** Bits that were set in the descriptor, and that were cleared. */
  readonly set: bigint;
  readonly cleared: bigint;
}

/** Asks, and looks at the descriptor. */
function ask(bench: TableBench, at: bigint, kind: number, address = VA): Seen {
  const before = bench.peek(at);
  const answer = bench.ask(SID, address, kind);
  const after = bench.peek(at);
  expect(bench.takeEvents().map(({ ID }) => ID)).toEqual('event' in answer ? [answer.event] : []);
  return { event: 'event' in answer ? answer.event : null, set: after & ~before, cleared: before & ~after };
}
const PASSES = { event: null, set: 0n, cleared: 0n };
const refused = (event: number) => ({ event, set: 0n, cleared: 0n });

type Case = [flags: object, low: bigint, kind: number, seen: Seen];
const titleOf = (flags: object, low: bigint, kind: number, { event, set, cleared }: Seen): string =>
  `${JSON.stringify(flags)}, ${hex(low)}, kind ${kind}: ${event ?? 'passes'}, sets ${hex(set)}, clears ${hex(cleared)}`;

describe('stage 1', () => {
  const cases: Case[] = [
    [{}, PAGE, READ, refused(F_ACCESS)],
    [{}, PAGE, WRITE, refused(F_ACCESS)],
    [{}, PAGE, READ | INSTRUCTION, refused(F_ACCESS)],
    [{}, PAGE | AF, READ, PASSES],
    [{ AFFD: 1 }, PAGE, READ, PASSES],
    [{ AFFD: 1 }, PAGE, WRITE, PASSES],
    [{ HA: 1 }, PAGE, READ, { ...PASSES, set: AF }],
    [{ HA: 1 }, PAGE, WRITE, { ...PASSES, set: AF }],
    [{ HA: 1 }, PAGE | AF, READ, PASSES],
    // 5.4: with HA AFFD is IGNORED.
    [{ HA: 1, AFFD: 1 }, PAGE, READ, { ...PASSES, set: AF }],
    // HD without HA behaves as neither.
    [{ HD: 1 }, PAGE, READ, refused(F_ACCESS)],
    [{ HD: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE, refused(F_PERMISSION)],
    [{ HD: 1, AFFD: 1 }, PAGE | DBM | READ_ONLY, WRITE, refused(F_PERMISSION)],
    // 3.13.1: an Access flag fault goes first.
    [{}, PAGE | READ_ONLY, WRITE, refused(F_ACCESS)],
    [{ AFFD: 1 }, PAGE | READ_ONLY, WRITE, refused(F_PERMISSION)],
    [{ HA: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE, refused(F_PERMISSION)],
    [{ HA: 1, HD: 1 }, PAGE | AF | READ_ONLY, WRITE, refused(F_PERMISSION)],
    [{ HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE, { ...PASSES, cleared: READ_ONLY }],
    [{ HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, ATOMIC, { ...PASSES, cleared: READ_ONLY }],
    [{ HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE | PRIVILEGED, { ...PASSES, cleared: READ_ONLY }],
    [{ HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, READ, PASSES],
    [{ HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, READ | INSTRUCTION, PASSES],
    [{ HA: 1, HD: 1 }, PAGE | AF | DBM, WRITE, PASSES],
    [{ HA: 1, HD: 1 }, PAGE | DBM | READ_ONLY, WRITE, { event: null, set: AF, cleared: READ_ONLY }],
    [{ HA: 1, HD: 1 }, PAGE | DBM | READ_ONLY, READ, { ...PASSES, set: AF }],
    // Of the unprivileged AP[1] takes everything: nothing becomes dirty by what is refused.
    [{ HA: 1, HD: 1 }, (PAGE & ~0x40n) | AF | DBM | READ_ONLY, WRITE, refused(F_PERMISSION)],
    [{ HA: 1, HD: 1 }, (PAGE & ~0x40n) | AF | DBM | READ_ONLY, WRITE | PRIVILEGED, { ...PASSES, cleared: READ_ONLY }],
    // So it is with PAN.
    [{ HA: 1, HD: 1, PAN: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE | PRIVILEGED, refused(F_PERMISSION)],
  ];
  test.each(titled(cases, titleOf))('%s', (_, flags, low, kind, seen) => {
    const bench = new TableBench();
    const at = bench.map(bench.stage1(SID, flags), VA, TO, low);
    expect(ask(bench, at, kind)).toEqual(seen);
  });

  test.each([
    ['level 1', { level: 1 }, 1n << 30n],
    ['level 2', { level: 2 }, 1n << 21n],
  ])('a block of %s', (_, shape, size) => {
    const bench = new TableBench();
    const at = bench.map(bench.stage1(SID, { HA: 1, HD: 1 }), VA, size, PAGE | DBM | READ_ONLY, shape);
    expect(ask(bench, at, READ)).toEqual({ ...PASSES, set: AF });
    expect(ask(bench, at, WRITE)).toEqual({ ...PASSES, cleared: READ_ONLY });
    expect(bench.ask(SID, VA, WRITE)).toEqual({ address: size + (VA & (size - 1n)) });
  });

  test('3.13.3: what APTable has made read-only does not become dirty', () => {
    const bench = new TableBench();
    const table = bench.stage1(SID, { HA: 1, HD: 1 });
    const at = bench.map(table, VA, TO, PAGE | AF | DBM | READ_ONLY);
    const above = bench.place(table, VA, { level: 2 });
    bench.poke(above, bench.peek(above) | (2n << 61n));
    expect(ask(bench, at, WRITE)).toEqual(refused(F_PERMISSION));
    // With HAD0 it does.
    bench.stage1(SID, { HA: 1, HD: 1, HAD0: 1, TTB0: table });
    bench.forget();
    expect(ask(bench, at, WRITE)).toEqual({ ...PASSES, cleared: READ_ONLY });
  });

  test('a read that has filled a cache does not keep a write from making the page dirty', () => {
    const bench = new TableBench();
    const at = bench.map(bench.stage1(SID, { HA: 1, HD: 1 }), VA, TO, PAGE | AF | DBM | READ_ONLY);
    expect(ask(bench, at, READ)).toEqual(PASSES);
    expect(ask(bench, at, WRITE)).toEqual({ ...PASSES, cleared: READ_ONLY });
    expect(ask(bench, at, WRITE)).toEqual(PASSES);
  });

  test('3.13.1 what has no Access flag is not cached', () => {
    const bench = new TableBench();
    const at = bench.map(bench.stage1(SID), VA, TO, PAGE);
    expect(ask(bench, at, READ)).toEqual(refused(F_ACCESS));
    bench.poke(at, bench.peek(at) | AF);
    expect(ask(bench, at, READ)).toEqual(PASSES);
  });

  test.each([
    [0, 0],
    [0, 1],
    [1, 0],
  ])('each range has the flags of the CD: HD %i, upper %i', (HD, upper) => {
    const bench = new TableBench();
    const table = bench.table();
    bench.stage1(SID, { HA: 1, HD, TTB0: table, TTB1: table, T1SZ: 25, TG1: 2, EPD1: 0 });
    const at = bench.map(table, VA, TO, PAGE | DBM | READ_ONLY);
    const address = upper === 1 ? 0xffff_ff80_0000_0000n + VA : VA;
    const want = HD === 1 ? { event: null, set: AF, cleared: READ_ONLY } : { ...refused(F_PERMISSION) };
    const seen = ask(bench, at, WRITE, address);
    // 3.13.2: of what is refused the Access flag may be set, or not.
    expect({ ...seen, set: seen.event === null ? seen.set : 0n }).toEqual(want);
  });
});

describe('stage 2', () => {
  const both = { S2HA: 1, S2HD: 1 };
  const cases: Case[] = [
    [{}, PAGE_2 | S2_READ, READ, refused(F_ACCESS)],
    [{}, PAGE_2 | S2_READ | AF, READ, PASSES],
    [{ S2AFFD: 1 }, PAGE_2 | S2_READ, READ, PASSES],
    [{ S2HA: 1 }, PAGE_2 | S2_READ, READ, { ...PASSES, set: AF }],
    [{ S2HA: 1, S2AFFD: 1 }, PAGE_2 | S2_READ, READ, { ...PASSES, set: AF }],
    [{ S2HD: 1 }, PAGE_2 | S2_READ, READ, refused(F_ACCESS)],
    [{ S2HD: 1 }, PAGE_2 | S2_READ | AF | DBM, WRITE, refused(F_PERMISSION)],
    [{ S2HA: 1 }, PAGE_2 | S2_READ | AF | DBM, WRITE, refused(F_PERMISSION)],
    [{}, PAGE_2 | S2_READ, WRITE, refused(F_ACCESS)],
    [both, PAGE_2 | S2_READ | AF, WRITE, refused(F_PERMISSION)],
    [both, PAGE_2 | S2_READ | AF | DBM, WRITE, { ...PASSES, set: S2_WRITE }],
    [both, PAGE_2 | S2_READ | AF | DBM, ATOMIC, { ...PASSES, set: S2_WRITE }],
    [both, PAGE_2 | S2_READ | AF | DBM, READ, PASSES],
    [both, PAGE_2 | S2_READ | DBM, WRITE, { ...PASSES, set: AF | S2_WRITE }],
    [both, PAGE_2 | S2_READ | DBM | S2_WRITE | AF, WRITE, PASSES],
    // S2AP 0: writing alone comes with DBM.
    [both, PAGE_2 | AF | DBM, WRITE, { ...PASSES, set: S2_WRITE }],
    [both, PAGE_2 | AF | DBM, READ, refused(F_PERMISSION)],
    [both, PAGE_2 | AF | DBM, ATOMIC, refused(F_PERMISSION)],
    [both, PAGE_2 | AF | DBM | (2n << 53n), READ | INSTRUCTION, refused(F_PERMISSION)],
  ];
  test.each(titled(cases, titleOf))('%s', (_, flags, low, kind, seen) => {
    const bench = new TableBench();
    const at = bench.map(bench.stage2(SID, flags), VA, TO, low);
    expect(ask(bench, at, kind)).toEqual(seen);
  });

  test('a block', () => {
    const bench = new TableBench();
    const at = bench.map(bench.stage2(SID, both), VA, TO, PAGE_2 | S2_READ | DBM, { level: 2 });
    expect(ask(bench, at, WRITE)).toEqual({ ...PASSES, set: AF | S2_WRITE });
  });
});

describe('3.13.5 both stages', () => {
  /** Stage 1's last table is by itself in a page of IPAs beyond memory, whose stage-2 descriptor a test has. */
  function apart(context: object, stream: object, low: bigint, lowOfTable: bigint) {
    const bench = new TableBench();
    const { table, under } = bench.nested(SID, context, stream);
    const last = bench.table();
    bench.poke(bench.place(table, VA, { level: 2 }), 0x4000_0000n | 3n);
    const at = last + 8n;
    bench.poke(at, TO | low | 3n);
    const atTable = bench.map(under, 0x4000_0000n, last, lowOfTable);
    return { bench, at, atTable };
  }
  const WRITABLE = LEAF.second;
  const FIXED = LEAF.second & ~S2_WRITE;

  test.each([
    ['AF', { HA: 1 }, PAGE, READ, AF],
    ['AF of a write', { HA: 1 }, PAGE, WRITE, AF],
    ['dirty state', { HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE, 0n],
  ])('%s is set where stage 2 lets the table be written', (_, context, low, kind, set) => {
    const { bench, at } = apart(context, {}, low, WRITABLE);
    expect(ask(bench, at, kind)).toEqual({ event: null, set, cleared: set === 0n ? READ_ONLY : 0n });
  });

  test.each([
    ['AF', { HA: 1 }, PAGE, READ],
    ['AF of a write', { HA: 1 }, PAGE, WRITE],
    ['dirty state', { HA: 1, HD: 1 }, PAGE | AF | DBM | READ_ONLY, WRITE],
  ])('%s: elsewhere it is F_PERMISSION of stage 2, of a write to the table', (_, context, low, kind) => {
    const { bench, at } = apart(context, {}, low, FIXED);
    const before = bench.peek(at);
    expect([bench.ask(SID, VA, kind), bench.peek(at)]).toEqual([{ event: F_PERMISSION }, before]);
    expect(bench.takeEvents()).toMatchObject([
      { ID: F_PERMISSION, S2: 1, CLASS: 1, TTRnW: 0, RnW: kind === READ ? 1 : 0, IPA: 0x4000_0000n },
    ]);
  });

  test('where no flag is to be set the table need not be writable', () => {
    const { bench, at } = apart({ HA: 1, HD: 1 }, {}, PAGE | AF, FIXED);
    expect(ask(bench, at, WRITE)).toEqual(PASSES);
  });

  test('the page of the table becomes dirty by that, and accessed by being read', () => {
    const { bench, at, atTable } = apart({ HA: 1 }, { S2HA: 1, S2HD: 1 }, PAGE, (FIXED & ~AF) | DBM);
    expect(ask(bench, at, READ)).toEqual({ ...PASSES, set: AF });
    expect(bench.peek(atTable) & (AF | S2_WRITE)).toBe(AF | S2_WRITE);
    const { bench: reads, atTable: other } = apart({}, { S2HA: 1, S2HD: 1 }, PAGE | AF, (FIXED & ~AF) | DBM);
    expect([reads.ask(SID, VA), reads.peek(other) & (AF | S2_WRITE)]).toEqual([{ address: TO }, AF]);
  });

  test('3.13.2, 3.13.3: the page of a CD becomes accessed, never dirty', () => {
    const bench = new TableBench();
    const { table, under } = bench.nested(SID, { HA: 1, HD: 1 }, { S2HA: 1, S2HD: 1, S1ContextPtr: 0x4000_0040n });
    bench.map(table, VA, TO);
    const at = bench.map(under, 0x4000_0000n, 0x1_1000n, (FIXED & ~AF) | DBM);
    expect(bench.ask(SID, VA)).toEqual({ address: TO });
    expect(bench.peek(at) & (AF | S2_WRITE)).toBe(AF);
  });

  test.each([
    ['the CD', { S1ContextPtr: 0x4000_0040n }, 0],
    ['the first table', {}, 1],
  ])('without AF at stage 2: F_ACCESS of %s', (_, stream, CLASS) => {
    const bench = new TableBench();
    const tables = bench.nested(SID, CLASS === 1 ? { TTB0: 0x4000_0000n } : {}, stream);
    bench.map(tables.under, 0x4000_0000n, 0x1_1000n, LEAF.second & ~AF);
    expect(bench.ask(SID, VA)).toEqual({ event: F_ACCESS });
    expect(bench.takeEvents()).toMatchObject([{ S2: 1, CLASS, InputAddr: VA }]);
  });

  test('the page is written at both stages: both become dirty', () => {
    const bench = new TableBench();
    const { table, under } = bench.nested(SID, { HA: 1, HD: 1 }, { S2HA: 1, S2HD: 1 });
    const at = bench.map(table, VA, 0x4000_0000n, PAGE | DBM | READ_ONLY);
    const second = bench.map(under, 0x4000_0000n, TO, (FIXED & ~AF) | DBM);
    expect(ask(bench, at, WRITE)).toEqual({ event: null, set: AF, cleared: READ_ONLY });
    expect(bench.peek(second) & (AF | S2_WRITE)).toBe(AF | S2_WRITE);
  });
});

describe('5.2 S2PTW', () => {
  const [DEVICE, NORMAL] = [0n, 0xfn];
  /** MemAttr is bits 5:2. */
  const withAttr = (attr: bigint) => (LEAF.second & ~0x3cn) | (attr << 2n);
  const cases: [number, bigint, object, boolean][] = [
    [0, DEVICE, {}, true],
    [1, NORMAL, {}, true],
    [1, DEVICE, {}, false],
    [1, 1n, {}, false],
    [1, 3n, {}, false],
    [1, 5n, {}, true],
    [1, 0xan, {}, true],
    // With FWB bit 4 of the descriptor says that it is no Device: 6 and 7 of MemAttr.
    [1, 6n, { S2FWB: 1 }, true],
    [1, 2n, { S2FWB: 1 }, false],
  ];
  test.each(titled(cases, (ptw, attr, fwb, may) => `S2PTW ${ptw}, MemAttr ${attr} ${JSON.stringify(fwb)}: ${may}`))(
    '%s: tables and the CD',
    (_, S2PTW, attr, fwb, may) => {
      const stream = { S2PTW, ...fwb };
      const options = { idr3: { FWB: 1 } };
      const plain = withAttr('S2FWB' in fwb ? 6n : NORMAL);
      for (const of of ['table', 'cd'] as const) {
        const bench = new TableBench(options);
        const pointer = of === 'cd' ? { S1ContextPtr: 0x4000_0040n } : {};
        const { table, under } = bench.nested(SID, {}, { ...stream, ...pointer });
        bench.map(table, VA, 0x4100_0000n);
        bench.map(under, 0x4100_0000n, TO, withAttr(attr));
        // All memory by pages: what a test has to do with is Device or not, the rest Normal.
        for (const block of [0n, 0x20_0000n]) bench.map(under, block, block, plain, { level: 2 });
        const last = bench.place(table, VA);
        const page = 0x4000_0000n;
        if (of === 'cd') bench.map(under, page, 0x1_1000n, withAttr(attr));
        else {
          bench.map(under, page, last & ~0xfffn, withAttr(attr));
          bench.poke(bench.place(table, VA, { level: 2 }), page | 3n);
        }
        const answer = bench.ask(SID, VA);
        expect(answer, of).toEqual(may ? { address: TO } : { event: F_PERMISSION });
        const CLASS = of === 'cd' ? 0 : 1;
        expect(bench.takeEvents()).toMatchObject(
          may ? [] : [{ ID: F_PERMISSION, S2: 1, CLASS, ...(CLASS === 1 ? { TTRnW: 1 } : {}) }],
        );
      }
    },
  );

  test('stage 2 alone: IGNORED', () => {
    const bench = new TableBench();
    bench.map(bench.stage2(SID, { S2PTW: 1 }), VA, TO, withAttr(DEVICE));
    expect(bench.ask(SID, VA)).toEqual({ address: TO });
  });
});

describe('what this model has not', () => {
  test.todo('3.13.6 Access flag of table descriptors (IDR0.HTTU 3, CD.HAFT, STE.S2HAFT)');
  test.todo('3.13.3.2 dirty state with indirect permissions (IDR3.S1PI, S2PI)');
});
