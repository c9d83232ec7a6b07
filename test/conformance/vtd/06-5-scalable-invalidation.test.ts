// Long because each descriptor is tried on the same tables.
import { describe, expect, test } from 'vitest';
import { FIRST, NESTED, PASS, pasidCacheInv, pasidIotlbInv, ScalableBench, SECOND } from './scalable-unit.ts';
import { FSTS, iotlbInv, QUEUE, queueErrorInfo, READ, REG, ROOT, SRTP, TE, WRITE, wait } from './unit.ts';

const SID = 0x18;
const OTHER = 0x20;
const NEAR = 0x1000n;
const FAR = 0x40_0000n;
/** Where both lead. */
const TO: ReadonlyMap<bigint, bigint> = new Map([
  [NEAR, 0x8000n],
  [FAR, 0x9000n],
]);
/** IQEI, `wanted` where a unit gives none; 0 without an error. */
const error = (bench: ScalableBench, wanted: number) =>
  (bench.read32(REG.FSTS) & FSTS.IQE) === 0 ? 0 : queueErrorInfo(bench, wanted);

/** PASID 1: first stage, DID 1; 2: second stage, DID 2; 3: nested, DID 3; 4 as 1 under DID 4; and no translation of PASID 9 (RID_PASID). */
const PASIDS = [
  [1, 1],
  [2, 2],
  [3, 3],
  [4, 4],
] as const;

interface Tables {
  readonly bench: ScalableBench;
  /** Top tables, by PASID. */
  readonly tops: Readonly<Record<number, bigint>>;
  /** Clears everything below the tops: what still translates is cached. */
  empty(): void;
}

function tables(paging = 0): Tables {
  const bench = new ScalableBench({ caches: { pagingStructure: paging, iotlbWays: 32 } }).startScalable();
  bench.setDevice(SID, { ridPasid: 9 });
  bench.setDevice(OTHER, { ridPasid: 9 });
  const identity = bench.newTable();
  bench.identity(identity);
  const tops: Record<number, bigint> = {};
  const leaves: bigint[] = [];
  for (const [pasid, did] of PASIDS) {
    const top = bench.newTable();
    tops[pasid] = top;
    for (const page of [NEAR, FAR]) leaves.push(bench.put(top, 4, page, (TO.get(page) as bigint) | 0x77n, 1, 0x27n));
    if (pasid === 2) bench.setPasid(2, { pgtt: SECOND, did, second: top });
    else
      bench.setPasid(pasid, {
        pgtt: pasid === 3 ? NESTED : FIRST,
        did,
        first: top,
        second: pasid === 3 ? identity : 0n,
      });
    for (const page of [NEAR, FAR]) expect(bench.ask(SID, page, { pasid })).toEqual({ page: TO.get(page) });
  }
  return { bench, tops, empty: () => leaves.forEach((at) => void bench.poke(at, 0n)) };
}

/** What is still translated: PASID and N for {@link NEAR}, F for {@link FAR}. */
function left({ bench, empty }: Tables): string {
  empty();
  const out: string[] = [];
  for (const [pasid] of PASIDS)
    for (const [name, page] of [
      ['N', NEAR],
      ['F', FAR],
    ] as const)
      if ('page' in bench.ask(SID, page, { pasid })) out.push(`${pasid}${name}`);
  return out.join(' ');
}

const EVERYTHING = '1N 1F 2N 2F 3N 3F 4N 4F';

describe('6.5.2.3, 6.5.2.4: what is dropped of the IOTLB (tables 23 and 24)', () => {
  const cases: [string, bigint[], string][] = [
    ['none', [0n], EVERYTHING],
    ['IOTLB, global', [0x12n], ''],
    ['IOTLB, domain 2', [0x22n | (2n << 16n)], '1N 1F 3N 3F 4N 4F'],
    ['IOTLB, domain 3', [0x22n | (3n << 16n)], '1N 1F 2N 2F 4N 4F'],
    [
      'IOTLB, page of domain 2: second stage, by address',
      [...iotlbInv({ g: 3, did: 2, addr: NEAR })],
      '1N 1F 2F 3N 3F 4N 4F',
    ],
    [
      'IOTLB, page of domain 3: nested, whatever the address',
      [...iotlbInv({ g: 3, did: 3, addr: NEAR })],
      '1N 1F 2N 2F 4N 4F',
    ],
    [
      'IOTLB, page of domain 1: first stage, whatever the address',
      [...iotlbInv({ g: 3, did: 1, addr: 0x7000_0000n, am: 0 })],
      '2N 2F 3N 3F 4N 4F',
    ],
    ['PASID-based, PASID 1 of domain 1', pasidIotlbInv({ g: 2, did: 1, pasid: 1 }), '2N 2F 3N 3F 4N 4F'],
    [
      'PASID-based, PASID 2 of domain 2: the second stage, too',
      pasidIotlbInv({ g: 2, did: 2, pasid: 2 }),
      '1N 1F 3N 3F 4N 4F',
    ],
    ['PASID-based, PASID 1 of another domain', pasidIotlbInv({ g: 2, did: 4, pasid: 1 }), EVERYTHING],
    ['PASID-based, another PASID', pasidIotlbInv({ g: 2, did: 1, pasid: 4 }), EVERYTHING],
    ['PASID-based, page of PASID 1', pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: NEAR }), '1F 2N 2F 3N 3F 4N 4F'],
    [
      'PASID-based, page of PASID 3: nested',
      pasidIotlbInv({ g: 3, did: 3, pasid: 3, addr: FAR }),
      '1N 1F 2N 2F 3N 4N 4F',
    ],
    [
      'PASID-based, page of PASID 2: not the second stage',
      pasidIotlbInv({ g: 3, did: 2, pasid: 2, addr: NEAR }),
      EVERYTHING,
    ],
    [
      'PASID-based, AM 9: not the other page',
      pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: NEAR, am: 9 }),
      '1F 2N 2F 3N 3F 4N 4F',
    ],
    [
      'PASID-based, AM 63, above CAP.MAMV: every page',
      pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: 0n, am: 63 }),
      '2N 2F 3N 3F 4N 4F',
    ],
    ['PASID cache, global: no translation', pasidCacheInv(3), EVERYTHING],
    ['context cache, global: no translation', [0x11n], EVERYTHING],
  ];

  test.each(cases)('%s', (_, descriptor, want) => {
    const all = tables();
    if (descriptor[0] !== 0n) all.bench.queue(descriptor);
    expect(error(all.bench, 1)).toBe(0);
    expect(left(all)).toBe(want);
  });
});

describe('6.5.2.2: the PASID cache', () => {
  /** PASIDs whose entry is cached still, though memory says that it is not present. */
  function cached(descriptor: bigint[]): number[] {
    const { bench } = tables();
    bench.queue(descriptor, [0x12n]);
    for (const [pasid] of PASIDS) bench.poke(bench.entryAtPasid(pasid), 0n);
    return PASIDS.filter(([pasid]) => 'page' in bench.ask(SID, NEAR, { pasid })).map(([pasid]) => pasid);
  }

  test.each([
    ['global', pasidCacheInv(3), []],
    ['domain', pasidCacheInv(0, 2), [1, 3, 4]],
    ['PASID of a domain', pasidCacheInv(1, 3, 3), [1, 2, 4]],
    ['PASID of another domain', pasidCacheInv(1, 2, 3), [1, 2, 3, 4]],
    ['domain, whose PASID field is ignored', pasidCacheInv(0, 4, 1), [1, 2, 3]],
    ['IOTLB alone', [0x12n], [1, 2, 3, 4]],
    ['PASID-based IOTLB alone', pasidIotlbInv({ g: 2, did: 1, pasid: 1 }), [1, 2, 3, 4]],
    ['context cache alone', [0x11n], [1, 2, 3, 4]],
  ])('%s', (_, descriptor, want) => {
    expect(cached(descriptor)).toEqual(want);
  });
});

describe('6.5.2.1: the context cache, which has no domain ids in scalable mode', () => {
  test.each([
    ['global', 0x11n, []],
    ['domain: as global', 0x21n | (77n << 16n), []],
    ['device: DID is ignored', 0x31n | (77n << 16n) | (BigInt(SID) << 32n), [OTHER]],
    ['device and all its functions', 0x31n | (BigInt(SID + 3) << 32n) | (3n << 48n), [OTHER]],
    ['another device', 0x31n | (0x28n << 32n), [SID, OTHER]],
    ['PASID cache alone', 0x37n, [SID, OTHER]],
  ] as const)('%s', (_, word, want) => {
    const { bench } = tables();
    bench.ask(OTHER, NEAR, { pasid: 1 });
    bench.queue([word], [0x12n]);
    for (const sid of [SID, OTHER]) bench.poke(bench.contextAt(sid), 0n);
    expect([SID, OTHER].filter((sid) => 'page' in bench.ask(sid, NEAR, { pasid: 1 }))).toEqual(want);
  });
});

describe('6.2.5, 6.5.2.4: paging-structure caches', () => {
  /** Whether the walk still begins below the top, which is empty. */
  function survives(pasid: number, descriptor: bigint[]): boolean {
    const { bench, tops } = tables(8);
    bench.queue(descriptor);
    if (descriptor[0] === 0n) return false;
    for (let i = 0; i < 512; i++) bench.poke((tops[pasid] as bigint) + BigInt(8 * i), 0n);
    // The IOTLB entry is gone in each of these cases: only a cached PML4E, PDPE or PDE can help.
    return 'page' in bench.ask(SID, NEAR, { pasid });
  }

  test.each([
    ['first stage, IH 0', 1, pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: NEAR }), false],
    ['first stage, IH 1', 1, pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: NEAR, ih: 1 }), true],
    ['first stage, all of the PASID', 1, pasidIotlbInv({ g: 2, did: 1, pasid: 1, ih: 1 }), false],
    ['nested, IH 1', 3, pasidIotlbInv({ g: 3, did: 3, pasid: 3, addr: NEAR, ih: 1 }), true],
    [
      'nested, page of the domain, IH 1: combined entries go',
      3,
      [...iotlbInv({ g: 3, did: 3, addr: NEAR, ih: 1 })],
      false,
    ],
    ['second stage, page of the domain, IH 1', 2, [...iotlbInv({ g: 3, did: 2, addr: NEAR, ih: 1 })], true],
    ['second stage, page of the domain, IH 0', 2, [...iotlbInv({ g: 3, did: 2, addr: NEAR })], false],
    ['second stage, all of the PASID: not theirs (table 24)', 2, pasidIotlbInv({ g: 2, did: 2, pasid: 2 }), true],
  ] as const)('%s', (_, pasid, descriptor, want) => {
    expect(survives(pasid, [...descriptor])).toBe(want);
  });
});

describe('6.5.2, 11.4.9.9: descriptors of 256 bits and what is refused', () => {
  const start = (ttm: bigint, dw: bigint, ecap = {}) => {
    const bench = new ScalableBench({ ecap });
    bench.write64(REG.RTADDR, ROOT | (ttm << 10n));
    bench.write32(REG.GCMD, SRTP);
    bench.write32(REG.GCMD, TE);
    bench.write64(REG.IQA, QUEUE | (dw << 11n));
    bench.write32(REG.GCMD, TE | (1 << 26));
    return bench;
  };

  test.each([
    ['legacy mode, 128 bits', 0n, 0n, {}, 0],
    ['legacy mode, 256 bits', 0n, 1n, {}, 0],
    ['scalable mode, 128 bits', 1n, 0n, {}, 5],
    ['scalable mode, 256 bits', 1n, 1n, {}, 0],
    ['reserved mode', 2n, 1n, {}, 7],
    ['abort-DMA mode that there is not', 3n, 1n, {}, 7],
    ['abort-DMA mode, 256 bits', 3n, 1n, { ADMS: 1 }, 0],
    ['abort-DMA mode, 128 bits', 3n, 0n, { ADMS: 1 }, 5],
  ])('table 26: %s', (_, ttm, dw, ecap, want) => {
    const bench = start(ttm, dw, ecap);
    const size = dw === 1n ? 32 : 16;
    bench.pokeAll(QUEUE, [0x11n, 0n, 0n, 0n]);
    bench.write32(REG.IQT, size);
    bench.run();
    expect(error(bench, want)).toBe(want);
    expect(bench.read32(REG.IQH)).toBe(want === 0 ? size : 0);
  });

  test.each([6, 7])('table 26: type %i is none of legacy mode', (type) => {
    const bench = start(0n, 1n);
    bench.queue([BigInt(type) | 0x30n]);
    expect(error(bench, 3)).toBe(3);
  });

  test.each([3, 4, 8, 9, 10, 0, 11, 15])('type %i needs what the unit lacks, or is none: 3', (type) => {
    const { bench } = tables();
    bench.queue([BigInt(type)]);
    expect(error(bench, 3)).toBe(3);
  });

  test.each([
    ['PASID cache', 7n, [2], [...range(6, 8), ...range(12, 15), ...range(52, 63)], range(0, 63)],
    ['PASID-based IOTLB', 6n, [0, 1], [...range(6, 8), ...range(12, 15), ...range(52, 63)], range(7, 11)],
  ] as const)('%s: reserved granularities and bits: 4', (_, type, bad, low, high) => {
    for (let g = 0; g < 4; g++) {
      const { bench } = tables();
      bench.queue([type | (BigInt(g) << 4n)]);
      expect(error(bench, 4), `G ${g}`).toBe((bad as readonly number[]).includes(g) ? 4 : 0);
    }
    const good = type | 0x30n;
    const refused = (words: bigint[]) => {
      const bench = start(1n, 1n);
      bench.queue(words);
      return error(bench, 4) === 4;
    };
    const flips = range(6, 63).filter((n) => (n < 9 || n > 11) && refused([good ^ (1n << BigInt(n))]));
    expect(flips).toEqual(low);
    expect(range(0, 63).filter((n) => refused([good, 1n << BigInt(n)]))).toEqual(high);
    for (const word of [2, 3])
      for (const n of [0, 31, 32, 63]) expect(refused([good, ...Array(word - 1).fill(0n), 1n << BigInt(n)])).toBe(true);
  });

  test.each([
    ['context cache', 0x11n],
    ['IOTLB', 0x12n],
    ['wait', 0x45n],
  ])('%s, of 128 bits elsewhere: the upper 128 are reserved: 4', (_, descriptor) => {
    const refused = (words: bigint[]) => {
      const bench = start(1n, 1n);
      bench.queue(words);
      return error(bench, 4) === 4;
    };
    expect(refused([descriptor])).toBe(false);
    for (const word of [2, 3])
      for (const n of [0, 31, 32, 63])
        expect(refused([descriptor, ...Array(word - 1).fill(0n), 1n << BigInt(n)]), `word ${word}, bit ${n}`).toBe(
          true,
        );
  });

  test('11.4.9.2 a tail amid a descriptor: 6', () => {
    const { bench } = tables();
    bench.write32(REG.IQT, 0x30);
    bench.run();
    expect(error(bench, 6)).toBe(6);
  });

  test('11.4.9.3 a queue of one page has 128 of them and wraps', () => {
    const { bench } = tables();
    for (let i = 0; i < 130; i++) {
      bench.queue([...wait({ sw: 1, data: BigInt(i), addr: 0x20000n })]);
      expect(bench.peek(0x20000n) & 0xffffffffn).toBe(BigInt(i));
    }
    expect(bench.read32(REG.IQH)).toBe(64);
  });

  test('11.4.4.1 TE: clearing it drops all caches of a unit with scalable mode', () => {
    const all = tables();
    all.bench.write32(REG.GCMD, 1 << 26);
    all.bench.write32(REG.GCMD, TE | (1 << 26));
    expect(left(all)).toBe('');
  });
});

describe('6.2.4: dirty flags in the IOTLB', () => {
  test('a write through a translation that a read has cached sets the flag', () => {
    const bench = new ScalableBench().startScalable();
    bench.setDevice(SID, { ridPasid: 3 });
    const top = bench.newTable();
    const leaf = bench.put(top, 4, NEAR, 0x7000n | 7n);
    bench.setPasid(3, { pgtt: FIRST, first: top });
    bench.ask(SID, NEAR, { access: READ });
    expect(bench.peek(leaf)).toBe(0x7027n);
    bench.ask(SID, NEAR, { access: WRITE });
    expect(bench.peek(leaf)).toBe(0x7067n);
    bench.poke(leaf, 0x7007n);
    bench.ask(SID, NEAR, { access: WRITE });
    expect(bench.peek(leaf), 'cached as dirty: not looked at').toBe(0x7007n);
  });
});

describe('6.5.4, 6.5.2.4: draining, in steps', () => {
  function inFlight(pgtt: number, access: number) {
    const bench = new ScalableBench({ dmaSlots: 2 }).startScalable();
    bench.setDevice(SID, { ridPasid: 9 });
    const top = bench.newTable();
    bench.put(top, 4, NEAR, 0x7000n | 0x367n, 1, 0x27n);
    const entry = pgtt === SECOND ? { second: top } : pgtt === FIRST ? { first: top } : {};
    bench.setPasid(1, { pgtt, did: 1, ...entry });
    const flight = bench.issue(SID, NEAR, access, 1, 1);
    flight.walk();
    return { bench, flight };
  }

  test.each([
    ['PASID-based: reads of it', FIRST, READ, pasidIotlbInv({ g: 2, did: 1, pasid: 1 }), true],
    ['PASID-based: writes of it', FIRST, WRITE, pasidIotlbInv({ g: 2, did: 1, pasid: 1 }), true],
    ['PASID-based: pass-through of it', PASS, WRITE, pasidIotlbInv({ g: 2, did: 1, pasid: 1 }), true],
    ['PASID-based: another PASID', FIRST, WRITE, pasidIotlbInv({ g: 2, did: 1, pasid: 2 }), false],
    ['PASID-based: another domain', FIRST, WRITE, pasidIotlbInv({ g: 2, did: 2, pasid: 1 }), false],
    ['PASID-based, page: its page', FIRST, WRITE, pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: NEAR }), true],
    ['PASID-based, page: another page', FIRST, WRITE, pasidIotlbInv({ g: 3, did: 1, pasid: 1, addr: FAR }), false],
    ['IOTLB, domain, DW', SECOND, WRITE, [...iotlbInv({ g: 2, did: 1, dw: 1 })], true],
    ['IOTLB, domain, DR: not writes', SECOND, WRITE, [...iotlbInv({ g: 2, did: 1, dr: 1 })], false],
    ['IOTLB, page, DW: another page', SECOND, WRITE, [...iotlbInv({ g: 3, did: 1, addr: FAR, dw: 1 })], false],
    [
      'IOTLB, page, DW: first stage, whatever the page',
      FIRST,
      WRITE,
      [...iotlbInv({ g: 3, did: 1, addr: FAR, dw: 1 })],
      true,
    ],
    ['IOTLB, domain, nothing asked for', SECOND, WRITE, [...iotlbInv({ g: 2, did: 1 })], false],
  ] as const)('%s', (_, pgtt, access, descriptor, waits) => {
    const { bench, flight } = inFlight(pgtt, access);
    expect(flight.state).toBe('translated');
    bench.queue([...descriptor], [...wait({ sw: 1, data: 5n, addr: 0x20000n })]);
    expect(bench.peek(0x20000n)).toBe(waits ? 0n : 5n);
    flight.perform();
    bench.run();
    expect(bench.peek(0x20000n)).toBe(5n);
  });
});

describe('6.2, 6.5: walks in progress', () => {
  /** Look-up, root, context twice, directory, table entry twice, PML4E, PDPE, PDE: after the first of these nothing has been read. */
  test.each(range(1, 10))(
    'after %i steps: the invalidation of everything waits for it, and it fills nothing',
    (steps) => {
      const bench = new ScalableBench({ dmaSlots: 2, caches: { pagingStructure: 4 } }).startScalable();
      bench.setDevice(SID, { ridPasid: 9 });
      const top = bench.newTable();
      bench.put(top, 4, NEAR, 0x7000n | 0x67n, 1, 0x27n);
      bench.setPasid(1, { pgtt: FIRST, did: 1, first: top });
      const flight = bench.issue(SID, NEAR, READ, 1, 1);
      for (let i = 0; i < steps; i++) flight.step();
      bench.queue([0x11n], [0x37n], [0x12n], [...wait({ sw: 1, data: 5n, addr: 0x20000n })]);
      expect(bench.peek(0x20000n)).toBe(steps === 1 ? 5n : 0n);
      expect(flight.walk()).toBe(true);
      bench.run();
      expect(bench.peek(0x20000n)).toBe(5n);
      const caches = bench.unit.scalableCaches;
      if (caches === null) throw new Error('no scalable mode');
      for (const cache of [caches.iotlb, ...caches.first])
        if (cache.entries > 0 && cache !== caches.first[5]) expect(cache.isEmpty()).toBe(steps !== 1);
    },
  );

  test('6.2.3, chapter 9: a PASID-table entry that changes between its parts is seen torn (I5)', () => {
    const bench = new ScalableBench({ dmaSlots: 1 }).startScalable();
    bench.setDevice(SID, { ridPasid: 9 });
    const [a, b] = [bench.newTable(), bench.newTable()];
    bench.put(a, 4, NEAR, 0x7000n | 0x67n, 1, 0x27n);
    bench.put(b, 4, NEAR, 0x8000n | 0x67n, 1, 0x27n);
    bench.setPasid(1, { pgtt: FIRST, did: 1, first: a });
    const flight = bench.issue(SID, NEAR, READ, 1, 1);
    // Look-up, root, context twice, directory, first quarter.
    for (let i = 0; i < 6; i++) flight.step();
    bench.setPasid(1, { pgtt: FIRST, did: 2, first: b });
    expect(flight.walk()).toBe(true);
    // The new pointer with the old domain id, which an invalidation of domain 2 does not reach.
    expect(flight.page).toBe(0x8000n);
    flight.perform();
    bench.queue([0x22n | (2n << 16n)]);
    expect(bench.unit.scalableCaches?.iotlb.isEmpty()).toBe(false);
    bench.queue([0x22n | (1n << 16n)]);
    expect(bench.unit.scalableCaches?.iotlb.isEmpty()).toBe(true);
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe('not yet', () => {
  test.todo('6.2.5.5 CAP.CM: faults of second-stage paging entries above the leaves in the paging-structure caches');
  test.todo('6.5.3.5 a cached translation without the right refuses in scalable mode (iotlb.deny)');
  test.todo('6.5.3.2 fractured translations in scalable mode');
  test.todo('3.6.2 flags that are set speculatively; 0x91 and 0x7d: an update that fails');
});
