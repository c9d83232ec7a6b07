import { expect, test } from 'vitest';
import { QUEUE, runAlone, SmmuRecorder } from '../../../test/smmu-recorder.ts';
import { encode } from '../../bits/index.ts';
import { F_TLB_CONFLICT, F_TRANSLATION } from '../../iommu/smmuv3/event-structures.ts';
import { EVENTQ_CONS, EVENTQ_PROD } from '../../iommu/smmuv3/queue-registers.ts';
import type { Program } from '../../machine/index.ts';
import { Machine } from '../../machine/index.ts';
import { CommandQueue } from './command-queue.ts';
import type { StalledTransaction } from './event-queue.ts';
import { EventQueueReader } from './event-queue.ts';

const EVENTS = 0x9100000n;

class WithEvents extends SmmuRecorder {
  prod = 0;
  readonly consumed: number[] = [];
  override read(offset: number): { lo: number; hi: number } {
    return offset === EVENTQ_PROD.offset ? { lo: this.prod, hi: 0 } : super.read(offset);
  }
  override write(offset: number, size: 4 | 8, lo: number): void {
    if (offset === EVENTQ_CONS.offset) this.consumed.push(lo);
    else super.write(offset, size, lo);
  }
}

/** Reads three events over the end of a queue of two. */
function read(events: readonly (readonly bigint[])[]) {
  const machine = new Machine();
  const smmu = new WithEvents(machine, 2);
  machine.frame('events', EVENTS, machine.owner('the kernel', 'other'), [0, 1, 2, 3, 4, 5, 6, 7]);
  const cpu = machine.cpu();
  const queue = new CommandQueue(machine, cpu, { smmu, base: QUEUE, log2size: 2 });
  const reader = new EventQueueReader(machine, cpu, queue, { smmu, base: EVENTS, log2size: 1 });
  const over = machine.word('over');
  const found: (StalledTransaction | null)[] = [];
  function* program(): Program {
    for (const [i, event] of events.entries()) {
      for (const [w, word] of event.entries()) yield* cpu.write64(EVENTS + BigInt(32 * (i % 2) + 8 * w), word, '');
      smmu.prod = (smmu.prod + 1) & 3;
      yield* over.set(1);
      const stalled = yield* reader.next(over);
      found.push(stalled);
      if (stalled !== null) yield* reader.resume(stalled, i > 0);
    }
    yield* over.set(1);
    found.push(yield* reader.next(over));
  }
  runAlone(machine, program());
  return { found, smmu };
}

const stalled = (STAG: number, Stall = 1) =>
  encode(F_TRANSLATION, { StreamID: 0x200, STAG, Stall, InputAddr: 0x1000n, RnW: 1, CLASS: 2 });

test('stalled transactions are read in order, each is taken out of the queue, and answered', () => {
  const { found, smmu } = read([stalled(4), stalled(5), stalled(6)]);
  const at = (stag: number) => ({ sid: 0x200, stag, address: 0x1000n });
  expect(found).toEqual([at(4), at(5), at(6), null]);
  expect(smmu.consumed).toEqual([1, 2, 3]);
  expect(smmu.names).toEqual(['CMD_RESUME', 'CMD_RESUME', 'CMD_RESUME']);
  expect(smmu.commands.map(({ fields }) => [fields.STAG, fields.Ac, fields.Ab])).toEqual([
    [4, 0, 1],
    [5, 1, 0],
    [6, 1, 0],
  ]);
  expect(smmu.commands[0].fields.StreamID).toBe(0x200);
});

test('an event of which nothing is stalled is taken out, and there is nothing to resume', () => {
  const conflict = encode(F_TLB_CONFLICT, { StreamID: 0x200, InputAddr: 0x1000n });
  const { found, smmu } = read([stalled(4, 0), conflict, stalled(5)]);
  expect(found.filter((each) => each !== null)).toEqual([{ sid: 0x200, stag: 5, address: 0x1000n }]);
  expect(smmu.consumed).toEqual([1, 2, 3]);
  expect(smmu.names).toEqual(['CMD_RESUME']);
});
