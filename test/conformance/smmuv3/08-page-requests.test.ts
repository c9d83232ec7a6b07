/** SMMUv3 chapter 8: page requests at once. */
import { describe, expect, test } from 'vitest';
import type { PageRequest } from '../../../src/iommu/smmuv3/pri-queue.ts';
import type { Options } from './interface-bench.ts';
import { InterfaceBench, MSI_PRIQ_ABT_ERR, PRIQ, PRIQ_ABT_ERR, PRIQEN, REG, SMMUEN } from './interface-bench.ts';

const [SUCCESS, FAILURE] = [0, 15];
const PRI = { ATS: 1, PRI: 1 };

function benchOf(options: Options = {}, log2 = 1): InterfaceBench {
  return new InterfaceBench({ ...options, idr0: { ...PRI, ...options.idr0 } }).start(log2);
}

function ask(bench: InterfaceBench, of: Partial<PageRequest> = {}): boolean {
  const one = {
    sid: 0x1234,
    ssid: -1,
    hi: 0x0123_4567,
    lo: 0x89ab_c123 | 0,
    read: true,
    write: false,
    group: 3,
    last: true,
  };
  return bench.unit.pageRequest({ ...one, ...of });
}

describe('8 entries', () => {
  test('without PASID: neither X nor Priv', () => {
    const bench = benchOf();
    expect(ask(bench, { execute: true, privileged: true, last: false })).toBe(true);
    expect([bench.peek(PRIQ), bench.peek(PRIQ + 8)]).toEqual([0x1234n | (1n << 60n), 0x0123_4567_89ab_c003n]);
    expect(bench.read32(REG.PRIQ_PROD)).toBe(1);
  });

  test('with PASID', () => {
    const bench = benchOf();
    ask(bench, { sid: 0xffff_fffe, ssid: 0xf_fffe, execute: true, privileged: true, write: true, group: 0x1ff });
    // Priv 58, X 59, R 60, W 61, Last 62, SSV 63.
    expect(bench.peek(PRIQ)).toBe(0xffff_fffen | (0xf_fffen << 32n) | (0x3fn << 58n));
    expect(bench.peek(PRIQ + 8)).toBe(0x0123_4567_89ab_c1ffn);
  });

  test('a Stop PASID marker is queued as well', () => {
    const bench = benchOf();
    ask(bench, { ssid: 7, read: false });
    expect([bench.peek(PRIQ) >> 58n, bench.responses]).toEqual([0x30n, []]);
  });
});

describe('8.1 overflow', () => {
  /** A queue of two entries that is full. */
  function full(options: Options = {}): InterfaceBench {
    const bench = benchOf(options);
    expect([ask(bench, { last: false }), ask(bench, { last: false })]).toEqual([true, true]);
    return bench;
  }

  test('OVFLG; the last of a group is answered, others are not; nothing is queued before the acknowledgement', () => {
    const bench = full();
    expect([ask(bench, { last: false }), bench.read32(REG.PRIQ_PROD), bench.responses]).toEqual([
      false,
      0x80000002,
      [],
    ]);
    expect(ask(bench)).toBe(false);
    bench.write32(REG.PRIQ_CONS, 2);
    expect(ask(bench, { group: 4 })).toBe(false);
    expect(bench.responses).toEqual([
      [0x1234, -1, 3, SUCCESS],
      [0x1234, -1, 4, SUCCESS],
    ]);
    bench.write32(REG.PRIQ_CONS, 0x80000002);
    expect([ask(bench), bench.read32(REG.PRIQ_PROD)]).toEqual([true, 0x80000003]);
  });

  test.each([
    ['without a PASID, whatever STE and IDR3.PPS say', { ppar: -1 }, -1, [-1, SUCCESS]],
    ['IDR3.PPS: with the PASID', { ppar: -1, idr3: { PPS: 1 } }, 7, [7, SUCCESS]],
    ['STE.PPAR 1: with the PASID', { ppar: 1 }, 7, [7, SUCCESS]],
    ['STE.PPAR 0: without', { ppar: 0 }, 7, [-1, SUCCESS]],
    ['no valid STE: a failure, without', { ppar: -1 }, 7, [-1, FAILURE]],
    ['an SMMU without substreams', { ppar: 1, idr1: { SSIDSIZE: 0 } }, 7, [-1, SUCCESS]],
  ])('the answer: %s', (_, options, ssid, [answered, code]) => {
    const bench = full(options);
    ask(bench, { ssid });
    expect(bench.responses).toEqual([[0x1234, answered, 3, code]]);
  });

  test('a Stop PASID marker gets no answer', () => {
    const bench = full();
    expect([ask(bench, { ssid: 7, read: false }), bench.responses]).toEqual([false, []]);
  });
});

describe('8.2', () => {
  test.each([
    ['PRIQEN 0', SMMUEN],
    ['SMMUEN 0', PRIQEN],
  ])('%s: each request is answered with a failure, without PASID', (_, cr0) => {
    const bench = new InterfaceBench({ idr0: PRI }).start(1, cr0);
    expect([
      ask(bench, { ssid: 7 }),
      ask(bench, { last: false, group: 4 }),
      ask(bench, { ssid: 7, read: false }),
    ]).toEqual([false, false, false]);
    expect(bench.responses).toEqual([
      [0x1234, -1, 3, FAILURE],
      [0x1234, -1, 4, FAILURE],
    ]);
    expect(bench.read32(REG.PRIQ_PROD)).toBe(0);
  });

  test('an aborted write: PRIQ_ABT_ERR and a failure; nothing is queued before the acknowledgement', () => {
    const bench = new InterfaceBench({ idr0: PRI });
    bench.write64(REG.PRIQ_BASE, 0x10_0000_0000n);
    bench.write32(REG.CR0, SMMUEN | PRIQEN);
    expect([ask(bench), bench.read32(REG.GERROR), bench.read32(REG.PRIQ_PROD)]).toEqual([false, PRIQ_ABT_ERR, 0]);
    expect(ask(bench, { group: 4 })).toBe(false);
    expect(bench.responses).toEqual([
      [0x1234, -1, 3, FAILURE],
      [0x1234, -1, 4, FAILURE],
    ]);
    bench.write32(REG.GERRORN, PRIQ_ABT_ERR);
    bench.write32(REG.CR0, SMMUEN);
    bench.write64(REG.PRIQ_BASE, BigInt(PRIQ));
    bench.write32(REG.CR0, SMMUEN | PRIQEN);
    expect(ask(bench)).toBe(true);
  });

  test('without IDR0.PRI there is no queue', () => {
    const bench = new InterfaceBench().start();
    expect([ask(bench), bench.responses]).toEqual([false, []]);
  });
});

describe('6.3.36 interrupts', () => {
  test('LO = 0: where the queue was empty', () => {
    const bench = new InterfaceBench({ idr0: PRI });
    bench.write64(REG.PRIQ_IRQ_CFG0, 0x8000_0010n);
    bench.write32(REG.PRIQ_IRQ_CFG1, 9);
    bench.write32(REG.IRQ_CTRL, 2);
    bench.start();
    ask(bench, { last: false });
    ask(bench);
    expect([bench.pulses, bench.messages]).toEqual([['priq'], [[0x8000_0010, 9]]]);
  });

  test('LO = 1: with the last of a group, also where an overflow discards it', () => {
    const bench = new InterfaceBench({ idr0: PRI });
    bench.write32(REG.PRIQ_IRQ_CFG2, 0x80000000);
    bench.write32(REG.IRQ_CTRL, 2);
    bench.start(1);
    ask(bench, { last: false });
    expect(bench.pulses).toEqual([]);
    for (let n = 1; n <= 3; n++) {
      ask(bench);
      expect(bench.pulses.length).toBe(n);
    }
    ask(bench, { last: false });
    expect(bench.pulses.length).toBe(3);
  });

  test('an aborted MSI', () => {
    const bench = new InterfaceBench({ idr0: PRI });
    bench.write64(REG.PRIQ_IRQ_CFG0, 0x10_0000_0000n);
    bench.write32(REG.IRQ_CTRL, 2);
    bench.start();
    ask(bench);
    expect(bench.read32(REG.GERROR)).toBe(MSI_PRIQ_ABT_ERR);
  });
});
