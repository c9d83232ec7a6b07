import { VERSIONS } from '../guest/index.ts';
import { choose } from '../machine/index.ts';
import { defineCase } from './define.ts';
import { ORDERLY } from './superpage.ts';
import { VtdScene } from './vtd-scene.ts';

const PAGES = 16;
const FRAMES = 0x21d200000n;

/** Every unmap of `length` pages from page `start` of 0 … 15, with a DMA to every page of it, twice before and once after. */
export const PSI_UNALIGNED_MASK = defineCase({
  id: 'vtd-psi-unaligned-mask',
  title: '"Calculate mask for non-aligned flushes": the invalidation of an unaligned range misses its end',
  thread: '003',
  tags: ['core', 'corpus'],
  model: 'vtd',
  invariants: ['I1'],
  variants: { buggy: 'violated', fixed: 'holds' },
  mutants: { 'no-flush': { variant: 'fixed', title: 'the unmap does not invalidate' } },
  unfired: {
    'invalidation.overtake': ORDERLY,
    'invalidation.held': ORDERLY,
    'paging.survive-hint': 'the invalidation comes once, and what it kept is not asked for again',
  },
  build: ({ variant, profile, mutant }) => {
    const pages = Array.from({ length: PAGES }, (_, i) => i);
    const scene = new VtdScene({
      profile,
      version: { ...VERSIONS.ideal, addressMask: variant === 'buggy' ? 'rounded-up' : 'shared-bits' },
      mutation: { noUnmapFlush: mutant === 'no-flush' },
      pdEntries: [0],
      ptEntries: pages,
    });
    const { machine, domain } = scene;
    for (const i of pages) scene.buffer(`page ${i}`, FRAMES + BigInt(i * 4096));
    scene.premap(0n, FRAMES, PAGES);
    const device = scene.device(
      'nic',
      pages.map((i) => BigInt(i * 4096)),
    );
    machine.actor('driver', function* () {
      const start = yield* choose('first page', PAGES);
      const length = 1 + (yield* choose('number of pages', PAGES - start));
      const aim = BigInt((start + (yield* choose('page that the device uses', length))) * 4096);
      yield* device.dma(aim, 'read');
      yield* device.dma(aim, 'read');
      yield* domain.unmap(BigInt(start * 4096), BigInt(length * 4096));
      yield* device.dma(aim, 'read');
    });
    return machine;
  },
});
