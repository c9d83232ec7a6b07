import type { DirtyTrackingOptions, PasidTranslation } from '../guest/index.ts';
import { DirtyTracking } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { DirtyLog } from './dirty-log.ts';
import { DIRECTORY, RID_PASID, ScalableScene } from './scalable-scene.ts';
import { SID } from './unit-scene.ts';

const DID = 1;
const FRAMES = 0x21d200000n;
const ALL = { reads: true, writes: true };

/** What of the flushes a variant or a mutant leaves out. */
const LEAVES: Readonly<Record<string, DirtyTrackingOptions>> = {
  'no-flush': { leaves: 'all-flushes' },
  'no-split-flush': { leaves: 'split-flush' },
  'no-report-flush': { leaves: 'report-flush' },
  'stored-over': { stores: true },
};

/**
 * A domain with a page of 2 MiB is migrated while its device writes: dirty tracking is switched on, the page is split in three steps (prepare
 * the table, switch the entry, flush), and the dirty flags are read and cleared twice.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const drain = mutant === 'no-drain' ? { reads: false, writes: false } : ALL;
  const scene = new ScalableScene({ profile, drain });
  const { machine, cpu } = scene;
  const space = scene.space({ did: DID });
  const translation: PasidTranslation = { by: 'second-stage', did: DID, second: space.top };
  scene.directory('', DIRECTORY);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, RID_PASID, translation);
  scene.buffer(DID, 'page 0', FRAMES, [0]);
  scene.premapLarge(space, 0n, FRAMES);
  machine.device('nic', SID, DID, [0n]).stray([0n], 'write', 2);

  const leaves = mutant?.startsWith('unflushed-enable') === true ? ({ leaves: 'iotlb' } as const) : {};
  const entries = scene.pasidTable({ table: DIRECTORY.table, ...leaves });
  const tracking = new DirtyTracking(
    machine,
    cpu,
    scene.table(space),
    scene.domain(space),
    LEAVES[mutant ?? ''] ?? LEAVES[variant] ?? {},
  );
  const log = new DirtyLog(machine, FRAMES);
  machine.actor('driver', function* () {
    yield* entries.enableDirty(RID_PASID, translation);
    yield* log.begins();
    let whole = yield* tracking.split(0);
    for (let i = 0; i < 2; i++) {
      yield* log.asked();
      const dirty = yield* tracking.readAndClear(0, 512, whole);
      yield* log.answered(whole || dirty.some(({ pfn }) => pfn === 0));
      whole = false;
    }
  });
  return machine;
}

export const D5 = defineCase({
  id: 'D5',
  title: 'dirty tracking: a large page is split and its dirty flags are read while its device writes',
  thread: '003',
  model: 'vtd',
  invariants: ['I7'],
  variants: {
    'no-flush': 'violated',
    // The flush of the third step is not what the flags need: that of the report covers what the split has left cached.
    'no-split-flush': { spec: 'holds', 'qemu-10': 'violated' },
    flush: { spec: 'holds', 'qemu-10': 'violated' },
  },
  mutants: {
    'no-report-flush': { variant: 'flush', title: 'flags are cleared, and what is cached as dirty stays' },
    'unflushed-enable': { variant: 'flush', title: 'tracking is switched on, and what was cached without it stays' },
    'stored-over': {
      variant: 'flush',
      title: 'the entry is switched by a store, which a flag that is set meanwhile does not survive',
    },
    'unflushed-enable-only': {
      variant: 'no-split-flush',
      title: 'tracking is switched on, and what was cached without it stays',
    },
    'no-drain': { variant: 'flush', title: 'a write that was translated before the flush lands behind the report' },
  },
  needs: ['drain'],
  unfired: {
    'invalidation.overtake': 'where it does not fire, every invalidation drains',
  },
  build,
});
