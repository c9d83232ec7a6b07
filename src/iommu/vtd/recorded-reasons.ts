/**
 * Fault reasons that an implementation records in place of those of VT-d 7.1.3, table 30 (revision 5.10): data of a profile. What refuses a
 * request, and whether FPD suppresses the fault, goes by table 30 all the same.
 */
import { FAULT } from './faults.ts';
import { SM_FAULT } from './scalable-faults.ts';

export interface RecordedReason {
  /** Of table 30. */
  readonly reason: number;
  /** Condition code of table 30. */
  readonly clause: string;
  readonly recorded: number;
  /** The same for reads, where that is another one. */
  readonly ofReads?: number;
  /** In units without first stage only: some reasons are of both stages. */
  readonly secondStage?: true;
  /** In units with scalable mode only, in whichever mode they are. */
  readonly scalableUnit?: true;
  /** What of the implementation records it. */
  readonly by: string;
}

const ROOT = 'vtd_get_root_entry';
const CONTEXT = 'vtd_dev_to_context_entry';
const ENTRY = 'vtd_context_entry_rsvd_bits_check';
const WALK = 'vtd_iova_to_sspte';

/** hw/i386/intel_iommu.c of QEMU 11.1: root, context and second-stage entries have the reasons of legacy mode, and the interrupt range has that of scalable mode. */
export const QEMU_11_REASONS: readonly RecordedReason[] = [
  { reason: FAULT.interruptRange, clause: 'LGN.4', recorded: 0x87, scalableUnit: true, by: 'vtd_do_iommu_translate' },
  { reason: SM_FAULT.rootAccess, clause: 'SRT.1', recorded: 0x8, by: ROOT },
  { reason: SM_FAULT.rootNotPresent, clause: 'SRT.2', recorded: 0x1, by: CONTEXT },
  { reason: SM_FAULT.rootReserved, clause: 'SRT.3', recorded: 0xa, by: 'vtd_root_entry_rsvd_bits_check' },
  { reason: SM_FAULT.contextAccess, clause: 'SCT.1', recorded: 0x9, by: 'vtd_get_context_entry_from_root' },
  { reason: SM_FAULT.contextNotPresent, clause: 'SCT.2', recorded: 0x2, by: CONTEXT },
  { reason: SM_FAULT.contextReserved, clause: 'SCT.3', recorded: 0xb, by: ENTRY },
  { reason: SM_FAULT.secondAccess, clause: 'SSS.1', recorded: 0x7, by: WALK },
  { reason: SM_FAULT.secondNotPresent, clause: 'SSS.2', recorded: 0x5, ofReads: 0x6, by: WALK },
  { reason: SM_FAULT.secondReserved, clause: 'SSS.3', recorded: 0xc, by: WALK },
  { reason: SM_FAULT.secondTopAccess, clause: 'SSS.4', recorded: 0x3, by: WALK },
  { reason: SM_FAULT.beyondInputWidth, clause: 'SGN.5', recorded: 0x4, by: WALK },
  { reason: SM_FAULT.write, clause: 'SGN.6', recorded: 0x5, secondStage: true, by: WALK },
  { reason: SM_FAULT.read, clause: 'SGN.7', recorded: 0x6, by: WALK },
];
