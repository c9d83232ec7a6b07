import { describe, expect, test } from 'vitest';
import { PROFILES } from '../../../src/iommu/vtd/index.ts';
import type { BenchOptions, Descriptor, Tree } from './unit.ts';
import { Bench, CONTEXT, contextInv, iotlbInv, READ, REG, STATUS, WRITE, wait } from './unit.ts';

const SID = 0x08;
const OTHER = 0x10;
const PASS = 0x18;
const DID = 7;
const IOVA = 0x40_8060_3000n;
const DONE = wait({ sw: 1, data: 1n, addr: STATUS });
const QEMU = PROFILES.find((p) => p.name === 'qemu-10');

function scene(options: BenchOptions = {}): { bench: Bench; tree: Tree } {
  const bench = new Bench({ dmaSlots: 2, ...options }).start().startQueue();
  const tree = bench.tree();
  bench.map(tree, IOVA, 0x1110_0003n);
  bench.map(tree, IOVA + 0x1000n, 0x2220_0003n);
  bench.attach(SID, tree, DID);
  bench.attach(OTHER, tree, DID + 1);
  bench.setContext(PASS, 0x9n, 2n | (BigInt(DID) << 8n));
  return { bench, tree };
}

const isDone = (bench: Bench) => bench.peek(STATUS) === 1n;

/** Whether the wait behind a descriptor is held until a translated request takes effect. */
function drains(descriptor: Descriptor, options: BenchOptions & { access?: number; iova?: bigint; sid?: number } = {}) {
  const { access = WRITE, iova = IOVA, sid = SID, ...unit } = options;
  const { bench } = scene(unit);
  const flight = bench.issue(sid, iova, access);
  flight.walk();
  bench.submit(descriptor, DONE);
  const held = !isDone(bench);
  flight.perform();
  bench.run();
  expect(isDone(bench), 'done in the end').toBe(true);
  return held;
}

describe('6.5.4 draining, by the queue', () => {
  test.each([
    [WRITE, 1, 0, true],
    [WRITE, 0, 1, false],
    [WRITE, 0, 0, false],
    [READ, 1, 0, false],
    [READ, 0, 1, true],
    [READ, 0, 0, false],
    [READ, 1, 1, true],
    [WRITE, 1, 1, true],
  ])('6.5.2.3 access %i (1 read, 2 write), DW %i, DR %i: waits %s', (access, dw, dr, held) => {
    for (const g of [1, 2, 3]) {
      expect(drains(iotlbInv({ g, did: DID, addr: IOVA, dr, dw }), { access }), `granularity ${g}`).toBe(held);
    }
  });

  test.each([
    [{ DRD: 0, DWD: 1 }, READ, false],
    [{ DRD: 0, DWD: 1 }, WRITE, true],
    [{ DRD: 1, DWD: 0 }, READ, true],
    [{ DRD: 1, DWD: 0 }, WRITE, false],
  ])('11.4.2 %j: for access %i a drain is made %s', (cap, access, held) => {
    expect(drains(iotlbInv({ g: 1, dr: 1, dw: 1 }), { access, cap })).toBe(held);
  });

  test.each([1, 2, 6])('6.5.2.3 major version %i', (MAX) => {
    for (const access of [READ, WRITE]) {
      expect(drains(iotlbInv({ g: 1 }), { access, ver: { MAX } }), 'not asked: from version 2 on').toBe(MAX >= 2);
    }
  });

  test('6.5.4 domain-selective: only requests of the domain', () => {
    expect(drains(iotlbInv({ g: 2, did: DID, dw: 1 }))).toBe(true);
    expect(drains(iotlbInv({ g: 2, did: DID + 1, dw: 1 }))).toBe(false);
    expect(drains(iotlbInv({ g: 2, did: DID + 1, dw: 1 }), { sid: OTHER })).toBe(true);
  });

  test.each([
    [0, IOVA, true],
    [0, IOVA + 0x1000n, false],
    [0, IOVA - 0x1000n, false],
    [2, IOVA & ~0x3fffn, true],
    [2, (IOVA & ~0x3fffn) + 0x4000n, false],
    [9, IOVA & ~0x1fffffn, true],
    [9, (IOVA & ~0x1fffffn) - 0x200000n, false],
  ])('6.5.4 page-selective: only requests whose address is in the block (AM %i)', (am, addr, held) => {
    expect(drains(iotlbInv({ g: 3, did: DID, addr, am, dw: 1 }))).toBe(held);
    expect(drains(iotlbInv({ g: 3, did: DID + 1, addr, am, dw: 1 })), 'another domain').toBe(false);
  });

  test('6.5.4 a request that hit the IOTLB is drained too', () => {
    const { bench } = scene();
    const first = bench.issue(SID, IOVA, WRITE);
    first.walk();
    first.perform();
    const flight = bench.issue(SID, IOVA, WRITE);
    flight.walk();
    bench.submit(iotlbInv({ g: 2, did: DID, dw: 1 }), DONE);
    expect(isDone(bench)).toBe(false);
    flight.perform();
    bench.run();
    expect(isDone(bench)).toBe(true);
  });

  test('6.5.4 a pass-through request is drained by a global invalidation', () => {
    expect(drains(iotlbInv({ g: 1, dw: 1 }), { sid: PASS })).toBe(true);
  });

  // Its slot never learns the domain id.
  test('6.5.4 a pass-through request is drained by a domain-selective invalidation', () => {
    expect(drains(iotlbInv({ g: 2, did: DID, dw: 1 }), { sid: PASS })).toBe(true);
  });

  test('6.5.4 a request that comes after the invalidation is not waited for', () => {
    const { bench } = scene();
    bench.submit(iotlbInv({ g: 1, dr: 1, dw: 1 }));
    const flight = bench.issue(SID, IOVA, WRITE);
    flight.walk();
    bench.submit(DONE);
    expect(isDone(bench)).toBe(true);
  });

  test('6.5.4 the wait is held, not the invalidation: the entry is gone at once', () => {
    const { bench, tree } = scene();
    const flight = bench.issue(SID, IOVA, WRITE);
    flight.walk();
    bench.map(tree, IOVA, 0x3330_0003n);
    bench.submit(iotlbInv({ g: 2, did: DID, dw: 1 }), DONE);
    expect(isDone(bench)).toBe(false);
    const next = bench.issue(SID, IOVA, WRITE);
    next.walk();
    expect(next.page).toBe(0x3330_0000n);
  });

  test('6.5.4 descriptors behind a held wait are not executed (this unit executes in order)', () => {
    const { bench } = scene();
    bench.issue(SID, IOVA, WRITE).walk();
    bench.submit(iotlbInv({ g: 1, dw: 1 }), DONE, wait({ flag: 1 }));
    expect(bench.read32(REG.IQH)).toBe(16);
    expect(bench.read32(REG.ICS)).toBe(0);
  });

  test('11.4.2 the profile qemu-10 drains nothing, although it is advertised', () => {
    expect(drains(iotlbInv({ g: 1, dr: 1, dw: 1 }), QEMU === undefined ? {} : { profile: QEMU })).toBe(false);
  });
});

describe('6.5.4 draining, by registers', () => {
  test.each([
    [WRITE, 1n, 0n, true],
    [WRITE, 0n, 1n, false],
    [READ, 1n, 0n, false],
    [READ, 0n, 1n, true],
    [READ, 0n, 0n, false],
  ])('11.4.6.3 access %i (1 read, 2 write), DW %i, DR %i: IVT stays %s', (access, dw, dr, held) => {
    const { bench } = scene();
    bench.write32(REG.GCMD, 1 << 31);
    const flight = bench.issue(SID, IOVA, access);
    flight.walk();
    bench.write64(REG.IOTLB, (1n << 63n) | (1n << 60n) | (dr << 49n) | (dw << 48n));
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(held ? 1n : 0n);
    flight.perform();
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(0n);
    expect((bench.read64(REG.IOTLB) >> 57n) & 3n).toBe(1n);
  });
});

// VT-d 5.10 has no sentence on walks in progress; the rule of this model is that an invalidation completes only after
// walks that have read an entry that it covers, and that these may not fill behind it.
describe('6.5.4 walks in progress: a rule of this model', () => {
  /** A walk that has taken so many steps. */
  function walking(bench: Bench, steps: number, sid = SID, iova = IOVA) {
    const flight = bench.issue(sid, iova, READ);
    for (let i = 0; i < steps; i++) flight.step();
    expect(flight.state).toBe('translating');
    return flight;
  }

  // Steps: look-up, root entry, context entry, PML4E, PDPE, PDE; the PTE ends it.
  test.each([4, 5, 6])(
    '6.5.1.2 IH = 0: after %i steps it is waited for and fills nothing behind the invalidation',
    (steps) => {
      const { bench, tree } = scene();
      const flight = walking(bench, steps);
      const before = bench.entryAt(tree, IOVA, 2);
      bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }), DONE);
      expect(isDone(bench)).toBe(false);
      flight.walk();
      bench.run();
      expect(isDone(bench)).toBe(true);
      bench.poke(before, 0n);
      expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x6 });
    },
  );

  test.each([1, 2, 3])(
    '6.5.1.2 after %i steps it has read no paging entry: an IOTLB invalidation does not wait',
    (steps) => {
      const { bench } = scene();
      walking(bench, steps);
      bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }), DONE);
      expect(isDone(bench)).toBe(true);
    },
  );

  test('6.5.1.2 IH = 1: only leaves were changed, which it has not read', () => {
    const { bench } = scene();
    walking(bench, 6);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 1 }), DONE);
    expect(isDone(bench)).toBe(true);
  });

  test('6.5.1.2 a walk of another domain is not waited for', () => {
    const { bench } = scene();
    walking(bench, 6);
    bench.submit(iotlbInv({ g: 2, did: DID + 1 }), DONE);
    expect(isDone(bench)).toBe(true);
  });

  test('6.5.2.1 a global context-cache invalidation waits for a walk that has read the root entry', () => {
    const { bench } = scene();
    const flight = walking(bench, 2);
    bench.submit(contextInv(1), DONE);
    expect(isDone(bench)).toBe(false);
    flight.walk();
    bench.run();
    expect(isDone(bench)).toBe(true);
    bench.poke(CONTEXT + BigInt(SID * 16), 0n);
    bench.submit(iotlbInv({ g: 1 }));
    expect(bench.translate(SID, IOVA), 'nothing was filled').toEqual({ fault: 0x2 });
  });

  // A walk that has read the context entry, but no paging entry yet, is marked by neither invalidation: it goes on in
  // the old top table after both are complete, when software has every right to have freed it.
  test('6.5.3.3 context entry changed, context-cache and IOTLB invalidated: a walk that has read the old one', () => {
    const { bench } = scene();
    const flight = walking(bench, 3);
    bench.setContext(SID, 0n, 0n);
    bench.submit(contextInv(3, DID, SID), iotlbInv({ g: 2, did: DID }), DONE);
    const overtaken = isDone(bench);
    flight.walk();
    bench.run();
    expect(isDone(bench)).toBe(true);
    expect(overtaken, 'complete while the walk holds the old SSPTPTR').toBe(false);
  });

  test('6.5.3.3 context entry changed: that walk leaves nothing in the IOTLB', () => {
    const { bench } = scene();
    const flight = walking(bench, 3);
    bench.setContext(SID, 0n, 0n);
    bench.submit(contextInv(3, DID, SID), iotlbInv({ g: 2, did: DID }), DONE);
    flight.walk();
    bench.run();
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x2 });
  });

  // 6.5.3.3: a table below which nothing is mapped is removed with one page-selective invalidation, at any of its pages.
  // The cached entries above that page are dropped, but a walk for another page that has read them is not marked.
  test('6.5.3.3 a removed table, one page invalidated: a walk for another of its pages is waited for', () => {
    const { bench, tree } = scene();
    const flight = walking(bench, 6);
    bench.map(tree, IOVA, 0n, 2);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA + 0x5000n }), DONE);
    const overtaken = isDone(bench);
    flight.walk();
    expect(overtaken, 'complete while the walk is about to read the removed table').toBe(false);
  });
});
