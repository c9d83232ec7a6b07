import { describe, expect, test } from 'vitest';
import type { DmaPort } from './dma-port.ts';
import { IommuTestdev, TESTDEV, TESTDEV_RESULT } from './iommu-testdev.ts';

/** Memory of a page; a way there on which addresses lie `offset` higher, or none. */
function bench(offset: number | null = 0) {
  const bytes = new Uint8Array(4096);
  const port = (from: number): DmaPort => ({
    write: (hi, lo, data) => {
      if (hi !== 0 || lo - from + data.length > 4096) return false;
      bytes.set(data, lo - from);
      return true;
    },
    read: (hi, lo, into) => {
      into.fill(0);
      if (hi !== 0 || lo - from + into.length > 4096) return false;
      into.set(bytes.subarray(lo - from, lo - from + into.length));
      return true;
    },
  });
  const refuses: DmaPort = { write: () => false, read: () => false };
  const device = new IommuTestdev(offset === null ? refuses : port(offset), port(0));
  const run = (iova: number, length: number, gpa: number, gpaHi = 0) => {
    device.write32(TESTDEV.IOVA_LO, iova);
    device.write32(TESTDEV.LEN, length);
    device.write32(TESTDEV.GPA_LO, gpa);
    device.write32(TESTDEV.GPA_HI, gpaHi);
    device.write32(TESTDEV.DBELL, 1);
    expect(device.read32(TESTDEV.RESULT)).toBe(TESTDEV_RESULT.busy);
    expect(device.read32(TESTDEV.TRIGGER)).toBe(0);
    return device.read32(TESTDEV.RESULT);
  };
  return { bytes, device, run };
}

describe('iommu-testdev', () => {
  test('writes its pattern, lowest byte first, and finds it past the IOMMU', () => {
    const { bytes, run } = bench(0x1000);
    expect(run(0x1010, 6, 0x10)).toBe(TESTDEV_RESULT.done);
    expect([...bytes.subarray(0x0f, 0x17)]).toEqual([0, 0x78, 0x56, 0x34, 0x12, 0x78, 0x56, 0]);
  });

  test('tells what went wrong', () => {
    expect(bench().run(0x10, 4, 0x20)).toBe(TESTDEV_RESULT.mismatch);
    expect(bench().run(0x10, 0, 0x10)).toBe(TESTDEV_RESULT.badLength);
    expect(bench().run(0x10, 4, 0x10, 1)).toBe(TESTDEV_RESULT.readFailed);
    expect(bench(null).run(0x10, 4, 0x10)).toBe(TESTDEV_RESULT.writeFailed);
  });

  test('runs once for each time it is armed', () => {
    const { device, run } = bench();
    expect(device.read32(TESTDEV.RESULT)).toBe(TESTDEV_RESULT.idle);
    run(0x10, 4, 0x10);
    device.read32(TESTDEV.TRIGGER);
    expect(device.read32(TESTDEV.RESULT)).toBe(TESTDEV_RESULT.notArmed);
    device.write32(TESTDEV.DBELL, 1);
    device.write32(TESTDEV.DBELL, 0);
    expect(device.read32(TESTDEV.RESULT)).toBe(TESTDEV_RESULT.idle);
    device.read32(TESTDEV.TRIGGER);
    expect(device.read32(TESTDEV.RESULT)).toBe(TESTDEV_RESULT.notArmed);
  });

  // ATTRS: bit 0 secure, 2:1 space, 3 the space counts.
  test.each([
    [0b0011, TESTDEV_RESULT.done],
    [0b1010, TESTDEV_RESULT.done],
    [0b1001, TESTDEV_RESULT.done],
    [0b1101, TESTDEV_RESULT.done],
    [0b1000, TESTDEV_RESULT.badAttributes],
    [0b1011, TESTDEV_RESULT.badAttributes],
  ])('attributes %i', (attributes, result) => {
    const { device, run } = bench();
    device.write32(TESTDEV.ATTRS, attributes);
    expect(run(0x10, 4, 0x10)).toBe(result);
  });

  test('a reset takes back everything', () => {
    const { device, run } = bench();
    run(0x10, 4, 0x10);
    device.reset();
    expect([TESTDEV.IOVA_LO, TESTDEV.LEN, TESTDEV.ATTRS].map((at) => device.read32(at))).toEqual([0, 0, 2]);
    expect(device.read32(TESTDEV.RESULT)).toBe(TESTDEV_RESULT.idle);
  });
});
