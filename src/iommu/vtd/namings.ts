import type { Naming } from '../../machine/index.ts';
import type { Cache } from '../kit/cache.ts';
import { CONTEXT, IOTLB } from './cache-entries.ts';
import type { VtdCore } from './core.ts';

/**
 * Where a unit in steps keeps source ids: in the tags of the context cache and of the IOTLB (table 17), and in FRCD.SID (11.4.7.6). Source ids
 * in descriptors are software's.
 */
export function namingsOf(core: VtdCore): Naming[] {
  const { caches, has, regs } = core;
  const { LO, HI } = has.records[0];
  const records: Naming = {
    base: regs.region.base + LO.offset / 4,
    units: has.records.length,
    length: 4,
    // Bits 31:16 of that word are zero with requests of the machine: no atomics, no PASIDs.
    owner: (HI.offset - LO.offset) / 4,
    by: 'sid',
    valid: -1,
    ordered: true,
    implied: [],
  };
  return [cache(caches.context, CONTEXT.sid), cache(caches.iotlb, IOTLB.sid), records];
}

function cache({ base, entries, size }: Cache, sid: number): Naming {
  return { base, units: entries, length: size, owner: sid, by: 'sid', valid: 0, ordered: false, implied: [] };
}
