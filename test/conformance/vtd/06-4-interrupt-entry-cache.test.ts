import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../../src/iommu/vtd/index.ts';
import type { InterruptBenchOptions } from './interrupt-bench.ts';
import { entry, InterruptBench, IRE, iecInv, remappable } from './interrupt-bench.ts';
import type { Descriptor } from './unit.ts';
import { FSTS, queueErrorInfo, Random, REG, STATUS, wait } from './unit.ts';

const SID = 0x18;
const OLD = { address: 0xfee00000n, data: 0x4011 };
const NEW = { address: 0xfee00000n, data: 0x4022 };
const GLOBAL = iecInv(0);
const DONE = wait({ sw: 1, data: 0xd01en, addr: STATUS });

const isDone = (bench: InterruptBench) => bench.peek(STATUS) === 0xd01en;

/** Entries of some indexes were used and then changed behind the unit's back. */
function stale(indexes: readonly number[] = [5], options: InterruptBenchOptions = {}): InterruptBench {
  const bench = new InterruptBench({ caches: { interrupts: 64 }, ...options }).remap();
  bench.startQueue();
  bench.write32(REG.GCMD, IRE | (1 << 26));
  for (const index of indexes) {
    bench.setEntry(index, entry({ vector: 0x11 }));
    expect(bench.interrupt(SID, remappable(index))).toEqual(OLD);
    bench.setEntry(index, entry({ vector: 0x22 }));
  }
  return bench;
}

/** Of the indexes, those that serve as they were. */
const staleOf = (bench: InterruptBench, indexes: readonly number[]) =>
  indexes.filter((index) => {
    const outcome = bench.interrupt(SID, remappable(index));
    return 'data' in outcome && outcome.data === OLD.data;
  });

describe('6.4 the interrupt entry cache', () => {
  test('6.4 an entry may be kept until it is invalidated', () => {
    const bench = stale();
    expect(bench.interrupt(SID, remappable(5))).toEqual(OLD);
    expect(bench.unit.interruptCache?.describe()).toEqual(['interrupt entry cache: index 5, 0x0:0x110001']);
    bench.submit(GLOBAL);
    expect(bench.unit.interruptCache?.describe()).toEqual([]);
    expect(bench.interrupt(SID, remappable(5))).toEqual(NEW);
  });

  test('6.4 it is found by the index, however the request says it', () => {
    const bench = stale();
    expect(bench.interrupt(SID, remappable(2, 1), 3)).toEqual(OLD);
    expect(bench.interrupt(SID, remappable(4))).toEqual({ fault: 0x22 });
  });

  test('6.4 a cached entry is subject to the check of the requester', () => {
    const bench = new InterruptBench().remap();
    bench.setEntry(5, entry({ vector: 0x11, svt: 1, sid: SID }));
    expect(bench.interrupt(SID, remappable(5))).toEqual(OLD);
    expect(bench.interrupt(SID + 8, remappable(5))).toEqual({ fault: 0x26 });
    expect(bench.record()?.sid).toBe(SID + 8);
    // At once nothing is refused that the table in memory grants.
    bench.setEntry(5, entry({ vector: 0x22, svt: 1, sid: SID + 8 }));
    expect(bench.interrupt(SID + 8, remappable(5))).toEqual(NEW);
  });

  test.each([0, 1])('6.4 CAP.CM = %i: what led to a fault is not kept, at once', (CM) => {
    const bench = new InterruptBench({ cap: { CM } }).remap();
    for (const fields of [{ p: 0 }, { dlm: 3 }, { svt: 1, sid: SID + 1 }]) {
      bench.setEntry(5, entry(fields));
      expect(bench.interrupt(SID, remappable(5))).toHaveProperty('fault');
      bench.setEntry(5, entry({ vector: 0x22 }));
      expect(bench.interrupt(SID, remappable(5))).toEqual(NEW);
      bench.unit.interruptCache?.cache.dropAll();
    }
  });

  test('6.7 SIRTP: kept with CAP.ESIRTPS = 0, dropped with 1', () => {
    for (const ESIRTPS of [0, 1]) {
      const bench = stale([5], { cap: { ESIRTPS } });
      bench.setTable();
      expect(staleOf(bench, [5])).toEqual(ESIRTPS === 0 ? [5] : []);
    }
  });

  test('11.4.4.1 IRE = 0: kept with CAP.ESIRTPS = 0, dropped with 1', () => {
    for (const ESIRTPS of [0, 1]) {
      const bench = stale([5], { cap: { ESIRTPS } });
      bench.write32(REG.GCMD, 0);
      bench.write32(REG.GCMD, IRE);
      expect(staleOf(bench, [5])).toEqual(ESIRTPS === 0 ? [5] : []);
    }
  });

  test('6.7 another table: entries of the old one serve until they are invalidated', () => {
    const bench = stale();
    bench.setTable(0x48000n);
    bench.setEntry(5, entry({ vector: 0x22 }), 0x48000n);
    expect(bench.interrupt(SID, remappable(5))).toEqual(OLD);
    bench.submit(GLOBAL);
    expect(bench.interrupt(SID, remappable(5))).toEqual(NEW);
  });

  test('a full cache replaces: 1000 indexes in four entries, and in four sets', () => {
    for (const caches of [{ interrupts: 4 }, { interrupts: 16, interruptSets: 4 }]) {
      const bench = new InterruptBench({ caches, size: 9 }).remap();
      for (let index = 0; index < 1000; index++) bench.setEntry(index, entry({ vector: index & 0xff }));
      for (let round = 0; round < 2; round++) {
        for (let index = 0; index < 1000; index++)
          expect(bench.interrupt(SID, remappable(index))).toMatchObject({ data: 0x4000 | (index & 0xff) });
      }
    }
  });

  test('QEMU’s profile keeps none', () => {
    const profile = PROFILES.find(({ name }) => name === 'qemu-10');
    if (profile === undefined) throw new Error('no such profile');
    const bench = new InterruptBench({ profile }).remap();
    bench.setEntry(5, entry({ vector: 0x11 }));
    expect(bench.interrupt(SID, remappable(5))).toEqual(OLD);
    bench.setEntry(5, entry({ vector: 0x22 }));
    expect(bench.interrupt(SID, remappable(5))).toEqual(NEW);
  });
});

describe('6.5.2.8 the interrupt entry cache invalidate descriptor', () => {
  const INDEXES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 31, 32, 127, 128, 200, 255];

  test.each([
    [0, 0],
    [5, 0],
    [5, 1],
    [4, 1],
    [6, 2],
    [5, 3],
    [16, 4],
    [31, 5],
    [200, 7],
    [0, 8],
    [0xffff, 0],
    [0x100, 7],
    [0x7fff, 15],
  ])('index %i, IM %i: the aligned block', (index, mask) => {
    const bench = stale(INDEXES);
    bench.submit(iecInv(1, index, mask), DONE);
    expect(isDone(bench)).toBe(true);
    expect(staleOf(bench, INDEXES)).toEqual(INDEXES.filter((one) => one >> mask !== index >> mask));
  });

  test('global: index and mask are ignored', () => {
    const bench = stale(INDEXES, { ecap: { MHMV: 3 } });
    bench.submit(iecInv(0, 0x7777, 31), DONE);
    expect(isDone(bench)).toBe(true);
    expect(staleOf(bench, INDEXES)).toEqual([]);
  });

  test.each([
    [0, 0, true],
    [0, 1, false],
    [7, 7, true],
    [7, 8, false],
    [15, 15, true],
    [15, 16, false],
    [15, 31, false],
  ])('ECAP.MHMV %i: IM %i', (MHMV, mask, valid) => {
    const bench = stale([5], { ecap: { MHMV } });
    bench.submit(iecInv(1, 5, mask), DONE);
    expect(isDone(bench)).toBe(valid);
    expect(bench.read32(REG.FSTS)).toBe(valid ? 0 : FSTS.IQE);
    expect(queueErrorInfo(bench, valid ? 0 : 4)).toBe(valid ? 0 : 4);
    expect(staleOf(bench, [5])).toEqual(valid ? [] : [5]);
  });

  const RESERVED = [
    5,
    6,
    7,
    8,
    ...Array.from({ length: 15 }, (_, i) => 12 + i),
    ...Array.from({ length: 16 }, (_, i) => 48 + i),
  ];
  test.each(RESERVED)('bit %i is reserved: invalidation queue error 4', (bit) => {
    const bench = stale();
    const [lo, hi] = iecInv(1, 5);
    bench.submit([lo | (1n << BigInt(bit)), hi], DONE);
    expect([bench.read32(REG.FSTS), queueErrorInfo(bench, 4), isDone(bench)]).toEqual([FSTS.IQE, 4, false]);
    expect(bench.read32(REG.IQH)).toBe(0);
  });

  test.each(Array.from({ length: 64 }, (_, i) => i))('bit 64 + %i is reserved', (bit) => {
    const bench = stale();
    const bad: Descriptor = [iecInv(0)[0], 1n << BigInt(bit)];
    bench.submit(bad);
    expect([bench.read32(REG.FSTS), queueErrorInfo(bench, 4)]).toEqual([FSTS.IQE, 4]);
  });

  test.each([9, 10, 11])('bit %i makes it another type: error 3', (bit) => {
    const bench = stale();
    bench.submit([iecInv(0)[0] | (1n << BigInt(bit)), 0n]);
    expect([bench.read32(REG.FSTS), queueErrorInfo(bench, 3)]).toEqual([FSTS.IQE, 3]);
  });

  test('without ECAP.IR there is no such type', () => {
    const bench = new InterruptBench({ ecap: { IR: 0, EIM: 0, MHMV: 0 } });
    bench.startQueue();
    bench.submit(GLOBAL);
    expect([bench.read32(REG.FSTS), queueErrorInfo(bench, 3)]).toEqual([FSTS.IQE, 3]);
  });

  test('6.8 with CAP.RWBF the write buffers are flushed first', () => {
    for (const RWBF of [0, 1]) {
      const bench = stale([5], { cap: { RWBF } });
      const before = bench.flushes;
      bench.submit(GLOBAL);
      expect(bench.flushes - before).toBe(RWBF);
    }
  });

  test('6.5.1 registers do not invalidate it; nor do the context cache’s and the IOTLB’s descriptors', () => {
    const bench = stale();
    bench.submit([0x11n, 0n], [0x12n, 0n], DONE);
    expect(isDone(bench)).toBe(true);
    bench.write32(REG.GCMD, IRE);
    bench.flush();
    expect(staleOf(bench, [5])).toEqual([5]);
  });

  test('against a plain model: 20,000 random uses, changes and invalidations', () => {
    const random = new Random(64);
    const bench = new InterruptBench({ caches: { interrupts: 256 } }).remap();
    bench.startQueue();
    bench.write32(REG.GCMD, IRE | (1 << 26));
    const table = new Array<number>(256).fill(-1);
    const cached = new Array<number>(256).fill(-1);
    for (let i = 0; i < 20_000; i++) {
      const index = random.below(256);
      const kind = random.below(10);
      if (kind < 4) {
        table[index] = random.chance(20) ? -1 : random.below(256);
        bench.setEntry(index, entry({ p: table[index] < 0 ? 0 : 1, vector: Math.max(0, table[index] as number) }));
      } else if (kind < 9) {
        if (cached[index] === -1) cached[index] = table[index] as number;
        const want =
          cached[index] === -1 ? { fault: 0x22 } : { address: 0xfee00000n, data: 0x4000 | (cached[index] as number) };
        expect(bench.interrupt(SID, remappable(index))).toEqual(want);
      } else {
        const [g, mask] = [random.chance(80) ? 1 : 0, random.below(9)];
        bench.submit(iecInv(g, index, mask));
        for (let one = 0; one < 256; one++) if (g === 0 || one >> mask === index >> mask) cached[one] = -1;
      }
    }
  });
});

describe('6.4 in steps', () => {
  const CACHED = (bench: InterruptBench) => bench.unit.interruptCache?.describe().length;

  function scene(options: InterruptBenchOptions = {}): InterruptBench {
    const bench = new InterruptBench({ dmaSlots: 2, ...options }).remap();
    bench.setEntry(5, entry({ vector: 0x11 }));
    const flight = bench.send(SID, remappable(5));
    expect(flight.choices).toBe(1);
    flight.step();
    expect([flight.choices, CACHED(bench)]).toEqual([1, 0]);
    flight.step();
    expect([flight.state, CACHED(bench)]).toEqual(['translated', 1]);
    flight.perform();
    bench.setEntry(5, entry({ vector: 0x22 }));
    return bench;
  }

  test('a cached entry serves, or is gone: two ways', () => {
    for (const [choice, want] of [
      [0, OLD],
      [1, NEW],
    ] as const) {
      const bench = scene();
      const flight = bench.send(SID, remappable(5));
      expect(flight.choices).toBe(2);
      flight.step(() => choice);
      if (choice === 1) flight.step();
      flight.perform();
      expect(bench.arrived).toEqual([
        { sid: SID, ...OLD },
        { sid: SID, ...want },
      ]);
    }
  });

  test('a cached entry may refuse a requester that the table grants by now', () => {
    const bench = scene();
    bench.unit.interruptCache?.cache.dropAll();
    bench.setEntry(5, entry({ vector: 0x11, svt: 1, sid: SID }));
    bench.send(SID, remappable(5)).walk();
    bench.setEntry(5, entry({ vector: 0x22, svt: 1, sid: SID + 8 }));
    const refused = bench.send(SID + 8, remappable(5));
    expect(refused.walk(() => 0)).toBe(false);
    expect(bench.record()).toEqual({ reason: 0x26, sid: SID + 8, fi: 5n << 48n, type: 0 });
  });

  test.each([0, 1])('CAP.CM = %i: what led to a fault may be kept with 1 only', (CM) => {
    const bench = new InterruptBench({ dmaSlots: 2, cap: { CM } }).remap();
    for (const fields of [{ p: 0 }, { dlm: 3 }, { svt: 1, sid: SID + 1 }]) {
      bench.setEntry(5, entry(fields));
      expect(bench.send(SID, remappable(5)).walk()).toBe(false);
      bench.setEntry(5, entry({ vector: 0x22 }));
      expect(CACHED(bench)).toBe(CM);
      const next = bench.send(SID, remappable(5));
      expect(next.choices).toBe(1 + CM);
      expect(next.walk(() => 0)).toBe(CM === 0);
      if (CM === 0) next.perform();
      bench.unit.interruptCache?.cache.dropAll();
      bench.clearFaults();
    }
  });

  test('a fault without an entry is never kept', () => {
    const bench = new InterruptBench({ dmaSlots: 2, cap: { CM: 1 } }).remap();
    bench.setTable(0x100000n);
    expect(bench.send(SID, remappable(5)).walk()).toBe(false);
    expect(CACHED(bench)).toBe(0);
    expect(bench.record()?.reason).toBe(0x23);
  });

  test('a plain DMA write of one word to the range is an interrupt with data 0, and one of several is none (0x29)', () => {
    const bench = scene();
    bench.unit.interruptCache?.cache.dropAll();
    bench.setEntry(0, entry({ vector: 0x44 }));
    const write = bench.issue(SID, 0xfee00010n, 2);
    expect(write.walk()).toBe(true);
    write.perform();
    expect(bench.arrived.at(-1)).toEqual({ sid: SID, address: 0xfee00000n, data: 0x4044 });
    expect(bench.issue(SID, 0xfee00010n, 2, 2).walk()).toBe(false);
    expect(bench.record()?.reason).toBe(0x29);
  });

  test('at once, for cases that are run so', () => {
    const bench = scene();
    const { machine } = bench;
    if (machine === null) throw new Error('no machine');
    machine.dma.immediate = true;
    bench.send(SID, remappable(5));
    bench.send(SID, remappable(6));
    expect(bench.arrived.slice(1)).toEqual([{ sid: SID, ...OLD }]);
    expect(bench.record()?.reason).toBe(0x22);
    expect(machine.dma.hasFree()).toBe(true);
  });
});

test('a VMM is told which indexes may mean something else', () => {
  const told: [number, number][] = [];
  const bench = new InterruptBench({ interruptEntriesChanged: (first, count) => told.push([first, count]) });
  bench.remap();
  expect(told).toEqual([
    [0, 65536],
    [0, 65536],
  ]);
  bench.startQueue();
  told.length = 0;
  bench.submit(iecInv(1, 0x1235, 3), iecInv(1, 0xffff), iecInv(0), [0x12n, 0n]);
  expect(told).toEqual([
    [0x1230, 8],
    [0xffff, 1],
    [0, 65536],
  ]);
});
