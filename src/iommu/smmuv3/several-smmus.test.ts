import { expect, test } from 'vitest';
import { encode, high, low } from '../../bits/index.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { ACCESS, MARK, Machine, PHASE, SLOT } from '../../machine/index.ts';
import { CMD_SYNC } from './commands.ts';
import { Smmu } from './model.ts';
import { CMDQ_BASE, CMDQ_CONS, CMDQ_PROD } from './queue-registers.ts';
import { CR0 } from './registers.ts';

const IOVA = 0x5000n;
const QUEUES = [0x9000000n, 0x9001000n];

/** Two SMMUs, a device behind each with a transaction on its way, and a CMD_SYNC in each queue. */
function two() {
  const machine = new Machine({ dmaSlots: 2 });
  const { arena, dma, log, memory, rules } = machine;
  const kernel = machine.owner('the kernel', 'other');
  const smmus = QUEUES.map((queue, i) => {
    const mine = (requester: number) => requester === i;
    const smmu = new Smmu({ arena, tables: memory, memory, dma, log, rules, mine, name: `SMMU ${i}` });
    machine.frame(`queue ${i}`, queue, kernel, [0, 1, 2, 3]);
    encode(CMD_SYNC, {}).forEach((word, w) => machine.poke(queue + BigInt(8 * w), word));
    const base = queue | 1n;
    smmu.write(CMDQ_BASE.offset, 8, low(base), high(base));
    smmu.write(CR0.offset, 4, 1 << CR0.CMDQEN.lo, 0);
    smmu.settle();
    machine.device(`nic${i}`, 0x0200 + i, 1, [IOVA]);
    dma.issue(i, IOVA, ACCESS.write, false);
    dma.set(dma.at(i), SLOT.phase, PHASE.translated);
    smmu.write(CMDQ_PROD.offset, 4, 1, 0);
    return smmu;
  });
  return { machine, dma, smmus };
}

/** Commands that each has consumed when neither can go on. */
function consumed(smmus: readonly Smmu[]): number[] {
  for (const smmu of smmus) smmu.settle();
  return smmus.map((smmu) => smmu.regs.get(CMDQ_CONS, CMDQ_CONS.RD));
}

test('a CMD_SYNC waits for devices behind its own SMMU alone', () => {
  const { dma, smmus } = two();
  dma.mark(dma.at(1), MARK.holdDrain);
  expect(consumed(smmus)).toEqual([1, 0]);
  dma.set(dma.at(1), SLOT.flags, 0);
  expect(consumed(smmus)).toEqual([1, 1]);
});

test('SMMUEN = 0 waits for walks of its own devices alone', () => {
  const { dma, smmus } = two();
  for (let i = 0; i < dma.slots; i++) dma.set(dma.at(i), SLOT.phase, PHASE.translating);
  smmus[0].write(CR0.offset, 4, (1 << CR0.CMDQEN.lo) | (1 << CR0.SMMUEN.lo), 0);
  smmus[0].settle();
  smmus[0].write(CR0.offset, 4, 1 << CR0.CMDQEN.lo, 0);
  smmus[0].settle();
  const held = [0, 1].map((i) => (dma.get(dma.at(i), SLOT.flags) & MARK.holdWalk) !== 0);
  expect(held).toEqual([true, false]);
});

test('they are told apart in stories, and share their rules', () => {
  const { machine, smmus } = two();
  machine.hardware.push(...smmus.flatMap(({ agents }) => agents));
  const names = machine.hardware.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const lines: string[] = [];
  machine.log.on = true;
  machine.log.say = (_, text) => void lines.push(text);
  machine.actor('nobody', function* () {});
  runPrompt(new Instance(machine));
  expect(lines.filter((line) => line.includes('CMD_SYNC completes'))).toEqual([
    'SMMU 0: CMD_SYNC completes',
    'SMMU 1: CMD_SYNC completes',
  ]);
  const ids = machine.rules.list.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
