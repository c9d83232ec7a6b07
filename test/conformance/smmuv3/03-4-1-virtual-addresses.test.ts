/** SMMUv3 3.4.1, 5.4 T0SZ, T1SZ, TBI0, TBI1, EPD0, EPD1, E0PD0, E0PD1: which virtual addresses are translated, and by which table. */
import { describe, expect, test } from 'vitest';
import { CMD_CFGI_CD, CR2 } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { PRIVILEGED, READ } from './unit.ts';

const F_TRANSLATION = 16;
const MISSES = { event: F_TRANSLATION };
const SID = 1;
const ALL = 1n << 64n;
const WIDE: BenchOptions = { idr5: { OAS: 6, VAX: 1 } };

/** TG0, TG1, log2 of the granule; TxSZ; the level that a walk of so many bits begins with (DDI 0487, D8.2). */
const RANGES: [string, number, number, number, number, number, BenchOptions?][] = [
  ['4 KiB', 0, 2, 12, 16, 0],
  ['4 KiB', 0, 2, 12, 24, 0],
  ['4 KiB', 0, 2, 12, 25, 1],
  ['4 KiB', 0, 2, 12, 32, 1],
  ['4 KiB', 0, 2, 12, 33, 1],
  ['4 KiB', 0, 2, 12, 34, 2],
  ['4 KiB', 0, 2, 12, 42, 2],
  ['4 KiB', 0, 2, 12, 43, 3],
  ['4 KiB', 0, 2, 12, 48, 3],
  ['16 KiB', 2, 1, 14, 16, 0],
  ['16 KiB', 2, 1, 14, 17, 1],
  ['16 KiB', 2, 1, 14, 27, 1],
  ['16 KiB', 2, 1, 14, 28, 2],
  ['16 KiB', 2, 1, 14, 38, 2],
  ['16 KiB', 2, 1, 14, 39, 3],
  ['16 KiB', 2, 1, 14, 48, 3],
  ['64 KiB', 1, 3, 16, 12, 1, WIDE],
  ['64 KiB', 1, 3, 16, 16, 1],
  ['64 KiB', 1, 3, 16, 21, 1],
  ['64 KiB', 1, 3, 16, 22, 2],
  ['64 KiB', 1, 3, 16, 34, 2],
  ['64 KiB', 1, 3, 16, 35, 3],
  ['64 KiB', 1, 3, 16, 47, 3],
];

const tagged = (tag: number, address: bigint) => (BigInt(tag) << 56n) | (address & 0xff_ffff_ffff_ffffn);

describe('3.4.1 the range of a table, by granule and TxSZ; the walk begins at the level that so many bits need', () => {
  test.each(RANGES)('%s, TG0 %i, TG1 %i, 2^%i, T0SZ %i: level %i', (_, TG0, __, granule, T0SZ, first, options = {}) => {
    const bench = new TableBench(options);
    const input = 64 - T0SZ;
    const table = bench.stage1(SID, { TG0, T0SZ });
    const page = 1n << BigInt(granule);
    const last = (1n << BigInt(input)) - page;
    bench.map(table, 0n, 0x20_0000n, LEAF.both, { granule, first, input });
    bench.map(table, last, 0x21_0000n, LEAF.both, { granule, first, input });
    expect([bench.ask(SID, 0n), bench.ask(SID, last + page - 1n)]).toEqual([
      { address: 0x20_0000n },
      { address: 0x21_0000n + page - 1n },
    ]);
    bench.forget();
    for (const beyond of [last + page, 1n << 54n, (1n << 63n) | last, ALL - 1n])
      expect(bench.ask(SID, beyond), beyond.toString(16)).toEqual(MISSES);
    expect(bench.takeEvents()).toMatchObject(Array(4).fill({ ID: F_TRANSLATION, S2: 0, CLASS: 2 }));
  });

  test.each(RANGES)('%s, TG0 %i, TG1 %i, 2^%i, T1SZ %i: level %i', (_, __, TG1, granule, T1SZ, first, options = {}) => {
    const bench = new TableBench(options);
    const input = 64 - T1SZ;
    const table = bench.table();
    bench.stage1(SID, { TG1, T1SZ, TTB1: table, EPD1: 0, EPD0: 1 });
    const page = 1n << BigInt(granule);
    const lowest = ALL - (1n << BigInt(input));
    bench.map(table, lowest, 0x20_0000n, LEAF.both, { granule, first, input });
    bench.map(table, ALL - page, 0x21_0000n, LEAF.both, { granule, first, input });
    expect([bench.ask(SID, lowest), bench.ask(SID, ALL - 1n)]).toEqual([
      { address: 0x20_0000n },
      { address: 0x21_0000n + page - 1n },
    ]);
    bench.forget();
    for (const beyond of [lowest - 1n, lowest & ~(1n << 63n), 1n << 55n])
      expect(bench.ask(SID, beyond), beyond.toString(16)).toEqual(MISSES);
  });

  test('each range has its own granule and size', () => {
    const bench = new TableBench();
    const [lower, upper] = [bench.table(), bench.table()];
    bench.stage1(SID, { TG0: 0, T0SZ: 25, TTB0: lower, TG1: 3, T1SZ: 35, TTB1: upper, EPD1: 0 });
    bench.map(lower, 0x7f_ffff_f000n, 0x20_0000n);
    bench.map(upper, ALL - 0x2000_0000n, 0x21_0000n, LEAF.both, { granule: 16, first: 3, input: 29 });
    expect([
      bench.ask(SID, 0x7f_ffff_f000n),
      bench.ask(SID, ALL - 0x2000_0000n),
      bench.ask(SID, ALL - 0x2000_0001n),
    ]).toEqual([{ address: 0x20_0000n }, { address: 0x21_0000n }, MISSES]);
  });
});

describe('3.4.1 TBI0, TBI1: bits 63:56 are ignored, bit 55 selects', () => {
  const LOWER = 0x40_1000n;
  const UPPER = 0xffff_ff80_0040_1000n;
  const [TO, UPPER_TO] = [{ address: 0x8000n }, { address: 0x9000n }];

  /** TBI0, TBI1, address, answer. */
  const cases: [number, number, bigint, object][] = [
    [0, 0, LOWER, TO],
    [0, 0, UPPER, UPPER_TO],
    [0, 0, tagged(1, LOWER), MISSES],
    [0, 0, tagged(0x80, LOWER), MISSES],
    [0, 0, tagged(0xff, LOWER), MISSES],
    [0, 0, tagged(0xfe, UPPER), MISSES],
    [0, 0, tagged(0x7f, UPPER), MISSES],
    [0, 0, tagged(0, UPPER), MISSES],
    [1, 0, tagged(1, LOWER), TO],
    [1, 0, tagged(0x80, LOWER), TO],
    [1, 0, tagged(0xff, LOWER), TO],
    [1, 0, tagged(0xfe, UPPER), MISSES],
    [1, 0, tagged(0, UPPER), MISSES],
    [0, 1, tagged(0xff, LOWER), MISSES],
    [0, 1, tagged(0xfe, UPPER), UPPER_TO],
    [0, 1, tagged(0, UPPER), UPPER_TO],
    [0, 1, tagged(0x55, UPPER), UPPER_TO],
    [1, 1, tagged(0xa5, LOWER), TO],
    [1, 1, tagged(0x5a, UPPER), UPPER_TO],
    // Bits from 55 down to the range have to be alike whatever TBI says.
    [1, 1, LOWER | (1n << 39n), MISSES],
    [1, 1, LOWER | (1n << 54n), MISSES],
    [1, 1, LOWER | (1n << 55n), MISSES],
    [1, 1, UPPER & ~(1n << 54n), MISSES],
    [1, 1, UPPER & ~(1n << 55n), MISSES],
    [1, 1, UPPER & ~(1n << 39n), MISSES],
  ];
  test.each(titled(cases, (TBI0, TBI1, address) => `TBI0 ${TBI0}, TBI1 ${TBI1}, ${hex(address)}`))(
    '%s',
    (_, TBI0, TBI1, address, answer) => {
      const bench = new TableBench();
      const [lower, upper] = [bench.table(), bench.table()];
      bench.stage1(SID, { TTB0: lower, TTB1: upper, T1SZ: 25, TG1: 2, EPD1: 0, TBI0, TBI1 });
      bench.map(lower, LOWER, 0x8000n);
      bench.map(upper, LOWER, 0x9000n);
      expect(bench.ask(SID, address)).toEqual(answer);
      // 7.3: all bits as they came.
      expect(bench.takeEvents().map(({ InputAddr }) => InputAddr)).toEqual(answer === MISSES ? [address] : []);
    },
  );

  test.each(
    titled(
      [
        [0, LOWER, TO],
        [0, tagged(0xff, LOWER), MISSES],
        [1, tagged(0xff, LOWER), TO],
        [1, tagged(0x12, LOWER), TO],
        [1, LOWER | (1n << 55n), MISSES],
        [1, UPPER, MISSES],
        [0, UPPER, MISSES],
      ],
      (TBI0, address, _) => `EL2 has the lower range alone: TBI0 ${TBI0}, ${hex(address)}`,
    ),
  )('%s', (_, TBI0, address, answer) => {
    const bench = new TableBench();
    bench.map(bench.stage1(SID, { TBI0 }, { STRW: 2 }), LOWER, 0x8000n);
    expect(bench.ask(SID, address)).toEqual(answer);
  });
});

describe('5.4 EPD0, EPD1', () => {
  const LOWER = 0x40_1000n;

  test.each([
    [1, 0, 0x1000n],
    [0, 1, ALL - 0x1000n],
  ])('EPD0 %i, EPD1 %i: F_TRANSLATION of stage 1 before anything is read', (EPD0, EPD1, address) => {
    const bench = new TableBench();
    // Nothing decodes there: the table is not walked.
    bench.stage1(SID, { EPD0, EPD1, TTB0: 1n << 40n, TTB1: 1n << 40n, T1SZ: 25, TG1: 2 });
    expect(bench.ask(SID, address)).toEqual(MISSES);
    expect(bench.takeEvents()).toMatchObject([{ ID: F_TRANSLATION, S2: 0, CLASS: 2, InputAddr: address }]);
  });

  /** TBI0 and EPD0 of the CD that comes after; the tag of the address that is asked for. */
  test.each([
    [0, 1, 0, { address: 0x8000n }],
    [0, 1, 0xab, MISSES],
    [1, 1, 0xab, { address: 0x8000n }],
    [1, 1, 0xff, { address: 0x8000n }],
    [1, 0, 0xab, { address: 0x8000n }],
  ])('decision: what the TLB has of a disabled range is found; TBI0 %i, EPD0 %i, tag %i', (TBI0, EPD0, tag, answer) => {
    const bench = new TableBench();
    const table = bench.stage1(SID, { TBI0: 1 });
    bench.map(table, LOWER, 0x8000n);
    expect(bench.ask(SID, tagged(0x12, LOWER))).toEqual({ address: 0x8000n });
    bench.stage1(SID, { TTB0: table, TBI0, EPD0 });
    bench.command(CMD_CFGI_CD, { StreamID: SID });
    expect(bench.ask(SID, tagged(tag, LOWER))).toEqual(answer);
  });

  test('what it has not is F_TRANSLATION of the disabled range, with the tag in the record', () => {
    const bench = new TableBench();
    bench.stage1(SID, { EPD0: 1, TBI0: 1 });
    expect(bench.ask(SID, tagged(0xab, LOWER))).toEqual(MISSES);
    expect(bench.takeEvents()).toMatchObject([{ ID: F_TRANSLATION, InputAddr: tagged(0xab, LOWER) }]);
  });
});

describe('5.4 E0PD0, E0PD1', () => {
  const LOWER = 0x1000n;
  const UPPER = ALL - 0x1000n;
  const [TO, UPPER_TO] = [{ address: 0x8000n }, { address: 0x9000n }];
  /** IDR3.E0PD, E0PD0, E0PD1, address, privileged, answer. */
  const cases: [number, number, number, bigint, boolean, object][] = [
    [1, 0, 0, LOWER, false, TO],
    [1, 0, 0, UPPER, false, UPPER_TO],
    [1, 1, 0, LOWER, false, MISSES],
    [1, 1, 0, LOWER, true, TO],
    [1, 1, 0, UPPER, false, UPPER_TO],
    [1, 0, 1, UPPER, false, MISSES],
    [1, 0, 1, UPPER, true, UPPER_TO],
    [1, 0, 1, LOWER, false, TO],
    [1, 1, 1, LOWER, false, MISSES],
    [1, 1, 1, UPPER, false, MISSES],
    [0, 1, 1, LOWER, false, TO],
    [0, 1, 1, UPPER, false, UPPER_TO],
  ];
  test.each(
    titled(
      cases,
      (has, e0, e1, address, priv) => `IDR3.E0PD ${has}, E0PD0 ${e0}, E0PD1 ${e1}, ${hex(address)}, privileged ${priv}`,
    ),
  )('%s', (_, E0PD, E0PD0, E0PD1, address, priv, to) => {
    const bench = new TableBench({ idr3: { E0PD } });
    const [lower, upper] = [bench.table(), bench.table()];
    bench.stage1(SID, { TTB0: lower, TTB1: upper, T1SZ: 25, TG1: 2, EPD1: 0, E0PD0, E0PD1 });
    bench.map(lower, LOWER, 0x8000n);
    bench.map(upper, UPPER, 0x9000n);
    // A privileged access first: what it leaves in a cache serves no other one.
    if (!priv) bench.ask(SID, address, READ | PRIVILEGED);
    expect(bench.ask(SID, address, priv ? READ | PRIVILEGED : READ)).toEqual(to);
    expect(bench.takeEvents().length).toBe(to === MISSES ? 1 : 0);
  });

  test.each([
    [0, { address: 0x8000n }],
    [1, MISSES],
  ])('EL2 has no unprivileged accesses, EL2-E2H has (CR2.E2H %i)', (e2h, answer) => {
    const bench = new TableBench({ idr3: { E0PD: 1 } });
    bench.enable(0);
    bench.write(CR2.offset, 4, 2n | BigInt(e2h << CR2.E2H.lo));
    bench.enable(1);
    bench.map(bench.stage1(SID, { E0PD0: 1 }, { STRW: 2 }), LOWER, 0x8000n);
    expect(bench.ask(SID, LOWER)).toEqual(answer);
  });
});
