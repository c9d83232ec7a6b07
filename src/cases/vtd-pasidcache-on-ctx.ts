import type { ContextFlush } from '../guest/index.ts';
import { CONTEXT_FLUSHES, ScalableContext } from '../guest/index.ts';
import type { Machine } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { defineCase } from './define.ts';
import { DomainWatch } from './domain-watch.ts';
import type { Directory, Pages } from './scalable-scene.ts';
import { DIRECTORY, OTHER_DIRECTORY, OTHER_PAGES, RID_PASID, ScalableScene } from './scalable-scene.ts';
import { ADDRESS, SID } from './unit-scene.ts';

const IOVA = 0x1000n;
const VPN = Number(IOVA >> 12n);
const OLD = { did: 1, page: 0x21d201000n };
const NEW = { did: 2, page: 0x7f2a01000n };

/** What is invalidated behind the change, and in which order. */
const FLUSHES: Readonly<Record<string, readonly ContextFlush[]>> = {
  buggy: ['context', 'iotlb'],
  fixed: CONTEXT_FLUSHES,
  'iotlb-before-pasid': ['context', 'iotlb', 'pasid'],
  'pasid-before-context': ['pasid', 'context', 'iotlb'],
  'iotlb-first': ['iotlb', 'context', 'pasid'],
  'iotlb-before-context': ['pasid', 'iotlb', 'context'],
  reversed: ['iotlb', 'pasid', 'context'],
  'no-context': ['pasid', 'iotlb'],
  'no-iotlb': ['context', 'pasid'],
};

/**
 * A function is taken out of one domain and put into another, each with a PASID directory of its own, while it does DMA to an address that
 * both map. The domains are told apart by the domain id under which hardware knows them; to the function's promises it is one address.
 */
function build({ variant, profile, mutant }: Setup): Machine {
  const scene = new ScalableScene({ profile });
  const { machine, unit, cpu, queue, invalidation } = scene;
  const declare = (name: string, of: typeof OLD, directory: Directory, pages: Pages) => {
    const space = scene.space({ did: of.did, name: `domain ${of.did}`, pages, ptEntries: [VPN] });
    scene.directory(name, directory);
    scene.enter(directory, RID_PASID, { by: 'second-stage', did: of.did, second: space.top });
    scene.premap(space, IOVA, of.page);
    machine.frame(
      `page of domain ${of.did}`,
      of.page,
      machine.owner(`DMA buffer of domain ${of.did}`, 'buffer', OLD.did),
    );
  };
  declare(' 1', OLD, DIRECTORY, ADDRESS);
  declare(' 2', NEW, OTHER_DIRECTORY, OTHER_PAGES);
  scene.attach(DIRECTORY);
  const watch = new DomainWatch(machine, unit, OLD.did);
  machine.device('nic', SID, OLD.did, [IOVA]).stray([IOVA], 'read', 2);
  machine.onStart(() => machine.grants.granted(OLD.did, VPN, 1, Number(OLD.page >> 12n)));

  const { grants } = machine;
  const context = new ScalableContext(cpu, queue, invalidation, {
    sid: SID,
    at: scene.contextAt,
    flushes: FLUSHES[mutant ?? variant],
  });
  machine.actor('driver', function* () {
    yield* machine.note('detaches 02:00.0 from domain 1', 'before', () => {
      grants.begin(OLD.did, VPN, 1);
      watch.changes();
    });
    yield* context.clear(OLD.did);
    yield* machine.note('the detach returns', 'after', () => grants.revoked(OLD.did, VPN, 1));
    yield* machine.note('attaches 02:00.0 to domain 2', 'before', () => grants.begin(OLD.did, VPN, 1));
    yield* context.set(scene.contextEntry(OTHER_DIRECTORY));
    yield* machine.note('the attach returns', 'after', () => {
      grants.granted(OLD.did, VPN, 1, Number(NEW.page >> 12n));
      watch.isIn(NEW.did);
    });
  });
  return machine;
}

export const PASIDCACHE_ON_CTX = defineCase({
  id: 'vtd-pasidcache-on-ctx',
  title: '"Invalidate PASID cache when root/context entry changed": a PASID-table entry of the old domain stays cached',
  thread: '003',
  tags: ['corpus'],
  model: 'vtd',
  invariants: ['I6', 'I1', 'I4', 'I5'],
  variants: { buggy: 'violated', fixed: 'holds' },
  mutants: {
    'iotlb-before-pasid': { variant: 'fixed', title: 'context cache, IOTLB, PASID cache' },
    'pasid-before-context': { variant: 'fixed', title: 'PASID cache, context cache, IOTLB' },
    'iotlb-first': { variant: 'fixed', title: 'IOTLB, context cache, PASID cache' },
    'iotlb-before-context': { variant: 'fixed', title: 'PASID cache, IOTLB, context cache' },
    reversed: { variant: 'fixed', title: 'IOTLB, PASID cache, context cache' },
    'no-context': { variant: 'fixed', title: 'the context cache is not invalidated' },
    'no-iotlb': { variant: 'fixed', title: 'the IOTLB is not invalidated' },
  },
  unfired: { 'paging.survive-hint': 'the invalidation is of the whole domain, which knows no hint' },
  build,
});
