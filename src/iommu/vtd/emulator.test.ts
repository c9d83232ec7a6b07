import { describe, expect, test } from 'vitest';
import type { GuestMemory } from './index.ts';
import { BLOCKED, FAULT, REQUEST, VtdEmulator } from './index.ts';

/** Register offsets and bits (VT-d 11.4), written again on purpose. */
const GCMD = 0x18;
const GSTS = 0x1c;
const RTADDR = 0x20;
const FSTS = 0x34;
const FECTL = 0x38;
const FEDATA = 0x3c;
const FEADDR = 0x40;
const IQT = 0x88;
const IQA = 0x90;
const FRCD = 0x220;
const TE = 2 ** 31;
const SRTP = 2 ** 30;
const QIE = 2 ** 26;

const DEVICE = 0x0010;

/** What a guest's driver leaves in memory: 1024 pages at IOVA 1 GiB for 00:02.0 in domain 7, four levels; all but the last page readable and writable. */
function guest(): Uint8Array {
  const ram = new Uint8Array(1 << 20);
  const view = new DataView(ram.buffer);
  const entry = (table: number, index: number, value: number) =>
    view.setBigUint64(table + 8 * index, BigInt(value), true);
  entry(0x1000, 0, 0x2001);
  entry(0x2000, 2 * DEVICE, 0x3001);
  entry(0x2000, 2 * DEVICE + 1, (7 << 8) | 2);
  entry(0x3000, 0, 0x4003);
  entry(0x4000, 1, 0x5003);
  entry(0x5000, 0, 0x6003);
  entry(0x5000, 1, 0x7003);
  for (let i = 0; i < 1023; i++) entry(0x6000, i, 0x123400000 + 4096 * i + 3);
  return ram;
}

function start(iommu: VtdEmulator): VtdEmulator {
  iommu.write(RTADDR, 8, 0x1000n);
  iommu.write(GCMD, 4, SRTP);
  iommu.write(GCMD, 4, TE);
  return iommu;
}

/** Guest memory by calls, over the same bytes. */
function called(ram: Uint8Array): GuestMemory {
  const view = new DataView(ram.buffer);
  return {
    has: (address) => address + 8 <= ram.length,
    read32: (address) => view.getUint32(address, true),
    write32: (address, value) => view.setUint32(address, value >>> 0, true),
  };
}

describe.each([
  ['a Uint8Array', (ram: Uint8Array) => ram],
  ['an ArrayBuffer', (ram: Uint8Array) => ram.buffer],
  ['calls', called],
])('guest memory as %s', (_, memory) => {
  test('translates, with the offset in the page', () => {
    const iommu = start(new VtdEmulator({ memory: memory(guest()) }));
    expect(iommu.read(GSTS, 4)).toBe(TE + SRTP);
    expect(iommu.translate(DEVICE, 0x40005abc, REQUEST.read)).toBe(0x123405abc);
    expect(iommu.translate(DEVICE, 0x40005abcn, REQUEST.write)).toBe(0x123405abc);
    expect(iommu.translate(DEVICE, 0x40005abc, REQUEST.atomic), 'from the IOTLB').toBe(0x123405abc);
    expect(iommu.translate(DEVICE, 0x403ff000, REQUEST.read), 'a page without rights').toBe(-FAULT.read);
    expect(iommu.translate(DEVICE + 1, 0x40005000, REQUEST.read)).toBe(-FAULT.contextNotPresent);
  });

  test('does what is in the queue, and writes the status, before the write of IQT returns', () => {
    const ram = guest();
    const iommu = start(new VtdEmulator({ memory: memory(ram) }));
    const view = new DataView(ram.buffer);
    expect(iommu.translate(DEVICE, 0x40000000, REQUEST.read)).toBe(0x123400000);
    view.setBigUint64(0x6000, 0x55000003n, true);
    expect(iommu.translate(DEVICE, 0x40000000, REQUEST.read), 'it is in the IOTLB').toBe(0x123400000);
    iommu.write(IQA, 8, 0x10000n);
    iommu.write(GCMD, 4, TE + QIE);
    // IOTLB, page-selective, domain 7; then a wait that writes 0xcafe to 0x20004.
    view.setBigUint64(0x10000, 0x70032n, true);
    view.setBigUint64(0x10008, 0x40000000n, true);
    view.setBigUint64(0x10010, 0x0000cafe00000025n, true);
    view.setBigUint64(0x10018, 0x20004n, true);
    iommu.write(IQT, 4, 0x20);
    expect(view.getBigUint64(0x20000, true)).toBe(0xcafe00000000n);
    expect(iommu.translate(DEVICE, 0x40000000, REQUEST.read)).toBe(0x55000000);
  });

  test('nothing decodes beyond it', () => {
    const iommu = new VtdEmulator({ memory: memory(guest().slice(0, 0x6800)) });
    start(iommu);
    expect(iommu.translate(DEVICE, 0x400ff000, REQUEST.read), 'the last entry of half a page').toBe(0x1234ff000);
    expect(iommu.translate(DEVICE, 0x40100000, REQUEST.read)).toBe(-FAULT.tableAddress);
  });
});

describe('registers', () => {
  const iommu = new VtdEmulator({ memory: new Uint8Array(4096), cap: { ND: 4 }, ver: { MAX: 3 } });

  test('numbers up to four bytes, bigints above; both may be written', () => {
    expect(iommu.read(0x08, 8) & 7n, 'CAP.ND').toBe(4n);
    expect(iommu.read(0x00, 4)).toBe(0x30);
    expect(iommu.read(0x0b, 1), 'CAP bits 31:24').toBe(Number((iommu.read(0x08, 8) >> 24n) & 0xffn));
    iommu.write(RTADDR, 8, 0x8765_4321_0000n);
    expect(iommu.read(RTADDR, 8)).toBe(0x8765_4321_0000n);
    iommu.write(RTADDR, 8, 0x1234_8000_0000);
    expect(iommu.read(RTADDR, 8)).toBe(0x1234_8000_0000n);
    iommu.write(FEADDR, 4, 0xfee00000);
    expect(iommu.read(FEADDR, 4)).toBe(0xfee00000);
  });

  test('the block', () => {
    expect(iommu.registerBytes).toBeGreaterThan(FRCD);
    expect(iommu.read(iommu.registerBytes, 4)).toBe(0);
  });

  test('impossible capabilities are refused', () => {
    expect(() => new VtdEmulator({ memory: new Uint8Array(8), cap: { SAGAW: 0 } })).toThrow(/SAGAW 0/);
    expect(() => new VtdEmulator({ memory: new Uint8Array(new ArrayBuffer(64), 2) })).toThrow(/multiple of 4/);
  });
});

describe('translate', () => {
  test('TES = 0: as it is, however far up', () => {
    const iommu = new VtdEmulator({ memory: guest() });
    for (const iova of [0, 0x123, 2 ** 52 + 4096, 2 ** 60]) {
      expect(iommu.translate(DEVICE, iova, REQUEST.read)).toBe(iova);
      expect(iommu.translate(DEVICE, BigInt(iova), REQUEST.read)).toBe(iova);
    }
  });

  test('beyond the width, in every spelling', () => {
    const iommu = start(new VtdEmulator({ memory: guest() }));
    for (const iova of [
      2 ** 48,
      2 ** 52,
      2 ** 53,
      2 ** 63,
      2 ** 64 - 2048,
      Number.NaN,
      -1,
      Infinity,
      1n << 48n,
      -1n,
      (1n << 64n) - 1n,
    ])
      expect(iommu.translate(DEVICE, iova, REQUEST.read), String(iova)).toBe(-FAULT.beyondAddressWidth);
  });

  test('a far address is recorded with its own bits (11.4.7.6)', () => {
    const iommu = start(new VtdEmulator({ memory: guest() }));
    expect(iommu.translate(DEVICE, 0xfe00_5678_9abc_d123n, REQUEST.write)).toBe(-FAULT.beyondAddressWidth);
    expect(iommu.read(FRCD, 8)).toBe(0x5678_9abc_d000n);
    expect(iommu.read(FRCD + 8, 4)).toBe(DEVICE);
  });

  test('five levels: addresses from 2^53 on translate', () => {
    const ram = guest();
    const view = new DataView(ram.buffer);
    view.setBigUint64(0x2000 + 16 * DEVICE + 8, 0x703n, true);
    view.setBigUint64(0x2000 + 16 * DEVICE, 0x8001n, true);
    view.setBigUint64(0x8000 + 8 * 0x1ff, 0x3003n, true);
    const iommu = start(new VtdEmulator({ memory: ram, cap: { SAGAW: 0b1000, MGAW: 56 }, haw: 46 }));
    expect(iommu.translate(DEVICE, (0x1ffn << 48n) | 0x40001fffn, REQUEST.read)).toBe(0x123401fff);
    expect(iommu.translate(DEVICE, (0x1ffn << 48n) | 0x40001fffn, REQUEST.write), 'from the IOTLB').toBe(0x123401fff);
  });

  test('an interrupt passes, other requests to its range do not (3.15)', () => {
    const iommu = start(new VtdEmulator({ memory: guest() }));
    expect(iommu.translate(DEVICE, 0xfee01004, REQUEST.write)).toBe(0xfee01004);
    expect(iommu.translate(DEVICE, 0xfee01004, REQUEST.longWrite)).toBe(-FAULT.interruptRange);
  });

  test('translated requests are blocked silently while TES is 0', () => {
    const iommu = new VtdEmulator({ memory: guest() });
    expect(iommu.translate(DEVICE, 0x1000, REQUEST.translated)).toBe(-BLOCKED);
    expect(iommu.read(FSTS, 4)).toBe(0);
  });
});

test('a fault interrupts, once it may', () => {
  const messages: number[][] = [];
  const iommu = start(new VtdEmulator({ memory: guest(), message: (...of) => messages.push(of) }));
  iommu.write(FEADDR, 4, 0xfee01000);
  iommu.write(FEDATA, 4, 0x41);
  iommu.translate(DEVICE, 0, REQUEST.read);
  expect(messages, 'masked after reset').toEqual([]);
  iommu.write(FECTL, 4, 0);
  expect(messages).toEqual([[0, 0xfee01000, 0x41]]);
});

test('a message handler may access registers', () => {
  const seen: (number | bigint)[] = [];
  const iommu = new VtdEmulator({
    memory: guest(),
    message() {
      seen.push(iommu.read(FRCD + 12, 4));
      iommu.write(FRCD + 12, 4, 2 ** 31);
    },
  });
  start(iommu);
  iommu.write(FECTL, 4, 0);
  iommu.translate(DEVICE, 0, REQUEST.read);
  // F, T1 (read), reason 6.
  expect(seen).toEqual([0xc0000006]);
  expect(iommu.read(FSTS, 4)).toBe(0);
});

test('reset, save and restore', () => {
  const ram = guest();
  const options = { memory: ram } as const;
  const iommu = start(new VtdEmulator(options));
  expect(iommu.translate(DEVICE, 0x40000000, REQUEST.read)).toBe(0x123400000);
  new DataView(ram.buffer).setBigUint64(0x6000, 0n, true);
  const copy = new VtdEmulator(options);
  copy.restore(iommu.save());
  expect(copy.translate(DEVICE, 0x40000000, REQUEST.read), 'the IOTLB comes with it').toBe(0x123400000);
  iommu.reset();
  expect(iommu.read(GSTS, 4)).toBe(0);
  start(iommu);
  expect(iommu.translate(DEVICE, 0x40000000, REQUEST.read)).toBe(-FAULT.read);
  expect(() => iommu.restore(new Int32Array(3))).toThrow(/3 words/);
});

describe('a million translations allocate nothing', () => {
  const CHUNK = 20_000;

  /** Bytes that a chunk of calls puts on the heap: the median of fifty, as a collection shows up in few of them. */
  function growth(call: (i: number) => void): number {
    const grown: number[] = [];
    for (let chunk = 0; chunk < 50; chunk++) {
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < CHUNK; i++) call(i);
      grown.push(process.memoryUsage().heapUsed - before);
    }
    return grown.sort((a, b) => a - b)[25] as number;
  }

  test('the measure sees one number a call', () => {
    const kept = { value: 0.5 };
    expect(
      growth((i) => {
        Object.assign(kept, { value: i + 0.5 });
      }),
    ).toBeGreaterThan(8 * CHUNK);
  });

  test.each([
    ['hits', {}],
    ['misses', { iotlbSets: 1, iotlbWays: 1 }],
    ['misses, with paging-structure caches', { iotlbSets: 1, iotlbWays: 1, pagingStructure: 2 }],
  ])('%s', (_, caches) => {
    const iommu = start(new VtdEmulator({ memory: guest(), caches }));
    let wrong = 0;
    const used = growth((i) => {
      const page = Math.imul(i, 7919) & 511;
      if (iommu.translatePage(DEVICE, 1, page, REQUEST.read) !== 0 || (iommu.frameLo & 0x3ff) !== page) wrong++;
    });
    expect(wrong).toBe(0);
    expect(used).toBeLessThan(CHUNK);
  });
});

test('translations do not allocate: a million hits, a million misses', () => {
  // 1,023 pages in an IOTLB of 8 entries, then in one of 4,096; no paging-structure caches, and some.
  for (const caches of [{ iotlbSets: 2 }, {}, { iotlbSets: 2, pagingStructure: 4 }]) {
    const iommu = start(new VtdEmulator({ memory: guest(), caches }));
    let wrong = 0;
    const round = (count: number) => {
      for (let i = 0; i < count; i++) {
        const page = (i * 5) % 1023;
        if (iommu.translatePage(DEVICE, 1, page, REQUEST.read) !== 0 || iommu.frameLo !== 0x23400 + page) wrong++;
      }
    };
    // Until it is compiled: the interpreter's numbers may be objects.
    for (let i = 0; i < 10; i++) round(50_000);
    // The smallest object for each of 200,000 translations would be 2.4 MB. A collection meanwhile only makes a sample smaller, so that the largest of several counts.
    let grown = 0;
    for (let i = 0; i < 5; i++) {
      const before = process.memoryUsage().heapUsed;
      round(200_000);
      grown = Math.max(grown, process.memoryUsage().heapUsed - before);
    }
    expect(wrong).toBe(0);
    expect(grown, `bytes in 200,000 translations, ${JSON.stringify(caches)}`).toBeLessThan(400_000);
  }
});
