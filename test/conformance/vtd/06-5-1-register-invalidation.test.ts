import { describe, expect, test } from 'vitest';
import { Bench, QIE, REG, TE } from './unit.ts';

const ICC = 1n << 63n;
const SID = 0x08;
const DID = 7;
const OLD = { page: 0x1110_0000n };
const NEW = { page: 0x2220_0000n };

/** A translation is cached and no longer what the tables say. */
function stale(options: ConstructorParameters<typeof Bench>[0] = {}): Bench {
  const bench = new Bench(options).start();
  const tree = bench.tree();
  bench.attach(SID, tree, DID);
  bench.map(tree, 0x5000n, OLD.page | 3n);
  bench.translate(SID, 0x5000n);
  bench.map(tree, 0x5000n, NEW.page | 3n);
  return bench;
}

function caig(bench: Bench): bigint {
  return (bench.read64(REG.CCMD) >> 59n) & 3n;
}

function iaig(bench: Bench): bigint {
  return (bench.read64(REG.IOTLB) >> 57n) & 3n;
}

describe('11.4.6.1 CCMD', () => {
  test.each([1n, 2n, 3n])('11.4.6.1 granularity %i: ICC stays until it is done, CAIG says what was done', (g) => {
    const bench = stale();
    bench.write64(REG.CCMD, ICC | (g << 61n) | (BigInt(SID) << 16n) | BigInt(DID));
    expect(bench.read64(REG.CCMD) >> 63n).toBe(bench.stepped ? 1n : 0n);
    bench.run();
    expect(bench.read64(REG.CCMD) >> 63n).toBe(0n);
    expect(caig(bench)).toBe(g);
  });

  test('11.4.6.1 granularity 00 is reserved: CAIG 00 and nothing is invalidated', () => {
    const bench = stale();
    bench.write64(REG.CCMD, ICC | (1n << 61n));
    bench.run();
    bench.flush();
    bench.translate(SID, 0x5000n);
    bench.setContext(SID, 0n, 0n);
    bench.write64(REG.CCMD, ICC);
    bench.run();
    expect(bench.read64(REG.CCMD) >> 63n).toBe(0n);
    expect(caig(bench)).toBe(0n);
    bench.write64(REG.IOTLB, ICC | (1n << 60n));
    bench.run();
    expect(bench.translate(SID, 0x5000n), 'the context entry is still cached').toEqual(NEW);
  });

  test('11.4.6.1 writing the low half, or the high half without ICC, starts nothing', () => {
    const bench = stale();
    bench.write32(REG.CCMD, 0x80000000);
    bench.write32(REG.CCMD + 4, 0x20000000);
    expect(bench.rests()).toBe(true);
    expect(bench.read64(REG.CCMD) >> 63n).toBe(0n);
  });

  test('11.4.6.1 writing the high half with ICC starts it', () => {
    const bench = stale();
    bench.write32(REG.CCMD + 4, 0xa0000000);
    bench.run();
    expect(caig(bench)).toBe(1n);
  });

  test('11.4.6.1 CAIG is read-only, bits 58:34 are reserved', () => {
    const bench = stale();
    bench.write64(REG.CCMD, (3n << 59n) | (0x1ffffffn << 34n));
    expect(bench.read64(REG.CCMD) >> 34n).toBe(0n);
  });

  test.each([5, 6, 7])('11.4.6.1 major version %i', (MAX) => {
    const bench = stale({ ver: { MAX } });
    bench.write64(REG.CCMD, ICC | (1n << 61n));
    bench.run();
    expect(bench.read64(REG.CCMD) >> 63n).toBe(0n);
    expect(caig(bench), 'register-based invalidation ends with version 6').toBe(MAX >= 6 ? 0n : 1n);
  });
});

describe('11.4.6.3 IOTLB_REG', () => {
  test.each([1n, 2n, 3n])('11.4.6.3 granularity %i: IVT stays until it is done, IAIG says what was done', (g) => {
    const bench = stale();
    bench.write64(REG.IVA, 0x5000n);
    bench.write64(REG.IOTLB, ICC | (g << 60n) | (BigInt(DID) << 32n));
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(bench.stepped ? 1n : 0n);
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(0n);
    expect(iaig(bench)).toBe(g);
    expect(bench.translate(SID, 0x5000n)).toEqual(NEW);
  });

  test('11.4.6.3 granularity 00 is reserved: IAIG 00 and nothing is invalidated', () => {
    const bench = stale();
    bench.write64(REG.IOTLB, ICC | (BigInt(DID) << 32n));
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(0n);
    expect(iaig(bench)).toBe(0n);
    expect(bench.translate(SID, 0x5000n)).toEqual(OLD);
  });

  test.each([
    [9, 9, true],
    [9, 10, false],
    [18, 18, true],
    [18, 19, false],
    [18, 63, false],
    [0, 0, true],
    [0, 1, false],
  ])('11.4.6.3 MAMV %i, AM %i: done %s, else IAIG 00 and nothing is invalidated', (MAMV, am, done) => {
    const bench = stale({ cap: { MAMV } });
    bench.write64(REG.IVA, 0x5000n | BigInt(am));
    bench.write64(REG.IOTLB, ICC | (3n << 60n) | (BigInt(DID) << 32n));
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(0n);
    expect(iaig(bench)).toBe(done ? 3n : 0n);
    expect(bench.translate(SID, 0x5000n)).toEqual(done ? NEW : OLD);
  });

  test('11.4.6.3 AM does not matter where the request is not page-selective', () => {
    const bench = stale();
    bench.write64(REG.IVA, 63n);
    bench.write64(REG.IOTLB, ICC | (2n << 60n) | (BigInt(DID) << 32n));
    bench.run();
    expect(iaig(bench)).toBe(2n);
    expect(bench.translate(SID, 0x5000n)).toEqual(NEW);
  });

  test('11.4.6.3 without CAP.PSI a page-selective request is done domain-wide, and IAIG says so', () => {
    const bench = stale({ cap: { PSI: 0 } });
    bench.write64(REG.IVA, 0x123456000n);
    bench.write64(REG.IOTLB, ICC | (3n << 60n) | (BigInt(DID) << 32n));
    bench.run();
    expect(iaig(bench)).toBe(2n);
    expect(bench.translate(SID, 0x5000n)).toEqual(NEW);
  });

  test('11.4.6.3 writing the low half, or the high half without IVT, starts nothing', () => {
    const bench = stale();
    bench.write32(REG.IOTLB, 0xffffffff);
    bench.write32(REG.IOTLB + 4, 0x10000000);
    expect(bench.rests()).toBe(true);
    expect(bench.translate(SID, 0x5000n)).toEqual(OLD);
  });

  test('11.4.6.3 writing the high half with IVT starts it', () => {
    const bench = stale();
    bench.write32(REG.IOTLB + 4, 0x90000000);
    bench.run();
    expect(iaig(bench)).toBe(1n);
    expect(bench.translate(SID, 0x5000n)).toEqual(NEW);
  });

  test.each([5, 6, 7])('11.4.6.3 major version %i', (MAX) => {
    const bench = stale({ ver: { MAX } });
    bench.write64(REG.IOTLB, ICC | (1n << 60n));
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(0n);
    expect(iaig(bench)).toBe(MAX >= 6 ? 0n : 1n);
    expect(bench.translate(SID, 0x5000n)).toEqual(MAX >= 6 ? OLD : NEW);
  });
});

describe('6.5 registers while the queue is on', () => {
  test('6.5 the request is dropped, its bit clears and the granularity is 00', () => {
    const bench = stale();
    bench.write32(REG.GCMD, TE | QIE);
    bench.write64(REG.CCMD, ICC | (1n << 61n));
    bench.write64(REG.IOTLB, ICC | (1n << 60n));
    bench.run();
    expect(bench.read64(REG.CCMD) >> 63n).toBe(0n);
    expect(bench.read64(REG.IOTLB) >> 63n).toBe(0n);
    expect(caig(bench)).toBe(0n);
    expect(iaig(bench)).toBe(0n);
    expect(bench.translate(SID, 0x5000n)).toEqual(OLD);
  });

  test('6.5 they work again when the queue is off', () => {
    const bench = stale();
    bench.write32(REG.GCMD, TE | QIE);
    bench.write32(REG.GCMD, TE);
    bench.flush();
    expect(bench.translate(SID, 0x5000n)).toEqual(NEW);
  });
});
