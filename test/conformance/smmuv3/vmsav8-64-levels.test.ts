/** SMMUv3 3.4; DDI 0487, D8.2, D8.3.1: VMSAv8-64 walks of either stage by granule and level: where they begin, tables, blocks, what is no descriptor. */
import { describe, expect, test } from 'vitest';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { MEMORY } from './unit.ts';

const F_TRANSLATION = 16;
const MISSES = { event: F_TRANSLATION };
const SID = 1;
const WIDE: BenchOptions = { idr5: { OAS: 6, VAX: 1 } };
/** The largest tables of stage 2, 16 of 64 KiB, begin here. */
const BASE = MEMORY + 0x10_0000n;

/** log2 of what a descriptor covers. */
const span = (granule: number, level: number): number => granule + (granule - 3) * (3 - level);

/** S2TG, log2 of the granule, S2SL0, first level; S2T0SZ; how many tables are concatenated (DDI 0487, VTCR_EL2.SL0). */
const STARTS: [number, number, number, number, number, number][] = [
  // Fewest bits of a level, one whole table, and twice as much up to 16 times.
  [0, 12, 2, 0, 24, 1],
  [0, 12, 2, 0, 16, 1],
  [0, 12, 1, 1, 33, 1],
  [0, 12, 1, 1, 25, 1],
  [0, 12, 1, 1, 24, 2],
  [0, 12, 1, 1, 23, 4],
  [0, 12, 1, 1, 21, 16],
  [0, 12, 0, 2, 42, 1],
  [0, 12, 0, 2, 34, 1],
  [0, 12, 0, 2, 33, 2],
  [0, 12, 0, 2, 30, 16],
  [0, 12, 3, 3, 48, 1],
  [0, 12, 3, 3, 43, 1],
  [0, 12, 3, 3, 42, 2],
  [0, 12, 3, 3, 39, 16],
  [2, 14, 2, 1, 27, 1],
  [2, 14, 2, 1, 17, 1],
  [2, 14, 2, 1, 16, 2],
  [2, 14, 1, 2, 38, 1],
  [2, 14, 1, 2, 28, 1],
  [2, 14, 1, 2, 27, 2],
  [2, 14, 1, 2, 24, 16],
  [2, 14, 0, 3, 48, 1],
  [2, 14, 0, 3, 39, 1],
  [2, 14, 0, 3, 38, 2],
  [2, 14, 0, 3, 35, 16],
  [1, 16, 2, 1, 21, 1],
  [1, 16, 2, 1, 16, 1],
  [1, 16, 1, 2, 34, 1],
  [1, 16, 1, 2, 22, 1],
  [1, 16, 1, 2, 21, 2],
  [1, 16, 1, 2, 18, 16],
  [1, 16, 0, 3, 47, 1],
  [1, 16, 0, 3, 35, 1],
  [1, 16, 0, 3, 34, 2],
  [1, 16, 0, 3, 31, 16],
];

describe('5.2 S2SL0, S2T0SZ: where stage 2 begins, and how many tables it begins with', () => {
  test.each(STARTS)(
    'S2TG %i (2^%i), S2SL0 %i: level %i; S2T0SZ %i: %i tables',
    (S2TG, granule, S2SL0, first, S2T0SZ) => {
      const bench = new TableBench();
      bench.stage2(SID, { S2TG, S2SL0, S2T0SZ, S2TTB: BASE });
      const input = 64 - S2T0SZ;
      const shape = { granule, first, input };
      const page = 1n << BigInt(granule);
      const last = (1n << BigInt(input)) - page;
      bench.map(BASE, 0n, 0x20_0000n, LEAF.second, shape);
      bench.map(BASE, last, 0x21_0000n, LEAF.second, shape);
      expect([bench.ask(SID, 0n), bench.ask(SID, last + page - 1n)]).toEqual([
        { address: 0x20_0000n },
        { address: 0x21_0000n + page - 1n },
      ]);
      expect(bench.ask(SID, last + page)).toEqual(input === 48 ? { event: 17 } : MISSES);
    },
  );

  /** S2TG, S2SL0, and S2T0SZ: too small, the least, the most, too large. */
  const bounds: [number, number, number[]][] = [
    [0, 2, [15, 16, 24, 25]],
    [0, 1, [20, 21, 33, 34]],
    [0, 0, [29, 30, 42, 43]],
    [0, 3, [38, 39, 48, 49]],
    [2, 2, [15, 16, 27, 28]],
    [2, 1, [23, 24, 38, 39]],
    [2, 0, [34, 35, 48, 49]],
    [1, 2, [15, 16, 21, 22]],
    [1, 1, [17, 18, 34, 35]],
    [1, 0, [30, 31, 47, 48]],
  ];
  test.each(bounds)('S2TG %i, S2SL0 %i: an S2T0SZ that does not fit is C_BAD_STE, %j', (S2TG, S2SL0, sizes) => {
    const legal = sizes.map((S2T0SZ) => {
      // All but one of a kind are about an IAS of 48 bits.
      const bench = new TableBench(Math.min(...sizes) < 20 ? { idr5: { OAS: 5 } } : {});
      bench.stage2(SID, { S2TG, S2SL0, S2T0SZ, S2TTB: BASE });
      const answer = bench.ask(SID, 0n) as { event: number };
      expect([4, F_TRANSLATION]).toContain(answer.event);
      return answer.event !== 4;
    });
    expect(legal).toEqual([false, true, true, false]);
  });

  test.each([
    ['16 KiB', 2],
    ['64 KiB', 1],
  ])('S2SL0 3 is reserved with %s', (_, S2TG) => {
    for (const S2T0SZ of [16, 25, 35, 40, 46]) {
      const bench = new TableBench();
      bench.stage2(SID, { S2TG, S2SL0: 3, S2T0SZ });
      expect(bench.ask(SID, 0n)).toEqual({ event: 4 });
    }
  });

  /** What of the implementation the level asks for: options with it, and without it. */
  test.each([
    [
      'level 0 with 4 KiB: an OAS of 44 bits',
      { S2TG: 0, S2SL0: 2, S2T0SZ: 24 },
      { idr5: { OAS: 4 } },
      { idr5: { OAS: 3 } },
    ],
    ['level 1 with 16 KiB: 42 bits', { S2TG: 2, S2SL0: 2, S2T0SZ: 27 }, { idr5: { OAS: 3 } }, { idr5: { OAS: 2 } }],
    ['level 1 with 64 KiB: 44 bits', { S2TG: 1, S2SL0: 2, S2T0SZ: 21 }, { idr5: { OAS: 4 } }, { idr5: { OAS: 3 } }],
    ['level 3 with 4 KiB: small tables', { S2TG: 0, S2SL0: 3, S2T0SZ: 39 }, {}, { idr3: { STT: 0 } }],
    ['S2T0SZ 40: small tables', { S2TG: 0, S2SL0: 0, S2T0SZ: 40 }, {}, { idr3: { STT: 0 } }],
    ['S2T0SZ 39: none', { S2TG: 0, S2SL0: 0, S2T0SZ: 39 }, { idr3: { STT: 0 } }, null],
    ['S2T0SZ 16: an IAS of 48 bits', { S2TG: 0, S2SL0: 2, S2T0SZ: 16 }, {}, { idr5: { OAS: 4 } }],
    ['S2T0SZ 20: an IAS of 44 bits', { S2TG: 0, S2SL0: 2, S2T0SZ: 20 }, { idr5: { OAS: 4 } }, { idr5: { OAS: 3 } }],
    ['S2T0SZ 24: an IAS of 40 bits', { S2TG: 0, S2SL0: 1, S2T0SZ: 24 }, { idr5: { OAS: 2 } }, { idr5: { OAS: 1 } }],
    ['S2T0SZ 12 with 64 KiB: an IAS of 52 bits', { S2TG: 1, S2SL0: 2, S2T0SZ: 12 }, { idr5: { OAS: 6 } }, {}],
    ['S2T0SZ 12 with 4 KiB: never', { S2TG: 0, S2SL0: 2, S2T0SZ: 12 }, null, { idr5: { OAS: 6 } }],
    ['S2T0SZ 15 with 16 KiB: never', { S2TG: 2, S2SL0: 2, S2T0SZ: 15 }, null, { idr5: { OAS: 6 } }],
  ] as [string, object, BenchOptions | null, BenchOptions | null][])('%s', (_, stream, having, lacking) => {
    for (const [options, event] of [
      [having, F_TRANSLATION],
      [lacking, 4],
    ] as const) {
      if (options === null) continue;
      const bench = new TableBench(options);
      bench.stage2(SID, { S2TTB: BASE, ...stream });
      expect(bench.ask(SID, 0n)).toEqual({ event });
    }
  });
});

describe('5.2 S2TTB, 5.4 TTB0: a table is aligned to its size, or to all of them', () => {
  test.each([
    // Bits of table, S2T0SZ with 4 KiB and level 1; bits below are taken for 0.
    [31, 33, 4],
    [32, 32, 5],
    [39, 25, 12],
    [40, 24, 13],
    [43, 21, 16],
  ])('stage 2 of %i bits (S2T0SZ %i): 2^%i bytes', (input, S2T0SZ, bits) => {
    const bench = new TableBench();
    const low = 1n << BigInt(bits - 1);
    bench.stage2(SID, { S2T0SZ, S2TTB: BASE + (low > 8n ? low : 0n) });
    bench.map(BASE, 0x1000n, 0x20_0000n, LEAF.second, { input });
    expect(bench.ask(SID, 0x1000n)).toEqual({ address: 0x20_0000n });
    const next = new TableBench();
    const above = BASE + (1n << BigInt(bits));
    next.stage2(SID, { S2T0SZ, S2TTB: above });
    next.map(above, 0x1000n, 0x20_0000n, LEAF.second, { input });
    expect(next.ask(SID, 0x1000n)).toEqual({ address: 0x20_0000n });
  });

  test.each([
    [31, 33, 4],
    [33, 31, 6],
    [38, 26, 11],
    [39, 25, 12],
  ])('stage 1 of %i bits (T0SZ %i): 2^%i bytes', (input, T0SZ, bits) => {
    for (const [low, table] of [
      [1n << BigInt(bits - 1), BASE],
      [1n << BigInt(bits), BASE + (1n << BigInt(bits))],
    ]) {
      if (low < 16n) continue;
      const bench = new TableBench();
      bench.stage1(SID, { T0SZ, TTB0: BASE + low });
      bench.map(table, 0x1000n, 0x20_0000n, LEAF.both, { input });
      expect(bench.ask(SID, 0x1000n)).toEqual({ address: 0x20_0000n });
    }
  });
});

/** Where a block can be (DDI 0487, AArch64.BlockDescSupported, without FEAT_LPA2). */
const GRANULES = [
  { size: '4 KiB', granule: 12, TG0: 0, T0SZ: 16, S2SL0: 2, blocks: [1, 2], options: {} },
  { size: '16 KiB', granule: 14, TG0: 2, T0SZ: 16, S2SL0: 2, blocks: [2], options: {} },
  { size: '64 KiB', granule: 16, TG0: 1, T0SZ: 16, S2SL0: 2, blocks: [2], options: {} },
  { size: '64 KiB of 52 bits', granule: 16, TG0: 1, T0SZ: 12, S2SL0: 2, blocks: [1, 2], options: WIDE },
] as const;

interface At {
  readonly size: string;
  readonly level: number;
  readonly stage: 1 | 2;
  readonly low: bigint;
  readonly put: (descriptor: (size: bigint) => bigint) => { bench: TableBench; address: bigint; covers: bigint };
  readonly hasBlocks: boolean;
}

/** Every level of every granule of both stages. */
const LEVELS: At[] = GRANULES.flatMap(({ size, granule, TG0, T0SZ, S2SL0, blocks, options }) =>
  ([1, 2] as const).flatMap((stage) => {
    // Stage 1 of 48 bits with 16 KiB begins at level 0, stage 2 at level 1 with two tables.
    const from = granule === 12 ? 0 : granule === 14 && stage === 1 ? 0 : 1;
    return [0, 1, 2, 3]
      .filter((level) => level >= from)
      .map((level): At => {
        const put: At['put'] = (descriptor) => {
          const bench = new TableBench(options);
          const IPS = size.includes('52') ? 6 : 5;
          if (stage === 1) bench.stage1(SID, { TG0, T0SZ, IPS, TTB0: BASE });
          else bench.stage2(SID, { S2TG: TG0, S2T0SZ: T0SZ, S2SL0, S2PS: IPS, S2TTB: BASE });
          const covers = 1n << BigInt(span(granule, level));
          // The second of its level, if there are two.
          const input = 64 - T0SZ;
          const address = covers * 2n > 1n << BigInt(input) ? 0n : covers;
          bench.poke(bench.place(BASE, address, { granule, first: from, input, level }), descriptor(covers));
          return { bench, address, covers };
        };
        const hasBlocks = (blocks as readonly number[]).includes(level);
        return { size, level, stage, low: stage === 1 ? LEAF.both : LEAF.second, put, hasBlocks };
      });
  }),
);

describe('DDI 0487, D8.3.1: what a descriptor is, by level', () => {
  test.each(LEVELS)('stage $stage, $size, level $level: bits 1:0 01', ({ level, low, put, hasBlocks }) => {
    // A block goes to the third of its size, with what is below it as it is: a page has no such encoding.
    const { bench, address, covers } = put((size) => ((3n * size) & 0xffff_ffff_ffffn) | low | 1n);
    const inside = address + covers - 0x123n;
    if (!hasBlocks || level === 3) {
      expect(bench.ask(SID, inside)).toEqual(MISSES);
      return;
    }
    expect(bench.ask(SID, inside)).toEqual({ address: ((3n * covers) & 0xffff_ffff_ffffn) + covers - 0x123n });
    expect(bench.ask(SID, address)).toEqual({ address: (3n * covers) & 0xffff_ffff_ffffn });
  });

  test.each(LEVELS)('stage $stage, $size, level $level: bit 0 of 0', ({ low, put }) => {
    for (const type of [0n, 2n]) {
      const { bench, address } = put((size) => (size & 0xffff_ffff_ffffn) | low | type);
      expect(bench.ask(SID, address)).toEqual(MISSES);
      expect(bench.takeEvents()).toMatchObject([{ ID: F_TRANSLATION, CLASS: 2, InputAddr: address }]);
    }
  });

  test.each(LEVELS.filter(({ level }) => level === 3))('stage $stage, $size: a page', ({ low, put }) => {
    const { bench, address, covers } = put((size) => (3n * size) | low | 3n);
    expect([bench.ask(SID, address), bench.ask(SID, address + covers - 1n)]).toEqual([
      { address: 3n * covers },
      { address: 4n * covers - 1n },
    ]);
  });

  test.each(LEVELS.filter(({ hasBlocks }) => hasBlocks))(
    'stage $stage, $size, level $level: bits of a block’s address below its size count as 0',
    ({ low, put }) => {
      // Bits 15:12 are those of the address only where 64 KiB has 52 bits.
      const { bench, address } = put(
        (size) => ((3n * size) & 0xffff_ffff_ffffn) | ((size >> 1n) & ~0x1_ffffn) | low | 1n,
      );
      const to = bench.ask(SID, address) as { address: bigint };
      const { bench: plain } = put((size) => ((3n * size) & 0xffff_ffff_ffffn) | low | 1n);
      expect(to).toEqual(plain.ask(SID, address));
    },
  );
});

describe('DDI 0487, D8.3.1: a table descriptor', () => {
  test.each(GRANULES.slice(0, 3))('$size: bits below the granule and 58:51 are ignored', ({ granule, TG0 }) => {
    const bench = new TableBench();
    const table = bench.stage1(SID, { TG0 });
    const first = granule === 16 ? 2 : 1;
    bench.map(table, 0x1_0000n, 0x20_0000n, LEAF.both, { granule, first });
    const at = bench.place(table, 0x1_0000n, { granule, first, level: 2 });
    // With 64 KiB bits 15:12 are of addresses of 52 bits.
    const below = granule === 16 ? 0xffcn : (1n << BigInt(granule)) - 4n;
    bench.poke(at, bench.peek(at) | below | (0xffn << 51n));
    expect(bench.ask(SID, 0x1_0000n)).toEqual({ address: 0x20_0000n });
  });

  test('stage 2 has no hierarchical attributes: bits 63:59 are ignored', () => {
    const bench = new TableBench();
    const table = bench.stage2(SID);
    bench.map(table, 0x1000n, 0x20_0000n, LEAF.second);
    const at = bench.place(table, 0x1000n, { level: 2 });
    bench.poke(at, bench.peek(at) | (0x1fn << 59n));
    for (const kind of [1, 2, 5, 9]) expect(bench.ask(SID, 0x1000n, kind)).toEqual({ address: 0x20_0000n });
  });
});

describe('DDI 0487, D8.7: a contiguous entry is a hint', () => {
  test.each([
    ['stage 1', 1],
    ['stage 2', 2],
  ])('%s: a page of one group translates as it says', (_, stage) => {
    const bench = new TableBench();
    const table = stage === 1 ? bench.stage1(SID) : bench.stage2(SID);
    const low = (stage === 1 ? LEAF.both : LEAF.second) | (1n << 52n);
    for (let i = 0n; i < 16n; i++) bench.map(table, i << 12n, 0x20_0000n + (i << 12n), low);
    for (let i = 0n; i < 16n; i++)
      expect(bench.ask(SID, (i << 12n) + 0x10n)).toEqual({ address: 0x20_0000n + (i << 12n) + 0x10n });
  });
});

describe('5.4 ENDI, 5.2 S2ENDI: tables of the other byte order', () => {
  const swapped = (value: bigint): bigint => {
    let out = 0n;
    for (let i = 0n; i < 64n; i += 8n) out |= ((value >> i) & 0xffn) << (56n - i);
    return out;
  };
  test.each([
    [1, 1],
    [1, 0],
    [2, 1],
    [2, 0],
  ])('stage %i, big-endian tables, ENDI %i', (stage, endi) => {
    const bench = new TableBench();
    const table = stage === 1 ? bench.stage1(SID, { ENDI: endi }) : bench.stage2(SID, { S2ENDI: endi });
    const [middle, last] = [bench.table(), bench.table()];
    bench.poke(table, swapped(middle | 3n));
    bench.poke(middle, swapped(last | 3n));
    bench.poke(last + 8n, swapped(0x20_0000n | (stage === 1 ? LEAF.both : LEAF.second) | 3n));
    const answer = bench.ask(SID, 0x1000n);
    if (endi === 1) expect(answer).toEqual({ address: 0x20_0000n });
    else expect(answer).toEqual(MISSES);
  });

  test('a flag that is set is set in its place', () => {
    const bench = new TableBench();
    const table = bench.stage1(SID, { ENDI: 1, HA: 1, T0SZ: 43 });
    bench.poke(table + 8n, swapped(0x20_0000n | 0x43n));
    expect(bench.ask(SID, 0x1000n)).toEqual({ address: 0x20_0000n });
    expect(swapped(bench.peek(table + 8n))).toBe(0x20_0000n | 0x443n);
  });
});

describe('what this model has not', () => {
  test.todo(
    'DDI 0487, D8.3.1: FEAT_LPA2, blocks of 512 GiB at level 0 with 4 KiB and of 64 GiB at level 1 with 16 KiB (CD.DS, STE.S2DS)',
  );
  test.todo('3.4 VMSAv8-32 LPAE: 32 bits of input, 40 of output');
  test.todo('3.4 VMSAv9-128');
});
