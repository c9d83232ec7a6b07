/** SMMUv3 3.17, 3.21: what is cached, for whom, and until when. */
import { describe, expect, test } from 'vitest';
import type { Fields, Layout } from '../../../src/bits/index.ts';
import {
  CMD_CFGI_STE,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NH_ASID,
  CMD_TLBI_NH_VA,
  CMD_TLBI_S2_IPA,
  CMD_TLBI_S12_VMALL,
  STE_CONFIG,
} from '../../../src/iommu/smmuv3/index.ts';
import { Random } from '../vtd/random.ts';
import type { Answer } from './drivers/driver.ts';
import { Flight } from './flight.ts';
import { LEAF, TableBench } from './tables.ts';
import { MEMORY, READ } from './unit.ts';

const F_TRANSLATION = 16;
const F_TLB_CONFLICT = 0x20;
const VA = 0x40_1000n;
const IPA = 0x2000_0000n;
const [ONE, TWO] = [{ address: 0x8000n }, { address: 0x9000n }];

describe('3.17 tags', () => {
  /** Two streams with tables of their own; the first has been asked. */
  function pair(low: bigint, first: object, second: object): TableBench {
    const bench = new TableBench();
    bench.map(bench.stage1(1, first), VA, 0x8000n, low);
    bench.map(bench.stage1(2, second), VA, 0x9000n, low);
    expect(bench.ask(1, VA)).toEqual(ONE);
    return bench;
  }

  test('ASIDs are told apart', () => {
    expect(pair(LEAF.both, { ASID: 3 }, { ASID: 4 }).ask(2, VA)).toEqual(TWO);
    expect(pair(LEAF.both, { ASID: 3 }, { ASID: 3 }).ask(2, VA)).toEqual(ONE);
  });

  test('VMIDs are', () => {
    const bench = new TableBench();
    bench.map(bench.stage1(1, { ASID: 3 }, { S2VMID: 1 }), VA, 0x8000n);
    bench.map(bench.stage1(2, { ASID: 3 }, { S2VMID: 2 }), VA, 0x9000n);
    expect([bench.ask(1, VA), bench.ask(2, VA)]).toEqual([ONE, TWO]);
  });

  test('global translations are of all ASIDs of an ASET', () => {
    expect(pair(LEAF.global, { ASID: 3, ASET: 1 }, { ASID: 4, ASET: 1 }).ask(2, VA)).toEqual(ONE);
    expect(pair(LEAF.global, { ASID: 3, ASET: 0 }, { ASID: 4, ASET: 1 }).ask(2, VA)).toEqual(TWO);
  });

  test('EL2 is told from EL1', () => {
    const bench = new TableBench({ idr0: { Hyp: 1 } });
    bench.map(bench.stage1(1, { ASID: 0 }), VA, 0x8000n);
    bench.map(bench.stage1(2, { ASID: 0 }, { STRW: 2 }), VA, 0x9000n);
    expect([bench.ask(1, VA), bench.ask(2, VA)]).toEqual([ONE, TWO]);
  });
});

describe('3.21.1 nT', () => {
  const BLOCK = { level: 2 };
  const NT = 1n << 16n;
  test.each([
    [0, NT, true],
    [1, 0n, true],
    [1, NT, false],
    [2, NT, true],
  ])('BBML %i, nT %i: cached %s', (BBML, nT, cached) => {
    const bench = new TableBench({ idr3: { BBML } });
    const table = bench.stage1(1);
    const at = bench.map(table, 0x40_0000n, 0x100_0000n, LEAF.both | nT, BLOCK);
    expect(bench.ask(1, VA)).toEqual({ address: 0x100_1000n });
    bench.poke(at, bench.peek(at) + 0x100_0000n);
    expect(bench.ask(1, VA)).toEqual({ address: cached ? 0x100_1000n : 0x200_1000n });
  });

  test('it is not asked of pages', () => {
    const bench = new TableBench({ idr3: { BBML: 1 } });
    const at = bench.map(bench.stage1(1), VA, 0x1_8000n);
    expect(bench.ask(1, VA)).toEqual({ address: 0x1_8000n });
    bench.poke(at, bench.peek(at) ^ 0x1000n);
    expect(bench.ask(1, VA)).toEqual({ address: 0x1_8000n });
  });
});

test('a block of 4 TiB is found wherever in it an address is', () => {
  const bench = new TableBench({ idr5: { OAS: 6, VAX: 1 } });
  const table = bench.stage1(1, { TG0: 1, T0SZ: 12, IPS: 6 });
  const shape = { granule: 16, first: 1, level: 1 };
  const base = 5n << 42n;
  const at = bench.map(table, 1n << 42n, base, LEAF.both, shape);
  const places = [0n, 0x123_4567_8000n, 0x3ff_ffff_f000n, 0x1_0000_0000n];
  expect(bench.ask(1, 1n << 42n)).toEqual({ address: base });
  bench.poke(at, 0n);
  for (const place of places) expect(bench.ask(1, (1n << 42n) + place)).toEqual({ address: base + place });
  expect(bench.ask(1, 2n << 42n)).toEqual({ event: F_TRANSLATION });
});

describe('4.4 what is dropped', () => {
  function cached(): { bench: TableBench; table: bigint; at: bigint } {
    const bench = new TableBench();
    const table = bench.stage1(1, { ASID: 3 }, { S2VMID: 7 });
    const at = bench.map(table, VA, 0x8000n);
    expect(bench.ask(1, VA)).toEqual(ONE);
    return { bench, table, at };
  }
  const mine = { VMID: 7, ASID: 3 };

  const drops: readonly [string, Layout<Fields>, object, Answer][] = [
    ['its address', CMD_TLBI_NH_VA, { ...mine, Address: VA, Leaf: 1 }, TWO],
    ['another address', CMD_TLBI_NH_VA, { ...mine, Address: VA + 0x1000n, Leaf: 1 }, ONE],
    ['another ASID', CMD_TLBI_NH_VA, { ...mine, ASID: 4, Address: VA }, ONE],
    ['its ASID', CMD_TLBI_NH_ASID, mine, TWO],
    ['another VMID', CMD_TLBI_NH_ASID, { ...mine, VMID: 8 }, ONE],
    ['all of its VMID', CMD_TLBI_NH_ALL, { VMID: 7 }, TWO],
    ['both stages of its VMID', CMD_TLBI_S12_VMALL, { VMID: 7 }, TWO],
    ['the IPA', CMD_TLBI_S2_IPA, { VMID: 7, Address: VA }, ONE],
    ['its STE', CMD_CFGI_STE, { StreamID: 1, Leaf: 1 }, ONE],
  ];
  test.each(drops)('by %s', (_, command, values, answer) => {
    const { bench, at } = cached();
    bench.poke(at, bench.peek(at) ^ 0x1000n);
    bench.command(command, values);
    expect(bench.ask(1, VA)).toEqual(answer);
  });

  test.each([
    [1, true],
    [0, false],
  ])('with Leaf %i tables stay: %s', (Leaf, stay) => {
    const bench = new TableBench({ dmaSlots: 1 });
    const table = bench.stage1(1, { ASID: 3 }, { S2VMID: 7 });
    bench.map(table, VA, 0x8000n);
    const pageOf = (): bigint => {
      const flight = new Flight(bench, 1, VA, READ);
      // The first way of a look-up is what is in the cache.
      flight.walk();
      const { page } = flight;
      flight.end();
      return page;
    };
    expect(pageOf()).toBe(0x8000n);
    const other = bench.table();
    bench.poke(bench.place(table, VA, { level: 2 }), other | 3n);
    bench.poke(other + 8n, 0x9000n | LEAF.both | 3n);
    bench.command(CMD_TLBI_NH_VA, { ...mine, Address: VA, Leaf });
    expect(pageOf()).toBe(stay ? 0x8000n : 0x9000n);
  });

  test('a change of stage 2 wants S2_IPA and then NH_ALL (4.4.3.1)', () => {
    const bench = new TableBench();
    const under = bench.table();
    const nested = {
      Config: STE_CONFIG.s1s2,
      S2T0SZ: 25,
      S2SL0: 1,
      S2PS: 5,
      S2AA64: 1,
      S2TTB: under,
      S2R: 1,
      S2VMID: 7,
    };
    const table = bench.stage1(1, { ASID: 3 }, nested);
    // Memory of the tables as it is; the page by a page of its own.
    for (const block of [MEMORY, MEMORY + 0x20_0000n]) bench.map(under, block, block, LEAF.second, { level: 2 });
    bench.map(table, VA, IPA);
    const at = bench.map(under, IPA, 0x8000n, LEAF.second);
    expect(bench.ask(1, VA)).toEqual(ONE);
    bench.poke(at, bench.peek(at) ^ 0x1000n);
    bench.command(CMD_TLBI_S2_IPA, { VMID: 7, Address: IPA });
    expect(bench.ask(1, VA)).toEqual(ONE);
    bench.command(CMD_TLBI_NH_ALL, { VMID: 7 });
    expect(bench.ask(1, VA)).toEqual(TWO);
  });
});

describe('3.21.3 several entries for an address', () => {
  /** A page and a block are cached that both hold VA. @returns where it may go then */
  function outcomes(BBML: number): Set<string> {
    const found = new Set<string>();
    for (let seed = 0; seed < 80; seed++) {
      const bench = new TableBench({ idr3: { BBML }, dmaSlots: 2, frames: 256 });
      const table = bench.stage1(1);
      bench.map(table, VA, 0x8000n);
      const first = new Flight(bench, 1, VA, READ);
      first.walk();
      first.end();
      bench.poke(bench.place(table, VA, { level: 2 }), 0x100_0000n | LEAF.both | 1n);
      // The table above is cached: it is let go of.
      const second = new Flight(bench, 1, VA + 0x1000n, READ);
      second.walk((choices) => choices - 1);
      expect(second.page).toBe(0x100_2000n);
      second.end();
      const random = new Random(seed);
      const third = new Flight(bench, 1, VA, READ);
      third.walk((choices) => random.below(choices));
      const [event] = bench.takeEvents();
      found.add(third.isTranslated ? `0x${third.page.toString(16)}` : `event ${event?.ID}`);
    }
    return found;
  }

  test.each([
    [0, true],
    [1, true],
    [2, false],
  ])(
    'BBML %i: may be a conflict: %s',
    (BBML, conflict) => {
      const want = ['0x8000', '0x1001000', ...(conflict ? [`event ${F_TLB_CONFLICT}`] : [])];
      expect([...outcomes(BBML)].sort()).toEqual(want.sort());
    },
    30_000,
  );
});
