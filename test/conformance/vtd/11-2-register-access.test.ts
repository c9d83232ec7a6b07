import { describe, expect, test } from 'vitest';
import { Bench, modelOnly, QIE, REG, SRTP, TE } from './unit.ts';

const ALL = 0xffff_ffff_ffff_ffffn;

/** A read of any size, as one number. */
function readBytes(bench: Bench, offset: number, size: number): bigint {
  const { lo, hi } = bench.unit.read(offset, size);
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

function writeBytes(bench: Bench, offset: number, size: number, value: bigint): void {
  bench.unit.write(offset, size, Number(value & 0xffff_ffffn), Number(value >> 32n));
}

describe('11.2 reads of any size and alignment give the bytes that are there', () => {
  const bench = new Bench();
  bench.write64(REG.RTADDR, 0x0123_4567_89ab_c000n);
  const bytes = Array.from({ length: 0x240 }, (_, offset) => {
    const word = BigInt(bench.read32(offset & ~3));
    return (word >> BigInt(8 * (offset & 3))) & 0xffn;
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('11.2 %i bytes at every offset', (size) => {
    for (let offset = 0; offset + size <= bytes.length; offset++) {
      let want = 0n;
      for (let i = 0; i < size; i++) want |= (bytes[offset + i] as bigint) << BigInt(8 * i);
      expect(readBytes(bench, offset, size), `offset ${offset}`).toBe(want);
    }
  });

  test('11.2 RTADDR is there to be read', () => {
    expect(readBytes(bench, REG.RTADDR + 2, 4)).toBe(0x456789abn);
    expect(readBytes(bench, REG.RTADDR + 7, 1)).toBe(0x01n);
    expect(readBytes(bench, REG.RTADDR - 4, 8)).toBe(0x89abc000n << 32n);
  });
});

describe('11.2 writes of any size and alignment change the bytes that they carry', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('11.2 %i bytes at every offset of RTADDR', (size) => {
    for (let at = -7; at < 8; at++) {
      const bench = new Bench();
      bench.write64(REG.RTADDR, 0x1111_1111_1111_1000n);
      writeBytes(bench, REG.RTADDR + at, size, ALL);
      let want = 0x1111_1111_1111_1000n;
      for (let i = Math.max(0, at); i < Math.min(8, at + size); i++) want |= 0xffn << BigInt(8 * i);
      expect(bench.read64(REG.RTADDR), `at ${at}`).toBe(want & ~0x3ffn);
    }
  });

  test('11.2 read-only and reserved bits stay whatever the size', () => {
    const bench = new Bench();
    const before = bench.read64(REG.CAP);
    for (const size of [1, 2, 3, 5, 6, 7]) for (let i = -3; i < 9; i++) writeBytes(bench, REG.CAP + i, size, ALL);
    expect(bench.read64(REG.CAP)).toBe(before);
  });

  test('11.3 a write-1-to-clear bit clears by a write that carries its byte, and by no other', () => {
    const bench = new Bench().start();
    bench.translate(8, 0n);
    bench.translate(0x10, 0n);
    expect(bench.read32(REG.FSTS)).toBe(0x3);
    writeBytes(bench, REG.FSTS + 1, 3, ALL);
    expect(bench.read32(REG.FSTS)).toBe(0x3);
    writeBytes(bench, REG.FRCD + 12, 3, ALL);
    expect(bench.recordedReason()).toBe(0x1);
    writeBytes(bench, REG.FRCD + 15, 1, 0x80n);
    expect(bench.recordedReason()).toBe(0);
    expect(bench.read32(REG.FSTS)).toBe(0x1);
    writeBytes(bench, REG.FSTS, 1, 1n);
    expect(bench.read32(REG.FSTS)).toBe(0);
  });

  test('11.4.6.1, 11.4.6.3 writing the uppermost byte with ICC or IVT starts the invalidation, other bytes do not', () => {
    for (const [offset, go] of [
      [REG.CCMD, 0xa0n],
      [REG.IOTLB, 0x90n],
    ] as const) {
      const bench = new Bench();
      writeBytes(bench, offset, 7, 0x00ff_ffff_ffff_ffffn);
      expect(bench.run()).toBe(0);
      writeBytes(bench, offset + 7, 1, go);
      expect(bench.read32(offset + 4) >>> 31).toBe(1);
      expect(bench.run()).toBeGreaterThan(0);
      expect(bench.read32(offset + 4) >>> 31).toBe(0);
    }
  });

  test('11.4.4.1 GCMD byte by byte: a write that does not carry the uppermost byte commands nothing', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, TE);
    writeBytes(bench, REG.GCMD, 3, 0n);
    expect(bench.read32(REG.GSTS)).toBe(TE >>> 0);
    writeBytes(bench, REG.GCMD + 3, 1, 0xc4n);
    expect(bench.read32(REG.GSTS)).toBe((TE | SRTP | QIE) >>> 0);
    writeBytes(bench, REG.GCMD + 2, 1, 0xffn);
    expect(bench.read32(REG.GSTS)).toBe((TE | SRTP | QIE) >>> 0);
    writeBytes(bench, REG.GCMD + 3, 1, 0n);
    expect(bench.read32(REG.GSTS)).toBe(SRTP);
  });
});

describe('11.2 what no bus could send has an answer too', () => {
  const nonsense = [Number.NaN, -1, -4, 0.5, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31)];

  test('11.2 offsets: reads as zero, drops writes', () => {
    const bench = new Bench();
    const before = bench.arena.snapshot();
    for (const offset of nonsense) {
      bench.unit.write(offset, 8, -1, -1);
      bench.unit.write(offset, 4, -1, -1);
      expect(bench.unit.read(offset, 8)).toEqual({ lo: 0, hi: 0 });
    }
    expect(bench.arena.snapshot()).toEqual(before);
  });

  test('11.2 sizes: reads as zero, drops writes', () => {
    const bench = new Bench();
    const before = bench.arena.snapshot();
    for (const size of [...nonsense, 0, 9, 16]) {
      bench.unit.write(REG.RTADDR, size, -1, -1);
      expect(bench.unit.read(REG.CAP, size)).toEqual({ lo: 0, hi: 0 });
    }
    expect(bench.arena.snapshot()).toEqual(before);
  });

  test('11.2 an access that ends beyond the block: the bytes inside count', () => {
    const bench = new Bench().start();
    bench.translate(8, 0n);
    expect(bench.unit.registerBytes).toBe(REG.FRCD + 16);
    expect(readBytes(bench, REG.FRCD + 12, 8)).toBe(0xc0000001n);
    writeBytes(bench, REG.FRCD + 14, 8, ALL);
    expect(bench.recordedReason()).toBe(0);
  });

  test('11.2 values that are no 32-bit numbers are taken modulo 2^32', () => {
    const bench = new Bench();
    bench.unit.write(REG.RTADDR, 8, 0xfffff000, Number.NaN);
    expect(bench.read64(REG.RTADDR)).toBe(0xfffff000n);
  });
});

test.each([
  ['11.4.6.1 CCMD.SID and FM', REG.CCMD, 0x7fff_ffff_ffff_ffffn, 0x6000_0000_0000_ffffn],
  ['11.4.6.4 IVA', REG.IVA, ALL, 0n],
])('%s are write-only: they read as zero', (_, offset, written, want) => {
  const bench = new Bench();
  bench.write64(offset, written);
  expect(bench.read64(offset)).toBe(want);
});

describe('6.9 a register with a command in it is owned by hardware: writes are dropped until it is complete', () => {
  test('6.9 CCMD', () => {
    modelOnly('a command in progress');
    const bench = new Bench();
    bench.write64(REG.CCMD, (1n << 63n) | (1n << 61n));
    bench.write64(REG.CCMD, 0n);
    expect(bench.read64(REG.CCMD) >> 61n).toBe(5n);
    bench.run();
    expect(bench.read64(REG.CCMD)).toBe((1n << 61n) | (1n << 59n));
  });

  test('6.9 IOTLB_REG and IVA_REG', () => {
    const bench = new Bench({ cap: { MAMV: 9 } });
    bench.write64(REG.IVA, 9n);
    bench.write64(REG.IOTLB, (1n << 63n) | (3n << 60n));
    bench.write64(REG.IVA, 10n);
    bench.write64(REG.IOTLB, 0n);
    bench.run();
    expect(bench.read64(REG.IOTLB), 'page-selective with AM 9').toBe((3n << 60n) | (3n << 57n));
  });
});
