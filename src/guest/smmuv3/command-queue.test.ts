import { expect, test } from 'vitest';
import { QUEUE, SmmuRecorder, wordAt } from '../../../test/smmu-recorder.ts';
import { encode } from '../../bits/index.ts';
import { Instance, runPrompt } from '../../explore/index.ts';
import { CMD_TLBI_NH_ASID } from '../../iommu/smmuv3/commands.ts';
import type { Program, StoreOrder } from '../../machine/index.ts';
import { Machine } from '../../machine/index.ts';
import type { CommandQueueOptions } from './command-queue.ts';
import { CommandQueue } from './command-queue.ts';

const TLBI = (asid: number) => encode(CMD_TLBI_NH_ASID, { ASID: asid });

interface Setting extends Partial<CommandQueueOptions> {
  readonly stores?: StoreOrder;
}

/** Runs a program over a queue of four commands. @returns what the SMMU was told, and whether the program came to its end */
function drive(program: (queue: CommandQueue) => Program, { stores = 'sequential', ...options }: Setting = {}) {
  const machine = new Machine();
  const smmu = new SmmuRecorder(machine, options.log2size ?? 2);
  const queue = new CommandQueue(machine, machine.cpu('cpu0', stores), { smmu, base: QUEUE, log2size: 2, ...options });
  machine.actor('driver', () => program(queue));
  const instance = new Instance(machine);
  runPrompt(instance);
  return { smmu, machine, ended: !instance.hasWaiting() };
}

test.each(['cons', 'msi'] as const)(
  'completion by %s: commands arrive in order, CMD_SYNC last, over the end of the ring',
  (completion) => {
    const { smmu, ended } = drive(
      function* (queue) {
        for (const asid of [1, 2, 3]) yield* queue.issueWithSync([TLBI(asid), TLBI(asid + 10)], 'TLBI');
      },
      { completion },
    );
    expect(ended).toBe(true);
    const round = ['CMD_TLBI_NH_ASID', 'CMD_TLBI_NH_ASID', 'CMD_SYNC'];
    expect(smmu.names).toEqual([...round, ...round, ...round]);
    expect(smmu.commands.flatMap(({ fields }) => fields.ASID ?? [])).toEqual([1, 11, 2, 12, 3, 13]);
    const { CS, MSIAddress } = smmu.commands[2].fields;
    expect([CS, MSIAddress]).toEqual(completion === 'msi' ? [1, QUEUE + 32n] : [2, 0n]);
  },
);

test.each(['tso', 'relaxed'] as const)('%s: CMDQ_PROD does not overtake the commands', (stores) => {
  const { smmu, ended } = drive((queue) => queue.issueWithSync([TLBI(7)], 'TLBI'), { stores });
  expect(ended).toBe(true);
  expect(smmu.commands[0].fields.ASID).toBe(7);
});

test('without a CMD_SYNC nothing is waited for', () => {
  const { smmu, ended } = drive((queue) => queue.issueWithSync([TLBI(7)], 'TLBI'), { sync: 'none' });
  expect(ended).toBe(true);
  expect(smmu.names).toEqual(['CMD_TLBI_NH_ASID']);
});

test('a full queue is waited for; what can never fit is a mistake', () => {
  const blocked = drive(
    function* (queue) {
      yield* queue.issue([TLBI(1)], 'TLBI');
    },
    { smmu: Object.assign(new SmmuRecorder(new Machine(), 2), { read: () => ({ lo: 4, hi: 0 }) }) },
  );
  // The one that is read says that four commands are not consumed yet.
  expect(blocked.ended).toBe(false);
  expect(() => drive((queue) => queue.issue([1, 2, 3, 4, 5].map(TLBI), 'TLBI'))).toThrow(
    '5 commands do not fit a queue of 4',
  );
});

test('two CPUs share a queue: nothing is lost', () => {
  const machine = new Machine();
  const smmu = new SmmuRecorder(machine, 2);
  const queue = new CommandQueue(machine, machine.cpu(), { smmu, base: QUEUE, log2size: 2 });
  const other = queue.on(machine.cpu('cpu1'));
  machine.actor('one', () => queue.issueWithSync([TLBI(1)], 'TLBI'));
  machine.actor('two', () => other.issueWithSync([TLBI(2)], 'TLBI'));
  const instance = new Instance(machine);
  runPrompt(instance);
  expect(instance.hasWaiting()).toBe(false);
  expect(smmu.names.filter((name) => name === 'CMD_SYNC')).toHaveLength(2);
  expect(wordAt(machine, QUEUE) & 0xffn).toBe(0x11n);
});
