import { DomainMasters, Master, moveMaster, SMMU_VERSIONS } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { IOVA, PAGE } from './reclaim-race.ts';
import { OTHER_SPACE, SmmuScene, STREAM } from './smmu-scene.ts';
import { ORDERLY_DMA, STAGE_2_ALONE } from './smmu-unfired.ts';

/** Domains, and the function that changes its own. */
const [D0, D1] = [1, 2];
const MOVES = STREAM + 1;

/**
 * Two devices share a domain: `nic` has ATS on in it, `disk` has not, and leaves it for one in which it has. Then a page of the first domain is unmapped,
 * which `nic` has cached.
 */
function build({ variant, profile, mutant }: Setup<'smmuv3'>): Machine {
  const version = variant === 'buggy' ? SMMU_VERSIONS['linux-6.13'] : SMMU_VERSIONS['linux-6.17'];
  const scene = new SmmuScene({
    profile,
    unit: { idr0: { ATS: 1 }, atcInvalidations: 1 },
    machine: { atcEntries: 1 },
  });
  const { machine, cpu, queue, unit } = scene;
  const space = scene.space({ did: D0, tag: { stage: 2, vmid: 1 }, name: 'D0', l3Entries: [Number(IOVA >> 12n)] });
  const other = scene.space({ did: D1, tag: { stage: 2, vmid: 2 }, name: 'D1', pages: OTHER_SPACE });
  unit.stream(STREAM, space.ste({ ats: true }));
  unit.stream(MOVES, space.ste());
  scene.buffer(D0, 'P', PAGE);
  scene.premap(space, IOVA, PAGE);
  const nic = machine.device('nic', STREAM, D0, [IOVA], { ats: true });
  const [stays, moves] = [new Master(machine, 'nic', STREAM, true), new Master(machine, 'disk', MOVES, false)];
  const from = new DomainMasters(machine, 'D0', [stays, moves], [stays, moves]);
  const to = new DomainMasters(machine, 'D1', [moves], []);
  const configuration = unit.configuration(cpu, queue);
  const domain = scene.domain(space, {
    atc: from,
    ...(mutant === 'tlbi-only' ? ({ order: 'tlbi-only' } as const) : {}),
  });
  machine.actor('driver', function* (): Program {
    yield* nic.dma(IOVA, 'read');
    yield* nic.dma(IOVA, 'read');
    const install = () => configuration.writeSte(MOVES, other.ste({ ats: true }));
    yield* moveMaster(version, moves, { from, to, ats: true }, install);
    yield* domain.unmap(IOVA, 0x1000n);
    yield* nic.dma(IOVA, 'read');
  });
  return machine;
}

export const SMMU_NR_ATS = defineCase({
  id: 'smmu-nr-ats',
  title: '"Fix smmu_domain->nr_ats_masters decrement": a device that was not counted is counted out',
  thread: '002',
  tags: ['corpus'],
  model: 'smmuv3',
  invariants: ['I1'],
  // QEMU and gem5 ignore CMD_ATC_INV.
  variants: { buggy: 'violated', fixed: { spec: 'holds', 'qemu-10': 'violated', gem5: 'violated' } },
  mutants: { 'tlbi-only': { variant: 'fixed', title: 'no CMD_ATC_INV is sent' } },
  unfired: { ...STAGE_2_ALONE, ...ORDERLY_DMA },
  build,
});
