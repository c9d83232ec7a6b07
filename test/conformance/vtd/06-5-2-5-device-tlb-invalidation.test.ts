/** VT-d 4.3, 6.5.2.5, 6.5.2.6, 6.5.2.11: device-TLB invalidation, its completion and its time-out. */
import { describe, expect, test } from 'vitest';
import type { DeviceTlbInvalidation } from '../../../src/iommu/vtd/index.ts';
import { MARK, SLOT } from '../../../src/machine/index.ts';
import { ScalableBench } from './scalable-unit.ts';
import type { Flight } from './unit.ts';
import { Bench, CONTEXT, FSTS, iotlbInv, QUEUE, queueErrorInfo, READ, REG, STATUS, WRITE, wait } from './unit.ts';

const SID = 0x10;
const IOVA = 0x40_0000n;
const PAGE = 0x80000n;

function deviceTlbInv(sid: number, addr = 0n, s = 0): [bigint, bigint] {
  return [3n | (BigInt(sid) << 32n), addr | BigInt(s)];
}

const done = (data = 1n) => wait({ sw: 1, data, addr: STATUS });

/** A unit at once, with what it asked of devices. */
function atOnce(answers = true) {
  const asked: DeviceTlbInvalidation[] = [];
  const invalidateDeviceTlb = (request: DeviceTlbInvalidation) => {
    asked.push(request);
    return answers;
  };
  return { asked, bench: new Bench({ ecap: { DT: 1 }, invalidateDeviceTlb }).start().startQueue() };
}

describe('6.5.2.5 the descriptor', () => {
  // [S, ADDR 63:12 in pages, first byte, bytes]: the lowest 0 from bit 12 on gives the size.
  for (const [s, pages, address, size] of [
    [0, 0x1237n, 0x1237000n, 0x1000n],
    [1, 0x1236n, 0x1236000n, 0x2000n],
    [1, 0x1235n, 0x1234000n, 0x4000n],
    [1, 0x12ffn, 0x1200000n, 0x200000n],
    [1, (1n << 51n) - 1n, 0n, 1n << 64n],
    [1, (1n << 52n) - 1n, 0n, 1n << 64n],
  ] as const) {
    test(`S ${s}, address 0x${(pages << 12n).toString(16)}: 0x${size.toString(16)} bytes from 0x${address.toString(16)}`, () => {
      const { asked, bench } = atOnce();
      bench.submit(deviceTlbInv(0x1234, pages << 12n, s), done());
      expect(asked.map(({ sid, pasid }) => [sid, pasid])).toEqual([[0x1234, -1]]);
      expect([asked[0]?.address, asked[0]?.size]).toEqual([address, size]);
      expect(bench.peek(STATUS)).toBe(1n);
    });
  }

  test('MIP is a hint; PFSID is reserved without ECAP.DIT, and so is what else has no name', () => {
    const { asked, bench } = atOnce();
    bench.submit([3n | (0x1fn << 16n), 0n]);
    expect(asked).toHaveLength(1);
    expect(bench.read32(REG.FSTS) & FSTS.IQE).toBe(0);
    for (const bit of [4n, 12n, 15n, 21n, 31n, 48n, 52n, 63n]) {
      const { bench: other } = atOnce();
      other.submit([3n | (1n << bit), 0n]);
      expect([bit, queueErrorInfo(other, 4)]).toEqual([bit, 4]);
    }
    for (const bit of [1n, 11n]) {
      const { bench: other } = atOnce();
      other.submit([3n, 1n << bit]);
      expect(queueErrorInfo(other, 4)).toBe(4);
    }
    const throttled = new Bench({ ecap: { DT: 1, DIT: 1 } }).start().startQueue();
    throttled.submit([3n | (1n << 12n) | (1n << 63n), 0n]);
    expect(throttled.read32(REG.FSTS) & FSTS.IQE).toBe(0);
  });

  test('without ECAP.DT its type is invalid', () => {
    const bench = new Bench().start().startQueue();
    bench.submit(deviceTlbInv(SID));
    expect(queueErrorInfo(bench, 3)).toBe(3);
  });

  test('6.5.2.6 with PASID: in scalable mode only, GI is all PASIDs', () => {
    const asked: DeviceTlbInvalidation[] = [];
    const invalidateDeviceTlb = (request: DeviceTlbInvalidation) => asked.push(request) > 0;
    const bench = new ScalableBench({ ecap: { DT: 1 }, invalidateDeviceTlb }).startScalable();
    bench.queue(
      [8n | (0x1234n << 16n) | (0xabcden << 32n), 0x5000n],
      [8n | (0x1234n << 16n), (1n << 11n) | 1n | 0x6000n],
    );
    expect(asked.map(({ sid, pasid, address, size }) => [sid, pasid, address, size])).toEqual([
      [0x1234, 0xabcde, 0x5000n, 0x1000n],
      [0x1234, -2, 0x6000n, 0x2000n],
    ]);
    const { bench: old } = atOnce();
    old.submit([8n, 0n]);
    expect(queueErrorInfo(old, 3)).toBe(3);
  });
});

describe('6.5.2.11 time-out, at once', () => {
  test('ITE and ITESID are set, the head stays behind the descriptor, the wait is not fetched until ITE is cleared', () => {
    const { bench } = atOnce(false);
    bench.write32(REG.FECTL, 0);
    bench.submit(deviceTlbInv(0x1234), done());
    expect(bench.read32(REG.FSTS)).toBe(FSTS.ITE);
    expect(bench.read64(REG.IQERCD)).toBe(0x1234n << 32n);
    expect(bench.read32(REG.IQH)).toBe(16);
    expect(bench.peek(STATUS)).toBe(0n);
    expect(bench.messages).toHaveLength(1);
    bench.submit(deviceTlbInv(0x5678));
    expect(bench.read32(REG.IQH)).toBe(16);
    bench.write32(REG.FSTS, FSTS.ITE);
    bench.run();
    expect(bench.peek(STATUS)).toBe(1n);
    // The second one has timed out now.
    expect(bench.read64(REG.IQERCD)).toBe(0x5678n << 32n);
  });
});

describe('4.3 a completion that nobody waits for', () => {
  test('ICE and ICESID are set, the first one stays; the queue goes on; nothing while remapping is off', () => {
    const { bench } = atOnce();
    bench.write32(REG.FECTL, 0);
    bench.unit.unexpectedCompletion(0x1234);
    bench.unit.unexpectedCompletion(0x5678);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.ICE);
    expect(bench.read64(REG.IQERCD)).toBe(0x1234n << 48n);
    expect(bench.messages).toHaveLength(1);
    bench.submit(done());
    expect(bench.peek(STATUS)).toBe(1n);
    bench.write32(REG.FSTS, FSTS.ICE);
    expect(bench.read32(REG.FSTS)).toBe(0);
    const off = new Bench({ ecap: { DT: 1 } });
    off.unit.unexpectedCompletion(0x1234);
    expect(off.read32(REG.FSTS)).toBe(0);
  });
});

/** A unit in steps, and a device with ATS. */
function inSteps(options = {}) {
  const bench = new Bench({ ecap: { DT: 1 }, dmaSlots: 3, atcEntries: 4, itags: 1, ...options });
  const tree = bench.tree();
  bench.attach(SID, tree, 5);
  bench.poke(CONTEXT + BigInt(SID * 16), tree.top | 5n);
  bench.map(tree, IOVA, PAGE | 3n);
  bench.start().startQueue();
  bench.machine?.dma.requesters.push({ name: 'nic', sid: SID, did: 5, ats: true });
  return { bench, tree };
}

/** Descriptors are put where they belong; nothing steps. */
function post(bench: Bench, ...descriptors: readonly (readonly [bigint, bigint])[]): void {
  let tail = bench.read32(REG.IQT);
  for (const [lo, hi] of descriptors) {
    bench.poke(QUEUE + BigInt(tail), lo);
    bench.poke(QUEUE + BigInt(tail) + 8n, hi);
    tail += 16;
  }
  bench.write32(REG.IQT, tail);
}

const agentsOf = ({ unit }: Bench) => ({ queue: unit.agents[0], itag: unit.agents[2] });
const marks = (bench: Bench, flight: Flight) => bench.machine?.dma.get(flight.slot, SLOT.flags) ?? 0;
const atc = (bench: Bench) => bench.machine?.dma.ats?.describe() ?? [];

describe('4.1 a device with ATS, in steps', () => {
  test('it asks, keeps the answer, goes to the address; the next request is served by the cache, or the entry is gone', () => {
    const { bench } = inSteps();
    const first = bench.issue(SID, IOVA, WRITE);
    expect(first.walk()).toBe(true);
    expect([first.page, marks(bench, first) & MARK.direct]).toEqual([PAGE, MARK.direct]);
    expect(atc(bench)).toEqual(['ATC of nic: IOVA 0x400000 -> 0x80000']);
    const hit = bench.issue(SID, IOVA + 8n, READ);
    expect(hit.choices).toBe(2);
    hit.step();
    expect(marks(bench, hit) & MARK.direct).toBe(MARK.direct);
    const miss = bench.issue(SID, IOVA, READ);
    miss.step((choices) => choices - 1);
    expect(marks(bench, miss) & MARK.asks).toBe(MARK.asks);
    expect(atc(bench)).toEqual([]);
  });

  test('a request for which there is no right is over, and no fault is recorded', () => {
    const { bench, tree } = inSteps();
    bench.map(tree, IOVA, PAGE | 1n);
    expect(bench.issue(SID, IOVA, WRITE).walk()).toBe(false);
    expect(bench.recordedReason()).toBe(0);
    expect(bench.issue(SID, IOVA, READ).walk()).toBe(true);
  });

  test('LCT.5: both kinds are blocked when the context entry does not allow them any more', () => {
    const { bench, tree } = inSteps();
    expect(bench.issue(SID, IOVA).walk()).toBe(true);
    bench.poke(CONTEXT + BigInt(SID * 16), tree.top | 1n);
    bench.submit([0x11n, 0n], iotlbInv({ g: 1 }));
    const direct = bench.issue(SID, IOVA);
    direct.step();
    expect(direct.walk()).toBe(false);
    expect([bench.recordedReason(), (bench.read32(REG.FRCD + 12) >>> 28) & 3]).toEqual([0xd, 2]);
    // 11.4.7.6: FI is the address as it was sent, the translated one.
    expect(bench.read64(REG.FRCD) & ~0xfffn).toBe(PAGE);
    bench.clearFaults();
    expect(bench.issue(SID, IOVA).walk((choices) => choices - 1)).toBe(false);
    expect([bench.recordedReason(), (bench.read32(REG.FRCD + 12) >>> 28) & 3]).toEqual([0xd, 1]);
  });

  test('LCT.5: a translation that the IOTLB has answers only where the context entry is known to allow it', () => {
    const { bench, tree } = inSteps();
    expect(bench.issue(SID, IOVA).walk()).toBe(true);
    bench.poke(CONTEXT + BigInt(SID * 16), tree.top | 1n);
    // The context cache alone: software has forgotten the IOTLB.
    bench.submit([0x11n, 0n]);
    bench.machine?.dma.ats?.invalidate({ sid: SID, pasid: -1, vpnHi: 0, vpnLo: 0, am: 52 });
    const asks = bench.issue(SID, IOVA);
    asks.step();
    expect(asks.choices).toBe(1);
    expect(asks.walk()).toBe(false);
    expect(bench.recordedReason()).toBe(0xd);
  });

  test('6.5.2.5 an IOTLB invalidation leaves the device what it has; a device-TLB invalidation takes what overlaps, and no more', () => {
    const { bench, tree } = inSteps();
    bench.map(tree, IOVA + 0x1000n, (PAGE + 0x1000n) | 3n);
    for (const iova of [IOVA, IOVA + 0x1000n]) bench.issue(SID, iova).walk();
    bench.submit(iotlbInv({ g: 1, dr: 1, dw: 1 }), done());
    expect([atc(bench).length, bench.peek(STATUS)]).toEqual([2, 1n]);
    const { dma } = bench.machine as NonNullable<Bench['machine']>;
    for (let i = 0; i < dma.slots; i++) if (dma.agents[i].choices() > 0) dma.agents[i].step(0);
    bench.submit(deviceTlbInv(SID + 1, IOVA), done(2n));
    expect(bench.read32(REG.FSTS)).toBe(FSTS.ITE);
    bench.write32(REG.FSTS, FSTS.ITE);
    bench.submit(deviceTlbInv(SID, IOVA), done(3n));
    expect(atc(bench)).toEqual(['ATC of nic: IOVA 0x401000 -> 0x81000']);
    expect(bench.peek(STATUS)).toBe(3n);
  });

  test('6.5.4 a translated request is drained by the device-TLB invalidation, not by the IOTLB’s', () => {
    const { bench } = inSteps();
    const flight = bench.issue(SID, IOVA, WRITE);
    flight.walk();
    bench.submit(iotlbInv({ g: 1, dr: 1, dw: 1 }), done());
    expect(bench.peek(STATUS)).toBe(1n);
    bench.submit(deviceTlbInv(SID, IOVA), done(2n));
    expect(bench.peek(STATUS)).toBe(1n);
    flight.perform();
    bench.run();
    expect(bench.peek(STATUS)).toBe(2n);
  });

  test('a translation that is invalidated on its way to the device is not kept, and is waited for', () => {
    const { bench } = inSteps();
    const flight = bench.issue(SID, IOVA, READ);
    while ((marks(bench, flight) & MARK.answered) === 0) flight.step();
    post(bench, deviceTlbInv(SID, IOVA), done());
    bench.run();
    expect(bench.peek(STATUS)).toBe(0n);
    flight.walk();
    expect(atc(bench)).toEqual([]);
    flight.perform();
    bench.run();
    expect(bench.peek(STATUS)).toBe(1n);
  });
});

describe('6.5.2.11, 6.5.2.12 the queue, in steps', () => {
  test('4.3 without a free ITag the descriptor is put off', () => {
    const { bench } = inSteps();
    const { queue, itag } = agentsOf(bench);
    post(bench, deviceTlbInv(SID), deviceTlbInv(SID));
    queue?.step(0);
    expect(queue?.choices()).toBe(0);
    itag?.step(0);
    expect(queue?.choices()).toBe(0);
    itag?.step(0);
    expect([queue?.choices(), itag?.choices()]).toEqual([1, 0]);
  });

  test('6.5.2.12 it is not sent before IOTLB invalidations ahead of it are complete', () => {
    const { bench } = inSteps();
    const { queue } = agentsOf(bench);
    const flight = bench.issue(SID, IOVA);
    for (let i = 0; i < 5; i++) flight.step();
    expect(flight.state).toBe('translating');
    post(bench, iotlbInv({ g: 1 }), deviceTlbInv(SID));
    queue?.step(0);
    expect(queue?.choices()).toBe(0);
    while (flight.state === 'translating') flight.step();
    expect(queue?.choices()).toBe(1);
  });

  test('a wait that is pending when the time runs out is never completed, and what is behind it is executed once ITE is cleared', () => {
    const { bench } = inSteps({ deviceTlbTimesOut: true });
    const { queue, itag } = agentsOf(bench);
    post(bench, deviceTlbInv(SID), done(1n));
    queue?.step(0);
    queue?.step(0);
    expect([bench.read32(REG.IQH), queue?.choices(), itag?.choices()]).toEqual([32, 0, 2]);
    itag?.step(1);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.ITE);
    expect(Number(bench.read64(REG.IQERCD) >> 32n)).toBe(SID);
    post(bench, done(2n));
    expect(bench.run()).toBe(0);
    bench.write32(REG.FSTS, FSTS.ITE);
    bench.run();
    expect(bench.peek(STATUS)).toBe(2n);
  });

  test('steps that are left fall with each step of the unit, the device and the request', () => {
    const { bench } = inSteps({ deviceTlbTimesOut: true });
    const { dma } = bench.machine as NonNullable<Bench['machine']>;
    const all = [...bench.unit.agents, ...dma.agents];
    const left = () => all.reduce((sum, agent) => sum + (agent.left?.() ?? Number.NaN), 0);
    bench.issue(SID, IOVA);
    bench.issue(SID, IOVA, WRITE);
    post(bench, deviceTlbInv(SID, IOVA), done(), deviceTlbInv(SID + 1), done(2n));
    let steps = 0;
    for (let before = left(); ; before = left()) {
      const ready = all.filter((agent) => agent.choices() > 0);
      if (ready.length === 0) break;
      ready[steps % ready.length]?.step(0);
      expect(left()).toBeLessThan(before);
      steps++;
    }
    expect(steps).toBeGreaterThan(15);
  });
});
