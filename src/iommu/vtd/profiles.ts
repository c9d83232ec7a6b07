/** Which of the decisions that the architecture leaves to hardware an implementation takes, and what it gets wrong. */
import type { Profile } from '../kit/profile.ts';
import type { RecordedReason } from './recorded-reasons.ts';
import { QEMU_11_REASONS } from './recorded-reasons.ts';

export interface VtdProfile extends Profile {
  /** Keeps non-leaf entries (VT-d 6.2.5); `qemu-10` has no such cache. */
  readonly pagingStructureCaches: boolean;
  /** IVA.IH and the descriptor's IH keep non-leaf entries (VT-d 6.5.1.2). */
  readonly honoursInvalidationHint: boolean;
  /** Waits for non-committed requests where software asks and CAP says it can (VT-d 6.5.4). */
  readonly drains: boolean;
  /** Does not record a fault of a requester that has a pending one (VT-d 7.2.1 leaves that to the implementation). */
  readonly collapsesFaults: boolean;
  /** Drops all caches when GCMD.TE changes and at SRTP; with CAP.ESRTPS = 0 it need not (VT-d 6.6). */
  readonly forgetsAtSwitch: boolean;
  /** Keeps interrupt remapping entries (VT-d 6.4). */
  readonly interruptEntryCache: boolean;
  /** Fault reasons that it records where table 30 has others (VT-d 7.1.3). */
  readonly recordedReasons: readonly RecordedReason[];
  /** Looks at reserved bits of PASID-directory and PASID-table entries (VT-d 7.1.3: SPD.3, SPT.3). */
  readonly checksPasidReserved: boolean;
  /** Sets flags of paging entries that are not snooped, where VT-d 7.1.3 (SFS.9, SSS.5) has a fault. */
  readonly setsUnsnoopedFlags: boolean;
}

/** Where an implementation of scalable mode follows the specification. */
const AS_SPECIFIED = {
  recordedReasons: [],
  checksPasidReserved: true,
  setsUnsnoopedFlags: false,
} as const;

export const PROFILES: readonly VtdProfile[] = [
  {
    name: 'spec',
    title: 'all that VT-d permits',
    pagingStructureCaches: true,
    honoursInvalidationHint: true,
    drains: true,
    collapsesFaults: false,
    forgetsAtSwitch: false,
    interruptEntryCache: true,
    ...AS_SPECIFIED,
  },
  {
    // hw/i386/intel_iommu.c of QEMU 10.0: no paging-structure cache, IH not looked at, vtd_process_wait_desc completes
    // at once; CAP.DWD/DRD are advertised (dma-drain=on is the default) and nothing is drained; vtd_try_collapse_fault;
    // vtd_handle_gcmd_te and vtd_handle_gcmd_srtp call vtd_reset_caches; vtd_irte_get reads the table each time.
    name: 'qemu-10',
    title: 'what QEMU 10.0 does',
    pagingStructureCaches: false,
    honoursInvalidationHint: false,
    drains: false,
    collapsesFaults: true,
    forgetsAtSwitch: true,
    interruptEntryCache: false,
    ...AS_SPECIFIED,
  },
  {
    // 11.1: as 10.0 here; `dma-drain` is no option any more. Scalable mode:
    // vtd_get_pdire_from_pdir_table and vtd_get_pe_in_pasid_leaf_table look at no reserved bits; vtd_iova_to_fspte sets A and D, though ECAP.SMPWCS
    // is 0. Of 10.0 it is not known: the oracle runs 11.1.
    name: 'qemu-11',
    title: 'what QEMU 11.1 does',
    basis: 'qemu-10',
    pagingStructureCaches: false,
    honoursInvalidationHint: false,
    drains: false,
    collapsesFaults: true,
    forgetsAtSwitch: true,
    interruptEntryCache: false,
    recordedReasons: QEMU_11_REASONS,
    checksPasidReserved: false,
    setsUnsnoopedFlags: true,
  },
];
