import type { VersionName } from '../guest/index.ts';
import { VERSIONS } from '../guest/index.ts';
import { defineCase } from './define.ts';
import { VtdScene } from './vtd-scene.ts';

const NEIGHBOUR = 0x210000n;
const NEIGHBOUR_PAGE = 0x7f2a10000n;
const LARGE = 0x21d200000n;

const NOTHING = 'nothing stands in the way of the superpage, so nothing is invalidated';

/**
 * One 2 MiB superpage and one 4 KiB page behind it are mapped, while a neighbour's page in the same page table is in use. Scaled down
 * from the example of the fix, where 1 GiB pages were followed by a tail of 2 MiB pages.
 */
export const SUPERPAGE_TAIL = defineCase({
  id: 'vtd-superpage-tail',
  title:
    '"Avoid duplicate removing in __domain_mapping()": superpages with a smaller tail wipe the neighbour of the tail',
  thread: '003',
  tags: ['core', 'corpus'],
  model: 'vtd',
  invariants: ['I10'],
  variants: { 'linux-5.16': 'violated', 'linux-6.12.117': 'holds' },
  mutants: {
    'no-round-down': { variant: 'linux-6.12.117', title: 'what is removed is not rounded down to whole superpages' },
  },
  unfired: {
    'paging.survive-hint': NOTHING,
    'invalidation.overtake': NOTHING,
    'invalidation.held': NOTHING,
  },
  build: ({ variant, profile, mutant }) => {
    const version = VERSIONS[variant as VersionName];
    const scene = new VtdScene({
      profile,
      version: mutant === 'no-round-down' ? { ...version, makesRoom: 'up-to-request-end' } : version,
      pdEntries: [0, 1],
      ptEntries: [0, 16],
    });
    const { machine, domain } = scene;
    scene.buffer("the neighbour's page", NEIGHBOUR_PAGE);
    scene.premap(NEIGHBOUR, NEIGHBOUR_PAGE, 1);
    scene.device('nic', [NEIGHBOUR]).stray([NEIGHBOUR], 'read', 2);
    machine.actor('driver', function* () {
      yield* domain.map(0n, LARGE, 0x201000n);
    });
    return machine;
  },
});
