/** SMMUv3 3.9.1.2, 3.9.1.3, 13.6.4, 13.6.5, 13.7: what each translation request is answered, what becomes of translated transactions, and what is recorded. */
import { describe, expect, test } from 'vitest';
import { REQUEST, STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, SECOND, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';
import { INSTRUCTION, PRIVILEGED } from './unit.ts';

const OPTIONS: BenchOptions = { idr0: { ATS: 1, ATSRECERR: 1 } };
const [SUCCESS, UR, CA] = [0, 1, 2];
const [FULL, SPLIT, DPT] = [1, 2, 3];
const [SMMUEN, ATSCHK] = [1, 0x10];
const [RECINVSID, REC_CFG_ATS] = [2n, 8n];
const { translation, translationNoWrite, translated, translatedWrite } = REQUEST;
const SID = 1;
const VA = 0x40_1000n;
const TO = 0x20_0000n;
const NOWHERE = 1n << 46n;
const AF = 1n << 10n;

interface Answer {
  readonly status: number;
  /** `rwxp` with dashes. */
  readonly rights: string;
  readonly events: (number | bigint)[];
}

/** Asks for a translation. */
function ask(bench: TableBench, { sid = SID, address = VA, kind = translation as number, ssid = -1 } = {}): Answer {
  bench.ask(sid, address, kind, ssid);
  const { status, read, write, execute, privileged } = bench.unit.completion;
  const rights = `${read ? 'r' : '-'}${write ? 'w' : '-'}${execute ? 'x' : '-'}${privileged ? 'p' : '-'}`;
  return { status, rights, events: bench.takeEvents().map(({ ID }) => ID) };
}

function benchOf(cr2: bigint, options: BenchOptions = OPTIONS): TableBench {
  const bench = new TableBench(options);
  bench.enable(0);
  bench.write(0x2c, 4, cr2);
  bench.enable(SMMUEN);
  return bench;
}

const nested = { Config: STE_CONFIG.s1s2, ...SECOND, S2TTB: 0x30_0000n };

describe('3.9.1.2 a stream, or an SMMU, that permits none', () => {
  /** Configuration; CR0; status; F_BAD_ATS_TREQ or nothing. */
  const cases: [string, (bench: TableBench) => void, number, Answer['events']][] = [
    ['SMMUEN 0', (bench) => bench.stage1(SID, {}, { EATS: FULL }), 0, [5]],
    ['Config 0', (bench) => bench.steOf(SID, { Config: STE_CONFIG.abort, EATS: FULL }), SMMUEN, []],
    ['Config 2', (bench) => bench.steOf(SID, { Config: 2, EATS: FULL }), SMMUEN, []],
    ['Config 4', (bench) => bench.steOf(SID, { Config: STE_CONFIG.bypass, EATS: FULL }), SMMUEN, [5]],
    ['EATS 0', (bench) => bench.stage1(SID), SMMUEN, [5]],
    ['EATS 0 with ATSCHK', (bench) => bench.stage1(SID), SMMUEN | ATSCHK, [5]],
    ['EATS 2 without ATSCHK', (bench) => bench.stage1(SID, {}, { ...nested, EATS: SPLIT }), SMMUEN, [5]],
    ['EATS 3 without IDR3.DPT', (bench) => bench.stage1(SID, {}, { EATS: DPT }), SMMUEN, [5]],
    ['EATS 3 with ATSCHK', (bench) => bench.stage1(SID, {}, { EATS: DPT }), SMMUEN | ATSCHK, [5]],
  ];
  test.each(cases)('%s: UR', (_, configure, cr0, events) => {
    for (const cr2 of [RECINVSID, RECINVSID | REC_CFG_ATS]) {
      const bench = benchOf(cr2);
      configure(bench);
      bench.enable(cr0);
      expect(ask(bench)).toEqual({ status: UR, rights: '----', events });
    }
  });

  test('IDR0.ATS 0: nothing', () => {
    const bench = new TableBench();
    bench.stage1(SID, {}, { EATS: FULL });
    expect(ask(bench)).toMatchObject({ status: UR, events: [] });
  });
});

/** What an ordinary transaction would lead to; the request that meets it. */
interface Cause {
  readonly name: string;
  readonly event: number;
  readonly configure: (bench: TableBench) => void;
  readonly sid?: number;
  readonly ssid?: number;
}

const ats = { EATS: FULL };
const ERRORS: Cause[] = [
  { name: 'C_BAD_STREAMID', event: 2, configure: () => {}, sid: 99 },
  { name: 'F_STE_FETCH', event: 3, configure: (bench) => bench.streamTable(NOWHERE, 4) },
  { name: 'C_BAD_STE', event: 4, configure: (bench) => bench.steOf(SID, { V: 0 }) },
  { name: 'C_BAD_SUBSTREAMID', event: 8, configure: (bench) => bench.stage1(SID, {}, ats), ssid: 1 },
  { name: 'F_STREAM_DISABLED', event: 6, configure: (bench) => bench.stage1(SID, {}, { ...ats, S1CDMax: 2 }) },
  { name: 'F_CD_FETCH', event: 9, configure: (bench) => bench.stage1(SID, {}, { ...ats, S1ContextPtr: NOWHERE }) },
  { name: 'C_BAD_CD', event: 10, configure: (bench) => bench.stage1(SID, { V: 0 }, ats) },
  { name: 'F_WALK_EABT', event: 11, configure: (bench) => bench.stage1(SID, { TTB0: NOWHERE }, ats) },
];

describe('3.9.1.2 errors of the configuration: CA; events with CR2.REC_CFG_ATS alone', () => {
  test.each(ERRORS)('$name', ({ event, configure, sid = SID, ssid = -1 }) => {
    for (const [cr2, events] of [
      [RECINVSID, []],
      [RECINVSID | REC_CFG_ATS, [event]],
      // Of an invalid StreamID RECINVSID is wanted as well.
      [REC_CFG_ATS, event === 2 ? [] : [event]],
    ] as const) {
      const bench = benchOf(cr2);
      bench.enable(0);
      configure(bench);
      bench.enable(SMMUEN);
      expect(ask(bench, { sid, ssid })).toEqual({ status: CA, rights: '----', events });
    }
  });
});

describe('3.9.1.2 faults of translation: success without access, and never an event', () => {
  const first = (low: bigint) => (bench: TableBench) => {
    const table = bench.stage1(SID, { IPS: 4, S: 1 }, ats);
    bench.poke(bench.place(table, VA), low);
  };
  const second = (low: bigint) => (bench: TableBench) => {
    const { table, under } = bench.nested(SID, {}, { ...ats, S2PS: 4 });
    bench.map(table, VA, 0x4000_0000n);
    bench.poke(bench.place(under, 0x4000_0000n), low);
  };
  const cases: [string, (bench: TableBench) => void][] = [
    ['F_TRANSLATION', first(0n)],
    ['F_TRANSLATION of the range', (bench) => void bench.stage1(SID, { T0SZ: 44 }, ats)],
    ['F_ADDR_SIZE', first((1n << 44n) | LEAF.both | 3n)],
    ['F_ACCESS', first((LEAF.both & ~AF) | 3n)],
    ['F_PERMISSION of everything', first((LEAF.both & ~0x40n) | 3n)],
    ['F_TRANSLATION of stage 2', second(0n)],
    ['F_ADDR_SIZE of stage 2', second((1n << 44n) | LEAF.second | 3n)],
    ['F_ACCESS of stage 2', second((LEAF.second & ~AF) | 3n)],
    ['F_PERMISSION of stage 2', second((LEAF.second & ~0xc0n) | 3n)],
    ['stage 2 of the CD', (bench) => void bench.nested(SID, {}, { ...ats, S1ContextPtr: 0x4000_0000n })],
    ['stage 2 of a table', (bench) => void bench.nested(SID, { TTB0: 0x4000_0000n }, ats)],
    [
      'F_PERMISSION of stage 2 of a table',
      (bench) => {
        const { under } = bench.nested(SID, { TTB0: 0x4000_0000n }, ats);
        bench.map(under, 0x4000_0000n, 0x1000n, LEAF.second & ~0xc0n);
      },
    ],
  ];
  test.each(cases)('%s', (_, configure) => {
    const bench = benchOf(RECINVSID | REC_CFG_ATS);
    configure(bench);
    expect(ask(bench)).toEqual({ status: SUCCESS, rights: '----', events: [] });
  });
});

describe('3.9.1.3 translated transactions', () => {
  test.each([
    ['SMMUEN 0', (bench: TableBench) => bench.stage1(SID, {}, ats), 0, 7],
    ['SMMUEN 0 with ATSCHK', (bench: TableBench) => bench.stage1(SID, {}, ats), ATSCHK, 7],
    ['EATS 0', (bench: TableBench) => bench.stage1(SID), SMMUEN, null],
    ['EATS 0 with ATSCHK', (bench: TableBench) => bench.stage1(SID), SMMUEN | ATSCHK, 7],
    ['EATS 1 with ATSCHK', (bench: TableBench) => bench.stage1(SID, {}, ats), SMMUEN | ATSCHK, null],
    ['EATS 3 with ATSCHK', (bench: TableBench) => bench.stage1(SID, {}, { EATS: DPT }), SMMUEN | ATSCHK, 7],
    ['Config 4', (bench: TableBench) => bench.steOf(SID, { Config: 4, ...ats }), SMMUEN, null],
    ['Config 4 with ATSCHK', (bench: TableBench) => bench.steOf(SID, { Config: 4, ...ats }), SMMUEN | ATSCHK, 7],
    ['Config 0', (bench: TableBench) => bench.steOf(SID, { Config: 0, ...ats }), SMMUEN, null],
    ['Config 0 with ATSCHK', (bench: TableBench) => bench.steOf(SID, { Config: 0, ...ats }), SMMUEN | ATSCHK, 0],
    ['V 0', (bench: TableBench) => bench.steOf(SID, { V: 0 }), SMMUEN, null],
  ])('%s', (_, configure, cr0, event) => {
    const bench = benchOf(RECINVSID | REC_CFG_ATS);
    configure(bench);
    bench.enable(cr0);
    for (const kind of [translated, translatedWrite]) {
      expect(bench.ask(SID, 0x5000n, kind)).toEqual(event === null ? { address: 0x5000n } : { event });
      expect(bench.takeEvents().map(({ ID }) => ID)).toEqual(event === null || event === 0 ? [] : [event]);
    }
  });

  // What a translated transaction meets: it has no SubstreamID, and no CD is read for it.
  test.each(ERRORS.filter(({ event }) => event <= 6))(
    'ATSCHK, $name: aborted; an event with CR2.REC_CFG_ATS, whatever RECINVSID says',
    (cause) => {
      for (const [cr2, recorded] of [
        [RECINVSID, false],
        [RECINVSID | REC_CFG_ATS, true],
        [REC_CFG_ATS, true],
        [0n, false],
      ] as const) {
        const bench = benchOf(cr2);
        bench.enable(0);
        cause.configure(bench);
        bench.enable(SMMUEN | ATSCHK);
        expect(bench.ask(cause.sid ?? SID, 0x5000n, translated)).toEqual({ event: cause.event });
        expect(bench.takeEvents().map(({ ID }) => ID)).toEqual(recorded ? [cause.event] : []);
      }
    },
  );

  test.each([
    ['a page', 0x5000n, { address: 0x9000n }, []],
    ['what is not mapped', 0x6000n, { event: 16 }, [16]],
    ['beyond the IAS', 1n << 48n, { event: 17 }, [17]],
  ])('split-stage: %s goes through stage 2 as any IPA', (_, address, answer, events) => {
    const bench = benchOf(RECINVSID);
    const { under } = bench.nested(SID, {}, { EATS: SPLIT });
    bench.poke(bench.place(under, 0n, { level: 2 }), 0n);
    bench.map(under, 0x5000n, 0x9000n, LEAF.second);
    // The structures of this bench are at the beginning of memory, too: what is asked reads none of them.
    bench.enable(SMMUEN | ATSCHK);
    expect(bench.ask(SID, address, translated)).toEqual(answer);
    expect(bench.takeEvents().map(({ ID }) => ID)).toEqual(events);
  });
});

describe('13.7 rights that are granted', () => {
  const ap = (value: number) => (LEAF.both & ~0xc0n) | (BigInt(value) << 6n);
  const [UXN, PXN] = [1n << 54n, 1n << 53n];
  const [EXE, PRIV] = [INSTRUCTION, PRIVILEGED];
  /** Page; request; rights of the completion. 0: with the intention to write, not to execute, unprivileged. */
  const cases: [string, bigint, number, string][] = [
    ['read-only, NW', ap(3), translationNoWrite, 'r---'],
    ['read-only', ap(3), translation, 'r---'],
    ['read/write', ap(1), translation, 'rw--'],
    ['read/write for the privileged', ap(0), translation, '----'],
    ['read/write for the privileged, privileged', ap(0), translation | PRIV, 'rw-p'],
    ['read-only, privileged', ap(3), translation | PRIV, 'r--p'],
    ['read/write, to execute', ap(1), translation | EXE, 'rwx-'],
    ['read/write and UXN, to execute', ap(1) | UXN, translation | EXE, 'rw--'],
    ['read/write and UXN, NW, not to execute', ap(1) | UXN, translation, 'rw--'],
    ['to execute alone, to execute', ap(0), translation | EXE, '----'],
    ['read/write, to execute, privileged: what the others may write', ap(1), translation | EXE | PRIV, 'rw-p'],
    ['read-only, to execute, privileged', ap(3), translation | EXE | PRIV, 'r-xp'],
    ['read-only and PXN, to execute, privileged', ap(3) | PXN, translation | EXE | PRIV, 'r--p'],
    ['read-only and UXN, to execute', ap(3) | UXN, translation | EXE, 'r---'],
  ];
  test.each(cases)('%s', (_, low, kind, rights) => {
    const bench = benchOf(RECINVSID);
    const table = bench.stage1(SID, {}, { ...ats, S1CDMax: 1, S1DSS: 2, S1ContextPtr: 0x1_2000n });
    bench.cd(0x1_2040n, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: table });
    bench.map(table, VA, TO, low);
    expect(ask(bench, { kind, ssid: 1 })).toEqual({ status: SUCCESS, rights, events: [] });
  });

  test('without a PASID neither privilege nor execution is asked for, or granted', () => {
    const bench = benchOf(RECINVSID);
    bench.map(bench.stage1(SID, {}, ats), VA, TO);
    expect(ask(bench, { kind: translation | EXE | PRIV })).toEqual({ status: SUCCESS, rights: 'rw--', events: [] });
  });

  /** PRIVCFG, INSTCFG, page, request: TR.Priv stays in the completion; INSTCFG 3: reading is executing. */
  const overrides: [number, number, bigint, number, string][] = [
    [2, 0, ap(0), translation | PRIV, '---p'],
    [2, 0, ap(3), translation | PRIV, 'r--p'],
    [3, 0, ap(0), translation, 'rw--'],
    [3, 0, ap(2), translation, 'r---'],
    [0, 3, ap(3) | UXN, translation, '----'],
    [0, 3, ap(3), translation, 'r---'],
    [0, 3, ap(3), translation | EXE, 'r-x-'],
    [0, 3, ap(0), translation | EXE, 'r-x-'],
    [0, 3, ap(0), translation, 'r---'],
    [0, 3, ap(1) | UXN, translation | EXE, '-w--'],
    [0, 2, ap(3) | UXN, translation | EXE, 'r-x-'],
    [0, 1, ap(3) | UXN, translation | EXE, 'r---'],
    [1, 0, ap(0), translation | PRIV, 'rw-p'],
    [1, 0, ap(0), translation, '----'],
    [0, 2, ap(0), translation | EXE, '----'],
  ];
  test.each(overrides)('13.7.1 PRIVCFG %i, INSTCFG %i, page %s, kind %i: %s', (PRIVCFG, INSTCFG, low, kind, rights) => {
    const bench = benchOf(RECINVSID, { ...OPTIONS, idr1: { ATTR_PERMS_OVR: 1 } });
    const stream = { ...ats, S1CDMax: 1, S1DSS: 2, S1ContextPtr: 0x1_2000n, PRIVCFG, INSTCFG };
    const table = bench.stage1(SID, {}, stream);
    bench.cd(0x1_2040n, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: table });
    bench.map(table, VA, TO, low);
    expect(ask(bench, { kind, ssid: 1 })).toEqual({ status: SUCCESS, rights, events: [] });
  });
});

describe('3.9.1.2 where stage 1 grants a request nothing, the IPA is not translated, and faults of stage 2 are not seen', () => {
  const AP = { privileged: LEAF.both & ~0x40n, both: LEAF.both, readOnly: LEAF.both | 0x80n };
  const UXN = 1n << 54n;
  /** PRIVCFG, INSTCFG; page; request; status, which is CA where stage 2 is asked. */
  const cases: [string, number, number, bigint, number, number][] = [
    ['for the privileged', 0, 0, AP.privileged | UXN, translation, SUCCESS],
    ['for the privileged, who asks', 0, 0, AP.privileged | UXN, translation | PRIVILEGED, CA],
    ['for the privileged, as which it is taken', 3, 0, AP.privileged | UXN, translation, CA],
    ['for the privileged, as which it is not taken', 2, 0, AP.privileged | UXN, translation | PRIVILEGED, SUCCESS],
    ['to execute alone', 0, 0, AP.privileged, translation, SUCCESS],
    ['to execute alone, asked for', 0, 0, AP.privileged, translation | INSTRUCTION, SUCCESS],
    ['to execute alone, reads being data', 0, 2, AP.privileged, translation | INSTRUCTION, SUCCESS],
    ['to execute alone, reads being that', 0, 3, AP.privileged, translation, CA],
    ['to read, reads being executing', 0, 3, AP.readOnly | UXN, translation, SUCCESS],
    ['to write, reads being executing', 0, 3, AP.both | UXN, translation, CA],
    ['to read', 0, 0, AP.readOnly | UXN, translation, CA],
  ];
  test.each(cases)('%s', (_, PRIVCFG, INSTCFG, low, kind, status) => {
    const bench = benchOf(RECINVSID, { ...OPTIONS, idr1: { ATTR_PERMS_OVR: 1 } });
    const stream = { ...ats, S1CDMax: 1, S1DSS: 2, S1ContextPtr: 0x1_2000n, PRIVCFG, INSTCFG };
    const { table, under } = bench.nested(SID, {}, stream);
    bench.cd(0x1_2040n, { T0SZ: 25, EPD1: 1, IPS: 5, ASID: 1, TTB0: table });
    bench.map(table, VA, 0x4000_0000n, low);
    bench.poke(bench.place(under, 0x4000_0000n, { level: 2 }), NOWHERE | 3n);
    const rights = (kind & PRIVILEGED) !== 0 && status === SUCCESS ? '---p' : '----';
    expect(ask(bench, { kind, ssid: 1 })).toEqual({ status, rights, events: [] });
  });
});

describe('13.6.4, 13.6.5 stage 1 is skipped (S1DSS 1)', () => {
  const to = (bench: TableBench): bigint => {
    const { hi, lo } = bench.unit.completion;
    return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  };
  const dss = { S1CDMax: 2, S1DSS: 1 };

  test('stage 1 alone: everything, where it is', () => {
    const bench = benchOf(RECINVSID);
    bench.stage1(SID, {}, { ...ats, ...dss });
    expect([ask(bench), to(bench)]).toEqual([{ status: SUCCESS, rights: 'rw--', events: [] }, VA]);
  });

  test.each([
    [FULL, SMMUEN, 0x9000n],
    [SPLIT, SMMUEN | ATSCHK, 0x4000_0000n],
  ])('both, EATS %i: rights of stage 2; the address of it, or the IPA', (EATS, cr0, address) => {
    const bench = benchOf(RECINVSID);
    const { under } = bench.nested(SID, {}, { EATS, ...dss });
    bench.map(under, 0x4000_0000n, 0x9000n, LEAF.second & ~0x80n);
    bench.enable(cr0);
    expect([ask(bench, { address: 0x4000_0000n }), to(bench)]).toEqual([
      { status: SUCCESS, rights: 'r---', events: [] },
      address,
    ]);
  });

  test('beyond the IAS: success without access', () => {
    const bench = benchOf(RECINVSID | REC_CFG_ATS);
    bench.stage1(SID, {}, { ...ats, ...dss });
    expect(ask(bench, { address: 1n << 48n })).toEqual({ status: SUCCESS, rights: '----', events: [] });
  });

  test('split-stage: the IPA of stage 1, rights of both', () => {
    const bench = benchOf(RECINVSID);
    const { table, under } = bench.nested(SID, {}, { EATS: SPLIT });
    bench.map(table, VA, 0x4000_0000n);
    bench.map(under, 0x4000_0000n, 0x9000n, LEAF.second & ~0x80n);
    bench.enable(SMMUEN | ATSCHK);
    expect([ask(bench), to(bench)]).toEqual([{ status: SUCCESS, rights: 'r---', events: [] }, 0x4000_0000n]);
  });
});
