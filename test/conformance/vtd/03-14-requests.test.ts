import { describe, expect, test } from 'vitest';
import { Walk, Walker } from '../../../src/iommu/vtd/index.ts';
import { RamMemory } from '../../../src/machine/index.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, CONTEXT, READ, REG, ROOT, WRITE } from './unit.ts';

const SID = 0x18;
const IOVA = 0x40_8060_3000n;
const PAGE = { page: 0x123456000n };
const CONTEXT_AT = CONTEXT + BigInt(SID * 16);

/** Kinds of requests, written again on purpose. */
const ATOMIC = 3;
const ZERO_LENGTH = 4;
const LONG_WRITE = 10;
const TRANSLATION = 17;
const TRANSLATED = 33;

/** A page with the given rights, at a level of its table. */
function scene(rights: bigint, options: BenchOptions = {}, level = 1): Bench {
  const bench = new Bench(options).start();
  const tree = bench.tree();
  bench.map(tree, IOVA, 0x123456003n);
  bench.attach(SID, tree, 5);
  const at = bench.entryAt(tree, IOVA, level);
  bench.poke(at, (bench.peek(at) & ~3n) | rights);
  return bench;
}

describe.each([1, 2, 3, 4])('3.14 zero-length reads, rights set at level %i', (level) => {
  test.each([
    [1, 0n, { fault: 0x6 }],
    [1, 1n, PAGE],
    [1, 2n, PAGE],
    [1, 3n, PAGE],
    [0, 0n, { fault: 0x6 }],
    [0, 1n, PAGE],
    [0, 2n, { fault: 0x6 }],
    [0, 3n, PAGE],
  ])('3.14 CAP.ZLR %i, R and W %i', (ZLR, rights, want) => {
    const bench = scene(rights, { cap: { ZLR } }, level);
    expect(bench.request(SID, IOVA, ZERO_LENGTH)).toEqual(want);
    expect(bench.recordedReason()).toBe('fault' in want ? want.fault : 0);
    // Again, from the caches.
    expect(bench.request(SID, IOVA, ZERO_LENGTH)).toEqual(want);
    // It lends its right to nobody.
    expect(bench.translate(SID, IOVA, READ)).toEqual((rights & 1n) === 0n ? { fault: 0x6 } : PAGE);
    expect(bench.translate(SID, IOVA, WRITE)).toEqual((rights & 2n) === 0n ? { fault: 0x5 } : PAGE);
  });
});

describe('3.14', () => {
  test('3.14 R at one level and W at another is no write-only page', () => {
    const bench = scene(1n, { cap: { ZLR: 1 } }, 2);
    const tree = { top: bench.peek(CONTEXT_AT) & ~0xfffn, levels: 4 };
    bench.map(tree, IOVA, 0x123456002n);
    expect(bench.request(SID, IOVA, ZERO_LENGTH)).toEqual({ fault: 0x6 });
  });

  test('3.14 other faults stay faults', () => {
    const bench = scene(2n, { cap: { ZLR: 1 } });
    const tree = { top: bench.peek(CONTEXT_AT) & ~0xfffn, levels: 4 };
    bench.map(tree, IOVA, 0x4000_0001_2345_6002n);
    expect(bench.request(SID, IOVA, ZERO_LENGTH)).toEqual({ fault: 0xc });
  });

  test('11.4.7.6 it is recorded as a read: T1 = 1, T2 = 0', () => {
    const bench = scene(0n, { cap: { ZLR: 1 } });
    bench.request(SID, IOVA, ZERO_LENGTH);
    expect(bench.read64(REG.FRCD + 8)).toBe((3n << 62n) | (6n << 32n) | BigInt(SID));
  });
});

describe('7.1.3 LGN.2, LGN.3 AtomicOps need both rights', () => {
  test.each([
    [0n, { fault: 0x5 }],
    [1n, { fault: 0x5 }],
    [2n, { fault: 0x6 }],
    [3n, PAGE],
  ])('R and W %i', (rights, want) => {
    for (const warm of [false, true]) {
      const bench = scene(rights);
      if (warm) {
        bench.translate(SID, IOVA, READ);
        bench.translate(SID, IOVA, WRITE);
        bench.clearFaults();
      }
      expect(bench.request(SID, IOVA, ATOMIC)).toEqual(want);
      if ('page' in want) continue;
      // T1 and T2 are set for an AtomicOp (11.4.7.6); the page was refused to nobody else before.
      expect(bench.read64(REG.FRCD + 8)).toBe((3n << 62n) | (1n << 28n) | (BigInt(want.fault) << 32n) | BigInt(SID));
    }
  });
});

test('a write of another length, a read, a write are otherwise requests like others', () => {
  const bench = scene(3n);
  for (const kind of [READ, WRITE, LONG_WRITE]) expect(bench.request(SID, IOVA, kind)).toEqual(PAGE);
  const readOnly = scene(1n);
  expect(readOnly.request(SID, IOVA, LONG_WRITE)).toEqual({ fault: 0x5 });
  expect(readOnly.read64(REG.FRCD + 8) >> 60n).toBe(8n);
});

describe('3.15 the interrupt range', () => {
  test.each([
    [0xfedff000n, WRITE, { fault: 0x5 }],
    [0xfee00000n, WRITE, 'passes'],
    [0xfeeff000n, WRITE, 'passes'],
    [0xfef00000n, WRITE, { fault: 0x5 }],
    [0x1fee00000n, WRITE, { fault: 0x5 }],
    [0xfedff000n, READ, { fault: 0x6 }],
    [0xfee00000n, READ, { fault: 0xe }],
    [0xfeeff000n, READ, { fault: 0xe }],
    [0xfef00000n, READ, { fault: 0x6 }],
    [0xfee00000n, ZERO_LENGTH, 'passes'],
    [0xfeeff000n, ZERO_LENGTH, 'passes'],
    [0xfef00000n, ZERO_LENGTH, { fault: 0x6 }],
    [0xfee00000n, ATOMIC, { fault: 0xe }],
    [0xfeeff000n, LONG_WRITE, { fault: 0xe }],
    [0xfef00000n, LONG_WRITE, { fault: 0x5 }],
  ] as const)('3.15 a request to %s of kind %i', (iova, kind, want) => {
    for (const ZLR of [0, 1]) {
      const bench = scene(3n, { cap: { ZLR } });
      expect(bench.request(SID, iova, kind)).toEqual(want === 'passes' ? { page: iova } : want);
      expect(bench.recordedReason()).toBe(want === 'passes' ? 0 : want.fault);
      if (kind <= WRITE) expect(bench.translate(SID, iova, kind)).toEqual(want === 'passes' ? { page: iova } : want);
    }
  });

  test('3.15 no context entry is asked for: interrupts pass without one, a refused read is recorded in spite of FPD', () => {
    const bench = scene(3n);
    bench.poke(CONTEXT_AT, 2n);
    expect(bench.translate(SID, 0xfee00000n, WRITE)).toEqual({ page: 0xfee00000n });
    expect(bench.read32(REG.FSTS)).toBe(0);
    expect(bench.translate(SID, 0xfee00000n, READ)).toEqual({ fault: 0xe });
    expect(bench.recordedReason()).toBe(0xe);
    expect(bench.unit.caches.context.isEmpty()).toBe(true);
  });

  test('3.15 a mapping of the range is not used', () => {
    const bench = scene(3n);
    const tree = { top: bench.peek(CONTEXT_AT) & ~0xfffn, levels: 4 };
    bench.map(tree, 0xfee01000n, 0x777003n);
    expect(bench.translate(SID, 0xfee01000n, WRITE)).toEqual({ page: 0xfee01000n });
    expect(bench.translate(SID, 0xfee01000n, READ)).toEqual({ fault: 0xe });
  });

  test.each([
    [WRITE, 1, true],
    [WRITE, 2, false],
    [READ, 1, false],
  ])('3.15 in steps (access %i, %i words)', (access, words, passes) => {
    const bench = scene(3n, { dmaSlots: 1 });
    const flight = bench.issue(SID, 0xfee01000n, access, words);
    flight.step();
    expect(flight.state).toBe(passes ? 'translated' : 'over');
    if (passes) expect(flight.page).toBe(0xfee01000n);
    expect(bench.recordedReason()).toBe(passes ? 0 : 0xe);
  });

  test('11.4.4.1 with translation off everything passes', () => {
    const bench = scene(3n);
    bench.write32(REG.GCMD, 0);
    for (const kind of [READ, WRITE, ATOMIC, ZERO_LENGTH, LONG_WRITE])
      expect(bench.request(SID, 0xfee00000n, kind)).toEqual({ page: 0xfee00000n });
  });
});

describe('7.1.3 LCT.5: translation and translated requests without ECAP.DT', () => {
  test.each([
    ['a translation request', TRANSLATION],
    ['a translated request', TRANSLATED],
  ])('7.1.3 LCT.5 %s is blocked by TT 00b and 10b (0xD), qualified', (_, kind) => {
    for (const tt of [0n, 2n]) {
      for (const fpd of [0n, 2n]) {
        const bench = scene(3n);
        bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | (tt << 2n) | fpd);
        for (const iova of [IOVA, 0xfee00000n, 1n << 50n]) {
          bench.clearFaults();
          expect(bench.request(SID, iova, kind)).toEqual({ fault: 0xd });
          expect(bench.recordedReason()).toBe(fpd === 0n ? 0xd : 0);
        }
      }
    }
  });

  test.each([
    ['LRT.2', 0x1, (bench: Bench) => bench.poke(ROOT, 0n)],
    ['LRT.3', 0xa, (bench: Bench) => bench.poke(ROOT, CONTEXT | 3n)],
    ['LCT.1', 0x9, (bench: Bench) => bench.poke(ROOT, 0x4000_0001n)],
    ['LCT.2', 0x2, (bench: Bench) => bench.poke(CONTEXT_AT, 0n)],
    ['LCT.3', 0xb, (bench: Bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 0x10n)],
    ['LCT.4.2, TT 01b', 0x3, (bench: Bench) => bench.poke(CONTEXT_AT, bench.peek(CONTEXT_AT) | 4n)],
  ])('7.1.3 %s comes first', (_, reason, spoil) => {
    for (const kind of [TRANSLATION, TRANSLATED]) {
      const bench = scene(3n);
      spoil(bench);
      expect(bench.request(SID, IOVA, kind)).toEqual({ fault: reason });
    }
  });

  test('4.2.1 with translation off they are refused, but no fault', () => {
    const bench = scene(3n);
    bench.write32(REG.GCMD, 0);
    for (const kind of [TRANSLATION, TRANSLATED]) expect(bench.request(SID, IOVA, kind)).toEqual({ fault: 0x100 });
    expect(bench.read32(REG.FSTS)).toBe(0);
  });

  test.each([
    [false, 2],
    [true, 0],
  ])('9.3 TT 01b with ECAP.DT %s, as the walker sees it', (deviceTlb, want) => {
    const ram = new RamMemory(4);
    const limits = { sagaw: 6, mgaw: 48, haw: 48, sslps: 3, snoopControl: true, passThrough: true, didBits: 16 };
    const walker = new Walker(ram, { ...limits, deviceTlb });
    ram.write(ram.locate(2, 0), 0x3005, 0);
    ram.write(ram.locate(2, 1), 0x102, 0);
    const walk = new Walk();
    walk.pfnLo = 2;
    expect(walker.context(walk)).toBe(want);
    expect(walk.fault).toBe(deviceTlb ? 0 : 0x3);
    expect([walk.did, walk.pfnLo, walk.level]).toEqual(deviceTlb ? [1, 3, 4] : [0, 2, 0]);
  });
});
