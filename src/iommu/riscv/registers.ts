/** RISC-V IOMMU registers. Clauses: RISC-V IOMMU architecture specification, version 1.0.1; see the README. */
import type { Field, Fields, Register } from '../../bits/index.ts';
import { address, bit, bits, named, register, ro, w1c } from '../../bits/index.ts';

const wide = <F extends Fields>(name: string, offset: number, clause: string, fields: F): Register<F> =>
  register(name, offset, `RISC-V IOMMU ${clause}`, fields, 64);
const narrow = <F extends Fields>(name: string, offset: number, clause: string, fields: F): Register<F> =>
  register(name, offset, `RISC-V IOMMU ${clause}`, fields);

/** Where a page frame number is, of registers, directory entries and page-table entries. */
const PPN = address(53, 10, 12);

export const CAPABILITIES = wide('capabilities', 0x000, '5.3', {
  version: ro(named(bits(7, 0), { 16: '1.0' })),
  Sv32: ro(bit(8)),
  Sv39: ro(bit(9)),
  Sv48: ro(bit(10)),
  Sv57: ro(bit(11)),
  Svrsw60t59b: ro(bit(14)),
  Svpbmt: ro(bit(15)),
  Sv32x4: ro(bit(16)),
  Sv39x4: ro(bit(17)),
  Sv48x4: ro(bit(18)),
  Sv57x4: ro(bit(19)),
  AMO_MRIF: ro(bit(21)),
  MSI_FLAT: ro(bit(22)),
  MSI_MRIF: ro(bit(23)),
  AMO_HWAD: ro(bit(24)),
  ATS: ro(bit(25)),
  T2GPA: ro(bit(26)),
  /** Both byte orders. */
  END: ro(bit(27)),
  IGS: ro(named(bits(29, 28), { 0: 'MSI', 1: 'WSI', 2: 'MSI and WSI' })),
  HPM: ro(bit(30)),
  DBG: ro(bit(31)),
  /** Bits of a physical address. */
  PAS: ro(bits(37, 32)),
  PD8: ro(bit(38)),
  PD17: ro(bit(39)),
  PD20: ro(bit(40)),
  QOSID: ro(bit(41)),
  NL: ro(bit(42)),
  S: ro(bit(43)),
  custom: ro(bits(63, 56)),
});

export const FCTL = narrow('fctl', 0x008, '5.4', {
  BE: named(bit(0), { 0: 'little-endian', 1: 'big-endian' }),
  WSI: named(bit(1), { 0: 'interrupts are messages', 1: 'interrupts are wires' }),
  GXL: named(bit(2), { 0: 'second stages of 64 bits', 1: 'second stages of 32 bits' }),
  custom: bits(31, 16),
});

/** Written while busy, what happens is unspecified. */
export const DDTP = wide('ddtp', 0x010, '5.5', {
  iommu_mode: named(bits(3, 0), { 0: 'Off', 1: 'Bare', 2: '1LVL', 3: '2LVL', 4: '3LVL' }),
  busy: ro(bit(4)),
  PPN,
});

/** 2^(LOG2SZ_1 + 1) entries. Up to 4 KiB a queue lies at a multiple of 4 KiB, a larger one at a multiple of its size. */
const QUEUE_BASE = { LOG2SZ_1: bits(4, 0), PPN } as const;
/** Number of an entry. */
const INDEX = { index: bits(31, 0) } as const;
/** The IOMMU's own. */
const OWN_INDEX = { index: ro(bits(31, 0)) } as const;

export const CQB = wide('cqb', 0x018, '5.6', QUEUE_BASE);
export const CQH = narrow('cqh', 0x020, '5.7', OWN_INDEX);
export const CQT = narrow('cqt', 0x024, '5.8', INDEX);
export const FQB = wide('fqb', 0x028, '5.9', QUEUE_BASE);
export const FQH = narrow('fqh', 0x030, '5.10', INDEX);
export const FQT = narrow('fqt', 0x034, '5.11', OWN_INDEX);
export const PQB = wide('pqb', 0x038, '5.12', QUEUE_BASE);
export const PQH = narrow('pqh', 0x040, '5.13', INDEX);
export const PQT = narrow('pqt', 0x044, '5.14', OWN_INDEX);

/** While any of bits 11:8 is set, no command is fetched. */
export const CQCSR = narrow('cqcsr', 0x048, '5.15', {
  cqen: bit(0),
  cie: bit(1),
  /** A command could not be read, or a fence not written. */
  cqmf: w1c(bit(8)),
  /** A device did not answer an invalidation in time. */
  cmd_to: w1c(bit(9)),
  cmd_ill: w1c(bit(10)),
  /** A fence with WSI = 1 is complete. */
  fence_w_ip: w1c(bit(11)),
  cqon: ro(bit(16)),
  busy: ro(bit(17)),
  custom: bits(31, 28),
});

/** While fqmf or fqof is set, no record is written. */
export const FQCSR = narrow('fqcsr', 0x04c, '5.16', {
  fqen: bit(0),
  fie: bit(1),
  fqmf: w1c(bit(8)),
  fqof: w1c(bit(9)),
  fqon: ro(bit(16)),
  busy: ro(bit(17)),
  custom: bits(31, 28),
});

/** While pqmf or pqof is set, requests are answered or dropped, not recorded. */
export const PQCSR = narrow('pqcsr', 0x050, '5.17', {
  pqen: bit(0),
  pie: bit(1),
  pqmf: w1c(bit(8)),
  pqof: w1c(bit(9)),
  pqon: ro(bit(16)),
  busy: ro(bit(17)),
  custom: bits(31, 28),
});

export const IPSR = narrow('ipsr', 0x054, '5.18', {
  cip: w1c(bit(0)),
  fip: w1c(bit(1)),
  pmip: w1c(bit(2)),
  pip: w1c(bit(3)),
  custom: w1c(bits(15, 8)),
});

/** Vectors of the four causes: of messages, or of wires. */
export const ICVEC = wide('icvec', 0x2f8, '5.28', {
  civ: bits(3, 0),
  fiv: bits(7, 4),
  pmiv: bits(11, 8),
  piv: bits(15, 12),
  custom: bits(63, 32),
});

const VECTORS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const msi = <F extends Record<string, Field>>(name: string, n: number, at: number, bitsOf: 32 | 64, fields: F) =>
  register(`${name}_${n}`, 0x300 + 16 * n + at, 'RISC-V IOMMU 5.29', fields, bitsOf);

/** The MSI configuration table, by vector. */
export const MSI_ADDR = VECTORS.map((n) => msi('msi_addr', n, 0, 64, { ADDR: address(55, 2) }));
export const MSI_DATA = VECTORS.map((n) => msi('msi_data', n, 8, 32, { data: bits(31, 0) }));
/** M = 1 masks the vector. */
export const MSI_VEC_CTL = VECTORS.map((n) => msi('msi_vec_ctl', n, 12, 32, { M: bit(0) }));

/** Bytes of the register block. */
export const REGISTER_BYTES = 0x1000;
