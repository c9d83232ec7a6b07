/** SMMUv3 3.9.1, 13.7: ATS translation requests and translated transactions. */
import { describe, expect, test } from 'vitest';
import { CR0, CR2, REQUEST, STE_CONFIG } from '../../../src/iommu/smmuv3/index.ts';
import { LEAF, TableBench } from './tables.ts';
import type { BenchOptions } from './unit.ts';

const OPTIONS: BenchOptions = { idr0: { ATS: 1 } };
const { translation, translationNoWrite, translated, translatedWrite } = REQUEST;
const [SUCCESS, UR, CA] = [0, 1, 2];
const [F_BAD_ATS_TREQ, F_TRANSL_FORBIDDEN] = [5, 7];
const [FULL, SPLIT] = [1, 2];
const VA = 0x40_1000n;
const DBM = 1n << 51n;
const RECORDS = 1n << BigInt(CR2.REC_CFG_ATS.lo);

function withPage(low: bigint, eats = FULL, context: object = {}) {
  const bench = new TableBench(OPTIONS);
  const at = bench.map(bench.stage1(1, context, { EATS: eats }), VA, 0x8000n, low);
  return { bench, at };
}

/** Status, R and W, address. */
function ask(bench: TableBench, address: bigint, kind: number = translation) {
  const answer = bench.ask(1, address, kind);
  const { status, read, write, hi, lo } = bench.unit.completion;
  const to = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  return {
    answer: 'event' in answer ? answer.event : 0,
    status,
    rights: `${read ? 'r' : '-'}${write ? 'w' : '-'}`,
    to,
  };
}

describe('3.9.1.2 translation requests', () => {
  test.each([
    ['a page that may be written', LEAF.both, translation, 'rw'],
    ['the same with NW: no right to write', LEAF.both, translationNoWrite, 'r-'],
    ['a page that may be read', LEAF.readOnly, translation, 'r-'],
  ])('%s', (_, low, kind, rights) => {
    const { bench } = withPage(low);
    expect(ask(bench, VA, kind)).toEqual({ answer: 0, status: SUCCESS, rights, to: 0x8000n });
    expect(bench.takeEvents()).toEqual([]);
  });

  test('what is not mapped: success without access, and no event', () => {
    const { bench } = withPage(LEAF.both);
    expect(ask(bench, VA + 0x1000n)).toEqual({ answer: 0, status: SUCCESS, rights: '--', to: 0n });
    expect(bench.takeEvents()).toEqual([]);
  });

  test.each([
    [translation, true],
    [translationNoWrite, false],
  ])('3.13.4: kind %i of a writable-clean page makes it dirty: %s', (kind, dirty) => {
    const { bench, at } = withPage(LEAF.readOnly | DBM, FULL, { HA: 1, HD: 1 });
    expect(ask(bench, VA, kind).rights).toBe(dirty ? 'rw' : 'r-');
    expect((bench.peek(at) & 0x80n) === 0n).toBe(dirty);
  });

  test('where STE.EATS is 0: UR, and F_BAD_ATS_TREQ', () => {
    const { bench } = withPage(LEAF.both, 0);
    expect(ask(bench, VA)).toMatchObject({ status: UR, rights: '--' });
    expect(bench.takeEvents()).toMatchObject([{ ID: F_BAD_ATS_TREQ, StreamID: 1 }]);
  });

  test('of a stream that is bypassed: the same', () => {
    const bench = new TableBench(OPTIONS);
    bench.steOf(1, { Config: STE_CONFIG.bypass, EATS: FULL });
    expect(ask(bench, VA)).toMatchObject({ status: UR, rights: '--' });
    expect(bench.takeEvents()).toMatchObject([{ ID: F_BAD_ATS_TREQ }]);
  });

  test.each([
    [0, 0, UR],
    [1, 1 << CR0.ATSCHK.lo, SUCCESS],
  ])('split-stage ATS with CR0.ATSCHK %i', (_, more, status) => {
    const bench = new TableBench(OPTIONS);
    const second = { Config: STE_CONFIG.s1s2, S2T0SZ: 25, S2SL0: 1, S2PS: 5, S2AA64: 1, S2TTB: bench.table(), S2R: 1 };
    bench.stage1(1, {}, { ...second, EATS: SPLIT });
    bench.enable(1 | more);
    expect(ask(bench, VA)).toMatchObject({ status });
    expect(bench.takeEvents()).toMatchObject(status === UR ? [{ ID: F_BAD_ATS_TREQ }] : []);
  });

  test('of a stream that is aborted: UR, without an event', () => {
    const bench = new TableBench(OPTIONS);
    bench.steOf(1, { Config: STE_CONFIG.abort });
    expect(ask(bench, VA)).toMatchObject({ status: UR });
    expect(bench.takeEvents()).toEqual([]);
  });

  test('where the configuration is wrong: CA, and an event with CR2.REC_CFG_ATS alone', () => {
    for (const recorded of [false, true]) {
      const bench = new TableBench({ idr0: { ATS: 1, ATSRECERR: 1 } });
      bench.enable(0);
      bench.write(CR2.offset, 4, recorded ? RECORDS | 2n : 2n);
      bench.enable(1);
      bench.steOf(1, { V: 0 });
      expect(ask(bench, VA)).toMatchObject({ status: CA });
      expect(bench.takeEvents()).toMatchObject(recorded ? [{ ID: 4 }] : []);
    }
  });

  test('where SMMUEN is 0: UR, and F_BAD_ATS_TREQ', () => {
    const { bench } = withPage(LEAF.both);
    bench.enable(0);
    expect(ask(bench, VA)).toMatchObject({ status: UR });
    expect(bench.takeEvents()).toMatchObject([{ ID: F_BAD_ATS_TREQ }]);
  });
});

describe('3.9.1.3 translated transactions', () => {
  test('go where they say, without CR0.ATSCHK', () => {
    const { bench } = withPage(LEAF.both, 0);
    expect(bench.ask(1, 0x12_3456_7000n, translatedWrite)).toEqual({ address: 0x12_3456_7000n });
  });

  test.each([
    [0, { event: F_TRANSL_FORBIDDEN }],
    [FULL, { address: 0x5000n }],
  ])('with it, EATS %i', (eats, answer) => {
    const { bench } = withPage(LEAF.both, eats);
    bench.enable(1 | (1 << CR0.ATSCHK.lo));
    expect(bench.ask(1, 0x5000n, translated)).toEqual(answer);
    expect(bench.takeEvents()).toMatchObject('event' in answer ? [{ ID: answer.event }] : []);
  });

  test('beyond the OAS they are aborted, without an event', () => {
    const { bench } = withPage(LEAF.both);
    expect(bench.ask(1, 1n << 48n, translated)).toEqual({ event: 0 });
    expect(bench.takeEvents()).toEqual([]);
  });

  test('are IPAs with split-stage ATS, which wants ATSCHK', () => {
    const bench = new TableBench(OPTIONS);
    const under = bench.table();
    const second = { Config: STE_CONFIG.s1s2, S2T0SZ: 25, S2SL0: 1, S2PS: 5, S2AA64: 1, S2TTB: under, S2R: 1 };
    bench.stage1(1, {}, { ...second, EATS: SPLIT });
    bench.map(under, 0x5000n, 0x9000n, LEAF.second);
    bench.enable(1 | (1 << CR0.ATSCHK.lo));
    expect(bench.ask(1, 0x5000n, translated)).toEqual({ address: 0x9000n });
    expect(bench.ask(1, 0x6000n, translated)).toEqual({ event: 16 });
  });

  test('where SMMUEN is 0: F_TRANSL_FORBIDDEN', () => {
    const { bench } = withPage(LEAF.both);
    bench.enable(0);
    expect(bench.ask(1, 0x5000n, translated)).toEqual({ event: F_TRANSL_FORBIDDEN });
  });
});
