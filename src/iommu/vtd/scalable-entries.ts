/** What the caches of scalable mode hold and what they are tagged by (VT-d 6.2, table 17). Second-stage paging entries are cached as in legacy mode. */
import { BLOCK } from '../kit/block-cache.ts';

/** Words of a context-cache entry. Tag: valid 0, FPD 1, PASIDE 2, RID_PRIV 3, PDTS 6:4, DTE 7, reason of a cached fault 15:8. Looked up by source id. */
export const SM_CONTEXT = { tag: 0, sid: 1, ridPasid: 2, directoryHi: 3, directoryLo: 4 } as const;
export const SM_CONTEXT_TAG = { valid: 1, fpd: 1, paside: 2, ridPriv: 3, pdts: 4, dte: 7, fault: 8 } as const;

/** Reason of a context-cache entry that is a fault; 0 of one that is none. */
export function contextFaultOf(tag: number): number {
  return (tag >>> SM_CONTEXT_TAG.fault) & 0xff;
}

/**
 * Words of a PASID-cache entry. Tag: valid 0, FPD 1, PGTT 4:2, AW 7:5, FSPM 8, WPE 9, EAFE 10, SSADE 11, snooped 12, SRE 13, domain id 31:16. A
 * cached fault has PGTT 0 and its reason in `secondTopLo`.
 * Looked up by source id and PASID.
 */
export const PASID = {
  tag: 0,
  sid: 1,
  pasid: 2,
  secondTopHi: 3,
  secondTopLo: 4,
  firstTopHi: 5,
  firstTopLo: 6,
} as const;
export const PASID_TAG = {
  valid: 1,
  fpd: 1,
  pgtt: 2,
  aw: 5,
  fspm: 8,
  wpe: 9,
  eafe: 10,
  ssade: 11,
  snooped: 12,
  sre: 13,
  did: 16,
} as const;

/**
 * Words of an IOTLB entry, a {@link BLOCK}. Tag: {@link RIGHT} 11:7, FPD 12, dirty 13, PGTT 16:14, cached fault 17. A fault
 * has no rights, the accesses that it refuses in `pfnHi` and its reason in `pfnLo`. Looked up by {@link ownerOf}, address and, with PASID, by that.
 */
export const SM_IOTLB = {
  tag: 0,
  owner: BLOCK.id,
  pfnHi: BLOCK.outHi,
  pfnLo: BLOCK.outLo,
  pasid: BLOCK.second,
  did: BLOCK.second + 1,
} as const;
export const SM_TAG = { rights: 7, fpd: 12, dirty: 13, pgtt: 14, fault: 17 } as const;

/** Rights of both stages together: to read, to write; of users at all; of supervisors at all (SRE), and of those to write. */
export const RIGHT = { read: 1, write: 2, user: 4, supervisor: 8, supervisorWrite: 16 } as const;

/** Bit of `owner` for entries of requests with PASID. */
const WITH_PASID = 1 << 16;

/** Whose a translation is, in one word: the source id and, so that they lie in different sets, lower bits of the PASID. @param pasid −1 for none */
export function ownerOf(sid: number, pasid: number): number {
  return pasid < 0 ? sid : sid | WITH_PASID | (pasid << 17);
}

/**
 * Words of a cached first-stage entry that references a table, with nesting a combined one; a {@link BLOCK}. Tag: FIRST rights 8:7, rights
 * of the second stage over the table 10:9, domain id 31:16. Looked up by PASID, domain id and address.
 */
export const FIRST_PAGING = { tag: 0, pasid: BLOCK.id, tableHi: BLOCK.outHi, tableLo: BLOCK.outLo } as const;
export const FIRST_TAG = { rights: 7, tableRights: 9, did: 16 } as const;
