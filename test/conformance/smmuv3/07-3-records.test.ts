/** SMMUv3 7.3.2 – 7.3.20: each event record by what leads to it, field by field. What a record does not say (UNKNOWN) is left out. */
import { describe, expect, test } from 'vitest';
import { REQUEST, STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { EventRecord } from './unit.ts';
import { ATOMIC, INSTRUCTION, MEMORY, PRIVILEGED, READ, WRITE } from './unit.ts';

const E = {
  ...{ C_BAD_STREAMID: 2, F_STE_FETCH: 3, C_BAD_STE: 4, F_BAD_ATS_TREQ: 5, F_STREAM_DISABLED: 6 },
  ...{ F_TRANSL_FORBIDDEN: 7, C_BAD_SUBSTREAMID: 8, F_CD_FETCH: 9, C_BAD_CD: 10, F_WALK_EABT: 11 },
  ...{ F_TRANSLATION: 16, F_ADDR_SIZE: 17, F_ACCESS: 18, F_PERMISSION: 19 },
} as const;
const [OF_CD, OF_TT, IN] = [0, 1, 2];
const SID = 3;
const VA = 0x40_1238n;
const PAGE_OF_VA = VA & ~0xfffn;
const NOWHERE = 1n << 43n;
const FAR = 0x4000_0000n;
const AF = 1n << 10n;
/** CDs of SubstreamIDs 0 to 3. */
const CDS = MEMORY + 0x1_2000n;

/** What of a record is defined: SubstreamID with SSV, STAG with Stall, IPA with S2, TTRnW with CLASS TT. */
function defined(record: EventRecord): EventRecord {
  const { Reason: _, IMPDEF: __, ...rest } = record;
  const drop = (name: string, when: boolean) => {
    if (when) delete (rest as Record<string, unknown>)[name];
  };
  drop('SubstreamID', rest.SSV === 0);
  drop('STAG', rest.Stall === 0);
  drop('IPA', rest.S2 === 0);
  drop('TTRnW', rest.CLASS !== OF_TT);
  return rest;
}

/** Asks for what leads to one event. @returns the record */
function recordOf(bench: TableBench, address = VA, kind: number = READ, ssid = -1): EventRecord {
  const answer = bench.ask(SID, address, kind, ssid) as { event: number };
  const events = bench.takeEvents();
  expect(events.length).toBe(1);
  expect(events[0].ID).toBe(answer.event);
  return defined(events[0]);
}

const who = { SSV: 0, StreamID: SID };
/** RnW, InD, PnU of a kind: a write is data (13.1.2). */
const KINDS: [name: string, kind: number, access: { RnW: number; InD: number; PnU: number }][] = [
  ['read', READ, { RnW: 1, InD: 0, PnU: 0 }],
  ['write', WRITE, { RnW: 0, InD: 0, PnU: 0 }],
  ['atomic', ATOMIC, { RnW: 0, InD: 0, PnU: 0 }],
  ['instruction', READ | INSTRUCTION, { RnW: 1, InD: 1, PnU: 0 }],
  ['write, marked as an instruction', WRITE | INSTRUCTION, { RnW: 0, InD: 0, PnU: 0 }],
  ['privileged read', READ | PRIVILEGED, { RnW: 1, InD: 0, PnU: 1 }],
  ['privileged write', WRITE | PRIVILEGED, { RnW: 0, InD: 0, PnU: 1 }],
  ['privileged instruction', READ | INSTRUCTION | PRIVILEGED, { RnW: 1, InD: 1, PnU: 1 }],
];
const READS = KINDS[0][2];

describe('7.3.3 – 7.3.5, 7.3.7, 7.3.9 – 7.3.11: of the configuration', () => {
  test.each([
    [-1, { SSV: 0 }],
    [0, { SSV: 1, SubstreamID: 0 }],
    [5, { SSV: 1, SubstreamID: 5 }],
    [0xfffff, { SSV: 1, SubstreamID: 0xfffff }],
  ])('SubstreamID %i: SSV and SubstreamID, where a record has them', (ssid, substream) => {
    const invalid = new TableBench();
    expect(recordOf(invalid, VA, READ, ssid)).toEqual({ ID: E.C_BAD_STE, ...substream, StreamID: SID });
    const far = new TableBench();
    expect(far.ask(0xffff_fffe, VA, READ, ssid)).toEqual({ event: E.C_BAD_STREAMID });
    expect(far.takeEvents().map(defined)).toEqual([{ ID: E.C_BAD_STREAMID, ...substream, StreamID: 0xffff_fffe }]);
    const lost = new TableBench();
    lost.enable(0);
    lost.streamTable(NOWHERE, 4);
    lost.enable(1);
    expect(recordOf(lost, VA, READ, ssid)).toEqual({
      ...{ ID: E.F_STE_FETCH, ...substream, StreamID: SID, GPCF: 0 },
      FetchAddr: NOWHERE + 64n * BigInt(SID),
    });
    if (ssid > 5) return;
    const cds = { Config: STE_CONFIG.s1, S1CDMax: 3, S1DSS: 2, S1ContextPtr: NOWHERE };
    if (ssid === 0) return;
    const unread = new TableBench();
    unread.steOf(SID, cds);
    expect(recordOf(unread, VA, READ, ssid)).toEqual({
      ...{ ID: E.F_CD_FETCH, ...substream, StreamID: SID, GPCF: 0 },
      FetchAddr: NOWHERE + 64n * BigInt(Math.max(ssid, 0)),
    });
    const bad = new TableBench();
    bad.steOf(SID, { ...cds, S1ContextPtr: CDS });
    expect(recordOf(bad, VA, READ, ssid)).toEqual({ ID: E.C_BAD_CD, ...substream, StreamID: SID });
  });

  test('7.3.7 F_STREAM_DISABLED has a StreamID alone', () => {
    const bench = new TableBench();
    bench.stage1(SID, {}, { S1CDMax: 2, S1DSS: 0 });
    expect(recordOf(bench)).toEqual({ ID: E.F_STREAM_DISABLED, StreamID: SID });
  });

  test.each([0, 4, 0xfffff])('7.3.9 C_BAD_SUBSTREAMID has SubstreamID %i, and no SSV', (ssid) => {
    const bench = new TableBench();
    bench.stage1(SID);
    expect(recordOf(bench, VA, READ, ssid)).toEqual({ ID: E.C_BAD_SUBSTREAMID, SubstreamID: ssid, StreamID: SID });
  });

  test('7.3.10 both stages: FetchAddr is where stage 2 has put the CD', () => {
    const bench = new TableBench();
    const { under } = bench.nested(SID, {}, { S1ContextPtr: FAR + 0x40n });
    bench.map(under, FAR, NOWHERE, LEAF.second);
    expect(recordOf(bench)).toEqual({ ID: E.F_CD_FETCH, ...who, GPCF: 0, FetchAddr: NOWHERE + 0x40n });
  });

  test('7.3.10 of an L1CD', () => {
    const bench = new TableBench();
    bench.steOf(SID, { Config: STE_CONFIG.s1, S1CDMax: 12, S1Fmt: 1, S1ContextPtr: NOWHERE });
    expect(recordOf(bench, VA, READ, 130)).toEqual({
      ...{ ID: E.F_CD_FETCH, SSV: 1, SubstreamID: 130, StreamID: SID, GPCF: 0 },
      FetchAddr: NOWHERE + 16n,
    });
  });
});

describe('7.3.6, 7.3.8: of ATS', () => {
  const ats = { idr0: { ATS: 1 } };
  test.each([
    ['with the right to write', REQUEST.translation, -1, { R: 1, W: 1, X: 0, Priv: 0 }],
    ['NW', REQUEST.translationNoWrite, -1, { R: 1, W: 0, X: 0, Priv: 0 }],
    ['with a PASID', REQUEST.translation, 1, { R: 1, W: 1, X: 0, Priv: 0 }],
    ['with a PASID, privileged', REQUEST.translation | PRIVILEGED, 1, { R: 1, W: 1, X: 0, Priv: 1 }],
    ['with a PASID, NW, to execute', REQUEST.translationNoWrite | INSTRUCTION, 1, { R: 1, W: 0, X: 1, Priv: 0 }],
  ])('F_BAD_ATS_TREQ: %s', (_, kind, ssid, rights) => {
    const bench = new TableBench(ats);
    bench.stage1(SID);
    bench.ask(SID, VA, kind, ssid);
    const substream = ssid < 0 ? { SSV: 0 } : { SSV: 1, SubstreamID: ssid };
    expect(bench.takeEvents().map(defined)).toMatchObject([
      { ID: E.F_BAD_ATS_TREQ, StreamID: SID, ...substream, ...rights, InputAddr: PAGE_OF_VA },
    ]);
  });

  test.each([
    ['read', REQUEST.translated, 1],
    ['write', REQUEST.translatedWrite, 0],
    ['atomic', REQUEST.translatedAtomic, 0],
  ])('F_TRANSL_FORBIDDEN: a %s', (_, kind, RnW) => {
    const bench = new TableBench(ats);
    bench.stage1(SID);
    const record = { ID: E.F_TRANSL_FORBIDDEN, StreamID: SID, RnW, InputAddr: VA };
    bench.enable(1 | 0x10);
    expect(recordOf(bench, VA, kind)).toEqual(record);
    // So it is while SMMUEN is 0.
    bench.enable(0);
    expect(recordOf(bench, VA, kind)).toEqual(record);
  });
});

describe('7.3.12 F_WALK_EABT', () => {
  const record = { ID: E.F_WALK_EABT, ...who, GPCF: 0, NSIPA: 0, InputAddr: VA };

  test.each(KINDS)('stage 1, a %s: CLASS TT, S2 0, FetchAddr the descriptor’s', (_, kind, access) => {
    const bench = new TableBench();
    bench.stage1(SID, { TTB0: NOWHERE });
    expect(recordOf(bench, VA, kind)).toEqual({ ...record, ...access, S2: 0, CLASS: OF_TT, FetchAddr: NOWHERE });
  });

  test.each([
    [1, 8n * 0n],
    [2, 8n * 2n],
    [3, 8n * 1n],
  ])('stage 1, level %i', (level, offset) => {
    const bench = new TableBench();
    const table = bench.stage1(SID, level === 1 ? { TTB0: NOWHERE } : {});
    if (level > 1) bench.poke(bench.place(table, VA, { level: level - 1 }), NOWHERE | 3n);
    expect(recordOf(bench)).toEqual({ ...record, ...READS, S2: 0, CLASS: OF_TT, FetchAddr: NOWHERE + offset });
  });

  test.each(KINDS)('stage 2, a %s: CLASS IN', (_, kind, access) => {
    const bench = new TableBench();
    bench.stage2(SID, { S2TTB: NOWHERE });
    expect(recordOf(bench, VA, kind)).toEqual({ ...record, ...access, S2: 1, CLASS: IN, FetchAddr: NOWHERE });
  });

  test('both stages: of stage 2 while the CD is fetched, a table, the page; of stage 1', () => {
    const lost = (bench: TableBench, under: bigint) => bench.poke(bench.place(under, FAR, { level: 2 }), NOWHERE | 3n);
    const cd = new TableBench();
    lost(cd, cd.nested(SID, {}, { S1ContextPtr: FAR }).under);
    expect(recordOf(cd)).toEqual({ ...record, ...READS, S2: 1, CLASS: OF_CD, FetchAddr: NOWHERE });
    const tt = new TableBench();
    lost(tt, tt.nested(SID, { TTB0: FAR }).under);
    expect(recordOf(tt)).toEqual({ ...record, ...READS, S2: 1, CLASS: OF_TT, FetchAddr: NOWHERE });
    const page = new TableBench();
    const { table, under } = page.nested(SID);
    page.map(table, VA, FAR);
    lost(page, under);
    expect(recordOf(page)).toEqual({ ...record, ...READS, S2: 1, CLASS: IN, FetchAddr: NOWHERE });
    // Stage 2 has given an address for stage 1's descriptor, where nothing is.
    const first = new TableBench();
    first.map(first.nested(SID, { TTB0: FAR }).under, FAR, NOWHERE, LEAF.second);
    expect(recordOf(first)).toEqual({ ...record, ...READS, S2: 0, CLASS: OF_TT, FetchAddr: NOWHERE });
  });
});

/** Bits of a page's descriptor that lead to each of the four; S2AP without writing and execution needs a kind of its own. */
const FAULTS: [name: keyof typeof E, first: bigint, second: bigint][] = [
  ['F_TRANSLATION', 0n, 0n],
  ['F_ADDR_SIZE', (1n << 44n) | LEAF.both | 3n, (1n << 44n) | LEAF.second | 3n],
  ['F_ACCESS', (LEAF.both & ~AF) | 3n, (LEAF.second & ~AF) | 3n],
  ['F_PERMISSION', (LEAF.both & ~0x40n) | (3n << 53n) | 0x80n | 3n, (LEAF.second & ~0xc0n) | (2n << 53n) | 3n],
];

describe('7.3.13 – 7.3.16: of translation', () => {
  const common = { ...who, NSIPA: 0, Stall: 0, InputAddr: VA };
  const cases = FAULTS.flatMap(([name, first, second]) =>
    KINDS.map(([what, kind, access]) => ({ name, what, first, second, kind, access })),
  );

  test.each(cases)('stage 1, $name, $what', ({ name, first, kind, access }) => {
    // Of the last fault privileged reads are allowed: everything is read-only for the privileged.
    if (name === 'F_PERMISSION' && kind === (READ | PRIVILEGED)) return;
    const bench = new TableBench();
    const table = bench.stage1(SID, { IPS: 4 });
    bench.poke(bench.place(table, VA), first);
    expect(recordOf(bench, VA, kind)).toEqual({ ID: E[name], ...common, ...access, S2: 0, CLASS: IN });
  });

  test.each(cases)('stage 2 alone, $name, $what: IPA is the address’s page', ({ name, second, kind, access }) => {
    const bench = new TableBench();
    const table = bench.stage2(SID, { S2PS: 4 });
    bench.poke(bench.place(table, VA), second);
    expect(recordOf(bench, VA, kind)).toEqual({
      ...{ ID: E[name], ...common, ...access, S2: 1, CLASS: IN },
      IPA: PAGE_OF_VA,
    });
  });

  test.each(FAULTS)('both stages, %s of stage 2: of the page, a table, the CD, with their IPAs', (name, _, second) => {
    const record = { ID: E[name], ...common, ...READS, S2: 1 };
    const page = new TableBench();
    const { table, under } = page.nested(SID, {}, { S2PS: 4 });
    page.map(table, VA, FAR);
    page.poke(page.place(under, FAR), second);
    expect(recordOf(page)).toEqual({ ...record, CLASS: IN, IPA: FAR });
    const reads = name === 'F_PERMISSION' ? { TTRnW: 1 } : {};
    const tt = new TableBench();
    const of = tt.nested(SID, { TTB0: FAR }, { S2PS: 4 });
    tt.poke(tt.place(of.under, FAR), second);
    expect(recordOf(tt)).toEqual({ ...record, CLASS: OF_TT, IPA: FAR, ...reads });
    const cd = new TableBench();
    const to = cd.nested(SID, {}, { S2PS: 4, S1ContextPtr: FAR + 0xfc0n });
    cd.poke(cd.place(to.under, FAR), second);
    expect(recordOf(cd)).toEqual({ ...record, CLASS: OF_CD, IPA: FAR });
  });

  test.each(FAULTS)('%s: a write at both stages, refused at a table: RnW is the transaction’s', (name, _, second) => {
    const bench = new TableBench();
    const { under } = bench.nested(SID, { TTB0: FAR }, { S2PS: 4 });
    bench.poke(bench.place(under, FAR), second);
    expect(recordOf(bench, VA, WRITE | PRIVILEGED)).toMatchObject({
      ID: E[name],
      CLASS: OF_TT,
      RnW: 0,
      PnU: 1,
      InD: 0,
    });
  });

  test.each(FAULTS)('%s with a SubstreamID, and stalled', (name, first) => {
    const bench = new TableBench();
    const table = bench.stage1(SID, { IPS: 4 }, { S1CDMax: 2, S1ContextPtr: CDS });
    bench.cd(CDS + 0xc0n, { T0SZ: 25, EPD1: 1, IPS: 4, ASID: 1, TTB0: table, S: 1 });
    bench.poke(bench.place(table, VA), first);
    const record = recordOf(bench, VA, WRITE, 3);
    expect(record).toMatchObject({ ID: E[name], SSV: 1, SubstreamID: 3, StreamID: SID, Stall: 1, RnW: 0 });
    expect(record.STAG).toBeTypeOf('number');
  });

  test('STAG is bits 79:64, Stall bit 95: each that waits has its own', () => {
    const bench = new TableBench();
    bench.stage1(SID, { S: 1 });
    for (const page of [0n, 1n, 2n]) bench.ask(SID, VA + 0x1000n * page, WRITE);
    const words = [0n, 1n, 2n].map((i) => Number(bench.peek(bench.events + 32n * i + 8n) & 0x8000_ffffn) >>> 0);
    expect(words).toEqual([0x8000_0000, 0x8000_0001, 0x8000_0002]);
    expect(bench.takeEvents().map(({ STAG }) => STAG)).toEqual([0, 1, 2]);
  });

  test('7.3.14 stage 1 bypassed: S2 0, CLASS IN', () => {
    const bench = new TableBench();
    bench.stage2(SID);
    expect(recordOf(bench, NOWHERE << 7n)).toEqual({
      ...{ ID: E.F_ADDR_SIZE, ...common, ...READS, S2: 0, CLASS: IN },
      InputAddr: NOWHERE << 7n,
    });
  });

  test.each([
    ['reads and does not write', 1, 0],
    ['writes and does not read', 2, 1],
    ['neither', 0, 0],
  ])('13.1.1 an atomic where stage 2 %s (S2AP %i): RnW %i', (_, S2AP, RnW) => {
    const bench = new TableBench();
    bench.map(bench.stage2(SID), VA & ~0xfffn, 0x8000n, (LEAF.second & ~0xc0n) | (BigInt(S2AP) << 6n));
    expect(recordOf(bench, VA, ATOMIC)).toMatchObject({ ID: E.F_PERMISSION, RnW, InD: 0 });
  });

  test.each([
    [2, 0, { PnU: 0, InD: 0 }],
    [3, 0, { PnU: 1, InD: 0 }],
    [0, 3, { PnU: 0, InD: 1 }],
    [3, 3, { PnU: 1, InD: 1 }],
    [2, 2, { PnU: 0, InD: 0 }],
  ])('7.3 PnU and InD are those after PRIVCFG %i, INSTCFG %i', (PRIVCFG, INSTCFG, access) => {
    const bench = new TableBench({ idr1: { ATTR_PERMS_OVR: 1 } });
    bench.stage1(SID, {}, { PRIVCFG, INSTCFG });
    const record = recordOf(bench);
    expect(record).toMatchObject({ ID: E.F_TRANSLATION, ...access });
    // Writes are data whatever INSTCFG says.
    expect(recordOf(bench, VA, WRITE)).toMatchObject({ PnU: access.PnU, InD: 0 });
  });
});

describe('7.3.22 of several faults the first is recorded', () => {
  const [BLOCKED, WRONG, OLD] = [0n, (1n << 44n) | LEAF.readOnly, LEAF.readOnly & ~AF];
  test.each([
    ['F_TRANSLATION before F_ADDR_SIZE', BLOCKED | WRONG, E.F_TRANSLATION],
    ['F_ADDR_SIZE before F_ACCESS', (WRONG & ~AF) | 3n, E.F_ADDR_SIZE],
    ['F_ADDR_SIZE before F_PERMISSION', WRONG | 3n, E.F_ADDR_SIZE],
    ['F_ACCESS before F_PERMISSION', OLD | 3n, E.F_ACCESS],
    ['F_PERMISSION', LEAF.readOnly | 3n, E.F_PERMISSION],
  ])('stage 1: %s', (_, descriptor, event) => {
    const bench = new TableBench();
    const table = bench.stage1(SID, { IPS: 4 });
    bench.poke(bench.place(table, VA), descriptor);
    expect(recordOf(bench, VA, WRITE).ID).toBe(event);
  });

  test('stage 1’s of the page before stage 2’s of it', () => {
    for (const [low, event, S2] of [
      [LEAF.both & ~AF, E.F_ACCESS, 0],
      [LEAF.readOnly, E.F_PERMISSION, 0],
      [LEAF.both, E.F_TRANSLATION, 1],
    ] as const) {
      const bench = new TableBench();
      bench.map(bench.nested(SID).table, VA, FAR, low);
      expect(recordOf(bench, VA, WRITE)).toMatchObject({ ID: event, S2 });
    }
  });

  test('the range of the address before its table, the CD before both', () => {
    const bench = new TableBench();
    bench.stage1(SID, { TTB0: NOWHERE });
    expect(recordOf(bench, 1n << 40n).ID).toBe(E.F_TRANSLATION);
    const bad = new TableBench();
    bad.stage1(SID, { TTB0: NOWHERE, AA64: 0 });
    expect(recordOf(bad, 1n << 40n).ID).toBe(E.C_BAD_CD);
  });
});

describe('what no transaction of a test leads to', () => {
  test.todo('7.3.2 F_UUT: of what transactions the interconnect has');
  test.todo('7.3.17 F_TLB_CONFLICT at once: permitted, never reported');
  test.todo('7.3.18 F_CFG_CONFLICT: STE.CONT is a hint that is not taken');
  test.todo('7.3.20 F_VMS_FETCH (IDR3.MPAM)');
});

describe('7.3.1 merging, decision: with what is at the end of the queue', () => {
  test.each([
    [true, 1, 1],
    [true, 0, 2],
    [false, 1, 2],
  ])('an SMMU that merges: %s; STE.MEV %i: two alike are %i', (mergesEvents, MEV, count) => {
    const bench = new TableBench({ mergesEvents });
    bench.stage1(SID, {}, { MEV });
    for (let i = 0; i < 2; i++) bench.ask(SID, VA);
    expect(bench.takeEvents()).toHaveLength(count);
  });

  test.each([
    ['another address', VA + 0x1000n, READ],
    ['a write', VA, WRITE],
  ])('%s is another event', (_, address, kind) => {
    const bench = new TableBench({ mergesEvents: true });
    bench.stage1(SID, {}, { MEV: 1 });
    bench.ask(SID, VA, READ);
    bench.ask(SID, address, kind);
    expect(bench.takeEvents()).toHaveLength(2);
  });

  test.each([
    [0, 1],
    [1, 2],
  ])('S %i: %i; what stalls is never merged', (S, count) => {
    const bench = new TableBench({ mergesEvents: true });
    bench.stage1(SID, { S }, { MEV: 1 });
    for (let i = 0; i < 2; i++) bench.ask(SID, VA, READ);
    expect(bench.takeEvents()).toHaveLength(count);
  });
});
