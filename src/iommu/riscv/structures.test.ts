import { describe, expect, test } from 'vitest';
import { reservedOf } from '../../../test/declarations.ts';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, encode, encode64, get, reservedSet, toHalves } from '../../bits/index.ts';
import * as pages from './page-structures.ts';
import * as structures from './structures.ts';

testDeclarations({ structures, pages });

const {
  DC_BASE,
  DC_EXTENDED,
  DC_TA,
  DDI,
  DDTE,
  FSC,
  IOHGATP,
  IOSATP,
  MSI_ADDR_MASK,
  MSIPTP,
  PC,
  PC_TA,
  PDI,
  PDTE,
  TC,
} = structures;
const { GPTE, GPTE_32, GPTE_TABLE, GPTE_TABLE_32, MSI_PTE_BASIC, MSI_PTE_MRIF, PTE, PTE_32, PTE_TABLE, PTE_TABLE_32 } =
  pages;
const one = (n: number): [number, number] => [n, n];

describe("Linux's and QEMU's riscv-iommu-bits.h", () => {
  test('directories', () => {
    agrees(DDTE, { V: one(0), PPN: [53, 10] });
    agrees(PDTE, { V: one(0), PPN: [53, 10] });
  });

  test('device context', () => {
    const names = ['V', 'EN_ATS', 'EN_PRI', 'T2GPA', 'DTF', 'PDTV', 'PRPR', 'GADE', 'SADE', 'DPE', 'SBE', 'SXL'];
    agrees(TC, Object.fromEntries(names.map((name, n) => [name, one(n)])), ['custom']);
    agrees(IOHGATP, { PPN: [43, 0], GSCID: [59, 44], MODE: [63, 60] });
    agrees(DC_TA, { PSCID: [31, 12] }, ['RCID', 'MCID']);
    for (const pointer of [FSC, IOSATP, structures.PDTP, MSIPTP]) agrees(pointer, { PPN: [43, 0], MODE: [63, 60] });
    agrees(MSI_ADDR_MASK, { mask: [51, 0] });
    agrees(PC_TA, { V: one(0), ENS: one(1), SUM: one(2), PSCID: [31, 12] });
  });

  test('words of a context, in this order: tc, iohgatp, ta, fsc, msiptp, msi_addr_mask, msi_addr_pattern, reserved', () => {
    const parts = { tc_V: 1, iohgatp_MODE: 8, ta_PSCID: 1, fsc_MODE: 8 };
    expect(encode(DC_BASE, parts)).toEqual([1n, 8n << 60n, 1n << 12n, 8n << 60n]);
    const msi = { msiptp_MODE: 1, msi_addr_mask_mask: 0x3000n, msi_addr_pattern_pattern: 0x2800_0000n };
    expect(encode(DC_EXTENDED, { ...parts, ...msi }).slice(4)).toEqual([1n << 60n, 3n, 0x2_8000n, 0n]);
    expect(reservedOf(DC_EXTENDED) >> 448n).toBe((1n << 64n) - 1n);
    expect([DC_BASE.width / 8, DC_EXTENDED.width / 8, PC.width / 8]).toEqual([32, 64, 16]);
  });

  test('MSI entries', () => {
    agrees(MSI_PTE_BASIC, { V: one(0), PPN: [53, 10], C: one(63) }, ['IGN_95_64', 'IGN_127_96']);
    agrees(MSI_PTE_MRIF, {
      ...{ V: one(0), MRIF_Address: [53, 7], C: one(63), NID_9_0: [64 + 9, 64] },
      ...{ NPPN: [64 + 53, 64 + 10], NID_10: one(64 + 60) },
    });
    expect([MSI_PTE_BASIC.M.fixed, MSI_PTE_MRIF.M.fixed, MSI_PTE_MRIF.M.hi, MSI_PTE_MRIF.M.lo]).toEqual([3, 1, 2, 1]);
  });
});

/** riscv's pgtable-bits.h and pgtable-64.h. */
test("Linux's page-table entries", () => {
  const flags = { V: one(0), R: one(1), W: one(2), X: one(3), U: one(4), A: one(6), D: one(7) };
  const bits = { ...flags, RSW: [9, 8], PPN: [53, 10], PBMT: [62, 61], N: one(63) } as const;
  agrees(PTE, { ...bits, G: one(5) });
  agrees(GPTE, bits, ['IGN_5']);
  agrees(PTE_32, { ...flags, G: one(5), RSW: [9, 8], PPN: [31, 10] });
  agrees(GPTE_32, { ...flags, RSW: [9, 8], PPN: [31, 10] }, ['IGN_5']);
  for (const table of [PTE_TABLE_32, GPTE_TABLE_32]) expect(reservedOf(table)).toBe(0xd0n);
  expect(PTE.PBMT.values).toEqual({ 0: 'PMA', 1: 'NC', 2: 'IO' });
  for (const table of [PTE_TABLE, GPTE_TABLE]) {
    // U, A, D, PBMT, N and bits 60:54 are reserved where there is no leaf.
    expect(reservedOf(table)).toBe(0xffc0_0000_0000_00d0n);
  }
});

describe('values', () => {
  test('pages as Linux maps them: 4 KiB, for reading and writing, at 0x8765_4000; and a table', () => {
    expect(decode(PTE, 0x21d9_50d7n)).toMatchObject({
      ...{ V: 1, R: 1, W: 1, X: 0, U: 1, G: 0, A: 1, D: 1, PPN: 0x8765_4000n, PBMT: 0, N: 0 },
    });
    const table = encode64(PTE_TABLE, { V: 1, PPN: 0x8000_0000n });
    expect(table).toBe(0x2000_0001n);
    expect(reservedSet(PTE_TABLE, toHalves([table | (1n << 63n)]))).toBe(true);
  });

  test('64 KiB: N = 1, and PPN ends in 1000', () => {
    const { N, PPN } = decode(PTE, 0x8000_0000_2000_20d7n);
    expect([N, PPN]).toEqual([1, 0x8000_8000n]);
  });

  test("an identity context: Bare and Bare, which needs Linux's V, and a first stage of Sv57", () => {
    expect(decode(DC_BASE, 1n, 0n, 1n << 12n, 0n)).toMatchObject({
      tc_V: 1,
      iohgatp_MODE: 0,
      ta_PSCID: 1,
      fsc_MODE: 0,
    });
    const { fsc_MODE, fsc_PPN } = decode(DC_BASE, 1n, 0n, 2n << 12n, (10n << 60n) | 0x8_1234n);
    expect([IOSATP.MODE.values?.[fsc_MODE], fsc_PPN]).toEqual(['Sv57', 0x8123_4000n]);
  });

  test('a memory-resident interrupt file', () => {
    const file = { V: 1, MRIF_Address: 0x8000_0200n, NID_9_0: 0x155, NID_10: 1, NPPN: 0x2800_0000n };
    expect(encode(MSI_PTE_MRIF, file)).toEqual([0x2000_0083n, 0x1000_0000_0a00_0155n]);
  });
});

test('ids by directory level', () => {
  const split = (fields: readonly { hi: number; lo: number }[]) => fields.map(({ hi, lo }) => [hi, lo]);
  for (const [fields, top] of [
    [DDI.base, 23],
    [DDI.extended, 23],
    [PDI, 19],
  ] as const) {
    // Each level goes on where the one below it ends.
    let next = 0;
    for (const [hi, lo] of split(fields)) {
      expect(lo).toBe(next);
      next = hi + 1;
    }
    expect(next).toBe(top + 1);
  }
  // Contexts of a page: 128 of 32 bytes, 64 of 64; process contexts 256 of 16.
  expect([DDI.base[0], DDI.extended[0], PDI[0]].map(({ hi }) => 2 ** (hi + 1))).toEqual([
    4096 / (DC_BASE.width / 8),
    4096 / (DC_EXTENDED.width / 8),
    4096 / (PC.width / 8),
  ]);
  expect(DDI.base.map((field) => get(field, [0x12345]))).toEqual([0x45, 0x46, 1]);
});
