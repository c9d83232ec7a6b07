/** RISC-V IOMMU commands, 128 bits each. Clauses: RISC-V IOMMU architecture specification, version 1.0.1; see the README. */
import { address, bit, bits, fixed, ignored, named, structure } from '../../bits/index.ts';

/** Where the code of each command is, and which of its kind. */
export const OPCODE = bits(6, 0);
export const FUNC3 = bits(9, 7);

const is = (opcode: number, func3: number) => ({ opcode: fixed(OPCODE, opcode), func3: fixed(FUNC3, func3) });

/**
 * First-stage entries: GV = 0 of the host, GV = 1 of the GSCID; PSCV = 1 of the PSCID, but no global ones; AV = 1 leaves for the
 * address (NL = 1: and what is above them).
 */
export const IOTINVAL_VMA = structure('IOTINVAL.VMA', 128, 'RISC-V IOMMU 3.1.1', {
  ...is(1, 0),
  AV: bit(10),
  PSCID: bits(31, 12),
  PSCV: bit(32),
  GV: bit(33),
  /** With capabilities.NL. */
  NL: bit(34),
  GSCID: bits(59, 44),
  /** With capabilities.S: the address encodes a range in its trailing ones. */
  S: bit(73),
  ADDR: address(125, 74, 12),
});

/** Second-stage entries: GV = 0 all, GV = 1 of the GSCID; AV = 1 leaves for the guest-physical address. PSCV must be 0. */
export const IOTINVAL_GVMA = structure('IOTINVAL.GVMA', 128, 'RISC-V IOMMU 3.1.1', {
  ...is(1, 1),
  AV: bit(10),
  IGN_31_12: ignored(31, 12),
  GV: bit(33),
  NL: bit(34),
  GSCID: bits(59, 44),
  S: bit(73),
  ADDR: address(125, 74, 12),
});

/** Complete when all commands before it are; then it stores (AV) and raises a wired interrupt (WSI). */
export const IOFENCE_C = structure('IOFENCE.C', 128, 'RISC-V IOMMU 3.1.2', {
  ...is(2, 0),
  AV: bit(10),
  WSI: bit(11),
  /** Reads of devices that the IOMMU has processed are globally ordered before. */
  PR: bit(12),
  /** Writes of devices that the IOMMU has processed are. */
  PW: bit(13),
  DATA: bits(63, 32),
  ADDR: address(125, 64, 2),
});

/** DV = 0: all devices. With the device's process contexts. */
export const IODIR_INVAL_DDT = structure('IODIR.INVAL_DDT', 128, 'RISC-V IOMMU 3.1.3', {
  ...is(3, 0),
  DV: bit(33),
  DID: bits(63, 40),
});

/** DV must be 1. */
export const IODIR_INVAL_PDT = structure('IODIR.INVAL_PDT', 128, 'RISC-V IOMMU 3.1.3', {
  ...is(3, 1),
  PID: bits(31, 12),
  DV: bit(33),
  DID: bits(63, 40),
});

const TO_DEVICE = {
  PID: bits(31, 12),
  PV: bit(32),
  DSV: bit(33),
  RID: bits(55, 40),
  DSEG: bits(63, 56),
} as const;

/** The payload is that of the PCI Express message, here and in the next. */
export const ATS_INVAL = structure('ATS.INVAL', 128, 'RISC-V IOMMU 3.1.4', {
  ...is(4, 0),
  ...TO_DEVICE,
  G: bit(64),
  S: bit(75),
  ADDR: address(127, 76),
});

export const ATS_PRGR = structure('ATS.PRGR', 128, 'RISC-V IOMMU 3.1.4', {
  ...is(4, 1),
  ...TO_DEVICE,
  PRGI: bits(104, 96),
  ResponseCode: named(bits(111, 108), { 0: 'Success', 1: 'Invalid Request', 15: 'Response Failure' }),
});

/** By {@link OPCODE}, then {@link FUNC3}. */
export const COMMANDS = {
  1: { 0: IOTINVAL_VMA, 1: IOTINVAL_GVMA },
  2: { 0: IOFENCE_C },
  3: { 0: IODIR_INVAL_DDT, 1: IODIR_INVAL_PDT },
  4: { 0: ATS_INVAL, 1: ATS_PRGR },
} as const;

/** Bytes of a command. */
export const COMMAND_BYTES = 16;
