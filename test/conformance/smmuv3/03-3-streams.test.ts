/** SMMUv3 3.3.1, 5.1, 6.3.24, 6.3.25, 7.3.3, 7.3.4: from a StreamID to its STE. */
import { describe, expect, test } from 'vitest';
import { STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, MEMORY } from './unit.ts';

const [C_BAD_STREAMID, F_STE_FETCH] = [2, 3];
const AT = 0x5000n;
const PASSES = { address: AT };
const BAD = { event: C_BAD_STREAMID };
const TABLE = MEMORY + 0x2_0000n;
const LEVEL_2 = MEMORY + 0x10_0000n;

/** A linear stream table, or one of two levels; nothing is in it. */
function streams(base: bigint, log2: number, split = 0, options: BenchOptions = {}): Bench {
  const bench = new Bench(options);
  bench.streamTable(base, log2, split);
  bench.enable(1);
  return bench;
}

const bypass = (bench: Bench, at: bigint) => bench.ste(at, { Config: STE_CONFIG.bypass });

/** What is looked for first, so that the next look is at memory. */
function askAfresh(bench: Bench, sid: number) {
  bench.forget();
  return bench.ask(sid, AT);
}

describe('6.3.25 LOG2SIZE of a linear table', () => {
  test.each([0, 1, 2, 4, 6, 8, 9])('%i: 2^n StreamIDs', (log2) => {
    const bench = streams(TABLE, log2);
    const last = 2 ** log2 - 1;
    for (const sid of [0, last]) bypass(bench, TABLE + 64n * BigInt(sid));
    // The next one would be there.
    bypass(bench, TABLE + 64n * BigInt(last + 1));
    expect([0, last, last + 1].map((sid) => bench.ask(sid, AT))).toEqual([PASSES, PASSES, BAD]);
    expect(bench.takeEvents()).toEqual([{ ID: C_BAD_STREAMID, SSV: 0, SubstreamID: 0, StreamID: last + 1 }]);
  });

  test.each([
    [4, 4, 15, true],
    [4, 4, 16, false],
    [4, 9, 15, true],
    [4, 9, 16, false],
    [4, 63, 16, false],
    [16, 9, 511, true],
    [16, 9, 512, false],
  ])('IDR1.SIDSIZE %i, LOG2SIZE %i, StreamID %i: in range %s', (SIDSIZE, log2, sid, inRange) => {
    const base = log2 === 63 ? 0n : TABLE;
    const bench = streams(base, log2, 0, { idr1: { SIDSIZE } });
    bypass(bench, base + 64n * BigInt(sid));
    expect(bench.ask(sid, AT)).toEqual(inRange ? PASSES : BAD);
    expect(bench.read(0x88, 4), 'it reads as written').toBe(BigInt(log2));
  });

  test.each([2, 3])('FMT %i behaves as 0', (fmt) => {
    const bench = new Bench();
    bench.write(0x80, 8, TABLE);
    bench.write(0x88, 4, BigInt((fmt << 16) | (6 << 6) | 8));
    bench.enable(1);
    bypass(bench, TABLE + 64n * 70n);
    expect(bench.ask(70, AT)).toEqual(PASSES);
  });
});

describe('6.3.24 the table is aligned to its size', () => {
  test.each(
    titled(
      [
        [4, 0x2_03c0n, 0x2_0000n],
        [4, 0x2_0400n, 0x2_0400n],
        [8, 0x2_3fc0n, 0x2_0000n],
        [8, 0x2_4000n, 0x2_4000n],
        [0, 0x2_0040n, 0x2_0040n],
      ],
      (log2, base, table) => `linear, LOG2SIZE ${log2}: ${hex(base)} is taken for ${hex(table)}`,
    ),
  )('%s', (_, log2, base, table) => {
    const bench = streams(MEMORY + base, log2);
    bypass(bench, MEMORY + table);
    expect(bench.ask(0, AT)).toEqual(PASSES);
  });

  test.each(
    titled(
      [
        [10, 6, 0x2_0040n, 0x2_0000n],
        [10, 6, 0x2_0080n, 0x2_0080n],
        [9, 6, 0x2_0040n, 0x2_0040n],
        [8, 10, 0x2_0040n, 0x2_0040n],
        [13, 8, 0x2_00c0n, 0x2_0000n],
        [13, 8, 0x2_0100n, 0x2_0100n],
      ],
      (log2, split, base, table) =>
        `2-level, LOG2SIZE ${log2}, SPLIT ${split}: ${hex(base)} is taken for ${hex(table)}`,
    ),
  )('%s', (_, log2, split, base, table) => {
    const bench = streams(MEMORY + base, log2, split);
    bench.poke(MEMORY + table, LEVEL_2 | 1n);
    bypass(bench, LEVEL_2);
    expect(bench.ask(0, AT)).toEqual(PASSES);
  });

  test('by LOG2SIZE as it is written, though IDR1.SIDSIZE limits StreamIDs', () => {
    const bench = streams(TABLE + 0x400n, 8, 0, { idr1: { SIDSIZE: 4 } });
    bypass(bench, TABLE);
    expect(bench.ask(0, AT)).toEqual(PASSES);
    const two = streams(TABLE + 0x40n, 10, 6, { idr1: { SIDSIZE: 8 } });
    two.poke(TABLE, LEVEL_2 | 1n);
    bypass(two, LEVEL_2);
    expect(two.ask(0, AT)).toEqual(PASSES);
  });
});

describe('6.3.25 SPLIT', () => {
  test.each([
    [6, 6],
    [8, 8],
    [10, 10],
    // Reserved: as 6.
    [0, 6],
    [5, 6],
    [7, 6],
    [9, 6],
    [11, 6],
    [31, 6],
  ])('%i: StreamID[%i − 1:0] select in level 2', (written, split) => {
    const bench = new Bench();
    bench.write(0x80, 8, TABLE);
    bench.write(0x88, 4, BigInt((1 << 16) | (written << 6) | 12));
    bench.enable(1);
    // The second L1STD, and of its table the last STE but two.
    const last = 2 ** split - 3;
    bench.poke(TABLE + 8n, LEVEL_2 | BigInt(split + 1));
    bypass(bench, LEVEL_2 + 64n * BigInt(last));
    expect(bench.ask(2 ** split + last, AT)).toEqual(PASSES);
  });

  test.each([
    [6, 4, 15, true],
    [6, 4, 16, false],
    [6, 6, 63, true],
    [6, 6, 64, false],
    [10, 8, 255, true],
    [10, 8, 256, false],
  ])('SPLIT %i, LOG2SIZE %i: one L1STD, StreamID %i in range %s', (split, log2, sid, inRange) => {
    const bench = streams(TABLE, log2, split);
    bench.poke(TABLE, LEVEL_2 | BigInt(split + 1));
    bypass(bench, LEVEL_2 + 64n * BigInt(sid));
    expect(bench.ask(sid, AT)).toEqual(inRange ? PASSES : BAD);
  });
});

describe('5.1 L1STD', () => {
  const spans = [6, 8, 10].flatMap((split) =>
    Array.from({ length: split + 1 }, (_, i): [number, number] => [split, i + 1]),
  );
  test.each(spans)('SPLIT %i, Span %i: 2^(Span − 1) STEs', (split, span) => {
    const bench = streams(TABLE, 12, split);
    bench.poke(TABLE, LEVEL_2 | BigInt(span));
    const count = 2 ** (span - 1);
    for (const sid of [0, count - 1]) bypass(bench, LEVEL_2 + 64n * BigInt(sid));
    bypass(bench, LEVEL_2 + 64n * BigInt(count));
    expect([bench.ask(0, AT), bench.ask(count - 1, AT)]).toEqual([PASSES, PASSES]);
    // Of the full span the next one is another L1STD's, which is not valid.
    expect(bench.ask(count, AT)).toEqual(BAD);
    expect(bench.takeEvents()).toMatchObject([{ ID: C_BAD_STREAMID, StreamID: count }]);
  });

  test.each([
    [6, 0],
    [6, 8],
    [6, 11],
    [8, 10],
    [8, 11],
    [10, 12],
    [10, 31],
  ])('SPLIT %i, Span %i: no STE', (split, span) => {
    const bench = streams(TABLE, 12, split);
    bench.poke(TABLE, LEVEL_2 | BigInt(span));
    bypass(bench, LEVEL_2);
    expect(bench.ask(0, AT)).toEqual(BAD);
  });

  test.each(
    titled(
      [
        [1, 0x10_0040n, 0x10_0040n],
        [2, 0x10_0040n, 0x10_0000n],
        [2, 0x10_0080n, 0x10_0080n],
        [7, 0x10_0fc0n, 0x10_0000n],
        [7, 0x10_1000n, 0x10_1000n],
      ],
      (span, pointer, table) => `Span ${span}: L2Ptr ${hex(pointer)} is taken for ${hex(table)}`,
    ),
  )('%s', (_, span, pointer, table) => {
    const bench = streams(TABLE, 12, 6);
    bench.poke(TABLE, MEMORY | pointer | BigInt(span));
    bypass(bench, MEMORY + table);
    expect(bench.ask(0, AT)).toEqual(PASSES);
  });

  test('bits above L2Ptr are not part of it', () => {
    const bench = streams(TABLE, 12, 6);
    bench.poke(TABLE, (0xffn << 56n) | LEVEL_2 | 1n);
    bypass(bench, LEVEL_2);
    expect(bench.ask(0, AT)).toEqual(PASSES);
  });
});

describe('7.3.3 CR2.RECINVSID', () => {
  test.each([
    [0, []],
    [1, [{ ID: C_BAD_STREAMID, SSV: 1, SubstreamID: 3, StreamID: 99 }]],
  ])('%i', (RECINVSID, events) => {
    const bench = new Bench();
    bench.write(0x2c, 4, BigInt(RECINVSID << 1));
    bench.streamTable(TABLE, 4);
    bench.enable(1);
    expect(bench.ask(99, AT, 1, 3)).toEqual(BAD);
    expect(bench.takeEvents()).toEqual(events);
  });
});

describe('7.3.4 F_STE_FETCH', () => {
  const nowhere = 0x8_0000_0000n;
  test('of a linear table: FetchAddr is the STE’s', () => {
    const bench = streams(nowhere, 8);
    expect(bench.ask(5, AT)).toEqual({ event: F_STE_FETCH });
    expect(bench.takeEvents()).toMatchObject([{ StreamID: 5, FetchAddr: nowhere + 5n * 64n }]);
  });

  test('of an L1STD, and of an STE behind one', () => {
    const bench = streams(nowhere, 8, 6);
    expect(bench.ask(70, AT)).toEqual({ event: F_STE_FETCH });
    expect(bench.takeEvents()).toMatchObject([{ StreamID: 70, FetchAddr: nowhere + 8n }]);
    const behind = streams(TABLE, 8, 6);
    behind.poke(TABLE + 8n, nowhere | 7n);
    expect(behind.ask(70, AT)).toEqual({ event: F_STE_FETCH });
    expect(behind.takeEvents()).toMatchObject([{ StreamID: 70, FetchAddr: nowhere + 6n * 64n }]);
  });

  test('5.2.1 a failed fetch is not cached', () => {
    const bench = streams(TABLE, 8, 6);
    bench.poke(TABLE, nowhere | 7n);
    expect(bench.ask(0, AT)).toEqual({ event: F_STE_FETCH });
    bench.poke(TABLE, LEVEL_2 | 7n);
    bypass(bench, LEVEL_2);
    expect(askAfresh(bench, 0)).toEqual(PASSES);
  });

  test.each([
    [0, 32],
    [2, 40],
    [5, 48],
  ])('decision (3.4.3 (5)): L2Ptr beyond the OAS %i', (OAS, bits) => {
    const bench = streams(TABLE, 8, 6, { idr5: { OAS } });
    bench.poke(TABLE, (1n << BigInt(bits)) | LEVEL_2 | 1n);
    bypass(bench, LEVEL_2);
    expect(bench.ask(0, AT)).toEqual({ event: F_STE_FETCH });
  });

  test('decision (3.4.3 (5)): STRTAB_BASE is truncated to the OAS', () => {
    const bench = streams((1n << 40n) | TABLE, 4, 0, { idr5: { OAS: 2 } });
    bypass(bench, TABLE);
    expect(bench.ask(0, AT)).toEqual(PASSES);
  });
});
