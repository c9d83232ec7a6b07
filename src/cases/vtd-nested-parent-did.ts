import { FIRST_STAGE, LARGE, LEAF, NestedParentInvalidation } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import type { Pages } from './scalable-scene.ts';
import { DIRECTORY, RID_PASID, ScalableScene } from './scalable-scene.ts';
import { ADDRESS, SID } from './unit-scene.ts';

/** Domain ids of the parent, by which nothing is cached here, and of the nested domain. */
const PARENT = 1;
const NESTED = 2;

/** An address that the device uses, what the guest maps it to, and where the host has that. */
const IOVA = 0x1000n;
const GUEST_PAGE = 0x2000n;
const PAGE = 0x21d202000n;

/** The guest's first stage, in guest-physical addresses; the host has the GiB that it lies in at one place. */
const GUEST_TABLES: Pages = { pml4: 0x40001000n, pdpt: 0x40002000n, pd: 0x40003000n, pts: [0x40004000n] };
const GUEST_GIB = 0x40000000n;
const HOST_GIB = 0x1a40000000n;

/**
 * A guest has a device with nested translation: its own first stage over the host's second. The host takes a page of the guest
 * away; nothing may reach it then.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const [what, mode] = variant.split('/');
  const ats = mode === 'ats';
  const scene = new ScalableScene({
    profile,
    ats,
    // A nested walk has some twenty steps; the second DMA begins when the first is over, at any time of the unmap.
    machine: { dmaSlots: 1 },
  });
  const { machine, queue } = scene;
  // Its tables are walked for the nested domain.
  const parent = scene.space({ did: NESTED, name: 'the host', ptEntries: [Number(GUEST_PAGE >> 12n)] });
  scene.premap(parent, GUEST_PAGE, PAGE);
  machine.poke(ADDRESS.pdpt + 8n * (GUEST_GIB >> 30n), HOST_GIB | LEAF | LARGE);
  const guest = scene.space({
    did: NESTED,
    name: 'the guest',
    pages: GUEST_TABLES,
    moved: HOST_GIB - GUEST_GIB,
    format: FIRST_STAGE,
    ptEntries: [Number(IOVA >> 12n)],
  });
  scene.premap(guest, IOVA, GUEST_PAGE);
  scene.directory('', DIRECTORY);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, RID_PASID, { by: 'nested', did: NESTED, first: guest.top, second: parent.top });
  scene.buffer(NESTED, 'P', PAGE);
  machine.device('nic', SID, NESTED, [IOVA], ats ? { ats } : {}).stray([IOVA], 'write', 2);
  const [vpn, pfn] = [Number(IOVA >> 12n), Number(PAGE >> 12n)];
  machine.onStart(() => machine.grants.granted(NESTED, vpn, 1, pfn));

  const isBuggy = what === 'buggy' || mutant?.startsWith('parent-only') === true;
  const flushesDevice = ats && what === 'fixed' && mutant !== 'no-device-tlb-flush';
  const invalidator = new NestedParentInvalidation(queue, {
    nested: isBuggy ? [] : [NESTED],
    devices: flushesDevice ? [SID] : [],
  });
  const host = scene.domain({ ...parent, did: PARENT }, invalidator, {
    noUnmapFlush: mutant?.startsWith('no-flush') === true,
  });
  machine.actor('host', function* () {
    yield* machine.note('', 'before', () => machine.grants.begin(NESTED, vpn, 1));
    yield* host.unmap(GUEST_PAGE, 0x1000n);
    yield* machine.note('', 'after', () => machine.grants.revoked(NESTED, vpn, 1));
  });
  return machine;
}

export const NESTED_PARENT_DID = defineCase({
  id: 'vtd-nested-parent-did',
  title: '"Add missing iotlb flush for parent domain": nested translations are cached under another domain id',
  thread: '002',
  tags: ['corpus'],
  model: 'vtd',
  invariants: ['I1'],
  variants: {
    buggy: 'violated',
    fixed: 'holds',
    'buggy/ats': 'violated',
    // Without its companion, "Add missing device iotlb flush for parent domain".
    'no-device-tlb/ats': 'violated',
    'fixed/ats': 'holds',
  },
  mutants: {
    'parent-only': { variant: 'fixed', title: 'the invalidation names the domain id of the parent alone' },
    'no-flush': { variant: 'fixed', title: 'the unmap does not invalidate' },
    'parent-only-ats': {
      variant: 'fixed/ats',
      title: 'the IOTLB is invalidated for the domain id of the parent alone',
    },
    'no-device-tlb-flush': { variant: 'fixed/ats', title: "the device's cache is not invalidated" },
    'no-flush-ats': { variant: 'fixed/ats', title: 'the unmap does not invalidate' },
  },
  unfired: { 'invalidation.overtake': 'every invalidation drains' },
  build,
});
