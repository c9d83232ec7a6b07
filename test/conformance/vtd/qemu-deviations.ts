/**
 * Conformance tests that QEMU 11.1.3 fails, by what it does: an entry has names of the tests, each a whole name or a part that no passing test has.
 * A test of the list that passes fails the run, as does a failure that is not in it. Names are those of test/oracle/deviations.ts where it is
 * the same; functions are of QEMU's hw/i386/intel_iommu.c.
 * Long because it is a list.
 */
import type { ExpectedFailures } from '../judge.ts';

const REQUESTS = 'vtd/03-14-requests.test.ts';
const DEVICE_TLBS = 'vtd/04-device-tlbs.test.ts';
const INTERRUPT_FAULTS = 'vtd/05-1-4-1-interrupt-faults.test.ts';
const INTERRUPTS = 'vtd/05-1-interrupt-requests.test.ts';
const CACHES = 'vtd/06-2-caches.test.ts';
const INTERRUPT_CACHE = 'vtd/06-4-interrupt-entry-cache.test.ts';
const BY_REGISTER = 'vtd/06-5-1-register-invalidation.test.ts';
const SWITCHING = 'vtd/06-5-2-enable-disable.test.ts';
const QUEUE = 'vtd/06-5-2-queued-invalidation.test.ts';
const INVALIDATION = 'vtd/06-5-invalidation.test.ts';
const SCALABLE_INVALIDATION = 'vtd/06-5-scalable-invalidation.test.ts';
const ROOT_POINTER = 'vtd/06-6-root-table-pointer.test.ts';
const RECORDS = 'vtd/07-2-fault-records.test.ts';
const EVENTS = 'vtd/07-3-events.test.ts';
const FAULTS = 'vtd/07-faults.test.ts';
const SCALABLE_FAULTS = 'vtd/07-scalable-faults.test.ts';
const IRTE = 'vtd/09-9-interrupt-structures.test.ts';
const SCALABLE_STRUCTURES = 'vtd/09-scalable-structures.test.ts';
const STRUCTURES = 'vtd/09-structures.test.ts';
const INTERRUPT_REGISTERS = 'vtd/11-4-10-interrupt-registers.test.ts';
const REGISTERS = 'vtd/11-4-registers.test.ts';

export const DEVIATIONS: readonly ExpectedFailures[] = [
  // ---- requests -------------------------------------------------------------------------------------------------------
  {
    name: 'interrupt-range-silent',
    title: 'reads of the interrupt range are refused without a fault, while translation is off, too',
    clause: 'VT-d 3.15; 7.1.3, table 30: LGN.4',
    qemu: 'vtd_mem_ir_read (a memory region in the way of the unit)',
    permitted: false,
    tests: {
      [REQUESTS]: [
        '3.15 a request to 4276092928n of kind 1',
        '3.15 a request to 4277137408n of kind 1',
        '3.15 no context entry is asked for',
        '3.15 a mapping of the range is not used',
        '11.4.4.1 with translation off everything passes',
      ],
      [INTERRUPT_FAULTS]: ['5.1.4.1 0x29: what goes to the interrupt range and is no interrupt > a read'],
    },
  },
  {
    name: 'interrupt-range-by-page',
    title: 'a large page that overlaps 0xFEEx_xxxx is refused as a whole (0xE), not only where it leads there',
    clause: 'VT-d 3.15; 7.1.3, table 30: LGN.4',
    qemu: 'vtd_do_iommu_translate',
    permitted: false,
    tests: { [FAULTS]: ['7.1.3 LGN.4 through a large page'] },
  },
  {
    name: 'pass-through-width',
    title: 'an address beyond the host address width is passed through',
    clause: 'VT-d 7.1.3, table 30: LGN.1.3',
    qemu: 'vtd_do_iommu_translate',
    permitted: false,
    tests: { [STRUCTURES]: ['9.3 TT = 10b: any supported AW is taken'] },
  },
  {
    name: 'pass-through-pointer',
    title: 'SSPTPTR beyond the host address width is a reserved bit (0xB) with pass-through, too',
    clause: 'VT-d 9.3: ignored with TT = 10b',
    qemu: 'vtd_dev_to_context_entry, vtd_context_entry_rsvd_bits_check',
    permitted: false,
    tests: { [STRUCTURES]: ['9.3 TT = 10b: SSPTPTR is ignored'] },
  },
  {
    name: 'context-reserved-unqualified',
    title: 'a reserved bit in a context entry (0xB) is recorded whatever FPD says',
    clause: 'VT-d 7.1.3, table 30: LCT.3 is qualified',
    qemu: 'vtd_qualified_faults',
    permitted: false,
    tests: { [FAULTS]: ["7.1.3 'LCT.3 context reserved'"] },
  },
  {
    name: 'fault-address-wide',
    title: 'FRCD.FI keeps bits above the widest table',
    clause: 'VT-d 11.4.7.6',
    qemu: 'vtd_report_dmar_fault',
    permitted: false,
    tests: { [RECORDS]: ['11.4.7.6 FI: bits 63:'], [FAULTS]: ['7.1.3 LGN.1.1 an address of 2^6'] },
  },
  {
    name: 'cached-right-missing',
    title: 'a request that a cached translation does not permit is refused, and no fault is reported',
    clause: 'VT-d 7.2: a refused request is a fault; 6.2.4, 6.2.5.5',
    qemu: 'vtd_lookup_iotlb, vtd_do_iommu_translate (the memory core refuses by IOMMUTLBEntry.perm)',
    permitted: false,
    tests: {
      [STRUCTURES]: ['3.7.1 rights are the AND over the levels'],
      [DEVICE_TLBS]: ['9.3 untranslated requests are translated under TT 01b'],
      [CACHES]: [
        '6.2.4 a cached translation grants its own rights only',
        '6.2.4.1 pages of different size may be cached',
        '6.2.5.5 rights are the AND of all levels above',
      ],
    },
  },
  // ---- scalable mode --------------------------------------------------------------------------------------------------
  {
    name: 'legacy-reasons',
    title:
      'faults of root, context and second-stage entries have the reasons of legacy mode: src/iommu/vtd/recorded-reasons.ts',
    clause: 'VT-d 7.1.3, table 30',
    qemu: 'vtd_get_root_entry, vtd_dev_to_context_entry, vtd_iova_to_sspte',
    permitted: false,
    tests: { [SCALABLE_FAULTS]: ['reason 57 is', 'reason 58 is', 'reason 64 is'] },
  },
  {
    name: 'context-functions-taken',
    title: 'DTE, PASIDE, PRE and RID_PASID are taken in a context entry, though ECAP reports none of them',
    clause: 'VT-d 9.4: reserved without ECAP.DT, PASID, PRS, RPS',
    qemu: 'vtd_context_entry_rsvd_bits_check',
    permitted: false,
    tests: {
      [SCALABLE_STRUCTURES]: ['9.4 RID_PASID is reserved without ECAP.RPS', '9.4 reserved bits: '],
      [DEVICE_TLBS]: ['9.4 DTE is reserved without ECAP.DT'],
    },
  },
  {
    name: 'root-other-half',
    title: 'reserved bits in the upper half of a root entry refuse (0xA) devices of the lower half, too',
    clause: 'VT-d 9.2; 7.1.3, SRT.3 speaks of both halves, of each with its P',
    qemu: 'vtd_root_entry_rsvd_bits_check',
    permitted: true,
    tests: { [SCALABLE_STRUCTURES]: ['9.2 bits 63:HAW and 11:1 of the half in use are reserved (HAW 48)'] },
  },
  {
    name: 'snoop-not-reserved',
    title: 'SNP in a leaf is taken in a unit that has scalable mode, though ECAP.SC is 0',
    clause: 'VT-d 9.8',
    qemu: 'vtd_init',
    permitted: false,
    tests: { [SCALABLE_STRUCTURES]: ['9.8 the bits of legacy mode, with SC 0'] },
  },
  {
    name: 'pasid-reserved-taken',
    title: 'reserved bits of PASID-directory and PASID-table entries are not looked at',
    clause: 'VT-d 9.5, 9.6; 7.1.3, table 30: SPD.3, SPT.3',
    qemu: 'vtd_get_pdire_from_pdir_table, vtd_get_pe_in_pasid_leaf_table',
    permitted: false,
    tests: {
      [SCALABLE_STRUCTURES]: [
        '9.5 bits 63:HAW and 11:2 are reserved',
        '9.6 reserved bits: all that the model has',
        '9.6 reserved bits: no second-stage flags',
      ],
    },
  },
  {
    name: 'canonical-by-width',
    title: 'with the first stage an address is canonical or not (0x80) by AW, which is of the second stage',
    clause: 'VT-d 7.1.3, SGN.1; 9.6: AW is reserved without ECAP.SSTS',
    qemu: 'vtd_iova_fs_check_canonical, vtd_get_iova_agaw',
    permitted: false,
    tests: { [SCALABLE_STRUCTURES]: ['9.6 AW does not matter to the first stage'] },
  },
  {
    name: 'gigabyte-pages-taken',
    title: 'PS in an FS-PDPE is taken, though CAP.FS1GP is 0',
    clause: 'VT-d 3.6: reserved then',
    qemu: 'vtd_init (vtd_fpte_rsvd_large)',
    permitted: false,
    tests: { [SCALABLE_STRUCTURES]: ['a large page at level 3, FS1GP 0'] },
  },
  {
    name: 'unsnooped-flags',
    title: 'flags are set in first-stage entries though the walk does not snoop (PWSNP = 0)',
    clause: 'VT-d 3.10; 7.1.3, table 30: SFS.9',
    qemu: 'vtd_iova_to_fspte',
    permitted: false,
    tests: {
      [SCALABLE_FAULTS]: [
        '3.10 PWSNP 0, A is to be set in a first-stage leaf',
        '3.10 PWSNP 0, D is to be set in a first-stage leaf',
      ],
    },
  },
  {
    name: 'table-mode-unchecked',
    title: 'RTADDR.TTM 10b and 11b are taken for 00b and 01b; the queue works whatever TTM and IQA.DW are together',
    clause: 'VT-d 7.1.3, table 30: RTA.1; 11.4.9.9, IQEI 5 and 7',
    qemu: 'vtd_update_scalable_state, vtd_process_inv_desc',
    permitted: false,
    tests: {
      [SCALABLE_FAULTS]: ['RTA.1, RTA.4: abort-DMA mode with ADMS 0'],
      [SCALABLE_INVALIDATION]: [
        'table 26: scalable mode, 128 bits',
        'table 26: reserved mode',
        'table 26: abort-DMA mode that there is not',
      ],
    },
  },
  // ---- invalidation ---------------------------------------------------------------------------------------------------
  {
    name: 'no-paging-structure-cache',
    title: 'paging entries above the leaf are read each time',
    clause: 'VT-d 6.2.5: hardware may cache them',
    qemu: 'vtd_iova_to_sspte',
    permitted: true,
    tests: {
      [CACHES]: [
        'serves after the leaf was invalidated with IH = 1',
        '6.2.1 table 17: looked up by domain id, so devices of one domain share them',
        '6.2.5.4 the key of a cached PDE is the address above bit 20',
        '6.2.5.4 a PDE may be cached although no PTE below it is present',
        '6.2.7 the deepest cached entry is used',
      ],
      [INVALIDATION]: [
        '6.5.1.2 IH = 1 may keep a cached entry',
        '6.5.1.2 IH = 0 for another page below the same PDE',
        'the PDE is dropped when the block has it (kept: true)',
        '6.5.1.2 IH = 0 for another domain keeps it',
      ],
    },
  },
  {
    name: 'invalidation-address-bits',
    title: 'an invalidation with address bits from MGAW on drops nothing',
    clause: 'VT-d 11.4.6.4, 6.5.2.3: hardware ignores them',
    qemu: 'vtd_hash_remove_by_page',
    permitted: false,
    tests: { [INVALIDATION]: ['address bits from MGAW on are ignored'] },
  },
  {
    name: 'context-domain-is-global',
    title: 'a domain-selective invalidation of the context cache is done, and reported, as a global one',
    clause: 'VT-d 6.5.1.1, 11.4.6.1: CAIG says which was done',
    qemu: 'vtd_context_cache_invalidate',
    permitted: true,
    tests: { [BY_REGISTER]: ['11.4.6.1 granularity 2n: ICC stays until it is done'] },
  },
  {
    name: 'register-invalidation-hangs',
    title: 'a register-based request while the queue is on is dropped with ICC or IVT set, for ever',
    clause: 'VT-d 6.5.1: software must not',
    qemu: 'vtd_handle_ccmd_write, vtd_handle_iotlb_write',
    permitted: true,
    tests: { [BY_REGISTER]: ['6.5 the request is dropped, its bit clears'] },
  },
  {
    name: 'queue-stays-on',
    title: 'QIE is cleared only where the queue is empty and its last descriptor was a wait',
    clause: 'VT-d 6.5.2: software must see to both',
    qemu: 'vtd_handle_gcmd_qie',
    permitted: true,
    tests: {
      [BY_REGISTER]: ['6.5 they work again when the queue is off'],
      [SWITCHING]: ['6.5.2.11 an error while switched off and on'],
      [ROOT_POINTER]: ['state bits that are not repeated are switched off'],
    },
  },
  {
    name: 'empty-wait',
    title: 'a wait descriptor with none of SW, IF and FN is an error',
    clause: 'VT-d 6.5.2.9',
    qemu: 'vtd_process_wait_desc',
    permitted: false,
    tests: { [QUEUE]: ['6.5.2.9 a wait that neither stores nor interrupts is one'] },
  },
  {
    name: 'wait-needs-memory',
    title: 'a wait whose status address is no memory stops the queue',
    clause: 'VT-d 6.5.2.9 does not say what a store comes to that nothing takes',
    qemu: 'vtd_process_wait_desc',
    permitted: true,
    tests: { [QUEUE]: ['6.5.2.9 a status address that is no memory'] },
  },
  {
    name: 'queue-stays-stopped',
    title: 'the queue does not go on when IQE is cleared, only when the tail is written again',
    clause: 'VT-d 6.5.2.11',
    qemu: 'vtd_handle_fsts_write',
    permitted: false,
    tests: {
      [QUEUE]: [
        '6.5.2.11 when IQE is cleared the queue goes on',
        '6.5.2.11 a tail that is put right before IQE is cleared',
        '6.5.2.11 IQE cleared with the tail still there',
        '6.5.2.11 a descriptor in no memory: IQE, IQEI 2, and it goes on from there',
      ],
    },
  },
  {
    name: 'queue-address-latched',
    title: 'IQA is taken, and gives back what was written, only when the queue is switched on',
    clause: 'VT-d 11.4.9.3: reads return the last value programmed',
    qemu: 'vtd_mem_read, vtd_mem_write, vtd_handle_gcmd_qie',
    permitted: false,
    tests: {
      [REGISTERS]: ['11.4.9.3 IQA keeps bits 63:11 and 2:0'],
      [SWITCHING]: ['11.4.9.3 another IQA while the queue is empty'],
      [QUEUE]: ['6.5.2.11 a queue that becomes smaller than its tail'],
    },
  },
  {
    name: 'foreign-descriptors',
    title: 'descriptors of functions that ECAP does not report, or of another table mode, are taken',
    clause: 'VT-d 6.5.2.11, table 26',
    qemu: 'vtd_process_inv_desc',
    permitted: false,
    tests: {
      [INTERRUPT_CACHE]: ['without ECAP.IR there is no such type'],
      [SCALABLE_INVALIDATION]: ['is none of legacy mode'],
    },
  },
  // ---- registers and events -------------------------------------------------------------------------------------------
  {
    name: 'event-data-wide',
    title: 'IEDATA keeps bits 31:16',
    clause: 'VT-d 11.4.9.6',
    qemu: 'vtd_init',
    permitted: false,
    tests: { [EVENTS]: ['IEDATA: reserved bits are not kept'] },
  },
  {
    name: 'pending-stays',
    title: 'FECTL.IP stays set when the last fault record is cleared; a write of FSTS clears it',
    clause: 'VT-d 11.4.7.2',
    qemu: 'vtd_mem_write (DMAR_FRCD_REG_0_3), vtd_handle_fsts_write',
    permitted: false,
    tests: { [EVENTS]: ['7.3 the same by clearing the last F bit'] },
  },
  {
    name: 'no-upper-event-address',
    title: 'FEUADDR and IEUADDR are reserved',
    clause: 'VT-d 11.4.7.5, 11.4.9.8: may be, without extended interrupt mode',
    qemu: 'vtd_init',
    permitted: true,
    tests: { [EVENTS]: ['FEUADDR: reserved bits', 'IEUADDR: reserved bits'] },
  },
  {
    name: 'irtps-without-remapping',
    title: 'SIRTP sets IRTPS where ECAP reports no interrupt remapping',
    clause: 'VT-d 11.4.4.1',
    qemu: 'vtd_handle_gcmd_sirtp',
    permitted: false,
    tests: {
      [REGISTERS]: ['11.4.4.1 commands of functions that are not there'],
      [INTERRUPTS]: ['5.1.4 a unit without ECAP.IR passes them'],
    },
  },
  {
    name: 'irta-without-remapping',
    title: 'IRTA is kept without ECAP.IR, and its EIME without ECAP.EIM',
    clause: 'VT-d 11.4.10: reserved then',
    qemu: 'vtd_init',
    permitted: false,
    tests: {
      [INTERRUPT_REGISTERS]: ['EIME is reserved without ECAP.EIM', 'all of it is reserved without ECAP.IR'],
    },
  },
  // ---- interrupt remapping --------------------------------------------------------------------------------------------
  {
    name: 'compatibility-passes',
    title: 'interrupts in compatibility format always pass',
    clause: 'VT-d 5.1.2.1, 5.1.4.1: 0x25',
    qemu: 'vtd_interrupt_remap_msi',
    permitted: false,
    tests: {
      [INTERRUPTS]: ['CFIS counts when it is read'],
      [INTERRUPT_FAULTS]: ['5.1.6, 7.3 the unit’s own message is not remapped'],
    },
  },
  {
    name: 'no-cfi',
    title: 'GCMD.CFI is ignored, GSTS.CFIS stays 0',
    clause: 'VT-d 11.4.4.1, 11.4.4.2',
    qemu: 'vtd_handle_gcmd_write',
    permitted: false,
    tests: { [INTERRUPT_REGISTERS]: ['IRE and CFI are states', 'all at once: the table is set before it is used'] },
  },
  {
    name: 'index-of-16-bits',
    title: 'handle and subhandle add up in 16 bits',
    clause: 'VT-d 5.1.3; 5.1.4.1: 0x21',
    qemu: 'vtd_interrupt_remap_msi',
    permitted: false,
    tests: { [INTERRUPTS]: ['IRTA.S = 15: the last index of 2^(S+1)', 'the largest sum of handle and subhandle'] },
  },
  {
    name: 'interrupt-entry-beyond-host',
    title: 'an entry beyond the host address width cannot be read (0x23)',
    clause: 'VT-d 5.1.4.1: 0x21 is of such an address, too',
    qemu: 'vtd_irte_get',
    permitted: false,
    tests: { [INTERRUPTS]: ['host address width 48: an entry beyond it is 0x21'] },
  },
  {
    name: 'destination-reserved-taken',
    title: 'reserved bits of the destination in xAPIC mode are taken',
    clause: 'VT-d 9.9, 11.4.10; 5.1.4.1: 0x24',
    qemu: 'vtd_irte_get',
    permitted: false,
    tests: { [INTERRUPTS]: ['9.9 the entry > destination bit '], [IRTE]: ['it remaps 00:0a.0 in x2APIC mode'] },
  },
  {
    name: 'posted-format-taken',
    title: 'IM is taken without CAP.PI',
    clause: 'VT-d 9.9: reserved then; 5.1.4.1: 0x24',
    qemu: 'vtd_irte_get',
    permitted: false,
    tests: { [INTERRUPTS]: ['IM, without CAP.PI is reserved'] },
  },
  {
    name: 'delivery-modes-taken',
    title: 'delivery modes 011b and 110b are sent',
    clause: 'VT-d 9.9 does not list them; 5.1.4: invalid programming is blocked (0x24)',
    qemu: 'vtd_irte_get',
    permitted: false,
    tests: {
      [INTERRUPTS]: ['delivery mode 3 is reserved', 'delivery mode 6 is reserved'],
      [INTERRUPT_FAULTS]: ['FPD: reason 36 is not recorded', '5.1.4 the order: present, requester, contents'],
    },
  },
  {
    name: 'svt-reserved',
    title: 'SVT 11b lets no requester pass (0x26)',
    clause: 'VT-d 9.9: reserved; 5.1.4.1 leaves open whether that is 0x24',
    qemu: 'vtd_irte_get',
    permitted: true,
    tests: { [INTERRUPTS]: ['SVT 3 is reserved'] },
  },
  {
    name: 'bus-range-reversed',
    title: 'SVT 10b takes the low byte of SID for Startbus#, so that a range of more than one bus lets nobody pass',
    clause: 'VT-d 9.9: SID 15:8 is Startbus#, 7:0 Endbus#',
    qemu: 'vtd_irte_get',
    permitted: false,
    tests: {
      [INTERRUPTS]: ['SVT 2, all buses', 'SVT 2, a range of buses', 'SVT 2, a range that ends before it starts'],
    },
  },
  {
    name: 'no-interrupt-entry-cache',
    title: 'interrupt remapping entries are read each time',
    clause: 'VT-d 6.4: hardware may cache them',
    qemu: 'vtd_irte_get',
    permitted: true,
    tests: {
      [INTERRUPT_CACHE]: [
        '6.4 an entry may be kept until it is invalidated',
        '6.4 it is found by the index',
        '6.7 SIRTP: kept with CAP.ESIRTPS = 0',
        '11.4.4.1 IRE = 0: kept with CAP.ESIRTPS = 0',
        '6.7 another table: entries of the old one serve',
        ...[0, 1, 2, 3, 4, 5, 7].map((mask) => `, IM ${mask}: the aligned block`),
        '6.5.1 registers do not invalidate it',
        'against a plain model: 20,000 random uses',
      ],
    },
  },
  {
    name: 'index-mask-taken',
    title: 'an index mask above ECAP.MHMV is taken',
    clause: 'VT-d 6.5.2.8 does not say that it is an error',
    qemu: 'vtd_process_inv_iec_desc',
    permitted: true,
    tests: { [INTERRUPT_CACHE]: ['ECAP.MHMV 15: IM 16', 'ECAP.MHMV 15: IM 31'] },
  },
];
