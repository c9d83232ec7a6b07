import { describe, expect, test } from 'vitest';
import { FAULT, FAULT_TEXT, isQualified } from '../../../src/iommu/vtd/index.ts';
import type { BenchOptions, Tree } from './unit.ts';
import { Bench, CONTEXT, FSTS, iotlbInv, READ, REG, ROOT, WRITE } from './unit.ts';

const SID = 0x18;
const IOVA = 0x40_8060_3000n;
const CONTEXT_AT = CONTEXT + BigInt(SID * 16);
const NOWHERE = 0x4000_0000n;

function scene(options: BenchOptions = {}): { bench: Bench; tree: Tree } {
  const bench = new Bench(options).start();
  const tree = bench.tree();
  bench.map(tree, IOVA, 0x123456003n);
  bench.attach(SID, tree, 5);
  return { bench, tree };
}

/** Table 30, legacy rows: how to get each, its reason, whether FPD suppresses it. */
const ROWS: readonly {
  readonly row: string;
  readonly reason: number;
  readonly qualified: boolean;
  readonly spoil: (bench: Bench, tree: Tree) => void;
  readonly access?: number;
  readonly iova?: bigint;
}[] = [
  {
    row: 'LRT.1 the root table cannot be read',
    reason: 0x8,
    qualified: false,
    spoil: (bench) => {
      bench.write64(REG.RTADDR, NOWHERE);
      bench.write32(REG.GCMD, (1 << 31) | (1 << 30));
    },
  },
  { row: 'LRT.2 root P = 0', reason: 0x1, qualified: false, spoil: (bench) => bench.poke(ROOT, 0n) },
  { row: 'LRT.3 root reserved', reason: 0xa, qualified: false, spoil: (bench) => bench.poke(ROOT, CONTEXT | 3n) },
  {
    row: 'LCT.1 the context table cannot be read',
    reason: 0x9,
    qualified: false,
    spoil: (bench) => bench.poke(ROOT, NOWHERE | 1n),
  },
  {
    row: 'LCT.2 context P = 0',
    reason: 0x2,
    qualified: true,
    spoil: (bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) & ~1n),
  },
  {
    row: 'LCT.3 context reserved',
    reason: 0xb,
    qualified: true,
    spoil: (bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 0x10n),
  },
  {
    row: 'LCT.4.1 AW not supported',
    reason: 0x3,
    qualified: true,
    spoil: (bench) => bench.poke(CONTEXT_AT + 8n, 0x504n),
  },
  {
    row: 'LCT.4.2 TT not supported',
    reason: 0x3,
    qualified: true,
    spoil: (bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 0xcn),
  },
  {
    row: 'LCT.4.3 the top table cannot be read',
    reason: 0x3,
    qualified: true,
    spoil: (bench) => bench.poke(CONTEXT_AT, (bench.peek(CONTEXT_AT) & 0xfffn) | NOWHERE),
  },
  {
    row: 'LSS.1 a lower table cannot be read',
    reason: 0x7,
    qualified: true,
    spoil: (bench, tree) => bench.map(tree, IOVA, NOWHERE | 3n, 3),
  },
  {
    row: 'LSS.2 paging reserved',
    reason: 0xc,
    qualified: true,
    spoil: (bench, tree) => bench.map(tree, IOVA, 0x4000000123456003n),
  },
  {
    row: 'LGN.1.1 beyond the width',
    reason: 0x4,
    qualified: true,
    iova: 1n << 48n,
    spoil: () => {},
  },
  {
    row: 'LGN.2 no write right',
    reason: 0x5,
    qualified: true,
    access: WRITE,
    spoil: (bench, tree) => bench.map(tree, IOVA, 0x123456001n),
  },
  {
    row: 'LGN.3 no read right',
    reason: 0x6,
    qualified: true,
    spoil: (bench, tree) => bench.map(tree, IOVA, 0x123456002n),
  },
];

describe('7.1.3 table 30', () => {
  test.each(ROWS)('7.1.3 $row', ({ reason, qualified, spoil, access = READ, iova = IOVA }) => {
    for (const fpd of [false, true]) {
      const { bench, tree } = scene();
      if (fpd) bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 2n);
      expect(bench.translate(SID, IOVA, access)).toHaveProperty('page');
      bench.flush();
      spoil(bench, tree);
      expect(bench.translate(SID, iova, access)).toEqual({ fault: reason });
      expect(bench.recordedReason(), `FPD ${fpd}`).toBe(fpd && qualified ? 0 : reason);
      expect(bench.read32(REG.FSTS)).toBe(fpd && qualified ? 0 : FSTS.PPF);
    }
  });

  test.each(ROWS)('7.1.3 $row, in steps', ({ reason, spoil, access = READ, iova = IOVA }) => {
    const { bench, tree } = scene({ dmaSlots: 1 });
    spoil(bench, tree);
    expect(bench.issue(SID, iova, access).walk()).toBe(false);
    expect(bench.recordedReason()).toBe(reason);
  });

  test('7.1.3 the column "qualified", and a text for each reason', () => {
    for (const reason of Object.values(FAULT)) {
      expect(isQualified(reason)).toBe(![0x1, 0x8, 0x9, 0xa, 0x30].includes(reason));
      expect(FAULT_TEXT[reason]).toBeTypeOf('string');
    }
  });

  test.each([
    [39, 1],
    [48, 2],
    [57, 3],
  ])('7.1.3 LGN.1.1 both sides of 2^%i (AW %i)', (width, aw) => {
    const { bench } = scene({ cap: { SAGAW: 0b01110, MGAW: 56 } });
    const tree = bench.tree(aw + 2);
    const last = (1n << BigInt(width)) - 0x1000n;
    bench.map(tree, last, 0x777003n);
    bench.attach(SID, tree, 6);
    expect(bench.translate(SID, last)).toEqual({ page: 0x777000n });
    expect(bench.translate(SID, last + 0x1000n)).toEqual({ fault: 0x4 });
    expect(bench.translate(SID, last + 0x1000n), 'with the context cached').toEqual({ fault: 0x4 });
  });

  test('7.1.3 LGN.1.1 MGAW below the width of the table', () => {
    const { bench, tree } = scene({ cap: { MGAW: 43 } });
    bench.map(tree, (1n << 44n) - 0x1000n, 0x777003n);
    bench.map(tree, 1n << 44n, 0x777003n);
    expect(bench.translate(SID, (1n << 44n) - 0x1000n)).toEqual({ page: 0x777000n });
    expect(bench.translate(SID, 1n << 44n)).toEqual({ fault: 0x4 });
  });

  test('7.1.3 LGN.1.1 an address of 2^61', () => {
    const { bench } = scene();
    expect(bench.translate(SID, 1n << 61n)).toEqual({ fault: 0x4 });
    expect(bench.read64(REG.FRCD), '11.4.7.6: bits from the widest table on are reserved').toBe(0n);
  });

  test.each([1n << 62n, (1n << 63n) | IOVA, 0xffff_ffff_ffff_f000n, (1n << 62n) | (3n << 30n)])(
    '7.1.3 LGN.1.1 an address of 2^62 or more (%i)',
    (iova) => {
      const { bench, tree } = scene();
      bench.map(tree, 3n << 30n, 0x1_4000_0083n, 3);
      bench.map(tree, 0n, 0x777003n);
      for (const cached of [IOVA, 3n << 30n, 0n]) expect(bench.translate(SID, cached)).toHaveProperty('page');
      expect(bench.translate(SID, iova)).toEqual({ fault: 0x4 });
      expect(bench.read64(REG.FRCD)).toBe(BigInt.asUintN(48, iova));
    },
  );

  test('7.1.3 LGN.1.1 an address of 2^62 or more, in steps', () => {
    const { bench } = scene({ dmaSlots: 1 });
    expect(bench.issue(SID, (1n << 62n) | IOVA).walk()).toBe(false);
  });

  test('7.1.3 LGN.1.3 pass-through beyond the host address width', () => {
    const { bench } = scene({ haw: 39, cap: { SAGAW: 0b00110 } });
    bench.setContext(SID, 0x9n, 0x502n);
    expect(bench.translate(SID, (1n << 39n) - 0x1000n)).toEqual({ page: (1n << 39n) - 0x1000n });
    expect(bench.translate(SID, 1n << 39n)).toEqual({ fault: 0x4 });
  });

  test.each([
    [0xfedff000n, false],
    [0xfef00000n, false],
  ])('7.1.3 LGN.4 the pages beside the interrupt range are no fault (%s)', (page) => {
    const { bench, tree } = scene();
    bench.map(tree, IOVA, page | 3n);
    expect(bench.translate(SID, IOVA)).toEqual({ page });
  });

  test.each([
    ['first', 0xfee00000n],
    ['last', 0xfeeff000n],
  ])('7.1.3 LGN.4 a translation to the interrupt range, its %s page', (_, page) => {
    const { bench, tree } = scene();
    bench.map(tree, IOVA, page | 3n);
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0xe });
  });

  test('7.1.3 LGN.4 through a large page, from the IOTLB too', () => {
    const { bench, tree } = scene();
    bench.map(tree, IOVA, 0xc0000083n, 3);
    const base = IOVA & ~0x3fffffffn;
    expect(bench.translate(SID, base + 0x3edff000n)).toEqual({ page: 0xfedff000n });
    expect(bench.translate(SID, base + 0x3ee00000n)).toEqual({ fault: 0xe });
  });

  test.todo('7.1.3 RTA.2 (0x31): a request with PASID; RTA.3 (0x32): a page request; RTA.4 (0x33): abort-DMA mode');
});

describe('7.2.1 recording', () => {
  test.each([
    [0x0000, 0n, READ],
    [0xffff, 0xffff_ffff_f000n, WRITE],
    [0x8001, 0x8000_0000n, READ],
    [0x00f8, 0x1_0000_0000n, WRITE],
    [0x1234, 0x7fff_ffff_f000n, READ],
  ])('7.2.1, 11.4.7.6 SID %i at %s: FI, SID, FR, T1, nothing else', (sid, iova, access) => {
    const bench = new Bench().start();
    expect(bench.translate(sid, iova, access)).toEqual({ fault: 0x1 });
    expect(bench.read64(REG.FRCD)).toBe(iova);
    const t1 = access === READ ? 1n << 62n : 0n;
    expect(bench.read64(REG.FRCD + 8)).toBe((1n << 63n) | t1 | (0x1n << 32n) | BigInt(sid));
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
  });

  test('7.2.1 a fault while F is set does not overwrite it and sets PFO', () => {
    const { bench } = scene();
    bench.translate(0x100, 0x1000n);
    const record = bench.read64(REG.FRCD + 8);
    bench.translate(SID, 0x2000n, WRITE);
    expect(bench.read64(REG.FRCD)).toBe(0x1000n);
    expect(bench.read64(REG.FRCD + 8)).toBe(record);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF | FSTS.PFO);
  });

  test('7.2.1 while PFO is set nothing is recorded, even with every F clear', () => {
    const { bench } = scene();
    bench.translate(0x100, 0x1000n);
    bench.translate(SID, 0x1000n);
    bench.write32(REG.FRCD + 12, 1 << 31);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PFO);
    bench.translate(0x100, 0x3000n);
    expect(bench.recordedReason()).toBe(0);
    bench.write32(REG.FSTS, FSTS.PFO);
    bench.translate(0x100, 0x4000n);
    expect(bench.read64(REG.FRCD)).toBe(0x4000n);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
  });

  test('11.4.7.1 PPF follows F', () => {
    const { bench } = scene();
    bench.translate(0x100, 0x1000n);
    bench.write32(REG.FRCD + 12, 0x7fffffff);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
    bench.write32(REG.FSTS, FSTS.PPF);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
    bench.write64(REG.FRCD + 8, 1n << 63n);
    expect(bench.read32(REG.FSTS)).toBe(0);
    expect(bench.read64(REG.FRCD + 8) >> 63n).toBe(0n);
  });

  test('7.1.3 a suppressed fault does not set PFO either', () => {
    const { bench } = scene();
    bench.translate(0x100, 0x1000n);
    bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 2n);
    bench.flush();
    expect(bench.translate(SID, IOVA + 0x1000n)).toEqual({ fault: 0x6 });
    expect(bench.read32(REG.FSTS)).toBe(FSTS.PPF);
  });

  test('9.3 FPD counts where P = 0', () => {
    const { bench } = scene();
    bench.poke(CONTEXT_AT, 2n);
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x2 });
    expect(bench.read32(REG.FSTS)).toBe(0);
  });

  test('9.3 FPD of one function does not quiet the next', () => {
    const { bench } = scene({ dmaSlots: 1 });
    bench.poke(CONTEXT_AT, 2n);
    bench.translate(SID, IOVA);
    expect(bench.translate(0x100, IOVA)).toEqual({ fault: 0x1 });
    expect(bench.recordedReason()).toBe(0x1);
    bench.clearFaults();
    expect(bench.issue(SID, IOVA).walk()).toBe(false);
    expect(bench.recordedReason()).toBe(0);
    expect(bench.issue(0x100, IOVA).walk()).toBe(false);
    expect(bench.recordedReason()).toBe(0x1);
  });

  test('7.2.1 a fault and a queue error stand side by side in FSTS', () => {
    const { bench } = scene();
    bench.startQueue();
    bench.submit(iotlbInv({ g: 0 }));
    bench.translate(0x100, 0x1000n);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE | FSTS.PPF);
  });
});
