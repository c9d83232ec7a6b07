import { describe, expect, test } from 'vitest';
import { ACCESS, PHASE, SLOT } from './dma.ts';
import { Interrupts } from './interrupts.ts';
import { Machine } from './machine.ts';
import { isBehind, messageAddress, messageData, sendMessage } from './messages.ts';
import type { Program } from './op.ts';

/** Runs a program whose operations are all ready. @returns what it returns */
function run<T>(program: Program<T>): T {
  let next = program.next();
  while (!next.done) {
    if (next.value.ready?.() === false) throw new Error(`${next.value.name} is not ready`);
    const result = next.value.run(0);
    next = program.next(typeof result === 'number' ? result : undefined);
  }
  return next.value;
}

function scene() {
  const machine = new Machine({ dmaSlots: 4 });
  const interrupts = new Interrupts(machine);
  const nic = machine.device('nic', 0x10, 1, [0n]);
  /** Lets a transaction go as far as it can; there is no IOMMU. */
  const finish = (slot: number) => {
    const agent = machine.dma.agents[(slot - machine.dma.at(0)) / (machine.dma.at(1) - machine.dma.at(0))];
    for (let i = 0; i < 9 && agent.choices() > 0; i++) agent.step(0);
  };
  return { machine, interrupts, nic, finish };
}

describe('interrupt requests', () => {
  test.each([
    [0xfee00000, 0],
    [0xfeeffffc, 0xffffffff],
    [0xfee12344, 0x80000001],
  ])('a slot has address %i and data %i', (address, data) => {
    const { machine } = scene();
    const slot = sendMessage(machine.dma, 0, address, data, false);
    expect([messageAddress(machine.dma, slot), messageData(machine.dma, slot)]).toEqual([address, data]);
    expect([machine.dma.get(slot, SLOT.phase), machine.dma.get(slot, SLOT.access)]).toEqual([
      PHASE.issued,
      ACCESS.write,
    ]);
    expect(machine.dma.hasWrite(0, PHASE.issued)).toBe(true);
  });

  test('without an IOMMU it arrives as it was sent', () => {
    const { machine, interrupts, nic, finish } = scene();
    const line = interrupts.line('rx', 0x12, 0x41);
    run(interrupts.send(nic, 0xfee12000, 0x4041));
    expect(line.pending).toBe(false);
    finish(machine.dma.at(0));
    expect([line.pending, interrupts.unexpected, machine.dma.hasWrite(0, PHASE.translated)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(run(line.isPending())).toBe(1);
    run(line.wait());
    expect([line.pending, run(line.isPending())]).toEqual([false, 0]);
  });

  test('one that is for no line is unexpected: another vector, another processor', () => {
    for (const [address, data] of [
      [0xfee12000, 0x42],
      [0xfee13000, 0x41],
    ] as const) {
      const { machine, interrupts, nic, finish } = scene();
      const line = interrupts.line('rx', 0x12, 0x41);
      run(interrupts.send(nic, address, data));
      finish(machine.dma.at(0));
      expect([line.pending, interrupts.unexpected]).toEqual([false, true]);
    }
  });

  test('wait() waits; service() does not', () => {
    const { interrupts } = scene();
    const line = interrupts.line('rx', 0x12, 0x41);
    expect(() => run(line.wait())).toThrow(/not ready/);
    run(line.service());
    expect(line.pending).toBe(false);
  });

  test('nobody takes interrupts: they are lost, and their slot is free', () => {
    const machine = new Machine({ dmaSlots: 1 });
    machine.device('nic', 0x10, 1, [0n]);
    sendMessage(machine.dma, 0, 0xfee00000, 0, false);
    for (let i = 0; i < 2; i++) machine.dma.agents[0].step(0);
    expect(machine.dma.hasFree()).toBe(true);
  });

  test.each([0, 0xfedffffc, 0xfef00000, 0xfee00001, -4])('%d is refused as an address, in one line', (address) => {
    const { interrupts, nic } = scene();
    expect(() => run(interrupts.send(nic, address, 0))).toThrow(/^\S+ is no address of an interrupt: .*$/);
  });

  test('sixteen lines, and no more', () => {
    const { interrupts } = scene();
    for (let i = 0; i < 16; i++) interrupts.line(`${i}`, 0, i);
    expect(() => interrupts.line('one more', 0, 16)).toThrow(/at most 16/);
  });
});

describe('the order of a device’s writes and interrupts', () => {
  test('only where there are interrupts it is state', () => {
    const { machine } = scene();
    for (let i = 0; i < 3; i++) machine.dma.issue(0, 0n, ACCESS.write, false);
    for (let i = 0; i < 3; i++) expect(machine.dma.get(machine.dma.at(i), SLOT.order)).toBe(0);
  });

  test('an interrupt waits for earlier writes of its device, not for reads, later writes or other devices', () => {
    const { machine, finish } = scene();
    machine.device('other', 0x18, 1, [0n]);
    const { dma } = machine;
    const write = dma.issue(0, 0n, ACCESS.write, false);
    dma.issue(1, 0n, ACCESS.write, false);
    const interrupt = sendMessage(dma, 0, 0xfee00000, 0, false);
    dma.issue(0, 0n, ACCESS.write, false);
    expect(isBehind(dma, interrupt)).toBe(true);
    finish(write);
    expect(isBehind(dma, interrupt)).toBe(false);
  });

  test('a write that is over and whose status nobody has taken yet holds nothing back', () => {
    const { machine, finish } = scene();
    const write = machine.dma.issue(0, 0n, ACCESS.write, true);
    const interrupt = sendMessage(machine.dma, 0, 0xfee00000, 0, false);
    finish(write);
    expect(machine.dma.get(write, SLOT.phase)).toBeGreaterThanOrEqual(PHASE.completed);
    expect(isBehind(machine.dma, interrupt)).toBe(false);
  });
});
