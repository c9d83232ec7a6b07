import type { Drain } from '../guest/index.ts';
import { FIRST_STAGE, FirstStageInvalidation } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { IOVA, PAGE, race } from './reclaim-race.ts';
import { DIRECTORY, RID_PASID, ScalableScene } from './scalable-scene.ts';
import { DID, SID, VtdScene } from './vtd-scene.ts';

/** Of the requests of a device with a first-stage domain. */
const PASID = 1;

const ALL: Drain = { reads: true, writes: true };
const NONE: Drain = { reads: false, writes: false };
const WRITES: Drain = { reads: false, writes: true };

const DRAINS: Readonly<Record<string, Drain>> = { drain: ALL, 'no-drain': NONE };

/**
 * A reclaim race (arguments A): the driver unmaps a page, invalidates, waits until the invalidation is complete and frees it;
 * somebody else takes the page while a stray device still aims two DMAs at it.
 */
export function reclaim(setup: Setup, kind: 'read' | 'write'): Machine {
  const [via, asked] = setup.variant === 'linux-register' ? ['register', ''] : setup.variant.split('/');
  const noCapability = setup.mutant?.startsWith('drain-not-supported') === true;
  const scene = new VtdScene({
    profile: setup.profile,
    via: via as 'queue' | 'register',
    drain: setup.variant === 'linux-register' ? WRITES : DRAINS[asked],
    mutation: { noUnmapFlush: setup.mutant === 'no-flush' },
    unit: noCapability ? { cap: { DRD: 0, DWD: 0 } } : {},
  });
  const { machine, cpu, domain } = scene;
  const page = scene.buffer('P', PAGE, [0]);
  scene.premap(IOVA, PAGE, 1);
  scene.device('nic', [IOVA]).stray([IOVA], kind, 2);
  race(machine, cpu, domain, page);
  return machine;
}

/** The same with a first-stage domain in scalable mode, and the descriptors that a variant names. */
export function reclaimFirstStage(setup: Setup, kind: 'read' | 'write'): Machine {
  const { mutant, profile, variant } = setup;
  const [descriptor, how] = variant.split('/');
  const scene = new ScalableScene({ profile, drain: DRAINS[how] ?? NONE });
  const { machine, cpu, invalidation, queue } = scene;
  const space = scene.space({ did: DID, format: FIRST_STAGE, ptEntries: [Number(IOVA >> 12n)] });
  scene.directory('', DIRECTORY, [PASID]);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, PASID, { by: 'first-stage', did: DID, first: space.top });
  const page = scene.buffer(DID, 'P', PAGE, [0]);
  machine.device('nic', SID, DID, [IOVA], { pasid: PASID }).stray([IOVA], kind, 2);
  scene.premap(space, IOVA, PAGE);
  machine.onStart(() => machine.grants.granted(DID, Number(IOVA >> 12n), 1, Number(PAGE >> 12n)));
  const scope = how === 'pasid' ? 'pasid' : 'page';
  const invalidator =
    descriptor === 'iotlb'
      ? queue
      : new FirstStageInvalidation(invalidation, mutant === 'other-pasid' ? RID_PASID : PASID, scope);
  const domain = scene.domain(space, invalidator, { noUnmapFlush: mutant?.startsWith('no-flush') === true });
  race(machine, cpu, domain, page);
  return machine;
}

/** The mutants of both cases. */
export const MUTANTS = {
  'drain-not-supported': { variant: 'queue/drain', title: 'CAP.DRD and CAP.DWD are 0, so what was asked is ignored' },
  'no-flush': { variant: 'queue/drain', title: 'the unmap does not invalidate' },
  'drain-not-supported-register': { variant: 'register/drain', title: 'CAP.DRD and CAP.DWD are 0' },
} as const;

/** Why these rules do not fire where a variant holds. */
export const UNFIRED = {
  'invalidation.overtake': 'every invalidation drains',
  'paging.survive-hint': 'the unmap frees no table',
} as const;

/** Variants of both cases with a first-stage domain. */
export const FIRST_STAGE_VARIANTS = {
  // VT-d 6.5.2.4, 6.5.4: it always drains reads and writes; that is why it has no DR and DW.
  'pasid-iotlb/page': { spec: 'holds', 'qemu-10': 'violated' },
  'pasid-iotlb/pasid': { spec: 'holds', 'qemu-10': 'violated' },
  // Table 23: it drops first-stage translations of the domain, whatever their address.
  'iotlb/drain': { spec: 'holds', 'qemu-10': 'violated' },
  'iotlb/no-drain': 'violated',
} as const;

export const FIRST_STAGE_MUTANTS = {
  'other-pasid': { variant: 'pasid-iotlb/page', title: 'the invalidation names a PASID that the device does not use' },
  'no-flush': { variant: 'pasid-iotlb/pasid', title: 'the unmap does not invalidate' },
  'no-flush-iotlb': { variant: 'iotlb/drain', title: 'the unmap does not invalidate' },
} as const;
