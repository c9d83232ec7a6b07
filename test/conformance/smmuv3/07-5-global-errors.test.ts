/** SMMUv3 7.5, 3.18: global errors and interrupts. */
import { describe, expect, test } from 'vitest';
import { CMDQ_ERR, InterfaceBench, MEMORY, MSI_EVENTQ_ABT_ERR, MSI_GERROR_ABT_ERR, REG } from './interface-bench.ts';

describe('7.5, 3.18 global errors and interrupts', () => {
  const MSI = { idr0: { MSI: 1 } };
  const msi = (bench: InterfaceBench, base: number, address: bigint, data: number) => {
    bench.write64(base, address);
    bench.write32(base + 8, data);
  };

  test('an event interrupts where the queue was empty', () => {
    const bench = new InterfaceBench();
    bench.write32(REG.IRQ_CTRL, 4);
    bench.start().fault();
    expect(bench.pulses).toEqual(['eventq']);
    bench.fault();
    expect(bench.pulses).toEqual(['eventq']);
    bench.write32(REG.EVENTQ_CONS, 2);
    bench.fault();
    expect(bench.pulses).toEqual(['eventq', 'eventq']);
  });

  test('an event interrupts by wire and MSI', () => {
    const bench = new InterfaceBench(MSI);
    msi(bench, REG.EVENTQ_IRQ_CFG0, 0x8000_0040n, 0x77);
    bench.write32(REG.IRQ_CTRL, 4);
    bench.start();
    bench.fault();
    bench.fault();
    expect([bench.pulses, bench.messages]).toEqual([['eventq'], [[0x8000_0040, 0x77]]]);
    bench.write32(REG.EVENTQ_CONS, 2);
    bench.fault();
    expect(bench.messages.length).toBe(2);
  });

  test('6.3.16 nothing interrupts that is not enabled', () => {
    const bench = new InterfaceBench().start();
    bench.fault();
    expect(bench.pulses).toEqual([]);
    bench.write32(REG.EVENTQ_CONS, 1);
    bench.write32(REG.IRQ_CTRL, 1);
    bench.fault();
    expect(bench.pulses).toEqual([]);
    bench.write32(REG.EVENTQ_CONS, 2);
    bench.write32(REG.IRQ_CTRL, 4);
    bench.fault();
    expect(bench.pulses).toEqual(['eventq']);
  });

  test('6.3.17 nor what is enabled and not acknowledged to be', () => {
    const bench = new InterfaceBench().start();
    bench.settles = false;
    bench.write32(REG.IRQ_CTRL, 4);
    bench.fault();
    expect([bench.read32(REG.IRQ_CTRLACK), bench.pulses]).toEqual([0, []]);
    bench.unit.settle();
    bench.write32(REG.EVENTQ_CONS, 1);
    bench.fault();
    expect(bench.pulses).toEqual(['eventq']);
  });

  test('7.5.1 an error interrupts when it becomes active, not again while it is', () => {
    const bench = new InterfaceBench();
    bench.write32(REG.IRQ_CTRL, 1);
    bench.start();
    bench.submit([0n, 0n]);
    expect([bench.pulses, bench.read32(REG.GERROR)]).toEqual([['gerror'], CMDQ_ERR]);
    bench.write32(REG.GERRORN, CMDQ_ERR);
    expect([bench.pulses.length, bench.read32(REG.GERROR)], 'refused again').toEqual([2, 0]);
  });

  test('7.1 an illegal command interrupts, if it is enabled', () => {
    const bench = new InterfaceBench().start();
    bench.submit([0n, 0n]);
    expect([bench.pulses, bench.read32(REG.GERROR)]).toEqual([[], CMDQ_ERR]);
    bench.write32(REG.IRQ_CTRL, 1);
    expect(bench.pulses, 'not when it is enabled later').toEqual([]);
  });

  test('an MSI goes to memory, too', () => {
    const bench = new InterfaceBench(MSI);
    msi(bench, REG.EVENTQ_IRQ_CFG0, MEMORY + 0x2008n, 5);
    bench.write32(REG.IRQ_CTRL, 4);
    bench.start().fault();
    expect(bench.peek(Number(MEMORY) + 0x2008)).toBe(5n);
  });

  test('7.5 an aborted MSI of the event queue; and one of GERROR, which interrupts no more', () => {
    const bench = new InterfaceBench(MSI);
    msi(bench, REG.EVENTQ_IRQ_CFG0, 0x10_0000_0000n, 5);
    msi(bench, REG.GERROR_IRQ_CFG0, 0x10_0000_0000n, 6);
    bench.write32(REG.IRQ_CTRL, 5);
    bench.start().fault();
    expect(bench.read32(REG.GERROR)).toBe(MSI_EVENTQ_ABT_ERR | MSI_GERROR_ABT_ERR);
    expect(bench.pulses).toEqual(['eventq', 'gerror']);
  });

  test('6.3.20 an error that is toggled while it is not active becomes active (may be)', () => {
    const bench = new InterfaceBench().start();
    bench.write32(REG.GERRORN, CMDQ_ERR);
    bench.submit([0x30n, 0n]);
    expect(bench.scopes).toEqual([]);
    bench.write32(REG.GERRORN, 0);
    expect(bench.scopes.length).toBe(1);
  });
});
