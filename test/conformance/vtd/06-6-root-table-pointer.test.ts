import { describe, expect, test } from 'vitest';
import { Bench, contextInv, FSTS, iotlbInv, queueErrorInfo, READ, REG, SRTP, TE, WRITE } from './unit.ts';

const RTPS = 0x4000_0000;
const TES = 0x8000_0000;
const SID = 8;

/** A device with translations cached from one root table; and another root table for it. */
function scene(ESRTPS: number, dmaSlots = 0) {
  const bench = new Bench({ cap: { ESRTPS }, dmaSlots }).start();
  const [one, two] = [bench.tree(), bench.tree()];
  bench.map(one, 0x1000n, 0x111003n);
  bench.map(two, 0x1000n, 0x222003n);
  bench.attach(SID, one, 1);
  const [root, context] = [bench.newTable(), bench.newTable()];
  bench.poke(root, context | 1n);
  bench.poke(context + BigInt(SID * 16), two.top | 1n);
  bench.poke(context + BigInt(SID * 16) + 8n, 0x202n);
  return { bench, root };
}

describe('6.6 CAP.ESRTPS', () => {
  test('6.6 ESRTPS = 1: SRTP drops all caches', () => {
    const { bench, root } = scene(1);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x111000n });
    bench.write64(REG.RTADDR, root);
    expect(bench.translate(SID, 0x1000n), 'before SRTP').toEqual({ page: 0x111000n });
    bench.write32(REG.GCMD, TE | SRTP);
    expect(bench.unit.caches.context.isEmpty()).toBe(true);
    expect(bench.unit.caches.iotlb.isEmpty()).toBe(true);
    for (const cache of bench.unit.caches.paging) expect(cache.isEmpty()).toBe(true);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x222000n });
    expect(bench.read32(REG.GSTS)).toBe((RTPS | TES) >>> 0);
  });

  test('6.6 ESRTPS = 0: it does not', () => {
    const { bench, root } = scene(0);
    bench.translate(SID, 0x1000n);
    bench.write64(REG.RTADDR, root);
    bench.write32(REG.GCMD, TE | SRTP);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x111000n });
  });

  test.each([
    [1, false],
    [2, false],
    [4, false],
  ])('6.6 a walk %i steps old: RTPS is set when it is over, and it fills nothing', (steps) => {
    const { bench, root } = scene(1, 2);
    const flight = bench.issue(SID, 0x1000n);
    for (let i = 0; i < steps; i++) flight.step();
    bench.write64(REG.RTADDR, root);
    bench.write32(REG.GCMD, TE | SRTP);
    bench.run();
    const before = steps > 1;
    expect(bench.read32(REG.GSTS) & RTPS, 'a walk that has read something holds it').toBe(before ? 0 : RTPS);
    flight.walk();
    bench.run();
    expect(bench.read32(REG.GSTS) & RTPS).toBe(RTPS);
    const again = bench.issue(SID, 0x1000n);
    expect(again.walk()).toBe(true);
    expect(again.page).toBe(0x222000n);
  });
});

describe('11.4.5 RTADDR.TTM', () => {
  test.each([1, 2, 3])(
    '7.1.3 RTA.1: TTM %i refuses every request with 0x30, from SRTP on, whatever FPD says',
    (ttm) => {
      for (const dmaSlots of [0, 1]) {
        const { bench } = scene(0, dmaSlots);
        bench.poke(0x2000n + BigInt(SID * 16), bench.peek(0x2000n + BigInt(SID * 16)) | 2n);
        bench.write64(REG.RTADDR, 0x1000n | (BigInt(ttm) << 10n));
        if (dmaSlots === 0) expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x111000n });
        bench.write32(REG.GCMD, TE | SRTP);
        for (const access of [READ, WRITE]) {
          bench.clearFaults();
          if (dmaSlots === 0) expect(bench.translate(SID, 0x1000n, access)).toEqual({ fault: 0x30 });
          else expect(bench.issue(SID, 0x1000n, access).walk()).toBe(false);
          expect(bench.recordedReason()).toBe(0x30);
          expect(bench.read64(REG.FRCD)).toBe(0x1000n);
        }
        bench.write64(REG.RTADDR, 0x1000n);
        bench.write32(REG.GCMD, TE | SRTP);
        bench.flush();
        if (dmaSlots === 0) expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x111000n });
        else expect(bench.issue(SID, 0x1000n).walk()).toBe(true);
      }
    },
  );

  test('11.4.5 TTM without SRTP takes no effect, not even when translation is switched off and on', () => {
    const { bench } = scene(0);
    bench.write64(REG.RTADDR, 0x1400n);
    bench.write32(REG.GCMD, 0);
    bench.write32(REG.GCMD, TE);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x111000n });
    bench.write32(REG.GCMD, TE | SRTP);
    bench.write64(REG.RTADDR, 0x1000n);
    bench.write32(REG.GCMD, 0);
    bench.write32(REG.GCMD, TE);
    expect(bench.translate(SID, 0x1000n)).toEqual({ fault: 0x30 });
  });

  test('11.4.4.1 with translation off requests pass whatever TTM says', () => {
    const { bench } = scene(0);
    bench.write64(REG.RTADDR, 0x1400n);
    bench.write32(REG.GCMD, SRTP);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x1000n });
    bench.write32(REG.GCMD, TE);
    expect(bench.translate(SID, 0x1000n)).toEqual({ fault: 0x30 });
  });

  test.each([1, 2, 3])(
    '11.4.6.1, 11.4.6.3 TTM %i: invalidations by registers are refused with CAIG and IAIG 0',
    (ttm) => {
      const { bench } = scene(0);
      bench.translate(SID, 0x1000n);
      bench.write64(REG.RTADDR, 0x1000n | (BigInt(ttm) << 10n));
      bench.flush();
      expect(bench.read64(REG.CCMD) >> 59n, 'TTM is not in force').toBe(5n);
      bench.translate(SID, 0x1000n);
      bench.write32(REG.GCMD, TE | SRTP);
      bench.flush();
      expect(bench.read64(REG.CCMD) >> 59n).toBe(4n);
      expect(bench.read64(REG.IOTLB) >> 57n).toBe(8n);
      expect(bench.unit.caches.iotlb.isEmpty()).toBe(false);
    },
  );

  test.each([1, 2, 3])('11.4.9.9 TTM %i: the queue stops at any descriptor with IQEI 7', (ttm) => {
    const { bench } = scene(0);
    bench.write64(REG.RTADDR, 0x1000n | (BigInt(ttm) << 10n));
    bench.write32(REG.GCMD, TE | SRTP);
    bench.startQueue();
    bench.submit(contextInv(1), iotlbInv({ g: 1 }));
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    expect(queueErrorInfo(bench, 7)).toBe(7);
    expect(bench.read32(REG.IQH)).toBe(0);
  });
});

describe('6.5.4, 11.4.4.1 switching translation on', () => {
  test.each([
    [READ, {}, true],
    [WRITE, {}, true],
    [READ, { DRD: 0 }, false],
    [WRITE, { DWD: 0 }, false],
    [READ, { DWD: 0 }, true],
    [WRITE, { DRD: 0 }, true],
  ] as const)(
    '6.5.4 TES is set when requests that were not remapped have drained (access %i, CAP %j)',
    (access, cap, holds) => {
      const bench = new Bench({ dmaSlots: 2, cap });
      const flight = bench.issue(SID, 0x5000n, access);
      flight.step();
      expect(flight.state).toBe('translated');
      bench.write32(REG.GCMD, TE);
      bench.run();
      expect(bench.read32(REG.GSTS)).toBe(holds ? 0 : TES);
      // What comes behind is remapped already.
      expect(bench.issue(SID, 0x6000n).walk()).toBe(false);
      bench.run();
      expect(bench.read32(REG.GSTS)).toBe(holds ? 0 : TES);
      flight.perform();
      bench.run();
      expect(bench.read32(REG.GSTS)).toBe(TES);
    },
  );

  test('6.5.4 a request that the unit has not looked at yet holds nothing', () => {
    const bench = new Bench({ dmaSlots: 2 });
    bench.issue(SID, 0x5000n, WRITE);
    bench.write32(REG.GCMD, TE);
    expect(bench.read32(REG.GSTS)).toBe(TES);
  });

  test('11.4.4.1 switched off while TES is awaited: it is not set', () => {
    const bench = new Bench({ dmaSlots: 2 });
    const flight = bench.issue(SID, 0x5000n, WRITE);
    flight.step();
    bench.write32(REG.GCMD, TE);
    bench.write32(REG.GCMD, 0);
    flight.perform();
    bench.run();
    expect(bench.read32(REG.GSTS)).toBe(0);
    const later = bench.issue(SID, 0x6000n);
    later.step();
    expect(later.page).toBe(0x6000n);
  });
});

describe('11.4.4.1 several commands in one write', () => {
  test('SRTP, QIE and TE together: all are done', () => {
    const { bench, root } = scene(1);
    bench.write32(REG.GCMD, 0);
    bench.write64(REG.RTADDR, root);
    bench.write64(REG.IQA, 0x10000n);
    bench.write32(REG.GCMD, TE | SRTP | (1 << 26));
    expect(bench.read32(REG.GSTS)).toBe((TES | RTPS | (1 << 26)) >>> 0);
    expect(bench.translate(SID, 0x1000n)).toEqual({ page: 0x222000n });
  });

  test('state bits that are not repeated are switched off', () => {
    const bench = new Bench().start().startQueue();
    bench.write32(REG.GCMD, 1 << 26);
    expect(bench.read32(REG.GSTS) & TES).toBe(0);
    bench.write32(REG.GCMD, TE);
    expect(bench.read32(REG.GSTS) & (1 << 26)).toBe(0);
  });
});

describe('6.8 write-buffer flushing', () => {
  test('6.8 with CAP.RWBF on WBF, and before invalidations; WBFS is clear when it is done', () => {
    const bench = new Bench({ cap: { RWBF: 1 } });
    bench.write32(REG.GCMD, 1 << 27);
    expect(bench.flushes).toBe(1);
    expect(bench.read32(REG.GSTS)).toBe(0);
    bench.write64(REG.CCMD, (1n << 63n) | (1n << 61n));
    bench.run();
    expect(bench.flushes).toBe(2);
    bench.write64(REG.IOTLB, (1n << 63n) | (1n << 60n));
    bench.run();
    expect(bench.flushes).toBe(3);
    bench.startQueue();
    bench.submit(contextInv(1));
    expect(bench.flushes).toBe(4);
    bench.submit(iotlbInv({ g: 1 }));
    expect(bench.flushes).toBe(5);
    bench.submit([5n, 0n]);
    expect(bench.flushes, 'a wait does not').toBe(5);
  });

  test('11.4.4.1 without CAP.RWBF WBF does nothing', () => {
    const bench = new Bench();
    bench.write32(REG.GCMD, 1 << 27);
    bench.flush();
    expect(bench.flushes).toBe(0);
    expect(bench.read32(REG.GSTS)).toBe(0);
  });
});
