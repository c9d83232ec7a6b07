/** SMMUv3 5.1, 5.2, 5.4: limits of what a level-1 descriptor, an STE and a CD may say. */
import { describe, expect, test } from 'vitest';
import { STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, MEMORY, PRIVILEGED, READ, WRITE } from './unit.ts';

const [C_BAD_STREAMID, C_BAD_STE, C_BAD_CD, F_TRANSLATION, F_PERMISSION] = [2, 4, 10, 16, 19];

describe('5.1 L1STD', () => {
  const STREAMS = MEMORY + 0x1_0000n;
  const SECOND = MEMORY + 0x2_0000n;

  test.each([
    [1, 1],
    [3, 4],
    [7, 64],
  ])('Span %i: %i STEs', (span, count) => {
    const bench = new Bench();
    bench.streamTable(STREAMS, 8, 6);
    bench.poke(STREAMS, SECOND | BigInt(span));
    for (let sid = 0; sid < 64; sid++) bench.ste(SECOND + 64n * BigInt(sid), { Config: STE_CONFIG.bypass });
    bench.enable(1);
    for (let sid = 0; sid < 64; sid++)
      expect(bench.ask(sid, 0x5000n), `${sid}`).toEqual(sid < count ? { address: 0x5000n } : { event: C_BAD_STREAMID });
  });

  test.each([0, 8, 12, 31])('Span %i: none', (span) => {
    const bench = new Bench();
    bench.streamTable(STREAMS, 8, 6);
    bench.poke(STREAMS, SECOND | BigInt(span));
    bench.ste(SECOND, { Config: STE_CONFIG.bypass });
    bench.enable(1);
    expect(bench.ask(0, 0x5000n)).toEqual({ event: C_BAD_STREAMID });
  });
});

describe('5.4 CD.T0SZ', () => {
  const WIDE: BenchOptions = { idr5: { OAS: 6, VAX: 1 } };
  const LARGE: BenchOptions = { idr3: { STT: 0 } };
  const SMALL: BenchOptions = { idr3: { STT: 1 } };
  test.each([
    ['4 KiB', {}, 0, 15, 16],
    ['64 KiB', {}, 1, 15, 16],
    ['64 KiB and VAX', WIDE, 1, 11, 12],
    ['4 KiB and VAX', WIDE, 0, 15, 16],
  ] as const)('of %s is at least what an address can have', (_, options, TG0, bad, good) => {
    const bench = new TableBench(options);
    bench.stage1(1, { TG0, T0SZ: bad });
    bench.stage1(2, { TG0, T0SZ: good });
    expect([bench.ask(1, 0n), bench.ask(2, 0n)]).toEqual([{ event: C_BAD_CD }, { event: F_TRANSLATION }]);
  });

  test.each([
    ['4 KiB', SMALL, 0, 48, 49],
    ['16 KiB', SMALL, 2, 48, 49],
    ['64 KiB', SMALL, 1, 47, 48],
    ['4 KiB without small tables', LARGE, 0, 39, 40],
    ['64 KiB without small tables', LARGE, 1, 39, 40],
  ] as const)('of %s is at most what tables can have', (_, options, TG0, good, bad) => {
    const bench = new TableBench(options);
    bench.stage1(1, { TG0, T0SZ: bad });
    bench.stage1(2, { TG0, T0SZ: good });
    expect([bench.ask(1, 0n), bench.ask(2, 0n)]).toEqual([{ event: C_BAD_CD }, { event: F_TRANSLATION }]);
  });
});

describe('5.2 STE.STRW', () => {
  const TOP = 0x7f_ffff_f000n;
  const UPPER = 0xffff_ffff_ffff_f000n;

  test('EL2 has no upper table: addresses of it are out of range', () => {
    const bench = new TableBench({ idr0: { Hyp: 1 } });
    const table = bench.stage1(1, {}, { STRW: 2 });
    bench.map(table, TOP, 0x8000n);
    expect(bench.ask(1, TOP)).toEqual({ address: 0x8000n });
    bench.forget();
    expect(bench.ask(1, UPPER)).toEqual({ event: F_TRANSLATION });
  });

  test('EL1 has one', () => {
    const bench = new TableBench();
    const table = bench.table();
    bench.stage1(1, { EPD1: 0, TTB1: table, T1SZ: 25, TG1: 2 });
    bench.map(table, TOP, 0x8000n);
    expect(bench.ask(1, UPPER)).toEqual({ address: 0x8000n });
    expect(bench.ask(1, TOP)).toEqual({ event: F_TRANSLATION });
  });

  test('PAN says nothing in EL2', () => {
    const bench = new TableBench({ idr0: { Hyp: 1 } });
    for (const [sid, STRW] of [
      [1, 0],
      [2, 2],
    ])
      bench.map(bench.stage1(sid, { PAN: 1 }, { STRW }), 0x1000n, 0x8000n);
    expect(bench.ask(1, 0x1000n, READ | PRIVILEGED)).toEqual({ event: F_PERMISSION });
    expect(bench.ask(2, 0x1000n, READ | PRIVILEGED)).toEqual({ address: 0x8000n });
  });
});

describe('3.13, 5.2 STE.S2HA, S2HD', () => {
  const DBM = 1n << 51n;
  const clean = LEAF.second & ~0x80n;
  const second = (bench: TableBench, how: { S2HA: number; S2HD: number }, low: bigint): bigint => {
    const table = bench.table();
    bench.steOf(1, {
      ...{ Config: STE_CONFIG.s2, S2T0SZ: 25, S2SL0: 1, S2PS: 5, S2AA64: 1, S2TTB: table, S2R: 1 },
      ...how,
    });
    return bench.map(table, 0x1000n, 0x8000n, low);
  };

  test('both: a write makes a writable-clean page dirty, a read does not', () => {
    const bench = new TableBench({ idr0: { HTTU: 2 } });
    const at = second(bench, { S2HA: 1, S2HD: 1 }, clean | DBM);
    const before = bench.peek(at);
    expect([bench.ask(1, 0x1000n, READ), bench.peek(at)]).toEqual([{ address: 0x8000n }, before]);
    expect([bench.ask(1, 0x1000n, WRITE), bench.peek(at)]).toEqual([{ address: 0x8000n }, before | 0x80n]);
  });

  test('S2HD without S2HA: DBM says nothing', () => {
    const bench = new TableBench({ idr0: { HTTU: 2 } });
    const at = second(bench, { S2HA: 0, S2HD: 1 }, clean | DBM);
    const before = bench.peek(at);
    expect([bench.ask(1, 0x1000n, WRITE), bench.peek(at)]).toEqual([{ event: F_PERMISSION }, before]);
  });

  test.each([
    [0, { S2HA: 1, S2HD: 0 }],
    [1, { S2HA: 0, S2HD: 1 }],
  ])('IDR0.HTTU %i has no %j', (HTTU, how) => {
    const bench = new TableBench({ idr0: { HTTU } });
    second(bench, how, LEAF.second);
    expect(bench.ask(1, 0x1000n)).toEqual({ event: C_BAD_STE });
  });
});
