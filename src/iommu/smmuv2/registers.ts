/**
 * SMMUv2 registers that a fault is told by, and those that give a stream its context (Arm IHI 0062D.c, chapters 9, 10, 16). Offsets are those in the page
 * of the register: global space 0 or 1, or the page of a context bank.
 */
import { bit, bits, named, register, w1c } from '../../bits/index.ts';

const WRITE_NOT_READ = { 0: 'read', 1: 'write' } as const;
const PRIVILEGED = { 0: 'unprivileged', 1: 'privileged' } as const;
const INSTRUCTION = { 0: 'data', 1: 'instruction' } as const;

/** In global space 0. Bits say what happened since they were cleared; the syndrome registers are of the first. */
export const SGFSR = register('SMMU_sGFSR', 0x48, 'SMMUv2 9.6.15', {
  /** Invalid context. */
  ICF: w1c(bit(0)),
  /** Unidentified stream. */
  USF: w1c(bit(1)),
  /** Several stream match registers match. */
  SMCF: w1c(bit(2)),
  /** Unimplemented context bank. */
  UCBF: w1c(bit(3)),
  /** Unimplemented context interrupt. */
  UCIF: w1c(bit(4)),
  /** Configuration access. */
  CAF: w1c(bit(5)),
  EF: w1c(bit(6)),
  PF: w1c(bit(7)),
  UUT: w1c(bit(8)),
  MULTI: w1c(bit(31)),
});

/** In global space 0. */
export const SGFSYNR0 = register('SMMU_sGFSYNR0', 0x50, 'SMMUv2 9.6.17', {
  /** The fault came in the second of two nested stages. */
  NESTED: bit(0),
  WNR: named(bit(1), WRITE_NOT_READ),
  PNU: named(bit(2), PRIVILEGED),
  IND: named(bit(3), INSTRUCTION),
  /** Of the device and of the transaction; logs of Non-secure software have 0 here, too. */
  NSSTATE: bit(4),
  NSATTR: bit(5),
  /** It was an address translation operation of software. */
  ATS: bit(6),
});

/** In global space 0. */
export const SGFSYNR1 = register('SMMU_sGFSYNR1', 0x54, 'SMMUv2 9.6.18', {
  StreamID: bits(15, 0),
  SSD_Index: bits(31, 16),
});

/** In global space 0, one a stream mapping register group, here the first; with SMMU_sCR0.EXIDENABLE = 0. Bits of a StreamID that MASK has set are not compared. */
export const SMR = register('SMMU_SMR0', 0x800, 'SMMUv2 9.6.25', {
  ID: bits(14, 0),
  MASK: bits(30, 16),
  VALID: bit(31),
});

/** In global space 0, one a stream mapping register group, here the first. */
export const S2CR = register('SMMU_S2CR0', 0xc00, 'SMMUv2 9.6.23', {
  /** Of the context bank, with TYPE = 0. */
  CBNDX: bits(7, 0),
  EXIDVALID: bit(10),
  TYPE: named(bits(17, 16), { 0: 'translation', 1: 'bypass', 2: 'fault' }),
  PRIVCFG: named(bits(25, 24), { 0: 'incoming', 1: 'DIPAN', 2: 'unprivileged', 3: 'privileged' }),
});

/** In global space 1, one a context bank, here the first: the stream of the fault that the bank reports. */
export const CBFRSYNRA = register('SMMU_CBFRSYNRA0', 0x400, 'SMMUv2 10.2.3', {
  StreamID: bits(15, 0),
  SSD_Index: bits(31, 16),
});

/** In the page of a context bank. */
export const FSR = register('SMMU_CBn_FSR', 0x58, 'SMMUv2 16.5.9', {
  TF: w1c(bit(1)),
  AFF: w1c(bit(2)),
  PF: w1c(bit(3)),
  EF: w1c(bit(4)),
  TLBMCF: w1c(bit(5)),
  TLBLKF: w1c(bit(6)),
  ASF: w1c(bit(7)),
  UUT: w1c(bit(8)),
  /** Of the tables that were in use; with SMMUv1 always 0. */
  FORMAT: named(bits(10, 9), { 0: 'AArch32 short descriptors', 1: 'AArch32 long descriptors', 2: 'AArch64' }),
  /** The transaction waits for SMMU_CBn_RESUME. */
  SS: w1c(bit(30)),
  /** There were more faults while this one was pending. */
  MULTI: w1c(bit(31)),
});

/** In the page of a context bank. */
export const FSYNR0 = register('SMMU_CBn_FSYNR0', 0x68, 'SMMUv2, SMMU_CBn_FSYNR0', {
  /** Level of the walk that the fault came at. */
  PLVL: bits(1, 0),
  WNR: named(bit(4), WRITE_NOT_READ),
  PNU: named(bit(5), PRIVILEGED),
  IND: named(bit(6), INSTRUCTION),
  /** Of the device and of the transaction; logs of Non-secure software have 0 here, too. */
  NSSTATE: bit(7),
  NSATTR: bit(8),
  /** It was an address translation operation of software. */
  ATOF: bit(9),
  /** It was the walk of a table that faulted, not the transaction. */
  PTWF: bit(10),
  /** Recorded asynchronously. */
  AFR: bit(11),
  /** Of the stage-1 bank, where this is the bank of stage 2; else of no meaning. */
  S1CBNDX: bits(23, 16),
});
