import type { Drain } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { VtdScene } from './vtd-scene.ts';

const IOVA = 0x1000n;
const PAGE = 0x21d201000n;

const ALL: Drain = { reads: true, writes: true };
const NONE: Drain = { reads: false, writes: false };

/** What a variant's name says after the slash. */
interface Way {
  readonly drain: Drain;
  /** Whether the device is read before the invalidation or after it. */
  readonly when: 'before' | 'after';
  /** How far the device's posted writes have come when the read returns (`Device.pushed`). */
  readonly reach: 'visible' | 'accepted';
}

const WAYS: Readonly<Record<string, Way>> = {
  'read-back': { drain: NONE, when: 'after', reach: 'visible' },
  'read-back-accepted': { drain: NONE, when: 'after', reach: 'accepted' },
  'read-back-first': { drain: NONE, when: 'before', reach: 'visible' },
  'read-back-drain': { drain: ALL, when: 'after', reach: 'visible' },
};

/**
 * The driver of A1 and A2 reads a register of the device as well, before it frees the page. An unmap begins and ends with its
 * invalidation, so `before` and `after` are before and after the call.
 */
function build(setup: Setup): Machine {
  const [kind, name] = setup.variant.split('/') as ['read' | 'write', string];
  const way = WAYS[name];
  const { mutant, profile } = setup;
  const scene = new VtdScene({
    profile,
    drain: way.drain,
    mutation: { noUnmapFlush: mutant?.startsWith('no-flush') === true },
    unit: mutant === 'drain-not-supported' ? { cap: { DRD: 0, DWD: 0 } } : {},
  });
  const { machine, cpu, domain } = scene;
  const page = machine.pool([scene.buffer('P', PAGE, [0])]);
  scene.premap(IOVA, PAGE, 1);
  const nic = scene.device('nic', [IOVA]);
  nic.stray([IOVA], kind, 2);
  const stranger = machine.owner('another process', 'other');

  // An emulator that drains nothing keeps a page mapped while a request of its device is being served, and answers reads of registers meanwhile.
  const reach = profile.drains ? way.reach : 'accepted';
  function* readBack(): Program {
    if (mutant !== 'relaxed-ordering') yield* nic.pushed(reach);
  }

  machine.actor('driver', function* () {
    if (way.when === 'before') yield* readBack();
    yield* domain.unmap(IOVA, 0x1000n);
    if (way.when === 'after') yield* readBack();
    yield* page.release(PAGE);
  });
  machine.actor('new owner', function* () {
    yield* page.alloc(stranger);
    yield* cpu.write64(PAGE, 0xc0ffeen, 'writes the canary 0xc0ffee to P[0]');
  });
  return machine;
}

export const A7 = defineCase({
  id: 'A7',
  title:
    'a page is reclaimed after the invalidation and a read of a register of the device: is the drain still needed?',
  thread: '000',
  tags: ['core'],
  model: 'vtd',
  invariants: ['I3', 'I12', 'I1'],
  variants: {
    'write/read-back': { spec: 'holds', 'qemu-10': 'violated' },
    'write/read-back-accepted': 'violated',
    'write/read-back-first': 'violated',
    'write/read-back-drain': { spec: 'holds', 'qemu-10': 'violated' },
    'read/read-back': 'violated',
    'read/read-back-drain': { spec: 'holds', 'qemu-10': 'violated' },
  },
  mutants: {
    'relaxed-ordering': { variant: 'write/read-back', title: 'the completion may pass the writes, so it pushes none' },
    'no-flush': { variant: 'write/read-back', title: 'the unmap does not invalidate' },
    'no-flush-drain': { variant: 'write/read-back-drain', title: 'the unmap does not invalidate' },
    'no-flush-read': { variant: 'read/read-back-drain', title: 'the unmap does not invalidate' },
    'drain-not-supported': { variant: 'read/read-back-drain', title: 'CAP.DRD and CAP.DWD are 0' },
  },
  needs: ['drain'],
  unfired: {
    'invalidation.held':
      'where it does not fire, no drain is asked for, and a walk that has read the one entry that changed is over',
    'invalidation.overtake': 'where it does not fire, every invalidation drains',
    'paging.survive-hint': 'the unmap frees no table',
  },
  build,
});
