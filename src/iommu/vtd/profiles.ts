/** Which of the decisions that the architecture leaves to hardware an implementation takes, and what it gets wrong. */
export interface VtdProfile {
  readonly name: string;
  readonly title: string;
  /** The profile whose verdicts hold where a case expects nothing else of this one. */
  readonly basis?: string;
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
}

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
  },
  {
    // 11.1: as 10.0 here; `dma-drain` is no option any more.
    name: 'qemu-11',
    title: 'what QEMU 11.1 does',
    basis: 'qemu-10',
    pagingStructureCaches: false,
    honoursInvalidationHint: false,
    drains: false,
    collapsesFaults: true,
    forgetsAtSwitch: true,
    interruptEntryCache: false,
  },
];
