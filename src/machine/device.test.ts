import { describe, expect, test } from 'vitest';
import { PHASE, SLOT } from './dma.ts';
import { Machine } from './machine.ts';
import type { Op, Program } from './op.ts';

/** A nic that aims at pages 5 to 7, mapped one to one; its transactions go nowhere by themselves. */
function setup(dmaSlots = 2) {
  const machine = new Machine({ dmaSlots });
  const mine = machine.owner('buffer', 'buffer', 1);
  for (const page of [5n, 6n, 7n]) machine.frame(`buf${page}`, page << 12n, mine, [0, 1, 511]);
  const nic = machine.device('nic', 0x0200, 1, [0x5000n, 0x6000n, 0x7000n]);
  const { dma, memory } = machine;
  /** The next step of the transaction in slot `i`. */
  const step = (i: number) => dma.agents[i].step(0);
  const phases = () => dma.agents.map((_, i) => dma.get(dma.at(i), SLOT.phase));
  const written = (pfn: number, word: number) => memory.lo(memory.locate(pfn, word)) !== 0;
  return { machine, nic, dma, step, phases, written };
}

function first(program: Program<unknown>): Op {
  const { done, value } = program.next();
  if (done) throw new Error('the program has no operation');
  return value;
}

describe('a DMA', () => {
  test('is sent without waiting for its end', () => {
    const { nic, phases } = setup();
    const program = nic.issue(0x5000n, 'write');
    first(program).run(0);
    expect(program.next().done).toBe(true);
    expect(phases()).toEqual([PHASE.issued, PHASE.free]);
  });

  test('to an address of the upper half is one to a sign-extended page number', () => {
    const machine = new Machine();
    const iova = 0xffffc90000201000n;
    const nic = machine.device('nic', 0x0200, 1, [iova]);
    first(nic.issue(iova, 'read')).run(0);
    const slot = machine.dma.at(0);
    const [hi, lo] = [machine.dma.get(slot, SLOT.vpnHi), machine.dma.get(slot, SLOT.vpnLo)];
    expect(BigInt.asUintN(64, (BigInt(hi) * 0x40000n + BigInt(lo)) << 12n)).toBe(iova);
    expect(hi).toBeLessThan(0);
    expect(machine.dma.get(slot, SLOT.target)).toBe(1);
  });

  test('waits for a slot', () => {
    const { nic, dma, step } = setup(1);
    first(nic.issue(0x5000n, 'read')).run(0);
    const op = first(nic.issue(0x5000n, 'read'));
    expect(op.ready?.()).toBe(false);
    step(0);
    step(0);
    expect(dma.hasFree()).toBe(true);
    expect(op.ready?.()).toBe(true);
  });

  test.each(['issue', 'dma', 'dmaStatus'] as const)('%s goes only where the device aims', (how) => {
    const { nic } = setup();
    expect(() => first(nic[how](0x8000n, 'read'))).toThrow('nic does not aim at 0x8000');
  });

  test('that is waited for ends when it was performed', () => {
    const { nic, dma, step } = setup();
    const program = nic.dma(0x5000n, 'write');
    first(program).run(0);
    const wait = program.next().value as Op;
    expect(wait.returns).toBe('nothing');
    step(0);
    expect(wait.ready?.()).toBe(false);
    step(0);
    expect(wait.ready?.()).toBe(true);
    wait.run(0);
    expect(program.next().done).toBe(true);
    expect(dma.freeSlots()).toBe(2);
  });

  test('reports its status: 1 completed, 0 aborted', () => {
    const statusOf = (aborted: boolean) => {
      const { nic, dma, step } = setup();
      const program = nic.dmaStatus(0x5000n, 'read');
      first(program).run(0);
      const wait = program.next().value as Op;
      if (aborted) dma.abort(dma.at(0));
      else for (let i = 0; i < 2; i++) step(0);
      expect(wait.results).toEqual([0, 1]);
      return program.next(wait.run(0) as number).value;
    };
    expect([statusOf(false), statusOf(true)]).toEqual([1, 0]);
  });
});

describe('a stray device', () => {
  test('sends so many DMAs, each anywhere it aims', () => {
    const { machine, nic, dma } = setup(4);
    nic.stray([0x5000n, 0x6000n, 0x7000n], 'write', 2);
    const [actor] = machine.actors;
    expect(actor.lane).toBe('device');
    const ops = [...actor.program()];
    expect(ops.map((op) => op.choices)).toEqual([3, 3]);
    ops[0].run(2);
    ops[1].run(0);
    expect([0, 1].map((i) => dma.get(dma.at(i), SLOT.vpnLo))).toEqual([7, 5]);
  });

  test('with one address has no choice', () => {
    const { machine, nic } = setup();
    nic.stray([0x5000n], 'write', 1);
    expect([...machine.actors[0].program()].map((op) => op.choices)).toEqual([undefined]);
  });
});

describe('a burst', () => {
  test('within a page is one transaction', () => {
    const { nic, phases, written, step } = setup();
    first(nic.burst(0x5000n, 16, 'write')).run(0);
    expect(phases()).toEqual([PHASE.issued, PHASE.free]);
    step(0);
    step(0);
    expect([written(5, 0), written(5, 1), written(5, 511)]).toEqual([true, true, false]);
  });

  test('across pages is one a page, sent in one step', () => {
    const { nic, phases, dma } = setup();
    const program = nic.burst(0x5ff8n, 16, 'write');
    first(program).run(0);
    expect(program.next().done).toBe(true);
    expect(phases()).toEqual([PHASE.issued, PHASE.issued]);
    const at = (i: number) => [SLOT.vpnLo, SLOT.word, SLOT.more].map((field) => dma.get(dma.at(i), field));
    expect([at(0), at(1)]).toEqual([
      [5, 511, 0],
      [6, 0, 0],
    ]);
  });

  test('lands a page at a time, in any order', () => {
    const { nic, written, step } = setup();
    first(nic.burst(0x5ff8n, 16, 'write')).run(0);
    step(1);
    step(1);
    expect([written(5, 511), written(6, 0)]).toEqual([false, true]);
    step(0);
    step(0);
    expect([written(5, 511), written(6, 0)]).toEqual([true, true]);
  });

  test('may be refused in one page and land in the other', () => {
    const { nic, dma, written, step } = setup();
    first(nic.burst(0x5ff8n, 16, 'write')).run(0);
    dma.abort(dma.at(0));
    step(1);
    step(1);
    expect([written(5, 511), written(6, 0)]).toEqual([false, true]);
  });

  test('waits until there are slots for all of it', () => {
    const { nic, step } = setup(2);
    const op = first(nic.burst(0x5ff8n, 16, 'read'));
    expect(op.ready?.()).toBe(true);
    first(nic.issue(0x5000n, 'read')).run(0);
    expect(op.ready?.()).toBe(false);
    step(0);
    step(0);
    expect(op.ready?.()).toBe(true);
  });

  test('is performed at once where the conduct is prompt', () => {
    const { nic, dma, phases, written } = setup();
    dma.immediate = true;
    first(nic.burst(0x5ff8n, 16, 'write')).run(0);
    expect(phases()).toEqual([PHASE.free, PHASE.free]);
    expect([written(5, 511), written(6, 0)]).toEqual([true, true]);
  });

  test('that can never have enough slots is refused', () => {
    expect(() => first(setup(2).nic.burst(0x5ff8n, 0x1010, 'read'))).toThrow('raise dmaSlots');
  });

  test('goes with every page where the device aims', () => {
    expect(() => first(setup().nic.burst(0x7ff8n, 16, 'read'))).toThrow('nic does not aim at 0x8000');
  });

  test('is one line a page in the story', () => {
    const { machine, nic } = setup();
    machine.log.on = true;
    first(nic.burst(0x5ff8n, 24, 'read')).run(0);
    expect(machine.log.take().map((line) => line.text)).toEqual([
      'nic [02:00.0] DMA read 0x5ff8',
      'nic [02:00.0] DMA read 0x6000, 2 words',
    ]);
  });
});

describe('a read-back', () => {
  test('waits until the writes of the device are visible', () => {
    const { nic, dma, step, phases } = setup();
    const op = first(nic.pushed());
    expect(op.ready?.()).toBe(true);
    first(nic.issue(0x5000n, 'write')).run(0);
    first(nic.issue(0x6000n, 'write')).run(0);
    expect(op.ready?.()).toBe(false);
    dma.set(dma.at(0), SLOT.phase, PHASE.translating);
    expect(op.ready?.()).toBe(false);
    step(0);
    step(1);
    step(1);
    expect(phases()).toEqual([PHASE.translated, PHASE.free]);
    expect(op.ready?.()).toBe(false);
    step(0);
    expect(op.ready?.()).toBe(true);
  });

  test('that pushes only to the IOMMU leaves to the drain what it has looked at', () => {
    const { nic, dma, step, phases } = setup();
    const op = first(nic.pushed('accepted'));
    expect(op.ready?.()).toBe(true);
    first(nic.issue(0x5000n, 'write')).run(0);
    first(nic.issue(0x6000n, 'write')).run(0);
    expect(op.ready?.()).toBe(false);
    step(0);
    expect(op.ready?.()).toBe(false);
    dma.set(dma.at(1), SLOT.phase, PHASE.translating);
    expect(phases()).toEqual([PHASE.translated, PHASE.translating]);
    expect(op.ready?.()).toBe(true);
  });

  test('does not wait for a write that is over and has its status waiting', () => {
    const { nic, dma } = setup();
    first(nic.issue(0x5000n, 'write')).run(0);
    dma.set(dma.at(0), SLOT.phase, PHASE.completed);
    expect(first(nic.pushed()).ready?.()).toBe(true);
  });

  test('does not push read requests: a completion may pass them', () => {
    const { nic } = setup();
    first(nic.issue(0x5000n, 'read')).run(0);
    expect(first(nic.pushed()).ready?.()).toBe(true);
  });

  test('does not push the writes of another device', () => {
    const { machine, nic } = setup();
    const disk = machine.device('disk', 0x0300, 1, [0x5000n]);
    first(disk.issue(0x5000n, 'write')).run(0);
    expect([first(nic.pushed()).ready?.(), first(disk.pushed()).ready?.()]).toEqual([true, false]);
  });

  test('changes nothing, and tells it', () => {
    const { machine, nic } = setup();
    const before = machine.arena.snapshot();
    machine.log.on = true;
    first(nic.pushed()).run(0);
    first(nic.pushed('accepted')).run(0);
    expect(machine.arena.snapshot()).toEqual(before);
    const reads = 'reads a register of nic [02:00.0]: its posted writes are';
    expect(machine.log.take()).toEqual([
      { lane: 'driver', text: `${reads} visible` },
      { lane: 'driver', text: `${reads} no longer queued upstream` },
    ]);
  });
});
