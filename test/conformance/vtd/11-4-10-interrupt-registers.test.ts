import { describe, expect, test } from 'vitest';
import { CFI, EIME, entry, InterruptBench, IRE, IRT, IRTA, remappable, SIRTP } from './interrupt-bench.ts';
import { Bench, READ, REG, TE } from './unit.ts';

const SID = 0x18;
const IRES = IRE;
const IRTPS = SIRTP;
const CFIS = CFI;

describe('11.4.10 IRTA', () => {
  test('bits 63:12, 11 and 3:0 are writable, 10:4 reserved', () => {
    const bench = new InterruptBench();
    bench.write64(IRTA, 0xffff_ffff_ffff_ffffn);
    expect(bench.read64(IRTA)).toBe(0xffff_ffff_ffff_f80fn);
    bench.write64(IRTA, 0n);
    expect(bench.read64(IRTA)).toBe(0n);
  });

  test('EIME is reserved without ECAP.EIM, and can have no effect', () => {
    const bench = new InterruptBench({ ecap: { EIM: 0 }, extended: true }).remap();
    expect(bench.read64(IRTA) & EIME).toBe(0n);
    bench.setEntry(1, entry({ dst: 0x10000 }));
    expect(bench.interrupt(SID, remappable(1))).toEqual({ fault: 0x24 });
  });

  test('all of it is reserved without ECAP.IR', () => {
    const bench = new Bench();
    bench.write64(IRTA, 0xffff_ffff_ffff_ffffn);
    expect(bench.read64(IRTA)).toBe(0n);
  });
});

describe('11.4.4 GCMD and GSTS', () => {
  test('SIRTP is one-shot: IRTPS is set when it is done, and stays', () => {
    const bench = new InterruptBench();
    bench.setTable();
    expect(bench.read32(REG.GSTS)).toBe(IRTPS);
    bench.write32(REG.GCMD, 0);
    expect(bench.read32(REG.GSTS)).toBe(IRTPS);
    bench.setTable();
    expect(bench.read32(REG.GSTS)).toBe(IRTPS);
  });

  test('IRE and CFI are states: each write says both', () => {
    const bench = new InterruptBench();
    bench.write32(REG.GCMD, IRE);
    expect(bench.read32(REG.GSTS)).toBe(IRES);
    bench.write32(REG.GCMD, CFI);
    expect(bench.read32(REG.GSTS)).toBe(CFIS);
    bench.write32(REG.GCMD, IRE | CFI);
    expect(bench.read32(REG.GSTS)).toBe(IRES | CFIS);
    bench.write32(REG.GCMD, 0);
    expect(bench.read32(REG.GSTS)).toBe(0);
  });

  test('they leave DMA remapping alone, and it them', () => {
    const bench = new InterruptBench();
    bench.setTable();
    bench.write32(REG.GCMD, IRE | TE);
    expect(bench.read32(REG.GSTS) >>> 0).toBe((IRES | IRTPS | TE) >>> 0);
    bench.write32(REG.GCMD, IRE);
    expect(bench.read32(REG.GSTS)).toBe(IRES | IRTPS);
    bench.write32(REG.GCMD, TE);
    expect(bench.read32(REG.GSTS) >>> 0).toBe((IRTPS | TE) >>> 0);
  });

  test('a write of the byte with CFI alone leaves IRE, and starts nothing', () => {
    const bench = new InterruptBench().remap();
    bench.unit.write(REG.GCMD + 2, 1, 0x80, 0);
    expect(bench.read32(REG.GSTS)).toBe(IRES | IRTPS | CFIS);
    bench.unit.write(REG.GCMD + 3, 1, 0, 0);
    expect(bench.read32(REG.GSTS)).toBe(IRTPS | CFIS);
  });

  test('all at once: the table is set before it is used', () => {
    const bench = new InterruptBench();
    bench.setEntry(3, entry({ vector: 0x33 }));
    bench.write64(IRTA, IRT | 7n);
    bench.write32(REG.GCMD, IRE | SIRTP | CFI);
    expect(bench.read32(REG.GSTS)).toBe(IRES | IRTPS | CFIS);
    expect(bench.interrupt(SID, remappable(3))).toEqual({ address: 0xfee00000n, data: 0x4033 });
    expect(bench.interrupt(SID, 0xfee03000, 9)).toEqual({ address: 0xfee03000n, data: 9 });
  });

  test('7.2.1 the index of fault records returns to 0 when both are off, and only then', () => {
    for (const order of [
      [IRE, 0],
      [TE, 0],
    ]) {
      const bench = new InterruptBench({ cap: { NFR: 3 } }).remap();
      const clear = (n: number) => bench.write32(REG.FRCD + 16 * n + 12, 1 << 31);
      bench.write32(REG.GCMD, IRE | TE);
      bench.interrupt(SID, remappable(7));
      clear(0);
      bench.write32(REG.GCMD, order[0] as number);
      bench.write32(REG.GCMD, IRE | TE);
      bench.translate(SID, 0n, READ);
      expect([bench.record(0), bench.record(1)?.reason]).toEqual([null, 1]);
      clear(1);
      bench.write32(REG.GCMD, order[0] as number);
      bench.write32(REG.GCMD, order[1] as number);
      bench.write32(REG.GCMD, IRE | TE);
      bench.interrupt(SID, remappable(7));
      expect([bench.record(0)?.reason, bench.record(2)]).toEqual([0x22, null]);
    }
  });

  test('a unit is as it was after a reset, and a saved state has all of it', () => {
    const bench = new InterruptBench({ extended: true }).remap();
    bench.setEntry(3, entry({ vector: 0x33, dst: 0x1234567 }));
    const want = bench.interrupt(SID, remappable(3));
    const state = bench.arena.snapshot();
    bench.write32(REG.GCMD, 0);
    bench.setTable(0x48000n);
    expect(bench.interrupt(SID, remappable(3))).toEqual({ address: BigInt(remappable(3)), data: 0 });
    bench.arena.restore(state);
    expect(bench.interrupt(SID, remappable(3))).toEqual(want);
  });
});
