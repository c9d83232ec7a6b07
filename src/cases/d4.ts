import type { SplitOrder } from '../guest/index.ts';
import { isPresent } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import { FACT } from '../machine/index.ts';
import { CpuMmu } from './cpu-mmu.ts';
import { splitWithPageRequests } from './d4-fault.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { watchTwoSizes } from './two-sizes.ts';
import { ADDRESS, VtdScene } from './vtd-scene.ts';

const FRAMES = 0x21d200000n;

const NO_DMA = 'where a CPU uses the page, no device does DMA';
const RULES_OF_DMA = [
  ...['iotlb.use', 'iotlb.evict', 'context.use', 'context.evict', 'paging.use', 'paging.evict'],
  ...['invalidation.overtake', 'invalidation.held'],
];

/**
 * A 2 MiB page is split while it is in use: by a stray device, or by a CPU that walks the same tables (`cpu-…`). `fault` and `no-fault` say
 * whether the user can wait in a fault until the split is over: a CPU's fault handler can, a device only with page requests.
 * `nt` is of SMMUv3.
 */
function build(setup: Setup): Machine {
  const { variant, profile, mutant } = setup;
  const [name, handling] = variant.split('/');
  const isCpu = name.startsWith('cpu-');
  if (!isCpu && handling === 'fault') return splitWithPageRequests(setup);
  const order = (mutant === 'broken-first' ? 'bbm' : name.replace('cpu-', '')) as SplitOrder;
  const scene = new VtdScene({ profile, pdEntries: [0], ptEntries: [0] });
  const { machine, unit, domain } = scene;
  scene.buffer('page 0', FRAMES);
  scene.premapLarge(0n, FRAMES);
  if (isCpu) usedByCpu(scene, order, handling === 'fault', mutant !== 'cpu-no-lock');
  else {
    // The third request finds what the first and the second have cached.
    scene.device('nic', [0n]).stray([0n], 'read', order === 'swap' ? 3 : 2);
    watchTwoSizes(machine, unit);
    machine.actor('driver', () => domain.split(0n, order));
  }
  return machine;
}

/** @param handles the kernel of the CPU handles its faults. @param locks the handler waits for whoever changes the tables */
function usedByCpu(scene: VtdScene, order: SplitOrder, handles: boolean, locks: boolean): void {
  const { machine, domain } = scene;
  const cpu1 = machine.cpu('cpu1');
  const mmu = new CpuMmu(machine, cpu1, ADDRESS.pd);
  const lock = machine.word('page-table lock');
  machine.actor('driver', function* () {
    yield* lock.lock();
    yield* domain.split(0n, order, () => mmu.shootdown());
    yield* lock.unlock();
  });
  const fatal = (): Program =>
    machine.note('the fault is fatal', 'after', () => {
      machine.facts.bits |= FACT.deniedInside;
    });
  function* use(): Program {
    // One fault, and the load once more; it cannot fault again, as the tables are split once.
    if ((yield* mmu.load(FRAMES)) === 1) return;
    if (!handles) return yield* fatal();
    if (locks) yield* lock.lock();
    const entry = yield* cpu1.read64(ADDRESS.pd);
    if (locks) yield* lock.unlock();
    if (!isPresent(entry)) return yield* fatal();
    yield* machine.note('the fault was spurious: the page is mapped');
    yield* mmu.invlpg();
    if ((yield* mmu.load(FRAMES)) === 0) yield* fatal();
  }
  machine.actor('thread on cpu1', function* () {
    for (let i = 0; i < 2; i++) yield* use();
  });
}

export const D4 = defineCase({
  id: 'D4',
  title: 'a 2 MiB page is split into small ones while it is in use',
  thread: '003',
  model: 'vtd',
  invariants: ['I4', 'I1', 'I2', 'OPEN'],
  variants: {
    'bbm/fault': 'holds',
    'bbm/no-fault': 'violated',
    'swap/fault': 'undefined',
    // VT-d 6.5.3.3 advises against changing the size together with frame, rights or attributes, and is silent on the size alone; 6.2.4.1 says
    // that translations of both sizes may then be cached, and leaves which one is used to the implementation.
    'swap/no-fault': 'undefined',
    'cpu-bbm/fault': 'holds',
    'cpu-bbm/no-fault': 'violated',
  },
  mutants: {
    'broken-first': { variant: 'swap/no-fault', title: 'the entry is cleared before it is stored' },
    'no-wait': { variant: 'bbm/fault', title: 'the device cannot wait' },
    'no-lock': { variant: 'bbm/fault', title: 'page requests are answered without waiting for the split' },
    'broken-first-no-wait': { variant: 'swap/fault', title: 'the entry is cleared first, and the device cannot wait' },
    'cpu-no-lock': {
      variant: 'cpu-bbm/fault',
      title: 'the fault handler looks at the entry without waiting for the split',
    },
  },
  unfired: {
    ...Object.fromEntries(RULES_OF_DMA.map((rule) => [rule, NO_DMA])),
    'paging.survive-hint': 'a split invalidates the entry that leads to the new table, too',
  },
  build,
});
