/**
 * VMSAv8-64 descriptors as an SMMU reads them (DDI 0487, D8.3.1), addresses of 48 bits; with the 64 KiB granule 52 (FEAT_LPA). Not declared: LPA2
 * (CD.DS, STE.S2DS: 52 bits with 4 and 16 KiB); what CD.PIE and STE.S2PIE make of bits 54, 53, 51, 7 and 6 (PIIndex, nDirty), overlays of 62:59
 * (POIndex), CD.AIE of stage 1's bit 59 (AttrIndx[3]), CD.PnCH of 52 (Protected), Realm state of 63 and 55; VMSAv9-128, VMSAv8-32.
 */
import type { Fields, Layout } from '../../bits/index.ts';
import { address, bit, bits, fixed, ignored, named, structure } from '../../bits/index.ts';
import { MEMORY_TYPE, SHAREABILITY } from './encodings.ts';

const TABLE_CLAUSE = 'DDI 0487 D8.3.1.1';
const LEAF_CLAUSE = 'DDI 0487 D8.3.1.2';

/** In KiB. */
export type Granule = 4 | 16 | 64;

/** log2 of what a descriptor of a level describes. */
const SHIFT: Readonly<Record<Granule, Readonly<Record<number, number>>>> = {
  4: { 1: 30, 2: 21, 3: 12 },
  16: { 2: 25, 3: 14 },
  64: { 1: 42, 2: 29, 3: 16 },
};

/** Bits 1:0: a descriptor is ignored without VALID; a block and, in the last level, a page differ in TYPE, which also makes a table. */
const table = { VALID: fixed(bit(0), 1), TYPE: fixed(bit(1), 1) };
const leafType = (level: number) => ({ VALID: fixed(bit(0), 1), TYPE: fixed(bit(1), level === 3 ? 1 : 0) });

const high52 = { OA_51_48: bits(15, 12) };

/** Where a leaf points; blocks have nT, and with 64 KiB bits 51:48 of the address. */
function output(granule: Granule, level: number) {
  return {
    ADDR: address(47, SHIFT[granule][level]),
    ...(granule === 64 ? high52 : {}),
    /** The block is not cached while it is split or joined (IDR3.BBML 1). */
    ...(level === 3 ? {} : { nT: bit(16) }),
  };
}

const size = (shift: number) =>
  ['', ' KiB', ' MiB', ' GiB', ' TiB'].map((unit, i) => `${2 ** (shift - 10 * i)}${unit}`);
const sizeOf = (granule: Granule, level: number) => {
  const shift = SHIFT[granule][level];
  return size(shift)[Math.floor(shift / 10)];
};

function stage1(granule: Granule, level: number) {
  const kind = level === 3 ? 'page' : 'block';
  return structure(`stage-1 ${kind} of ${sizeOf(granule, level)}`, 64, LEAF_CLAUSE, {
    ...leafType(level),
    /** Which byte of MAIR0 and MAIR1. */
    AttrIndx: bits(4, 2),
    /** Of Secure streams; otherwise RES0. */
    NS: bit(5),
    AP: named(bits(7, 6), {
      0: 'privileged read/write',
      1: 'read/write',
      2: 'privileged read-only',
      3: 'read-only',
    }),
    SH: named(bits(9, 8), SHAREABILITY),
    AF: bit(10),
    /** RES0, like PXN, where only one privilege level is: EL3, EL2 without E2H. */
    nG: bit(11),
    ...output(granule, level),
    /** Guarded page, of processors (FEAT_BTI). */
    GP: bit(50),
    /** AP's read-only is clean (CD.HD). */
    DBM: bit(51),
    Contiguous: bit(52),
    PXN: bit(53),
    /** XN where only one privilege level is. */
    UXN: bit(54),
    IGN_58_55: ignored(58, 55),
    /** Ignored where IDR3.PBHA or CD.HWU0nn, HWU1nn do not give them a use. */
    PBHA: bits(62, 59),
    IGN_63: ignored(63, 63),
  });
}

function stage2(granule: Granule, level: number) {
  const kind = level === 3 ? 'page' : 'block';
  return structure(`stage-2 ${kind} of ${sizeOf(granule, level)}`, 64, LEAF_CLAUSE, {
    ...leafType(level),
    /** Otherwise with STE.S2FWB. */
    MemAttr: named(bits(5, 2), MEMORY_TYPE),
    S2AP: named(bits(7, 6), { 0: 'none', 1: 'read-only', 2: 'write-only', 3: 'read/write' }),
    SH: named(bits(9, 8), SHAREABILITY),
    AF: bit(10),
    /** Of processors (FEAT_XS). */
    FnXS: bit(11),
    ...output(granule, level),
    /** S2AP without write is clean (STE.S2HD). */
    DBM: bit(51),
    Contiguous: bit(52),
    /** Bit 53 needs IDR3.XNX. */
    XN: named(bits(54, 53), {
      0: 'executable',
      1: 'unprivileged executable',
      2: 'not executable',
      3: 'privileged executable',
    }),
    IGN_58_55: ignored(58, 55),
    /** For an SMMU to use, or PBHA. */
    PBHA: bits(62, 59),
  });
}

const next = (granule: Granule) => ({
  ...table,
  ADDR: address(47, SHIFT[granule][3]),
  ...(granule === 64 ? high52 : {}),
  IGN_58_51: ignored(58, 51),
});

function stage1Table(granule: Granule) {
  return structure(`stage-1 table, ${granule} KiB granule`, 64, TABLE_CLAUSE, {
    ...next(granule),
    IGN_9_2: ignored(9, 2),
    /** With CD.HAFT; otherwise ignored. */
    AF: bit(10),
    IGN_11: ignored(11, 11),
    /** Bits 63:59 restrict everything below, unless CD.HAD0 or HAD1. */
    PXNTable: bit(59),
    UXNTable: bit(60),
    APTable: named(bits(62, 61), {
      0: 'no restriction',
      1: 'no unprivileged access',
      2: 'no write',
      3: 'no unprivileged access, no write',
    }),
    /** Of Secure streams. */
    NSTable: bit(63),
  });
}

function stage2Table(granule: Granule) {
  return structure(`stage-2 table, ${granule} KiB granule`, 64, TABLE_CLAUSE, {
    ...next(granule),
    IGN_9_2: ignored(9, 2),
    /** With STE.S2HAFT; otherwise ignored. */
    AF: bit(10),
    IGN_11: ignored(11, 11),
  });
}

/** Descriptors of a granule: the table, and leaves by level. */
export interface Descriptors<T extends Layout<Fields>, L extends Layout<Fields>> {
  readonly table: T;
  /** Level 3 has pages, the levels above it blocks, if any. */
  readonly leaf: Readonly<Record<number, L>>;
}

function descriptors<T extends Layout<Fields>, L extends Layout<Fields>>(
  ofTable: (granule: Granule) => T,
  ofLeaf: (granule: Granule, level: number) => L,
): Readonly<Record<Granule, Descriptors<T, L>>> {
  const of = (granule: Granule): Descriptors<T, L> => {
    const levels = Object.keys(SHIFT[granule]).map(Number);
    return {
      table: ofTable(granule),
      leaf: Object.fromEntries(levels.map((level) => [level, ofLeaf(granule, level)])),
    };
  };
  return { 4: of(4), 16: of(16), 64: of(64) };
}

/** Stage 1 by granule, for example `STAGE1[4].leaf[3]`: a page of 4 KiB. */
export const STAGE1 = descriptors(stage1Table, stage1);
export const STAGE2 = descriptors(stage2Table, stage2);

/** The declaration of a descriptor, or null where it is not valid, or a block of a level that has none (which faults like one that is not valid). */
export function descriptorAt(
  of: Descriptors<Layout<Fields>, Layout<Fields>>,
  level: number,
  lowHalf: number,
): Layout<Fields> | null {
  if ((lowHalf & 1) === 0) return null;
  const isTableOrPage = (lowHalf & 2) !== 0;
  if (level < 3 && isTableOrPage) return of.table;
  return isTableOrPage === (level === 3) ? (of.leaf[level] ?? null) : null;
}
