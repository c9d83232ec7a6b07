/** SMMUv3 4.4, 4.4.1.1: which ranges an invalidation by address may name, what it drops then, and whose entries each invalidation drops. */
import { describe, expect, test } from 'vitest';
import type { Fields, Layout } from '../../../src/bits/index.ts';
import {
  CMD_TLBI_EL2_ALL,
  CMD_TLBI_EL2_ASID,
  CMD_TLBI_EL2_VA,
  CMD_TLBI_EL2_VAA,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_NH_VAA,
  CMD_TLBI_NSNH_ALL,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
  CR2,
} from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';

type Tlbi = Layout<Fields>;
const BY_ADDRESS: [string, Tlbi][] = [
  ['NH_VA', CMD_TLBI_NH_VA],
  ['NH_VAA', CMD_TLBI_NH_VAA],
  ['EL2_VA', CMD_TLBI_EL2_VA],
  ['EL2_VAA', CMD_TLBI_EL2_VAA],
  ['S2_IPA', CMD_TLBI_S2_IPA],
];
const HYP: BenchOptions = { idr0: { Hyp: 1 } };
const isLegal = (of: Tlbi, values: object, options: BenchOptions = of.name.includes('EL2') ? HYP : {}): boolean =>
  new TableBench(options).execute(of, values);

describe('4.4.1.1 TG, TTL, NUM, SCALE', () => {
  /** TG, TTL; legal with NUM and SCALE both 0, with one of them, with both. */
  const cases: [number, number, boolean, boolean][] = [
    [0, 0, true, false],
    [0, 1, false, false],
    [0, 2, false, false],
    [0, 3, false, false],
    [1, 0, false, true],
    [1, 1, true, true],
    [1, 2, true, true],
    [1, 3, true, true],
    [2, 0, false, true],
    // Reserved without IDR5.DS: as 0.
    [2, 1, false, true],
    [2, 2, true, true],
    [2, 3, true, true],
    [3, 0, false, true],
    [3, 1, true, true],
    [3, 2, true, true],
    [3, 3, true, true],
  ];
  const rows = BY_ADDRESS.flatMap(([name, of]) =>
    cases.map(([TG, TTL, one, range]) => ({ name, of, TG, TTL, one, range })),
  );
  test.each(rows)(
    '$name, TG $TG, TTL $TTL: legal $one without a range, $range with one',
    ({ of, TG, TTL, one, range }) => {
      expect(isLegal(of, { TG, TTL })).toBe(one);
      for (const [NUM, SCALE] of [
        [1, 0],
        [0, 1],
        [31, 31],
      ])
        expect(isLegal(of, { TG, TTL, NUM, SCALE })).toBe(range);
    },
  );

  test.each([
    ['TG and TTL', { TG: 1, TTL: 3 }],
    ['NUM', { TG: 1, NUM: 1 }],
    ['SCALE', { TG: 1, SCALE: 1 }],
  ])('decision (RES0, 4.1.5): %s without IDR3.RIL are CERROR_ILL', (_, values) => {
    for (const [, of] of BY_ADDRESS) {
      expect(isLegal(of, values, { idr3: { RIL: 0 } })).toBe(false);
      expect(isLegal(of, {}, { idr3: { RIL: 0 } })).toBe(true);
    }
  });

  test('decision (RES0, 4.1.5): bit 5 of SCALE without IDR5.DS', () => {
    for (const [, of] of BY_ADDRESS) {
      expect(isLegal(of, { TG: 1, SCALE: 32 })).toBe(false);
      expect(isLegal(of, { TG: 1, SCALE: 31 })).toBe(true);
    }
  });
});

/** What changes in a descriptor where a cached translation may still have the old one. */
const MOVED = 1n << 24n;
const mine = { VMID: 7, ASID: 3 };

/** A stream of ASID 3, VMID 7 with pages that are cached and then moved. */
function cached(granule: number, TG0: number, first: number, addresses: readonly bigint[], level = 3): TableBench {
  const bench = new TableBench();
  const table = bench.stage1(1, { ASID: 3, TG0 }, { S2VMID: 7 });
  const base = 1n << 25n;
  const slots = addresses.map((address) => bench.map(table, address, base, LEAF.both, { granule, first, level }));
  for (const address of addresses) bench.ask(1, address);
  for (const slot of slots) bench.poke(slot, bench.peek(slot) ^ (level === 3 ? MOVED : 1n << 31n));
  return bench;
}

/** Whether what is cached of an address has gone. */
function isGone(bench: TableBench, address: bigint, level = 3): boolean {
  const { address: to } = bench.ask(1, address) as { address: bigint };
  return (to & (level === 3 ? MOVED : 1n << 31n)) !== 0n;
}

describe('4.4.1.1 what a range drops: (NUM + 1) × 2^SCALE granules from Address on', () => {
  /** TG, log2 of the granule, TG0 and first level of 39 bits. */
  const GRANULES = [
    [1, 12, 0, 1],
    [2, 14, 2, 1],
    [3, 16, 1, 2],
  ] as const;
  const sizes: [number, number][] = [
    [1, 0],
    [2, 0],
    [30, 0],
    [31, 0],
    [0, 1],
    [1, 1],
    [31, 1],
    [0, 4],
    [2, 5],
    [0, 9],
    [7, 10],
    [0, 15],
    [0, 20],
  ];
  const rows = GRANULES.flatMap(([TG, granule, TG0, first]) =>
    sizes.map(([NUM, SCALE]) => ({ TG, granule, TG0, first, NUM, SCALE, granules: (NUM + 1) * 2 ** SCALE })),
  );
  test.each(rows)('TG $TG, NUM $NUM, SCALE $SCALE: $granules granules; decision: no more', ({ TG, granule, ...of }) => {
    const page = 1n << BigInt(granule);
    const start = 16n * page;
    const last = start + BigInt(of.granules - 1) * page;
    const around = [start - page, start, last, last + page];
    const bench = cached(granule, of.TG0, of.first, around);
    bench.command(CMD_TLBI_NH_VA, { ...mine, Address: start, TG, NUM: of.NUM, SCALE: of.SCALE });
    expect(around.map((address) => isGone(bench, address))).toEqual([false, true, true, false]);
  });

  test.each(GRANULES)('TG %i: one granule with TTL 3; decision: no more', (TG, granule, TG0, first) => {
    const page = 1n << BigInt(granule);
    const around = [15n * page, 16n * page, 17n * page];
    const bench = cached(granule, TG0, first, around);
    bench.command(CMD_TLBI_NH_VA, { ...mine, Address: 16n * page, TG, TTL: 3 });
    expect(around.map((address) => isGone(bench, address))).toEqual([false, true, false]);
  });

  test.each([
    [1, 12, 0, 1, 2],
    [2, 14, 2, 1, 2],
    [3, 16, 1, 2, 2],
  ])(
    'TG %i: blocks (2^%i, TG0 %i) of level 2, by TTL 2 and by a range that meets them',
    (TG, granule, TG0, first, level) => {
      const size = 1n << BigInt(granule + (granule - 3));
      const around = [size, 2n * size, 3n * size];
      const hint = cached(granule, TG0, first, around, level);
      hint.command(CMD_TLBI_NH_VA, { ...mine, Address: 2n * size, TG, TTL: 2 });
      expect(isGone(hint, 2n * size, level)).toBe(true);
      // A range of one granule, in the midst of a block.
      const range = cached(granule, TG0, first, around, level);
      range.command(CMD_TLBI_NH_VA, { ...mine, Address: 2n * size + size / 2n, TG, NUM: 1 });
      expect(isGone(range, 2n * size, level)).toBe(true);
      // 4.4: without a range an address need not be the beginning of an entry.
      const plain = cached(granule, TG0, first, around, level);
      plain.command(CMD_TLBI_NH_VA, { ...mine, Address: 3n * size - 0x1000n });
      expect([1n, 2n, 3n].map((n) => isGone(plain, n * size, level))).toEqual([false, true, false]);
    },
  );

  test('decision: an entry of another granule, or of another level than TTL says, stays', () => {
    for (const [values, gone] of [
      [{ TG: 1, TTL: 3 }, true],
      [{ TG: 1, TTL: 2 }, false],
      [{ TG: 3, NUM: 1 }, false],
      [{ TG: 2, NUM: 1 }, false],
      [{ TG: 1, NUM: 1 }, true],
    ] as const) {
      const bench = cached(12, 0, 1, [0x20_0000n]);
      bench.command(CMD_TLBI_NH_VA, { ...mine, Address: 0x20_0000n, ...values });
      expect(isGone(bench, 0x20_0000n), JSON.stringify(values)).toBe(gone);
    }
  });

  test('a range to the top of the address space, and beyond it', () => {
    const bench = new TableBench();
    const table = bench.table();
    const [low, top] = [0x1000n, 0xffff_ffff_ffff_f000n];
    bench.stage1(1, { ASID: 3, TTB0: table, TTB1: table, T1SZ: 25, TG1: 2, EPD1: 0 }, { S2VMID: 7 });
    const slots = [low, top].map((address) => bench.map(table, address, 1n << 25n));
    for (const address of [low, top]) bench.ask(1, address);
    for (const slot of slots) bench.poke(slot, bench.peek(slot) ^ MOVED);
    bench.command(CMD_TLBI_NH_VA, { ...mine, Address: top, TG: 1, NUM: 31, SCALE: 20 });
    expect(isGone(bench, top)).toBe(true);
  });
});

describe('4.4.2 – 4.4.4 whose entries an invalidation drops', () => {
  const VA = 0x40_1000n;
  /** What is cached: streams by number, and what they are. */
  const STREAMS = [
    ['EL1, VMID 7, ASID 3', {}, { ASID: 3 }, { S2VMID: 7 }],
    ['EL1, VMID 7, ASID 4', {}, { ASID: 4 }, { S2VMID: 7 }],
    ['EL1, VMID 8, ASID 3', {}, { ASID: 3 }, { S2VMID: 8 }],
    ['EL2', {}, {}, { STRW: 2 }],
    ['stage 2 alone, VMID 7', null, {}, { S2VMID: 7 }],
    ['stage 2 alone, VMID 8', null, {}, { S2VMID: 8 }],
  ] as const;
  const OTHER = VA + 0x1000n;

  function all(e2h: number): TableBench {
    const bench = new TableBench();
    bench.enable(0);
    bench.write(CR2.offset, 4, 2n | BigInt(e2h << CR2.E2H.lo));
    bench.enable(1);
    for (const [sid, [, isFirst, context, stream]] of STREAMS.entries()) {
      const asid = sid === 3 && e2h === 1 ? { ASID: 3 } : {};
      const table = isFirst === null ? bench.stage2(sid, stream) : bench.stage1(sid, { ...context, ...asid }, stream);
      const slots = [VA, OTHER].map((at) =>
        bench.map(table, at, 1n << 25n, isFirst === null ? LEAF.second : LEAF.both),
      );
      for (const at of [VA, OTHER]) bench.ask(sid, at);
      for (const slot of slots) bench.poke(slot, bench.peek(slot) ^ MOVED);
    }
    return bench;
  }

  /** Command, its values, CR2.E2H; for each stream `x`: all goes, `a`: the address alone, `.`: nothing has to. */
  const cases: [string, Tlbi, object, number, string][] = [
    ['4.4.2.1 NH_ALL of VMID 7', CMD_TLBI_NH_ALL, { VMID: 7 }, 0, 'xx....'],
    ['4.4.2.1 NH_ALL of VMID 8', CMD_TLBI_NH_ALL, { VMID: 8 }, 0, '..x...'],
    ['4.4.2.1 NH_ALL of VMID 9', CMD_TLBI_NH_ALL, { VMID: 9 }, 0, '......'],
    ['4.4.2.2 NH_ASID of VMID 7, ASID 3', CMD_TLBI_NH_ASID, { VMID: 7, ASID: 3 }, 0, 'x.....'],
    ['4.4.2.2 NH_ASID of VMID 7, ASID 4', CMD_TLBI_NH_ASID, { VMID: 7, ASID: 4 }, 0, '.x....'],
    ['4.4.2.2 NH_ASID of VMID 8, ASID 4', CMD_TLBI_NH_ASID, { VMID: 8, ASID: 4 }, 0, '......'],
    ['4.4.2.3 NH_VAA of VMID 7', CMD_TLBI_NH_VAA, { VMID: 7, Address: VA }, 0, 'aa....'],
    ['4.4.2.3 NH_VAA of VMID 8', CMD_TLBI_NH_VAA, { VMID: 8, Address: VA }, 0, '..a...'],
    ['4.4.2.4 NH_VA of VMID 7, ASID 3', CMD_TLBI_NH_VA, { VMID: 7, ASID: 3, Address: VA }, 0, 'a.....'],
    ['4.4.2.4 NH_VA with Leaf', CMD_TLBI_NH_VA, { VMID: 7, ASID: 3, Address: VA, Leaf: 1 }, 0, 'a.....'],
    ['4.4.2.4 NH_VA of another address', CMD_TLBI_NH_VA, { VMID: 7, ASID: 3, Address: VA << 1n }, 0, '......'],
    ['4.4.2.7 EL2_ALL', CMD_TLBI_EL2_ALL, {}, 0, '...x..'],
    ['4.4.2.7 EL2_ALL, E2H', CMD_TLBI_EL2_ALL, {}, 1, '...x..'],
    ['4.4.2.8 EL2_VA: the ASID is ignored', CMD_TLBI_EL2_VA, { ASID: 9, Address: VA }, 0, '...a..'],
    ['4.4.2.8 EL2_VA of ASID 3, E2H', CMD_TLBI_EL2_VA, { ASID: 3, Address: VA }, 1, '...a..'],
    ['4.4.2.8 EL2_VA of ASID 9, E2H', CMD_TLBI_EL2_VA, { ASID: 9, Address: VA }, 1, '......'],
    ['4.4.2.9 EL2_VAA', CMD_TLBI_EL2_VAA, { Address: VA }, 0, '...a..'],
    ['4.4.2.9 EL2_VAA, E2H', CMD_TLBI_EL2_VAA, { Address: VA }, 1, '...a..'],
    ['4.4.2.10 EL2_ASID of ASID 3, E2H', CMD_TLBI_EL2_ASID, { ASID: 3 }, 1, '...x..'],
    ['4.4.2.10 EL2_ASID of ASID 4, E2H', CMD_TLBI_EL2_ASID, { ASID: 4 }, 1, '......'],
    ['4.4.2.10 EL2_ASID without ASIDs', CMD_TLBI_EL2_ASID, { ASID: 0 }, 0, '......'],
    ['4.4.3.1 S2_IPA of VMID 7', CMD_TLBI_S2_IPA, { VMID: 7, Address: VA }, 0, '....a.'],
    ['4.4.3.1 S2_IPA of VMID 8', CMD_TLBI_S2_IPA, { VMID: 8, Address: VA }, 0, '.....a'],
    ['4.4.3.1 S2_IPA of a range', CMD_TLBI_S2_IPA, { VMID: 7, Address: VA, TG: 1, NUM: 1 }, 0, '....x.'],
    ['4.4.3.2 S12_VMALL of VMID 7', CMD_TLBI_S12_VMALL, { VMID: 7 }, 0, 'xx..x.'],
    ['4.4.3.2 S12_VMALL of VMID 8', CMD_TLBI_S12_VMALL, { VMID: 8 }, 0, '..x..x'],
    ['4.4.4.1 NSNH_ALL', CMD_TLBI_NSNH_ALL, {}, 0, 'xxx.xx'],
  ];
  test.each(cases)('%s; decision: no more', (_, of, values, e2h, want) => {
    const bench = all(e2h);
    bench.command(of, values);
    const seen = STREAMS.map((__, sid) => {
      const gone = [VA, OTHER].map((at) => ((bench.ask(sid, at) as { address: bigint }).address & MOVED) !== 0n);
      return gone[0] ? (gone[1] ? 'x' : 'a') : gone[1] ? 'other' : '.';
    });
    expect(seen.join('')).toBe(want);
  });

  test.each([
    ['4.4.2.2 by ASID they stay', CMD_TLBI_NH_ASID, { VMID: 7, ASID: 3 }, false],
    ['4.4.2.4 by address and ASID they go', CMD_TLBI_NH_VA, { VMID: 7, ASID: 3, Address: VA }, true],
    ['4.4.2.4 whatever the ASID', CMD_TLBI_NH_VA, { VMID: 7, ASID: 99, Address: VA }, true],
    ['4.4.2.3 by address they go', CMD_TLBI_NH_VAA, { VMID: 7, Address: VA }, true],
    ['4.4.2.1 by VMID they go', CMD_TLBI_NH_ALL, { VMID: 7 }, true],
    ['of another VMID they stay', CMD_TLBI_NH_VA, { VMID: 8, ASID: 3, Address: VA }, false],
  ] as [string, Tlbi, object, boolean][])('global entries: %s', (_, of, values, gone) => {
    const bench = new TableBench();
    const at = bench.map(bench.stage1(1, { ASID: 3 }, { S2VMID: 7 }), VA, 1n << 25n, LEAF.global);
    bench.ask(1, VA);
    bench.poke(at, bench.peek(at) ^ MOVED);
    bench.command(of, values);
    expect(isGone(bench, VA)).toBe(gone);
  });
});
