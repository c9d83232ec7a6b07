/** SMMUv3 6.2: accesses to registers: their sizes, where nothing is, reserved bits, and what is Guarded. */
import { describe, expect, test } from 'vitest';
import type { Options } from './interface-bench.ts';
import { CMDQEN, EVENTQEN, InterfaceBench, PRIQEN, REG, SMMUEN } from './interface-bench.ts';

const ALL = 0xffffffff;
const PRI = { idr0: { ATS: 1, PRI: 1 } };

describe('access', () => {
  test('6.2 a 64-bit register is read and written whole, or in halves', () => {
    const bench = new InterfaceBench();
    bench.write64(REG.STRTAB_BASE, 0x4000_1234_5678_9fc0n);
    expect(bench.read64(REG.STRTAB_BASE)).toBe(0x4000_1234_5678_9fc0n & 0x40ff_ffff_ffff_ffc0n);
    bench.write32(REG.STRTAB_BASE + 4, 0x00ab_cdef);
    expect(bench.read64(REG.STRTAB_BASE)).toBe(0x00ab_cdef_5678_9fc0n);
    bench.write32(REG.STRTAB_BASE, 0);
    expect(bench.read64(REG.STRTAB_BASE)).toBe(0x00ab_cdef_0000_0000n);
  });

  test.each([
    [0, 1],
    [0, 2],
    [2, 4],
    [4, 8],
    [0, 3],
  ])('6.2 an access at STRTAB_BASE + %i of %i bytes reads as zero and writes nothing', (more, size) => {
    const bench = new InterfaceBench();
    bench.write64(REG.STRTAB_BASE, 0x1234_5678_9fc0n);
    expect(bench.driver.read(REG.STRTAB_BASE + more, size)).toBe(0n);
    bench.driver.write(REG.STRTAB_BASE + more, size, (1n << 64n) - 1n);
    expect(bench.read64(REG.STRTAB_BASE)).toBe(0x1234_5678_9fc0n);
  });

  test('6.2 a read of 8 bytes of two registers of 32 bits finds both', () => {
    const bench = new InterfaceBench();
    expect(bench.read64(REG.IDR0)).toBe((BigInt(bench.read32(REG.IDR1)) << 32n) | BigInt(bench.read32(REG.IDR0)));
  });

  const isZero = (...offsets: number[]) => {
    const bench = new InterfaceBench();
    for (const offset of offsets) {
      bench.write32(offset, ALL);
      expect(bench.read32(offset), `0x${offset.toString(16)}`).toBe(0);
    }
  };

  test('6.2.1 what is not defined is RES0', () => {
    isZero(0x30, 0x34, 0x38, 0x4c, 0x58, 0x5c, 0x78, 0x8c, 0xe0, 0xfc, 0x100, 0x8000, 0xfffc);
  });

  test('6.2.1 identification registers, of which there are none', () => {
    isZero(0xfd0, 0xfe0, 0xff0, 0xffc);
  });

  test('6.2 what is not defined of page 1 is RES0, or that of page 0', () => {
    isZero(0x10000, 0x10020, 0x100a0, 0x100b0, 0x1fffc);
  });

  test('beyond the registers there is nothing', () => {
    isZero(0x20000, 0x7ffffffc);
  });

  test('6.2.2 the registers of page 1 are at the same offsets of page 0, too', () => {
    const values = [
      [REG.EVENTQ_PROD, 0x80000003, {}],
      [REG.EVENTQ_CONS, 0x80000005, {}],
      [REG.PRIQ_PROD, 0x80000007, PRI],
      [REG.PRIQ_CONS, 0x80000009, PRI],
    ] as const;
    for (const [offset, value, options] of values) {
      const bench = new InterfaceBench(options);
      for (const base of [REG.EVENTQ_BASE, REG.PRIQ_BASE]) bench.write64(base, 4n);
      bench.write32(offset, value);
      expect(bench.read32(offset - 0x10000)).toBe(value);
      bench.write32(offset - 0x10000, 1);
      expect(bench.read32(offset)).toBe(1);
    }
  });

  const keep: [keyof typeof REG, number, Options?][] = [
    ['CR1', 0xfff],
    ['CR2', 0x3, { idr0: { Hyp: 1 } }],
    ['STRTAB_BASE_CFG', 0x3ffff & ~0xf800],
    ['CMDQ_PROD', 0xfffff],
    ['EVENTQ_PROD', 0x800fffff],
    ['EVENTQ_CONS', 0x800fffff],
    ['PRIQ_PROD', 0x800fffff, PRI],
    ['PRIQ_CONS', 0x800fffff, PRI],
    ['GERROR_IRQ_CFG1', ALL, { idr0: { MSI: 1 } }],
    ['GERROR_IRQ_CFG2', 0x3f, { idr0: { MSI: 1 } }],
    ['PRIQ_IRQ_CFG2', 0x8000003f, PRI],
  ];
  test.each(keep)('6.3: reserved bits of %s read as zero', (name, mask, options) => {
    const bench = new InterfaceBench(options);
    // Of the largest queue every bit of an index counts.
    for (const base of [REG.EVENTQ_BASE, REG.PRIQ_BASE]) bench.write64(base, 19n);
    bench.write32(REG[name], ALL);
    expect(bench.read32(REG[name])).toBe(mask >>> 0);
  });

  const keep64: [keyof typeof REG, bigint, Options?][] = [
    ['CMDQ_BASE', 0x40ff_ffff_ffff_ffffn],
    ['EVENTQ_BASE', 0x40ff_ffff_ffff_ffffn],
    ['PRIQ_BASE', 0x40ff_ffff_ffff_ffffn, PRI],
    ['GERROR_IRQ_CFG0', 0x00ff_ffff_ffff_fffcn, { idr0: { MSI: 1 } }],
  ];
  test.each(keep64)('6.3: reserved bits of %s read as zero', (name, mask, options) => {
    const bench = new InterfaceBench(options);
    bench.write64(REG[name], (1n << 64n) - 1n);
    expect(bench.read64(REG[name])).toBe(mask);
  });
});

describe('6.2 Guarded registers keep their value', () => {
  const cases: [string, number, number[], Options][] = [
    ['SMMUEN', SMMUEN, [REG.CR2, REG.STRTAB_BASE, REG.STRTAB_BASE + 4, REG.STRTAB_BASE_CFG], {}],
    ['CMDQEN', CMDQEN, [REG.CMDQ_BASE, REG.CMDQ_BASE + 4, REG.CMDQ_CONS], {}],
    ['EVENTQEN', EVENTQEN, [REG.EVENTQ_BASE, REG.EVENTQ_BASE + 4, REG.EVENTQ_PROD], {}],
    ['PRIQEN', PRIQEN, [REG.PRIQ_BASE, REG.PRIQ_BASE + 4, REG.PRIQ_PROD], PRI],
  ];
  test.each(cases)('by CR0.%s, while it is set', (_, enable, offsets, options) => {
    for (const offset of offsets) {
      const bench = new InterfaceBench(options);
      bench.write32(offset, 0);
      bench.write32(REG.CR0, enable);
      bench.write32(offset, 0x40);
      expect(bench.read32(offset), `0x${offset.toString(16)}`).toBe(0);
    }
  });

  test.each(cases)('by CR0.%s, while it is set and while it is Updated', (_, enable, offsets, options) => {
    const bench = new InterfaceBench(options);
    const write = (value: number) =>
      offsets.map((offset) => {
        bench.unit.write(offset, 4, value, 0);
        return bench.read32(offset);
      });
    const zeroes = write(0);
    // Enough of each register that it is another value, and no queue is anything but empty.
    const ones = offsets.map((offset) =>
      [REG.CMDQ_CONS, REG.EVENTQ_PROD, REG.PRIQ_PROD].includes(offset as never)
        ? 0
        : write(ALL)[offsets.indexOf(offset)],
    );
    write(0);
    bench.settles = false;
    bench.write32(REG.CR0, enable);
    expect(write(ALL), 'written and not acknowledged').toEqual(zeroes);
    bench.unit.settle();
    expect(write(ALL), 'enabled').toEqual(zeroes);
    bench.write32(REG.CR0, 0);
    expect(write(ALL), 'cleared and not acknowledged').toEqual(zeroes);
    bench.unit.settle();
    const after = write(ALL);
    for (const [i, one] of ones.entries()) if (one !== 0) expect(after[i]).toBe(one);
    expect(after).not.toEqual(zeroes);
  });

  test('CMDQ_PROD, EVENTQ_CONS and PRIQ_CONS are software’s while their queues are enabled', () => {
    const of = (options: Options, offset: number) => {
      const bench = new InterfaceBench(options).start();
      bench.write32(offset, 0x80000000);
      return bench.read32(offset);
    };
    expect(of({}, REG.EVENTQ_CONS)).toBe(0x80000000);
    expect(of(PRI, REG.PRIQ_CONS)).toBe(0x80000000);
  });

  test('6.3.11 CR1: TABLE_* by SMMUEN, QUEUE_* by any queue', () => {
    const bench = new InterfaceBench();
    bench.write32(REG.CR0, SMMUEN);
    bench.write32(REG.CR1, ALL);
    expect(bench.read32(REG.CR1)).toBe(0x3f);
    bench.write32(REG.CR0, EVENTQEN);
    bench.write32(REG.CR1, 0xfc0);
    expect(bench.read32(REG.CR1)).toBe(0xfff);
    bench.write32(REG.CR0, 0);
    bench.write32(REG.CR1, 0);
    expect(bench.read32(REG.CR1)).toBe(0);
  });

  test('6.3.21 *_IRQ_CFG* by IRQ_CTRL', () => {
    const bench = new InterfaceBench({ idr0: { MSI: 1, ATS: 1, PRI: 1 } });
    const groups = [
      [1, REG.GERROR_IRQ_CFG0],
      [2, REG.PRIQ_IRQ_CFG0],
      [4, REG.EVENTQ_IRQ_CFG0],
    ] as const;
    for (const [enable, first] of groups) {
      bench.write32(REG.IRQ_CTRL, enable);
      for (const offset of [0, 4, 8, 12]) bench.write32(first + offset, ALL);
      expect([0, 4, 8, 12].map((offset) => bench.read32(first + offset))).toEqual([0, 0, 0, 0]);
      bench.write32(REG.IRQ_CTRL, 0);
      bench.write32(first + 8, 0x1234);
      expect(bench.read32(first + 8)).toBe(0x1234);
    }
  });
});
