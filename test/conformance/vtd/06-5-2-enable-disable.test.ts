import { describe, expect, test } from 'vitest';
import { Bench, FSTS, QIE, QUEUE, REG, STATUS, TE, wait } from './unit.ts';

const QIES = 1 << 26;
const done = (n: bigint) => wait({ sw: 1, data: n, addr: STATUS + 8n * n });

/** Writes descriptors at an offset of a queue without telling the unit. */
function put(bench: Bench, base: bigint, offset: bigint, descriptors: readonly (readonly [bigint, bigint])[]): void {
  descriptors.forEach(([lo, hi], i) => {
    bench.poke(base + offset + BigInt(16 * i), lo);
    bench.poke(base + offset + BigInt(16 * i + 8), hi);
  });
}

describe('6.5.2 enabling and disabling', () => {
  test('6.5.2 disabled: the head is 0, QIES is clear, the tail stays, nothing is fetched', () => {
    const bench = new Bench().startQueue();
    bench.submit(done(1n), done(2n));
    put(bench, QUEUE, 32n, [done(3n)]);
    bench.write32(REG.GCMD, 0);
    expect([bench.read32(REG.IQH), bench.read32(REG.IQT), bench.read32(REG.GSTS) & QIES]).toEqual([0, 32, 0]);
    bench.write32(REG.IQT, 48);
    expect(bench.rests()).toBe(true);
    expect(bench.peek(STATUS + 24n)).toBe(0n);
  });

  test('6.5.2 enabled with a tail that is not 0: everything from offset 0 to it is executed', () => {
    const bench = new Bench();
    put(bench, QUEUE, 0n, [done(1n), done(2n), done(3n)]);
    bench.write64(REG.IQA, QUEUE);
    bench.write32(REG.IQT, 32);
    bench.write32(REG.GCMD, QIE);
    bench.run();
    expect(bench.read32(REG.IQH)).toBe(32);
    expect([1n, 2n, 3n].map((n) => bench.peek(STATUS + 8n * n))).toEqual([1n, 2n, 0n]);
  });

  test('6.5.2 QIE written again while it is on changes nothing', () => {
    const bench = new Bench().startQueue();
    bench.submit(done(1n));
    bench.write32(REG.GCMD, QIE | TE);
    expect(bench.read32(REG.IQH)).toBe(16);
    bench.submit(done(2n));
    expect(bench.peek(STATUS + 16n)).toBe(2n);
  });

  test('6.5.2 switched off with descriptors in it and on again: it begins at offset 0', () => {
    const bench = new Bench().startQueue();
    bench.submit(done(1n));
    put(bench, QUEUE, 0n, [done(4n), done(5n)]);
    bench.write32(REG.IQT, 32);
    bench.write32(REG.GCMD, 0);
    bench.write32(REG.GCMD, QIE);
    bench.run();
    expect([4n, 5n].map((n) => bench.peek(STATUS + 8n * n))).toEqual([4n, 5n]);
  });

  test('11.4.9.3 another IQA while the queue is empty: the next descriptors are read there, at the same offset', () => {
    const bench = new Bench().startQueue();
    bench.submit(done(1n));
    const other = QUEUE + 0x8000n;
    bench.write64(REG.IQA, other | 1n);
    put(bench, other, 16n, [done(2n)]);
    bench.write32(REG.IQT, 32);
    bench.run();
    expect(bench.peek(STATUS + 16n)).toBe(2n);
    put(
      bench,
      other,
      32n,
      Array.from({ length: 509 }, () => done(6n)),
    );
    bench.write32(REG.IQT, 8192 - 16);
    bench.run();
    expect(bench.read32(REG.IQH), 'and its size counts').toBe(8192 - 16);
    expect(bench.read32(REG.FSTS)).toBe(0);
  });

  test('6.5.2 without ECAP.QI there is no queue', () => {
    const bench = new Bench({ ecap: { QI: 0 } });
    put(bench, 0n, 0n, [done(1n)]);
    bench.write32(REG.GCMD, QIE);
    bench.write32(REG.IQT, 16);
    expect(bench.rests()).toBe(true);
    expect(bench.read32(REG.GSTS)).toBe(0);
    expect(bench.peek(STATUS + 8n)).toBe(0n);
  });

  test('6.5.2.11 an error while switched off and on: IQE stays and holds the queue', () => {
    const bench = new Bench().startQueue();
    bench.submit([0n, 0n]);
    bench.write32(REG.GCMD, 0);
    bench.write32(REG.GCMD, QIE);
    put(bench, QUEUE, 0n, [done(1n)]);
    expect(bench.rests()).toBe(true);
    bench.write32(REG.FSTS, FSTS.IQE);
    bench.run();
    expect(bench.peek(STATUS + 8n)).toBe(1n);
  });

  test.each([0, 1])('11.4.6.3 without CAP.PSI AM of a register request does not matter (MAMV %i)', (MAMV) => {
    const bench = new Bench({ cap: { PSI: 0, MAMV } });
    bench.write64(REG.IVA, 9n);
    bench.write64(REG.IOTLB, (1n << 63n) | (3n << 60n));
    bench.run();
    expect(bench.read64(REG.IOTLB) >> 57n).toBe((3n << 3n) | 2n);
  });
});
