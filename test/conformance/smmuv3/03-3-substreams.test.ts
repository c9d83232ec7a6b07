/** SMMUv3 3.3.2, 5.2 S1Fmt, S1CDMax, S1DSS, 5.3, 7.3.7, 7.3.9: from a SubstreamID to its CD. */
import { describe, expect, test } from 'vitest';
import { STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { MEMORY } from './unit.ts';

const [F_STREAM_DISABLED, C_BAD_SUBSTREAMID, F_CD_FETCH] = [6, 8, 9];
const AT = 0x5000n;
const PASSES = { address: AT };
const LEVEL_2 = MEMORY + 0x10_0000n;
const CDS = MEMORY + 0x1_2000n;
const PAGE = (index: number): bigint => 0x10_0000n + (BigInt(index) << 12n);

/** Without substreams S1CDMax is IGNORED. */
const SUBSTREAMS: BenchOptions = { idr1: { SSIDSIZE: 20 } };

/** A stream with 2^max CDs of a linear table: CD n maps AT to a page of its own. */
function substreams(S1CDMax: number, more: object = {}, options: BenchOptions = {}): TableBench {
  const bench = new TableBench(S1CDMax === 0 ? options : { ...SUBSTREAMS, ...options });
  const table = bench.table();
  bench.stage1(1, { TTB0: table }, { S1CDMax, S1ContextPtr: CDS, ...more });
  for (const index of [0, 1, 2, 3]) {
    const own = index === 0 ? table : bench.table();
    bench.cd(CDS + 64n * BigInt(index), { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 10 + index, TTB0: own });
    bench.map(own, AT, PAGE(index));
  }
  return bench;
}
const to = (index: number) => ({ address: PAGE(index) });
const NO_SUBSTREAM = { event: C_BAD_SUBSTREAMID };
const DISABLED = { event: F_STREAM_DISABLED };

describe('5.2 Config, S1DSS and substreams', () => {
  const { bypass: BYPASS, s1: S1 } = STE_CONFIG;
  /** Config, S1CDMax, S1DSS; SubstreamID, −1 for none; answer. */
  const cases: [number, number, number, number, object][] = [
    [S1, 0, 0, -1, to(0)],
    [S1, 0, 1, -1, to(0)],
    [S1, 0, 2, -1, to(0)],
    [S1, 0, 0, 0, NO_SUBSTREAM],
    [S1, 0, 2, 0, NO_SUBSTREAM],
    [S1, 0, 0, 1, NO_SUBSTREAM],
    [S1, 2, 0, -1, DISABLED],
    [S1, 2, 0, 0, to(0)],
    [S1, 2, 0, 1, to(1)],
    [S1, 2, 0, 3, to(3)],
    [S1, 2, 0, 4, NO_SUBSTREAM],
    [S1, 2, 1, -1, PASSES],
    [S1, 2, 1, 0, to(0)],
    [S1, 2, 1, 3, to(3)],
    [S1, 2, 1, 4, NO_SUBSTREAM],
    [S1, 2, 2, -1, to(0)],
    [S1, 2, 2, 0, DISABLED],
    [S1, 2, 2, 1, to(1)],
    [S1, 2, 2, 3, to(3)],
    [S1, 2, 2, 4, NO_SUBSTREAM],
    // Behaves as 0.
    [S1, 2, 3, -1, DISABLED],
    [S1, 2, 3, 0, to(0)],
    [S1, 2, 3, 3, to(3)],
    [S1, 2, 3, 4, NO_SUBSTREAM],
    [BYPASS, 2, 0, -1, PASSES],
    [BYPASS, 2, 2, -1, PASSES],
    [BYPASS, 2, 0, 0, NO_SUBSTREAM],
    [BYPASS, 2, 1, 0, NO_SUBSTREAM],
    [BYPASS, 2, 2, 1, NO_SUBSTREAM],
    [STE_CONFIG.abort, 2, 0, 0, { event: 0 }],
    [STE_CONFIG.abort, 0, 0, 9, { event: 0 }],
  ];
  test.each(cases)('Config %i, S1CDMax %i, S1DSS %i, SubstreamID %i', (Config, S1CDMax, S1DSS, ssid, answer) => {
    const bench = substreams(S1CDMax, { Config, S1DSS });
    expect(bench.ask(1, AT, 1, ssid)).toEqual(answer);
    const { event = 0 } = answer as { event?: number };
    expect(bench.takeEvents().map(({ ID }) => ID)).toEqual(event === 0 ? [] : [event]);
  });

  test.each([
    [0, DISABLED],
    [1, { address: AT + 0x7000n }],
    [2, { address: PAGE(0) + 0x7000n }],
    [3, DISABLED],
  ])('both stages, S1CDMax 2, S1DSS %i, none: stage 2 has the address or the CD’s', (S1DSS, answer) => {
    const bench = new TableBench(SUBSTREAMS);
    const { table, under } = bench.nested(1, {}, { S1CDMax: 2, S1DSS, S1ContextPtr: CDS });
    bench.cd(CDS, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: table });
    bench.map(table, AT, 0x4010_0000n);
    // Beyond memory, so that nothing else needs the page.
    bench.map(under, 0x4010_0000n, PAGE(0) + 0x7000n, LEAF.second);
    bench.map(under, 0x4000_0000n + AT, AT + 0x7000n, LEAF.second);
    expect(bench.ask(1, S1DSS === 1 ? 0x4000_0000n + AT : AT)).toEqual(answer);
  });

  test('stage 2 alone, with a SubstreamID: C_BAD_SUBSTREAMID', () => {
    const bench = new TableBench();
    const table = bench.stage2(1, { S1CDMax: 2 });
    bench.map(table, AT, 0x9000n, LEAF.second);
    expect([bench.ask(1, AT), bench.ask(1, AT, 1, 0)]).toEqual([{ address: 0x9000n }, NO_SUBSTREAM]);
  });

  test.each([0, 1, 5])('IDR1.SSIDSIZE 0, SubstreamID %i: C_BAD_SUBSTREAMID', (ssid) => {
    const bench = substreams(2, {}, { idr1: { SSIDSIZE: 0 } });
    expect([bench.ask(1, AT), bench.ask(1, AT, 1, ssid)]).toEqual([to(0), NO_SUBSTREAM]);
  });

  test('7.3.22 C_BAD_SUBSTREAMID goes before F_STREAM_DISABLED, both before the CD', () => {
    const bench = new TableBench();
    bench.stage1(1, { V: 0 }, { S1CDMax: 2, S1DSS: 2 });
    expect([bench.ask(1, AT, 1, 4), bench.ask(1, AT, 1, 0)]).toEqual([NO_SUBSTREAM, DISABLED]);
  });
});

describe('5.2 S1CDMax: how many CDs there are', () => {
  /** Which CD is read shows by its address, where nothing is. */
  const NOWHERE = 0x8_0000_0000n;
  const fetched = (stream: object, ssid: number): bigint | string => {
    const bench = new TableBench();
    bench.stage1(1, {}, { S1ContextPtr: NOWHERE, ...stream });
    const answer = bench.ask(1, AT, 1, ssid);
    const [event] = bench.takeEvents();
    return event.ID === F_CD_FETCH ? (event.FetchAddr as bigint) : `event ${(answer as { event: number }).event}`;
  };

  test.each([1, 2, 5, 6, 7, 9, 10, 11, 16, 20])('linear, %i: SubstreamIDs below 2^n', (S1CDMax) => {
    const last = 2 ** S1CDMax - 1;
    expect([0, last, last + 1].map((ssid) => fetched({ S1CDMax }, ssid))).toEqual([
      NOWHERE,
      NOWHERE + 64n * BigInt(last),
      `event ${C_BAD_SUBSTREAMID}`,
    ]);
  });

  test.each([
    [1, 1, 6, 0],
    [1, 6, 6, 63],
    [1, 7, 6, 64],
    [1, 7, 6, 127],
    [1, 20, 6, 0xfffff],
    [2, 10, 10, 1023],
    [2, 11, 10, 1024],
    [2, 20, 10, 0xfffff],
  ])('S1Fmt %i, S1CDMax %i: L1CD of SubstreamID[n:%i], of %i', (S1Fmt, S1CDMax, bits, ssid) => {
    expect(fetched({ S1CDMax, S1Fmt }, ssid)).toBe(NOWHERE + 8n * BigInt(Math.floor(ssid / 2 ** bits)));
    expect(fetched({ S1CDMax, S1Fmt }, 2 ** S1CDMax)).toBe(`event ${C_BAD_SUBSTREAMID}`);
  });

  test.each([
    ['linear', { S1CDMax: 4 }, 0x3c0n],
    ['S1Fmt 1', { S1CDMax: 12, S1Fmt: 1 }, 0x1c0n],
    ['S1Fmt 2', { S1CDMax: 16, S1Fmt: 2 }, 0x1c0n],
  ])('decision (5.2 S1Fmt): bits of S1ContextPtr below the table’s size are taken for 0: %s', (_, stream, low) => {
    expect(fetched({ ...stream, S1ContextPtr: NOWHERE + low }, 1)).toBe(NOWHERE + (stream.S1CDMax === 4 ? 64n : 0n));
  });

  test.each([
    ['S1Fmt 1', { S1CDMax: 9, S1Fmt: 1 }],
    ['S1Fmt 2', { S1CDMax: 13, S1Fmt: 2 }],
  ])('a level-1 table of 64 bytes at most is aligned to 64: %s', (_, stream) => {
    expect(fetched({ ...stream, S1ContextPtr: NOWHERE + 0x1c0n }, 0)).toBe(NOWHERE + 0x1c0n);
  });
});

describe('5.3 L1CD', () => {
  const L1 = MEMORY + 0x1_4000n;
  const twoLevels = (S1Fmt: number, l1cd: bigint, options: BenchOptions = {}): TableBench => {
    const bench = new TableBench(options);
    bench.stage1(1, {}, { S1CDMax: 12, S1Fmt, S1ContextPtr: L1, S1DSS: 2 });
    bench.poke(L1, l1cd);
    bench.poke(L1 + 8n, l1cd);
    return bench;
  };

  test.each([
    [1, 1],
    [1, 63],
    [1, 64],
    [1, 127],
    [2, 1],
    [2, 1023],
    [2, 1024],
    [2, 2047],
  ])('S1Fmt %i: the CD of SubstreamID %i', (S1Fmt, ssid) => {
    const bench = twoLevels(S1Fmt, LEVEL_2 | 1n);
    const table = bench.table();
    const at = LEVEL_2 + 64n * BigInt(ssid % (S1Fmt === 1 ? 64 : 1024));
    bench.cd(at, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: table });
    bench.map(table, AT, 0x9000n);
    expect(bench.ask(1, AT, 1, ssid)).toEqual({ address: 0x9000n });
  });

  test.each([1, 2])(
    'S1Fmt %i, V 0: C_BAD_SUBSTREAMID with the SubstreamID; 0 of a transaction without one',
    (S1Fmt) => {
      const bench = twoLevels(S1Fmt, LEVEL_2);
      expect([bench.ask(1, AT, 1, 77), bench.ask(1, AT)]).toEqual([NO_SUBSTREAM, NO_SUBSTREAM]);
      expect(bench.takeEvents()).toEqual([
        { ID: C_BAD_SUBSTREAMID, SubstreamID: 77, StreamID: 1 },
        { ID: C_BAD_SUBSTREAMID, SubstreamID: 0, StreamID: 1 },
      ]);
    },
  );

  test.each([
    [0, 32],
    [2, 40],
    [4, 44],
    [5, 48],
  ])('3.4.3 (3) L2Ptr beyond the OAS %i: C_BAD_SUBSTREAMID', (OAS, bits) => {
    const beyond = twoLevels(1, (1n << BigInt(bits)) | 1n, { idr5: { OAS } });
    expect(beyond.ask(1, AT, 1, 1)).toEqual(NO_SUBSTREAM);
    const within = twoLevels(1, ((1n << BigInt(bits)) - 0x1000n) | 1n, { idr5: { OAS } });
    expect(within.ask(1, AT, 1, 1)).toEqual({ event: F_CD_FETCH });
    expect(within.takeEvents()).toMatchObject([{ FetchAddr: (1n << BigInt(bits)) - 0x1000n + 64n }]);
  });

  test('decision (3.4.3 (4)): so it is where L2Ptr is an IPA', () => {
    const bench = new TableBench();
    bench.nested(1, {}, { S1CDMax: 12, S1Fmt: 1, S1ContextPtr: L1 });
    bench.poke(L1, (1n << 48n) | 1n);
    expect(bench.ask(1, AT, 1, 1)).toEqual(NO_SUBSTREAM);
  });

  test('bits 11:1 and 63:56 are not part of L2Ptr', () => {
    const bench = twoLevels(1, (0xffn << 56n) | LEVEL_2 | 0xfffn);
    const table = bench.table();
    bench.cd(LEVEL_2 + 64n, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: table });
    bench.map(table, AT, 0x9000n);
    expect(bench.ask(1, AT, 1, 1)).toEqual({ address: 0x9000n });
  });
});
