import { describe, expect, test } from 'vitest';
import type { InterruptBenchOptions } from './interrupt-bench.ts';
import { CFI, entry, InterruptBench, IRE, iecInv, remappable, SIRTP } from './interrupt-bench.ts';
import type { Descriptor } from './unit.ts';
import { REG, STATUS, wait } from './unit.ts';

const SID = 0x18;
const OLD = { address: 0xfee00000n, data: 0x4011 };
const NEW = { address: 0xfee00000n, data: 0x4022 };
const GLOBAL = iecInv(0);
const DONE = wait({ sw: 1, data: 0xd01en, addr: STATUS });

const isDone = (bench: InterruptBench) => bench.peek(STATUS) === 0xd01en;

describe('6.5.5 draining of interrupts', () => {
  const inSteps = (besides = 0, options: InterruptBenchOptions = {}) => {
    const bench = new InterruptBench({ dmaSlots: 4, ...options }).remap(besides);
    bench.startQueue();
    bench.write32(REG.GCMD, IRE | besides | (1 << 26));
    bench.setEntry(5, entry({ vector: 0x11 }));
    bench.setEntry(6, entry({ vector: 0x66 }));
    return bench;
  };

  test.each([
    ['global', iecInv(0), true],
    ['its index', iecInv(1, 5), true],
    ['a block with its index', iecInv(1, 4, 1), true],
    ['another index', iecInv(1, 6), false],
    ['a block without its index', iecInv(1, 6, 1), false],
    ['a context-cache invalidation', [0x11n, 0n] as Descriptor, false],
    ['an IOTLB invalidation that drains', [0xd2n, 0n] as Descriptor, false],
    ['none: a wait alone', null, false],
  ])('%s: does the wait descriptor wait for an interrupt in flight?', (_, descriptor, waits) => {
    const bench = inSteps();
    const flight = bench.send(SID, remappable(5));
    expect(flight.walk()).toBe(true);
    bench.setEntry(5, entry({ vector: 0x22 }));
    bench.submit(...(descriptor === null ? [DONE] : [descriptor, DONE]));
    expect(isDone(bench)).toBe(!waits);
    flight.perform();
    expect(bench.arrived).toEqual([{ sid: SID, ...OLD }]);
    bench.run();
    expect(isDone(bench)).toBe(true);
  });

  test('one that has looked nothing up yet is not waited for, and is remapped by the new entry', () => {
    const bench = inSteps();
    const [unseen, looked] = [bench.send(SID, remappable(5)), bench.send(SID + 8, remappable(5))];
    looked.step();
    bench.setEntry(5, entry({ vector: 0x22 }));
    bench.submit(GLOBAL, DONE);
    expect(isDone(bench)).toBe(true);
    for (const flight of [unseen, looked]) {
      expect(flight.walk()).toBe(true);
      flight.perform();
    }
    expect(bench.arrived.map(({ data }) => data)).toEqual([NEW.data, NEW.data]);
  });

  test('one that passes in compatibility format is not waited for', () => {
    const bench = inSteps(CFI);
    const flight = bench.send(SID, 0xfee05000, 0x77);
    expect(flight.walk()).toBe(true);
    bench.submit(GLOBAL, DONE);
    expect(isDone(bench)).toBe(true);
    flight.perform();
    expect(bench.arrived).toEqual([{ sid: SID, address: 0xfee05000n, data: 0x77 }]);
  });

  test('11.4.4.1 IRES is set when the interrupts in flight have drained; those sent since are remapped', () => {
    const bench = new InterruptBench({ dmaSlots: 4 });
    bench.setTable();
    bench.setEntry(5, entry({ vector: 0x11 }));
    const before = bench.send(SID, remappable(5), 0x99);
    const unseen = bench.send(SID + 8, remappable(5));
    expect(before.walk()).toBe(true);
    bench.write32(REG.GCMD, IRE);
    bench.run();
    expect(bench.read32(REG.GSTS)).toBe(SIRTP);
    expect(unseen.walk()).toBe(true);
    unseen.perform();
    before.perform();
    bench.run();
    expect(bench.read32(REG.GSTS)).toBe(IRE | SIRTP);
    expect(bench.arrived).toEqual([
      { sid: SID + 8, ...OLD },
      { sid: SID, address: BigInt(remappable(5)), data: 0x99 },
    ]);
  });

  test('11.4.4.1 one that is being remapped when IRE is cleared is remapped', () => {
    const bench = inSteps();
    const flight = bench.send(SID, remappable(5), 0x99);
    flight.step();
    bench.write32(REG.GCMD, 0);
    expect(flight.walk()).toBe(true);
    flight.perform();
    expect(bench.arrived).toEqual([{ sid: SID, ...OLD }]);
  });

  test('5.2.4 an interrupt arrives after what its device wrote before it, and pushes nobody else’s', () => {
    const bench = inSteps();
    const writeBefore = bench.issue(SID, 0x20000n, 2);
    const other = bench.issue(SID + 8, 0x21000n, 2);
    const flight = bench.send(SID, remappable(5));
    const writeAfter = bench.issue(SID, 0x22000n, 2);
    for (const one of [writeBefore, other, flight, writeAfter]) expect(one.walk()).toBe(true);
    expect(flight.choices).toBe(0);
    expect([other.choices, writeAfter.choices]).toEqual([1, 1]);
    writeBefore.perform();
    expect(flight.choices).toBe(1);
    flight.perform();
    expect(bench.arrived.length).toBe(1);
    expect([other.state, writeAfter.state]).toEqual(['translated', 'translated']);
  });

  test('5.2.4 interrupts of one device keep their order, refused ones leave it; reads are passed', () => {
    const bench = inSteps();
    const read = bench.issue(SID, 0x20000n, 1);
    const refused = bench.send(SID, remappable(9));
    const first = bench.send(SID, remappable(5));
    const second = bench.send(SID, remappable(6));
    for (const one of [read, second, first]) expect(one.walk()).toBe(true);
    expect([read.choices, first.choices, second.choices]).toEqual([1, 0, 0]);
    expect(refused.walk()).toBe(false);
    expect([first.choices, second.choices]).toEqual([1, 0]);
    first.perform();
    expect(second.choices).toBe(1);
    second.perform();
    expect(bench.arrived.map(({ data }) => data & 0xff)).toEqual([0x11, 0x66]);
  });

  test('a write between two interrupts: behind the one, before the other', () => {
    const bench = inSteps();
    const first = bench.send(SID, remappable(5));
    const write = bench.issue(SID, 0x20000n, 2);
    const second = bench.send(SID, remappable(6));
    for (const one of [first, write, second]) expect(one.walk()).toBe(true);
    expect([first.choices, write.choices, second.choices]).toEqual([1, 1, 0]);
    first.perform();
    expect(second.choices).toBe(0);
    write.perform();
    expect(second.choices).toBe(1);
  });
});
