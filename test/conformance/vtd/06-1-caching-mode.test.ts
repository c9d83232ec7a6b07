import { describe, expect, test } from 'vitest';
import type { Descriptor, Tree } from './unit.ts';
import { Bench, CONTEXT, contextInv, FSTS, iotlbInv, READ, REG, ROOT, WRITE } from './unit.ts';

const SID = 0x18;
const DID = 5;
const IOVA = 0x40_8060_3000n;
const PAGE = 0x123456000n;
const CONTEXT_AT = CONTEXT + BigInt(SID * 16);

function scene(CM: number, paging = 16): { bench: Bench; tree: Tree; entry: bigint } {
  const caches = { context: 16, iotlbSets: 1, iotlbWays: 16, pagingStructure: paging };
  const bench = new Bench({ cap: { CM }, dmaSlots: 2, caches }).start().startQueue();
  const tree = bench.tree();
  bench.map(tree, IOVA, PAGE | 3n);
  bench.attach(SID, tree, DID);
  return { bench, tree, entry: bench.peek(CONTEXT_AT) };
}

/** A request that uses whatever is cached. @returns the page, or the reason that was recorded */
function request(bench: Bench, access = READ, pick?: (choices: number) => number): bigint | number {
  bench.clearFaults();
  const flight = bench.issue(SID, IOVA, access);
  if (!flight.walk(pick)) return bench.recordedReason();
  const { page } = flight;
  flight.perform();
  return page;
}

/** Each fault that an entry can cause: how to get and how to mend it; whether it belongs to the context cache. */
const ROWS: readonly (readonly [
  string,
  number,
  boolean,
  (bench: Bench, tree: Tree) => void,
  (bench: Bench, tree: Tree, entry: bigint) => void,
])[] = [
  ['LRT.2', 0x1, true, (bench) => bench.poke(ROOT, 0n), (bench) => bench.poke(ROOT, CONTEXT | 1n)],
  ['LRT.3', 0xa, true, (bench) => bench.poke(ROOT, CONTEXT | 3n), (bench) => bench.poke(ROOT, CONTEXT | 1n)],
  ['LCT.2', 0x2, true, (bench) => bench.poke(CONTEXT_AT, 0n), (bench, _, entry) => bench.poke(CONTEXT_AT, entry)],
  [
    'LCT.3',
    0xb,
    true,
    (bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 0x10n),
    (bench, _, entry) => bench.poke(CONTEXT_AT, entry),
  ],
  [
    'LCT.4',
    0x3,
    true,
    (bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 4n),
    (bench, _, entry) => bench.poke(CONTEXT_AT, entry),
  ],
  [
    'LSS.1',
    0x7,
    false,
    (bench, tree) => bench.map(tree, IOVA, 0x4000_0003n, 2),
    (bench, tree) => {
      bench.poke(bench.entryAt(tree, IOVA, 2), 0n);
      bench.map(tree, IOVA, PAGE | 3n);
    },
  ],
  [
    'LSS.2',
    0xc,
    false,
    (bench, tree) => bench.map(tree, IOVA, PAGE | 3n | (1n << 62n)),
    (bench, tree) => bench.map(tree, IOVA, PAGE | 3n),
  ],
  ['LGN.3', 0x6, false, (bench, tree) => bench.map(tree, IOVA, 0n), (bench, tree) => bench.map(tree, IOVA, PAGE | 3n)],
];

describe.each(ROWS)('6.1 %s (reason %i)', (_, reason, isContext, spoil, mend) => {
  test('CM = 1: the fault may be cached, and mending the tables is not seen', () => {
    const { bench, tree, entry } = scene(1);
    spoil(bench, tree);
    expect(request(bench)).toBe(reason);
    mend(bench, tree, entry);
    expect(request(bench)).toBe(reason);
  });

  test('CM = 1: or it is gone, and the tables are read', () => {
    const { bench, tree, entry } = scene(1);
    spoil(bench, tree);
    request(bench);
    mend(bench, tree, entry);
    expect(request(bench, READ, (choices) => choices - 1)).toBe(PAGE);
  });

  test('CM = 0: it is never cached', () => {
    // Without paging-structure caches: an entry that references a table that cannot be read is itself no fault.
    const { bench, tree, entry } = scene(0, 0);
    spoil(bench, tree);
    expect(request(bench)).toBe(reason);
    mend(bench, tree, entry);
    expect(request(bench)).toBe(PAGE);
  });

  const invalidations: readonly (readonly [string, Descriptor, boolean])[] = isContext
    ? [
        ['global', contextInv(1), true],
        ['domain 0', contextInv(2, 0), true],
        ['device, domain 0', contextInv(3, 0, SID), true],
        ['the domain of the entry', contextInv(2, DID), false],
        ['device, the domain of the entry', contextInv(3, DID, SID), false],
        ['another device', contextInv(3, 0, SID + 8), false],
        ['IOTLB, global', iotlbInv({ g: 1 }), false],
      ]
    : [
        ['global', iotlbInv({ g: 1 }), true],
        ['its domain', iotlbInv({ g: 2, did: DID }), true],
        ['its page', iotlbInv({ g: 3, did: DID, addr: IOVA }), true],
        ['another domain', iotlbInv({ g: 2, did: 0 }), false],
        ['another page', iotlbInv({ g: 3, did: DID, addr: IOVA + 0x1000n }), false],
        ['context cache, global', contextInv(1), false],
      ];
  test.each(invalidations)('6.2.2, 6.2.4.1 invalidated by: %s', (_name, descriptor, drops) => {
    const { bench, tree, entry } = scene(1, 0);
    spoil(bench, tree);
    request(bench);
    mend(bench, tree, entry);
    bench.submit(descriptor);
    expect(request(bench)).toBe(drops ? PAGE : reason);
  });
});

describe('6.1 CM = 1', () => {
  test('6.2.5.5 a table that was missing: its entry may be cached too, and survives IH = 1', () => {
    const { bench, tree } = scene(1);
    const pde = bench.entryAt(tree, IOVA, 2);
    const table = bench.peek(pde);
    bench.poke(pde, 0n);
    expect(request(bench)).toBe(0x6);
    bench.poke(pde, table);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 1 }));
    expect(request(bench)).toBe(0x6);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 0 }));
    expect(request(bench)).toBe(PAGE);
  });

  test('a page that may be read only: what is refused and what is granted are cached side by side', () => {
    const { bench, tree } = scene(1);
    bench.map(tree, IOVA, PAGE | 1n);
    expect(request(bench, READ)).toBe(PAGE);
    expect(request(bench, WRITE)).toBe(0x5);
    bench.map(tree, IOVA, 0x777003n);
    expect(request(bench, READ)).toBe(PAGE);
    expect(request(bench, WRITE)).toBe(0x5);
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA }));
    expect(request(bench, READ)).toBe(0x777000n);
    expect(request(bench, WRITE)).toBe(0x777000n);
  });

  test('6.2.5.5 a table that may be read only: its entry is cached as refusing writes, and refuses no read', () => {
    const { bench, tree } = scene(1);
    const pde = bench.entryAt(tree, IOVA, 2);
    bench.poke(pde, bench.peek(pde) & ~2n);
    expect(request(bench, WRITE)).toBe(0x5);
    bench.poke(pde, bench.peek(pde) | 2n);
    expect(request(bench, WRITE)).toBe(0x5);
    // Leaf entries only: what is cached of the page directory stays.
    bench.submit(iotlbInv({ g: 3, did: DID, addr: IOVA, ih: 1 }));
    expect(request(bench, WRITE)).toBe(0x5);
    expect(request(bench, READ)).toBe(PAGE);
  });

  test('FPD is cached with it', () => {
    const { bench, entry } = scene(1);
    bench.poke(CONTEXT_AT, 2n);
    expect(request(bench)).toBe(0);
    bench.poke(CONTEXT_AT, entry);
    expect(request(bench), 'refused again, and not recorded').toBe(0);
    expect(bench.read32(REG.FSTS) & FSTS.PPF).toBe(0);
  });

  test('a walk whose entries were invalidated caches no fault', () => {
    const { bench, tree } = scene(1);
    bench.map(tree, IOVA, 0n);
    const flight = bench.issue(SID, IOVA);
    while (flight.state !== 'translating' || bench.unit.caches.paging[2]?.isEmpty()) flight.step();
    bench.submit(iotlbInv({ g: 1 }));
    expect(flight.walk()).toBe(false);
    bench.map(tree, IOVA, PAGE | 3n);
    expect(request(bench)).toBe(PAGE);
  });

  test('at once, nothing that faults is cached: CM = 1 permits it', () => {
    const bench = new Bench({ cap: { CM: 1 } }).start();
    const tree = bench.tree();
    bench.attach(SID, tree, DID);
    bench.map(tree, IOVA, 0n);
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x6 });
    bench.map(tree, IOVA, PAGE | 3n);
    expect(bench.translate(SID, IOVA)).toEqual({ page: PAGE });
  });

  test('what is refused from the cache is recorded as it was from the tables', () => {
    const { bench, tree } = scene(1);
    bench.map(tree, IOVA, 0n);
    request(bench, WRITE);
    const record = [bench.read64(REG.FRCD), bench.read64(REG.FRCD + 8)];
    request(bench, WRITE);
    expect([bench.read64(REG.FRCD), bench.read64(REG.FRCD + 8)]).toEqual(record);
    expect(record[0]).toBe(IOVA);
  });
});
