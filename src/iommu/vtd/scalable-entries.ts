/** What the caches of scalable mode hold and what they are tagged by (VT-d 6.2, table 17). Second-stage paging entries are cached as in legacy mode. */

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
 * Words of an IOTLB entry. Tag: valid 0, level 3:1, {@link RIGHT} 8:4, FPD 9, dirty 10, PGTT 13:11, cached fault 14, domain id 31:16. A fault
 * has no rights, the accesses that it refuses in `pfnHi` and its reason in `pfnLo`. `owner` is the source id,
 * with bit 16 set where a request with PASID brought it. Looked up by owner, address and, with PASID, by that.
 */
export const SM_IOTLB = { tag: 0, owner: 1, pasid: 2, vpnHi: 3, vpnLo: 4, pfnHi: 5, pfnLo: 6 } as const;
export const SM_TAG = { valid: 1, level: 1, rights: 4, fpd: 9, dirty: 10, pgtt: 11, fault: 14, did: 16 } as const;

/** Rights of both stages together: to read, to write; of users at all; of supervisors at all (SRE), and of those to write. */
export const RIGHT = { read: 1, write: 2, user: 4, supervisor: 8, supervisorWrite: 16 } as const;

/** Bit of `owner` for entries of requests with PASID. */
export const WITH_PASID = 1 << 16;

/**
 * Words of a cached first-stage entry that references a table, with nesting a combined one. Tag: valid 0, level 3:1, FIRST rights 5:4, rights
 * of the second stage over the table 7:6, domain id 31:16. Looked up by PASID, domain id and address.
 */
export const FIRST_PAGING = { tag: 0, pasid: 1, vpnHi: 2, vpnLo: 3, tableHi: 4, tableLo: 5 } as const;
export const FIRST_TAG = { valid: 1, level: 1, rights: 4, tableRights: 6, did: 16 } as const;
