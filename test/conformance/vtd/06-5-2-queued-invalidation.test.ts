import { describe, expect, test } from 'vitest';
import type { BenchOptions, Descriptor } from './unit.ts';
import { Bench, contextInv, FSTS, iotlbInv, QIE, QUEUE, queueErrorInfo, REG, STATUS, TE, wait } from './unit.ts';

const SID = 0x08;
const DID = 7;
const OLD = { page: 0x1110_0000n };
const NEW = { page: 0x2220_0000n };
const GLOBAL = iotlbInv({ g: 1 });
const DONE = wait({ sw: 1, data: 0xd01en, addr: STATUS });

/** The queue is on, and a translation is cached that the tables no longer give. */
function stale(options: BenchOptions = {}): Bench {
  const bench = new Bench(options).start().startQueue();
  const tree = bench.tree();
  bench.attach(SID, tree, DID);
  bench.map(tree, 0x5000n, OLD.page | 3n);
  bench.translate(SID, 0x5000n);
  bench.map(tree, 0x5000n, NEW.page | 3n);
  return bench;
}

const isStale = (bench: Bench) => (bench.translate(SID, 0x5000n) as { page: bigint }).page === OLD.page;

/** A bad descriptor stops the queue at itself, what is behind it waits, and the queue goes on when it is mended. */
function stopsAt(bad: Descriptor, info: number, options: BenchOptions = {}): void {
  const bench = stale(options);
  bench.submit(wait({ sw: 1, data: 1n, addr: STATUS + 8n }), bad, GLOBAL, DONE);
  expect(bench.read32(REG.FSTS) & 0x70).toBe(FSTS.IQE);
  expect(queueErrorInfo(bench, info)).toBe(info);
  expect(bench.read32(REG.IQH)).toBe(16);
  expect(bench.peek(STATUS + 8n), 'what was ahead of it').toBe(1n);
  expect(bench.peek(STATUS)).toBe(0n);
  expect(isStale(bench)).toBe(true);
  // A tail write does not start it while IQE is set.
  bench.submit(GLOBAL);
  expect(bench.read32(REG.IQH)).toBe(16);
  bench.poke(QUEUE + 16n, 0x15n);
  bench.poke(QUEUE + 24n, 0n);
  bench.write32(REG.FSTS, FSTS.IQE);
  // That it goes on without being told again is a test of its own.
  bench.write32(REG.IQT, bench.read32(REG.IQT));
  bench.run();
  expect(bench.read32(REG.FSTS) & 0x70).toBe(0);
  expect(bench.read32(REG.IQH)).toBe(80);
  expect(bench.peek(STATUS)).toBe(0xd01en);
  expect(isStale(bench)).toBe(false);
}

/** Descriptors that do nothing that anybody would look at. */
function fill(bench: Bench, queue: bigint, bytes: number): void {
  const [lo, hi] = wait({ sw: 1, addr: 0x9f000n });
  for (let at = 0; at < bytes; at += 16) {
    bench.poke(queue + BigInt(at), lo);
    bench.poke(queue + BigInt(at + 8), hi);
  }
}

function good(descriptor: Descriptor, options: BenchOptions = {}): Bench {
  const bench = stale(options);
  bench.submit(descriptor, DONE);
  expect(bench.read32(REG.FSTS) & 0x70).toBe(0);
  expect(bench.peek(STATUS)).toBe(0xd01en);
  expect(bench.read32(REG.IQH)).toBe(32);
  return bench;
}

function flip([lo, hi]: Descriptor, n: number): Descriptor {
  return n < 64 ? [lo ^ (1n << BigInt(n)), hi] : [lo, hi ^ (1n << BigInt(n - 64))];
}

function bits(from: number, to = from): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe('6.5.2 fetching', () => {
  test('6.5.2 descriptors are executed from head to tail, and the head follows', () => {
    const bench = stale();
    bench.submit(contextInv(1), GLOBAL);
    expect(bench.read32(REG.IQH)).toBe(32);
    expect(isStale(bench)).toBe(false);
  });

  test('6.5.2 nothing is fetched when head and tail are equal', () => {
    const bench = stale();
    expect(bench.rests()).toBe(true);
    expect(bench.read32(REG.FSTS)).toBe(0);
  });

  test('6.5.2 nothing is fetched while the queue is off, everything when it is on', () => {
    const bench = stale();
    // Software has a wait come last before it switches the queue off.
    bench.submit(DONE);
    bench.write32(REG.GCMD, TE);
    bench.submit(GLOBAL);
    expect(bench.read32(REG.IQH)).toBe(0);
    expect(isStale(bench)).toBe(true);
    bench.write32(REG.GCMD, TE | QIE);
    bench.run();
    expect(bench.read32(REG.IQH)).toBe(32);
    expect(isStale(bench)).toBe(false);
  });

  test('6.5.2 it works while translation is off', () => {
    const bench = new Bench().startQueue();
    bench.submit(contextInv(1), GLOBAL, DONE);
    expect(bench.peek(STATUS)).toBe(0xd01en);
  });

  test.each([0, 1, 3, 7])('6.5.2, 11.4.9.3 QS %i: the queue wraps after 2^QS pages', (qs) => {
    const bench = new Bench({ frames: 256 }).startQueue(qs);
    const size = 4096 << qs;
    fill(bench, QUEUE, size);
    for (const at of [0, size - 16]) bench.poke(QUEUE + BigInt(at), 0x15n);
    bench.write32(REG.IQT, size - 16);
    const steps = bench.run();
    if (bench.stepped) expect(steps).toBe(size / 16 - 1);
    expect(bench.read32(REG.IQH)).toBe(size - 16);
    bench.write32(REG.ICS, 1);
    bench.write32(REG.IQT, 0);
    bench.run();
    expect(bench.read32(REG.IQH)).toBe(0);
    expect(bench.read32(REG.ICS)).toBe(1);
  });

  test('6.5.2 a full ring: the tail one behind the head', () => {
    const bench = stale();
    for (let i = 0; i < 600; i++) bench.submit(wait({ sw: 1, data: BigInt(i), addr: STATUS }));
    const head = bench.read32(REG.IQH);
    expect(head).toBe((600 * 16) % 4096);
    bench.submit(...Array.from({ length: 255 }, (_, i) => wait({ sw: 1, data: BigInt(i), addr: STATUS + 8n })));
    expect(bench.read32(REG.IQH)).toBe((head + 255 * 16) % 4096);
    expect(bench.peek(STATUS + 8n)).toBe(254n);
  });

  test('11.4.9.3 the queue is where IQA says, beyond 4 GiB too', () => {
    const bench = new Bench();
    bench.write64(REG.IQA, 1n << 40n);
    bench.write32(REG.GCMD, QIE);
    bench.submit();
    bench.write32(REG.IQT, 16);
    bench.run();
    expect(queueErrorInfo(bench, 2)).toBe(2);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    expect(bench.read32(REG.IQH)).toBe(0);
  });
});

describe('6.5.2.1 context-cache invalidate descriptor', () => {
  test.each([...bits(6, 8), ...bits(12, 15), ...bits(50, 63), ...bits(64, 127)])(
    '6.5.2.1 bit %i is reserved: IQE, IQEI 4',
    (n) => stopsAt(flip(contextInv(1), n), 4),
  );

  test('6.5.2.1 granularity 0 is reserved: IQE, IQEI 4', () => stopsAt(contextInv(0), 4));

  test.each([...bits(16, 49)])('6.5.2.1 bit %i is not reserved', (n) => {
    good(flip(contextInv(1), n));
  });
});

describe('6.5.2.3 IOTLB invalidate descriptor', () => {
  test.each([8, ...bits(12, 15), ...bits(32, 63), ...bits(71, 75)])('6.5.2.3 bit %i is reserved: IQE, IQEI 4', (n) =>
    stopsAt(flip(GLOBAL, n), 4),
  );

  test.each([6, 7, ...bits(16, 31), ...bits(64, 70), ...bits(76, 127)])('6.5.2.3 bit %i is not reserved', (n) => {
    expect(isStale(good(flip(GLOBAL, n)))).toBe(false);
  });

  test('6.5.2.3 granularity 0 is reserved: IQE, IQEI 4', () => stopsAt(iotlbInv({ g: 0, did: DID }), 4));

  test.each([
    [18, 18],
    [9, 9],
    [0, 0],
  ])('6.5.2.3 MAMV %i: AM %i is good', (MAMV, am) => {
    const bench = good(iotlbInv({ g: 3, did: DID, addr: 0x5000n, am }), { cap: { MAMV } });
    expect(isStale(bench)).toBe(false);
  });

  test.each([
    [18, 19],
    [18, 63],
    [9, 10],
    [0, 1],
  ])('6.5.2.3 MAMV %i: AM %i is an error', (MAMV, am) => {
    stopsAt(iotlbInv({ g: 3, did: DID, addr: 0x5000n, am }), 4, { cap: { MAMV } });
  });

  test('6.5.2.3 AM does not matter where the granularity is not page', () => {
    expect(isStale(good(iotlbInv({ g: 2, did: DID, am: 63 })))).toBe(false);
  });

  test('6.5.2.3 without CAP.PSI a page-selective descriptor is an error', () =>
    stopsAt(iotlbInv({ g: 3, did: DID, addr: 0x5000n }), 4, { cap: { PSI: 0 } }));
});

describe('6.5.2.9 invalidation wait descriptor', () => {
  const plain = wait({ flag: 1 });

  test.each([7, 8, ...bits(12, 31), 64, 65])('6.5.2.9 bit %i is reserved: IQE, IQEI 4', (n) =>
    stopsAt(flip(plain, n), 4),
  );

  test('6.5.2.9 a wait that neither stores nor interrupts is one', () => void good(wait({})));

  test.each([6, ...bits(32, 63), ...bits(66, 127)])('6.5.2.9 bit %i is not reserved', (n) => {
    good(flip(plain, n));
  });

  test.each([
    [0n, 0xffff_ffff_1234_5678n],
    [4n, 0x1234_5678_ffff_ffffn],
  ])(
    '6.5.2.9 SW stores 32 bits at the status address (offset %i), the other half of the word stays',
    (offset, want) => {
      const bench = stale();
      bench.poke(STATUS, 0xffff_ffff_ffff_ffffn);
      bench.submit(wait({ sw: 1, data: 0x12345678n, addr: STATUS + offset }));
      expect(bench.peek(STATUS)).toBe(want);
    },
  );

  test('6.5.2.9 SW = 0: status address and data are ignored', () => {
    const bench = stale();
    bench.poke(STATUS, 5n);
    bench.submit(wait({ flag: 1, data: 0x12345678n, addr: STATUS }));
    expect(bench.peek(STATUS)).toBe(5n);
    expect(bench.read32(REG.ICS)).toBe(1);
  });

  test('6.5.2.9 SW without IF leaves ICS as it is; both together do both', () => {
    const bench = stale();
    bench.submit(wait({ sw: 1, data: 1n, addr: STATUS }));
    expect(bench.read32(REG.ICS)).toBe(0);
    bench.submit(wait({ sw: 1, flag: 1, data: 2n, addr: STATUS }));
    expect(bench.read32(REG.ICS)).toBe(1);
    expect(bench.peek(STATUS)).toBe(2n);
  });

  test('6.5.2.9 a status address that is no memory: the wait completes all the same', () => {
    const bench = stale();
    bench.submit(wait({ sw: 1, data: 1n, addr: 0x4000_0000n }), DONE);
    expect(bench.peek(STATUS)).toBe(0xd01en);
  });

  // The model takes 52 bits.
  test('6.5.2.9 status-address bits from HAW on are ignored', () => {
    const bench = stale({ haw: 46 });
    bench.submit(wait({ sw: 1, data: 0xd01en, addr: STATUS | (1n << 46n) }));
    expect(bench.peek(STATUS)).toBe(0xd01en);
  });

  test('6.5.2.9 the fence flag changes nothing where descriptors are executed in order', () => {
    const bench = stale();
    bench.submit(wait({ sw: 1, fn: 1, data: 1n, addr: STATUS }), GLOBAL, DONE);
    expect(bench.peek(STATUS)).toBe(0xd01en);
  });
});

describe('6.5.2.11 queue errors', () => {
  test('6.5.2.11 when IQE is cleared the queue goes on, without a write to the tail', () => {
    const bench = stale();
    bench.submit([0n, 0n], GLOBAL, DONE);
    bench.poke(QUEUE, 0x15n);
    bench.write32(REG.FSTS, FSTS.IQE);
    bench.run();
    expect(bench.read32(REG.IQH)).toBe(48);
    expect(bench.peek(STATUS)).toBe(0xd01en);
  });

  const types = [0, ...bits(6, 15), ...bits(16, 20).map((n) => ((n & 0x70) << 5) | (n & 0xf)), 0xe02, 0x201, 0x405];

  test.each(types)('6.5.2 table 26: type bits 0x%s are no descriptor in legacy mode: IQE, IQEI 3', (type) =>
    stopsAt([BigInt(type), 0n], 3),
  );

  test('6.5.2.11 a tail beyond the queue: IQE, IQEI 1, nothing is executed', () => {
    const bench = stale();
    bench.poke(QUEUE, GLOBAL[0]);
    bench.write32(REG.IQT, 4096);
    bench.run();
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    expect(queueErrorInfo(bench, 1)).toBe(1);
    expect(bench.read32(REG.IQH)).toBe(0);
    expect(isStale(bench)).toBe(true);
  });

  test.each([0, 2])('6.5.2.11 the last place of the queue is no error (QS %i)', (qs) => {
    const bench = new Bench().startQueue(qs);
    const size = 4096 << qs;
    fill(bench, QUEUE, size);
    bench.write32(REG.IQT, size - 16);
    bench.run();
    expect(bench.read32(REG.FSTS)).toBe(0);
    bench.write32(REG.IQT, size);
    bench.run();
    expect(queueErrorInfo(bench, 1)).toBe(1);
  });

  test('6.5.2.11 a tail that is put right before IQE is cleared: it goes on', () => {
    const bench = stale();
    bench.poke(QUEUE, GLOBAL[0]);
    bench.write32(REG.IQT, 4096);
    bench.write32(REG.IQT, 16);
    bench.write32(REG.FSTS, FSTS.IQE);
    bench.run();
    expect(bench.read32(REG.FSTS)).toBe(0);
    expect(isStale(bench)).toBe(false);
  });

  // The tail is looked at when it is written while the queue is on, and never again: the queue then runs round and round
  // over the same descriptors, since its head never meets the tail.
  describe('a tail beyond the queue that was not written while the queue was on', () => {
    /** A queue of two pages, all waits, executed up to its second page. */
    function filled(): Bench {
      const bench = new Bench().startQueue(1);
      fill(bench, QUEUE, 8192);
      bench.write32(REG.IQT, 4096 + 16);
      bench.run();
      expect(bench.read32(REG.IQH)).toBe(4096 + 16);
      return bench;
    }

    /** It ends with the error, in no more steps than the queue has descriptors. */
    function endsWithError(bench: Bench): void {
      expect(bench.run(2000)).toBeLessThan(520);
      expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
      expect(queueErrorInfo(bench, 1)).toBe(1);
    }

    test('6.5.2.11 written before QIE: IQE, and the queue does not run on', () => {
      const bench = filled();
      bench.write32(REG.GCMD, 0);
      bench.write32(REG.IQT, 0x7fff0);
      bench.write32(REG.GCMD, QIE);
      endsWithError(bench);
    });

    test('6.5.2.11 IQE cleared with the tail still there: IQE again', () => {
      const bench = filled();
      bench.write32(REG.IQT, 0x7fff0);
      bench.write32(REG.FSTS, FSTS.IQE);
      endsWithError(bench);
    });

    test('6.5.2.11 a queue that becomes smaller than its tail: IQE', () => {
      const bench = filled();
      bench.write32(REG.IQT, 4096 + 32);
      bench.write64(REG.IQA, QUEUE);
      endsWithError(bench);
    });
  });

  test('6.5.2.11 a descriptor in no memory: IQE, IQEI 2, and it goes on from there', () => {
    const bench = new Bench({ frames: 256 });
    bench.write64(REG.IQA, bench.lastPage | 1n);
    bench.write32(REG.GCMD, QIE);
    fill(bench, bench.lastPage, 4096);
    bench.write32(REG.IQT, 4096 + 32);
    bench.run();
    expect(bench.read32(REG.IQH)).toBe(4096);
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    expect(queueErrorInfo(bench, 2)).toBe(2);
    bench.write32(REG.FSTS, FSTS.IQE);
    bench.run();
    expect(bench.read32(REG.FSTS), 'the same again').toBe(FSTS.IQE);
  });

  test('6.5.2.11, 11.4.9.3 256-bit descriptors without scalable mode: IQE, IQEI 5', () => {
    const bench = new Bench();
    bench.write64(REG.IQA, QUEUE | 0x800n);
    bench.write32(REG.GCMD, QIE);
    bench.poke(QUEUE, 5n);
    bench.write32(REG.IQT, 32);
    bench.run();
    expect(bench.read32(REG.FSTS)).toBe(FSTS.IQE);
    expect(queueErrorInfo(bench, 5)).toBe(5);
    expect(bench.read32(REG.IQH)).toBe(0);
  });

  test('6.5.2.11 after IQE a queue that is switched off and on begins anew', () => {
    const bench = stale();
    bench.submit([0n, 0n]);
    bench.write32(REG.GCMD, TE);
    bench.write32(REG.FSTS, FSTS.IQE);
    bench.startQueue();
    bench.submit(GLOBAL, DONE);
    expect(bench.peek(STATUS)).toBe(0xd01en);
    expect(isStale(bench)).toBe(false);
  });

  test.todo('6.5.2.11 IQEI 6: a tail that is not aligned to 256-bit descriptors (scalable and abort-DMA mode)');
});
