/** VT-d 6.1, 6.2.2 – 6.2.4.1 in scalable mode, in steps: what led to a fault may be cached with CAP.CM. */
import { describe, expect, test } from 'vitest';
import { describeScalableCaches } from '../../../src/iommu/vtd/scalable-cache-text.ts';
import { MARK, SLOT } from '../../../src/machine/index.ts';
import {
  DIRECTORY,
  FIRST,
  NESTED,
  PASID_TABLE,
  pasidCacheInv,
  pasidIotlbInv,
  ScalableBench,
  SECOND,
} from './scalable-unit.ts';
import { contextInv, iotlbInv, modelOnly, READ, ROOT, WRITE } from './unit.ts';

modelOnly('what is cached');

const SID = 0x10;
const PASID = 5;
const DID = 3;
const IOVA = 0x40_0000n;
const PAGE = 0x12000n;

interface Scene {
  readonly bench: ScalableBench;
  readonly second: bigint;
  readonly first: bigint;
  /** Address of the second-stage leaf of the page. */
  readonly leaf: bigint;
}

function scene(CM: number, pgtt: number = SECOND): Scene {
  const caches = { context: 16, iotlbSets: 1, iotlbWays: 16, pagingStructure: 0 };
  const bench = new ScalableBench({ cap: { CM }, dmaSlots: 2, caches });
  bench.setDevice(SID, { ridPasid: 9 });
  const [first, second] = [bench.newTable(), bench.newTable()];
  bench.identity(second);
  const leaf = bench.put(second, 4, IOVA, PAGE | 3n, 1, 3n);
  bench.put(first, 4, IOVA, (pgtt === NESTED ? IOVA : PAGE) | 0x67n, 1, 0x27n);
  bench.setPasid(PASID, { pgtt, did: DID, first, second });
  bench.startScalable();
  return { bench, first, leaf, second };
}

/** A request that uses whatever is cached, first choices first. @returns the page, or the reason that was recorded */
function request(bench: ScalableBench, access = READ, pick?: (n: number) => number): bigint | number {
  bench.clearFaults();
  const flight = bench.issue(SID, IOVA, access, 1, PASID);
  if (!flight.walk(pick)) return bench.recordedReason();
  const { page } = flight;
  flight.perform();
  return page;
}

type Change = (scene: Scene) => void;
const entryAt = ({ bench }: Scene) => bench.entryAtPasid(PASID);
const set = (at: (scene: Scene) => bigint, value: (old: bigint) => bigint): [Change, Change] => {
  let old = 0n;
  return [
    (made) => {
      old = made.bench.peek(at(made));
      made.bench.poke(at(made), value(old));
    },
    (made) => made.bench.poke(at(made), old),
  ];
};

/** Each fault that an entry can cause: how to get and how to mend it; which cache it belongs to. */
const ROWS: readonly (readonly [string, number, 'context' | 'pasid' | 'page', [Change, Change]])[] = [
  [
    'SRT.2',
    0x39,
    'context',
    set(
      () => ROOT,
      () => 0n,
    ),
  ],
  [
    'SRT.3',
    0x3a,
    'context',
    set(
      () => ROOT,
      (old) => old | 2n,
    ),
  ],
  [
    'SCT.2',
    0x41,
    'context',
    set(
      ({ bench }) => bench.contextAt(SID),
      () => 0n,
    ),
  ],
  [
    'SCT.3',
    0x42,
    'context',
    set(
      ({ bench }) => bench.contextAt(SID),
      (old) => old | 0x80n,
    ),
  ],
  [
    'SCT.4',
    0x43,
    'context',
    set(
      ({ bench }) => bench.contextAt(SID) + 8n,
      () => 0x2000n,
    ),
  ],
  [
    'SPD.2',
    0x51,
    'pasid',
    set(
      () => DIRECTORY,
      () => 0n,
    ),
  ],
  [
    'SPD.3',
    0x52,
    'pasid',
    set(
      () => DIRECTORY,
      (old) => old | 4n,
    ),
  ],
  ['SPT.2', 0x59, 'pasid', set(entryAt, () => 0n)],
  [
    'SPT.3',
    0x5a,
    'pasid',
    set(
      (made) => entryAt(made) + 56n,
      () => 1n,
    ),
  ],
  ['SPT.4', 0x5b, 'pasid', set(entryAt, (old) => old & ~0x1c0n)],
  [
    'SSS.2',
    0x79,
    'page',
    set(
      ({ leaf }) => leaf,
      () => 0n,
    ),
  ],
  [
    'SSS.3',
    0x7a,
    'page',
    set(
      ({ leaf }) => leaf,
      (old) => old | (1n << 51n),
    ),
  ],
  [
    'SGN.7',
    0x86,
    'page',
    set(
      ({ leaf }) => leaf,
      (old) => old & ~1n,
    ),
  ],
];

describe.each(ROWS)('6.1 %s (reason %i)', (_, reason, cache, [spoil, mend]) => {
  function spoilt(CM = 1): Scene {
    const made = scene(CM);
    spoil(made);
    expect(request(made.bench)).toBe(reason);
    mend(made);
    return made;
  }

  test('CM = 1: mending the tables is not seen, or the fault is gone', () => {
    const { bench } = spoilt();
    expect(request(bench)).toBe(reason);
    expect(request(bench, READ, (n) => n - 1)).toBe(PAGE);
    expect(request(bench)).toBe(PAGE);
  });

  test('CM = 0: it is never cached', () => {
    expect(request(spoilt(0).bench)).toBe(PAGE);
  });

  const OF = {
    context: [
      ['context cache, device', [...contextInv(3, 0, SID)], true],
      ['context cache, domain, which is global in scalable mode', [...contextInv(2, 7)], true],
      ['context cache, another device', [...contextInv(3, 0, SID + 8)], false],
      ['PASID cache, global', pasidCacheInv(3), false],
      ['IOTLB, global', [...iotlbInv({ g: 1 })], false],
    ],
    pasid: [
      ['PASID cache, global', pasidCacheInv(3), true],
      ['PASID cache, domain 0', pasidCacheInv(0, 0), true],
      ['PASID cache, PASID in domain 0', pasidCacheInv(1, 0, PASID), true],
      ['PASID cache, the domain of the entry', pasidCacheInv(0, DID), false],
      ['PASID cache, another PASID', pasidCacheInv(1, 0, PASID + 1), false],
      ['context cache, global', [...contextInv(1)], false],
      ['IOTLB, global', [...iotlbInv({ g: 1 })], false],
    ],
    page: [
      ['IOTLB, global', [...iotlbInv({ g: 1 })], true],
      ['IOTLB, its domain', [...iotlbInv({ g: 2, did: DID })], true],
      ['IOTLB, its page', [...iotlbInv({ g: 3, did: DID, addr: IOVA })], true],
      ['IOTLB, another page', [...iotlbInv({ g: 3, did: DID, addr: IOVA + 0x1000n })], false],
      ['IOTLB, domain 0', [...iotlbInv({ g: 2, did: 0 })], false],
      ['PASID-based, PASID', pasidIotlbInv({ g: 2, did: DID, pasid: PASID }), true],
      ['PASID-based, another PASID', pasidIotlbInv({ g: 2, did: DID, pasid: PASID + 1 }), false],
      ['PASID cache, global', pasidCacheInv(3), false],
    ],
  } as const;
  test.each(OF[cache].map((row) => [...row] as [string, bigint[], boolean]))(
    'invalidated by: %s',
    (_name, words, drops) => {
      const { bench } = spoilt();
      bench.queue(words);
      expect(request(bench)).toBe(drops ? PAGE : reason);
    },
  );
});

describe('6.1 CM = 1, scalable mode', () => {
  test.each([
    ['first stage: not present', FIRST, 0n, 0x71],
    ['first stage: not for writes', FIRST, 0x65n, 0x85],
    ['nested, in the first stage', NESTED, 0n, 0x71],
  ])('6.2.4.1 no fault of a first-stage mapping is cached: %s', (_, pgtt, bits, reason) => {
    const { bench, first } = scene(1, pgtt);
    const to = pgtt === NESTED ? IOVA : PAGE;
    const at = bench.put(first, 4, IOVA, bits === 0n ? 0n : to | bits, 1, 0x27n);
    expect(request(bench, WRITE)).toBe(reason);
    bench.poke(at, to | 0x67n);
    expect(request(bench, WRITE)).toBe(PAGE);
  });

  test('nested, in the second stage: it is', () => {
    const { bench, leaf } = scene(1, NESTED);
    bench.poke(leaf, 0n);
    expect(request(bench)).toBe(0x79);
    bench.poke(leaf, PAGE | 3n);
    expect(request(bench)).toBe(0x79);
    bench.queue(pasidIotlbInv({ g: 3, did: DID, pasid: PASID, addr: IOVA }));
    expect(request(bench)).toBe(PAGE);
  });

  test('a page that may be read only: what is refused and what is granted are cached side by side', () => {
    const { bench, leaf } = scene(1);
    bench.poke(leaf, PAGE | 1n);
    expect([request(bench, READ), request(bench, WRITE)]).toEqual([PAGE, 0x85]);
    bench.poke(leaf, 0n);
    expect([request(bench, READ), request(bench, WRITE)]).toEqual([PAGE, 0x85]);
    expect(bench.unit.scalableCaches?.iotlb.isEmpty()).toBe(false);
  });

  test('a walk whose entries were invalidated caches no fault', () => {
    const { bench, leaf } = scene(1);
    bench.poke(leaf, 0n);
    const flight = bench.issue(SID, IOVA, READ, 1, PASID);
    while (flight.state !== 'over' && (bench.machine?.dma.get(flight.slot, SLOT.level) ?? 0) >= 0) {
      if ((bench.machine?.dma.get(flight.slot, SLOT.step) ?? 0) > 40) break;
      flight.step();
    }
    flight.step();
    bench.queue([...iotlbInv({ g: 1 })]);
    expect((bench.machine?.dma.get(flight.slot, SLOT.flags) ?? 0) & MARK.stale).toBe(MARK.stale);
    expect(flight.walk()).toBe(false);
    bench.poke(leaf, PAGE | 3n);
    expect(request(bench)).toBe(PAGE);
  });

  test('FPD is cached with it, of the context entry and of the PASID-table entry', () => {
    for (const at of [(made: Scene) => made.bench.contextAt(SID), entryAt]) {
      const made = scene(1);
      made.bench.poke(at(made), 2n);
      expect([request(made.bench), request(made.bench)]).toEqual([0, 0]);
      made.bench.poke(at(made), 0n);
      expect(request(made.bench)).toBe(0);
    }
  });

  test('memory that cannot be read, and what depends on the request, is no entry', () => {
    const { bench } = scene(1);
    const context = bench.peek(bench.contextAt(SID));
    // The directory is beyond memory; then PASIDE is 0.
    for (const word of [0x7fff_f000n | 9n, context & ~8n]) {
      bench.poke(bench.contextAt(SID), word);
      expect(request(bench)).toBe(word === (context & ~8n) ? 0x45 : 0x50);
      bench.poke(bench.contextAt(SID), context);
      bench.queue([...contextInv(1)]);
      expect(request(bench)).toBe(PAGE);
      bench.dropCaches();
    }
    expect(bench.peek(PASID_TABLE)).toBe(0n);
  });

  test('a device with ATS is answered from a cached fault, without rights', () => {
    const bench = new ScalableBench({ cap: { CM: 1 }, dmaSlots: 2, atcEntries: 2, itags: 1, ecap: { DT: 1 } });
    bench.setDevice(SID, { ridPasid: 9 });
    bench.poke(bench.contextAt(SID), bench.peek(bench.contextAt(SID)) | 4n);
    const second = bench.newTable();
    const leaf = bench.put(second, 4, IOVA, 0n, 1, 3n);
    bench.setPasid(PASID, { pgtt: SECOND, did: DID, second });
    bench.startScalable();
    bench.machine?.dma.requesters.push({ name: 'nic', sid: SID, did: 1, pasid: PASID, ats: true });
    expect(request(bench)).toBe(0);
    bench.poke(leaf, PAGE | 3n);
    expect(request(bench)).toBe(0);
    expect(request(bench, READ, (n) => n - 1)).toBe(PAGE);
  });

  test('stories tell which faults are held', () => {
    const made = scene(1);
    const { bench, leaf } = made;
    const text = () => {
      const caches = bench.unit.scalableCaches;
      return caches === null ? [] : describeScalableCaches(caches).filter((line) => line.includes('refused'));
    };
    bench.poke(leaf, 0n);
    request(bench);
    expect(text()).toEqual(['IOTLB: 00:02.0 PASID 0x5, DID 3, IOVA 0x400000, refused: fault reason 0x79']);
    bench.dropCaches();
    bench.poke(entryAt(made), 0n);
    request(bench);
    expect(text()).toEqual(['PASID cache: 00:02.0 PASID 0x5, refused: fault reason 0x59']);
    bench.dropCaches();
    bench.poke(bench.contextAt(SID), 0n);
    request(bench);
    expect(text()).toEqual(['context cache: 00:02.0, refused: fault reason 0x41']);
  });
});
