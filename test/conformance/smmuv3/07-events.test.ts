/** SMMUv3 7.2 – 7.4, 5.5: events, where they are recorded, and what becomes of their transactions. */
import { describe, expect, test } from 'vitest';
import { OUTCOME } from '../../../src/iommu/smmuv3/event-queue.ts';
import { CLASS, EVENT, RIGHT } from '../../../src/iommu/smmuv3/event-record.ts';
import { EVENTS } from '../../../src/iommu/smmuv3/events.ts';
import { PROFILES } from '../../../src/iommu/smmuv3/profiles.ts';
import { EVENTQ, EVENTQ_ABT_ERR, EVENTQEN, InterfaceBench, REG, SMMUEN } from './interface-bench.ts';

/** A source with something in each field. */
const FULL = {
  ...{ sid: 0x89abcdef, ssid: 0xfedcb, rnw: 1, pnu: 1, ind: 1, s2: 1, class: CLASS.TTD },
  ...{ hi: 0x01234567, lo: 0x89abcdef | 0, ipaHi: 0x000f_edcb, ipaLo: 0xa987_6543 | 0 },
  ...{ fetchHi: 0x00fe_dcba, fetchLo: 0x9876_5438 | 0, ttrnw: 1, span: 5, r: 1, a: 1 },
  rights: RIGHT.uR | RIGHT.pW | RIGHT.uX,
};
const STREAM = 0x89abcdef_fedcb800n;
const INPUT = 0x0123_4567_89ab_cdefn;
const IPA = 0x000f_edcb_a987_6000n;
const FETCH = 0x00fe_dcba_9876_5438n;
/** RnW, InD, PnU are bits 35 – 33 of the second word; S2 is bit 39, CLASS 41:40. */
const ACCESS = 0xen << 32n;
const TTD_S2 = (1n << 39n) | (1n << 40n);

describe('7.3 records, word by word', () => {
  const cases: [keyof typeof EVENT, bigint[]][] = [
    ['F_UUT', [STREAM, ACCESS, INPUT, 0n]],
    ['C_BAD_STREAMID', [STREAM, 0n, 0n, 0n]],
    ['F_STE_FETCH', [STREAM, 0n, 0n, FETCH]],
    ['C_BAD_STE', [STREAM, 0n, 0n, 0n]],
    // Span 3:0, Priv 28, X 29, W 30, R 31 of the second word; the page of the address.
    ['F_BAD_ATS_TREQ', [STREAM, 5n | (0xfn << 28n), INPUT & ~0xfffn, 0n]],
    ['F_STREAM_DISABLED', [0x89abcdef_00000000n, 0n, 0n, 0n]],
    ['F_TRANSL_FORBIDDEN', [0x89abcdef_00000000n, 1n << 35n, INPUT, 0n]],
    // No SSV.
    ['C_BAD_SUBSTREAMID', [STREAM & ~0x800n, 0n, 0n, 0n]],
    ['F_CD_FETCH', [STREAM, 0n, 0n, FETCH]],
    ['C_BAD_CD', [STREAM, 0n, 0n, 0n]],
    ['F_WALK_EABT', [STREAM, ACCESS | TTD_S2, INPUT, FETCH]],
    ['F_TRANSLATION', [STREAM, ACCESS | TTD_S2, INPUT, IPA]],
    ['F_ADDR_SIZE', [STREAM, ACCESS | TTD_S2, INPUT, IPA]],
    ['F_ACCESS', [STREAM, ACCESS | TTD_S2, INPUT, IPA]],
    // TTRnW is bit 44.
    ['F_PERMISSION', [STREAM, ACCESS | TTD_S2 | (1n << 44n), INPUT, IPA]],
    ['F_TLB_CONFLICT', [STREAM, ACCESS | (1n << 39n), INPUT, IPA]],
    ['F_CFG_CONFLICT', [STREAM, 0n, 0n, 0n]],
    // uX 33, uW 34, uR 35, pX 37, pW 38, pR 39; Span 51:44.
    ['E_PAGE_REQUEST', [STREAM, (1n << 33n) | (1n << 35n) | (1n << 38n) | (5n << 44n), INPUT & ~0xfffn, 0n]],
    ['F_VMS_FETCH', [STREAM, 0n, 0n, FETCH]],
  ];
  test('each event of the specification is here', () => {
    expect(cases.map(([name]) => EVENT[name])).toEqual(Object.keys(EVENTS).map(Number));
  });

  test.each(cases)('%s', (name, words) => {
    const bench = new InterfaceBench();
    bench.write32(REG.CR2, 2);
    bench.start().fault({ ...FULL, event: EVENT[name] });
    expect(bench.eventWords(0).map((word) => word.toString(16))).toEqual(
      [words[0] | BigInt(EVENT[name]), ...words.slice(1)].map((word) => word.toString(16)),
    );
    expect(bench.read32(REG.EVENTQ_PROD)).toBe(1);
  });

  test('without a SubstreamID SSV is 0; without S2 there is no IPA', () => {
    const bench = new InterfaceBench().start();
    bench.fault({ ...FULL, event: EVENT.F_ACCESS, ssid: -1, s2: 0, class: CLASS.IN, rnw: 0 });
    expect(bench.event(0)).toMatchObject({ SSV: 0, S2: 0, CLASS: 2, IPA: 0n, RnW: 0, InputAddr: INPUT });
  });

  test('E_PAGE_REQUEST is not about a transaction', () => {
    const bench = new InterfaceBench().start();
    const of = { ...FULL, event: EVENT.E_PAGE_REQUEST, s: 0, mev: 0 };
    expect(bench.core.events.announce(of)).toBe('recorded');
    expect(bench.event(0)).toMatchObject({ ID: EVENT.E_PAGE_REQUEST, Span: 5 });
  });
});

describe('5.5 A, R and S', () => {
  const { abort, razwi, stalled } = OUTCOME;
  const RELATED = [EVENT.F_TRANSLATION, EVENT.F_ADDR_SIZE, EVENT.F_ACCESS, EVENT.F_PERMISSION];
  test.each([
    // A, R, S; what becomes of the transaction; events.
    [0, 0, 0, razwi, 0],
    [0, 1, 0, razwi, 1],
    [1, 0, 0, abort, 0],
    [1, 1, 0, abort, 1],
    [0, 0, 1, stalled, 1],
    [1, 1, 1, stalled, 1],
  ])('A %i R %i S %i: %i, %i events', (a, r, s, outcome, events) => {
    for (const event of RELATED) {
      const bench = new InterfaceBench().start();
      expect(bench.fault({ event, a, r, s })).toBe(outcome);
      expect(bench.read32(REG.EVENTQ_PROD)).toBe(events);
      if (events === 1) expect(bench.event(0)).toMatchObject({ ID: event, Stall: s, STAG: 0 });
    }
  });

  test('other events abort and are recorded, whatever the flags say', () => {
    for (const event of Object.values(EVENT)) {
      if (RELATED.includes(event as never)) continue;
      const bench = new InterfaceBench();
      bench.write32(REG.CR2, 2);
      expect(bench.start().fault({ event, a: 0, r: 0, s: 1 })).toBe(abort);
      expect(bench.read32(REG.EVENTQ_PROD)).toBe(1);
    }
  });

  test('6.3.1 TERM_MODEL: an SMMU that can only abort', () => {
    const bench = new InterfaceBench({ idr0: { TERM_MODEL: 1 } }).start();
    expect(bench.fault({ a: 0 })).toBe(abort);
  });

  test('7.3.3 C_BAD_STREAMID is recorded with CR2.RECINVSID only', () => {
    const of = { event: EVENT.C_BAD_STREAMID, sid: 0x80 };
    const bench = new InterfaceBench().start();
    expect([bench.fault(of), bench.read32(REG.EVENTQ_PROD)]).toEqual([abort, 0]);
    const recording = new InterfaceBench();
    recording.write32(REG.CR2, 2);
    expect([recording.start().fault(of), recording.read32(REG.EVENTQ_PROD)]).toEqual([abort, 1]);
  });
});

describe('7.2.1, 7.4 where an event goes that cannot be written', () => {
  test('EVENTQEN = 0: it is discarded, and nothing overflows', () => {
    const bench = new InterfaceBench().start(1, SMMUEN);
    bench.fault();
    expect(bench.read32(REG.EVENTQ_PROD)).toBe(0);
  });

  test('a full queue: OVFLG is toggled once, until it is acknowledged', () => {
    const bench = new InterfaceBench().start(1);
    const prod = () => bench.read32(REG.EVENTQ_PROD);
    for (const want of [1, 2, 0x80000002, 0x80000002]) {
      bench.fault();
      expect(prod()).toBe(want);
    }
    // Room without an acknowledgement: events are recorded, and the next overflow is not told of.
    bench.write32(REG.EVENTQ_CONS, 1);
    for (const want of [0x80000003, 0x80000003]) {
      bench.fault();
      expect(prod()).toBe(want);
    }
    bench.write32(REG.EVENTQ_CONS, 0x80000001);
    bench.fault();
    expect(prod()).toBe(3);
    expect(bench.read32(REG.GERROR)).toBe(0);
  });

  test('the queue wraps, and each record is in its place', () => {
    const bench = new InterfaceBench().start(1);
    for (let n = 0; n < 9; n++) {
      bench.fault({ lo: n << 12 });
      expect(bench.event(n % 2).InputAddr).toBe(BigInt(n << 12));
      bench.write32(REG.EVENTQ_CONS, bench.read32(REG.EVENTQ_PROD));
    }
    expect(bench.read32(REG.EVENTQ_PROD)).toBe(9 % 4);
  });

  test('3.5.1 indexes that cannot be: as a full queue', () => {
    const bench = new InterfaceBench().start(1);
    bench.write32(REG.EVENTQ_CONS, 1);
    bench.fault();
    expect(bench.read32(REG.EVENTQ_PROD)).toBe(0x80000000);
  });

  test('7.2.2 an aborted write: EVENTQ_ABT_ERR, PROD stays, and nothing is written until it is acknowledged', () => {
    const bench = new InterfaceBench().streams();
    bench.write64(REG.EVENTQ_BASE, 0x10_0000_0000n | 4n);
    bench.write32(REG.CR0, SMMUEN | EVENTQEN);
    bench.fault();
    expect([bench.read32(REG.GERROR), bench.read32(REG.EVENTQ_PROD)]).toEqual([EVENTQ_ABT_ERR, 0]);
    bench.write32(REG.CR0, SMMUEN);
    bench.write64(REG.EVENTQ_BASE, BigInt(EVENTQ | 4));
    bench.write32(REG.CR0, SMMUEN | EVENTQEN);
    bench.fault();
    expect(bench.read32(REG.EVENTQ_PROD)).toBe(0);
    bench.write32(REG.GERRORN, EVENTQ_ABT_ERR);
    bench.fault();
    expect([bench.read32(REG.GERROR), bench.read32(REG.EVENTQ_PROD)]).toEqual([EVENTQ_ABT_ERR, 1]);
  });

  test('qemu-10: a full queue is EVENTQ_ABT_ERR, OVFLG is never set', () => {
    const profile = PROFILES.find(({ name }) => name === 'qemu-10');
    const bench = new InterfaceBench({ ...(profile && { profile }) }).start(0);
    bench.fault();
    bench.fault();
    expect([bench.read32(REG.GERROR), bench.read32(REG.EVENTQ_PROD)]).toEqual([EVENTQ_ABT_ERR, 1]);
  });
});

describe('7.3.1 merging', () => {
  const count = (events: Parameters<InterfaceBench['fault']>[0][], options = {}) => {
    const bench = new InterfaceBench({ mergesEvents: true, ...options });
    bench.write32(REG.CR2, 2);
    bench.start();
    for (const event of events) bench.fault(event);
    return bench.read32(REG.EVENTQ_PROD);
  };

  test('two in a row that are alike, with STE.MEV', () => {
    expect(count([{ mev: 1 }, { mev: 1 }])).toBe(1);
    expect(count([{ mev: 0 }, { mev: 0 }]), 'MEV 0').toBe(2);
    expect(count([{ mev: 1 }, { mev: 1 }], { mergesEvents: false }), 'it need not').toBe(2);
    expect(count([{ mev: 1 }, { mev: 1, lo: 0x1000 }, { mev: 1 }])).toBe(3);
  });

  test('never one that stalls', () => {
    expect(
      count([
        { mev: 1, s: 1 },
        { mev: 1, s: 1 },
      ]),
    ).toBe(2);
    expect(
      count([
        { mev: 1, s: 1 },
        { mev: 1, s: 0 },
      ]),
    ).toBe(2);
  });

  test('events without an STE may always be merged', () => {
    for (const event of [EVENT.F_UUT, EVENT.C_BAD_STREAMID, EVENT.F_STE_FETCH, EVENT.C_BAD_STE])
      expect(count([{ event }, { event }])).toBe(1);
    expect(count([{ event: EVENT.C_BAD_CD }, { event: EVENT.C_BAD_CD }])).toBe(2);
  });

  test('not with one that software has consumed', () => {
    const bench = new InterfaceBench({ mergesEvents: true }).start();
    bench.fault({ mev: 1 });
    bench.write32(REG.EVENTQ_CONS, 1);
    bench.fault({ mev: 1 });
    expect(bench.read32(REG.EVENTQ_PROD)).toBe(2);
  });
});
