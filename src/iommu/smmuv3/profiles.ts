/** Which of the decisions that the architecture leaves to hardware an SMMU takes, and what it gets wrong. */
import type { Profile } from '../kit/profile.ts';

/**
 * Which commands are errors: `illegal` all that chapter 4 says, and reserved bits (4.1.5: may be); `unknown` reserved opcodes, those of a stage that
 * there is not, and SSec; `none` nothing: what is not known is consumed and does nothing.
 */
export type CommandChecks = 'illegal' | 'unknown' | 'none';

export interface SmmuProfile extends Profile {
  /** Keeps entries of levels above the last (3.17, 16.2.1). */
  readonly walkCaches: boolean;
  /** Keeps translations of stage 2 alone, by IPA, beside those that combine both stages (4.4.3.1). */
  readonly ipaCache: boolean;
  /** Keeps an STE and a CD apart (4.3); otherwise one entry for a stream has both, and any invalidation of either drops it. */
  readonly separateConfigurationCaches: boolean;
  /** Leaf = 1 keeps entries of levels above (4.3.1, 4.4.1). */
  readonly honoursLeaf: boolean;
  /** CMD_SYNC waits for what its clause says (4.7.3); otherwise it is complete at once. */
  readonly syncWaits: boolean;
  /** A walk that has read what an invalidation concerns fills no cache any more (3.21.1, 3.21.3). */
  readonly forgetsStaleWalks: boolean;
  /** An STE or a CD may be read by several accesses, of 64 bits at least (3.21.3); otherwise by one. */
  readonly readsInParts: boolean;
  /** CMD_SYNC signals its completion as CS says (4.7.3). */
  readonly signalsSync: boolean;
  /** Interrupts can be MSIs (3.18), with IDR0.MSI; otherwise they are wires whatever IDR0 says. */
  readonly writesMsis: boolean;
  readonly refuses: CommandChecks;
  /** Opcodes of the architecture that are consumed and do nothing, whatever the ID registers say. */
  readonly ignoredCommands: readonly number[];
  /** The command queue is compared without its wrap bits, and CMDQ_CONS keeps none (3.5.1): a full queue looks empty. */
  readonly losesCommandWrap: boolean;
  /** C_BAD_STREAMID is recorded with CR2.RECINVSID only (7.3.3). */
  readonly honoursRecinvsid: boolean;
  /** An event that does not fit the queue sets OVFLG (7.4); otherwise it is EVENTQ_ABT_ERR. */
  readonly overflows: boolean;
  /** An event interrupts where the queue was empty (3.18.2); otherwise each does. */
  readonly interruptsFromEmptyOnly: boolean;
  /** Registers that are Guarded keep their value meanwhile (6.2); otherwise they take any value at any time. */
  readonly guardsRegisters: boolean;
}

/** What follows the specification, and keeps all that it permits to be kept. */
const AS_SPECIFIED = {
  walkCaches: true,
  ipaCache: true,
  separateConfigurationCaches: true,
  honoursLeaf: true,
  syncWaits: true,
  forgetsStaleWalks: true,
  readsInParts: true,
  signalsSync: true,
  writesMsis: true,
  refuses: 'illegal',
  ignoredCommands: [],
  losesCommandWrap: false,
  honoursRecinvsid: true,
  overflows: true,
  interruptsFromEmptyOnly: true,
  guardsRegisters: true,
} as const;

/**
 * src/dev/arm/smmu_v3*.cc of gem5: SMMUv3::processCommand has no case for CMD_SYNC and warns of what it does not know, invalidations take no time, and
 * a translation in flight (SMMUTranslationProcess, a coroutine) goes on with what it has read.
 */
const GEM5 = {
  ...AS_SPECIFIED,
  syncWaits: false,
  forgetsStaleWalks: false,
  readsInParts: false,
  signalsSync: false,
  writesMsis: false,
  refuses: 'none',
  /** PREFETCH_*, ATC_INV, PRI_RESP, STALL_TERM; CMD_RESUME ends the simulation. */
  ignoredCommands: [0x01, 0x02, 0x40, 0x41, 0x44, 0x45],
  honoursRecinvsid: false,
} as const;

export const PROFILES: readonly SmmuProfile[] = [
  { name: 'spec', title: 'all that SMMUv3 permits', ...AS_SPECIFIED },
  {
    // hw/arm/smmuv3.c of QEMU 10.0: smmuv3_cmdq_consume completes CMD_SYNC at once, pulses a wire for CS bit 0 and knows no MSI; it looks at no
    // reserved bits; one cache of decoded configurations by StreamID (smmuv3_get_config) and one IOTLB (smmu-common.c), which also has what stage
    // 2 maps tables to; smmuv3_record_event and smmuv3_write_eventq: EVENTQ_ABT_ERR for a full queue, an interrupt for each event;
    // smmu_writel stores what is written.
    name: 'qemu-10',
    title: 'what QEMU 10.0 does',
    ...AS_SPECIFIED,
    walkCaches: false,
    separateConfigurationCaches: false,
    honoursLeaf: false,
    syncWaits: false,
    readsInParts: false,
    writesMsis: false,
    refuses: 'unknown',
    /** PREFETCH_*, TLBI_EL3_*, TLBI_EL2_*, ATC_INV, PRI_RESP, RESUME, STALL_TERM. */
    ignoredCommands: [0x01, 0x02, 0x18, 0x1a, 0x20, 0x21, 0x22, 0x23, 0x40, 0x41, 0x44, 0x45],
    honoursRecinvsid: false,
    overflows: false,
    interruptsFromEmptyOnly: false,
    guardsRegisters: false,
  },
  { name: 'gem5', title: 'what gem5 does', ...GEM5 },
  {
    name: 'gem5-18',
    title: 'what gem5 did before v19.0 ("dev-arm: Fix SMMUv3 CMDQ wrapping")',
    basis: 'gem5',
    ...GEM5,
    losesCommandWrap: true,
  },
];
