import type { EntryConduct } from '../guest/index.ts';
import { BYPASS_STE, usedOfSte } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { OTHER_SPACE, SmmuScene, STREAM } from './smmu-scene.ts';
import { STAGE_2_ALONE } from './smmu-unfired.ts';

/** Before the change and after it. */
const [OLD, NEW] = [1, 2];
/** A page that is where its address says, and one that is somewhere else for the old domain. */
const IDENTITY = 0x1000n;
const OLD_PAGE = 0x21d201000n;
const NEW_PAGE = 0x21d301000n;

/**
 * The STE of a device is changed while the device does DMA: in the order of the kernel (`kernel`), from its first word to its last (`naive`), or in the order of
 * the kernel with one invalidation at the end (`no-sync`). `hitless`: the stream bypasses, and then has a domain with the same mapping (a
 * region that firmware reserves), and `leave` back: DMA may notice nothing. `replace`: it goes from one domain of stage 2 to another.
 */
function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const [conduct, change] = variant.split('/');
  const order = (mutant?.replace(/-(hitless|leave|replace)$/, '') ?? conduct) as NonNullable<EntryConduct['order']>;
  const scene = new SmmuScene({ profile, unit: { readsInParts: true } });
  const { machine, cpu, queue, unit } = scene;
  const pages = { l3Entries: [1] };
  const after = scene.space({
    did: NEW,
    tag: { stage: 2, vmid: 2 },
    pages: OTHER_SPACE,
    name: 'the new domain',
    ...pages,
  });
  const isHitless = change !== 'replace';
  const target = change === 'leave' ? BYPASS_STE : after.ste();
  let before = change === 'leave' ? after.ste() : BYPASS_STE;
  if (isHitless) scene.premap(after, IDENTITY, IDENTITY);
  else {
    const old = scene.space({ did: OLD, tag: { stage: 2, vmid: 1 }, name: 'the old domain', ...pages });
    before = old.ste();
    scene.premap(old, IDENTITY, OLD_PAGE);
    scene.premap(after, IDENTITY, NEW_PAGE);
    scene.grantFromStart(NEW, IDENTITY, OLD_PAGE, 1);
    scene.buffer(NEW, 'page of the old domain', OLD_PAGE);
  }
  scene.buffer(NEW, 'P', isHitless ? IDENTITY : NEW_PAGE);
  unit.stream(STREAM, before);
  // What is not valid is nothing to act on: all words but the first are ignored.
  const versions = [before, target, target.map(() => 0n)];
  machine.dma.versions.declare('the STE', unit.steAt(STREAM), versions, versions.map(usedOfSte));
  machine.device('nic', STREAM, NEW, [IDENTITY]).stray([IDENTITY], 'read', 2);
  const configuration = unit.configuration(cpu, queue, { order });
  const page = Number(IDENTITY >> 12n);
  machine.actor('driver', function* (): Program {
    const { grants } = machine;
    if (!isHitless) yield* machine.note('the device changes its domain', 'before', () => grants.begin(NEW, page, 1));
    yield* configuration.writeSte(STREAM, target);
    const frame = Number((isHitless ? IDENTITY : NEW_PAGE) >> 12n);
    yield* machine.note('the device is in its new domain', 'after', () => grants.granted(NEW, page, 1, frame));
  });
  return machine;
}

/** QEMU and gem5 read a structure at once: what is wrong here cannot be seen there. */
const ONE_SYNC = { spec: 'violated', 'qemu-10': 'holds', gem5: 'holds' } as const;

export const SMMU_STE_ORDER = defineCase({
  id: 'smmu-ste-order',
  title: 'an STE of eight words is changed while its device does DMA',
  thread: '002',
  model: 'smmuv3',
  // IHI 0070, 3.21.3: 64 bits are read at once, and no more.
  invariants: ['I5', 'I4', 'I1'],
  variants: {
    'kernel/hitless': 'holds',
    'naive/hitless': 'violated',
    // The first word may be read while the others were in use, and the others when they are not any more.
    'kernel/leave': 'holds',
    'no-sync/leave': ONE_SYNC,
    'kernel/replace': 'holds',
    'naive/replace': 'violated',
    'no-sync/replace': ONE_SYNC,
  },
  mutants: {
    'naive-hitless': { variant: 'kernel/hitless', title: 'words are stored from the first to the last' },
    'no-sync-leave': { variant: 'kernel/leave', title: 'what is cached is invalidated once, at the end' },
    'no-sync-replace': { variant: 'kernel/replace', title: 'what is cached is invalidated once, at the end' },
    'naive-replace': { variant: 'kernel/replace', title: 'words are stored from the first to the last' },
  },
  unfired: STAGE_2_ALONE,
  build,
});
