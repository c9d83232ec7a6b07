/** SMMUv3 registers: stream table, command queue, event queue, page request queue (IHI 0070, 6.3.24 – 6.3.33, 6.3.95 – 6.3.98). Non-secure. */
import { address, bit, bits, named, namesOf, register } from '../../bits/index.ts';
import { CERROR } from './commands.ts';

export const STRTAB_BASE = register(
  'SMMU_STRTAB_BASE',
  0x80,
  'SMMUv3 6.3.24',
  {
    /** Aligned to the table's size; lower bits are taken for 0. */
    ADDR: address(55, 6),
    /** Read-allocate hint. */
    RA: bit(62),
  },
  64,
);

export const STRTAB_BASE_CFG = register('SMMU_STRTAB_BASE_CFG', 0x88, 'SMMUv3 6.3.25', {
  /** Bits of a StreamID that select an STE. */
  LOG2SIZE: bits(5, 0),
  /** Of these, the bits that select within a level-2 table; other values behave as 6. */
  SPLIT: named(bits(10, 6), { 6: '4 KiB', 8: '16 KiB', 10: '64 KiB' }),
  FMT: named(bits(17, 16), { 0: 'linear', 1: '2-level' }),
});

export const CMDQ_BASE = register(
  'SMMU_CMDQ_BASE',
  0x90,
  'SMMUv3 6.3.26',
  {
    /** log2 of the number of entries of 16 bytes. */
    LOG2SIZE: bits(4, 0),
    ADDR: address(55, 5),
    RA: bit(62),
  },
  64,
);

/** Above the index, bit LOG2SIZE of WR and RD is the wrap bit: the queue is empty if both are the same, full if they differ in it alone (3.5.1). */
export const CMDQ_PROD = register('SMMU_CMDQ_PROD', 0x98, 'SMMUv3 6.3.27', {
  WR: bits(19, 0),
});

export const CMDQ_CONS = register('SMMU_CMDQ_CONS', 0x9c, 'SMMUv3 6.3.28', {
  /** With an error, the command that has it. */
  RD: bits(19, 0),
  /** Counts while GERROR.CMDQ_ERR is active (SMMUv3 7.1). */
  ERR: named(bits(30, 24), namesOf(CERROR)),
});

export const EVENTQ_BASE = register(
  'SMMU_EVENTQ_BASE',
  0xa0,
  'SMMUv3 6.3.29',
  {
    /** log2 of the number of entries of 32 bytes. */
    LOG2SIZE: bits(4, 0),
    ADDR: address(55, 5),
    /** Write-allocate hint. */
    WA: bit(62),
  },
  64,
);

/** In page 1. */
export const EVENTQ_PROD = register('SMMU_EVENTQ_PROD', 0x100a8, 'SMMUv3 6.3.95', {
  WR: bits(19, 0),
  /** Differs from OVACKFLG: the queue has overflowed, events are lost. */
  OVFLG: bit(31),
});

export const EVENTQ_CONS = register('SMMU_EVENTQ_CONS', 0x100ac, 'SMMUv3 6.3.96', {
  RD: bits(19, 0),
  OVACKFLG: bit(31),
});

export const PRIQ_BASE = register(
  'SMMU_PRIQ_BASE',
  0xc0,
  'SMMUv3 6.3.33',
  {
    /** log2 of the number of entries of 16 bytes. */
    LOG2SIZE: bits(4, 0),
    ADDR: address(55, 5),
    WA: bit(62),
  },
  64,
);

/** In page 1. */
export const PRIQ_PROD = register('SMMU_PRIQ_PROD', 0x100c8, 'SMMUv3 6.3.97', {
  WR: bits(19, 0),
  /** Differs from OVACKFLG: the queue has overflowed; requests are answered without software until that is acknowledged. */
  OVFLG: bit(31),
});

export const PRIQ_CONS = register('SMMU_PRIQ_CONS', 0x100cc, 'SMMUv3 6.3.98', {
  RD: bits(19, 0),
  OVACKFLG: bit(31),
});
