import { encode64 } from '../bits/index.ts';
import type { AttachOptions, SyncState } from '../guest/index.ts';
import { LegacyAttach, NewMapping, WriteBuffers } from '../guest/index.ts';
import { GCMD } from '../iommu/vtd/index.ts';
import type { Machine, Program, SoftwareWord } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { ADDRESS, DID, SID, VtdScene } from './vtd-scene.ts';

const IOVA = 0x1000n;
const PAGE = 0x21d201000n;
const CONTEXT_ENTRY_ADDRESS = ADDRESS.context + BigInt((SID & 0xff) * 16);

/** When the flag is set and when the unit comes on the domain's list, by what a variant's name begins with. */
const ORDERS: Readonly<Record<string, Pick<AttachOptions, 'flagSet' | 'tagged'>>> = {
  // v6.16 with 12724ce3fe1a.
  buggy: { flagSet: 'by-attach', tagged: 'after-context' },
  // With cee686775f9c. Nobody moved the list.
  'linux-6.17': { flagSet: 'at-allocation', tagged: 'after-context' },
  // What the fix promises ("invalidation changes must precede device attachment"), for the list as well: it was there before in v6.10.
  fixed: { flagSet: 'at-allocation', tagged: 'before-context' },
};

/**
 * A domain that two CPUs share, as iommufd allows it: one attaches a device to it, the other maps a page in it. The device may use the page
 * from when both calls have returned. Its unit either holds stores back in write buffers (CAP.RWBF), or has cached that there was
 * nothing (CAP.CM).
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const [order, mode] = variant.split('/');
  const cachingMode = mode === 'caching-mode';
  const scene = new VtdScene({
    profile,
    pdEntries: [0],
    ptEntries: [1],
    unit: { cap: { RWBF: cachingMode ? 0 : 1, CM: cachingMode ? 1 : 0 }, ecap: { C: 1 } },
    // The buffers lie behind the CPU's caches: walks snoop those, and no clflush empties the buffers.
    machine: { coherentWalker: cachingMode },
  });
  const { machine, unit, cpu } = scene;
  machine.memory.holder = 'the write buffer lets go of';
  scene.buffer('P', PAGE);
  scene.device('vfio-pci', [IOVA]).stray([IOVA], 'read', 2);
  // Nothing is attached when the story begins.
  for (const word of [0n, 8n]) machine.poke(CONTEXT_ENTRY_ADDRESS + word, 0n);

  const { flagSet, tagged } = {
    ...ORDERS[order],
    ...(mutant?.startsWith('flag-by-attach') ? ({ flagSet: 'by-attach' } as const) : {}),
    ...(mutant?.startsWith('listed-late') ? ({ tagged: 'after-context' } as const) : {}),
  };
  const state: SyncState = {
    flag: machine.word('iotlb_sync_map', flagSet === 'at-allocation' ? 1 : 0),
    tagged: machine.word('unit on the list of the domain'),
  };
  const gcmd = encode64(GCMD, { TE: 1, QIE: 1 });
  const buffers = new WriteBuffers(unit, !cachingMode, machine.word('register_lock'), gcmd);
  const left = mutant?.startsWith('no-flush-of-context') === true;
  const context = { sid: SID, did: DID, contextEntry: CONTEXT_ENTRY_ADDRESS, root: ADDRESS.pml4 };
  const options = { ...context, cachingMode, needsSync: true, flagSet, tagged, left };
  if (scene.queue === null) throw new Error('the queue carries invalidations');
  const attaching = new LegacyAttach(cpu, scene.queue, buffers, state, options);

  const cpu1 = scene.secondCpu();
  const newMapping = new NewMapping(machine, cpu1.cpu, {
    cachingMode,
    buffers,
    state,
    left: mutant?.startsWith('no-flush-of-map') === true,
  });
  const domain = scene.domainOn(cpu1.cpu, cpu1.queue, newMapping);

  // What the calls promise together is known to whichever returns last.
  const attached = machine.word('attached');
  const mapped = machine.word('mapped');
  const [page, frame] = [Number(IOVA >> 12n), Number(PAGE >> 12n)];
  function* returns(what: string, own: SoftwareWord, other: SoftwareWord): Program {
    yield* machine.note(what, 'after', () => {
      own.value = 1;
      if (other.value === 1) machine.grants.granted(DID, page, 1, frame);
    });
  }
  machine.onStart(() => machine.grants.begin(DID, page, 1));
  machine.actor('cpu0', function* () {
    yield* attaching.attach();
    yield* returns('the attach returns', attached, mapped);
  });
  machine.actor('cpu1', function* () {
    yield* domain.install(page, frame, 1);
    yield* returns('iommu_map returns', mapped, attached);
  });
  return machine;
}

export const SYNCMAP_RACE = defineCase({
  id: 'vtd-syncmap-race',
  title: '"Make iotlb_sync_map a static property of dmar_domain": a map during an attach is not made visible',
  thread: '003',
  tags: ['corpus'],
  model: 'vtd',
  invariants: ['I4'],
  variants: {
    buggy: 'violated',
    fixed: 'holds',
    'linux-6.17': 'violated',
    'buggy/caching-mode': 'violated',
    'fixed/caching-mode': 'holds',
    'linux-6.17/caching-mode': 'violated',
  },
  mutants: {
    'flag-by-attach': { variant: 'fixed', title: 'the flag alone comes late' },
    'listed-late': { variant: 'fixed', title: 'the unit alone comes late on the list of the domain' },
    'no-flush-of-map': { variant: 'fixed', title: 'the map flushes no write buffer' },
    'no-flush-of-context': { variant: 'fixed', title: 'the attach flushes no write buffer' },
    'flag-by-attach-cm': { variant: 'fixed/caching-mode', title: 'the flag alone comes late' },
    'listed-late-cm': { variant: 'fixed/caching-mode', title: 'the unit alone comes late on the list of the domain' },
    'no-flush-of-map-cm': { variant: 'fixed/caching-mode', title: 'the map invalidates nothing' },
    'no-flush-of-context-cm': { variant: 'fixed/caching-mode', title: 'the attach invalidates nothing' },
  },
  unfired: {
    'paging.survive-hint':
      'no invalidation says that only leaves were changed: the driver has made a mapping, and taken none away',
    'invalidation.overtake': 'where it does not fire, nothing is invalidated (CAP.CM = 0), or everything is drained',
    'invalidation.held': 'where it does not fire, nothing is invalidated: CAP.CM is 0',
  },
  build,
});
