import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { IOVA, PAGE } from './reclaim-race.ts';
import { SmmuScene, STREAM } from './smmu-scene.ts';
import { ORDERLY_DMA } from './smmu-unfired.ts';

const DID = 1;

/**
 * A queue of two commands, which a TLBI and its CMD_SYNC fill: an SMMU that compares indexes without their wrap bits takes it for empty. Who waits
 * for CMDQ_CONS waits for ever; `polls-empty` looks whether the queue is empty, the same way.
 */
function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const [hardware, driver] = variant.split('/');
  const scene = new SmmuScene({
    profile: { ...profile, losesCommandWrap: hardware === 'buggy' },
    commands: 1,
    ...(driver === 'polls-empty' ? ({ completion: 'empty' } as const) : {}),
  });
  const { machine, unit } = scene;
  const space = scene.space({ did: DID, tag: { stage: 1, asid: 1 }, l3Entries: [Number(IOVA >> 12n)] });
  unit.stream(STREAM, space.ste());
  scene.buffer(DID, 'P', PAGE);
  scene.premap(space, IOVA, PAGE);
  const nic = machine.device('nic', STREAM, DID, [IOVA]);
  const domain = scene.domain(space, { noTlbi: mutant === 'no-tlbi' });
  machine.actor('driver', function* (): Program {
    yield* nic.dma(IOVA, 'read');
    yield* nic.dma(IOVA, 'read');
    yield* domain.unmap(IOVA, 0x1000n);
    yield* nic.dma(IOVA, 'read');
  });
  return machine;
}

export const GEM5_CMDQ_WRAP = defineCase({
  id: 'gem5-cmdq-wrap',
  title: '"Fix SMMUv3 CMDQ wrapping": a full command queue looks empty',
  thread: '002',
  tags: ['corpus'],
  model: 'smmuv3',
  invariants: ['I1'],
  variants: { buggy: 'violated', 'buggy/polls-empty': 'violated', fixed: 'holds' },
  mutants: { 'no-tlbi': { variant: 'fixed', title: 'the unmap does not invalidate' } },
  unfired: ORDERLY_DMA,
  build,
});
