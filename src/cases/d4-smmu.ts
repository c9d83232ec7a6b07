/** D4 on SMMUv3: which ways to split a block there are depends on IDR3.BBML (IHI 0070, 3.21.1.1 to 3.21.1.3). */
import type { SplitOrder } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import { D4 } from './d4.ts';
import type { Expected, Mutant, Setup } from './define.ts';
import { defineCase } from './define.ts';
import { SmmuScene, STREAM } from './smmu-scene.ts';
import { splitsUnderLock, straysUntilDone } from './split-actors.ts';

const DID = 1;
const FRAMES = 0x21d200000n;

const ORDERS = ['bbm', 'swap', 'nt'] as const satisfies SplitOrder[];
const HANDLINGS = ['fault', 'no-fault'] as const;
const LEVELS = [0, 1, 2] as const;

const EVERY = ORDERS.flatMap((order) =>
  HANDLINGS.flatMap((handling) =>
    LEVELS.map((bbml) => ({ order, handling, bbml, name: `${order}/${handling}/bbml-${bbml}` })),
  ),
);

function expected(order: SplitOrder, handling: string, bbml: number): Expected {
  // In between nothing is mapped: a device that can stall waits that out. QEMU and gem5 stall nothing, and ignore CMD_RESUME.
  if (order === 'bbm')
    return handling === 'fault' ? { spec: 'holds', 'qemu-10': 'violated', gem5: 'violated' } : 'violated';
  // 3.21.1.3: any one of the entries is used, and F_TLB_CONFLICT is never reported.
  if (bbml === 2) return 'holds';
  // 3.21.1.2: a block with nT is not cached in a way that conflicts. Below level 1 nT says nothing.
  return order === 'nt' && bbml === 1 ? 'holds' : 'undefined';
}

/**
 * A 2 MiB block is split while a stray device uses it. `fault`: the device's faults stall (CD.S), and who handles events waits until the split is over;
 * `no-fault`: what faults aborts.
 */
function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const of = EVERY.find(({ name }) => name === variant);
  if (of === undefined) throw new Error(`no variant ${variant}`);
  const is = (name: string) => mutant?.startsWith(name) === true;
  const order = is('broken-first') ? 'bbm' : of.order;
  const stalls = of.handling === 'fault';
  const scene = new SmmuScene({
    profile,
    ...(stalls ? { events: 1 } : {}),
    unit: { idr3: { BBML: of.bbml }, ...(stalls ? { stalls: 2 } : {}) },
  });
  const { machine, unit } = scene;
  const space = scene.space({ did: DID, tag: { stage: 1, asid: 1 }, stalls });
  unit.stream(STREAM, space.ste({ stalls: stalls && !is('no-wait') && !is('broken-first') }));
  scene.buffer(DID, 'page 0', FRAMES);
  scene.premapBlock(space, 0n, FRAMES);
  // The third request finds what the first and the second have cached.
  const uses = order === 'bbm' ? 2 : 3;
  const domain = scene.domain(space);
  if (!stalls) {
    machine.device('nic', STREAM, DID, [0n]).stray([0n], 'read', uses);
    machine.actor('driver', () => domain.split(0n, order));
    return machine;
  }
  const over = straysUntilDone(machine, machine.device('nic', STREAM, DID, [0n]), uses);
  const lock = splitsUnderLock(machine, domain, order);
  const cpu1 = machine.cpu('cpu1');
  const events = unit.eventQueue(cpu1, scene.queue.on(cpu1));
  const locks = !is('no-lock');
  machine.actor('events on cpu1', function* (): Program {
    for (let i = 0; i < uses; i++) {
      const stalled = yield* events.next(over);
      if (stalled === null) return;
      if (locks) yield* lock.lock();
      const entry = yield* cpu1.read64(space.pages.l2);
      if (locks) yield* lock.unlock();
      yield* events.resume(stalled, (entry & space.format.present) !== 0n);
    }
  });
  return machine;
}

/** Of the variants that do not break by themselves: by name of the mutation, whose changes each has to survive no longer. */
function mutants(): Record<string, Mutant> {
  const all: Record<string, Mutant> = {};
  for (const { order, handling, bbml, name: variant } of EVERY) {
    const add = (mutation: string, title: string) => {
      all[`${mutation}-${order}-${handling}-bbml-${bbml}`] = { variant, title };
    };
    if (order === 'bbm' && handling === 'fault') {
      add('no-wait', 'the device cannot stall');
      add('no-lock', 'stalled transactions are answered without waiting for the split');
    }
    if (order !== 'bbm') add('broken-first', 'the entry is cleared before it is stored, and the device cannot stall');
  }
  return all;
}

export const D4_SMMU = defineCase({
  id: D4.id,
  title: D4.title,
  thread: '003',
  model: 'smmuv3',
  invariants: ['I4', 'I1', 'I2', 'OPEN'],
  variants: Object.fromEntries(EVERY.map(({ order, handling, bbml, name }) => [name, expected(order, handling, bbml)])),
  mutants: mutants(),
  unfired: {
    'sync.overtake':
      'where it does not fire, nothing is mapped when the CMD_SYNC comes: what is in flight was translated by what it makes void',
  },
  build,
});
