import { describe, expect, test } from 'vitest';
import type { BenchOptions } from './unit.ts';
import { Bench, READ, REG, WRITE } from './unit.ts';

const SID = 0x18;
const IOVA = 0x40_8060_3000n;
/** Code of an AtomicOp. */
const ATOMIC = 3;

describe('11.4.8 protected memory', () => {
  const EPM = 1 << 31;
  const MIB = 0x100000n;
  const bench = (options: BenchOptions = {}) => {
    const made = new Bench({ cap: { PLMR: 1, PHMR: 1, ...options.cap }, ...options }).start();
    const tree = made.tree();
    made.attach(SID, tree, 5);
    made.write32(REG.PLMBASE, Number(64n * MIB));
    made.write32(REG.PLMLIMIT, Number(66n * MIB));
    made.write64(REG.PHMBASE, 0x20_0000_0000n);
    made.write64(REG.PHMLIMIT, 0x20_0000_0000n);
    const page = (to: bigint, access = READ) => {
      made.map(tree, IOVA, to | 3n);
      made.flush();
      return made.translate(SID, IOVA, access);
    };
    return { made, page };
  };

  test.each([
    ['just below the low region', 64n * MIB - 0x1000n, false],
    ['first page of the low region', 64n * MIB, true],
    ['last page of it: the limit register counts to the end of its block', 68n * MIB - 0x1000n, true],
    ['just above it', 68n * MIB, false],
    ['the low region 4 GiB higher', 0x1_0000_0000n + 64n * MIB, false],
    ['just below the high region', 0x20_0000_0000n - 0x1000n, false],
    ['first page of the high region', 0x20_0000_0000n, true],
    ['last page of it', 0x20_0020_0000n - 0x1000n, true],
    ['just above it', 0x20_0020_0000n, false],
  ])('11.4.8.1 %s', (_, to, blocked) => {
    const { made, page } = bench();
    expect(page(to)).toEqual({ page: to });
    made.write32(REG.PMEN, EPM);
    expect(made.read32(REG.PMEN)).toBe(0x80000001);
    for (const access of [READ, WRITE]) expect(page(to, access)).toEqual(blocked ? { fault: 0x100 } : { page: to });
    expect(made.translate(SID, IOVA), 'from the IOTLB').toEqual(blocked ? { fault: 0x100 } : { page: to });
    expect(made.read32(REG.FSTS), 'not recorded').toBe(0);
    made.write32(REG.PMEN, 0);
    expect(made.read32(REG.PMEN)).toBe(0);
    expect(page(to)).toEqual({ page: to });
  });

  test('11.4.8.1 whether remapping is on or not, and for pass-through', () => {
    const { made } = bench();
    made.write32(REG.PMEN, EPM);
    made.setContext(SID, 9n, 0x502n);
    made.flush();
    expect(made.translate(SID, 64n * MIB)).toEqual({ fault: 0x100 });
    made.write32(REG.GCMD, 0);
    expect(made.translate(SID, 64n * MIB)).toEqual({ fault: 0x100 });
    expect(made.translate(SID, 63n * MIB)).toEqual({ page: 63n * MIB });
    expect(made.request(SID, 64n * MIB, ATOMIC)).toEqual({ fault: 0x100 });
  });

  test('11.4.8.3, 11.4.8.5 a limit below the base: an empty region', () => {
    const { made, page } = bench();
    made.write32(REG.PLMLIMIT, Number(62n * MIB));
    made.write64(REG.PHMLIMIT, 0n);
    made.write32(REG.PMEN, EPM);
    for (const to of [62n * MIB, 64n * MIB, 0n, 0x20_0000_0000n]) expect(page(to)).toEqual({ page: to });
  });

  test.each([
    [1, 0, 64n * MIB],
    [0, 1, 0x20_0000_0000n],
  ])('11.4.2 with PLMR %i and PHMR %i the region that is missing protects nothing', (PLMR, PHMR, blocked) => {
    const { made, page } = bench({ cap: { PLMR, PHMR } });
    made.write32(REG.PMEN, EPM);
    for (const to of [0n, 64n * MIB, 0x20_0000_0000n])
      expect(page(to)).toEqual(to === blocked ? { fault: 0x100 } : { page: to });
  });

  test('11.4.8.1 the unit itself reads its tables there', () => {
    const { made, page } = bench();
    made.write32(REG.PLMBASE, 0);
    made.write32(REG.PLMLIMIT, 0);
    made.write32(REG.PMEN, EPM);
    expect(page(0x20000000n)).toEqual({ page: 0x20000000n });
    expect(page(0x1ff000n)).toEqual({ fault: 0x100 });
  });

  test.each([READ, WRITE])('11.4.8.1 PRS is set when requests in flight have drained (access %i)', (access) => {
    const { made, page } = bench({ dmaSlots: 2 });
    page.call(null, 64n * MIB);
    const flight = made.issue(SID, IOVA, access);
    expect(flight.walk()).toBe(true);
    made.write32(REG.PMEN, EPM);
    made.run();
    expect(made.read32(REG.PMEN)).toBe(0x80000000);
    const blocked = made.issue(SID, IOVA, access);
    expect(blocked.walk()).toBe(false);
    flight.perform();
    made.run();
    expect(made.read32(REG.PMEN)).toBe(0x80000001);
    expect(made.read32(REG.FSTS)).toBe(0);
    expect(made.read32(REG.GSTS)).toBe(0xc0000000);
  });

  test('11.4.8.1 switched off before that: PRS is not set', () => {
    const { made } = bench({ dmaSlots: 2 });
    made.write32(REG.GCMD, 0);
    const flight = made.issue(SID, 0x5000n, WRITE);
    flight.step();
    made.write32(REG.PMEN, EPM);
    made.write32(REG.PMEN, 0);
    flight.perform();
    made.run();
    expect(made.read32(REG.PMEN)).toBe(0);
  });
});
