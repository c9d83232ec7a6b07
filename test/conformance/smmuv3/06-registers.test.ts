/** SMMUv3 chapter 6: registers. */
import { describe, expect, test } from 'vitest';
import type { Options } from './interface-bench.ts';
import { CMDQ, CMDQEN, EVENTQEN, InterfaceBench, modelOnly, PRIQEN, REG, SMMUEN } from './interface-bench.ts';

const ALL = 0xffffffff;
const PRI = { idr0: { ATS: 1, PRI: 1 } };

describe('identification', () => {
  test.each([
    ['ASID16, without stage 1', { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0 }, 1 << 12],
    ['VMID16, without stage 2', { S2P: 0, VMID16: 0 }, 1 << 18],
  ])('6.3.1 IDR0.%s, is RES0', (_, idr0, mask) => {
    expect(new InterfaceBench({ idr0 }).read32(REG.IDR0) & mask).toBe(0);
  });

  test('6.3.1 IDR0: each field where the specification has it', () => {
    const idr0 = { S2P: 1, S1P: 0, TTF: 2, COHACC: 0, HTTU: 1, Hyp: 0, ATS: 1, ASID16: 0, MSI: 0, SEV: 0, PRI: 1 };
    const more = { VMW: 0, VMID16: 1, CD2L: 0, TTENDIAN: 2, ATSRECERR: 1, STALL_MODEL: 2, TERM_MODEL: 1, ST_LEVEL: 1 };
    const want =
      1 |
      (2 << 2) |
      (1 << 6) |
      (1 << 10) |
      (1 << 16) |
      (1 << 18) |
      (2 << 21) |
      (1 << 23) |
      (2 << 24) |
      (1 << 26) |
      (1 << 27);
    expect(new InterfaceBench({ idr0: { ...idr0, ...more } }).read32(REG.IDR0)).toBe(want >>> 0);
  });

  test('6.3.2, 6.3.4, 6.3.6 – 6.3.8 IDR1, IDR3, IDR5, IIDR, AIDR', () => {
    const bench = new InterfaceBench({
      idr1: { SIDSIZE: 9, SSIDSIZE: 3, PRIQS: 7, EVENTQS: 8, CMDQS: 10 },
      idr3: { HAD: 0, XNX: 1, STT: 0, RIL: 1, BBML: 1 },
      idr5: { OAS: 4, GRAN4K: 0, GRAN16K: 1, GRAN64K: 1, VAX: 1, STALL_MAX: 0x123 },
      iidr: { Implementer: 0x43b, Revision: 1, Variant: 2, ProductID: 0x483 },
      aidr: { ArchMinorRev: 3 },
    });
    expect(bench.read32(REG.IDR1)).toBe(9 | (3 << 6) | (7 << 11) | (8 << 16) | (10 << 21));
    expect(bench.read32(REG.IDR3)).toBe((1 << 4) | (1 << 10) | (1 << 11));
    expect(bench.read32(REG.IDR5)).toBe(4 | (1 << 5) | (1 << 6) | (1 << 10) | (0x123 << 16));
    expect(bench.read32(REG.IIDR)).toBe(0x43b | (1 << 12) | (2 << 16) | (0x483 << 20));
    expect([bench.read32(REG.AIDR), bench.read32(REG.IDR2), bench.read32(REG.IDR4)]).toEqual([3, 0, 0]);
  });

  test.each([
    'IDR0',
    'IDR1',
    'IDR2',
    'IDR3',
    'IDR4',
    'IDR5',
    'IIDR',
    'AIDR',
    'CR0ACK',
    'STATUSR',
    'IRQ_CTRLACK',
    'GERROR',
  ] as const)('6.2 %s is read-only', (name) => {
    const bench = new InterfaceBench();
    const before = bench.read32(REG[name]);
    bench.write32(REG[name], ALL);
    bench.write32(REG[name], 0);
    bench.write32(REG[name], 0x5a5a5a5a);
    expect(bench.read32(REG[name])).toBe(before);
  });

  test.each([
    [{ idr0: { S1P: 0, S2P: 0, ASID16: 0, VMID16: 0, CD2L: 0, Hyp: 0 } }, 'S1P 0 with S2P 0'],
    [{ idr0: { PRI: 1 } }, 'PRI without ATS'],
    [{ idr0: { STALL_MODEL: 3 } }, 'STALL_MODEL 3'],
    [{ idr0: { STALL_MODEL: 1 } }, 'STALL_MAX with'],
    [{ idr5: { STALL_MAX: 0 } }, 'STALL_MAX 0 with'],
    [{ idr1: { SIDSIZE: 33 } }, 'a StreamID has 32 bits'],
    [{ idr1: { CMDQS: 20 } }, '19 at most'],
    [{ idr5: { GRAN4K: 0, GRAN16K: 0, GRAN64K: 0 } }, 'no granule'],
    [{ idr3: { MPAM: 1 } }, 'IDR3.MPAM is not modelled'],
    [{ idr0: { TTF: 3 } }, 'VMSAv8-32'],
  ])('6.3.1 – 6.3.6: %j is refused', (options, why) => {
    modelOnly('what no SMMU can be');
    expect(() => new InterfaceBench(options)).toThrow(why);
  });
});

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

describe('what an SMMU has not is RES0', () => {
  test('6.3.9 CR0: VMW, ATSCHK, PRIQEN, DPT_WALK_EN', () => {
    const bench = new InterfaceBench({ idr0: { VMW: 0, ATS: 0, PRI: 0 } });
    bench.write32(REG.CR0, 0x7fe);
    expect([bench.read32(REG.CR0), bench.read32(REG.CR0ACK)]).toEqual([EVENTQEN | CMDQEN, EVENTQEN | CMDQEN]);
  });

  test('6.3.9 CR0 of an SMMU that has them', () => {
    const full = new InterfaceBench({ idr0: { VMW: 1, ATS: 1, PRI: 1 } });
    full.write32(REG.CR0, 0xfffffffe);
    expect(full.read32(REG.CR0ACK)).toBe(0x1de);
  });

  test('6.3.12 CR2: E2H, PTM, REC_CFG_ATS', () => {
    const bench = new InterfaceBench({ idr0: { Hyp: 0 } });
    bench.write32(REG.CR2, ALL);
    expect(bench.read32(REG.CR2)).toBe(2);
    const full = new InterfaceBench({ idr0: { ATS: 1, ATSRECERR: 1 } });
    full.write32(REG.CR2, ALL);
    expect(full.read32(REG.CR2)).toBe(0xb);
  });

  test('6.3.16, 6.3.20 IRQ_CTRL and GERRORN without PRI and without MSI', () => {
    const bench = new InterfaceBench({ idr0: { MSI: 0, PRI: 0 } });
    bench.write32(REG.IRQ_CTRL, ALL);
    expect([bench.read32(REG.IRQ_CTRL), bench.read32(REG.IRQ_CTRLACK)]).toEqual([5, 5]);
    bench.write32(REG.GERRORN, ALL);
    expect(bench.read32(REG.GERRORN)).toBe(0x105);
    const full = new InterfaceBench({ idr0: { ATS: 1, PRI: 1 } });
    full.write32(REG.IRQ_CTRL, ALL);
    full.write32(REG.GERRORN, ALL);
    expect([full.read32(REG.IRQ_CTRLACK), full.read32(REG.GERRORN)]).toEqual([7, 0x1fd]);
  });

  test('6.3.21 – 6.3.36 MSI registers without MSI, page request registers without PRI', () => {
    const of = (options: Options, ...names: (keyof typeof REG)[]) => {
      const bench = new InterfaceBench(options);
      return names.map((name) => {
        bench.write32(REG[name], ALL);
        return bench.read32(REG[name]);
      });
    };
    const [without, both] = [{ idr0: { MSI: 0 } }, { idr0: { MSI: 0, ATS: 1, PRI: 1 } }];
    expect(of({ idr0: { PRI: 0 } }, 'PRIQ_BASE', 'PRIQ_PROD', 'PRIQ_CONS')).toEqual([0, 0, 0]);
    expect(of({ idr0: { PRI: 0 } }, 'PRIQ_IRQ_CFG0', 'PRIQ_IRQ_CFG2')).toEqual([0, 0]);
    const wired = of(without, 'GERROR_IRQ_CFG0', 'GERROR_IRQ_CFG1', 'EVENTQ_IRQ_CFG0', 'EVENTQ_IRQ_CFG2');
    expect(wired).toEqual([0, 0, 0, 0]);
    expect(of(both, 'PRIQ_IRQ_CFG0', 'PRIQ_IRQ_CFG2')).toEqual([0, 0]);
  });

  test('6.3.25 STRTAB_BASE_CFG.FMT and SPLIT without two-level tables', () => {
    const bench = new InterfaceBench({ idr0: { ST_LEVEL: 0 } });
    bench.write32(REG.STRTAB_BASE_CFG, ALL);
    expect(bench.read32(REG.STRTAB_BASE_CFG)).toBe(0x3f);
  });
});

describe('6.3.9 CR0 and CR0ACK', () => {
  test('a field is written at once, and acknowledged by a step of its own', () => {
    const bench = new InterfaceBench();
    bench.settles = false;
    bench.write32(REG.CR0, SMMUEN | CMDQEN | EVENTQEN);
    expect([bench.read32(REG.CR0), bench.read32(REG.CR0ACK), bench.core.enabled]).toEqual([0xd, 0, false]);
    const [control] = bench.unit.agents;
    const seen = new Set<number>();
    for (let left = 3; left > 0; left--) {
      expect(control.choices()).toBe(left);
      control.step(left - 1);
      seen.add(bench.read32(REG.CR0ACK));
    }
    expect([...seen]).toEqual([SMMUEN, SMMUEN | EVENTQEN, SMMUEN | EVENTQEN | CMDQEN]);
    expect([control.choices(), bench.core.enabled]).toEqual([0, true]);
  });

  test('a field whose Update is under way keeps its first value; others are free', () => {
    const bench = new InterfaceBench();
    bench.settles = false;
    bench.write32(REG.CR0, CMDQEN);
    bench.write32(REG.CR0, EVENTQEN);
    expect(bench.read32(REG.CR0)).toBe(CMDQEN | EVENTQEN);
    bench.unit.settle();
    expect(bench.read32(REG.CR0ACK)).toBe(CMDQEN | EVENTQEN);
    bench.write32(REG.CR0, 0);
    bench.unit.settle();
    expect(bench.read32(REG.CR0ACK)).toBe(0);
  });

  test('6.3.9.5 the effective PRIQEN is 0 while SMMUEN is, and CR0ACK says what was written', () => {
    const bench = new InterfaceBench({ idr0: { ATS: 1, PRI: 1 } });
    bench.write32(REG.CR0, PRIQEN);
    expect([bench.read32(REG.CR0ACK), bench.core.takesPageRequests]).toEqual([PRIQEN, false]);
    bench.write32(REG.CR0, PRIQEN | SMMUEN);
    expect(bench.core.takesPageRequests).toBe(true);
  });

  test('VMW: low bits of VMIDs that invalidations ignore; reserved values behave as 0', () => {
    const masks = [0xffff, 0xfffe, 0xfffc, 0xfff8, 0xfff0, 0xffff, 0xffff, 0xffff];
    for (const [vmw, mask] of masks.entries()) {
      const bench = new InterfaceBench();
      bench.write32(REG.CR0, vmw << 6);
      expect(bench.core.vmidMask).toBe(mask);
    }
    expect(new InterfaceBench({ idr0: { VMID16: 0 } }).core.vmidMask).toBe(0xff);
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

describe('6.3.14 GBPA', () => {
  const ABORT = 0x0010_0000;

  test('says whether transactions pass while SMMUEN is 0', () => {
    const bench = new InterfaceBench();
    expect(bench.passes(3)).toBe(true);
    bench.write32(REG.GBPA, 0x8000_0000 | ABORT);
    expect([bench.read32(REG.GBPA), bench.passes(3)]).toEqual([ABORT, false]);
    bench.write32(REG.GBPA, 0x8000_0000);
    expect([bench.read32(REG.GBPA), bench.passes(3)]).toEqual([0, true]);
  });

  test('without Update a write is ignored', () => {
    const bench = new InterfaceBench();
    const before = bench.read32(REG.GBPA);
    bench.write32(REG.GBPA, before ^ ABORT);
    expect([bench.read32(REG.GBPA), bench.passes(3)]).toEqual([before, true]);
  });

  test('reserved bits read as zero', () => {
    const bench = new InterfaceBench();
    bench.write32(REG.GBPA, ALL);
    expect(bench.read32(REG.GBPA)).toBe(0x001f_3f1f);
  });

  test('is written with Update, which stays until the value is in effect', () => {
    const bench = new InterfaceBench();
    expect([bench.read32(REG.GBPA), bench.core.aborts]).toEqual([0x1000, false]);
    bench.settles = false;
    bench.write32(REG.GBPA, 0x8010_0000);
    expect([bench.read32(REG.GBPA), bench.core.aborts]).toEqual([0x8010_0000, false]);
    bench.unit.settle();
    expect([bench.read32(REG.GBPA), bench.core.aborts]).toEqual([0x0010_0000, true]);
  });

  test('a write is ignored while an Update is under way', () => {
    const bench = new InterfaceBench();
    bench.settles = false;
    bench.write32(REG.GBPA, 0x8010_0000);
    bench.write32(REG.GBPA, 0x8000_0000);
    bench.unit.settle();
    expect([bench.read32(REG.GBPA), bench.core.aborts]).toEqual([0x0010_0000, true]);
  });

  test('an implementation may reset ABORT to 1', () => {
    const bench = new InterfaceBench({ abortsAtReset: true });
    expect([bench.read32(REG.GBPA) & ABORT, bench.core.aborts]).toEqual([ABORT, true]);
  });
});

test('6.3.28 CMDQ_CONS: bits above the wrap bit read as zero; ERR is kept', () => {
  const bench = new InterfaceBench();
  bench.write64(REG.CMDQ_BASE, BigInt(CMDQ | 3));
  bench.write32(REG.CMDQ_CONS, 0xffffffff);
  expect(bench.read32(REG.CMDQ_CONS)).toBe(0x7f00000f);
});
