import { describe, expect, test } from 'vitest';
import type { Entry } from './scalable-unit.ts';
import { FIRST, NESTED, PASS, ScalableBench, SECOND, USED } from './scalable-unit.ts';
import type { Answer, BenchOptions } from './unit.ts';
import { ON_QEMU, READ, ROOT, WRITE } from './unit.ts';

const SID = 0x18;
const IOVA = 0x40_8060_3000n;
const PAGE = 0x45000n;

const bits = (from: number, to = from): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const ALL = bits(0, 63);

interface Set {
  readonly bench: ScalableBench;
  readonly leaf: bigint;
  readonly firstTop: bigint;
  readonly secondTop: bigint;
}

/** PASID of requests without one. */
const OWN = USED.entry;

/** One page of that PASID. To QEMU’s first stage AW matters, as a test of its own shows; the others have it right. */
function mapped(pgtt: number, options: BenchOptions = {}, entry: Entry = {}): Set {
  const bench = new ScalableBench({ haw: 48, ...options }).startScalable();
  bench.setDevice(SID, { ridPasid: OWN, paside: options.ecap?.PASID === 0 ? 0 : 1 });
  const [firstTop, secondTop] = [bench.newTable(), bench.newTable()];
  if (pgtt === NESTED) bench.identity(secondTop, 4, 0x303n);
  const leaf =
    pgtt === SECOND
      ? bench.put(secondTop, 4, IOVA, PAGE | 0x303n, 1, 3n)
      : bench.put(firstTop, 4, IOVA, PAGE | 0x67n, 1, 0x27n);
  const first = pgtt === FIRST || pgtt === NESTED ? { first: firstTop } : {};
  const second = pgtt === SECOND || pgtt === NESTED ? { second: secondTop } : {};
  bench.setPasid(OWN, {
    pgtt,
    ...first,
    ...second,
    aw: pgtt === PASS || (pgtt === FIRST && !ON_QEMU) ? 0 : 2,
    ...entry,
  });
  return { bench, leaf, firstTop, secondTop };
}

/** The answer with one bit of a word flipped, nothing cached. */
function flipped(bench: ScalableBench, at: bigint, n: number, access = READ): Answer {
  const word = bench.peek(at);
  bench.poke(at, word ^ (1n << BigInt(n)));
  bench.flushAll();
  const answer = bench.ask(SID, IOVA, { access });
  bench.poke(at, word);
  return answer;
}

/** Bits of a word whose flip gives the reason. */
function giving(bench: ScalableBench, at: bigint, reason: number): number[] {
  const wanted = bench.refused(reason) as { fault: number };
  return ALL.filter((n) => {
    const answer = flipped(bench, at, n);
    return 'fault' in answer && answer.fault === wanted.fault;
  });
}

describe('9.2 scalable-mode root entry', () => {
  test.each([40, 48, 52])('9.2 bits 63:HAW and 11:1 of the half in use are reserved (HAW %i)', (haw) => {
    const { bench } = mapped(SECOND, { haw, cap: { MGAW: Math.max(haw, 48) - 1 } });
    expect(giving(bench, ROOT, 0x3a)).toEqual([...bits(1, 11), ...bits(haw, 63)]);
    expect(flipped(bench, ROOT, 0)).toEqual(bench.refused(0x39));
    for (const n of ALL) expect(flipped(bench, ROOT + 8n, n), `bit ${64 + n}`).toEqual({ page: PAGE });
  });

  test('9.2 devices 16 – 31 have the upper half, 128 functions each', () => {
    const { bench } = mapped(SECOND);
    bench.pokeAll(ROOT, [0n, bench.peek(ROOT)]);
    for (const sid of [0x98, 0xff])
      bench.pokeAll(
        bench.contextAt(sid),
        bits(0, 3).map((i) => bench.peek(bench.contextAt(SID) + BigInt(8 * i))),
      );
    for (const sid of [0x98, 0xff]) expect(bench.ask(sid, IOVA)).toEqual({ page: PAGE });
    for (const sid of [SID, 0x7f]) expect(bench.ask(sid, IOVA)).toEqual(bench.refused(0x39));
  });
});

describe('9.4 scalable-mode context entry', () => {
  test.each([
    ['all that the model has', {}, [...bits(2), ...bits(4, 8)], bits(21, 63)],
    ['no PASIDs', { PASID: 0 }, [...bits(2, 8)], bits(21, 63)],
    ['no RID_PRIV', { RPRIVS: 0 }, [...bits(2), ...bits(4, 8)], bits(20, 63)],
  ] as const)('9.4 reserved bits: %s', (_, ecap, low, high) => {
    const { bench } = mapped(SECOND, { ecap });
    const at = bench.contextAt(SID);
    expect(giving(bench, at, 0x42)).toEqual([...low, ...bits(48, 63)]);
    expect(giving(bench, at + 8n, 0x42)).toEqual(high);
    for (const word of [2n, 3n]) expect(giving(bench, at + 8n * word, 0x42)).toEqual(ALL);
    expect(flipped(bench, at, 0)).toEqual(bench.refused(0x41));
  });

  test('9.4 RID_PASID is reserved without ECAP.RPS, and requests without PASID are PASID 0', () => {
    const { bench } = mapped(SECOND, { ecap: { RPS: 0 } });
    expect(bench.ask(SID, IOVA)).toEqual(bench.refused(0x42));
    bench.poke(bench.contextAt(SID) + 8n, 0n);
    expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x59 });
    bench.setPasid(0, { pgtt: PASS });
    expect(bench.ask(SID, IOVA)).toEqual({ page: IOVA });
  });

  test.each([0, 3, 6])('9.4 PDTS %i: the directory has 2^(PDTS + 7) entries', (pdts) => {
    const { bench } = mapped(SECOND);
    const beyond = 1 << (pdts + 13);
    bench.setDevice(SID, { pdts, ridPasid: beyond - 1 });
    expect(bench.ask(SID, IOVA)).not.toEqual({ fault: 0x43 });
    expect(bench.ask(SID, IOVA, { pasid: beyond - 2 })).not.toEqual({ fault: 0x46 });
    expect(bench.ask(SID, IOVA, { pasid: beyond })).toEqual({ fault: 0x46 });
    bench.setDevice(SID, { pdts, ridPasid: beyond });
    bench.flushAll();
    expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x43 });
  });
});

describe('9.5 PASID directory entry', () => {
  test('9.5 bits 63:HAW and 11:2 are reserved', () => {
    const { bench } = mapped(SECOND);
    expect(giving(bench, 0x5000n, 0x52)).toEqual([...bits(2, 11), ...bits(48, 63)]);
    expect(flipped(bench, 0x5000n, 0)).toEqual({ fault: 0x51 });
    expect(flipped(bench, 0x5000n, 1)).toEqual({ page: PAGE });
  });
});

describe('9.6 PASID table entry', () => {
  test.each([
    [
      'all that the model has',
      SECOND,
      {},
      [5, 10, 11, ...bits(48, 63)],
      [...bits(16, 22), ...bits(25, 63)],
      [1, ...bits(8, 11), ...bits(48, 63)],
    ],
    [
      'no second-stage flags',
      SECOND,
      { SSADS: 0 },
      [5, 9, 10, 11, ...bits(48, 63)],
      [...bits(16, 22), ...bits(25, 63)],
      [1, ...bits(8, 11), ...bits(48, 63)],
    ],
    [
      'no supervisors, no EA, no SC',
      SECOND,
      { SRS: 0, RPRIVS: 0, EAFS: 0, SC: 0 },
      [5, 10, 11, ...bits(48, 63)],
      [...bits(16, 22), ...bits(24, 63)],
      [0, 1, ...bits(7, 11), ...bits(48, 63)],
    ],
    [
      'no first stage',
      SECOND,
      { FSTS: 0, NEST: 0, EAFS: 0, SRS: 0, RPRIVS: 0 },
      [5, 10, 11, ...bits(48, 63)],
      [...bits(16, 22), ...bits(25, 63)],
      [...bits(0, 4), ...bits(7, 63)],
    ],
    [
      'no second stage',
      FIRST,
      { SSTS: 0, NEST: 0, SSADS: 0 },
      [...bits(2, 5), ...bits(9, 63)],
      [...bits(16, 22), ...bits(25, 63)],
      [1, ...bits(8, 11), ...bits(48, 63)],
    ],
  ] as const)('9.6 reserved bits: %s', (_, pgtt, ecap, w0, w1, w2) => {
    const { bench } = mapped(pgtt, { ecap, cap: { FS1GP: 0 } });
    const at = bench.entryAtPasid(OWN);
    expect(giving(bench, at, 0x5a)).toEqual(w0);
    expect(giving(bench, at + 8n, 0x5a)).toEqual(w1);
    expect(giving(bench, at + 16n, 0x5a)).toEqual(w2);
    for (let word = 3; word < 8; word++)
      expect(giving(bench, at + BigInt(8 * word), 0x5a), `word ${word}`).toEqual(ALL);
    expect(flipped(bench, at, 0)).toEqual({ fault: 0x59 });
  });

  test.each([
    [0, 4],
    [2, 8],
    [6, 16],
  ])('9.6 domain-id bits above ND %i are reserved', (ND, width) => {
    const { bench } = mapped(SECOND, { cap: { ND } });
    const reserved = giving(bench, bench.entryAtPasid(OWN) + 8n, 0x5a).filter((n) => n < 16);
    expect(reserved).toEqual(width === 16 ? [] : bits(width, 15));
  });

  test.each([
    [0, {}, 0x5b],
    [1, { FSTS: 0, NEST: 0, EAFS: 0 }, 0x5b],
    [2, { SSTS: 0, NEST: 0, SSADS: 0 }, 0x5b],
    [3, { NEST: 0 }, 0x5b],
    [4, { PT: 0 }, 0x5b],
    [5, {}, 0x5b],
    [6, {}, 0x5b],
    [7, {}, 0x5b],
  ])('9.6 PGTT %i that there is not: 0x5b (SPT.4.2)', (pgtt, ecap, fault) => {
    const { bench } = mapped(PASS, { ecap, cap: { FS1GP: 0 } });
    bench.setPasid(OWN, { pgtt, aw: 0 });
    expect(bench.ask(SID, IOVA)).toEqual({ fault });
  });

  test.each([
    [0b00010, [1]],
    [0b00110, [1, 2]],
    [0b01110, [1, 2, 3]],
  ])('9.6 AW is one of SAGAW %i where the second stage is used (SPT.4.1)', (SAGAW, supported) => {
    for (let aw = 0; aw < 8; aw++) {
      const options = { cap: { SAGAW, MGAW: 56 } };
      for (const pgtt of [SECOND, NESTED]) {
        const bench = new ScalableBench(options).startScalable();
        bench.setDevice(SID, { ridPasid: OWN });
        bench.setPasid(OWN, { pgtt, aw, second: 0x30000n });
        const answer = bench.ask(SID, 0n);
        expect('fault' in answer && answer.fault === 0x5b, `AW ${aw}, PGTT ${pgtt}`).toBe(!supported.includes(aw));
      }
      const { bench } = mapped(FIRST, options, { aw });
      expect(bench.ask(SID, IOVA)).toEqual({ page: PAGE });
    }
  });

  test('9.6 AW does not matter to the first stage', () => {
    const { bench } = mapped(FIRST, {}, { aw: 0 });
    expect(bench.ask(SID, IOVA)).toEqual({ page: PAGE });
  });

  test.each([
    [0, [0]],
    [1, [0, 1]],
  ])('9.6 FSPM with FS5LP %i (SPT.4.3)', (FS5LP, supported) => {
    for (let fspm = 0; fspm < 4; fspm++) {
      const { bench } = mapped(FIRST, { cap: { FS5LP } }, { fspm });
      const answer = bench.ask(SID, IOVA);
      expect('fault' in answer && answer.fault === 0x5b, `FSPM ${fspm}`).toBe(!supported.includes(fspm));
    }
  });

  test('9.6 nested: FSPTPTR fits the second stage (SPT.4.4)', () => {
    const { bench } = mapped(NESTED, { haw: 46 }, { aw: 1 });
    bench.setPasid(OWN, { pgtt: NESTED, aw: 1, first: (1n << 39n) - 0x1000n, second: 0x30000n });
    expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x79 });
    bench.setPasid(OWN, { pgtt: NESTED, aw: 1, first: 1n << 39n, second: 0x30000n });
    bench.flushAll();
    expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x5b });
  });
});

describe('9.7 first-stage paging entries', () => {
  test.each([40, 48, 52])('9.7, 3.6 a PTE: bits 51:HAW are reserved, no others (HAW %i)', (haw) => {
    const { bench, leaf } = mapped(FIRST, { haw, cap: { MGAW: Math.max(haw, 48) - 1 } });
    expect(giving(bench, leaf, 0x72)).toEqual(haw === 52 ? [] : bits(haw, 51));
    expect(flipped(bench, leaf, 0)).toEqual({ fault: 0x71 });
    expect(flipped(bench, leaf, 2)).toEqual({ fault: 0x81 });
    expect(flipped(bench, leaf, 1, WRITE)).toEqual({ fault: 0x85 });
    for (const n of [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...bits(52, 63)])
      expect(flipped(bench, leaf, n), `bit ${n}`).toEqual({ page: PAGE });
  });

  test.each([
    [2, 1, bits(13, 20)],
    [3, 1, bits(13, 29)],
    [3, 0, ALL],
  ])(
    '9.7, 3.6 a large page at level %i, FS1GP %i: address bits below its size but PAT are reserved',
    (level, FS1GP, reserved) => {
      const { bench, firstTop } = mapped(FIRST, { cap: { FS1GP } });
      const leaf = bench.put(firstTop, 4, IOVA, 0x40_0000_0067n | 0x80n, level, 0x27n);
      if (reserved === ALL) return expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x72 });
      expect(giving(bench, leaf, 0x72)).toEqual([...reserved, ...bits(48, 51)]);
      expect(flipped(bench, leaf, 12)).toEqual({
        page: 0x40_0000_0000n | (IOVA & ((1n << BigInt(3 + 9 * level)) - 1n)),
      });
    },
  );

  test('9.7, 3.6 PS is reserved in a PML4E, and in a PML5E', () => {
    const { bench, firstTop } = mapped(FIRST);
    expect(flipped(bench, firstTop + ((IOVA >> 39n) & 511n) * 8n, 7)).toEqual({ fault: 0x72 });
    const five = mapped(FIRST, { cap: { FS5LP: 1 } }, { fspm: 1 });
    const top = five.bench.newTable();
    five.bench.put(top, 5, IOVA, PAGE | 0x67n, 1, 0x27n);
    five.bench.setPasid(OWN, { pgtt: FIRST, first: top, fspm: 1 });
    five.bench.flushAll();
    expect(five.bench.ask(SID, IOVA)).toEqual({ page: PAGE });
    expect(flipped(five.bench, top + ((IOVA >> 48n) & 511n) * 8n, 7)).toEqual({ fault: 0x72 });
  });
});

describe('9.8 second-stage paging entries in scalable mode', () => {
  test.each([0, 1])('9.8 the bits of legacy mode, with SC %i: 0x7a', (SC) => {
    const { bench, leaf } = mapped(SECOND, { ecap: { SC } });
    expect(giving(bench, leaf, 0x7a)).toEqual([...(SC === 0 ? [11] : []), ...bits(48, 51), 62]);
    expect(flipped(bench, leaf, 0)).toEqual(bench.refused(0x86));
    expect(flipped(bench, leaf, 1, WRITE)).toEqual(bench.refused(0x85, WRITE));
    bench.poke(leaf, PAGE);
    bench.flushAll();
    expect(bench.ask(SID, IOVA)).toEqual(bench.refused(0x79));
  });
});
