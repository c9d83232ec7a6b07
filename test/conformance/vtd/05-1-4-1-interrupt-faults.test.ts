import { describe, expect, test } from 'vitest';
import { entry, InterruptBench, IRE, remappable } from './interrupt-bench.ts';
import { READ, REG, TE } from './unit.ts';

const SID = 0x0310;
const INDEX = 5;

const remapping = (options = {}, besides = 0) => new InterruptBench(options).remap(besides);

/** A unit with one entry, at {@link INDEX}. */
function withEntry(of: Parameters<typeof entry>[0], options = {}): InterruptBench {
  const bench = remapping(options);
  bench.setEntry(INDEX, entry(of));
  return bench;
}

describe('5.1.4.1 faults', () => {
  const QUALIFIED = [
    [0x22, { p: 0, fpd: 1 }],
    [0x24, { dlm: 3, fpd: 1 }],
    [0x26, { svt: 1, sid: SID + 1, fpd: 1 }],
  ] as const;

  test.each(QUALIFIED)('FPD: reason %i is not recorded', (fault, fields) => {
    const bench = withEntry(fields);
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault });
    expect(bench.record()).toBeNull();
    expect(bench.read32(REG.FSTS)).toBe(0);
    bench.setEntry(INDEX, entry({ ...fields, fpd: 0 }));
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault });
    expect(bench.record()?.reason).toBe(fault);
  });

  test('what is not qualified is recorded, though an entry with FPD was used before', () => {
    const bench = withEntry({ p: 0, fpd: 1 });
    const cases = [
      [remappable(INDEX, 1), 0x10000, 0x20],
      [remappable(256), 0, 0x21],
      [0xfee00000, 0, 0x25],
    ] as const;
    for (const [address, data, fault] of cases) {
      bench.interrupt(SID, remappable(INDEX));
      expect(bench.interrupt(SID, address, data)).toEqual({ fault });
      expect(bench.recordedReason()).toBe(fault);
      bench.write32(REG.GCMD, 0);
      bench.clearFaults();
      bench.write32(REG.GCMD, IRE);
    }
  });

  test('5.1.4 the order: present, requester, contents', () => {
    const [lo, hi] = entry({ svt: 1, sid: SID + 1, dlm: 3 });
    const bench = remapping();
    bench.setEntry(INDEX, [lo & ~1n, hi]);
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x22 });
    bench.setEntry(INDEX, [lo, hi]);
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x26 });
    expect(bench.interrupt(SID + 1, remappable(INDEX))).toEqual({ fault: 0x24 });
    bench.setEntry(INDEX, entry({ svt: 1, sid: SID + 1 }));
    expect(bench.interrupt(SID + 1, remappable(INDEX))).toMatchObject({ data: 0x4000 });
  });

  test('5.1.4 the order: reserved data, then the index, then the table', () => {
    const bench = remapping();
    bench.setTable(0x100000n);
    expect(bench.interrupt(SID, remappable(256, 1), 0x10000)).toEqual({ fault: 0x20 });
    expect(bench.interrupt(SID, remappable(256, 1), 0)).toEqual({ fault: 0x21 });
    expect(bench.interrupt(SID, remappable(255, 1), 0)).toEqual({ fault: 0x23 });
  });

  test('7.2.1 they share records, overflow and the fault event with those of addresses', () => {
    const bench = remapping({ cap: { NFR: 1 } });
    bench.write32(REG.FEADDR, 0xfee00000);
    bench.write32(REG.FEDATA, 0x33);
    bench.write32(REG.FECTL, 0);
    bench.write32(REG.GCMD, IRE | TE);
    expect(bench.interrupt(SID, remappable(1))).toEqual({ fault: 0x22 });
    expect(bench.messages).toEqual([[0, 0xfee00000, 0x33]]);
    expect(bench.translate(SID, 0x5000n, READ)).toMatchObject({ fault: 1 });
    expect(bench.record(0)).toEqual({ reason: 0x22, sid: SID, fi: 1n << 48n, type: 0 });
    expect(bench.record(1)).toEqual({ reason: 1, sid: SID, fi: 0x5000n, type: 2 });
    expect(bench.interrupt(SID, remappable(2))).toEqual({ fault: 0x22 });
    expect(bench.read32(REG.FSTS) & 3).toBe(3);
    expect(bench.messages.length).toBe(1);
  });

  test('5.1.6, 7.3 the unit’s own message is not remapped', () => {
    const bench = remapping();
    bench.write32(REG.FEADDR, remappable(INDEX) & ~3);
    bench.write32(REG.FECTL, 0);
    bench.interrupt(SID, 0xfee00000);
    expect(bench.messages).toEqual([[0, remappable(INDEX), 0]]);
  });
});

describe('5.1.4.1 0x29: what goes to the interrupt range and is no interrupt', () => {
  test.each([
    ['a read', 1, true],
    ['an AtomicOp', 3, true],
    ['a longer write', 10, true],
    ['a zero-length read', 4, false],
    ['a write of one DWORD', 2, false],
  ])('%s', (_, kind, refused) => {
    for (const [gcmd, on] of [
      [IRE, true],
      [IRE | TE, true],
      [TE, true],
      [0, false],
    ] as const) {
      const bench = new InterruptBench();
      bench.setTable();
      bench.write32(REG.GCMD, gcmd);
      const outcome = bench.request(SID, 0xfee12000n, kind);
      if (refused && on) expect(outcome).toEqual({ fault: 0x29 });
      else expect(outcome).toEqual({ page: 0xfee12000n });
      expect(bench.record()?.reason ?? 0).toBe(refused && on ? 0x29 : 0);
    }
  });

  test.each([0xfedff000n, 0xfef00000n, 0x1_fee00000n, 0x80000000_fee00000n])('%s is not in the range', (iova) => {
    const bench = remapping();
    expect(bench.request(SID, iova, READ)).toEqual({ page: iova });
  });
});
