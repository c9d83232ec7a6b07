import type { PasidTranslation } from '../guest/index.ts';
import { FIRST_STAGE, pasidEntry, SECOND_STAGE } from '../guest/index.ts';
import type { Machine, Program } from '../machine/index.ts';
import type { Setup } from './define.ts';
import { DomainWatch } from './domain-watch.ts';
import { DIRECTORY, OTHER_PAGES, RID_PASID, ScalableScene } from './scalable-scene.ts';
import { ADDRESS, SID } from './unit-scene.ts';

const IOVA = 0x1000n;
const VPN = Number(IOVA >> 12n);
const OLD = { did: 1, page: 0x21d201000n };
const NEW = { did: 2, page: 0x7f2a01000n };

/** What a case changes of it. */
export interface Replacement {
  /** Stores the new entry over the old one, instead of clearing it first. */
  readonly inPlace: boolean;
  readonly stage: 'first-stage' | 'second-stage';
  /** See TearDown. */
  readonly tearDown?: 'present-first' | 'zeroed-at-once';
  readonly leaves?: 'pasid-cache' | 'iotlb';
  /** The caller promises that DMA goes on meanwhile. */
  readonly hitless?: boolean;
}

/**
 * The domain of a function changes while it does DMA to an address that both domains map: the PASID-table entry of its requests is
 * replaced. Declared to be meant are the old and the new entry, and nothing between.
 */
export function pasidReplace({ profile }: Setup, how: Replacement): Machine {
  const scene = new ScalableScene({ profile });
  const { machine, unit } = scene;
  const format = how.stage === 'first-stage' ? FIRST_STAGE : SECOND_STAGE;
  const declare = ({ did, page }: typeof OLD, pages: typeof OTHER_PAGES): PasidTranslation => {
    const space = scene.space({ did, name: `domain ${did}`, pages, format, ptEntries: [VPN] });
    scene.premap(space, IOVA, page);
    machine.frame(`page of domain ${did}`, page, machine.owner(`DMA buffer of domain ${did}`, 'buffer', OLD.did));
    return how.stage === 'first-stage'
      ? { by: 'first-stage', did, first: space.top }
      : { by: 'second-stage', did, second: space.top };
  };
  const before = declare(OLD, ADDRESS);
  const after = declare(NEW, OTHER_PAGES);
  scene.directory('', DIRECTORY);
  scene.attach(DIRECTORY);
  scene.enter(DIRECTORY, RID_PASID, before);
  const at = DIRECTORY.table + BigInt(64 * RID_PASID);
  machine.dma.versions.declare('the PASID-table entry', at, [pasidEntry(before), pasidEntry(after)]);
  const watch = new DomainWatch(machine, unit, OLD.did);
  machine.device('nic', SID, OLD.did, [IOVA]).stray([IOVA], 'read', 2);
  machine.onStart(() => machine.grants.granted(OLD.did, VPN, 1, Number(OLD.page >> 12n)));

  const { grants } = machine;
  const { leaves, tearDown = 'present-first' } = how;
  const entries = scene.pasidTable({ table: DIRECTORY.table, tearDown, ...(leaves === undefined ? {} : { leaves }) });
  function* replace(): Program {
    if (how.inPlace) return yield* entries.replace(RID_PASID, before, after);
    yield* entries.tearDown(RID_PASID, before);
    yield* entries.setUp(RID_PASID, after);
  }
  machine.actor('driver', function* () {
    yield* machine.note('replaces domain 1 of 02:00.0 by domain 2', 'before', () => {
      if (how.hitless !== true) grants.begin(OLD.did, VPN, 1);
      watch.changes();
    });
    yield* replace();
    yield* machine.note('the replacement returns', 'after', () => {
      grants.granted(OLD.did, VPN, 1, Number(NEW.page >> 12n));
      watch.isIn(NEW.did);
    });
  });
  return machine;
}
