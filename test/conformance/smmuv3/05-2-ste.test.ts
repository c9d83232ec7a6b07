/** SMMUv3 5.2, 5.2.2: which STEs are ILLEGAL, one field at a time, at both sides of each boundary, and what an implementation has to do with it. */
import { describe, expect, test } from 'vitest';
import { STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { SECOND, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { MEMORY } from './unit.ts';

const [C_BAD_STE, F_CD_FETCH, F_WALK_EABT, F_TRANSLATION] = [4, 9, 11, 16];
const { abort: ABORT, bypass: BYPASS, s1: S1, s2: S2, s1s2: NESTED } = STE_CONFIG;
const SID = 1;
const VA = 0x40_1000n;

const NO_STAGE_1 = { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 };
const NO_STAGE_2 = { S2P: 0, VMID16: 0 };
const TERMINATES = { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } };

type Stream = Parameters<TableBench['steOf']>[1];

/** A stream whose configuration is in order but for what a test changes; stage 1 maps VA, stage 2 maps all memory where it is. */
function stream(options: BenchOptions, fields: Stream, context: object = {}): TableBench {
  const bench = new TableBench(options);
  const { table } = bench.nested(SID, { ASID: 1, ...context }, fields);
  bench.map(table, VA, 0x8000n);
  return bench;
}

const ILLEGAL = 'C_BAD_STE';
/** What becomes of a read of VA. */
const PASSES = { [BYPASS]: VA, [S1]: 0x8000n, [S2]: undefined, [NESTED]: 0x8000n } as const;

/** Asks, and has the event that belongs to the answer recorded. @returns the name of the event, or where it went */
function outcome(bench: TableBench, ssid = -1): string | bigint {
  const answer = bench.ask(SID, VA, 1, ssid);
  const events = bench.takeEvents();
  if ('address' in answer) {
    expect(events).toEqual([]);
    return answer.address;
  }
  if (answer.event === 0) expect(events).toEqual([]);
  else expect(events).toMatchObject([{ ID: answer.event, StreamID: SID }]);
  return answer.event === C_BAD_STE ? ILLEGAL : `event ${answer.event}`;
}

/** A stage 2 of its own that maps nothing: of a legal one the walk ends with F_TRANSLATION. @returns whether it is legal */
function isLegalStage2(options: BenchOptions, fields: Stream): boolean {
  const bench = new TableBench(options);
  bench.steOf(SID, { Config: S2, ...SECOND, S2TTB: MEMORY + 0x20_0000n, ...fields });
  const seen = outcome(bench);
  expect([ILLEGAL, `event ${F_TRANSLATION}`]).toContain(seen);
  return seen !== ILLEGAL;
}

describe('5.2 V', () => {
  test.each([0, 1, 2, 3, 4, 5, 6, 7])('V 0, Config %i: C_BAD_STE', (Config) => {
    expect(outcome(stream({}, { V: 0, Config }))).toBe(ILLEGAL);
  });

  test('the record has nothing but ID, StreamID and SubstreamID (7.3.5)', () => {
    const bench = stream({}, { V: 0, S1CDMax: 4 });
    expect(bench.ask(SID, VA, 1, 5)).toEqual({ event: C_BAD_STE });
    expect(bench.takeEvents()).toEqual([{ ID: C_BAD_STE, SSV: 1, SubstreamID: 5, StreamID: SID }]);
  });
});

describe('5.2 Config', () => {
  test.each([0, 1, 2, 3])('%i aborts, without an event', (Config) => {
    expect(outcome(stream({}, { Config }))).toBe('event 0');
  });

  test.each([
    [BYPASS, VA],
    [S1, 0x8000n],
    [S2, undefined],
    [NESTED, 0x8000n],
  ])('%i', (Config, to) => {
    const bench = stream({}, { Config });
    // Stage 2 alone takes the address for an IPA, of which only memory is mapped.
    expect(outcome(bench)).toBe(to ?? `event ${F_TRANSLATION}`);
  });

  test.each([
    [NO_STAGE_1, 'S1P', S1, false],
    [NO_STAGE_1, 'S1P', NESTED, false],
    [NO_STAGE_1, 'S1P', BYPASS, true],
    [NO_STAGE_2, 'S2P', S2, false],
    [NO_STAGE_2, 'S2P', NESTED, false],
    [NO_STAGE_2, 'S2P', S1, true],
    [NO_STAGE_2, 'S2P', BYPASS, true],
  ])('%j (IDR0.%s 0), Config %i: legal %s', (idr0, _, Config, legal) => {
    expect(outcome(stream({ idr0 }, { Config }))).toBe(legal ? PASSES[Config as typeof S1] : ILLEGAL);
  });

  test('IDR0.S1P 0, Config 6: legal', () => {
    expect(isLegalStage2({ idr0: NO_STAGE_1 }, {})).toBe(true);
  });
});

describe('5.2 fields of a stage that does not translate are IGNORED', () => {
  const WRONG_1: Stream = { S1CDMax: 21, S1Fmt: 1, S1ContextPtr: 1n << 50n, S1STALLD: 1 };
  const WRONG_2: Stream = { S2TG: 3, S2T0SZ: 0, S2SL0: 3, S2AA64: 0, S2TTB: 1n << 50n, S2HD: 1, S2HA: 1, S2ENDI: 1 };
  const POOR: BenchOptions = { idr0: { HTTU: 0, TTENDIAN: 2, CD2L: 0, STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } };

  test.each(Object.entries(WRONG_1))('bypass: %s', (name, value) => {
    expect(outcome(stream(POOR, { Config: BYPASS, [name]: value }))).toBe(VA);
  });

  test.each(Object.entries({ ...WRONG_2, S2S: 1 }))('bypass: %s', (name, value) => {
    expect(outcome(stream(POOR, { Config: BYPASS, [name]: value }))).toBe(VA);
  });

  test.each(Object.entries({ ...WRONG_2, S2S: 1 }))('stage 1: %s', (name, value) => {
    expect(outcome(stream(POOR, { Config: S1, [name]: value }))).toBe(0x8000n);
  });

  test.each(Object.entries(WRONG_1))('stage 2: %s', (name, value) => {
    expect(isLegalStage2(POOR, { [name]: value })).toBe(true);
  });

  test.each(Object.entries({ ...WRONG_1, ...WRONG_2 }))('abort: %s', (name, value) => {
    expect(outcome(stream(POOR, { Config: ABORT, [name]: value }))).toBe('event 0');
  });

  test.each(Object.entries(WRONG_2))('stage 2, where they count: %s', (name, value) => {
    // S2HD and S2HA, S2ENDI by what the implementation has; the others always.
    expect(outcome(stream(POOR, { Config: NESTED, [name]: value }))).toBe(ILLEGAL);
  });
});

describe('5.2 STRW', () => {
  test.each([
    [S1, 0, 0x8000n],
    [S1, 1, ILLEGAL],
    [S1, 2, 0x8000n],
    [S1, 3, ILLEGAL],
    [NESTED, 1, 0x8000n],
    [NESTED, 3, 0x8000n],
    [BYPASS, 1, VA],
    [BYPASS, 3, VA],
  ])('Config %i, STRW %i', (Config, STRW, to) => {
    expect(outcome(stream(Config === S1 ? { idr0: { Hyp: 1 } } : {}, { Config, STRW }))).toBe(to);
  });

  test.each([1, 3])('stage 2 alone, STRW %i: IGNORED', (STRW) => {
    expect(isLegalStage2({}, { STRW })).toBe(true);
  });

  test.each([1, 3])('IDR0.Hyp 0, STRW %i: not looked at (IgnoreSTESTRW)', (STRW) => {
    expect(outcome(stream({ idr0: { Hyp: 0 } }, { Config: S1, STRW }))).toBe(0x8000n);
  });
});

describe('5.2, 5.5 S1STALLD', () => {
  test.each([
    [0, 0, 16, 0x8000n],
    [0, 1, 16, 0x8000n],
    [1, 0, 0, 0x8000n],
    [1, 1, 0, ILLEGAL],
    [2, 0, 16, 0x8000n],
    [2, 1, 16, ILLEGAL],
  ])('STALL_MODEL %i, S1STALLD %i', (STALL_MODEL, S1STALLD, STALL_MAX, to) => {
    const options = { idr0: { STALL_MODEL }, idr5: { STALL_MAX } };
    expect(outcome(stream(options, { Config: S1, S1STALLD }, { S: STALL_MODEL === 2 ? 1 : 0 }))).toBe(to);
  });
});

describe('5.2 S1CDMax', () => {
  test.each([
    [20, 20, true],
    [20, 21, false],
    [20, 31, false],
    [8, 8, true],
    [8, 9, false],
    [1, 1, true],
    [1, 2, false],
    [0, 0, true],
    [0, 1, true],
    [0, 31, true],
  ])('IDR1.SSIDSIZE %i, S1CDMax %i: legal %s', (SSIDSIZE, S1CDMax, legal) => {
    // With substreams, what has none bypasses stage 1 (S1DSS 1), so that no CD is read.
    const bench = stream({ idr1: { SSIDSIZE } }, { Config: S1, S1CDMax, S1DSS: 1 });
    const to = SSIDSIZE === 0 ? 0x8000n : S1CDMax === 0 ? 0x8000n : VA;
    expect(outcome(bench)).toBe(legal ? to : ILLEGAL);
  });
});

describe('5.2 S1Fmt', () => {
  test.each([
    [1, 4, 0, true],
    [1, 4, 1, true],
    [1, 4, 2, true],
    [1, 4, 3, true],
    [0, 4, 0, true],
    [0, 4, 1, false],
    [0, 4, 2, false],
    // Behaves as 0.
    [0, 4, 3, true],
    // Substreams are disabled: IGNORED.
    [0, 0, 1, true],
    [0, 0, 2, true],
  ])('IDR0.CD2L %i, S1CDMax %i, S1Fmt %i: legal %s', (CD2L, S1CDMax, S1Fmt, legal) => {
    const bench = stream({ idr0: { CD2L }, idr1: { SSIDSIZE: 20 } }, { Config: S1, S1CDMax, S1Fmt, S1DSS: 1 });
    expect(outcome(bench)).toBe(legal ? (S1CDMax === 0 ? 0x8000n : VA) : ILLEGAL);
  });

  test('IDR1.SSIDSIZE 0: IGNORED', () => {
    const options = { idr0: { CD2L: 0 }, idr1: { SSIDSIZE: 0 } };
    expect(outcome(stream(options, { Config: S1, S1CDMax: 4, S1Fmt: 1 }))).toBe(0x8000n);
  });
});

describe('5.2 S1ContextPtr, 3.4.3 (1)', () => {
  const sizes: [number, number][] = [
    [0, 32],
    [1, 36],
    [2, 40],
    [3, 42],
    [4, 44],
    [5, 48],
    [6, 52],
  ];
  test.each(sizes)('OAS %i: within %i bits', (OAS, bits) => {
    const of = (pointer: bigint) => outcome(stream({ idr5: { OAS } }, { Config: S1, S1ContextPtr: pointer }));
    // What is there is read, and nothing is there.
    expect(of((1n << BigInt(bits)) - 64n)).toBe(`event ${F_CD_FETCH}`);
    expect(of(1n << BigInt(bits))).toBe(ILLEGAL);
  });

  test('decision (3.4.3 (2)): an IPA beyond the IAS is C_BAD_STE', () => {
    const options = { idr5: { OAS: 5 } };
    expect(outcome(stream(options, { S1ContextPtr: 1n << 48n }))).toBe(ILLEGAL);
    expect(outcome(stream(options, { S1ContextPtr: (1n << 48n) - 64n }))).toBe(`event ${F_TRANSLATION}`);
  });
});

describe('5.2 EATS', () => {
  /** Config, S2S, NS1ATS, and the values of EATS that are ILLEGAL. */
  const cases: [number, number, number, number[]][] = [
    [BYPASS, 0, 0, []],
    [BYPASS, 1, 0, []],
    [S1, 0, 0, [2]],
    [S1, 1, 0, [2]],
    [S2, 0, 0, [2]],
    [S2, 1, 0, [1, 2]],
    [NESTED, 0, 0, []],
    [NESTED, 1, 0, [1, 2]],
    [NESTED, 0, 1, [2]],
    [NESTED, 1, 1, [1, 2]],
    [S1, 0, 1, [2]],
  ];
  test.each(cases)('Config %i, S2S %i, NS1ATS %i: ILLEGAL are %j', (Config, S2S, NS1ATS, illegal) => {
    const seen = [0, 1, 2, 3].filter(
      (EATS) => outcome(stream({ idr0: { ATS: 1, NS1ATS } }, { Config, S2S, EATS })) === ILLEGAL,
    );
    expect(seen).toEqual(illegal);
  });

  test.each([1, 2, 3])('IDR0.ATS 0: IGNORED, %i', (EATS) => {
    expect(outcome(stream({}, { Config: S1, EATS }))).toBe(0x8000n);
  });
});

describe('5.2 stage 2', () => {
  test('S2AA64 0 without VMSAv8-32 (IDR0.TTF 2)', () => {
    expect([isLegalStage2({}, { S2AA64: 1 }), isLegalStage2({}, { S2AA64: 0 })]).toEqual([true, false]);
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
  ])('IDR0.HTTU %i, S2HA %i, S2HD %i: legal %s', (HTTU, S2HA, S2HD, legal) => {
    expect(isLegalStage2({ idr0: { HTTU } }, { S2HA, S2HD })).toBe(legal);
  });

  // 39 bits by level 1 with 4 KiB, by level 2 with the others.
  test.each([
    [0, 1, 'GRAN4K'],
    [1, 1, 'GRAN64K'],
    [2, 1, 'GRAN16K'],
  ])('S2TG %i (S2SL0 %i) is legal with IDR5.%s', (S2TG, S2SL0, granule) => {
    const only = { GRAN4K: 0, GRAN16K: 0, GRAN64K: 0, [granule]: 1 };
    expect(isLegalStage2({ idr5: only }, { S2TG, S2SL0 })).toBe(true);
    expect(isLegalStage2({ idr5: { [granule]: 0 } }, { S2TG, S2SL0 })).toBe(false);
  });

  test('S2TG 3 is reserved', () => {
    for (const S2SL0 of [0, 1, 2, 3]) expect(isLegalStage2({}, { S2TG: 3, S2SL0 })).toBe(false);
  });

  test.each([
    [0, 0, true],
    [0, 1, true],
    [2, 0, true],
    [2, 1, false],
    [3, 0, false],
    [3, 1, true],
  ])('IDR0.TTENDIAN %i, S2ENDI %i: legal %s', (TTENDIAN, S2ENDI, legal) => {
    expect(isLegalStage2({ idr0: { TTENDIAN } }, { S2ENDI })).toBe(legal);
  });

  test.each([
    [{ idr0: { STALL_MODEL: 0 } }, 0, true],
    [{ idr0: { STALL_MODEL: 0 } }, 1, true],
    [TERMINATES, 0, true],
    [TERMINATES, 1, false],
    [{ idr0: { STALL_MODEL: 2 } }, 0, false],
    [{ idr0: { STALL_MODEL: 2 } }, 1, true],
  ])('5.5 %j, S2S %i: legal %s', (options, S2S, legal) => {
    expect(isLegalStage2(options, { S2S })).toBe(legal);
  });

  test.each([
    ['8 bits', 0, 0xff, true],
    ['8 bits', 0, 0x100, false],
    ['8 bits', 0, 0x8000, false],
    ['16 bits', 1, 0xffff, true],
  ])('S2VMID, %s (IDR0.VMID16 %i): %i is legal: %s', (_, VMID16, S2VMID, legal) => {
    expect(isLegalStage2({ idr0: { VMID16 } }, { S2VMID })).toBe(legal);
  });

  test.each([
    ['stage 1 of EL1, which is tagged with it', { Config: S1 }, {}, ILLEGAL],
    ['both stages', { Config: NESTED }, {}, ILLEGAL],
    ['both stages, STRW 2, which is IGNORED', { Config: NESTED, STRW: 2 }, {}, ILLEGAL],
    ['stage 1 of EL2', { Config: S1, STRW: 2 }, {}, 0x8000n],
    ['bypass', { Config: BYPASS }, {}, VA],
    ['stage 1 where there is no stage 2', { Config: S1 }, { S2P: 0 }, 0x8000n],
  ])('IDR0.VMID16 0, S2VMID 0x100: %s', (_, fields, idr0, to) => {
    expect(outcome(stream({ idr0: { VMID16: 0, ...idr0 } }, { S2VMID: 0x100, ...fields }))).toBe(to);
  });
});

describe('5.2 S2TTB', () => {
  /** Of the nothing that is there the walk says so. */
  const walk = (options: BenchOptions, fields: Stream): string | bigint => {
    const bench = new TableBench(options);
    bench.steOf(SID, { Config: S2, ...SECOND, ...fields });
    return outcome(bench);
  };

  test.each([
    [0, 32],
    [1, 36],
    [2, 40],
    [3, 42],
    [4, 44],
    [5, 48],
  ])('S2PS %i: within %i bits', (S2PS, bits) => {
    const end = 1n << BigInt(bits);
    const options = bits > 44 ? { idr5: { OAS: 5 } } : {};
    expect(walk(options, { S2PS, S2TTB: end - 0x1000n })).toBe(`event ${F_WALK_EABT}`);
    expect(walk(options, { S2PS, S2TTB: end })).toBe(ILLEGAL);
  });

  test.each([
    [2, 40],
    [3, 42],
    [4, 44],
  ])('OAS %i caps S2PS 5 to %i bits', (OAS, bits) => {
    // An IPA of 39 bits is within each of them.
    const end = 1n << BigInt(bits);
    expect(walk({ idr5: { OAS } }, { S2TTB: end - 0x1000n })).toBe(`event ${F_WALK_EABT}`);
    expect(walk({ idr5: { OAS } }, { S2TTB: end })).toBe(ILLEGAL);
  });

  test.each([
    [0, 1, 48],
    [2, 1, 48],
    [1, 1, 52],
  ])('OAS 6, S2PS 6, S2TG %i (S2SL0 %i): within %i bits', (S2TG, S2SL0, bits) => {
    const wide = { idr5: { OAS: 6 } };
    const end = 1n << BigInt(bits);
    expect(walk(wide, { S2PS: 6, S2TG, S2SL0, S2TTB: end - 0x10000n })).toBe(`event ${F_WALK_EABT}`);
    if (bits < 52) expect(walk(wide, { S2PS: 6, S2TG, S2SL0, S2TTB: end })).toBe(ILLEGAL);
    else expect(walk(wide, { S2PS: 5, S2TG, S2SL0, S2TTB: 1n << 48n })).toBe(ILLEGAL);
  });
});

test('7.3.22 C_BAD_STE goes before C_BAD_SUBSTREAMID and F_STREAM_DISABLED', () => {
  expect(outcome(stream({ idr1: { SSIDSIZE: 4 } }, { Config: S1, S1CDMax: 5 }), 0x40)).toBe(ILLEGAL);
  expect(outcome(stream({ idr1: { SSIDSIZE: 4 } }, { Config: S1, S1CDMax: 5, S1DSS: 0 }))).toBe(ILLEGAL);
});

describe('what this model has not', () => {
  test.todo('5.2 S2DS, S2SL0_2: 52 bits with 4 and 16 KiB (IDR5.DS)');
  test.todo('5.2 S2AA64 0 as VMSAv8-32 LPAE (IDR0.TTF[0]) and as VMSAv9-128 (IDR5.D128), S2SKL');
  test.todo('5.2 S2HAFT without S2HA (IDR0.HTTU 3)');
  test.todo('5.2 S2PIE, S2POE, S2POI (IDR3.S2PI, S2PO)');
  test.todo('5.2 EATS 3 of a StreamWorld other than EL1 (IDR3.DPT)');
  test.todo('5.2 VMSPtr beyond the OAS (IDR3.MPAM)');
});
