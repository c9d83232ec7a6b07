/** SMMUv3 4.7.3, 3.21, 6.3.9.6 in steps: what a CMD_SYNC waits for, and what it does not. */
import { describe, expect, test } from 'vitest';
import {
  CMD_ATC_INV,
  CMD_CFGI_STE,
  CMD_SYNC,
  CMD_TLBI_NH_ALL,
  CMD_TLBI_NSNH_ALL,
} from '../../../src/iommu/smmuv3/commands.ts';
import { PROFILES } from '../../../src/iommu/smmuv3/profiles.ts';
import type { Agent } from '../../../src/machine/index.ts';
import { ACCESS, MARK, Machine, PHASE, SLOT } from '../../../src/machine/index.ts';
import type { Options } from './interface-bench.ts';
import { CMDQ_ERR, CMDQEN, command, EVENTQEN, InterfaceBench, REG, SMMUEN } from './interface-bench.ts';

const SID = 0x28;
const TLBI = command(CMD_TLBI_NSNH_ALL);
const SYNC = command(CMD_SYNC);
const ATS = { idr0: { ATS: 1 } };

/** A bench with a machine's DMA, whose slot 0 holds a transaction that nobody moves. */
function steppedBench(options: Options = {}) {
  const machine = new Machine({ dmaSlots: 1, atcEntries: 1 });
  const device = machine.dma.declare({ name: 'device', sid: SID, did: 0, ats: true });
  const { arena, dma, rules } = machine;
  const bench = new InterfaceBench({ ...options, arena, dma, rules });
  bench.start();
  bench.settles = false;
  const slot = dma.issue(device, 0x1000n, ACCESS.write, false);
  dma.set(slot, SLOT.flags, 0);
  const [, queue] = bench.unit.agents;
  return { bench, dma, queue, rules, slot };
}

/** Steps in the first way until it cannot, with a bound, and its `left` falling. @returns how many */
function run(agent: Agent): number {
  let steps = 0;
  for (; agent.choices() > 0; steps++) {
    const left = agent.left?.() ?? 0;
    agent.step(0);
    expect(agent.left?.()).toBeLessThan(left);
  }
  return steps;
}

describe('4.7.3 CMD_SYNC', () => {
  test.each([
    ['a walk that has read what is invalidated', PHASE.translating, MARK.stale | MARK.holdWalk],
    ['a transaction that was translated with it', PHASE.translated, MARK.holdDrain],
    ['a transaction of a device that an ATC invalidation met', PHASE.translated, MARK.holdAtc],
  ])('waits for %s; invalidations before it do not', (_, phase, marks) => {
    const { bench, dma, queue, rules, slot } = steppedBench();
    dma.set(slot, SLOT.phase, phase);
    dma.mark(slot, marks);
    bench.submit(TLBI, SYNC, TLBI);
    expect([run(queue), bench.commandState.rd, bench.scopes.length]).toEqual([1, 1, 1]);
    dma.set(slot, SLOT.flags, 0);
    expect([run(queue), bench.commandState.rd, bench.scopes.length]).toEqual([2, 3, 2]);
    expect(rules.list.some(({ id }, i) => id === 'sync.held' && rules.fired[i] > 0)).toBe(true);
  });

  test('does not wait for a transaction that nothing concerns', () => {
    const { bench, dma, queue, rules, slot } = steppedBench();
    dma.set(slot, SLOT.phase, PHASE.translated);
    bench.submit(TLBI, SYNC);
    expect([run(queue), bench.commandState.rd]).toEqual([2, 2]);
    expect(rules.list.some(({ id }, i) => id === 'sync.overtake' && rules.fired[i] > 0)).toBe(true);
  });

  test.each(['qemu-10', 'gem5'])('%s waits for nothing', (name) => {
    const profile = PROFILES.find((of) => of.name === name) as (typeof PROFILES)[number];
    const { bench, dma, queue, slot } = steppedBench({ profile });
    dma.set(slot, SLOT.phase, PHASE.translated);
    dma.mark(slot, MARK.holdDrain);
    bench.submit(TLBI, SYNC);
    expect([run(queue), bench.commandState.rd]).toEqual([2, 2]);
  });

  test('each command is a step of its own', () => {
    const { bench, queue } = steppedBench();
    bench.submit(TLBI, command(CMD_CFGI_STE), SYNC);
    for (let n = 1; n <= 3; n++) {
      expect(queue.choices()).toBe(1);
      queue.step(0);
      expect(bench.commandState.rd).toBe(n);
    }
    expect(queue.choices()).toBe(0);
  });
});

describe('4.7.3 invalidations that are consumed before they are done', () => {
  test('come in any order, and before the CMD_SYNC', () => {
    const { bench, queue } = steppedBench({ fetchAhead: 2 });
    const of = (VMID: number) => command(CMD_TLBI_NH_ALL, { VMID });
    bench.submit(of(1), of(2), of(3), SYNC);
    expect(queue.choices(), 'done at once, or later').toBe(2);
    queue.step(1);
    expect([bench.commandState.rd, bench.scopes.length]).toEqual([1, 0]);
    expect(queue.choices(), 'the next one in two ways, and the first one').toBe(3);
    queue.step(1);
    expect(queue.choices(), 'no room: the third at once, or one of two').toBe(3);
    queue.step(0);
    expect(bench.scopes.map(({ vmid }) => vmid)).toEqual([3]);
    expect(queue.choices(), 'CMD_SYNC has to wait').toBe(2);
    queue.step(1);
    expect(queue.choices()).toBe(1);
    queue.step(0);
    expect(bench.scopes.length).toBe(3);
    expect(new Set(bench.scopes.map(({ vmid }) => vmid))).toEqual(new Set([1, 2, 3]));
    expect([queue.choices(), bench.commandState.rd]).toEqual([1, 3]);
    queue.step(0);
    expect([queue.choices(), bench.commandState.rd]).toEqual([0, 4]);
  });

  test('an illegal one is refused at once', () => {
    const { bench, queue } = steppedBench({ fetchAhead: 2 });
    bench.submit(command(CMD_TLBI_NH_ALL), [0x10n | (1n << 8n), 0n]);
    queue.step(1);
    expect(queue.choices()).toBe(2);
    queue.step(0);
    expect(bench.commandState).toEqual({ rd: 1, err: 1, active: true });
    expect(queue.choices(), 'what was consumed is done nevertheless').toBe(1);
  });

  test('its steps are bounded', () => {
    const { bench, queue } = steppedBench({ fetchAhead: 3 });
    bench.submit(TLBI, TLBI, TLBI, SYNC, TLBI);
    for (let steps = 0; queue.choices() > 0; steps++) {
      const left = queue.left?.() ?? 0;
      queue.step(queue.choices() - 1);
      expect(queue.left?.()).toBeLessThan(left);
      expect(steps).toBeLessThan(20);
    }
    expect(bench.commandState.rd).toBe(5);
  });
});

describe('4.5.1 ATC invalidations on their way', () => {
  const inv = command(CMD_ATC_INV, { StreamID: SID, Size: 52 });

  test('CMD_ATC_INV is consumed when it is sent; CMD_SYNC waits for the device', () => {
    const { bench, queue } = steppedBench(ATS);
    const [, , first] = bench.unit.agents;
    bench.submit(inv, SYNC);
    expect([run(queue), bench.commandState.rd]).toEqual([1, 1]);
    expect(first.choices()).toBe(1);
    first.step(0);
    expect(queue.choices()).toBe(0);
    run(first);
    expect([run(queue), bench.commandState.rd]).toEqual([1, 2]);
  });

  test('only so many are under way', () => {
    const { bench, queue } = steppedBench({ ...ATS, atcInvalidations: 1 });
    bench.submit(inv, inv);
    expect([run(queue), bench.commandState.rd]).toEqual([1, 1]);
    const [, , only] = bench.unit.agents;
    run(only);
    expect([run(queue), bench.commandState.rd]).toEqual([1, 2]);
  });

  test('3.9.1.4 a device may fail to answer: CERROR_ATC_INV_SYNC of the next CMD_SYNC', () => {
    const { bench, queue, rules } = steppedBench({ ...ATS, atcTimesOut: true });
    const [, , first] = bench.unit.agents;
    bench.submit(inv, SYNC, SYNC);
    run(queue);
    expect(first.choices()).toBe(2);
    first.step(1);
    run(queue);
    expect(bench.commandState).toEqual({ rd: 1, err: 3, active: true });
    bench.write32(REG.GERRORN, CMDQ_ERR);
    expect([run(queue), bench.commandState.rd]).toEqual([2, 3]);
    expect(rules.list.some(({ id }, i) => id === 'atc.time-out' && rules.fired[i] > 0)).toBe(true);
  });
});

describe('6.3.9.6 SMMUEN', () => {
  test('to 0: takes effect, and is acknowledged when no walk reads structures any more', () => {
    const { bench, dma, slot } = steppedBench();
    const [control] = bench.unit.agents;
    dma.set(slot, SLOT.phase, PHASE.translating);
    bench.write32(REG.CR0, CMDQEN | EVENTQEN);
    expect([control.choices(), bench.core.enabled]).toEqual([1, true]);
    control.step(0);
    expect([bench.core.enabled, bench.read32(REG.CR0ACK) & SMMUEN, control.choices()]).toEqual([false, SMMUEN, 0]);
    expect(dma.get(slot, SLOT.flags) & MARK.holdWalk).toBe(MARK.holdWalk);
    dma.set(slot, SLOT.flags, 0);
    expect(run(control)).toBe(1);
    expect(bench.read32(REG.CR0ACK) & SMMUEN).toBe(0);
  });

  test('to 0: what was translated before goes on, and nobody waits for it', () => {
    const { bench, dma, slot } = steppedBench();
    dma.set(slot, SLOT.phase, PHASE.translated);
    bench.write32(REG.CR0, 0);
    run(bench.unit.agents[0]);
    expect([bench.read32(REG.CR0ACK), dma.get(slot, SLOT.flags)]).toEqual([0, 0]);
  });
});
