import type { Naming } from '../../machine/index.ts';
import type { Cache } from './cache.ts';

/** Where a cache of a unit in steps keeps the source ids of its entries. @param sid word of an entry */
export function cacheNaming({ base, entries, size }: Cache, sid: number): Naming {
  return { base, units: entries, length: size, owner: sid, by: 'sid', valid: 0, ordered: false, implied: [] };
}
