import { describe, expect, test } from 'vitest';
import { Bench, CONTEXT, contextInv, QIE, READ, REG, SRTP, TE } from './unit.ts';

describe('identification', () => {
  test('11.4.1 VER: version 1.0, as built otherwise', () => {
    expect(new Bench().read32(REG.VER)).toBe(0x10);
    expect(new Bench({ ver: { MAX: 6, MIN: 2 } }).read32(REG.VER)).toBe(0x62);
  });

  test('11.4.2 CAP: each field where the specification has it', () => {
    const cap = {
      ND: 5,
      CM: 1,
      SAGAW: 6,
      MGAW: 47,
      ZLR: 1,
      SSLPS: 3,
      PSI: 1,
      NFR: 0,
      MAMV: 18,
      DWD: 1,
      DRD: 1,
    } as const;
    const want =
      5n |
      (1n << 7n) |
      (6n << 8n) |
      (47n << 16n) |
      (1n << 22n) |
      (0x22n << 24n) |
      (3n << 34n) |
      (1n << 39n) |
      (18n << 48n) |
      (3n << 54n);
    expect(new Bench({ cap }).read64(REG.CAP)).toBe(want);
  });

  test('11.4.3 ECAP: each field where the specification has it', () => {
    const want = 1n | (1n << 1n) | (1n << 6n) | (1n << 7n) | (0xfn << 8n);
    expect(new Bench({ ecap: { C: 1, QI: 1, PT: 1, SC: 1, IRO: 0xf } }).read64(REG.ECAP)).toBe(want);
    expect(new Bench({ ecap: { C: 0, QI: 0, PT: 0, SC: 0 } }).read64(REG.ECAP)).toBe(0xfn << 8n);
  });

  test.each([
    ['VER', REG.VER, 4],
    ['CAP', REG.CAP, 8],
    ['ECAP', REG.ECAP, 8],
  ] as const)('11.4 %s is read-only, whole and in halves', (_, offset, size) => {
    const bench = new Bench();
    const before = bench.read64(offset);
    bench.unit.write(offset, size, -1, -1);
    bench.unit.write(offset, size, 0, 0);
    bench.write32(offset + size - 4, 0x5a5a5a5a);
    expect(bench.read64(offset)).toBe(before);
  });
});

describe('access', () => {
  test('11.2 a 64-bit register is read whole or in halves', () => {
    const bench = new Bench();
    bench.write64(REG.RTADDR, 0x123456789000n);
    expect(bench.read32(REG.RTADDR)).toBe(0x56789000);
    expect(bench.read32(REG.RTADDR + 4)).toBe(0x1234);
    bench.write32(REG.RTADDR + 4, 0x4321);
    expect(bench.read64(REG.RTADDR)).toBe(0x432156789000n);
    bench.write32(REG.RTADDR, 0x1000);
    expect(bench.read64(REG.RTADDR)).toBe(0x432100001000n);
  });

  test('11.2 what no register has reads as zero and drops writes, in the block and beyond', () => {
    const bench = new Bench();
    for (const offset of [0x04, 0x30, 0x58, 0x98, 0xc0, 0x100, 0x230, 0x1000, 0x7ffffffc]) {
      bench.unit.write(offset, 4, -1, 0);
      expect(bench.read32(offset)).toBe(0);
    }
  });

  // Found by reading: an offset of 2^31 or more becomes a negative word index and the answer is undefined.
  test('11.2 an offset of 2^31 or more reads as zero', () => {
    expect(new Bench().unit.read(0x80000000, 4)).toEqual({ lo: 0, hi: 0 });
  });

  // Found by reading: only a negative number starts the invalidation, though ICC is set either way.
  test('11.4.6.1 ICC given as an unsigned half starts the invalidation', () => {
    const bench = new Bench();
    bench.unit.write(REG.CCMD, 8, 0, 0xa0000000);
    bench.run();
    expect(bench.read32(REG.CCMD + 4) >>> 31).toBe(0);
  });

  test('11.4.5 RTADDR: bits 9:0 are not kept', () => {
    const bench = new Bench();
    bench.write64(REG.RTADDR, 0xffff_ffff_ffff_ffffn);
    expect(bench.read64(REG.RTADDR) & 0x3ffn).toBe(0n);
  });

  test.each([
    ['11.4.9.1 IQH is read-only', REG.IQH, 0n],
    ['11.4.9.2 IQT keeps bits 18:4', REG.IQT, 0x7fff0n],
    ['11.4.9.3 IQA keeps bits 63:11 and 2:0', REG.IQA, 0xffff_ffff_ffff_f807n],
    ['11.4.9.9 IQERCD is read-only', REG.IQERCD, 0n],
    ['11.4.7.6 FRCD is read-only but for F', REG.FRCD, 0n],
    ['11.4.7.6 FRCD is read-only but for F, upper half', REG.FRCD + 8, 0n],
  ])('%s', (_, offset, kept) => {
    const bench = new Bench();
    bench.write64(offset, 0xffff_ffff_ffff_ffffn);
    expect(bench.read64(offset)).toBe(kept);
  });
});

describe('11.4 each bit of each register, one at a time', () => {
  /** Bits that software can set and clear; all others of the register stay as they are. Commands are left out (63 of CCMD and IOTLB_REG, PMEN). */
  const WRITABLE: readonly (readonly [string, number, number, bigint])[] = [
    ['11.4.1 VER', REG.VER, 32, 0n],
    ['11.4.2 CAP', REG.CAP, 64, 0n],
    ['11.4.3 ECAP', REG.ECAP, 64, 0n],
    ['11.4.4.2 GSTS', REG.GSTS, 32, 0n],
    ['11.4.5 RTADDR', REG.RTADDR, 64, 0xffff_ffff_ffff_fc00n],
    ['11.4.6.1 CCMD', REG.CCMD, 63, 0x6000_0000_0000_ffffn],
    ['11.4.6.3 IOTLB_REG', REG.IOTLB, 63, 0x3003_ffff_0000_0000n],
    ['11.4.6.4 IVA_REG', REG.IVA, 64, 0n],
    ['11.4.7.1 FSTS', REG.FSTS, 32, 0n],
    ['11.4.7.2 FECTL', REG.FECTL, 32, 0x8000_0000n],
    ['11.4.7.3 FEDATA', REG.FEDATA, 32, 0xffffn],
    ['11.4.7.4 FEADDR', REG.FEADDR, 32, 0xffff_fffcn],
    ['11.4.7.5 FEUADDR', REG.FEUADDR, 32, 0xffff_ffffn],
    ['11.4.7.6 FRCD, lower half', REG.FRCD, 64, 0n],
    ['11.4.7.6 FRCD, upper half', REG.FRCD + 8, 64, 0n],
    ['11.4.8.2 PLMBASE', REG.PLMBASE, 32, 0xffe0_0000n],
    ['11.4.8.3 PLMLIMIT', REG.PLMLIMIT, 32, 0xffe0_0000n],
    ['11.4.8.4 PHMBASE', REG.PHMBASE, 64, 0xffff_ffff_ffe0_0000n],
    ['11.4.8.5 PHMLIMIT', REG.PHMLIMIT, 64, 0xffff_ffff_ffe0_0000n],
    ['11.4.9.1 IQH', REG.IQH, 64, 0n],
    ['11.4.9.2 IQT', REG.IQT, 64, 0x7fff0n],
    ['11.4.9.3 IQA', REG.IQA, 64, 0xffff_ffff_ffff_f807n],
    ['11.4.9.4 ICS', REG.ICS, 32, 0n],
    ['11.4.9.5 IECTL', REG.IECTL, 32, 0x8000_0000n],
    ['11.4.9.6 IEDATA', REG.IEDATA, 32, 0xffffn],
    ['11.4.9.7 IEADDR', REG.IEADDR, 32, 0xffff_fffcn],
    ['11.4.9.8 IEUADDR', REG.IEUADDR, 32, 0xffff_ffffn],
    ['11.4.9.9 IQERCD', REG.IQERCD, 64, 0n],
    ['11.4.10 IRTA without ECAP.IR', 0xb8, 64, 0n],
    ['11.4.11 page request registers without ECAP.PRS', 0xc0, 64, 0n],
  ];

  test.each(WRITABLE)('%s', (_, offset, width, writable) => {
    const bench = new Bench({ cap: { PLMR: 1, PHMR: 1 } });
    const read = () => (width > 32 ? bench.read64(offset) : BigInt(bench.read32(offset)));
    const write = (value: bigint) => (width > 32 ? bench.write64(offset, value) : bench.write32(offset, Number(value)));
    const fixed = read() & ~writable;
    for (let n = 0; n < width; n++) {
      const bit = 1n << BigInt(n);
      write(bit);
      expect(read(), `bit ${n}`).toBe(fixed | (bit & writable));
    }
    write(0n);
    expect(read()).toBe(fixed);
  });

  test('each register of the unit is in the table, but for GCMD and PMEN', () => {
    const known = WRITABLE.map(([, offset]) => offset);
    const missing = Object.entries(REG).filter(([, offset]) => !known.includes(offset));
    expect(missing.map(([name]) => name)).toEqual(['GCMD', 'PMEN']);
  });
});

describe('11.4.4 GCMD and GSTS', () => {
  test('11.4.4.1 GCMD is write-only: it reads as zero', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, TE | SRTP | QIE);
    expect(bench.read32(REG.GCMD)).toBe(0);
  });

  test('11.4.4.2 GSTS is read-only', () => {
    const bench = new Bench();
    bench.write32(REG.GSTS, -1);
    expect(bench.read32(REG.GSTS)).toBe(0);
  });

  test('11.4.4.1 TE follows the written value, both ways', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, TE);
    expect(bench.read32(REG.GSTS)).toBe(0x80000000);
    bench.write32(REG.GCMD, 0);
    expect(bench.read32(REG.GSTS)).toBe(0);
  });

  test('11.4.4.1 SRTP is one-shot: RTPS stays when other commands are written', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, SRTP);
    expect(bench.read32(REG.GSTS)).toBe(0x40000000);
    bench.write32(REG.GCMD, TE);
    expect(bench.read32(REG.GSTS)).toBe(0xc0000000);
  });

  test('11.4.4.1 QIE follows the written value where ECAP.QI = 1, and is ignored where it is 0', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, QIE);
    expect(bench.read32(REG.GSTS)).toBe(0x04000000);
    const without = new Bench({ ecap: { QI: 0 } });
    without.write32(REG.GCMD, QIE);
    expect(without.read32(REG.GSTS)).toBe(0);
  });

  test('11.4.4.1 WBF is one-shot: WBFS is clear when the flush is complete', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, 1 << 27);
    bench.run();
    expect(bench.read32(REG.GSTS)).toBe(0);
  });

  test('11.4.4.1 commands of functions that are not there (interrupt remapping) change nothing', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, (1 << 25) | (1 << 24) | (1 << 23));
    expect(bench.read32(REG.GSTS)).toBe(0);
  });

  test('11.4.4.1 bits 29:28 and 22:0 are reserved: they command nothing', () => {
    const bench = new Bench({ cap: { RWBF: 1 } });
    bench.write32(REG.GCMD, 0x307fffff);
    bench.run();
    expect(bench.read32(REG.GSTS)).toBe(0);
    expect(bench.flushes).toBe(0);
  });

  test('11.4.4.1 with TE = 0 every request passes untranslated, without a fault', () => {
    const bench = new Bench();
    expect(bench.translate(0x100, 0x123456789000n)).toEqual({ page: 0x123456789000n });
    expect(bench.read32(REG.FSTS)).toBe(0);
    bench.write32(REG.GCMD, TE);
    expect(bench.translate(0x100, 0x123456789000n)).toHaveProperty('fault');
    bench.write32(REG.GCMD, 0);
    expect(bench.translate(0x100, 0x123456789000n)).toEqual({ page: 0x123456789000n });
  });
});

describe('11.4.5 RTADDR', () => {
  function twoRoots(options = {}) {
    const bench = new Bench(options);
    const [one, two] = [bench.tree(), bench.tree()];
    bench.map(one, 0x1000n, 0x111003n);
    bench.map(two, 0x1000n, 0x222003n);
    bench.attach(8, one, 1);
    const [root, context] = [bench.newTable(), bench.newTable()];
    bench.poke(root, context | 1n);
    bench.poke(context + 8n * 16n, two.top | 1n);
    bench.poke(context + 8n * 16n + 8n, 0x202n);
    return { bench, root };
  }

  test('11.4.5 a new root table takes effect at SRTP, not when it is written', () => {
    const { bench, root } = twoRoots();
    bench.start();
    bench.write64(REG.RTADDR, root);
    expect(bench.translate(8, 0x1000n)).toEqual({ page: 0x111000n });
    bench.flush();
    expect(bench.translate(8, 0x1000n)).toEqual({ page: 0x111000n });
    bench.write32(REG.GCMD, TE | SRTP);
    bench.flush();
    expect(bench.translate(8, 0x1000n)).toEqual({ page: 0x222000n });
  });

  test('6.6 after SRTP cached entries may serve until context cache and IOTLB are invalidated', () => {
    const { bench, root } = twoRoots({ cap: { ESRTPS: 0 } });
    bench.start();
    bench.translate(8, 0x1000n);
    bench.write64(REG.RTADDR, root);
    bench.write32(REG.GCMD, TE | SRTP);
    expect(bench.translate(8, 0x1000n)).toEqual({ page: 0x111000n });
    bench.flush();
    expect(bench.translate(8, 0x1000n)).toEqual({ page: 0x222000n });
  });

  test('11.4.5 all 52 bits of the address are used', () => {
    const bench = new Bench().start();
    bench.write64(REG.RTADDR, 1n << 44n);
    bench.write32(REG.GCMD, TE | SRTP);
    expect(bench.translate(8, 0x1000n)).toEqual({ fault: 0x8 });
  });
});

describe('11.4.7.1 FSTS', () => {
  test('11.4.7.1 PFO and IQE clear on 1 and stay on 0; PPF and FRI are read-only', () => {
    const bench = new Bench().start();
    bench.translate(8, 0n);
    bench.translate(0x10, 0n);
    bench.startQueue();
    bench.submit([0n, 0n]);
    expect(bench.read32(REG.FSTS)).toBe(0x13);
    bench.write32(REG.FSTS, 0);
    expect(bench.read32(REG.FSTS)).toBe(0x13);
    bench.write32(REG.FSTS, 0x02);
    expect(bench.read32(REG.FSTS)).toBe(0x13);
    bench.write32(REG.FSTS, 0x01);
    expect(bench.read32(REG.FSTS)).toBe(0x12);
    bench.write32(REG.IQT, 0);
    bench.write32(REG.FSTS, 0x10);
    expect(bench.read32(REG.FSTS)).toBe(0x02);
  });

  test('11.4.7.1 reserved bits read as zero', () => {
    const bench = new Bench();
    bench.write32(REG.FSTS, -1);
    expect(bench.read32(REG.FSTS)).toBe(0);
  });
});

describe('11.4.9.4 ICS', () => {
  test('11.4.9.4 IWC is set by a wait with IF, clears on 1 and stays on 0', () => {
    const bench = new Bench().startQueue();
    bench.submit([0x15n, 0n]);
    expect(bench.read32(REG.ICS)).toBe(1);
    bench.write32(REG.ICS, 0xfffffffe);
    expect(bench.read32(REG.ICS)).toBe(1);
    bench.write32(REG.ICS, 1);
    expect(bench.read32(REG.ICS)).toBe(0);
  });
});

describe('11.4.9.1 IQH', () => {
  test('11.4.9.1 the head is reset when the queue is disabled', () => {
    const bench = new Bench().startQueue();
    bench.submit(contextInv(1), [0x15n, 0n]);
    expect(bench.read32(REG.IQH)).toBe(32);
    bench.write32(REG.GCMD, 0);
    expect(bench.read32(REG.IQH)).toBe(0);
  });
});

test('11.4.5 the root table is indexed by bus, the context table by device and function', () => {
  const bench = new Bench().start();
  const tree = bench.tree();
  bench.map(tree, 0x1000n, 0x111001n);
  for (const [bus, devfn] of [
    [0, 0],
    [0x7f, 0xff],
    [0xff, 0x80],
  ]) {
    const context = bench.newTable();
    bench.setRoot(bus, context | 1n);
    bench.poke(context + BigInt(devfn * 16), tree.top | 1n);
    bench.poke(context + BigInt(devfn * 16) + 8n, 0x102n);
    expect(bench.translate(bus * 256 + devfn, 0x1000n, READ)).toEqual({ page: 0x111000n });
    expect(bench.translate(bus * 256 + (devfn ^ 1), 0x1000n, READ)).toEqual({ fault: 0x2 });
    expect(bench.translate((bus ^ 1) * 256 + devfn, 0x1000n, READ)).toEqual({ fault: 0x1 });
  }
  expect(CONTEXT).toBe(0x2000n);
});
