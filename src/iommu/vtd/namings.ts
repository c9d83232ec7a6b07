import type { Naming } from '../../machine/index.ts';
import { cacheNaming } from '../kit/cache-naming.ts';
import { CONTEXT, IOTLB } from './cache-entries.ts';
import type { VtdCore } from './core.ts';
import { ownerOf, PASID, SM_CONTEXT, SM_IOTLB } from './scalable-entries.ts';

/**
 * Where a unit in steps keeps source ids: in the tags of the context cache, of the PASID cache and of the IOTLB (table 17), and in FRCD.SID
 * (11.4.7.6). Source ids in descriptors are software's.
 */
export function namingsOf(core: VtdCore): Naming[] {
  const { caches, has, regs, scalable } = core;
  const { LO, HI } = has.records[0];
  const records: Naming = {
    base: regs.region.base + LO.offset / 4,
    units: has.records.length,
    length: 4,
    // Bits 31:16 of that word are PP and PRIV with requests of the machine: no AtomicOps.
    owner: (HI.offset - LO.offset) / 4,
    by: 'sid',
    name: ({ pasid = -1, privileged, sid }) =>
      pasid < 0 ? sid : sid | (1 << HI.PP.lo) | (privileged === true ? 1 << HI.PRIV.lo : 0),
    valid: -1,
    ordered: true,
    implied: [],
  };
  const legacy = [cacheNaming(caches.context, CONTEXT.sid), cacheNaming(caches.iotlb, IOTLB.sid), records];
  if (scalable === null) return legacy;
  const { context, iotlb, pasid } = scalable.caches;
  const byOwner: Naming = {
    ...cacheNaming(iotlb, SM_IOTLB.owner),
    name: ({ pasid: of = -1, sid }) => ownerOf(sid, of),
  };
  return [...legacy, cacheNaming(context, SM_CONTEXT.sid), cacheNaming(pasid, PASID.sid), byOwner];
}
