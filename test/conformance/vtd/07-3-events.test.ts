import { describe, expect, test } from 'vitest';
import { Bench, FSTS, ON_QEMU, REG, wait } from './unit.ts';

const IM = 0x8000_0000;
const IP = 0x4000_0000;

/** A unit with translation and queue on, whose messages are programmed; masked as after reset. */
function scene(): Bench {
  // QEMU has one record, which most of these tests can do with.
  const bench = new Bench({ cap: { NFR: 3 } }, {}).start().startQueue();
  bench.write32(REG.FEDATA, 0xabcd4021);
  bench.write32(REG.FEADDR, 0xfee01007);
  bench.write32(REG.FEUADDR, 0x123);
  bench.write32(REG.IEDATA, 0x4022);
  bench.write32(REG.IEADDR, 0xfee02000);
  bench.write32(REG.IEUADDR, 0x456);
  return bench;
}

/** A unit without extended interrupt mode may have no upper address (11.4.7.5, 11.4.9.8), as QEMU’s. */
const [UPPER_FAULT, UPPER_INVALIDATION] = ON_QEMU ? [0, 0] : [0x123, 0x456];
const FAULT_MESSAGE = [UPPER_FAULT, 0xfee01004, 0x4021];
const INVALIDATION_MESSAGE = [UPPER_INVALIDATION, 0xfee02000, 0x4022];
const fault = (bench: Bench, sid = 8) => bench.translate(sid, 0x1000n);
const queueError = (bench: Bench) => bench.submit([0n, 0n]);

describe('11.4.7.2-5 the registers', () => {
  test.each([
    ['11.4.7.2 FECTL: IM is set after reset', REG.FECTL, IM],
    ['11.4.9.5 IECTL: IM is set after reset', REG.IECTL, IM],
  ])('%s, IP is read-only', (_, offset, reset) => {
    const bench = new Bench();
    expect(bench.read32(offset)).toBe(reset);
    bench.write32(offset, -1);
    expect(bench.read32(offset)).toBe(IM);
    bench.write32(offset, 0x7fffffff);
    expect(bench.read32(offset)).toBe(0);
    expect(bench.messages).toEqual([]);
  });

  test.each([
    ['FEDATA', REG.FEDATA, 0xffff],
    ['FEADDR', REG.FEADDR, 0xfffffffc],
    ['FEUADDR', REG.FEUADDR, 0xffffffff],
    ['IEDATA', REG.IEDATA, 0xffff],
    ['IEADDR', REG.IEADDR, 0xfffffffc],
    ['IEUADDR', REG.IEUADDR, 0xffffffff],
  ])('11.4.7.3-5, 11.4.9.6-8 %s: reserved bits are not kept', (_, offset, kept) => {
    const bench = new Bench();
    bench.write32(offset, -1);
    expect(bench.read32(offset)).toBe(kept);
  });
});

describe('7.3 the fault event', () => {
  test.each([
    ['a recorded fault', fault],
    ['a queue error', queueError],
  ])('7.3 %s is told once, by the message that is programmed', (_, happens) => {
    const bench = scene();
    bench.write32(REG.FECTL, 0);
    happens(bench);
    expect(bench.messages).toEqual([FAULT_MESSAGE]);
    expect(bench.read32(REG.FECTL)).toBe(0);
  });

  test.each([
    ['a recorded fault', fault],
    ['a queue error', queueError],
  ])('7.3 %s while IM is set is held pending, and told when IM is cleared', (_, happens) => {
    const bench = scene();
    happens(bench);
    expect(bench.messages).toEqual([]);
    expect(bench.read32(REG.FECTL) >>> 0).toBe((IM | IP) >>> 0);
    bench.write32(REG.FECTL, IM);
    expect(bench.messages).toEqual([]);
    bench.write32(REG.FECTL, 0);
    expect(bench.messages).toEqual([FAULT_MESSAGE]);
    expect(bench.read32(REG.FECTL)).toBe(0);
    bench.write32(REG.FECTL, IM);
    bench.write32(REG.FECTL, 0);
    expect(bench.messages).toHaveLength(1);
  });

  test('7.3 a write to FECTL that does not carry IM sends nothing', () => {
    const bench = scene();
    fault(bench);
    bench.unit.write(REG.FECTL, 3, 0, 0);
    expect(bench.messages).toEqual([]);
    bench.unit.write(REG.FECTL + 3, 1, 0, 0);
    expect(bench.messages).toEqual([FAULT_MESSAGE]);
  });

  test.each([
    ['a second fault', fault, fault],
    ['a fault behind a queue error', queueError, fault],
    ['a queue error behind a fault', fault, queueError],
  ])('7.3 no event while another is not serviced: %s', (_, first, second) => {
    const bench = scene();
    bench.write32(REG.FECTL, 0);
    first(bench);
    second(bench);
    expect(bench.messages).toHaveLength(1);
    bench.write32(REG.FECTL, IM);
    bench.write32(REG.FECTL, 0);
    expect(bench.messages).toHaveLength(1);
  });

  test('7.3 PFO alone is unserviced too: a queue error behind it is not told', () => {
    const bench = scene();
    bench.write32(REG.FECTL, 0);
    for (let i = 0; i < 5; i++) fault(bench, i);
    for (let i = 0; i < 4; i++) bench.write32(REG.FRCD + 16 * i + 12, IM);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PFO);
    queueError(bench);
    expect(bench.messages).toHaveLength(1);
  });

  test('7.3 when everything is serviced the next one is told again', () => {
    const bench = scene();
    bench.write32(REG.FECTL, 0);
    fault(bench);
    bench.clearFaults();
    expect(bench.read32(REG.FSTS)).toBe(0);
    queueError(bench);
    expect(bench.messages).toEqual([FAULT_MESSAGE, FAULT_MESSAGE]);
  });

  test('7.3 IP is cleared when all status is serviced, and not before', () => {
    const bench = scene();
    fault(bench, 1);
    fault(bench, 2);
    queueError(bench);
    bench.write32(REG.FRCD + 12, IM);
    expect(bench.read32(REG.FECTL) & IP).toBe(IP);
    bench.write32(REG.FRCD + 28, IM);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    expect(bench.read32(REG.FECTL) & IP).toBe(IP);
    bench.write32(REG.IQT, 0);
    bench.write32(REG.FSTS, FSTS.IQE);
    expect(bench.read32(REG.FECTL) & IP).toBe(0);
    bench.write32(REG.FECTL, 0);
    expect(bench.messages).toEqual([]);
  });

  test('7.3 the same by clearing the last F bit', () => {
    const bench = scene();
    fault(bench);
    bench.write32(REG.FRCD + 12, IM);
    expect(bench.read32(REG.FECTL)).toBe(IM);
  });

  test('7.1.3 a fault that FPD keeps from being recorded is not told', () => {
    const bench = scene();
    bench.write32(REG.FECTL, 0);
    bench.setContext(8, 2n, 0n);
    expect(fault(bench)).toEqual({ fault: 0x2 });
    expect(bench.messages).toEqual([]);
    expect(bench.read32(REG.FECTL)).toBe(0);
  });
});

describe('6.5.2.10 the invalidation completion event', () => {
  test('6.5.2.10 a wait with IF: IWC is set and the message sent', () => {
    const bench = scene();
    bench.write32(REG.IECTL, 0);
    bench.submit(wait({ flag: 1 }));
    expect(bench.read32(REG.ICS)).toBe(1);
    expect(bench.messages).toEqual([INVALIDATION_MESSAGE]);
    expect(bench.read32(REG.IECTL)).toBe(0);
  });

  test('6.5.2.10 a wait without IF: neither', () => {
    const bench = scene();
    bench.write32(REG.IECTL, 0);
    bench.submit(wait({}));
    expect(bench.read32(REG.ICS)).toBe(0);
    expect(bench.messages).toEqual([]);
  });

  test('6.5.2.10 with IM set it is held pending and sent when IM is cleared', () => {
    const bench = scene();
    bench.submit(wait({ flag: 1 }));
    expect(bench.messages).toEqual([]);
    expect(bench.read32(REG.IECTL) >>> 0).toBe((IM | IP) >>> 0);
    bench.write32(REG.IECTL, 0);
    expect(bench.messages).toEqual([INVALIDATION_MESSAGE]);
    expect(bench.read32(REG.IECTL)).toBe(0);
  });

  test('6.5.2.10 while IWC is set no second one is sent, when it was cleared it is', () => {
    const bench = scene();
    bench.write32(REG.IECTL, 0);
    bench.submit(wait({ flag: 1 }), wait({ flag: 1 }));
    expect(bench.messages).toHaveLength(1);
    bench.write32(REG.ICS, 1);
    bench.submit(wait({ flag: 1 }));
    expect(bench.messages).toHaveLength(2);
  });

  test('6.5.2.10 clearing IWC clears IP', () => {
    const bench = scene();
    bench.submit(wait({ flag: 1 }));
    bench.write32(REG.ICS, 0);
    expect(bench.read32(REG.IECTL) & IP).toBe(IP);
    bench.write32(REG.ICS, 1);
    expect(bench.read32(REG.IECTL)).toBe(IM);
    bench.write32(REG.IECTL, 0);
    expect(bench.messages).toEqual([]);
  });

  test('6.5.2.10 the status is written before the message is sent', () => {
    const bench = scene();
    bench.write32(REG.IECTL, 0);
    const seen: bigint[] = [];
    bench.watchMessages(() => seen.push(bench.peek(0x20000n)));
    bench.submit(wait({ flag: 1, sw: 1, data: 0x77n, addr: 0x20000n }));
    expect(seen).toEqual([0x77n]);
  });

  test('the two events are told apart', () => {
    const bench = scene();
    bench.write32(REG.FECTL, 0);
    bench.submit(wait({ flag: 1 }));
    expect(bench.messages).toEqual([]);
    fault(bench);
    expect(bench.messages).toEqual([FAULT_MESSAGE]);
    expect(bench.read32(REG.IECTL) & IP).toBe(IP);
  });
});
