import { describe, expect, test } from 'vitest';
import type { BenchOptions, Tree } from './unit.ts';
import { Bench, CONTEXT, READ, REG, ROOT, WRITE } from './unit.ts';

const SID = 0x18;
const IOVA = 0x40_8060_3000n;

function bits(from: number, to = from): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

const ALL = bits(0, 63);

function without(set: readonly number[], ...others: number[][]): number[] {
  return set.filter((n) => !others.flat().includes(n));
}

function mapped(options: BenchOptions = {}): { bench: Bench; tree: Tree } {
  const bench = new Bench(options).start();
  const tree = bench.tree();
  bench.map(tree, IOVA, 0x123456003n);
  bench.attach(SID, tree, 5);
  return { bench, tree };
}

/** The answer with one bit of a word flipped, nothing cached. */
function flipped(bench: Bench, at: bigint, n: number) {
  const word = bench.peek(at);
  bench.poke(at, word ^ (1n << BigInt(n)));
  bench.flush();
  const answer = bench.translate(SID, IOVA);
  bench.poke(at, word);
  return answer;
}

describe('9.1 root entry', () => {
  test.each([39, 48, 52])('9.1 bits 63:HAW, 11:1 and 127:64 are reserved, no others (HAW %i)', (haw) => {
    const { bench } = mapped({ haw });
    const reserved = ALL.filter((n) => 'fault' in flipped(bench, ROOT, n) && n > 0 && (n < 12 || n >= haw));
    expect(reserved).toEqual([...bits(1, 11), ...bits(haw, 63)]);
    for (const n of reserved) expect(flipped(bench, ROOT, n)).toEqual({ fault: 0xa });
    for (const n of ALL) expect(flipped(bench, ROOT + 8n, n), `bit ${64 + n}`).toEqual({ fault: 0xa });
    // Address bits lead elsewhere: to no context entry, or to no memory.
    for (const n of bits(12, haw - 1)) {
      expect([{ fault: 0x2 }, { fault: 0x9 }, { fault: 0xb }, { fault: 0x3 }]).toContainEqual(flipped(bench, ROOT, n));
    }
  });

  test('9.1 P = 0: the rest of the entry does not matter', () => {
    const { bench } = mapped();
    bench.setRoot(0, 0xffff_ffff_ffff_fffen, 0xffff_ffff_ffff_ffffn);
    bench.flush();
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x1 });
  });
});

describe('9.3 context entry', () => {
  const at = CONTEXT + BigInt(SID * 16);

  test.each([39, 48, 52])('9.3 bits 63:HAW and 11:4 are reserved (HAW %i)', (haw) => {
    const { bench } = mapped({ haw });
    for (const n of [...bits(4, 11), ...bits(haw, 63)]) {
      expect(flipped(bench, at, n), `bit ${n}`).toEqual({ fault: 0xb });
    }
    expect(flipped(bench, at, 0)).toEqual({ fault: 0x2 });
    for (const n of bits(12, haw - 1)) expect(flipped(bench, at, n), `bit ${n}`).not.toEqual({ fault: 0xb });
  });

  test.each([
    [0, 4],
    [3, 10],
    [6, 16],
  ])('9.3 bits 127:88, 71 and those above the domain id are reserved (ND %i: %i bits)', (ND, width) => {
    const { bench } = mapped({ cap: { ND } });
    const reserved = [7, ...bits(8 + width, 23), ...bits(24, 63)];
    for (const n of reserved) expect(flipped(bench, at + 8n, n), `bit ${64 + n}`).toEqual({ fault: 0xb });
    for (const n of [...bits(3, 6), ...bits(8, 7 + width)]) {
      expect(flipped(bench, at + 8n, n), `bit ${64 + n}`).toEqual({ page: 0x123456000n });
    }
  });

  test('9.3 FPD changes no translation', () => {
    const { bench } = mapped();
    expect(flipped(bench, at, 1)).toEqual({ page: 0x123456000n });
  });

  test('9.3 P = 0: the rest of the entry does not matter', () => {
    const { bench } = mapped();
    bench.poke(at, 0xffff_ffff_ffff_fffen);
    bench.poke(at + 8n, 0xffff_ffff_ffff_ffffn);
    bench.flush();
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x2 });
  });

  test.each([
    [0b00010, [1]],
    [0b00100, [2]],
    [0b00110, [1, 2]],
    [0b01110, [1, 2, 3]],
    [0b01000, [3]],
  ])('9.3 AW must be one of SAGAW %i: %j', (SAGAW, supported) => {
    for (let aw = 0; aw < 8; aw++) {
      const bench = new Bench({ cap: { SAGAW } }).start();
      const tree = bench.tree(aw >= 1 && aw <= 3 ? aw + 2 : 4);
      bench.map(tree, 0x3000n, 0x123456003n);
      bench.setContext(SID, tree.top | 1n, BigInt(aw) | 0x500n);
      const want = supported.includes(aw) ? { page: 0x123456000n } : { fault: 0x3 };
      expect(bench.translate(SID, 0x3000n), `AW ${aw}`).toEqual(want);
    }
  });

  test.each([
    [1, { fault: 0x3 }, { fault: 0x3 }],
    [2, { page: IOVA }, { fault: 0x3 }],
    [3, { fault: 0x3 }, { fault: 0x3 }],
  ])('9.3 TT %i: as ECAP.PT says, none with ECAP.DT = 0', (tt, withPt, withoutPt) => {
    for (const [PT, want] of [
      [1, withPt],
      [0, withoutPt],
    ] as const) {
      const { bench, tree } = mapped({ ecap: { PT } });
      bench.setContext(SID, tree.top | 1n | BigInt(tt << 2), 0x502n);
      expect(bench.translate(SID, IOVA), `ECAP.PT = ${PT}`).toEqual(want);
    }
  });

  test.each([39, 48])('9.3 TT = 10b: SSPTPTR is ignored, whatever its bits (HAW %i)', (haw) => {
    const { bench } = mapped({ haw });
    bench.setContext(SID, 0xffff_ffff_ffff_f009n, 0x502n);
    expect(bench.translate(SID, IOVA)).toEqual({ page: IOVA });
  });

  test('9.3 TT = 10b: reserved bits count all the same', () => {
    const { bench } = mapped();
    bench.setContext(SID, 0x19n, 0x502n);
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0xb });
  });

  test.each([1, 2])(
    '9.3 TT = 10b: any supported AW is taken, and addresses are checked against the host width (AW %i)',
    (AW) => {
      // Software must set the largest; what a smaller one does the specification leaves open (see the README).
      const { bench } = mapped();
      bench.setContext(SID, 9n, 0x500n | BigInt(AW));
      for (const iova of [1n << 38n, 1n << 39n, 1n << 47n]) expect(bench.translate(SID, iova)).toEqual({ page: iova });
      expect(bench.translate(SID, 1n << 48n)).toEqual({ fault: 0x4 });
    },
  );

  test.each([0, 3, 4, 7])('9.3 TT = 10b: an AW that is not supported is LCT.4.1 (AW %i)', (AW) => {
    const { bench } = mapped();
    bench.setContext(SID, 9n, 0x500n | BigInt(AW));
    expect(bench.translate(SID, IOVA)).toEqual({ fault: 0x3 });
  });
});

describe('9.8 second-stage paging entries', () => {
  const IGNORED = [...bits(2, 6), ...bits(8, 10), ...bits(52, 61), 63];

  /** Every bit of one entry, one at a time: reserved ones fault, ignored ones change nothing. */
  function everyBit(level: number, large: boolean, options: BenchOptions, reserved: readonly number[]): void {
    const { haw = 48 } = options;
    const { bench, tree } = mapped(options);
    // The page is in the upper half of the host's space in no way that bit flips could reach 0xFEEx_xxxx.
    if (large) bench.map(tree, IOVA, 0x140000000n | 0x83n, level);
    const at = bench.entryAt(tree, IOVA, level);
    bench.flush();
    const good = bench.translate(SID, IOVA);
    expect(good).toHaveProperty('page');
    const leaf = large || level === 1;
    const ignored = without(leaf && level === 1 ? [...IGNORED, 7] : IGNORED, [...reserved]);
    for (const n of reserved) expect(flipped(bench, at, n), `bit ${n}`).toEqual({ fault: 0xc });
    for (const n of ignored) expect(flipped(bench, at, n), `bit ${n}`).toEqual(good);
    expect(flipped(bench, at, 0), 'R').toEqual({ fault: 0x6 });
    expect(flipped(bench, at, 1), 'W').toEqual(good);
    const frame = without(bits(12, haw - 1), [...reserved]);
    for (const n of frame) expect(flipped(bench, at, n), `bit ${n}`).not.toEqual({ fault: 0xc });
    if (leaf) {
      const { page } = good as { page: bigint };
      for (const n of frame) expect(flipped(bench, at, n), `bit ${n}`).toEqual({ page: page ^ (1n << BigInt(n)) });
    }
    const rest = leaf && !large ? [0, 1, 11] : [0, 1, 7, 11];
    const known = new Set([...reserved, ...ignored, ...frame, ...rest]);
    expect(without(ALL, [...known])).toEqual([]);
  }

  describe.each([36, 48, 52])('HAW %i', (haw) => {
    const above = bits(haw, 51);

    test('9.8 table 47, SS-PTE with snoop control: 51:HAW and 62 are reserved, bits 11 and 7 are not', () => {
      everyBit(1, false, { haw }, [...above, 62]);
      const { bench, tree } = mapped({ haw });
      expect(flipped(bench, bench.entryAt(tree, IOVA, 1), 11)).toEqual({ page: 0x123456000n });
    });

    test('9.8 table 47, SS-PTE without snoop control: bit 11 is reserved too', () => {
      everyBit(1, false, { haw, ecap: { SC: 0 } }, [11, ...above, 62]);
    });

    test('9.8 SS-PDE that maps 2 MiB: 20:12 too', () => {
      everyBit(2, true, { haw }, [...bits(12, 20), ...above, 62]);
      everyBit(2, true, { haw, ecap: { SC: 0 } }, [11, ...bits(12, 20), ...above, 62]);
    });

    test('9.8 SS-PDPE that maps 1 GiB: 29:12 too', () => {
      everyBit(3, true, { haw }, [...bits(12, 29), ...above, 62]);
      everyBit(3, true, { haw, ecap: { SC: 0 } }, [11, ...bits(12, 29), ...above, 62]);
    });

    test.each([
      ['SS-PDE', 2],
      ['SS-PDPE', 3],
    ])('9.8 %s that references a table: 11 is reserved with snoop control too', (_, level) => {
      everyBit(level, false, { haw }, [11, ...above, 62]);
    });

    test('9.8 SS-PML4E: 11 and 7 are reserved', () => {
      everyBit(4, false, { haw }, [7, 11, ...above, 62]);
    });
  });

  test.each([
    [0, 2, { fault: 0xc }],
    [1, 2, { page: 0x140003000n }],
    [3, 2, { page: 0x140003000n }],
    [0, 3, { fault: 0xc }],
    [1, 3, { fault: 0xc }],
    [3, 3, { page: 0x140603000n }],
  ])('9.8 SSLPS %i: a leaf at level %i', (SSLPS, level, want) => {
    const { bench, tree } = mapped({ cap: { SSLPS } });
    bench.map(tree, IOVA, 0x140000083n, level);
    bench.flush();
    expect(bench.translate(SID, (IOVA & ~0x3fe00000n) | (level === 3 ? 0x600000n : IOVA & 0x3fe00000n))).toEqual(want);
  });

  test('9.8 R = W = 0: not present, reserved bits do not matter', () => {
    for (const level of [1, 2, 3, 4]) {
      const { bench, tree } = mapped();
      bench.map(tree, IOVA, 0xffff_ffff_ffff_fffcn, level);
      bench.flush();
      expect(bench.translate(SID, IOVA, READ)).toEqual({ fault: 0x6 });
      bench.clearFaults();
      expect(bench.translate(SID, IOVA, WRITE)).toEqual({ fault: 0x5 });
    }
  });

  test.each([4, 3, 2, 1])('3.7.1 rights are the AND over the levels: one right missing at level %i', (level) => {
    for (const [rights, read, write] of [
      [1n, true, false],
      [2n, false, true],
      [3n, true, true],
    ] as const) {
      const { bench, tree } = mapped();
      const at = bench.entryAt(tree, IOVA, level);
      bench.poke(at, (bench.peek(at) & ~3n) | rights);
      expect(bench.translate(SID, IOVA, READ)).toEqual(read ? { page: 0x123456000n } : { fault: 0x6 });
      expect(bench.translate(SID, IOVA, WRITE)).toEqual(write ? { page: 0x123456000n } : { fault: 0x5 });
      // Once more, now that something is cached.
      expect(bench.translate(SID, IOVA, READ)).toEqual(read ? { page: 0x123456000n } : { fault: 0x6 });
      expect(bench.translate(SID, IOVA, WRITE)).toEqual(write ? { page: 0x123456000n } : { fault: 0x5 });
    }
  });

  test('9.8 R only above and W only below: neither reads nor writes', () => {
    const { bench, tree } = mapped();
    const at = bench.entryAt(tree, IOVA, 3);
    bench.poke(at, bench.peek(at) & ~2n);
    bench.map(tree, IOVA, 0x123456002n);
    expect(bench.translate(SID, IOVA, READ)).toEqual({ fault: 0x6 });
    expect(bench.translate(SID, IOVA, WRITE)).toEqual({ fault: 0x5 });
  });

  test.each([
    ['rights before reserved bits', 0x800000123456801n, WRITE, 0x5],
    ['rights before a large page that is not supported', 0x81n, WRITE, 0x5],
  ])('3.7 where the specification has no order: %s', (_, entry, access, want) => {
    const { bench, tree } = mapped({ cap: { SSLPS: 0 } });
    bench.map(tree, IOVA, entry, 2);
    expect(bench.translate(SID, IOVA, access)).toEqual({ fault: want });
    expect(bench.read32(REG.FRCD + 12) & 0xff).toBe(want);
  });

  test.todo('9.8 bits 62 and 61 (IW, IR) with ECAP.SSIRWS and RTADDR.SSIRWE');
  test('9.8 SS-PML5E: 11, 7, 51:HAW and 62 are reserved', () => {
    for (const haw of [48, 52]) {
      const bench = new Bench({ haw, cap: { SAGAW: 0b01000, MGAW: 56 } }).start();
      const tree = bench.tree(5);
      bench.map(tree, IOVA, 0x123456003n);
      bench.attach(SID, tree, 5);
      const at = bench.entryAt(tree, IOVA, 5);
      for (const n of [7, 11, ...bits(haw, 51), 62]) expect(flipped(bench, at, n), `bit ${n}`).toEqual({ fault: 0xc });
      for (const n of [1, ...IGNORED]) expect(flipped(bench, at, n), `bit ${n}`).toEqual({ page: 0x123456000n });
    }
  });
});
