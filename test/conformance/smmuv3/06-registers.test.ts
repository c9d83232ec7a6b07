/** SMMUv3 chapter 6: registers. */
import { describe, expect, test } from 'vitest';
import type { Options } from './interface-bench.ts';
import { CMDQ, CMDQEN, EVENTQEN, InterfaceBench, modelOnly, PRIQEN, REG, SMMUEN } from './interface-bench.ts';

const ALL = 0xffffffff;

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
