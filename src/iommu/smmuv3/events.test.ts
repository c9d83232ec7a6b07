import { describe, expect, test } from 'vitest';
import { expectRoundTrip } from '../../../test/declarations.ts';
import type { SecondSource } from '../../../test/second-source.ts';
import { agrees, inOrder, testDeclarations } from '../../../test/second-source.ts';
import { decode, decodeHalves, encodeHalves, reservedSet, toHalves } from '../../bits/index.ts';
import * as records from './event-structures.ts';
import { EVENTS, eventMeaning, eventRecordAt, GLOBAL_ERRORS } from './events.ts';
import * as page from './page-request-structures.ts';
import { GERROR } from './registers.ts';

testDeclarations(records);

test('page request queue entry: round trip', () => expectRoundTrip(page.PRIQ_ENTRY));

/**
 * SmmuV3Registers.h of Microsoft's UEFI driver (BSD-2-Clause-Patent): members in their order, under the specification's names. Fetch
 * addresses and IPAs have 52 bits there, 56 in SMMUv3.4.
 */
describe('a second source: bit-fields of a UEFI driver (SMMUv3.2 generation)', () => {
  const check = (of: Parameters<typeof agrees>[0], members: string, others: string[] = []) => {
    const table: SecondSource = inOrder(members);
    expect(members.match(/:\d+/g)?.reduce((sum, size) => sum + Number(size.slice(1)), 0)).toBe(256);
    const grown = ['FetchAddr', 'IPA'].filter((key) => key in table);
    agrees(
      of,
      { ...table, ...Object.fromEntries(grown.map((key) => [key, [table[key][0] + 4, table[key][1]]])) },
      others,
    );
  };
  const stream = '_:8 _:3 SSV:1 SubstreamID:20 StreamID:32';
  const fetch = `${stream} Reason:16 _:16 _:32 _:64 _:3 FetchAddr:49 _:12`;

  test('configuration', () => {
    check(records.C_BAD_STREAMID, `${stream} _:192`);
    check(records.C_BAD_STE, `${stream} _:192`);
    check(records.C_BAD_CD, `${stream} _:192`);
    check(records.C_BAD_SUBSTREAMID, '_:8 _:4 SubstreamID:20 StreamID:32 _:192');
    check(records.F_STREAM_DISABLED, '_:32 StreamID:32 _:192');
    for (const of of [records.F_STE_FETCH, records.F_CD_FETCH, records.F_VMS_FETCH]) check(of, fetch, ['GPCF']);
    check(records.F_CFG_CONFLICT, `${stream} Reason:32 _:32 _:128`);
  });

  test('transactions', () => {
    check(records.F_UUT, `${stream} Reason:16 _:16 _:1 PnU:1 InD:1 RnW:1 _:28 InputAddr:64 _:64`);
    check(records.F_TRANSL_FORBIDDEN, '_:32 StreamID:32 _:32 _:3 RnW:1 _:28 InputAddr:64 _:64');
    check(records.F_BAD_ATS_TREQ, `${stream} Span:4 _:24 Priv:1 X:1 W:1 R:1 _:32 _:12 InputAddr:52 _:64`);
    check(
      records.E_PAGE_REQUEST,
      `${stream} _:32 _:1 uX:1 uW:1 uR:1 _:1 pX:1 pW:1 pR:1 _:4 Span:8 _:12 _:12 InputAddr:52 _:64`,
    );
  });

  test('translation', () => {
    const access = '_:1 PnU:1 InD:1 RnW:1 _:2 NSIPA:1 S2:1';
    const ipa = 'InputAddr:64 _:12 IPA:40 _:12';
    const translation = `${stream} STAG:16 _:15 Stall:1 ${access} CLASS:2 _:6 IMPDEF:16 ${ipa}`;
    for (const of of [records.F_TRANSLATION, records.F_ADDR_SIZE, records.F_ACCESS]) check(of, translation);
    check(records.F_PERMISSION, translation, ['TTRnW']);
    check(records.F_TLB_CONFLICT, `${stream} Reason:32 ${access} _:24 ${ipa}`);
    check(records.F_WALK_EABT, `${stream} Reason:16 _:16 ${access} CLASS:2 _:22 InputAddr:64 _:3 FetchAddr:49 _:12`, [
      'GPCF',
    ]);
    // Linux alone has it: bit 44 of the second doubleword.
    expect(records.F_PERMISSION.TTRnW).toMatchObject({ hi: 64 + 44, lo: 64 + 44 });
  });

  test('numbers', () => {
    const numbers = Object.fromEntries(Object.entries(EVENTS).map(([number, { name }]) => [name, Number(number)]));
    const first = `F_UUT C_BAD_STREAMID F_STE_FETCH C_BAD_STE F_BAD_ATS_TREQ F_STREAM_DISABLED F_TRANSL_FORBIDDEN
      C_BAD_SUBSTREAMID F_CD_FETCH C_BAD_CD F_WALK_EABT`.split(/\s+/);
    expect(numbers).toEqual({
      ...Object.fromEntries(first.map((name, i) => [name, i + 1])),
      ...{ F_TRANSLATION: 0x10, F_ADDR_SIZE: 0x11, F_ACCESS: 0x12, F_PERMISSION: 0x13 },
      ...{ F_TLB_CONFLICT: 0x20, F_CFG_CONFLICT: 0x21, E_PAGE_REQUEST: 0x24, F_VMS_FETCH: 0x25 },
    });
    expect([0xdf, 0xe0, 0xef, 0xf0].map((n) => eventMeaning(n)?.name)).toEqual([
      undefined,
      'IMPDEF_EVENT',
      'IMPDEF_EVENT',
      undefined,
    ]);
  });
});

test('numbers, records and clauses belong together', () => {
  const clauses = Object.values(EVENTS).map(({ clause }) => Number(clause.split('.').at(-1)));
  expect(clauses).toEqual(clauses.map((_, i) => i + 2));
  for (const [number, { record }] of Object.entries(EVENTS)) {
    expect(record.width).toBe(8 * records.EVENT_BYTES);
    const halves = encodeHalves(record, {});
    expect(halves[0]).toBe(Number(number));
    expect(eventRecordAt(halves)).toBe(record);
  }
  expect(eventRecordAt([0, 0, 0x10], 2)).toBe(records.F_TRANSLATION);
  expect(eventRecordAt([0xe0])).toBeNull();
});

test('Linux has the entry of the page request queue thus', () => {
  agrees(page.PRIQ_ENTRY, {
    ...{
      StreamID: [31, 0],
      SubstreamID: [51, 32],
      Priv: [58, 58],
      X: [59, 59],
      R: [60, 60],
      W: [61, 61],
      Last: [62, 62],
    },
    ...{ SSV: [63, 63], PRGIndex: [64 + 8, 64], Address: [64 + 63, 64 + 12] },
  });
});

describe('events that kernels printed', () => {
  test('F_TRANSLATION: sid 0x20600, iova 0xff9bc000, "unpriv data write s1", class IN', () => {
    const words = [0x0002_0600_0000_0010n, 0x0000_0200_0000_0000n, 0xff9b_c000n, 0n];
    expect(eventRecordAt(toHalves(words))).toBe(records.F_TRANSLATION);
    const fields = decode(records.F_TRANSLATION, ...words);
    expect(fields).toMatchObject({ StreamID: 0x20600, SSV: 0, Stall: 0, CLASS: 2, InputAddr: 0xff9b_c000n, IPA: 0n });
    const { CLASS, InD, PnU, RnW, S2 } = records.F_TRANSLATION;
    const said = ([field, value]: [typeof CLASS, number]) => field.values?.[value];
    const all = [PnU, InD, RnW, S2].map((field, i) =>
      said([field, [fields.PnU, fields.InD, fields.RnW, fields.S2][i]]),
    );
    expect(all).toEqual(['unprivileged', 'data', 'write', 'stage 1']);
    expect(CLASS.values?.[fields.CLASS].slice(0, 2)).toBe('IN');
    expect(reservedSet(records.F_TRANSLATION, toHalves(words))).toBe(false);
  });

  test.each([
    ['C_BAD_STREAMID', 0x0000_0900_0000_0002n, 0x900],
    ['C_BAD_STREAMID', 0x0000_c900_0000_0002n, 0xc900],
    ['C_BAD_STREAMID', 0x0000_0100_0000_0002n, 0x100],
    ['F_TRANSL_FORBIDDEN', 0x0000_0100_0000_0007n, 0x100],
  ])('%s: %i', (name, word, StreamID) => {
    const halves = toHalves([word, 0n, 0n, 0n]);
    const record = eventRecordAt(halves);
    expect(record?.name).toBe(name);
    expect(record && decodeHalves(record, halves)).toMatchObject({ StreamID });
    expect(record && reservedSet(record, halves)).toBe(false);
  });

  test('C_BAD_CD of a HiSilicon SMMU has bits set that the specification reserves', () => {
    const words = [0x0000_7f22_0000_280an, 0x0000_1000_0000_007en, 0x034e_8670n, 0n];
    const of = eventRecordAt(toHalves(words));
    expect(of).toBe(records.C_BAD_CD);
    expect(decode(records.C_BAD_CD, ...words)).toMatchObject({ StreamID: 0x7f22, SSV: 1, SubstreamID: 2 });
    expect(reservedSet(records.C_BAD_CD, toHalves(words))).toBe(true);
  });
});

test('each bit of GERROR has words', () => {
  const bits = Object.entries(GERROR.fields).map(([name, { lo }]) => [`${lo}`, name]);
  expect(Object.entries(GLOBAL_ERRORS).map(([bit, { name }]) => [bit, name])).toEqual(bits);
});
