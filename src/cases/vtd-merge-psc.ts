import { defineCase } from './define.ts';
import { mergeLoop, mergePsc, UNFIRED_ORDERLY } from './superpage.ts';

/** The second DMA goes to another page, to use the cached PDE; K5 and D2 use the IOTLB too. */
const ONCE = 'no page is read twice while it is mapped';

export const MERGE_PSC = defineCase({
  id: 'vtd-merge-psc',
  title: '"Force to flush iotlb before creating superpage": the cached PDE survives the unmap',
  thread: '003',
  tags: ['core', 'corpus'],
  model: 'vtd',
  invariants: ['I4', 'I2'],
  variants: { buggy: { spec: 'violated', 'qemu-10': 'holds' }, fixed: 'holds' },
  mutants: {
    'no-superpage-flush': {
      variant: 'fixed',
      title: 'no invalidation when the superpage takes the place of the table',
    },
  },
  needs: ['paging-structure cache'],
  unfired: { ...UNFIRED_ORDERLY, 'iotlb.use': ONCE, 'iotlb.evict': ONCE },
  build: (setup) => mergeLoop({ profile: setup.profile, ...mergePsc(setup) }),
});
