/**
 * Conformance tests that QEMU 11.1.3 fails, by what it does: an entry has names of the tests, each a whole name or a part that no passing test has.
 * A test of the list that passes fails the run, as does a failure that is not in it. Names are those of test/oracle/smmuv3/deviations.ts where it
 * is the same; functions are of QEMU's hw/arm/smmuv3.c and smmu-common.c.
 * Long because it is a list.
 */
import type { ExpectedFailures } from '../judge.ts';

const FLAGS_AND_LIMITS = 'smmuv3/05-structures.test.ts';
const ADDRESSES = 'smmuv3/03-4-1-virtual-addresses.test.ts';
const SIZES = 'smmuv3/03-4-address-sizes.test.ts';
const STREAMS = 'smmuv3/03-3-streams.test.ts';
const TLB = 'smmuv3/03-21-tlb.test.ts';
const CONTROL = 'smmuv3/06-3-9-control.test.ts';
const OPCODES = 'smmuv3/04-1-opcodes.test.ts';
const RANGES = 'smmuv3/04-4-1-ranges.test.ts';
const TABLES = 'smmuv3/04-4-1-tables.test.ts';
const SIZES_OF_ACCESSES = 'smmuv3/06-2-accesses.test.ts';
const QUEUES = 'smmuv3/06-3-26-queue-registers.test.ts';
const CONFIGURATION = 'smmuv3/04-3-configuration.test.ts';
const COMMANDS = 'smmuv3/04-commands.test.ts';
const INVALIDATION = 'smmuv3/04-4-tlb-invalidation.test.ts';
const STE = 'smmuv3/05-2-ste.test.ts';
const FAULTS = 'smmuv3/05-5-fault-configurations.test.ts';
const ACCESSES = 'smmuv3/06-2-register-access.test.ts';
const REGISTERS = 'smmuv3/06-registers.test.ts';
const RECORDS = 'smmuv3/07-3-records.test.ts';
const EVENTS = 'smmuv3/07-events.test.ts';
const GLOBAL_ERRORS = 'smmuv3/07-5-global-errors.test.ts';
const PERMISSIONS = 'smmuv3/13-4-permissions.test.ts';
const WALKS = 'smmuv3/vmsav8-64-levels.test.ts';
const WARM_WALKS = 'smmuv3/vmsav8-64-cached-configuration.test.ts';

/** Of each split the spans that are less than all. */
const SPANS = [6, 8, 10].flatMap((split) =>
  Array.from({ length: split }, (_, i) => `SPLIT ${split}, Span ${i + 1}: 2^(Span − 1) STEs`),
);
const LEVELS = ['a table of level 0', 'a table of level 1', 'a table of level 2'];
const LEAVES = ['a block of level 1', 'a block of level 2', 'a page'];

export const DEVIATIONS: readonly ExpectedFailures[] = [
  // ---- what ends QEMU -------------------------------------------------------------------------------------------------
  {
    name: 'ends-by-s2aa64',
    title: 'an STE with stage 2 and S2AA64 = 0 ends QEMU with an assertion',
    clause: 'SMMUv3 5.2: ILLEGAL without VMSAv8-32, C_BAD_STE',
    qemu: 'decode_ste_s2_cfg',
    permitted: false,
    tests: {
      [STE]: ['stage 2, where they count: S2AA64', 'S2AA64 0 without VMSAv8-32'],
      [FAULTS]: ['stage 2: C_BAD_STE'],
    },
  },
  {
    name: 'ends-by-ips',
    title: 'a CD with IPS 6 or 7 ends QEMU with an assertion',
    clause: 'SMMUv3 5.4: what is beyond the OAS is taken for it',
    qemu: 'oas2bits',
    permitted: false,
    tests: { [SIZES]: ['5.4 IPS: what a descriptor of stage 1 gives > OAS 4 caps'] },
  },

  // ---- registers ------------------------------------------------------------------------------------------------------
  {
    name: 'sixteen-bits-of-nothing',
    title: 'IDR0.VMID16 without stage 2, IDR0.ASID16 without stage 1',
    clause: 'SMMUv3 6.3.1',
    qemu: 'smmuv3_init_id_regs',
    permitted: false,
    tests: { [REGISTERS]: ['6.3.1 IDR0.ASID16, without stage 1', '6.3.1 IDR0.VMID16, without stage 2'] },
  },
  {
    name: 'registers-keep-everything',
    title: 'reserved bits, and bits and registers of what it has not, are kept as they are written',
    clause: 'SMMUv3 6.2: they read as zero',
    qemu: 'smmu_writel, smmu_writell',
    permitted: false,
    tests: {
      [ACCESSES]: ['6.3: reserved bits of', '6.3.11 CR1: TABLE_* by SMMUEN'],
      [REGISTERS]: [
        '6.3.9 CR0: VMW, ATSCHK, PRIQEN, DPT_WALK_EN',
        '6.3.12 CR2: E2H, PTM, REC_CFG_ATS',
        '6.3.16, 6.3.20 IRQ_CTRL and GERRORN',
        '6.3.21 – 6.3.36 MSI registers without MSI',
        '6.3.14 GBPA > reserved bits read as zero',
        '6.3.28 CMDQ_CONS: bits above the wrap bit',
      ],
      [SIZES_OF_ACCESSES]: [
        '6.2 registers of 64 bits > STRTAB_BASE',
        '6.2 registers of 64 bits > CMDQ_BASE',
        '6.2 registers of 64 bits > EVENTQ_BASE',
        'CR1 at 0x28',
        'CR2 without IDR0.Hyp at',
        'GERRORN without either at',
        'STRTAB_BASE_CFG at 0x88',
        'CMDQ_PROD at 0x98',
        'EVENTQ_CONS at 0x100ac',
        '6.3.21 – 6.3.36 GERROR_IRQ_CFG',
      ],
      [QUEUES]: [
        'CMDQ_CONS.RD, LOG2SIZE ',
        ...Array.from({ length: 19 }, (_, log2) => `EVENTQ_PROD.WR, LOG2SIZE ${log2}, `),
        'is truncated where LOG2SIZE becomes less',
      ],
      [CONTROL]: [
        '6.3.9, 6.3.10 CR0 bit by bit > without VMW',
        '6.3.14.1 GBPA > each bit: reserved ones read as zero',
        'IRQ_CTRL > without PRI: each bit by itself',
        'IRQ_CTRL > without MSI: each bit by itself',
      ],
    },
  },
  {
    name: 'guarded-registers-written',
    title: 'Guarded registers take a value while what they are guarded by is set',
    clause: 'SMMUv3 6.3.24, 6.3.26, 6.3.29: in SMMUv3.1, which AIDR says, they may',
    qemu: 'smmu_writel, smmu_writell',
    permitted: true,
    tests: {
      [ACCESSES]: [
        'by CR0.SMMUEN, while it is set',
        'by CR0.CMDQEN, while it is set',
        'by CR0.EVENTQEN, while it is set',
      ],
    },
  },
  {
    name: 'registers-by-other-sizes',
    title: 'an access of 8 bytes to two registers reads as zero; one across two halves reads the second',
    clause: 'SMMUv3 6.2: CONSTRAINED UNPREDICTABLE',
    qemu: 'smmu_readll',
    permitted: true,
    tests: {
      [ACCESSES]: ['6.2 a read of 8 bytes of two registers', '6.2 an access at STRTAB_BASE + 4 of 8 bytes'],
      [SIZES_OF_ACCESSES]: ['find both: IDR2 and IDR3', 'find both: CR0 and CR0ACK'],
    },
  },
  {
    name: 'identification-registers',
    title: 'there are registers at 0xFD0 – 0xFFC',
    clause: 'SMMUv3 6.2.1: IMPLEMENTATION DEFINED',
    qemu: 'smmuv3_idreg',
    permitted: true,
    tests: { [ACCESSES]: ['6.2.1 identification registers'] },
  },
  {
    name: 'page-1-is-page-0',
    title: 'all registers of page 0 are in page 1, too',
    clause: 'SMMUv3 6.2: they may alias',
    qemu: 'smmu_read_mmio',
    permitted: true,
    tests: {
      [ACCESSES]: ['6.2 what is not defined of page 1'],
      [SIZES_OF_ACCESSES]: [
        'page 1 + 0x0 is RES0',
        'page 1 + 0x20 is RES0',
        'page 1 + 0x80 is RES0',
        'page 1 + 0xa0 is RES0',
      ],
    },
  },

  // ---- commands -------------------------------------------------------------------------------------------------------
  {
    name: 'commands-of-what-is-not-there',
    title: 'commands of EL2, EL3, ATS and stalls are consumed and do nothing, though it has none of them',
    clause: 'SMMUv3 4.4.2.5 – 4.4.2.10, 4.5.1, 4.7.1, 4.7.2: CERROR_ILL',
    qemu: 'smmuv3_cmdq_consume',
    permitted: false,
    tests: {
      [COMMANDS]: [
        '4.4 opcode 0x18, of the Secure queue',
        '4.4 opcode 0x1a, of the Secure queue',
        '4.4.2 EL2_ALL without Hyp',
        '4.4.2 EL2_VA without Hyp',
        '4.5.1 ATC_INV without ATS',
        '4.1.3 illegal goes before ignored: ATC_INV while SMMUEN is 0',
        '4.7.1 RESUME where nothing stalls',
        '4.7.2 STALL_TERM where nothing stalls',
        '4.1.6 SSec of CMD_RESUME',
        '4.1.6 SSec of CMD_STALL_TERM',
      ],
      [OPCODES]: [
        'CMD_TLBI_EL2_ALL, needs',
        'CMD_TLBI_EL2_ASID, needs',
        'CMD_TLBI_EL2_VA, needs',
        'CMD_TLBI_EL2_VAA, needs',
        'CMD_ATC_INV, needs',
        'CMD_RESUME, needs',
        'CMD_STALL_TERM, needs',
        '0x10 – 0x1f: all but its commands are CERROR_ILL',
        '4.4: commands of the Secure queue',
      ],
    },
  },
  {
    name: 'prefetch-without-ssec',
    title: 'SSec of prefetches is not looked at',
    clause: 'SMMUv3 4.1.6: CERROR_ILL',
    qemu: 'smmuv3_cmdq_consume',
    permitted: false,
    tests: {
      [COMMANDS]: ['4.1.6 SSec of CMD_PREFETCH_CONFIG', '4.1.6 SSec of CMD_PREFETCH_ADDR'],
      [OPCODES]: ['4.1.6 SSec of opcode 1, ', '4.1.6 SSec of opcode 2, '],
    },
  },
  {
    name: 'sync-reserved-signal',
    title: 'CMD_SYNC with CS = 3 is one with CS = 1',
    clause: 'SMMUv3 4.7.3: reserved, CERROR_ILL',
    qemu: 'smmuv3_cmdq_consume',
    permitted: false,
    tests: { [COMMANDS]: ['4.7.3 CS 3'], [OPCODES]: ['4.7.3 CMD_SYNC with CS 3'] },
  },
  {
    name: 'command-reserved-bits',
    title: 'reserved bits of commands are not looked at, nor fields that are reserved in a combination',
    clause: 'SMMUv3 4.1.5: they may be checked; 4.4.1.1',
    qemu: 'smmuv3_cmdq_consume, smmuv3_range_inval',
    permitted: true,
    tests: {
      [COMMANDS]: ['4.1.5 a reserved bit'],
      [OPCODES]: [': each bit that it has not'],
      [INVALIDATION]: [
        '4.4.1.1 TG = 0 with NUM is illegal',
        '4.4.1.1 TG = 0 with SCALE is illegal',
        '4.4.1.1 TG = 0 with TTL is illegal',
        '4.4.1.1 TTL128 is illegal',
        '4.4.1.1 SCALE of 6 bits is illegal',
      ],
      [RANGES]: ['TG +0, TTL ', 'bit 5 of SCALE without IDR5.DS'],
    },
  },
  {
    name: 'range-of-nothing',
    title: 'TG with NUM, SCALE and TTL of 0 is an invalidation of one granule',
    clause: 'SMMUv3 4.4.1.1: CERROR_ILL',
    qemu: 'smmuv3_range_inval',
    permitted: false,
    tests: {
      [INVALIDATION]: ['4.4.1.1 TG alone is illegal', '4.4.1.1 16 KiB and level 1, which is taken for none'],
      [RANGES]: ['TG 1, TTL +0: ', 'TG 2, TTL +0: ', 'TG 2, TTL 1: ', 'TG 3, TTL +0: '],
    },
  },
  {
    name: 'ttl-of-16k',
    title: 'TTL 1 with 16 KiB is handed on; of a range it says nothing there',
    clause: 'SMMUv3 4.4.1.1: taken for 0, and a hint',
    qemu: 'smmuv3_range_inval',
    permitted: true,
    tests: { [INVALIDATION]: ['4.4.1.1 a range: {"TG":2,"NUM":1,"SCALE":3,"TTL":1}'] },
  },
  {
    name: 'hints-of-ranges',
    title: 'entries of another granule, or of another level than TTL says, are dropped, too',
    clause: 'SMMUv3 4.4.1: more may be dropped',
    qemu: 'smmu_iotlb_inv_iova',
    permitted: true,
    tests: { [RANGES]: ['an entry of another granule, or of another level than TTL says, stays'] },
  },
  {
    name: 'no-cached-tables',
    title: 'tables are not cached: a walk begins at the first one always',
    clause: 'SMMUv3 16.2: they may be',
    qemu: 'smmu_ptw_64_s2',
    permitted: true,
    tests: { [TABLES]: ['stays (decision)', 'those of stage 2 stay (decision)'] },
  },
  {
    name: 'global-entries-kept',
    title: 'an invalidation by address and ASID keeps a global entry that was made for another ASID',
    clause: 'SMMUv3 4.4.2.4: global entries go whatever the ASID',
    qemu: 'smmu_iotlb_inv_iova',
    permitted: false,
    tests: { [RANGES]: ['global entries: 4.4.2.4 whatever the ASID'] },
  },
  {
    name: 'queue-base-as-written',
    title: 'the base of a queue is aligned to 64 bytes, and not to its size or 32 bytes',
    clause: 'SMMUv3 6.3.26, 6.3.29',
    qemu: 'queue_read, queue_write',
    permitted: false,
    tests: {
      [COMMANDS]: ['3.5.1 the queue > its base is aligned to its size'],
      [QUEUES]: [
        '6.3.26 LOG2SIZE 0: a base of 0x20',
        '6.3.26 LOG2SIZE 1: a base of 0x20',
        '6.3.26 LOG2SIZE 8: a base of 0xfe0',
        '6.3.26 LOG2SIZE 9: a base of 0x1000',
        '6.3.29 the event queue wraps at every size > LOG2SIZE 0: a base of 0x20',
        '6.3.29 the event queue wraps at every size > LOG2SIZE 7: a base of 0xfe0',
      ],
    },
  },
  {
    name: 'queue-indexes-apart',
    title: 'where PROD and CONS say more than the queue holds it goes on all the same',
    clause: 'SMMUv3 3.5.1: not said',
    qemu: 'smmuv3_q_full, smmuv3_q_empty',
    permitted: true,
    tests: {
      [COMMANDS]: ['nothing is consumed while the indexes say more than the queue holds'],
      [QUEUES]: ['decision (3.5.1): nothing is consumed of PROD'],
      [EVENTS]: ['3.5.1 indexes that cannot be: as a full queue'],
    },
  },
  {
    name: 'invalid-stes-afresh',
    title: 'an STE that is not valid is not cached',
    clause: 'SMMUv3 5.2.1: it may be',
    qemu: 'smmuv3_get_config',
    permitted: true,
    tests: { [CONFIGURATION]: ['5.2.1 an STE of any state may be kept: Config'] },
  },
  {
    name: 'stes-go-with-cds',
    title: 'CMD_CFGI_CD_ALL drops the STE, too',
    clause: 'SMMUv3 4.3: more may be dropped',
    qemu: 'smmuv3_flush_config',
    permitted: true,
    tests: { [CONFIGURATION]: ['4.3.4 CFGI_CD_ALL, decision: no STE'] },
  },
  {
    name: 'level-one-afresh',
    title: 'level-1 descriptors are not cached: CMD_CFGI_STE with Leaf is enough where one has changed',
    clause: 'SMMUv3 4.3.1: they may be',
    qemu: 'smmu_find_ste',
    permitted: true,
    tests: { [CONFIGURATION]: ['CFGI_STE with Leaf 1 (decision: kept with 1)'] },
  },

  // ---- stream table, STE, CD ------------------------------------------------------------------------------------------
  {
    name: 'span-of-twice',
    title: 'a level-1 descriptor has 2^Span STEs, not 2^(Span − 1); beyond them it is C_BAD_STE, not C_BAD_STREAMID',
    clause: 'SMMUv3 5.1',
    qemu: 'smmu_find_ste',
    permitted: false,
    tests: { [FLAGS_AND_LIMITS]: ['Span 1: 1 STEs', 'Span 3: 4 STEs'], [STREAMS]: SPANS },
  },
  {
    name: 'l2ptr-of-64-bits',
    title: 'bits 63:56 of a level-1 stream descriptor are part of its pointer',
    clause: 'SMMUv3 5.1: bits above the field are taken for 0',
    qemu: 'smmu_find_ste (l1std_l2ptr)',
    permitted: false,
    tests: { [STREAMS]: ['bits above L2Ptr are not part of it'] },
  },
  {
    name: 'cd-max-without-substreams',
    title: 'S1CDMax that is not 0 is C_BAD_STE, though IDR1.SSIDSIZE is 0',
    clause: 'SMMUv3 5.2: ignored then',
    qemu: 'decode_ste',
    permitted: false,
    tests: {
      [STE]: [
        'IDR1.SSIDSIZE 0, S1CDMax 1: legal true',
        'IDR1.SSIDSIZE 0, S1CDMax 31: legal true',
        '5.2 S1Fmt > IDR1.SSIDSIZE 0: IGNORED',
      ],
    },
  },
  {
    name: 'stage-1-fields-of-stage-2',
    title: 'S1STALLD is C_BAD_STE with stage 2 alone, too',
    clause: 'SMMUv3 5.2: ignored without stage 1',
    qemu: 'decode_ste',
    permitted: false,
    tests: { [STE]: ['are IGNORED > stage 2: S1STALLD'] },
  },
  {
    name: 'stage-2-updates-unchecked',
    title: 'S2HA and S2HD are ignored, though there is no HTTU',
    clause: 'SMMUv3 5.2: ILLEGAL, C_BAD_STE',
    qemu: 'decode_ste_s2_cfg',
    permitted: false,
    tests: {
      [STE]: [
        'stage 2, where they count: S2HA',
        'stage 2, where they count: S2HD',
        'IDR0.HTTU 0, S2HA 0, S2HD 1: legal false',
        'IDR0.HTTU 0, S2HA 1, S2HD 0: legal false',
        'IDR0.HTTU 0, S2HA 1, S2HD 1: legal false',
      ],
      [FLAGS_AND_LIMITS]: ['IDR0.HTTU 0 has no {"S2HA":1,"S2HD":0}'],
    },
  },
  {
    name: 'context-pointer-beyond',
    title: 'S1ContextPtr beyond the OAS is F_CD_FETCH',
    clause: 'SMMUv3 3.4.3, 5.2: C_BAD_STE',
    qemu: 'smmu_get_cd',
    permitted: false,
    tests: { [STE]: ['5.2 S1ContextPtr, 3.4.3 (1) > OAS 4: within 44 bits'] },
  },
  {
    name: 's2t0sz-by-s2ps',
    title: 'S2T0SZ is refused where stage 2 takes larger addresses than S2PS lets it give',
    clause: 'SMMUv3 5.2: by IAS, which is OAS',
    qemu: 's2t0sz_valid',
    permitted: false,
    tests: {
      [STE]: ['5.2 S2TTB > S2PS 0: within 32 bits', '5.2 S2TTB > S2PS 1: within 36 bits'],
      [SIZES]: [...LEVELS, ...LEAVES].flatMap((what) => [0, 1, 2, 3].map((S2PS) => `${what}, S2PS ${S2PS}: within`)),
    },
  },
  {
    name: 's2t0sz-of-a-lower-level',
    title: 'S2T0SZ is not refused that leaves nothing to the first level: one more than the most of S2SL0',
    clause: 'SMMUv3 5.2 (S2SL0)',
    qemu: 's2_pgtable_config_valid',
    permitted: false,
    tests: {
      [WALKS]: [
        'S2TG 0, S2SL0 1: an S2T0SZ that does not fit is C_BAD_STE',
        'S2TG 2, S2SL0 1: an S2T0SZ that does not fit is C_BAD_STE',
      ],
    },
  },

  // ---- translation ----------------------------------------------------------------------------------------------------
  {
    name: 'disabled-size',
    title: 'an address beyond OAS passes while the SMMU is disabled',
    clause: 'SMMUv3 3.4: aborted',
    qemu: 'smmuv3_translate',
    permitted: false,
    tests: { [SIZES]: ['3.4 an SMMU that is disabled > OAS 4'] },
  },
  {
    name: 'bypassed-size',
    title: 'an address beyond OAS that bypasses stage 1 is no F_ADDR_SIZE',
    clause: 'SMMUv3 3.4.2, 7.3.14',
    qemu: 'smmu_ptw, smmuv3_translate',
    permitted: false,
    tests: {
      [SIZES]: [
        '3.4 stage 1 is bypassed > Config 4, OAS 4',
        'stage 2 alone, S2R 0, S2S 0: beyond the IAS',
        'stage 2 alone, S2R 1, S2S 0: beyond the IAS',
      ],
      [RECORDS]: ['7.3.14 stage 1 bypassed: S2 0, CLASS IN'],
    },
  },
  {
    name: 'table-address-size',
    title:
      'the address of a table beyond IPS, S2PS or OAS is an external abort, or a fault of stage 2, not an address size fault',
    clause: 'DDI 0487 D8.2, SMMUv3 7.3.14',
    qemu: 'smmu_ptw_64_s1, smmu_ptw_64_s2',
    permitted: false,
    tests: {
      [SIZES]: [
        '5.4 IPS: what a descriptor of stage 1 gives > a table of level',
        ...LEVELS.map((what) => `${what}, S2PS 4: within`),
      ],
      [WARM_WALKS]: [
        'F_ADDR_SIZE at level 1, beyond IPS',
        'F_ADDR_SIZE at level 2, beyond IPS',
        'F_ADDR_SIZE of stage 2 at level 1, beyond S2PS',
        'F_ADDR_SIZE of stage 2 at level 2, beyond S2PS',
        'F_ADDR_SIZE of a table of level ',
      ],
    },
  },
  {
    name: 'size-after-rights',
    title:
      'Access flag and rights of a leaf are looked at before its address: F_ACCESS or F_PERMISSION instead of F_ADDR_SIZE',
    clause: 'DDI 0487 D8.15, SMMUv3 3.12',
    qemu: 'smmu_ptw_64_s1, smmu_ptw_64_s2',
    permitted: false,
    tests: { [RECORDS]: ['stage 1: F_ADDR_SIZE before F_ACCESS', 'stage 1: F_ADDR_SIZE before F_PERMISSION'] },
  },
  {
    name: 'first-of-concatenated',
    title: 'of several top tables of stage 2, one behind another, the first is used for all addresses',
    clause: 'DDI 0487 D8.2.2 (concatenated translation tables), SMMUv3 5.2 (S2SL0)',
    qemu: 'smmu_ptw_64_s2',
    permitted: false,
    tests: {
      [WALKS]: [
        'S2SL0 1: level 1; S2T0SZ 24: 2 tables',
        'S2SL0 1: level 1; S2T0SZ 23: 4 tables',
        'S2SL0 1: level 1; S2T0SZ 21: 16 tables',
        'S2SL0 0: level 2; S2T0SZ 33: 2 tables',
        'S2SL0 0: level 2; S2T0SZ 30: 16 tables',
        'S2SL0 1: level 2; S2T0SZ 27: 2 tables',
        'S2SL0 1: level 2; S2T0SZ 24: 16 tables',
        'S2SL0 0: level 3; S2T0SZ 38: 2 tables',
        'S2SL0 0: level 3; S2T0SZ 35: 16 tables',
        'S2SL0 1: level 2; S2T0SZ 21: 2 tables',
        'S2SL0 0: level 3; S2T0SZ 34: 2 tables',
        'S2SL0 0: level 3; S2T0SZ 31: 16 tables',
      ],
    },
  },
  {
    name: 'blocks-anywhere',
    title: 'a block is taken at level 0, and at level 1 of granules of 16 and 64 KiB',
    clause: 'DDI 0487 D8.3.1',
    qemu: 'smmu_ptw_64_s1, smmu_ptw_64_s2',
    permitted: false,
    tests: {
      [WALKS]: [
        "stage 1, '4 KiB', level +0: bits 1:0 01",
        "stage 1, '16 KiB', level +0: bits 1:0 01",
        "stage 1, '16 KiB', level 1: bits 1:0 01",
        "stage 1, '64 KiB', level 1: bits 1:0 01",
      ],
    },
  },
  {
    name: 'disabled-ranges-not-looked-up',
    title: 'what the TLB has of a range that is disabled since is not found',
    clause: 'SMMUv3 5.4 (EPD0): a miss is permitted always',
    qemu: 'decode_cd, smmu_iotlb_lookup',
    permitted: true,
    tests: { [ADDRESSES]: ['found; TBI0 0, EPD0 1, tag 0', 'found; TBI0 1, EPD0 1, tag '] },
  },
  {
    name: 'tbi1-is-tbi0',
    title: 'CD.TBI0 counts for the upper part of the address space, too',
    clause: 'SMMUv3 5.4 (TBI)',
    qemu: 'select_tt',
    permitted: false,
    tests: {
      [ADDRESSES]: [
        'TBI0 0, TBI1 1, 0x55ffff8000401000',
        'TBI0 0, TBI1 1, 0xfeffff8000401000',
        'TBI0 0, TBI1 1, 0xffff8000401000',
        'TBI0 1, TBI1 0, 0xfeffff8000401000',
        'TBI0 1, TBI1 0, 0xffff8000401000',
      ],
    },
  },
  {
    name: 'everyone-is-privileged',
    title: 'APTable[0] (and AP[1]) does not refuse who is unprivileged',
    clause: 'DDI 0487 D8.4, SMMUv3 13.7: without a PASID a request of PCI Express is unprivileged',
    qemu: 'smmu_ptw_64_s1',
    permitted: false,
    tests: {
      [RECORDS]: ["stage 1, 'F_PERMISSION', 'read'"],
      [PERMISSIONS]: [
        "': AP +0, UXN",
        "': AP 2, UXN",
        'APTable 0, AP 0:',
        'APTable 0, AP 2:',
        'APTable 1, AP ',
        'APTable 2, AP 0:',
        'APTable 2, AP 2:',
        'APTable 3, AP ',
        'APTable 1 above APTable 2',
        'APTable 2 above APTable 1',
        'APTable 1 above APTable 1',
        'APTable 3 above APTable 0',
        '5.4 IDR3.HAD 1, HAD0 0:',
        '5.4 HAD0 1 is of the lower range, HAD1 0',
        '5.4 HAD0 0 is of the lower range',
        'what both permit > AP 0, ',
        'what both permit > AP 2, S2AP 3',
        'ATTR_PERMS_OVR 0: PRIVCFG',
      ],
    },
  },
  {
    name: 'cached-right-missing',
    title:
      'a cached translation that stage 2 does not let be read refuses a read silently; with both stages it lets it pass',
    clause: 'SMMUv3 7.3.16',
    qemu: 'smmu_translate',
    permitted: false,
    tests: {
      [PERMISSIONS]: ['13.4.3 S2AP and XN of stage 2 > IDR3.XNX 1, S2AP 1', 'what both permit > AP 1, S2AP 2, XN 0'],
    },
  },
  {
    name: 'table-rights-not-cached',
    title:
      'a read of what a table has made read-only (APTable[1]) is cached as writable, so that a write passes after it',
    clause: 'DDI 0487 D8.4.3',
    qemu: 'smmu_ptw_64_s1',
    permitted: false,
    tests: { [PERMISSIONS]: ['APTable 2, AP 1: ', 'APTable 2 above APTable 2'] },
  },
  {
    name: 'global-entries-by-asid',
    title: 'a global translation is cached for its ASID alone, and dropped with it',
    clause: 'SMMUv3 3.17: that others find it is permitted, and not asked for; 4.4.2.2',
    qemu: 'smmu_iotlb_lookup',
    permitted: true,
    tests: {
      [TLB]: ['global translations are of all ASIDs of an ASET'],
      [RANGES]: ['global entries: 4.4.2.2 by ASID they stay'],
    },
  },

  // ---- events ---------------------------------------------------------------------------------------------------------
  {
    name: 'bad-streamid-always',
    title: 'C_BAD_STREAMID is recorded without CR2.RECINVSID, too',
    clause: 'SMMUv3 6.3.12, 7.3.3',
    qemu: 'smmuv3_record_event',
    permitted: false,
    tests: { [EVENTS]: ['7.3.3 C_BAD_STREAMID is recorded with CR2.RECINVSID only'] },
  },
  {
    name: 'full-queue-is-an-abort',
    title: 'an event that does not fit is EVENTQ_ABT_ERR; OVFLG is never set',
    clause: 'SMMUv3 7.4',
    qemu: 'smmuv3_write_eventq, smmuv3_record_event',
    permitted: false,
    tests: {
      [EVENTS]: ['a full queue: OVFLG is toggled once'],
      [QUEUES]: [': a full queue keeps what it has, and overflows', '7.4 a full queue with OVFLG'],
    },
  },
  {
    name: 'events-before-acknowledgement',
    title: 'events are written while EVENTQ_ABT_ERR is active',
    clause: 'SMMUv3 7.2',
    qemu: 'smmuv3_write_eventq',
    permitted: false,
    tests: { [EVENTS]: ['7.2.2 an aborted write: EVENTQ_ABT_ERR, PROD stays'] },
  },
  {
    name: 'each-event-interrupts',
    title: 'each event interrupts, and not only one that finds the queue empty',
    clause: 'SMMUv3 3.18.2',
    qemu: 'smmuv3_write_eventq',
    permitted: false,
    tests: { [GLOBAL_ERRORS]: ['an event interrupts where the queue was empty'] },
  },
  {
    name: 'cd-fetch-address',
    title: 'F_CD_FETCH has the address that was read where other events have the input address, and none in FetchAddr',
    clause: 'SMMUv3 7.3.10',
    qemu: 'smmuv3_record_event',
    permitted: false,
    tests: { [RECORDS]: ['7.3.10 both stages: FetchAddr is where stage 2 has put the CD'] },
  },
  {
    name: 'fetch-is-read',
    title: 'an event about the fetch of a CD or of a table says RnW of the fetch, not of the transaction, and no TTRnW',
    clause: 'SMMUv3 7.3, 7.3.16',
    qemu: 'smmu_get_cd, translate_table_addr_ipa',
    permitted: false,
    tests: { [RECORDS]: ['both stages, F_PERMISSION of stage 2: of the page, a table, the CD'] },
  },
  {
    name: 'table-fault-of-stage-1',
    title:
      'where stage 2 refuses the address of a table of stage 1 (but for the first), the event is of stage 1: without S2, with bits 31:12 of the table’s address at most, and recorded by CD.R, not by STE.S2R',
    clause: 'SMMUv3 7.3.13 – 7.3.16, 5.5',
    qemu: 'smmu_ptw_64_s1',
    permitted: false,
    tests: {
      [SIZES]: ['IPAs beyond S2T0SZ are F_TRANSLATION of stage 2 > of a table'],
      [WARM_WALKS]: ['F_TRANSLATION of stage 2 of a table'],
    },
  },
];
