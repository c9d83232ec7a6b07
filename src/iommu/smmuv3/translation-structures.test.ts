import { describe, expect, test } from 'vitest';
import { reservedOf } from '../../../test/declarations.ts';
import type { SecondSource } from '../../../test/second-source.ts';
import { agrees, testDeclarations } from '../../../test/second-source.ts';
import { decode, low, reservedSet, toHalves } from '../../bits/index.ts';
import type { Granule } from './translation-structures.ts';
import { descriptorAt, STAGE1, STAGE2 } from './translation-structures.ts';

testDeclarations(STAGE1);
testDeclarations(STAGE2);

/** A reader's notes on descriptors of 4 KiB granules (sys.shrik3.com), with Linux's names of the bits where it has them. */
describe('a second source', () => {
  const upper: SecondSource = {
    DBM: [51, 51],
    Contiguous: [52, 52],
    IGN_58_55: [58, 55],
    PBHA: [62, 59],
  };
  const attributes1: SecondSource = {
    ...{ AttrIndx: [4, 2], NS: [5, 5], AP: [7, 6], SH: [9, 8], AF: [10, 10], nG: [11, 11], ...upper },
    ...{ PXN: [53, 53], UXN: [54, 54], IGN_63: [63, 63] },
  };
  const attributes2 = { MemAttr: [5, 2], S2AP: [7, 6], SH: [9, 8], AF: [10, 10], ...upper, XN: [54, 53] } as const;

  test.each([
    [1, 30],
    [2, 21],
    [3, 12],
  ])('leaves of level %i, 4 KiB granule', (level, lo) => {
    const where = { ADDR: [47, lo], ...(level === 3 ? {} : { nT: [16, 16] as const }) } as const;
    agrees(STAGE1[4].leaf[level], { ...attributes1, ...where }, ['GP']);
    agrees(STAGE2[4].leaf[level], { ...attributes2, ...where }, ['FnXS']);
  });

  test('tables; bits 11:2 are ignored there, AF came later', () => {
    const address = { ADDR: [47, 12], IGN_58_51: [58, 51] } as const;
    const rights = { PXNTable: [59, 59], UXNTable: [60, 60], APTable: [62, 61], NSTable: [63, 63] } as const;
    agrees(STAGE1[4].table, { ...address, ...rights }, ['IGN_9_2', 'AF', 'IGN_11']);
    agrees(STAGE2[4].table, address, ['IGN_9_2', 'AF', 'IGN_11']);
  });
});

/** DDI 0487, tables D8-52 and D8-53: which bits between the attributes are RES0. */
test.each<[Granule, number, (readonly [number, number])[]]>([
  [
    4,
    1,
    [
      [29, 17],
      [15, 12],
    ],
  ],
  [
    4,
    2,
    [
      [20, 17],
      [15, 12],
    ],
  ],
  [4, 3, []],
  [
    16,
    2,
    [
      [24, 17],
      [15, 12],
    ],
  ],
  [16, 3, [[13, 12]]],
  [64, 1, [[41, 17]]],
  [64, 2, [[28, 17]]],
  [64, 3, []],
])('%i KiB granule, level %i: reserved bits', (granule, level, ranges) => {
  // Bits 49:48 in every one, bit 63 and 50 in stage 2.
  const expected = (...all: (readonly [number, number])[]) =>
    all.reduce((sum, [hi, lo]) => sum | ((2n ** BigInt(hi + 1) - 1n) ^ (2n ** BigInt(lo) - 1n)), 0n);
  expect(reservedOf(STAGE1[granule].leaf[level])).toBe(expected([49, 48], ...ranges));
  expect(reservedOf(STAGE2[granule].leaf[level])).toBe(expected([63, 63], [50, 48], ...ranges));
  const inTable: [number, number][] = granule === 16 ? [[13, 12]] : [];
  expect(reservedOf(STAGE1[granule].table)).toBe(expected([50, 48], ...inTable));
  expect(reservedOf(STAGE2[granule].table)).toBe(expected([63, 59], [50, 48], ...inTable));
});

test("pages and blocks are those of Linux's drivers (io-pgtable-arm), by granule", () => {
  const names = (granule: Granule) => Object.values(STAGE1[granule].leaf).map(({ name }) => name.split(' of ')[1]);
  expect([names(4), names(16), names(64)]).toEqual([
    ['1 GiB', '2 MiB', '4 KiB'],
    ['32 MiB', '16 KiB'],
    ['4 TiB', '512 MiB', '64 KiB'],
  ]);
});

describe('descriptors that Linux printed when it crashed (the same format for processors)', () => {
  /** A level, and what the log says of the descriptor, or what its user must have. */
  test.each([
    ['not cacheable, "using MAIR index 3"', 4, 0x00e8_0023_6d62_270fn, { ADDR: 0x23_6d62_2000n, AttrIndx: 3, AP: 0 }],
    [
      'of a user',
      4,
      0x00e8_0000_0b9b_af43n,
      { ADDR: 0x0b9b_a000n, AP: 1, SH: 3, AF: 1, nG: 1, UXN: 1, PXN: 1, DBM: 1 },
    ],
    ['of 64 KiB, pte_pfn 8023a', 64, 0x00e8_0008_023a_0f53n, { ADDR: 0x8_023a_0000n, OA_51_48: 0, AttrIndx: 4, AP: 1 }],
  ] as const)('a page %s', (_, granule, word, fields) => {
    const of = descriptorAt(STAGE1[granule], 3, low(word));
    expect(of).toBe(STAGE1[granule].leaf[3]);
    expect(decode(STAGE1[granule].leaf[3], word)).toMatchObject(fields);
    expect(reservedSet(STAGE1[granule].leaf[3], toHalves([word]))).toBe(false);
  });

  test('a block of 2 MiB, and one that is not valid', () => {
    expect(descriptorAt(STAGE1[4], 2, 0xd000_0705)).toBe(STAGE1[4].leaf[2]);
    expect(decode(STAGE1[4].leaf[2], 0x00e8_0000_d000_0705n)).toMatchObject({ ADDR: 0xd000_0000n, AttrIndx: 1, nT: 0 });
    expect(descriptorAt(STAGE1[4], 2, 0x9960_0704)).toBeNull();
  });

  test('tables: PXNTable alone, UXNTable alone, both', () => {
    const rights = (word: bigint) => {
      expect(descriptorAt(STAGE1[4], 1, low(word))).toBe(STAGE1[4].table);
      expect(reservedSet(STAGE1[4].table, toHalves([word]))).toBe(false);
      const { ADDR, PXNTable, UXNTable } = decode(STAGE1[4].table, word);
      return [ADDR, PXNTable, UXNTable];
    };
    expect(rights(0x0800_0000_01a7_b003n)).toEqual([0x01a7_b000n, 1, 0]);
    expect(rights(0x1000_0001_084d_d403n)).toEqual([0x1_084d_d000n, 0, 1]);
    expect(rights(0x1800_0000_9fff_e403n)).toEqual([0x9fff_e000n, 1, 1]);
  });
});

test('what a level has no block for is no descriptor', () => {
  expect(descriptorAt(STAGE1[4], 0, 1)).toBeNull();
  expect(descriptorAt(STAGE1[16], 1, 1)).toBeNull();
  expect(descriptorAt(STAGE2[4], 3, 1)).toBeNull();
  expect(descriptorAt(STAGE2[64], 1, 1)).toBe(STAGE2[64].leaf[1]);
  expect(descriptorAt(STAGE2[64], 0, 3)).toBe(STAGE2[64].table);
});
