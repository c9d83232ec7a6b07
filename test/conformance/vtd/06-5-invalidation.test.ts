import { describe, expect, test } from 'vitest';
import type { BenchOptions, Tree } from './unit.ts';
import { Bench, contextInv, FSTS, iotlbInv, REG, TE } from './unit.ts';

/** Every test is done through the queue and through the registers: what is invalidated does not depend on it. */
interface Way {
  readonly name: string;
  readonly context: (bench: Bench, g: number, did: number, sid: number, fm: number) => void;
  readonly iotlb: (bench: Bench, g: number, did: number, addr: bigint, am: number, ih: number) => void;
}

const WAYS: readonly Way[] = [
  {
    name: 'queue',
    context: (bench, g, did, sid, fm) => {
      bench.submit(contextInv(g, did, sid, fm));
      expect(bench.read32(REG.FSTS) & FSTS.IQE).toBe(0);
    },
    iotlb: (bench, g, did, addr, am, ih) => {
      bench.submit(iotlbInv({ g, did, addr, am, ih }));
      expect(bench.read32(REG.FSTS) & FSTS.IQE).toBe(0);
    },
  },
  {
    name: 'registers',
    context: (bench, g, did, sid, fm) => {
      bench.write64(
        REG.CCMD,
        (1n << 63n) | (BigInt(g) << 61n) | (BigInt(fm) << 32n) | (BigInt(sid) << 16n) | BigInt(did),
      );
      bench.run();
      expect(bench.read64(REG.CCMD) >> 59n).toBe(BigInt(g) | (BigInt(g) << 2n));
    },
    iotlb: (bench, g, did, addr, am, ih) => {
      bench.write64(REG.IVA, addr | (BigInt(ih) << 6n) | BigInt(am));
      bench.write64(REG.IOTLB, (1n << 63n) | (BigInt(g) << 60n) | (BigInt(did) << 32n));
      bench.run();
      expect((bench.read64(REG.IOTLB) >> 57n) & 3n).toBe(BigInt(g));
    },
  },
];

const OLD = 0x1110_0000n;
const NEW = 0x2220_0000n;

describe.each(WAYS)('6.5.1, 6.5.2 by the $name', (way) => {
  function scene(options: BenchOptions = {}): { bench: Bench; tree: Tree } {
    const bench = new Bench({ frames: 640, caches: { context: 64 }, ...options }).start();
    if (way.name === 'queue') bench.startQueue();
    const tree = bench.tree();
    return { bench, tree };
  }

  const SID = 0x08;
  const DID = 7;

  /** Whether the IOTLB still has each page: its PTE was changed after it was cached. */
  function survivors(bench: Bench, tree: Tree, iovas: readonly bigint[], invalidate: () => void): boolean[] {
    bench.attach(SID, tree, DID);
    for (const iova of iovas) bench.map(tree, iova, OLD | 3n);
    for (const iova of iovas) expect(bench.translate(SID, iova)).toEqual({ page: OLD });
    for (const iova of iovas) bench.map(tree, iova, NEW | 3n);
    for (const iova of iovas) expect(bench.translate(SID, iova)).toEqual({ page: OLD });
    invalidate();
    return iovas.map((iova) => (bench.translate(SID, iova) as { page: bigint }).page === OLD);
  }

  test.each(Array.from({ length: 19 }, (_, am) => am))(
    '6.5.2.3, 11.4.6.4 AM %i: the first and last page of the block are dropped, those beside it are kept',
    (am) => {
      const size = 0x1000n << BigInt(am);
      const base = 5n * size;
      const pages = [base - 0x1000n, base, base + size - 0x1000n, base + size];
      const { bench, tree } = scene();
      const kept = survivors(bench, tree, pages, () => way.iotlb(bench, 3, DID, base, am, 1));
      expect(kept).toEqual([true, false, false, true]);
    },
  );

  test.each([1, 9, 18])('11.4.6.4 AM %i: low bits of ADDR are masked, the block is aligned down', (am) => {
    const size = 0x1000n << BigInt(am);
    const base = 5n * size;
    const pages = [base - 0x1000n, base, base + size - 0x1000n, base + size];
    const { bench, tree } = scene();
    const kept = survivors(bench, tree, pages, () => way.iotlb(bench, 3, DID, base + size - 0x1000n, am, 1));
    expect(kept).toEqual([true, false, false, true]);
  });

  // The model compares all 45 bits of the page number.
  test('11.4.6.4, 6.5.2.3 address bits from MGAW on are ignored', () => {
    const { bench, tree } = scene();
    const kept = survivors(bench, tree, [0x5000n], () => way.iotlb(bench, 3, DID, 0x5000n | (1n << 50n), 0, 1));
    expect(kept).toEqual([false]);
  });

  // The model compares all 16 bits.
  test('11.4.6.1, 11.4.6.3, 6.5.2 domain-id bits beyond CAP.ND are ignored', () => {
    const { bench, tree } = scene({ cap: { ND: 2 } });
    const kept = survivors(bench, tree, [0x5000n], () => way.iotlb(bench, 2, DID | 0x100, 0n, 0, 0));
    expect(kept).toEqual([false]);
  });

  test('6.5.2.3 page-selective: the same page of another domain is kept', () => {
    const { bench, tree } = scene();
    expect(survivors(bench, tree, [0x5000n], () => way.iotlb(bench, 3, DID + 1, 0x5000n, 0, 0))).toEqual([true]);
  });

  test('6.5.2.3 domain-selective: every page of the domain, none of another', () => {
    const { bench, tree } = scene();
    const pages = [0x5000n, 0x7f_ffff_f000n, 0xffff_ffff_f000n];
    expect(survivors(bench, tree, pages, () => way.iotlb(bench, 2, DID, 0n, 0, 0))).toEqual([false, false, false]);
    const { bench: again, tree: other } = scene();
    expect(survivors(again, other, pages, () => way.iotlb(again, 2, DID + 1, 0n, 0, 0))).toEqual([true, true, true]);
  });

  test('6.5.2.3 global: everything, whatever the domain id and the address say', () => {
    const { bench, tree } = scene();
    expect(survivors(bench, tree, [0x5000n, 0x9000n], () => way.iotlb(bench, 1, 99, 0x1000n, 0, 0))).toEqual([
      false,
      false,
    ]);
  });

  test.each([
    [2, 9, 0x140000000n],
    [3, 18, 0x140000000n],
  ])('6.5.3.2 a large page (level %i) is dropped with AM %i', (level, am, page) => {
    const { bench, tree } = scene();
    bench.attach(SID, tree, DID);
    const base = 3n << BigInt(12 + am);
    bench.map(tree, base, page | 0x83n, level);
    bench.translate(SID, base + 0x1000n);
    bench.map(tree, base, (page * 2n) | 0x83n, level);
    expect(bench.translate(SID, base + 0x3000n)).toEqual({ page: page + 0x3000n });
    way.iotlb(bench, 3, DID, base, am, 1);
    expect(bench.translate(SID, base + 0x3000n)).toEqual({ page: page * 2n + 0x3000n });
  });

  test('6.5.3.2 a large page outside the block is kept', () => {
    const { bench, tree } = scene();
    bench.attach(SID, tree, DID);
    bench.map(tree, 0x600000n, 0x140000083n, 2);
    bench.translate(SID, 0x600000n);
    bench.map(tree, 0x600000n, 0n, 2);
    way.iotlb(bench, 3, DID, 0x400000n, 9, 0);
    way.iotlb(bench, 3, DID, 0x800000n, 9, 0);
    way.iotlb(bench, 3, DID, 0x5ff000n, 0, 0);
    expect(bench.translate(SID, 0x601000n)).toEqual({ page: 0x140001000n });
  });

  /** Whether a cached non-leaf entry at a level is still used for IOVA after an invalidation. */
  function keepsNonLeaf(level: number, invalidate: (bench: Bench) => void): boolean {
    const { bench, tree } = scene();
    const iova = 0x40_8060_3000n;
    bench.attach(SID, tree, DID);
    bench.map(tree, iova, OLD | 3n);
    bench.translate(SID, iova);
    const at = bench.entryAt(tree, iova, level);
    bench.poke(at, bench.newTable() | 3n);
    bench.map(tree, iova, NEW | 3n);
    invalidate(bench);
    way.iotlb(bench, 3, DID, iova, 0, 1);
    return (bench.translate(SID, iova) as { page: bigint }).page === OLD;
  }

  test.each([2, 3, 4])('6.5.1.2 IH = 1 may keep a cached entry of level %i, IH = 0 drops it', (level) => {
    expect(keepsNonLeaf(level, (bench) => way.iotlb(bench, 3, DID, 0x40_8060_3000n, 0, 1))).toBe(true);
    expect(keepsNonLeaf(level, (bench) => way.iotlb(bench, 3, DID, 0x40_8060_3000n, 0, 0))).toBe(false);
  });

  test.each([1, 2])('6.5.1.2 IH is ignored for granularity %i', (g) => {
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, g, DID, 0n, 0, 1))).toBe(false);
  });

  test('6.5.1.2 IH = 0 for another page below the same PDE drops that PDE', () => {
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, 3, DID, 0x40_807f_f000n, 0, 0))).toBe(false);
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, 3, DID, 0x40_8080_0000n, 0, 0))).toBe(true);
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, 3, DID, 0x40_805f_f000n, 0, 0))).toBe(true);
  });

  test.each([
    [9, 0x40_8060_0000n, false],
    [9, 0x40_8080_0000n, true],
    [18, 0x40_8000_0000n, false],
    [18, 0x40_c000_0000n, true],
  ])('6.5.1.2 IH = 0, AM %i, address %s: the PDE is dropped when the block has it (kept: %s)', (am, addr, kept) => {
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, 3, DID, addr, am, 0))).toBe(kept);
  });

  test('6.5.1.2 IH = 0 for another domain keeps it', () => {
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, 3, DID + 1, 0x40_8060_3000n, 0, 0))).toBe(true);
    expect(keepsNonLeaf(2, (bench) => way.iotlb(bench, 2, DID + 1, 0n, 0, 0))).toBe(true);
  });

  /** Which of the functions still have their cached context entry; all entries were cleared after they were cached. */
  function keptContexts(
    functions: readonly (readonly [sid: number, did: number])[],
    invalidate: (bench: Bench) => void,
  ): number[] {
    const { bench, tree } = scene();
    bench.map(tree, 0x5000n, OLD | 3n);
    for (const [sid, did] of functions) bench.attach(sid, tree, did);
    for (const [sid] of functions) expect(bench.translate(sid, 0x5000n)).toEqual({ page: OLD });
    for (const [sid] of functions) bench.setContext(sid, 0n, 0n);
    invalidate(bench);
    way.iotlb(bench, 1, 0, 0n, 0, 0);
    return functions.filter(([sid]) => 'page' in bench.translate(sid, 0x5000n)).map(([sid]) => sid);
  }

  const FUNCTIONS = Array.from({ length: 16 }, (_, fn) => [0x20 + fn, DID] as const);

  test.each([
    [0, [3]],
    [1, [3, 7]],
    [2, [1, 3, 5, 7]],
    [3, [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('6.5.2.1 device-selective, FM %i: functions %j of the device and no other', (fm, gone) => {
    const kept = keptContexts(FUNCTIONS, (bench) => way.context(bench, 3, DID, 0x23, fm));
    expect(kept).toEqual(FUNCTIONS.map(([sid]) => sid).filter((sid) => !gone.includes(sid - 0x20)));
  });

  test('6.5.2.1 domain-selective: every function of the domain, whatever SID says', () => {
    const two = [
      [0x20, DID],
      [0x21, DID + 1],
      [0xf8, DID],
    ] as const;
    expect(keptContexts(two, (bench) => way.context(bench, 2, DID, 0x21, 0))).toEqual([0x21]);
    expect(keptContexts(two, (bench) => way.context(bench, 1, 99, 0x21, 0))).toEqual([]);
  });

  test('6.5.2.1 a context-cache invalidation alone leaves the IOTLB as it is', () => {
    const { bench, tree } = scene();
    bench.attach(SID, tree, DID);
    bench.map(tree, 0x5000n, OLD | 3n);
    bench.translate(SID, 0x5000n);
    bench.setContext(SID, 0n, 0n);
    way.context(bench, 1, 0, 0, 0);
    expect(bench.translate(SID, 0x5000n)).toEqual({ page: OLD });
    expect(bench.translate(SID, 0x6000n)).toEqual({ fault: 0x2 });
  });

  test('6.5.2 an invalidation while translation is off is executed', () => {
    const { bench, tree } = scene();
    bench.attach(SID, tree, DID);
    bench.map(tree, 0x5000n, OLD | 3n);
    bench.translate(SID, 0x5000n);
    bench.map(tree, 0x5000n, NEW | 3n);
    const queue = bench.read32(REG.GSTS) & (1 << 26);
    bench.write32(REG.GCMD, queue);
    way.iotlb(bench, 1, 0, 0n, 0, 0);
    bench.write32(REG.GCMD, TE | queue);
    expect(bench.translate(SID, 0x5000n)).toEqual({ page: NEW });
  });

  test.each([
    ['2 MiB', 2, 0x40_4020_0000n, 0x5000n],
    ['2 MiB, last page', 2, 0x40_4020_0000n, 0x1ff000n],
    ['1 GiB', 3, 0x40_4000_0000n, 0x2000_5000n],
    ['1 GiB, last page', 3, 0x40_4000_0000n, 0x3fff_f000n],
  ])('6.5.1.2, 6.5.2.3 a page of %s is dropped by an invalidation of any page of it', (_, level, base, inside) => {
    const { bench, tree } = scene();
    bench.attach(SID, tree, DID);
    bench.map(tree, base, 0x1_0000_0083n, level);
    expect(bench.translate(SID, base)).toEqual({ page: 0x1_0000_0000n });
    bench.map(tree, base, 0x2_0000_0083n, level);
    const size = level === 2 ? 0x20_0000n : 0x4000_0000n;
    for (const beside of [base - 0x1000n, base + size]) way.iotlb(bench, 3, DID, beside, 0, 1);
    expect(bench.translate(SID, base), 'its neighbours do not matter').toEqual({ page: 0x1_0000_0000n });
    way.iotlb(bench, 3, DID, base + inside, 0, 1);
    expect(bench.translate(SID, base)).toEqual({ page: 0x2_0000_0000n });
  });
});

describe('6.5.3.2 larger pages that are cached in parts', () => {
  const BASE = 0x40_4020_0000n;
  const NEW_PAGES = [0x2_0000_0000n, 0x2_0000_5000n];

  /** Caches two pages of a large page, changes it, invalidates the first of them. @returns where they lead */
  function left(fractures: boolean, choice: number, am: number): bigint[] {
    const bench = new Bench({ dmaSlots: 2, fractures }).start().startQueue();
    const tree = bench.tree();
    bench.attach(8, tree, 7);
    const pages = [BASE, BASE + 0x5000n];
    const request = (iova: bigint) => {
      const flight = bench.issue(8, iova);
      expect(flight.walk((choices) => Math.min(choice, choices - 1))).toBe(true);
      const { page } = flight;
      flight.perform();
      return page;
    };
    // One way: every entry that could serve is used, and what is filled is whole (0) or in part (1).
    bench.map(tree, BASE, 0x1_0000_0083n, 2);
    pages.forEach((iova) => {
      const flight = bench.issue(8, iova);
      flight.walk((choices) => (flight.state === 'translating' ? Math.min(choice, choices - 1) : 0));
      flight.perform();
    });
    bench.map(tree, BASE, 0x2_0000_0083n, 2);
    bench.submit(iotlbInv({ g: 3, did: 7, addr: BASE, am }));
    choice = 0;
    return pages.map((iova) => request(iova));
  }

  test('6.5.3.2 with too small a mask the other parts stay', () =>
    expect(left(true, 1, 0)).toEqual([0x2_0000_0000n, 0x1_0000_5000n]));
  test('6.5.3.2 the mask of the page drops all of them', () => expect(left(true, 1, 9)).toEqual(NEW_PAGES));
  test('6.5.3.2 cached whole, it is dropped whole', () => expect(left(true, 0, 0)).toEqual(NEW_PAGES));
  test('a unit that does not fracture has no such choice', () => expect(left(false, 1, 0)).toEqual(NEW_PAGES));
});
