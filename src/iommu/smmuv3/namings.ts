import type { Naming } from '../../machine/index.ts';
import { cacheNaming } from '../kit/cache-naming.ts';
import type { SmmuCaches } from './caches.ts';
import { LEVEL_ONE } from './caches.ts';
import { CD_AT, STE_AT } from './configuration.ts';

/** Where an SMMU in steps keeps StreamIDs: in its caches of configurations. Those in commands and in the event queue are software's to read. */
export function namingsOf({ cd, l1cd, ste }: SmmuCaches): Naming[] {
  return [cacheNaming(ste, STE_AT.sid), cacheNaming(cd, CD_AT.sid), cacheNaming(l1cd, LEVEL_ONE.sid)].filter(
    ({ units }) => units > 0,
  );
}
