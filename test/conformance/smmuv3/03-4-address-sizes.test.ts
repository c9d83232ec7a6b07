/** SMMUv3 3.4, 5.2 S2PS, 5.4 IPS: how large addresses may be, at both sides of each boundary: of transactions, of what descriptors give. */
import { describe, expect, test } from 'vitest';
import { STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { Bench } from './unit.ts';

const [F_WALK_EABT, F_TRANSLATION, F_ADDR_SIZE] = [11, 16, 17];
const [CD, TT, IN] = [0, 1, 2];
const SIZES: [number, number][] = [
  [0, 32],
  [1, 36],
  [2, 40],
  [3, 42],
  [4, 44],
  [5, 48],
  [6, 52],
];
const end = (bits: number): bigint => 1n << BigInt(bits);
/** Of a transaction that reads. */
const READS = { RnW: 1, PnU: 0, InD: 0 };

describe('3.4 an SMMU that is disabled', () => {
  test.each(SIZES)('OAS %i: what is beyond %i bits is aborted, without an event', (OAS, bits) => {
    const bench = new Bench({ idr5: { OAS } });
    const last = end(bits) - 1n;
    expect([bench.ask(1, last), bench.ask(1, last + 1n)]).toEqual([{ address: last }, { event: 0 }]);
    expect(bench.ask(1, 1n << 63n)).toEqual({ event: 0 });
    expect(bench.takeEvents()).toEqual([]);
  });
});

describe('3.4 stage 1 is bypassed', () => {
  const beyond = { ID: F_ADDR_SIZE, StreamID: 1, ...READS, S2: 0, CLASS: IN, Stall: 0 };

  test.each(SIZES)('Config 4, OAS %i: F_ADDR_SIZE beyond %i bits', (OAS, bits) => {
    const bench = new TableBench({ idr5: { OAS } });
    bench.steOf(1, { Config: STE_CONFIG.bypass });
    const last = end(bits) - 1n;
    expect([bench.ask(1, last), bench.ask(1, last + 1n)]).toEqual([{ address: last }, { event: F_ADDR_SIZE }]);
    expect(bench.ask(1, 1n << 63n)).toEqual({ event: F_ADDR_SIZE });
    expect(bench.takeEvents()).toMatchObject([
      { ...beyond, InputAddr: last + 1n },
      { ...beyond, InputAddr: 1n << 63n },
    ]);
  });

  test.each(SIZES)('S1DSS 1, OAS %i: F_ADDR_SIZE beyond %i bits', (OAS, bits) => {
    const bench = new TableBench({ idr5: { OAS } });
    bench.steOf(1, { Config: STE_CONFIG.s1, S1CDMax: 2, S1DSS: 1 });
    const last = end(bits) - 1n;
    expect([bench.ask(1, last), bench.ask(1, last + 1n)]).toEqual([{ address: last }, { event: F_ADDR_SIZE }]);
    expect(bench.takeEvents()).toMatchObject([beyond]);
  });

  test.each([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ])(
    'stage 2 alone, S2R %i, S2S %i: beyond the IAS F_ADDR_SIZE of stage 1, which aborts and is recorded',
    (S2R, S2S) => {
      const bench = new TableBench();
      bench.stage2(1, { S2R, S2S });
      expect(bench.ask(1, end(48))).toEqual({ event: F_ADDR_SIZE });
      expect(bench.takeEvents()).toMatchObject([{ ...beyond, InputAddr: end(48) }]);
    },
  );

  test('stage 2 alone: within the IAS and beyond S2T0SZ F_TRANSLATION of stage 2', () => {
    const bench = new TableBench({ idr5: { OAS: 5 } });
    const table = bench.stage2(1);
    bench.map(table, end(39) - 0x1000n, 0x8000n, LEAF.second);
    expect(bench.ask(1, end(39) - 1n)).toEqual({ address: 0x8fffn });
    for (const address of [end(39), end(48) - 1n]) expect(bench.ask(1, address)).toEqual({ event: F_TRANSLATION });
    expect(bench.takeEvents()).toMatchObject([
      { ID: F_TRANSLATION, S2: 1, CLASS: IN, InputAddr: end(39), IPA: end(39) },
      { ID: F_TRANSLATION, S2: 1, CLASS: IN, InputAddr: end(48) - 1n, IPA: end(48) - 0x1000n },
    ]);
  });

  test('TBI is of a CD: without one the top byte counts', () => {
    const bench = new TableBench();
    bench.stage1(1, { TBI0: 1 }, { S1CDMax: 2, S1DSS: 1 });
    expect(bench.ask(1, 0xab00_0000_0000_5000n)).toEqual({ event: F_ADDR_SIZE });
  });
});

/** 48 bits of 4 KiB: each level has a table. What a descriptor of a level gives, and what is said of it. */
const EVERY_LEVEL: [what: string, level: number, isTable: boolean][] = [
  ['a table of level 0', 0, true],
  ['a table of level 1', 1, true],
  ['a table of level 2', 2, true],
  ['a block of level 1', 1, false],
  ['a block of level 2', 2, false],
  ['a page', 3, false],
];
const BLOCK_BITS = [39, 30, 21, 12];
const VA = 0x40_1000n;

describe('5.4 IPS: what a descriptor of stage 1 gives', () => {
  function given(options: BenchOptions, IPS: number, level: number, isTable: boolean, address: bigint) {
    const bench = new TableBench(options);
    const table = bench.stage1(1, { T0SZ: 16, IPS });
    const at = bench.place(table, VA, { first: 0, level });
    bench.poke(at, address | (isTable ? 3n : LEAF.both | (level === 3 ? 3n : 1n)));
    return { answer: bench.ask(1, VA), events: bench.takeEvents() };
  }
  const cases = EVERY_LEVEL.flatMap(([what, level, isTable]) =>
    SIZES.slice(0, 5).map(([IPS, bits]): [string, number, number, number, boolean] => [
      what,
      IPS,
      bits,
      level,
      isTable,
    ]),
  );

  test.each(cases)('%s, IPS %i: within %i bits', (_, IPS, bits, level, isTable) => {
    const size = isTable ? 0x1000n : 1n << BigInt(BLOCK_BITS[level]);
    const within = given({}, IPS, level, isTable, end(bits) - size);
    // A table there cannot be read.
    if (isTable) expect(within.events).toMatchObject([{ ID: F_WALK_EABT }]);
    else expect(within.answer).toEqual({ address: end(bits) - size + (VA & (size - 1n)) });
    const beyond = given({}, IPS, level, isTable, end(bits));
    expect(beyond.answer).toEqual({ event: F_ADDR_SIZE });
    expect(beyond.events).toMatchObject([{ ID: F_ADDR_SIZE, S2: 0, CLASS: IN, InputAddr: VA, ...READS }]);
    // Each bit above counts.
    expect(given({}, IPS, level, isTable, 1n << 47n).answer).toEqual({ event: F_ADDR_SIZE });
  });

  test.each(SIZES.slice(0, 5))('OAS %i caps IPS 5 to %i bits', (OAS, bits) => {
    expect(given({ idr5: { OAS } }, 5, 3, false, end(bits) - 0x1000n).answer).toEqual({
      address: end(bits) - 0x1000n,
    });
    expect(given({ idr5: { OAS } }, 5, 3, false, end(bits)).answer).toEqual({ event: F_ADDR_SIZE });
    expect(given({ idr5: { OAS } }, 7, 2, true, end(bits)).answer).toEqual({ event: F_ADDR_SIZE });
  });

  test('IPS 5: all 48 bits that a descriptor of 4 KiB has', () => {
    expect(given({ idr5: { OAS: 5 } }, 5, 3, false, end(48) - 0x1000n).answer).toEqual({ address: end(48) - 0x1000n });
  });
});

describe('5.2 S2PS: what a descriptor of stage 2 gives', () => {
  function given(options: BenchOptions, S2PS: number, level: number, isTable: boolean, address: bigint) {
    const bench = new TableBench(options);
    const { OAS = 5 } = options.idr5 ?? {};
    // An input of 40 bits or more begins with level 0 if the OAS has 44.
    const first = OAS >= 4 ? 0 : 1;
    const table = bench.stage2(1, { S2PS, S2T0SZ: first === 0 ? 20 : 24, S2SL0: 2 - first });
    const at = bench.place(table, VA, { first, level });
    bench.poke(at, address | (isTable ? 3n : LEAF.second | (level === 3 ? 3n : 1n)));
    return { answer: bench.ask(1, VA), events: bench.takeEvents() };
  }
  const cases = EVERY_LEVEL.flatMap(([what, level, isTable]) =>
    SIZES.slice(0, 5).map(([S2PS, bits]): [string, number, number, number, boolean] => [
      what,
      S2PS,
      bits,
      level,
      isTable,
    ]),
  );

  test.each(cases)('%s, S2PS %i: within %i bits', (_, S2PS, bits, level, isTable) => {
    const size = isTable ? 0x1000n : 1n << BigInt(BLOCK_BITS[level]);
    const within = given({}, S2PS, level, isTable, end(bits) - size);
    if (isTable) expect(within.events).toMatchObject([{ ID: F_WALK_EABT, S2: 1, CLASS: IN }]);
    else expect(within.answer).toEqual({ address: end(bits) - size + (VA & (size - 1n)) });
    const beyond = given({}, S2PS, level, isTable, end(bits));
    expect(beyond.answer).toEqual({ event: F_ADDR_SIZE });
    expect(beyond.events).toMatchObject([
      { ID: F_ADDR_SIZE, S2: 1, CLASS: IN, InputAddr: VA, IPA: VA & ~0xfffn, ...READS },
    ]);
    expect(given({}, S2PS, level, isTable, 1n << 47n).answer).toEqual({ event: F_ADDR_SIZE });
  });

  test.each([
    [2, 40],
    [3, 42],
    [4, 44],
  ])('OAS %i caps S2PS 5 to %i bits', (OAS, bits) => {
    const of = (address: bigint) => given({ idr5: { OAS } }, 5, 3, false, address).answer;
    expect([of(end(bits) - 0x1000n), of(end(bits))]).toEqual([
      { address: end(bits) - 0x1000n },
      { event: F_ADDR_SIZE },
    ]);
  });
});

describe('52 bits, with 64 KiB: bits 51:48 of an address are bits 15:12 of its descriptor (DDI 0487, D8.3.1)', () => {
  const WIDE: BenchOptions = { idr5: { OAS: 6 } };
  const shape = { granule: 16, first: 2 };
  const high = [0, 1, 2, 3].map((n): [number, number] => [12 + n, 48 + n]);

  test.each(high)('stage 1: bit %i is bit %i; F_ADDR_SIZE with IPS 5', (bit, of) => {
    for (const [IPS, answer] of [
      [6, { address: (1n << BigInt(of)) | 0x10_1000n }],
      [5, { event: F_ADDR_SIZE }],
    ] as const) {
      const bench = new TableBench(WIDE);
      const table = bench.stage1(1, { TG0: 1, T0SZ: 25, IPS });
      bench.map(table, VA, 0x10_0000n | (1n << BigInt(bit)), LEAF.both, shape);
      expect(bench.ask(1, VA)).toEqual(answer);
    }
  });

  test.each(high)('stage 2: bit %i is bit %i; F_ADDR_SIZE with S2PS 5', (bit, of) => {
    for (const [S2PS, answer] of [
      [6, { address: (1n << BigInt(of)) | 0x10_1000n }],
      [5, { event: F_ADDR_SIZE }],
    ] as const) {
      const bench = new TableBench(WIDE);
      const table = bench.stage2(1, { S2TG: 1, S2SL0: 1, S2PS });
      bench.map(table, VA, 0x10_0000n | (1n << BigInt(bit)), LEAF.second, shape);
      expect(bench.ask(1, VA)).toEqual(answer);
    }
  });

  test.each(high)('a table: bit %i is bit %i', (bit, of) => {
    const bench = new TableBench(WIDE);
    const table = bench.stage1(1, { TG0: 1, T0SZ: 25, IPS: 6 });
    bench.poke(bench.place(table, VA, { ...shape, level: 2 }), 0x10_0003n | (1n << BigInt(bit)));
    expect(bench.ask(1, VA)).toEqual({ event: F_WALK_EABT });
    expect(bench.takeEvents()).toMatchObject([{ FetchAddr: (1n << BigInt(of)) + 0x10_0000n + 8n * 0x40n }]);
  });

  test('decision (RES0): with an OAS of 48 bits they are not looked at', () => {
    const bench = new TableBench({ idr5: { OAS: 5 } });
    const table = bench.stage1(1, { TG0: 1, T0SZ: 25 });
    bench.map(table, VA, 0x10_f000n, LEAF.both, shape);
    expect(bench.ask(1, VA)).toEqual({ address: 0x10_1000n });
  });

  test('5.4, 5.2: tables of 52 bits of address have 64 bytes at least', () => {
    for (const [OAS, IPS, low] of [
      [6, 6, 0x10n],
      [6, 6, 0x20n],
      [6, 5, 0x10n],
    ] as const) {
      // One bit of level 2: 16 bytes of table.
      const bench = new TableBench({ idr5: { OAS } });
      const at = bench.table();
      bench.stage1(1, { TG0: 1, T0SZ: 34, IPS, TTB0: at + low });
      bench.map(IPS === 6 ? at : at + low, 0x1000n, 0x20_0000n, LEAF.both, { ...shape, input: 30 });
      expect(bench.ask(1, 0x1000n)).toEqual({ address: 0x20_1000n });
    }
  });
});

describe('3.4 both stages: IPAs beyond S2T0SZ are F_TRANSLATION of stage 2', () => {
  const far = end(39);
  const fault = { ID: F_TRANSLATION, S2: 1, InputAddr: VA, StreamID: 1, ...READS };

  test('of a page', () => {
    const bench = new TableBench();
    const { table, under } = bench.nested(1);
    const at = bench.map(table, VA, far);
    expect(bench.ask(1, VA + 4n)).toEqual({ event: F_TRANSLATION });
    expect(bench.takeEvents()).toMatchObject([{ ...fault, InputAddr: VA + 4n, CLASS: IN, IPA: far }]);
    bench.map(under, far - 0x1000n, 0x9000n, LEAF.second);
    bench.poke(at, (far - 0x1000n) | LEAF.both | 3n);
    expect(bench.ask(1, VA)).toEqual({ address: 0x9000n });
  });

  test('of a table', () => {
    const bench = new TableBench();
    const { table } = bench.nested(1);
    bench.poke(bench.place(table, VA, { level: 2 }), far | 3n);
    expect(bench.ask(1, VA)).toEqual({ event: F_TRANSLATION });
    expect(bench.takeEvents()).toMatchObject([{ ...fault, CLASS: TT, IPA: far }]);
  });

  test('of the first table', () => {
    const bench = new TableBench();
    bench.nested(1, { TTB0: far });
    expect(bench.ask(1, VA)).toEqual({ event: F_TRANSLATION });
    expect(bench.takeEvents()).toMatchObject([{ ...fault, CLASS: TT, IPA: far }]);
  });

  test('of the CD', () => {
    const bench = new TableBench();
    bench.nested(1, {}, { S1ContextPtr: far });
    expect(bench.ask(1, VA)).toEqual({ event: F_TRANSLATION });
    expect(bench.takeEvents()).toMatchObject([{ ...fault, CLASS: CD, IPA: far }]);
  });

  test('of an L1CD', () => {
    const bench = new TableBench();
    bench.nested(1, {}, { S1ContextPtr: far, S1CDMax: 10, S1Fmt: 1, S1DSS: 2 });
    expect(bench.ask(1, VA)).toEqual({ event: F_TRANSLATION });
    expect(bench.takeEvents()).toMatchObject([{ ...fault, CLASS: CD, IPA: far }]);
  });
});
