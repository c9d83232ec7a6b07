/** SMMUv3 4.3, 3.21.3: which structures are kept, and what each invalidation of configuration drops: by what a device meets afterwards. */
import { describe, expect, test } from 'vitest';
import type { Fields, Layout } from '../../../src/bits/index.ts';
import {
  CMD_CFGI_ALL,
  CMD_CFGI_CD,
  CMD_CFGI_CD_ALL,
  CMD_CFGI_STE,
  CMD_CFGI_STE_RANGE,
  CMD_TLBI_NSNH_ALL,
  STE_CONFIG,
} from '../../../src/iommu/smmuv3/index.ts';
import { TableBench } from './tables.ts';
import { Bench, MEMORY } from './unit.ts';

type Command = Layout<Fields>;
const AT = 0x5000n;
const [OLD, NEW, CHANGED_STE] = [{ address: 0x8000n }, { address: 0x9000n }, { event: 0 }];
const TABLE = MEMORY + 0x2_0000n;

describe('4.3 STEs', () => {
  /** Streams of a linear table that bypass, have been used, and abort now. */
  function used(sids: readonly number[], log2 = 8): Bench {
    const bench = new Bench();
    bench.streamTable(TABLE, log2);
    bench.enable(1);
    for (const sid of sids) bench.ste(TABLE + 64n * BigInt(sid), { Config: STE_CONFIG.bypass });
    for (const sid of sids) expect(bench.ask(sid, AT)).toEqual({ address: AT });
    for (const sid of sids) bench.ste(TABLE + 64n * BigInt(sid), { Config: STE_CONFIG.abort });
    return bench;
  }
  const gone = (bench: Bench, sids: readonly number[]): number[] => sids.filter((sid) => 'event' in bench.ask(sid, AT));

  const sids = [0, 4, 5, 6, 7, 8, 9, 12, 15, 16];
  /** Command; what has to be gone. Decision: nothing else is. */
  const cases: [string, Command, object, number[]][] = [
    ['4.3.1 CFGI_STE of 5', CMD_CFGI_STE, { StreamID: 5 }, [5]],
    ['4.3.1 CFGI_STE of 5 with Leaf: the STE goes as well', CMD_CFGI_STE, { StreamID: 5, Leaf: 1 }, [5]],
    ['4.3.1 CFGI_STE of another', CMD_CFGI_STE, { StreamID: 100 }, []],
    ['4.3.2 Range 0 of 4: 2', CMD_CFGI_STE_RANGE, { StreamID: 4, Range: 0 }, [4, 5]],
    ['4.3.2 Range 0 of 5: aligned', CMD_CFGI_STE_RANGE, { StreamID: 5, Range: 0 }, [4, 5]],
    ['4.3.2 Range 1 of 6: 4', CMD_CFGI_STE_RANGE, { StreamID: 6, Range: 1 }, [4, 5, 6, 7]],
    ['4.3.2 Range 2 of 9: 8', CMD_CFGI_STE_RANGE, { StreamID: 9, Range: 2 }, [8, 9, 12, 15]],
    ['4.3.2 Range 3 of 15: 16', CMD_CFGI_STE_RANGE, { StreamID: 15, Range: 3 }, sids.slice(0, -1)],
    ['4.3.2 Range 3 of 16: 16', CMD_CFGI_STE_RANGE, { StreamID: 16, Range: 3 }, [16]],
    ['4.3.2 Range 4: 32', CMD_CFGI_STE_RANGE, { StreamID: 31, Range: 4 }, sids],
    ['4.3.2 Range 30 of the lower half', CMD_CFGI_STE_RANGE, { StreamID: 0x7fff_ffff, Range: 30 }, sids],
    ['4.3.2 Range 30 of the upper half', CMD_CFGI_STE_RANGE, { StreamID: 0x8000_0000, Range: 30 }, []],
    ['4.3.6 CFGI_ALL', CMD_CFGI_ALL, {}, sids],
    ['4.3.4 CFGI_CD_ALL, decision: no STE', CMD_CFGI_CD_ALL, { StreamID: 5 }, []],
    ['4.4.4.1 TLBI_NSNH_ALL, decision: no STE', CMD_TLBI_NSNH_ALL, {}, []],
  ];
  test.each(cases)('%s', (_, of, values, want) => {
    const bench = used(sids);
    bench.command(of, values);
    expect(gone(bench, sids)).toEqual(want);
  });

  test.each([0, 3, 4])('5.2.1 an STE of any state may be kept: Config %i, and one that is not valid', (Config) => {
    for (const V of [0, 1]) {
      const bench = new TableBench();
      bench.steOf(1, { V, Config });
      const first = bench.ask(1, AT);
      bench.steOf(1, { V: 1, Config: Config === 4 ? 0 : 4 });
      expect(bench.ask(1, AT), 'decision: it is').toEqual(first);
      bench.command(CMD_CFGI_STE, { StreamID: 1, Leaf: 1 });
      expect(bench.ask(1, AT)).not.toEqual(first);
    }
  });
});

describe('4.3.1 level-1 descriptors of the stream table', () => {
  const [FIRST, SECOND] = [MEMORY + 0x10_0000n, MEMORY + 0x11_0000n];

  /** A 2-level table whose L1STD has been used, and points at another table now; STE 2 there aborts, in the first it bypasses. */
  function moved(): Bench {
    const bench = new Bench();
    bench.streamTable(TABLE, 8, 6);
    bench.enable(1);
    bench.poke(TABLE, FIRST | 7n);
    for (const sid of [1, 2]) {
      bench.ste(FIRST + 64n * BigInt(sid), { Config: STE_CONFIG.bypass });
      bench.ste(SECOND + 64n * BigInt(sid), { Config: STE_CONFIG.abort });
    }
    expect(bench.ask(1, AT)).toEqual({ address: AT });
    bench.poke(TABLE, SECOND | 7n);
    return bench;
  }

  test.each([
    [0, CHANGED_STE],
    [1, { address: AT }],
  ])('CFGI_STE with Leaf %i (decision: kept with 1)', (Leaf, answer) => {
    const bench = moved();
    bench.command(CMD_CFGI_STE, { StreamID: 1, Leaf });
    expect(bench.ask(1, AT)).toEqual(answer);
  });

  test.each([
    ['CFGI_STE_RANGE', CMD_CFGI_STE_RANGE, { StreamID: 0, Range: 1 }],
    ['CFGI_ALL', CMD_CFGI_ALL, {}],
    ['CFGI_STE of another of its STEs', CMD_CFGI_STE, { StreamID: 2 }],
  ] as [string, Command, object][])('%s drops it', (_, of, values) => {
    const bench = moved();
    bench.command(of, values);
    expect(bench.ask(2, AT)).toEqual(CHANGED_STE);
  });

  test('an L1STD that is not valid may be kept, too', () => {
    const bench = new Bench();
    bench.streamTable(TABLE, 8, 6);
    bench.enable(1);
    expect(bench.ask(1, AT)).toEqual({ event: 2 });
    bench.poke(TABLE, FIRST | 7n);
    bench.ste(FIRST + 64n, { Config: STE_CONFIG.bypass });
    bench.command(CMD_CFGI_STE, { StreamID: 1 });
    expect(bench.ask(1, AT)).toEqual({ address: AT });
  });
});

describe('4.3.3, 4.3.4 CDs', () => {
  const CDS = MEMORY + 0x1_2000n;
  const [NONE, SUBSTREAMS] = [-1, [0, 1, 2, 3]];
  const ste = { S1CDMax: 2, S1ContextPtr: CDS };

  /** Streams 1 and 2 with the same four CDs, all used, each of which has another table now. */
  function used(): TableBench {
    const bench = new TableBench();
    const tables = [bench.table(), bench.table()];
    for (const sid of [1, 2]) bench.stage1(sid, { TTB0: tables[0] }, ste);
    for (const [i, to] of [0x8000n, 0x9000n].entries()) bench.map(tables[i], AT, to);
    const put = (table: bigint, first: number) => {
      for (const index of SUBSTREAMS)
        bench.cd(CDS + 64n * BigInt(index), { T0SZ: 25, EPD1: 1, IPS: 5, ASID: first + index, TTB0: table });
    };
    put(tables[0], 16);
    for (const sid of [1, 2]) for (const index of SUBSTREAMS) expect(bench.ask(sid, AT, 1, index)).toEqual(OLD);
    // With ASIDs of their own, so that translations that are kept say nothing.
    put(tables[1], 32);
    return bench;
  }
  /** Stream and SubstreamID of what is the new one. */
  const fresh = (bench: TableBench): string[] =>
    [1, 2].flatMap((sid) =>
      SUBSTREAMS.filter((index) => (bench.ask(sid, AT, 1, index) as typeof NEW).address === NEW.address).map(
        (index) => `${sid}/${index}`,
      ),
    );
  const all = (sid: number) => SUBSTREAMS.map((index) => `${sid}/${index}`);

  const cases: [string, Command, object, string[]][] = [
    ['4.3.3 CFGI_CD of 1/2', CMD_CFGI_CD, { StreamID: 1, SubstreamID: 2 }, ['1/2']],
    ['4.3.3 CFGI_CD of 1/2 with Leaf', CMD_CFGI_CD, { StreamID: 1, SubstreamID: 2, Leaf: 1 }, ['1/2']],
    ['4.3.3 CFGI_CD of 1/0', CMD_CFGI_CD, { StreamID: 1 }, ['1/0']],
    ['4.3.3 CFGI_CD of 2/3', CMD_CFGI_CD, { StreamID: 2, SubstreamID: 3 }, ['2/3']],
    ['4.3.3 CFGI_CD of 3/0', CMD_CFGI_CD, { StreamID: 3 }, []],
    ['4.3.4 CFGI_CD_ALL of 1', CMD_CFGI_CD_ALL, { StreamID: 1 }, all(1)],
    ['4.3.4 CFGI_CD_ALL of 3', CMD_CFGI_CD_ALL, { StreamID: 3 }, []],
    ['4.3.1 CFGI_STE of 2 drops its CDs', CMD_CFGI_STE, { StreamID: 2 }, all(2)],
    ['4.3.1 CFGI_STE of 2 with Leaf, too', CMD_CFGI_STE, { StreamID: 2, Leaf: 1 }, all(2)],
    ['4.3.2 CFGI_STE_RANGE of 2 and 3', CMD_CFGI_STE_RANGE, { StreamID: 3, Range: 0 }, all(2)],
    ['4.3.2 CFGI_STE_RANGE of 0 to 3', CMD_CFGI_STE_RANGE, { StreamID: 3, Range: 1 }, [...all(1), ...all(2)]],
    ['4.3.6 CFGI_ALL', CMD_CFGI_ALL, {}, [...all(1), ...all(2)]],
    ['4.4.4.1 TLBI_NSNH_ALL: none', CMD_TLBI_NSNH_ALL, {}, []],
  ];
  test.each(cases)('%s; decision: nothing else', (_, of, values, want) => {
    const bench = used();
    bench.command(of, values);
    expect(fresh(bench)).toEqual(want);
  });

  test('4.3.3 a stream without substreams: its CD is that of SubstreamID 0', () => {
    const bench = new TableBench();
    bench.map(bench.stage1(1, { ASID: 1 }), AT, 0x8000n);
    expect(bench.ask(1, AT, 1, NONE)).toEqual(OLD);
    bench.map(bench.stage1(1, { ASID: 2 }), AT, 0x9000n);
    expect(bench.ask(1, AT)).toEqual(OLD);
    bench.command(CMD_CFGI_CD, { StreamID: 1, SubstreamID: 0, Leaf: 1 });
    expect(bench.ask(1, AT)).toEqual(NEW);
  });

  test('4.3.3 S1DSS 2: so is that of transactions without one', () => {
    const bench = new TableBench();
    const tables = [bench.table(), bench.table()];
    for (const [i, to] of [0x8000n, 0x9000n].entries()) bench.map(tables[i], AT, to);
    bench.stage1(1, { TTB0: tables[0] }, { ...ste, S1DSS: 2 });
    bench.cd(CDS, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: tables[0] });
    expect(bench.ask(1, AT)).toEqual(OLD);
    bench.cd(CDS, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 2, TTB0: tables[1] });
    bench.command(CMD_CFGI_CD, { StreamID: 1, SubstreamID: 0, Leaf: 1 });
    expect(bench.ask(1, AT)).toEqual(NEW);
  });
});

describe('4.3.3 level-1 context descriptors', () => {
  const L1 = MEMORY + 0x1_4000n;
  const [FIRST, SECOND] = [MEMORY + 0x10_0000n, MEMORY + 0x11_0000n];

  function moved(): TableBench {
    const bench = new TableBench();
    const tables = [bench.table(), bench.table()];
    for (const [i, to] of [0x8000n, 0x9000n].entries()) bench.map(tables[i], AT, to);
    bench.stage1(1, {}, { S1CDMax: 8, S1Fmt: 1, S1ContextPtr: L1 });
    bench.poke(L1, FIRST | 1n);
    for (const index of [1n, 2n]) {
      bench.cd(FIRST + 64n * index, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: tables[0] });
      bench.cd(SECOND + 64n * index, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 2, TTB0: tables[1] });
    }
    expect(bench.ask(1, AT, 1, 1)).toEqual(OLD);
    bench.poke(L1, SECOND | 1n);
    return bench;
  }

  test.each([
    [0, NEW],
    [1, OLD],
  ])('CFGI_CD with Leaf %i (decision: kept with 1)', (Leaf, answer) => {
    const bench = moved();
    bench.command(CMD_CFGI_CD, { StreamID: 1, SubstreamID: 1, Leaf });
    expect(bench.ask(1, AT, 1, 1)).toEqual(answer);
  });

  test.each([
    ['CFGI_CD of another of its CDs', CMD_CFGI_CD, { StreamID: 1, SubstreamID: 2 }],
    ['CFGI_CD_ALL', CMD_CFGI_CD_ALL, { StreamID: 1 }],
    ['CFGI_STE', CMD_CFGI_STE, { StreamID: 1 }],
    ['CFGI_STE with Leaf', CMD_CFGI_STE, { StreamID: 1, Leaf: 1 }],
    ['CFGI_STE_RANGE', CMD_CFGI_STE_RANGE, { StreamID: 0, Range: 0 }],
    ['CFGI_ALL', CMD_CFGI_ALL, {}],
  ] as [string, Command, object][])('%s drops it', (_, of, values) => {
    const bench = moved();
    bench.command(of, values);
    expect(bench.ask(1, AT, 1, 2)).toEqual(NEW);
  });
});
