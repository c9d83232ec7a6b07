import type { Drain } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { VtdScene } from './vtd-scene.ts';

const IOVA = 0x1000n;
const PAGE = 0x21d201000n;

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
  const page = machine.pool([scene.buffer('P', PAGE, [0])]);
  scene.premap(IOVA, PAGE, 1);
  scene.device('nic', [IOVA]).stray([IOVA], kind, 2);
  const stranger = machine.owner('another process', 'other');

  machine.actor('driver', function* () {
    yield* domain.unmap(IOVA, 0x1000n);
    yield* page.release(PAGE);
  });
  machine.actor('new owner', function* () {
    yield* page.alloc(stranger);
    yield* cpu.write64(PAGE, 0xc0ffeen, 'writes the canary 0xc0ffee to P[0]');
  });
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
