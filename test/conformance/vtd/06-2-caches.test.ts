import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../../src/iommu/vtd/index.ts';
import type { BenchOptions, Tree } from './unit.ts';
import { Bench, CONTEXT, contextInv, iotlbInv, READ, REG, ROOT, WRITE } from './unit.ts';

/** Two devices of one domain, a third of another that has the same table. */
const A = 0x08;
const B = 0x10;
const OTHER = 0x18;
const DID = 0x8005;
const OTHER_DID = 5;
const IOVA = 0x40_8060_3000n;
const OLD = { page: 0x1110_0000n };
const NEW = { page: 0x2220_0000n };
const QEMU = PROFILES.find((p) => p.name === 'qemu-10');

function scene(options: BenchOptions = {}): { bench: Bench; tree: Tree } {
  const bench = new Bench(options).start().startQueue();
  const tree = bench.tree();
  bench.map(tree, IOVA, OLD.page | 3n);
  bench.attach(A, tree, DID);
  bench.attach(B, tree, DID);
  bench.attach(OTHER, tree, OTHER_DID);
  return { bench, tree };
}

describe('6.2.2 context cache', () => {
  test('6.2.2 a cached context entry serves until it is invalidated', () => {
    const { bench, tree } = scene();
    bench.translate(A, IOVA);
    const second = bench.tree();
    bench.map(second, IOVA, NEW.page | 3n);
    bench.attach(A, second, DID + 1);
    bench.submit(iotlbInv({ g: 1 }));
    expect(bench.translate(A, IOVA)).toEqual(OLD);
    bench.submit(contextInv(1), iotlbInv({ g: 1 }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
    expect(tree.levels).toBe(4);
  });

  test('6.2.2 an address that is too wide for the tables leaves the entry cached: it is as good for others', () => {
    const { bench } = scene();
    expect(bench.translate(A, 1n << 50n)).toEqual({ fault: 0x4 });
    const second = bench.tree();
    bench.map(second, IOVA, NEW.page | 3n);
    bench.attach(A, second, DID + 1);
    expect(bench.translate(A, IOVA)).toEqual(OLD);
    bench.submit(contextInv(1), iotlbInv({ g: 1 }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
  });

  test('6.2.2 its tag is the source id: another function reads its own entry', () => {
    const { bench } = scene();
    bench.translate(A, IOVA);
    bench.poke(CONTEXT + BigInt(B * 16), 0n);
    expect(bench.translate(B, IOVA)).toEqual({ fault: 0x2 });
  });

  test.each([
    ['root entry not present', ROOT, 0n, 0x1],
    ['reserved bit in the root entry', ROOT, CONTEXT | 0x801n, 0xa],
    ['context entry not present', CONTEXT + BigInt(A * 16), 0n, 0x2],
    ['reserved bit in the context entry', CONTEXT + BigInt(A * 16), 0x11n, 0xb],
    ['translation type that is not supported', CONTEXT + BigInt(A * 16), 0x5n, 0x3],
  ])('6.1 with CM = 0 nothing that faults is cached: %s', (_, at, bad, fault) => {
    const { bench } = scene();
    const good = bench.peek(at);
    bench.poke(at, bad);
    expect(bench.translate(A, IOVA)).toEqual({ fault });
    bench.poke(at, good);
    expect(bench.translate(A, IOVA)).toEqual(OLD);
  });

  test('6.2.2 a cached pass-through entry serves until it is invalidated', () => {
    const { bench } = scene();
    bench.setContext(A, 0x9n, 2n | (BigInt(DID) << 8n));
    expect(bench.translate(A, IOVA)).toEqual({ page: IOVA });
    bench.setContext(A, 0n, 0n);
    expect(bench.translate(A, 0x7000n)).toEqual({ page: 0x7000n });
    bench.submit(contextInv(1), iotlbInv({ g: 1 }));
    expect(bench.translate(A, 0x7000n)).toEqual({ fault: 0x2 });
  });

  test('6.2.2 FPD is cached with the entry', () => {
    const { bench, tree } = scene();
    bench.setContext(A, tree.top | 3n, 2n | (BigInt(DID) << 8n));
    bench.translate(A, IOVA);
    bench.attach(A, tree, DID);
    expect(bench.translate(A, IOVA + 0x1000n)).toEqual({ fault: 0x6 });
    expect(bench.read32(REG.FSTS)).toBe(0);
  });
});

describe('6.2.4 IOTLB', () => {
  test('6.2.4 a cached translation serves until it is invalidated', () => {
    const { bench, tree } = scene();
    expect(bench.translate(A, IOVA)).toEqual(OLD);
    bench.map(tree, IOVA, NEW.page | 3n);
    expect(bench.translate(A, IOVA)).toEqual(OLD);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
  });

  test('6.2.1 table 17: looked up by source id, so another device of the domain has no use of it', () => {
    const { bench, tree } = scene();
    bench.translate(A, IOVA);
    bench.map(tree, IOVA, NEW.page | 3n);
    expect(bench.translate(B, IOVA)).toEqual(NEW);
    expect(bench.translate(A, IOVA)).toEqual(OLD);
  });

  test('6.2.1 table 17: invalidated by domain id, for every device of the domain', () => {
    const { bench, tree } = scene();
    for (const sid of [A, B, OTHER]) bench.translate(sid, IOVA);
    bench.map(tree, IOVA, NEW.page | 3n);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
    expect(bench.translate(B, IOVA)).toEqual(NEW);
    expect(bench.translate(OTHER, IOVA)).toEqual(OLD);
  });

  test('6.2.4 a cached translation grants its own rights only', () => {
    const { bench, tree } = scene();
    bench.map(tree, IOVA, OLD.page | 1n);
    expect(bench.translate(A, IOVA, READ)).toEqual(OLD);
    expect(bench.translate(A, IOVA, WRITE)).toEqual({ fault: 0x5 });
    bench.map(tree, IOVA, OLD.page | 2n);
    expect(bench.translate(A, IOVA, READ), 'the old right may still serve').toEqual(OLD);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }));
    expect(bench.translate(A, IOVA, READ)).toEqual({ fault: 0x6 });
  });

  test.each([
    ['2 MiB', 2, 0x1f_f000n],
    ['1 GiB', 3, 0x3fff_f000n],
  ])('6.2.4 a cached %s page serves for its first and last page and not beyond', (_, level, last) => {
    const { bench, tree } = scene();
    const base = IOVA & ~(last | 0xfffn);
    bench.map(tree, base, 0x140000083n, level);
    expect(bench.translate(A, base + 0x5000n)).toEqual({ page: 0x140005000n });
    bench.map(tree, base, 0n, level);
    expect(bench.translate(A, base)).toEqual({ page: 0x140000000n });
    expect(bench.translate(A, base + last)).toEqual({ page: 0x140000000n + last });
    expect(bench.translate(A, base + last + 0x1000n)).toEqual({ fault: 0x6 });
    expect(bench.translate(A, base - 0x1000n)).toEqual({ fault: 0x6 });
  });

  test('6.2.4.1 pages of different size may be cached for one address, and one invalidation drops both', () => {
    const { bench, tree } = scene();
    const base = IOVA & ~0x1fffffn;
    bench.map(tree, base, 0x140000081n, 2);
    expect(bench.translate(A, IOVA, READ)).toEqual({ page: 0x140003000n });
    // The large page becomes a table; a write needs a walk and is cached beside the large page.
    bench.map(tree, base, 0n, 2);
    bench.map(tree, IOVA, NEW.page | 3n);
    expect(bench.translate(A, IOVA, WRITE)).toEqual(NEW);
    const pages = [NEW.page, 0x140003000n];
    expect(pages).toContain((bench.translate(A, IOVA, READ) as { page: bigint }).page);
    bench.map(tree, IOVA, OLD.page | 3n);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, am: 9 }));
    expect(bench.translate(A, IOVA, READ)).toEqual(OLD);
    expect(bench.translate(A, IOVA, WRITE)).toEqual(OLD);
    expect(bench.translate(A, IOVA + 0x1000n, READ)).toEqual({ fault: 0x6 });
  });

  test.each([1, 2, 3, 4])('6.1 with CM = 0 a walk that faults at level %i leaves nothing behind', (level) => {
    const { bench, tree } = scene();
    const at = bench.entryAt(tree, IOVA, level);
    const good = bench.peek(at);
    for (const [bad, fault] of [
      [0n, 0x6],
      [good | (1n << 62n), 0xc],
      [good & ~1n, 0x6],
    ] as const) {
      bench.poke(at, bad);
      expect(bench.translate(A, IOVA)).toEqual({ fault });
      bench.poke(at, good);
      expect(bench.translate(A, IOVA)).toEqual(OLD);
      bench.submit(iotlbInv({ g: 1 }));
    }
  });

  test('6.1 with CM = 0 a table that cannot be read is not cached either', () => {
    const { bench, tree } = scene();
    const at = bench.entryAt(tree, IOVA, 2);
    const good = bench.peek(at);
    bench.poke(at, 0x4000_0003n);
    expect(bench.translate(A, IOVA)).toEqual({ fault: 0x7 });
    bench.poke(at, good);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }));
    expect(bench.translate(A, IOVA)).toEqual(OLD);
  });
});

describe('6.2.5 paging-structure caches', () => {
  /** A second table below the entry at a level that leads to NEW. */
  function redirect(bench: Bench, tree: Tree, level: number): void {
    bench.map(tree, IOVA, bench.newTable() | 3n, level);
    bench.map(tree, IOVA, NEW.page | 3n);
  }

  test.each([
    ['PDE', 2],
    ['PDPE', 3],
    ['PML4E', 4],
  ])('6.2.5 a cached %s serves after the leaf was invalidated with IH = 1', (_, level) => {
    const { bench, tree } = scene();
    bench.translate(A, IOVA);
    redirect(bench, tree, level);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 1 }));
    expect(bench.translate(A, IOVA)).toEqual(OLD);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 0 }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
  });

  test('6.2.5 the profile qemu-10 has none', () => {
    const { bench, tree } = scene(QEMU === undefined ? {} : { profile: QEMU });
    bench.translate(A, IOVA);
    redirect(bench, tree, 2);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 1 }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
  });

  test('6.2.1 table 17: looked up by domain id, so devices of one domain share them', () => {
    const { bench, tree } = scene();
    bench.translate(A, IOVA);
    redirect(bench, tree, 2);
    expect(bench.translate(B, IOVA)).toEqual(OLD);
    expect(bench.translate(OTHER, IOVA)).toEqual(NEW);
  });

  test('6.2.5.4 the key of a cached PDE is the address above bit 20: it serves 2 MiB, not the next', () => {
    const { bench, tree } = scene();
    const last = IOVA | 0x1ff000n;
    for (const iova of [last, last + 0x1000n]) bench.map(tree, iova, OLD.page | 3n);
    bench.translate(A, IOVA);
    for (const iova of [last, last + 0x1000n]) {
      bench.map(tree, iova, bench.newTable() | 3n, 2);
      bench.map(tree, iova, NEW.page | 3n);
    }
    expect(bench.translate(A, last)).toEqual(OLD);
    expect(bench.translate(A, last + 0x1000n)).toEqual(NEW);
  });

  test('6.2.5.5 rights are the AND of all levels above: a cached entry grants no more', () => {
    for (const level of [3, 4]) {
      const { bench, tree } = scene();
      const at = bench.entryAt(tree, IOVA, level);
      bench.poke(at, bench.peek(at) & ~2n);
      expect(bench.translate(A, IOVA, READ)).toEqual(OLD);
      expect(bench.translate(A, IOVA, WRITE)).toEqual({ fault: 0x5 });
      expect(bench.translate(B, IOVA, WRITE)).toEqual({ fault: 0x5 });
      expect(bench.translate(B, IOVA, READ)).toEqual(OLD);
    }
  });

  test('6.2.5.5 only entries that reference a table are cached: a large page leaves no PDE behind', () => {
    const { bench, tree } = scene();
    const base = IOVA & ~0x1fffffn;
    bench.map(tree, base, 0x140000083n, 2);
    bench.translate(A, IOVA);
    bench.map(tree, base, 0n, 2);
    bench.map(tree, IOVA, NEW.page | 3n);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: base, am: 9, ih: 1 }));
    expect(bench.translate(A, IOVA)).toEqual(NEW);
  });

  test('6.2.5.4 a PDE may be cached although no PTE below it is present', () => {
    const { bench, tree } = scene();
    const empty = IOVA + 0x1000n;
    expect(bench.translate(A, empty)).toEqual({ fault: 0x6 });
    redirect(bench, tree, 2);
    expect(bench.translate(B, IOVA)).toEqual(OLD);
  });

  test('6.2.7 the deepest cached entry is used: an upper one that has changed does not matter', () => {
    const { bench, tree } = scene();
    bench.translate(A, IOVA);
    bench.poke(bench.entryAt(tree, IOVA, 4), 0n);
    expect(bench.translate(B, IOVA)).toEqual(OLD);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }));
    expect(bench.translate(B, IOVA)).toEqual({ fault: 0x6 });
  });
});

describe('sizes', () => {
  // Cache.room() throws for a full cache of one set; context and paging-structure caches always have one set.
  test('6.2.2 more devices than the context cache has entries: some entry makes room', () => {
    const { bench, tree } = scene({ caches: { context: 4 } });
    for (let sid = 0x20; sid < 0x40; sid++) bench.attach(sid, tree, DID);
    for (let sid = 0x20; sid < 0x40; sid++) expect(bench.translate(sid, IOVA)).toEqual(OLD);
  });

  test('6.2.5 more tables than a paging-structure cache has entries: some entry makes room', () => {
    const { bench, tree } = scene({ caches: { pagingStructure: 4 } });
    for (let i = 0n; i < 16n; i++) bench.map(tree, i << 21n, OLD.page | 3n);
    for (let i = 0n; i < 16n; i++) expect(bench.translate(A, i << 21n)).toEqual(OLD);
  });

  test('6.2.4 a large IOTLB replaces entries', () => {
    const { bench, tree } = scene({ caches: { iotlbSets: 4, iotlbWays: 2 } });
    for (let i = 0n; i < 64n; i++) bench.map(tree, IOVA + (i << 12n), (OLD.page + (i << 12n)) | 3n);
    for (let round = 0; round < 2; round++) {
      for (let i = 0n; i < 64n; i++) {
        expect(bench.translate(A, IOVA + (i << 12n))).toEqual({
          page: OLD.page + (i << 12n),
        });
      }
    }
  });
});

describe('6.5.3.5 rights that are granted later', () => {
  const SCENES = [
    ['W granted to a page that could be read', 1n, READ, WRITE, 0x5],
    ['R granted to a page that could be written', 2n, WRITE, READ, 0x6],
  ] as const;

  test.each(SCENES)(
    '6.5.3.5 %s: until it is invalidated a request may be refused or served',
    (_, rights, first, then, reason) => {
      const outcomes = new Set<number | bigint>();
      for (let way = 0; way < 8; way++) {
        const bench = new Bench({ dmaSlots: 2 }).start().startQueue();
        const tree = bench.tree();
        bench.attach(8, tree, 1);
        bench.map(tree, 0x5000n, 0x111000n | rights);
        const fill = bench.issue(8, 0x5000n, first);
        fill.walk();
        fill.perform();
        bench.map(tree, 0x5000n, 0x111003n);
        const flight = bench.issue(8, 0x5000n, then);
        outcomes.add(flight.walk((choices) => Math.min(way, choices - 1)) ? flight.page : bench.recordedReason());
        bench.clearFaults();
        bench.submit(iotlbInv({ g: 3, did: 1, addr: 0x5000n }));
        const again = bench.issue(8, 0x5000n, then);
        expect(again.walk((choices) => Math.min(way, choices - 1))).toBe(true);
      }
      expect(outcomes).toEqual(new Set([0x111000n, reason]));
    },
  );
});
