/** SMMUv3 5.4, 5.4.1.1, 5.4.2: which CDs are ILLEGAL, one field at a time, at both sides of each boundary, and what an implementation has to do with it. */
import { describe, expect, test } from 'vitest';
import { CR2 } from '../../../src/iommu/smmuv3/index.ts';
import { TableBench } from './tables.ts';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { MEMORY } from './unit.ts';

const [C_BAD_CD, F_WALK_EABT, F_TRANSLATION] = [10, 11, 16];
const SID = 1;
/** The same place of the lower and of the upper range of 39 bits. */
const LOWER = 0x40_1000n;
const UPPER = 0xffff_ff80_0040_1000n;
const [TO, UPPER_TO] = [0x8000n, 0x9000n];

const TERMINATES = { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } };
const STALLS = { idr0: { STALL_MODEL: 0 } };
const FORCED = { idr0: { STALL_MODEL: 2 } };
const E2H = 1n << BigInt(CR2.E2H.lo);

type Context = Parameters<TableBench['stage1']>[1];
type Stream = Parameters<TableBench['steOf']>[1];

const ILLEGAL = 'C_BAD_CD';

/** Tables of 4 KiB for both ranges, but for what a test changes. */
function context(options: BenchOptions, fields: Context, stream: Stream = {}): TableBench {
  const bench = new TableBench(options);
  const [lower, upper] = [bench.table(), bench.table()];
  const both = { T0SZ: 25, T1SZ: 25, TG1: 2, EPD1: 0, TTB0: lower, TTB1: upper };
  bench.stage1(SID, { ...both, ASID: 1, ...fields }, stream);
  bench.map(lower, LOWER, TO);
  bench.map(upper, LOWER, UPPER_TO);
  return bench;
}

function outcome(bench: TableBench, address = LOWER): string | bigint {
  const answer = bench.ask(SID, address);
  const events = bench.takeEvents();
  if ('address' in answer) {
    expect(events).toEqual([]);
    return answer.address;
  }
  expect(events).toMatchObject([{ ID: answer.event, StreamID: SID }]);
  return answer.event === C_BAD_CD ? ILLEGAL : `event ${answer.event}`;
}

const NOT_MAPPED = `event ${F_TRANSLATION}`;

/** Whether a CD is legal whose tables need not map anything. */
function isLegal(options: BenchOptions, fields: Context, stream: Stream = {}): boolean {
  const seen = outcome(context(options, fields, stream));
  expect([ILLEGAL, NOT_MAPPED, TO, `event ${F_WALK_EABT}`]).toContain(seen);
  return seen !== ILLEGAL;
}

/** As EL2-E2H has it: CR2.E2H, and STRW 2. */
function withE2h(bench: TableBench): TableBench {
  bench.enable(0);
  bench.write(CR2.offset, 4, 2n | E2H);
  bench.enable(1);
  return bench;
}

describe('5.4 V', () => {
  test('0: C_BAD_CD, and nothing else of it counts', () => {
    expect(outcome(context({}, { V: 0 }))).toBe(ILLEGAL);
    expect(outcome(context({}, { V: 0, R: 0, A: 0 }))).toBe(ILLEGAL);
    expect(outcome(context({}, { V: 0, EPD0: 1, EPD1: 1 }), UPPER)).toBe(ILLEGAL);
  });

  test('the record has nothing but ID, StreamID and SubstreamID (7.3.11)', () => {
    const bench = context({}, { V: 0 }, { S1CDMax: 1, S1ContextPtr: 0x1_1080n });
    expect(bench.ask(SID, LOWER, 1, 1)).toEqual({ event: C_BAD_CD });
    expect(bench.takeEvents()).toEqual([{ ID: C_BAD_CD, SSV: 1, SubstreamID: 1, StreamID: SID }]);
  });
});

describe('5.4 T0SZ, T1SZ', () => {
  const WIDE = { idr5: { OAS: 6, VAX: 1 } };
  const [SMALL, LARGE] = [{ idr3: { STT: 1 } }, { idr3: { STT: 0 } }];
  const V30 = { aidr: { ArchMinorRev: 0 } };
  /** TG0 and TG1 of a granule; the last ILLEGAL value, the first legal one; the last legal one, the first ILLEGAL one. */
  const cases: [string, BenchOptions, number, number, number[]][] = [
    ['4 KiB', SMALL, 0, 2, [15, 16, 48, 49]],
    ['16 KiB', SMALL, 2, 1, [15, 16, 48, 49]],
    ['64 KiB', SMALL, 1, 3, [15, 16, 47, 48]],
    ['4 KiB, IDR5.VAX 1', WIDE, 0, 2, [15, 16, 48, 49]],
    ['16 KiB, IDR5.VAX 1', WIDE, 2, 1, [15, 16, 48, 49]],
    ['64 KiB, IDR5.VAX 1', WIDE, 1, 3, [11, 12, 47, 48]],
    ['4 KiB, IDR3.STT 0', LARGE, 0, 2, [15, 16, 39, 40]],
    ['16 KiB, IDR3.STT 0', LARGE, 2, 1, [15, 16, 39, 40]],
    ['64 KiB, IDR3.STT 0', LARGE, 1, 3, [15, 16, 39, 40]],
    ['decision (SMMUv3.0: may be): 4 KiB', V30, 0, 2, [15, 16, 48, 49]],
  ];
  test.each(cases)('T0SZ, %s', (_, options, TG0, __, sizes) => {
    expect(sizes.map((T0SZ) => isLegal(options, { T0SZ, TG0 }))).toEqual([false, true, true, false]);
  });

  test.each(cases)('T1SZ, %s', (_, options, __, TG1, sizes) => {
    expect(sizes.map((T1SZ) => isLegal(options, { T1SZ, TG1 }))).toEqual([false, true, true, false]);
  });

  test.each([0, 63])('%i is ILLEGAL', (size) => {
    expect([isLegal({}, { T0SZ: size }), isLegal({}, { T1SZ: size })]).toEqual([false, false]);
  });
});

describe('5.4.1.1 EPD0, EPD1', () => {
  const [VALID, INVALID] = [25, 5];
  /** Address, EPD0, EPD1, T0SZ, T1SZ: the table of the clause. */
  const cases: [bigint, number, number, number, number, string | bigint][] = [
    [UPPER, 0, 0, VALID, VALID, UPPER_TO],
    [LOWER, 0, 0, VALID, VALID, TO],
    [UPPER, 0, 0, VALID, INVALID, ILLEGAL],
    [LOWER, 0, 0, VALID, INVALID, ILLEGAL],
    [UPPER, 0, 0, INVALID, VALID, ILLEGAL],
    [LOWER, 0, 0, INVALID, VALID, ILLEGAL],
    [UPPER, 0, 1, VALID, VALID, NOT_MAPPED],
    [UPPER, 0, 1, VALID, INVALID, NOT_MAPPED],
    [LOWER, 0, 1, VALID, INVALID, TO],
    [UPPER, 0, 1, INVALID, VALID, ILLEGAL],
    [LOWER, 0, 1, INVALID, VALID, ILLEGAL],
    [UPPER, 1, 0, INVALID, VALID, UPPER_TO],
    [LOWER, 1, 0, VALID, VALID, NOT_MAPPED],
    [LOWER, 1, 0, INVALID, VALID, NOT_MAPPED],
    [UPPER, 1, 0, VALID, INVALID, ILLEGAL],
    [LOWER, 1, 0, VALID, INVALID, ILLEGAL],
    [LOWER, 1, 1, INVALID, INVALID, NOT_MAPPED],
    [UPPER, 1, 1, INVALID, INVALID, NOT_MAPPED],
  ];
  test.each(
    titled(cases, (address, e0, e1, s0, s1) => `${hex(address)}, EPD0 ${e0}, EPD1 ${e1}, T0SZ ${s0}, T1SZ ${s1}`),
  )('%s', (_, address, EPD0, EPD1, T0SZ, T1SZ, to) => {
    expect(outcome(context({}, { EPD0, EPD1, T0SZ, T1SZ }), address)).toBe(to);
  });

  test.each([
    ['TG0', { EPD0: 1, TG0: 3 }, UPPER, UPPER_TO],
    ['TTB0', { EPD0: 1, TTB0: 1n << 50n }, UPPER, UPPER_TO],
    ['TG1', { EPD1: 1, TG1: 0 }, LOWER, TO],
    ['TTB1', { EPD1: 1, TTB1: 1n << 50n }, LOWER, TO],
  ])('%s of a range that is disabled is not looked at', (_, fields, address, to) => {
    // Where an address is ILLEGAL the bench's table is none.
    const bench = new TableBench();
    const table = bench.table();
    const both = { T0SZ: 25, T1SZ: 25, TG1: 2, EPD1: 0, TTB0: table, TTB1: table, ASID: 1 };
    bench.stage1(SID, { ...both, ...fields });
    bench.map(table, LOWER, to);
    expect(outcome(bench, address)).toBe(to);
  });

  test.each([
    ['EPD0, so that T0SZ counts', { EPD0: 1, T0SZ: 5 }, ILLEGAL],
    ['EPD0, so that TTB0 is walked', { EPD0: 1 }, TO],
    ['T1SZ', { T1SZ: 5 }, TO],
    ['TG1', { TG1: 0 }, TO],
    ['TTB1', { TTB1: 1n << 50n }, TO],
    ['EPD0 and EPD1, so that ENDI counts', { EPD0: 1, EPD1: 1, ENDI: 1 }, ILLEGAL],
  ])('EL2 has one table: %s', (_, fields, to) => {
    const options = { idr0: { Hyp: 1, TTENDIAN: 2 } };
    const bench = new TableBench(options);
    const table = bench.table();
    bench.stage1(SID, { T0SZ: 25, T1SZ: 25, TG1: 2, EPD1: 0, TTB0: table, ...fields }, { STRW: 2 });
    bench.map(table, LOWER, TO);
    expect(outcome(bench)).toBe(to);
  });

  test.each([
    ['T1SZ', { T1SZ: 5 }, LOWER, ILLEGAL],
    ['TG1', { TG1: 0 }, LOWER, ILLEGAL],
    ['EPD0', { EPD0: 1 }, LOWER, NOT_MAPPED],
    ['EPD1', { EPD1: 1 }, UPPER, NOT_MAPPED],
    ['TTB1', {}, UPPER, UPPER_TO],
  ])('EL2-E2H has two: %s', (_, fields, address, to) => {
    expect(outcome(withE2h(context({ idr0: { Hyp: 1 } }, fields, { STRW: 2 })), address)).toBe(to);
  });
});

describe('5.4 TG0, TG1', () => {
  const granules = ['GRAN4K', 'GRAN16K', 'GRAN64K'] as const;
  test.each([
    [0, 'GRAN4K'],
    [1, 'GRAN64K'],
    [2, 'GRAN16K'],
    [3, 'none'],
  ])('TG0 %i: %s', (TG0, needs) => {
    for (const missing of granules)
      expect(isLegal({ idr5: { [missing]: 0 } }, { TG0, EPD1: 1 }), missing).toBe(
        needs !== 'none' && missing !== needs,
      );
  });

  test.each([
    [0, 'none'],
    [1, 'GRAN16K'],
    [2, 'GRAN4K'],
    [3, 'GRAN64K'],
  ])('TG1 %i: %s', (TG1, needs) => {
    for (const missing of granules)
      expect(isLegal({ idr5: { [missing]: 0 } }, { TG1, EPD0: 1 }), missing).toBe(
        needs !== 'none' && missing !== needs,
      );
  });
});

describe('5.4 ENDI', () => {
  test.each([
    [0, 0, true],
    [0, 1, true],
    [2, 0, true],
    [2, 1, false],
    [3, 0, false],
    [3, 1, true],
  ])('IDR0.TTENDIAN %i, ENDI %i: legal %s, of either range', (TTENDIAN, ENDI, legal) => {
    const options = { idr0: { TTENDIAN } };
    expect(isLegal(options, { ENDI })).toBe(legal);
    expect(isLegal(options, { ENDI, EPD1: 1 })).toBe(legal);
    expect(isLegal(options, { ENDI, EPD0: 1 })).toBe(legal);
    // Nothing is walked.
    expect(isLegal(options, { ENDI, EPD0: 1, EPD1: 1 })).toBe(true);
  });
});

test('5.4 AA64 0 without VMSAv8-32 (IDR0.TTF 2)', () => {
  expect([isLegal({}, { AA64: 1 }), isLegal({}, { AA64: 0 })]).toEqual([true, false]);
});

test.each([
  [0, 0, 0, true],
  [0, 1, 0, false],
  [0, 0, 1, false],
  [0, 1, 1, false],
  [1, 0, 0, true],
  [1, 1, 0, true],
  [1, 0, 1, false],
  [1, 1, 1, false],
  [2, 1, 0, true],
  [2, 0, 1, true],
  [2, 1, 1, true],
])('5.4 IDR0.HTTU %i, HA %i, HD %i: legal %s', (HTTU, HA, HD, legal) => {
  expect(isLegal({ idr0: { HTTU } }, { HA, HD })).toBe(legal);
});

describe('5.4 ASID', () => {
  test.each(
    titled(
      [
        [0, 0xff, true],
        [0, 0x100, false],
        [0, 0x8001, false],
        [1, 0xffff, true],
      ],
      (wide, asid, legal) => `IDR0.ASID16 ${wide}, ${hex(asid)}: legal ${legal}`,
    ),
  )('%s', (_, ASID16, ASID, legal) => {
    expect(isLegal({ idr0: { ASID16 } }, { ASID })).toBe(legal);
  });

  test('EL2 has none; EL2-E2H has', () => {
    const options = { idr0: { ASID16: 0 } };
    expect(outcome(context(options, { ASID: 0x100 }, { STRW: 2 }))).toBe(TO);
    expect(outcome(withE2h(context(options, { ASID: 0x100 }, { STRW: 2 })))).toBe(ILLEGAL);
    expect(outcome(withE2h(context(options, { ASID: 0xff }, { STRW: 2 })))).toBe(TO);
  });
});

describe('5.4 TTB0, TTB1 and IPS', () => {
  /** Of tables that are nowhere the walk says so. */
  const walk = (options: BenchOptions, fields: Context, address: bigint): string | bigint => {
    const bench = new TableBench(options);
    bench.stage1(SID, { T1SZ: 25, TG1: 2, EPD1: 0, TTB0: MEMORY + 0x20_0000n, TTB1: MEMORY + 0x20_0000n, ...fields });
    return outcome(bench, address);
  };
  const nowhere = `event ${F_WALK_EABT}`;

  test.each([
    [0, 32],
    [1, 36],
    [2, 40],
    [3, 42],
    [4, 44],
    [5, 48],
  ])('IPS %i: within %i bits', (IPS, bits) => {
    const end = 1n << BigInt(bits);
    const options = bits > 44 ? { idr5: { OAS: 5 } } : {};
    expect(walk(options, { IPS, TTB0: end - 0x1000n }, LOWER)).toBe(nowhere);
    expect(walk(options, { IPS, TTB0: end }, LOWER)).toBe(ILLEGAL);
    expect(walk(options, { IPS, TTB1: end - 0x1000n }, UPPER)).toBe(nowhere);
    expect(walk(options, { IPS, TTB1: end }, UPPER)).toBe(ILLEGAL);
  });

  test.each([
    [0, 32],
    [2, 40],
    [4, 44],
  ])('OAS %i caps IPS 5 to %i bits', (OAS, bits) => {
    const end = 1n << BigInt(bits);
    expect(walk({ idr5: { OAS } }, { TTB0: end - 0x1000n }, LOWER)).toBe(nowhere);
    expect(walk({ idr5: { OAS } }, { TTB0: end }, LOWER)).toBe(ILLEGAL);
    expect(walk({ idr5: { OAS } }, { TTB1: end }, LOWER)).toBe(ILLEGAL);
  });

  test.each([
    [0, 2, 48],
    [2, 1, 48],
    [1, 3, 52],
  ])('OAS 6, IPS 6, TG0 %i, TG1 %i: within %i bits', (TG0, TG1, bits) => {
    const wide = { idr5: { OAS: 6 } };
    const fields = { IPS: 6, TG0, TG1 };
    const end = 1n << BigInt(bits);
    expect(walk(wide, { ...fields, TTB0: end - 0x10000n }, LOWER)).toBe(nowhere);
    expect(walk(wide, { ...fields, TTB1: end - 0x10000n }, UPPER)).toBe(nowhere);
    if (bits === 52) return;
    expect(walk(wide, { ...fields, TTB0: end }, LOWER)).toBe(ILLEGAL);
    expect(walk(wide, { ...fields, TTB1: end }, UPPER)).toBe(ILLEGAL);
  });

  test('OAS 6, IPS 5: within 48 bits, of 64 KiB as well', () => {
    const fields = { IPS: 5, TG0: 1, TG1: 3, TTB0: 1n << 48n };
    expect(walk({ idr5: { OAS: 6 } }, fields, LOWER)).toBe(ILLEGAL);
  });
});

describe('5.4, 5.5 S and A', () => {
  test.each([
    [STALLS, {}, 0, true],
    [STALLS, {}, 1, true],
    [STALLS, { S1STALLD: 1 }, 0, true],
    [STALLS, { S1STALLD: 1 }, 1, false],
    [TERMINATES, {}, 0, true],
    [TERMINATES, {}, 1, false],
    [FORCED, {}, 0, false],
    [FORCED, {}, 1, true],
  ])('%j, STE %j, S %i: legal %s', (options, stream, S, legal) => {
    expect(isLegal(options, { S }, stream)).toBe(legal);
  });

  test.each([
    [0, 0, true],
    [0, 1, true],
    [1, 0, false],
    [1, 1, true],
  ])('IDR0.TERM_MODEL %i, A %i: legal %s', (TERM_MODEL, A, legal) => {
    expect(isLegal({ idr0: { TERM_MODEL } }, { A })).toBe(legal);
  });
});

describe('what is IGNORED, or RES0 here', () => {
  test.each([
    ['UWXN, of VMSAv8-64', { UWXN: 1 }, {}],
    ['HAD0 without IDR3.HAD', { HAD0: 1 }, { idr3: { HAD: 0 } }],
    ['E0PD0 without IDR3.E0PD', { E0PD0: 1 }, { idr3: { E0PD: 0 } }],
    ['NSCFG0, of a Non-secure stream', { NSCFG0: 1 }, {}],
    ['HWU059 without IDR3.PBHA', { HWU059: 1, HAD0: 1 }, {}],
    ['decision: DS without IDR5.DS', { DS: 1 }, {}],
    ['decision: PIE without IDR3.S1PI', { PIE: 1 }, {}],
    ['decision: AIE without IDR3.AIE', { AIE: 1 }, {}],
    ['decision: HAFT without IDR0.HTTU 3', { HAFT: 1 }, {}],
    ['decision: PnCH without IDR3.THE', { PnCH: 1 }, {}],
    ['MAIR, AMAIR', { MAIR0: 0xffffffff, MAIR1: 0xffffffff, AMAIR0: 1, AMAIR1: 1 }, {}],
    ['PARTID, PMG without IDR3.MPAM', { PARTID: 0xffff, PMG: 0xff }, {}],
  ])('%s', (_, fields, options) => {
    expect(outcome(context(options, fields))).toBe(TO);
  });
});

test('7.3.22 C_BAD_CD goes before what tables say', () => {
  expect(outcome(context({}, { AA64: 0, TTB0: 1n << 40n }), 0x80_0000_0000n)).toBe(ILLEGAL);
});

describe('what this model has not', () => {
  test.todo('5.4 DS: 52 bits with 4 and 16 KiB (IDR5.DS)');
  test.todo('5.4 AA64 0 as VMSAv8-32 LPAE (IDR0.TTF[0]) and as VMSAv9-128 (IDR5.D128), SKL0, SKL1, DisCH0, DisCH1');
  test.todo('5.4 HAFT without HA (IDR0.HTTU 3)');
  test.todo(
    '5.4 PIE, PIIP, PIIU: reserved encodings, and execution of what unprivileged accesses may write (IDR3.S1PI)',
  );
});
