import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { IOVA, PAGE, race } from './reclaim-race.ts';
import { SmmuScene, STREAM } from './smmu-scene.ts';

const DID = 1;

/**
 * The reclaim race on SMMUv3: what ends an invalidation there is a CMD_SYNC (`sync`), seen by CMDQ_CONS or by its MSI; that a command is consumed says
 * nothing (`consumed`).
 */
export function smmuReclaim(setup: Setup<'smmuv3'>, kind: 'read' | 'write'): Machine {
  const { mutant, profile, variant } = setup;
  const is = (name: string) => mutant === name || mutant?.startsWith(`${name}-`) === true;
  const scene = new SmmuScene({
    profile,
    completion: variant === 'sync/msi' ? 'msi' : 'cons',
    sync: variant === 'consumed' ? 'consumed' : is('no-sync') ? 'none' : 'waited',
    // A command may be consumed before it is done.
    unit: { fetchAhead: 1 },
  });
  const { machine, cpu, unit } = scene;
  const tag = variant === 'sync/stage-2' ? ({ stage: 2, vmid: 1 } as const) : ({ stage: 1, asid: 1 } as const);
  const space = scene.space({ did: DID, tag, l3Entries: [Number(IOVA >> 12n)] });
  unit.stream(STREAM, space.ste());
  const page = scene.buffer(DID, 'P', PAGE, [0]);
  scene.premap(space, IOVA, PAGE);
  machine.device('nic', STREAM, DID, [IOVA]).stray([IOVA], kind, 2);
  race(machine, cpu, scene.domain(space, { noTlbi: is('no-tlbi') }), page);
  return machine;
}

/** Both cases have them. QEMU and gem5 complete a CMD_SYNC at once, whatever is in flight. */
const WAITS = { spec: 'holds', 'qemu-10': 'violated', gem5: 'violated' } as const;

export const SMMU_VARIANTS = {
  // IHI 0070, 3.21.1, 4.7.3: complete only when what was translated by the old entry is globally visible, reads too.
  sync: WAITS,
  'sync/msi': WAITS,
  'sync/stage-2': WAITS,
  consumed: 'violated',
} as const;

export const SMMU_MUTANTS = {
  'no-sync': { variant: 'sync', title: 'no CMD_SYNC follows, and nothing is waited for' },
  'no-tlbi': { variant: 'sync', title: 'a CMD_SYNC alone: no TLB is invalidated' },
  'no-tlbi-msi': { variant: 'sync/msi', title: 'a CMD_SYNC alone: no TLB is invalidated' },
  'no-sync-stage-2': { variant: 'sync/stage-2', title: 'no CMD_SYNC follows, and nothing is waited for' },
} as const;
