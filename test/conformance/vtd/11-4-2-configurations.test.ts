import { describe, expect, test } from 'vitest';
import type { BenchOptions } from './unit.ts';
import { Bench, REG } from './unit.ts';

describe('11.4.1-11.4.3 an implementation that there cannot be is refused, in one line', () => {
  test.each<[string, BenchOptions, RegExp]>([
    ['SAGAW 0', { cap: { SAGAW: 0 } }, /SAGAW 0/],
    ['SAGAW bit 0', { cap: { SAGAW: 0b00101 } }, /SAGAW 0x5: bits 0 and 4/],
    ['SAGAW bit 4', { cap: { SAGAW: 0b10100 } }, /SAGAW 0x14: bits 0 and 4/],
    ['ND 7', { cap: { ND: 7 } }, /ND 7/],
    ['MGAW below the host address width', { haw: 46, cap: { MGAW: 44 } }, /MGAW 44 .* at least 45/],
    ['1 GiB pages without 2 MiB pages', { cap: { SSLPS: 2 } }, /SSLPS 2/],
    ['an unknown page size', { cap: { SSLPS: 7 } }, /SSLPS 7/],
    ['version 2 that cannot drain', { ver: { MAX: 2 }, cap: { DRD: 0 } }, /DRD 0/],
    ['version 2 that cannot drain writes', { ver: { MAX: 2 }, cap: { DWD: 0 } }, /DWD 0/],
    ['version 6 without a queue', { ver: { MAX: 6 }, ecap: { QI: 0 } }, /QI/],
    ['device TLBs without a queue', { ecap: { QI: 0, DT: 1 } }, /ECAP.DT without ECAP.QI/],
    ['x2APIC mode without interrupt remapping', { ecap: { EIM: 1 } }, /ECAP.IR/],
    ['a handle mask without interrupt remapping', { ecap: { MHMV: 15 } }, /ECAP.IR/],
    ['posted interrupts without interrupt remapping', { cap: { PI: 1 } }, /ECAP.IR/],
    ['1 GiB first-stage pages in legacy mode', { cap: { FS1GP: 1 } }, /FS1GP/],
    ['fault records among the registers', { cap: { FRO: 0xe } }, /FRO 0xe: offset 0xe0 lies among the other registers/],
    ['IOTLB registers among the others', { ecap: { IRO: 0 } }, /IRO 0x0/],
    ['fault records over the IOTLB registers', { cap: { FRO: 0x20 }, ecap: { IRO: 0x20 } }, /IOTLB registers at 0x200/],
    ['the last of several over them', { cap: { FRO: 0x20, NFR: 7 }, ecap: { IRO: 0x27 } }, /0x270/],
    ['FRO of 11 bits', { cap: { FRO: 0x400 } }, /FRO: 1024 does not fit/],
    ['IRO of 11 bits', { ecap: { IRO: 0x400 } }, /IRO: 1024 does not fit/],
    ['257 fault records', { cap: { NFR: 256 } }, /NFR: 256 does not fit/],
    ['a host of 31 bits', { haw: 31 }, /31 bits; it is 32 to 52/],
    ['a host of 53 bits', { haw: 53 }, /53 bits; it is 32 to 52/],
    ['a host of 40.5 bits', { haw: 40.5 }, /40.5 bits/],
    ['interrupt remapping without queued invalidation', { ecap: { IR: 1, QI: 0 } }, /ECAP.QI/],
    ['posted interrupts, which this model has not', { cap: { PI: 1 }, ecap: { IR: 1 } }, /not modelled/],
  ])('11.4 %s', (_, options, message) => {
    const build = () => new Bench(options).unit;
    expect(build).toThrow(RangeError);
    expect(build).toThrow(message);
    let text = '';
    try {
      build();
    } catch (error) {
      text = (error as Error).message;
    }
    expect(text).not.toContain('\n');
  });

  test.each<[string, BenchOptions]>([
    ['the last fault record just below the IOTLB registers', { cap: { FRO: 0x20, NFR: 7 }, ecap: { IRO: 0x28 } }],
    ['fault records just behind them', { cap: { FRO: 0x29 }, ecap: { IRO: 0x28 } }],
    ['the first free offset', { cap: { FRO: 0x10 }, ecap: { IRO: 0xf } }],
    ['MGAW as wide as the host', { haw: 46, cap: { MGAW: 45 } }],
    ['256 fault records at the highest offset', { cap: { FRO: 0x3ff, NFR: 255 } }],
    ['39 bits', { cap: { MGAW: 38, SAGAW: 2 } }],
  ])('11.4 the other side of each boundary: %s', (_, options) => {
    expect(() => new Bench(options).unit).not.toThrow();
  });
});

describe('11.4 registers lie where CAP.FRO and ECAP.IRO say', () => {
  test('11.4.6.2 the IOTLB registers at ECAP.IRO', () => {
    const bench = new Bench({ ecap: { IRO: 0x50 } });
    expect((bench.read64(REG.ECAP) >> 8n) & 0x3ffn).toBe(0x50n);
    bench.write64(REG.IOTLB, (1n << 63n) | (1n << 60n));
    expect(bench.run()).toBe(0);
    bench.write64(0x508, (1n << 63n) | (1n << 60n));
    bench.run();
    expect(bench.read64(0x508)).toBe((1n << 60n) | (1n << 57n));
  });

  test('11.4.7.6 the fault records at CAP.FRO', () => {
    const bench = new Bench({ cap: { FRO: 0x40, NFR: 1 } }).start();
    bench.translate(0x1234, 0x5000n);
    bench.translate(0x1235, 0x6000n);
    expect(bench.read64(REG.FRCD + 8)).toBe(0n);
    expect(bench.read64(0x400)).toBe(0x5000n);
    expect(bench.read32(0x408)).toBe(0x1234);
    expect(bench.read64(0x410)).toBe(0x6000n);
    expect(bench.read32(0x418)).toBe(0x1235);
    expect(bench.unit.registerBytes).toBe(0x420);
  });
});

describe('11.4 registers of functions that the unit lacks read as zero and drop writes', () => {
  const ALL = 0xffff_ffff_ffff_ffffn;

  test.each([
    ['IQT', REG.IQT],
    ['IQA', REG.IQA],
    ['IECTL and IEDATA', REG.IECTL],
    ['IEADDR and IEUADDR', REG.IEADDR],
  ])('11.4.9 %s without ECAP.QI', (_, offset) => {
    const bench = new Bench({ ecap: { QI: 0 } });
    bench.write64(offset, ALL);
    expect(bench.read64(offset)).toBe(0n);
    const other = new Bench();
    other.write64(offset, ALL);
    expect(other.read64(offset)).not.toBe(0n);
  });

  test.each([
    ['PMEN', REG.PMEN, 0, 0, 0n],
    ['PMEN', REG.PMEN, 1, 0, 0x8000_0001n],
    ['PMEN', REG.PMEN, 0, 1, 0x8000_0001n],
    ['PLMBASE and PLMLIMIT', REG.PLMBASE, 0, 1, 0n],
    ['PLMBASE and PLMLIMIT', REG.PLMBASE, 1, 0, 0xffe0_0000_ffe0_0000n],
    ['PHMBASE', REG.PHMBASE, 1, 0, 0n],
    ['PHMBASE', REG.PHMBASE, 0, 1, 0xffff_ffff_ffe0_0000n],
    ['PHMLIMIT', REG.PHMLIMIT, 1, 0, 0n],
    ['PHMLIMIT', REG.PHMLIMIT, 0, 1, 0xffff_ffff_ffe0_0000n],
  ])('11.4.8 %s at %i with PLMR %i, PHMR %i: ones written read as %i', (name, offset, PLMR, PHMR, want) => {
    const bench = new Bench({ cap: { PLMR, PHMR } });
    bench.write64(offset, name === 'PMEN' ? 0xffff_ffffn : ALL);
    expect(name === 'PMEN' ? BigInt(bench.read32(offset)) : bench.read64(offset)).toBe(want);
  });
});
