/** SMMUv3 6.3.1 – 6.3.8: each field of the ID registers where the specification has it, and which implementations there can be. */
import { describe, expect, test } from 'vitest';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, modelOnly } from './unit.ts';

type Key = 'idr0' | 'idr1' | 'idr3' | 'idr5' | 'iidr' | 'aidr';
const OFFSET: Readonly<Record<Key, number>> = { idr0: 0, idr1: 4, idr3: 0xc, idr5: 0x14, iidr: 0x18, aidr: 0x1c };

/** Register, field, its bits, values; what else has to be so. */
const FIELDS: [Key, string, number, number, number[], object?][] = [
  ['idr0', 'S2P', 0, 0, [0, 1], { VMID16: 0 }],
  ['idr0', 'S1P', 1, 1, [0, 1], { ASID16: 0, CD2L: 0, Hyp: 0 }],
  ['idr0', 'TTF', 3, 2, [2]],
  ['idr0', 'COHACC', 4, 4, [0, 1]],
  ['idr0', 'HTTU', 7, 6, [0, 1, 2]],
  ['idr0', 'DORMHINT', 8, 8, [0, 1]],
  ['idr0', 'Hyp', 9, 9, [0, 1]],
  ['idr0', 'ATS', 10, 10, [0, 1]],
  ['idr0', 'NS1ATS', 11, 11, [0, 1], { ATS: 1 }],
  ['idr0', 'ASID16', 12, 12, [0, 1]],
  ['idr0', 'MSI', 13, 13, [0, 1]],
  ['idr0', 'SEV', 14, 14, [0, 1]],
  ['idr0', 'PRI', 16, 16, [0, 1], { ATS: 1 }],
  ['idr0', 'VMW', 17, 17, [0, 1]],
  ['idr0', 'VMID16', 18, 18, [0, 1]],
  ['idr0', 'CD2L', 19, 19, [0, 1]],
  ['idr0', 'TTENDIAN', 22, 21, [0, 2, 3]],
  ['idr0', 'ATSRECERR', 23, 23, [0, 1]],
  ['idr0', 'STALL_MODEL', 25, 24, [0, 2]],
  ['idr0', 'TERM_MODEL', 26, 26, [0, 1]],
  ['idr0', 'ST_LEVEL', 28, 27, [0, 1]],
  ['idr1', 'SIDSIZE', 5, 0, [0, 1, 8, 31, 32]],
  ['idr1', 'SSIDSIZE', 10, 6, [0, 1, 19, 20]],
  ['idr1', 'PRIQS', 15, 11, [0, 1, 18, 19]],
  ['idr1', 'EVENTQS', 20, 16, [0, 1, 18, 19]],
  ['idr1', 'CMDQS', 25, 21, [0, 1, 18, 19]],
  ['idr1', 'ATTR_PERMS_OVR', 26, 26, [0, 1]],
  ['idr1', 'ATTR_TYPES_OVR', 27, 27, [0, 1]],
  ['idr3', 'HAD', 2, 2, [0, 1]],
  ['idr3', 'XNX', 4, 4, [0, 1]],
  ['idr3', 'PPS', 5, 5, [0, 1]],
  ['idr3', 'FWB', 8, 8, [0, 1]],
  ['idr3', 'STT', 9, 9, [0, 1]],
  ['idr3', 'RIL', 10, 10, [0, 1]],
  ['idr3', 'BBML', 12, 11, [0, 1, 2]],
  ['idr3', 'E0PD', 13, 13, [0, 1]],
  ['idr3', 'PTWNNC', 14, 14, [0, 1]],
  ['idr3', 'EPAN', 17, 17, [0, 1]],
  ['idr5', 'OAS', 2, 0, [0, 1, 2, 3, 4, 5, 6]],
  ['idr5', 'GRAN4K', 4, 4, [0, 1]],
  ['idr5', 'GRAN16K', 5, 5, [0, 1]],
  ['idr5', 'GRAN64K', 6, 6, [0, 1]],
  ['idr5', 'VAX', 11, 10, [0, 1]],
  ['idr5', 'STALL_MAX', 31, 16, [1, 2, 0x7fff, 0xffff]],
  ['iidr', 'Implementer', 11, 0, [0, 0x43b, 0xfff]],
  ['iidr', 'Revision', 15, 12, [0, 5, 15]],
  ['iidr', 'Variant', 19, 16, [0, 10, 15]],
  ['iidr', 'ProductID', 31, 20, [0, 0x483, 0xfff]],
  ['aidr', 'ArchMinorRev', 3, 0, [0, 1, 2, 3]],
];

const read = (options: BenchOptions, key: Key): bigint => new Bench(options).read(OFFSET[key], 4);
const bits = (value: bigint, hi: number, lo: number): number =>
  Number((value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n));

describe('6.3.1 – 6.3.8 fields', () => {
  test.each(FIELDS)('%s.%s is bits %i:%i', (key, name, hi, lo, values, more = {}) => {
    // A queue that a test does not use need not be small for the size of another one.
    const stalls = name === 'STALL_MAX' ? { stalls: 1 } : {};
    const of = (value: number) => read({ [key]: { ...more, [name]: value }, ...stalls } as BenchOptions, key);
    const others = ~(((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo));
    const first = of(values[0]);
    for (const value of values) {
      const got = of(value);
      expect(bits(got, hi, lo)).toBe(value);
      expect(got & others, 'nothing else changes').toBe(first & others);
    }
  });

  test('6.3.1 STALL_MODEL 1, with IDR5.STALL_MAX 0', () => {
    const options = { idr0: { STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } };
    expect([bits(read(options, 'idr0'), 25, 24), bits(read(options, 'idr5'), 31, 16)]).toEqual([1, 0]);
  });

  /** Reserved bits, and those of functions that this model has not (BTM, ATOS, …). */
  const zero: [Key, number, string][] = [
    ['idr0', 0xe010_8020, 'BTM, ATOS, VATOS, RME_IMPL and 31, 29'],
    ['idr1', 0xf000_0000, 'REL, QUEUES_PRESET, TABLES_PRESET, ECMDQ'],
    ['idr3', 0xfffd_808b, 'PBHA, MPAM, DPT and later ones'],
    ['idr5', 0x0000_f388, 'DS, D128 and 3, 9, 15:12'],
    ['aidr', 0xffff_ff00, '31:8'],
  ];
  test.each(titled(zero, (key, mask, what) => `${key}: ${hex(mask)} is zero: ${what}`))('%s', (_, key, mask) => {
    const all = { idr0: { ATS: 1, PRI: 1, NS1ATS: 1 } } as BenchOptions;
    expect(read(all, key) & BigInt(mask)).toBe(0n);
  });

  test.each([
    ['IDR2', 0x8],
    ['IDR4', 0x10],
    ['STATUSR', 0x40],
  ])('%s is zero', (_, offset) => {
    expect(new Bench().read(offset, 4)).toBe(0n);
  });
});

describe('6.3.1 – 6.3.6 implementations that there are not', () => {
  const cases: [string, BenchOptions, string][] = [
    ['neither stage', { idr0: { S1P: 0, S2P: 0, ASID16: 0, VMID16: 0, CD2L: 0, Hyp: 0 } }, 'S1P 0 with S2P 0'],
    ['no format of tables', { idr0: { TTF: 0 } }, 'TTF 0'],
    ['TTENDIAN 1', { idr0: { TTENDIAN: 1 } }, 'TTENDIAN 1'],
    ['STALL_MODEL 3', { idr0: { STALL_MODEL: 3 } }, 'STALL_MODEL 3'],
    ['ST_LEVEL 2', { idr0: { ST_LEVEL: 2 } }, 'ST_LEVEL 2'],
    ['ST_LEVEL 3', { idr0: { ST_LEVEL: 3 } }, 'ST_LEVEL 3'],
    ['PRI without ATS', { idr0: { PRI: 1 } }, 'PRI without ATS'],
    ['NS1ATS without ATS', { idr0: { NS1ATS: 1 } }, 'NS1ATS without'],
    ['NS1ATS without stage 2', { idr0: { NS1ATS: 1, ATS: 1, S2P: 0, VMID16: 0 } }, 'NS1ATS without'],
    ['ASID16 without stage 1', { idr0: { S1P: 0, CD2L: 0, Hyp: 0 } }, 'ASID16 without'],
    ['VMID16 without stage 2', { idr0: { S2P: 0 } }, 'VMID16 without'],
    ['CD2L without stage 1', { idr0: { S1P: 0, ASID16: 0, Hyp: 0 } }, 'CD2L without'],
    ['Hyp without stage 1', { idr0: { S1P: 0, ASID16: 0, CD2L: 0 } }, 'Hyp without'],
    ['a StreamID of 33 bits', { idr1: { SIDSIZE: 33 } }, 'SIDSIZE 33'],
    ['a SubstreamID of 21 bits', { idr1: { SSIDSIZE: 21 } }, 'SSIDSIZE 21'],
    ['2^20 commands', { idr1: { CMDQS: 20 } }, 'CMDQS 20'],
    ['2^20 events', { idr1: { EVENTQS: 20 } }, 'EVENTQS 20'],
    ['2^20 page requests', { idr1: { PRIQS: 20 } }, 'PRIQS 20'],
    ['BBML 3', { idr3: { BBML: 3 } }, 'BBML 3'],
    ['no granule', { idr5: { GRAN4K: 0, GRAN16K: 0, GRAN64K: 0 } }, 'no granule'],
    ['VAX 2 without D128', { idr5: { VAX: 2 } }, 'VAX 2'],
    ['VAX 1 without 64 KiB and without DS', { idr5: { VAX: 1, GRAN64K: 0 } }, 'VAX 1'],
    ['an OAS of 52 bits without 64 KiB and without DS', { idr5: { OAS: 6, GRAN64K: 0 } }, 'OAS 6'],
    ['an OAS of 52 bits in SMMUv3.0', { idr5: { OAS: 6 }, aidr: { ArchMinorRev: 0 } }, 'OAS 6'],
    ['VAX 1 in SMMUv3.0', { idr5: { VAX: 1 }, aidr: { ArchMinorRev: 0 } }, 'VAX 1'],
    ['an OAS of 56 bits without D128', { idr5: { OAS: 7 } }, 'OAS 7'],
    ['stalls that there are not', { idr0: { STALL_MODEL: 1 } }, 'STALL_MAX with'],
    ['no place for stalls', { idr5: { STALL_MAX: 0 } }, 'STALL_MAX 0 with'],
  ];
  test.each(cases)('%s is refused', (_, options, why) => {
    modelOnly('what no SMMU can be');
    expect(() => new Bench(options)).toThrow(why);
  });
});
