import type { Naming } from '../../machine/index.ts';
import type { Cache } from '../kit/cache.ts';
import type { SmmuCaches } from './caches.ts';
import { LEVEL_ONE } from './caches.ts';
import { CD_AT, STE_AT } from './configuration.ts';

/** Where an SMMU in steps keeps StreamIDs: in its caches of configurations. Those in commands and in the event queue are software's to read. */
export function namingsOf({ cd, l1cd, ste }: SmmuCaches): Naming[] {
  return [named(ste, STE_AT.sid), named(cd, CD_AT.sid), named(l1cd, LEVEL_ONE.sid)].filter(({ units }) => units > 0);
}

function named({ base, entries, size }: Cache, sid: number): Naming {
  return { base, units: entries, length: size, owner: sid, by: 'sid', valid: 0, ordered: false, implied: [] };
}
