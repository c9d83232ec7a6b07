import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { OTHER_SPACE, SmmuScene, STREAM } from './smmu-scene.ts';

const DID = 1;
const IOVA = 0x1000n;
const PAGE = 0x21d201000n;

/**
 * A stream goes from one address space to another that maps the same page, so that DMA may notice nothing. The new table is written right before, by code
 * that leaves it to others to make that visible (`io-pgtable-arm` itself ends a map with a barrier); the STE changes by one store, of
 * S1ContextPtr, before any command is issued. The CPU's stores are seen in any order.
 */
function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const scene = new SmmuScene({ profile, stores: 'relaxed' });
  const { machine, cpu, queue, unit } = scene;
  const entries = { did: DID, l3Entries: [1] };
  const old = scene.space({ ...entries, tag: { stage: 1, asid: 1 }, name: 'the old space' });
  const space = scene.space({ ...entries, tag: { stage: 1, asid: 2 }, name: 'the new space', pages: OTHER_SPACE });
  scene.buffer(DID, 'P', PAGE);
  scene.premap(old, IOVA, PAGE);
  scene.link(space, IOVA);
  unit.stream(STREAM, old.ste());
  machine.device('nic', STREAM, DID, [IOVA]).stray([IOVA], 'read', 2);
  const configuration = unit.configuration(cpu, queue, { publishes: variant === 'fixed' });
  const table = scene.table(space);
  const map = () => table.setLeaf(Number(IOVA >> 12n), 1, Number(PAGE >> 12n));
  const install = () => configuration.writeSte(STREAM, space.ste());
  machine.actor('driver', function* (): Program {
    const steps = mutant === 'mapped-late' ? [install, map] : [map, install];
    for (const step of steps) yield* step();
    yield* machine.note('the stream is in its new space');
  });
  return machine;
}

export const SMMU_HITLESS_WMB = defineCase({
  id: 'smmu-hitless-wmb',
  title: '"Add a missing dma_wmb() for hitless STE update": the STE is seen before the table that it leads to',
  thread: '002',
  tags: ['corpus'],
  model: 'smmuv3',
  invariants: ['I4'],
  variants: { buggy: 'violated', fixed: 'holds' },
  mutants: { 'mapped-late': { variant: 'fixed', title: 'the page is mapped when the STE is there' } },
  build,
});
