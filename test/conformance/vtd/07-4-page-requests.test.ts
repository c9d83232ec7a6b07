/** VT-d 7.4 – 7.7, 11.4.11, 6.5.3.1: page requests at once. */
import { expect, test } from 'vitest';
import { FIRST, ScalableBench } from './scalable-unit.ts';
import { Bench, queueErrorInfo, REG, ROOT } from './unit.ts';

const [PQH, PQT, PQA, PRS, PECTL] = [0xc0, 0xc8, 0xd0, 0xdc, 0xe0];
const PRQ = 0x24000n;
const SID = 0x10;
const IOVA = 0x40_0000n;

/** A unit with page requests; the function's context entry has DTE and PRE. @param dteAndPre bits 2 and 4 of it */
function setUp(dteAndPre = 0x14n, ecap = {}) {
  const responses: number[][] = [];
  const bench = new ScalableBench({
    ecap: { DT: 1, PRS: 1, PDS: 1, ...ecap },
    pageGroupResponse: (...response) => void responses.push(response),
  });
  bench.setDevice(SID);
  bench.poke(bench.contextAt(SID), bench.peek(bench.contextAt(SID)) | dteAndPre);
  const top = bench.newTable();
  bench.setPasid(3, { pgtt: FIRST, first: top });
  bench.startScalable();
  bench.write64(PQA, PRQ);
  bench.write32(PECTL, 0);
  const ask = (group: number, last = true, pasid = 3, sid = SID) =>
    bench.unit.pageRequest({ sid, pasid, address: IOVA + 0x123n, read: true, write: true, group, last });
  return { ask, bench, responses, top };
}

test('7.4.1.1 the descriptor, PPR and one event; the tail moves by 32 bytes', () => {
  const { ask, bench, responses } = setUp();
  expect([ask(0x155), ask(1, false)]).toEqual([true, true]);
  expect([0n, 8n, 16n, 24n].map((at) => bench.peek(PRQ + at))).toEqual([
    0x101n | (0x10n << 16n) | (3n << 32n),
    IOVA | 7n | (0x155n << 3n),
    0n,
    0n,
  ]);
  expect(bench.peek(PRQ + 40n)).toBe(IOVA | 3n | (1n << 3n));
  expect([bench.read32(PQT), bench.read32(PRS), bench.messages.length]).toEqual([64, 1, 1]);
  expect(responses).toEqual([]);
  bench.write32(PRS, 1);
  ask(2);
  expect(bench.messages.length).toBe(2);
});

test('7.4.1, table 31: a full queue has room for all but one; PRO, an answer to the last of a group, and nothing until PRO is cleared', () => {
  const { ask, bench, responses } = setUp();
  for (let i = 0; i < 127; i++) expect(ask(i, false)).toBe(true);
  bench.write32(PRS, 1);
  expect([ask(5), ask(6, false)]).toEqual([false, false]);
  expect([bench.read32(PRS), bench.messages.length]).toEqual([2, 2]);
  bench.write64(PQH, 64n);
  expect(ask(7)).toBe(false);
  expect(responses).toEqual([
    [SID, 3, 5, 0],
    [SID, 3, 7, 0],
  ]);
  bench.write32(PRS, 2);
  expect([ask(8), bench.read32(PQT)]).toEqual([true, 0]);
});

test('7.5 the event is held back by IM, and forgotten when PPR is cleared', () => {
  const { ask, bench } = setUp();
  bench.write32(PECTL, 1 << 31);
  ask(0);
  expect([bench.messages.length, (bench.read32(PECTL) >>> 30) & 1]).toEqual([0, 1]);
  bench.write32(PRS, 1);
  expect((bench.read32(PECTL) >>> 30) & 1).toBe(0);
  ask(0);
  bench.write32(PECTL, 0);
  expect(bench.messages.length).toBe(1);
});

test.each([
  ['SCT.8: PRE = 0', 0x4n, SID, 3, 0x47],
  ['SCT.4.1: PRE without DTE', 0x10n, SID, 3, 0x43],
  ['SRT.2', 0x14n, 0x110, 3, 0x39],
  ['SPT.2', 0x14n, SID, 4, 0x59],
  ['SCT.7', 0x14n, SID, 0x80000, 0x46],
])('table 30, %s: an invalid request is answered, and recorded as a page request', (_, bits, sid, pasid, reason) => {
  const { ask, bench, responses } = setUp(bits);
  expect([ask(9, true, pasid, sid), ask(9, false, pasid, sid)]).toEqual([false, false]);
  expect(responses).toEqual([[sid, pasid, 9, 1]]);
  const hi = bench.read32(REG.FRCD + 12);
  expect([hi & 0xff, (hi >>> 30) & 1, (bench.read32(REG.FRCD + 8) >>> 28) & 1]).toEqual([reason, 0, 1]);
  expect(bench.read32(PQT)).toBe(0);
});

test('RTA.3: in legacy mode 0x32', () => {
  const { ask, bench, responses } = setUp();
  bench.write64(REG.RTADDR, ROOT);
  bench.write32(REG.GCMD, (1 << 30) | (1 << 31));
  expect(ask(1)).toBe(false);
  expect([bench.recordedReason(), responses]).toEqual([0x32, [[SID, 3, 1, 1]]]);
});

test('6.5.3.1 what the IOTLB has of the page goes', () => {
  const { ask, bench, top } = setUp();
  bench.put(top, 4, IOVA, 0x80005n);
  expect(bench.ask(SID, IOVA, { pasid: 3 })).toEqual({ page: 0x80000n });
  const cached = () => bench.unit.scalableCaches?.iotlb.isEmpty();
  expect(cached()).toBe(false);
  ask(0);
  expect(cached()).toBe(true);
});

test('7.6.1 software answers by the queue; without ECAP.PRS the descriptor’s type is invalid; 6.5.2.9 PD needs ECAP.PDS', () => {
  const { bench, responses } = setUp();
  bench.queue(
    [9n | 0x10n | (0xfn << 12n) | (0x10n << 16n) | (3n << 32n), (0x155n << 3n) | 4n],
    [9n | (0x10n << 16n), 0n],
  );
  bench.queue([5n | 0xa0n | (1n << 32n), 0x20000n]);
  expect(responses).toEqual([
    [SID, 3, 0x155, 15],
    [SID, -1, 0, 0],
  ]);
  expect([bench.read32(REG.FSTS), bench.peek(0x20000n)]).toEqual([0, 1n]);
  const { bench: without } = setUp(4n, { PRS: 0, PDS: 0 });
  without.queue([9n]);
  expect(queueErrorInfo(without, 3)).toBe(3);
  const { bench: undrained } = setUp(0x14n, { PDS: 0 });
  undrained.queue([0x85n]);
  expect(queueErrorInfo(undrained, 4)).toBe(4);
  expect(
    new Bench({ ecap: { DT: 1 } }).unit.pageRequest({
      sid: 0,
      pasid: -1,
      address: 0n,
      read: true,
      write: false,
      group: 0,
      last: true,
    }),
  ).toBe(false);
});
