import { describe, expect, test } from 'vitest';
import { CFI, EIME, entry, InterruptBench, IRE, IRT, IRTA, remappable, SIRTP } from './interrupt-bench.ts';
import { REG, TE, WRITE } from './unit.ts';

const SID = 0x0310;
const INDEX = 5;
/** A message to APIC 0x24 with vector 0x51, fixed, edge; its level is asserted. */
const MESSAGE = { address: 0xfee24000n, data: 0x4051 };
const PLAIN = { vector: 0x51, dst: 0x2400 };

const remapping = (options = {}, besides = 0) => new InterruptBench(options).remap(besides);

/** A unit with one entry, at {@link INDEX}. */
function withEntry(of: Parameters<typeof entry>[0], options = {}): InterruptBench {
  const bench = remapping(options);
  bench.setEntry(INDEX, entry(of));
  return bench;
}

describe('5.1.4 which interrupts are remapped', () => {
  test('5.1.4 with IRES = 0 all pass as they are, whatever format their address says', () => {
    const bench = new InterruptBench();
    bench.setTable();
    for (const address of [0xfee24000, remappable(INDEX), remappable(INDEX, 1), 0xfeefffff]) {
      for (const data of [0, 0x51, 0xffffffff])
        expect(bench.interrupt(SID, address, data)).toEqual({ address: BigInt(address), data });
    }
    expect(bench.record()).toBeNull();
  });

  test('5.1.4 a unit without ECAP.IR passes them, and IRE does nothing', () => {
    const bench = new InterruptBench({ ecap: { IR: 0, EIM: 0, MHMV: 0 } }).remap();
    expect(bench.read32(REG.GSTS)).toBe(0);
    expect(bench.interrupt(SID, remappable(INDEX), 7)).toEqual({ address: BigInt(remappable(INDEX)), data: 7 });
  });

  test('3.15 DMA remapping has no say in it, on or off', () => {
    const bench = withEntry(PLAIN);
    bench.write32(REG.GCMD, IRE | TE);
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual(MESSAGE);
    // To DMA remapping a DWORD write there is none of its own.
    expect(bench.request(SID, 0xfee00000n, WRITE)).toEqual({ page: 0xfee00000n });
    expect(bench.record()).toBeNull();
  });

  test('ECAP.IRREQ: with remapping off they are blocked (0x2B); with it on they are remapped', () => {
    const bench = new InterruptBench({ ecap: { IRREQ: 1 } });
    expect(bench.interrupt(SID, 0xfee24000, 0x51)).toEqual({ fault: 0x2b });
    expect(bench.record()).toEqual({ reason: 0x2b, sid: SID, fi: 0n, type: 0 });
    bench.remap();
    bench.setEntry(INDEX, entry(PLAIN));
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual(MESSAGE);
  });

  test('ECAP.EIMER: without EIME all are blocked (0x2A), before anything else is looked at', () => {
    const options = { ecap: { EIMER: 1 } };
    const bench = remapping(options, CFI);
    for (const address of [0xfee24000, remappable(INDEX), remappable(0xffff, 1)]) {
      expect(bench.interrupt(SID, address, 0xffff0000)).toEqual({ fault: 0x2a });
    }
    const extended = remapping({ ...options, extended: true });
    extended.setEntry(INDEX, entry(PLAIN));
    expect(extended.interrupt(SID, remappable(INDEX))).toEqual({ address: 0x2400_fee00000n, data: 0x4051 });
    expect(extended.interrupt(SID, 0xfee24000)).toEqual({ fault: 0x25 });
  });
});

describe('5.1.2.1 compatibility format', () => {
  test.each([
    ['CFIS = 1: passes as it is', CFI, false, 0],
    ['CFIS = 0: blocked', 0, false, 0x25],
    ['EIME = 1: blocked, whatever CFIS says', CFI, true, 0x25],
    ['EIME = 1, CFIS = 0: blocked', 0, true, 0x25],
  ])('%s', (_, besides, extended, fault) => {
    const bench = remapping({ extended }, besides);
    const address = 0xfeeab00c;
    const outcome = bench.interrupt(SID, address, 0xdeadc0de);
    if (fault === 0) expect(outcome).toEqual({ address: BigInt(address), data: 0xdeadc0de });
    else expect(outcome).toEqual({ fault });
    // FI is undefined with 0x25 (11.4.7.6); here it is 0.
    expect(bench.record()).toEqual(fault === 0 ? null : { reason: fault, sid: SID, fi: 0n, type: 0 });
  });

  test('CFIS counts when it is read, not when remapping was switched on', () => {
    const bench = remapping({}, CFI);
    bench.write32(REG.GCMD, IRE);
    expect(bench.interrupt(SID, 0xfee24000)).toEqual({ fault: 0x25 });
    bench.write32(REG.GCMD, IRE | CFI);
    expect(bench.interrupt(SID, 0xfee24000)).toEqual({ address: 0xfee24000n, data: 0 });
  });
});

describe('5.1.2.2, 5.1.3 remappable format', () => {
  test.each([
    ['a handle', remappable(INDEX), 0, INDEX],
    ['a handle; the data is ignored', remappable(INDEX), 0xffffffff, INDEX],
    ['a handle and a subhandle', remappable(3, 1), 2, INDEX],
    ['a handle of 0 and a subhandle', remappable(0, 1), INDEX, INDEX],
    ['a handle, subhandle 0', remappable(INDEX, 1), 0, INDEX],
    ['address bits 1:0 are ignored', remappable(INDEX) | 3, 0, INDEX],
  ])('%s', (_, address, data, index) => {
    const bench = remapping();
    bench.setEntry(index, entry(PLAIN));
    expect(bench.interrupt(SID, address, data)).toEqual(MESSAGE);
  });

  test('handle bit 15 is address bit 2', () => {
    const bench = remapping({ size: 15, frames: 512 });
    bench.setEntry(0x8005, entry(PLAIN));
    expect(remappable(0x8005) & 4).toBe(4);
    expect(bench.interrupt(SID, remappable(0x8005))).toEqual(MESSAGE);
    expect(bench.interrupt(SID, remappable(0x0005))).toEqual({ fault: 0x22 });
  });

  test.each(Array.from({ length: 16 }, (_, i) => i + 16))(
    'data bit %i is reserved with a subhandle (0x20), ignored without',
    (bit) => {
      const bench = withEntry(PLAIN);
      const data = (1 << bit) >>> 0;
      expect(bench.interrupt(SID, remappable(INDEX), data)).toEqual(MESSAGE);
      expect(bench.interrupt(SID, remappable(INDEX, 1), data)).toEqual({ fault: 0x20 });
      expect(bench.record()).toEqual({ reason: 0x20, sid: SID, fi: 0n, type: 0 });
    },
  );

  test.each(Array.from({ length: 16 }, (_, size) => size))(
    'IRTA.S = %i: the last index of 2^(S+1), and the next (0x21)',
    (size) => {
      const bench = remapping({ size, frames: 512 });
      const count = 2 ** (size + 1);
      bench.setEntry(count - 1, entry(PLAIN));
      expect(bench.interrupt(SID, remappable(count - 1))).toEqual(MESSAGE);
      if (count < 0x10000) expect(bench.interrupt(SID, remappable(count))).toEqual({ fault: 0x21 });
      // With a subhandle an index may be beyond 16 bits.
      expect(bench.interrupt(SID, remappable(count - 1, 1), 1)).toEqual({ fault: 0x21 });
      expect(bench.record()?.reason).toBe(0x21);
      expect(bench.record()?.fi).toBe(BigInt(count & 0xffff) << 48n);
    },
  );

  test('the largest sum of handle and subhandle', () => {
    const bench = remapping({ size: 15, frames: 512 });
    expect(bench.interrupt(SID, remappable(0xffff, 1), 0xffff)).toEqual({ fault: 0x21 });
  });
});

describe('9.9 the entry', () => {
  test.each([
    ['vector', { vector: 0xff }, { address: 0xfee00000n, data: 0x40ff }],
    ['destination, xAPIC mode', { dst: 0xff00 }, { address: 0xfeeff000n, data: 0x4000 }],
    ['logical destination', { dm: 1 }, { address: 0xfee00004n, data: 0x4000 }],
    ['redirection hint', { rh: 1 }, { address: 0xfee00008n, data: 0x4000 }],
    ['level-triggered', { tm: 1 }, { address: 0xfee00000n, data: 0xc000 }],
    ['lowest priority', { dlm: 1 }, { address: 0xfee00000n, data: 0x4100 }],
    ['SMI', { dlm: 2 }, { address: 0xfee00000n, data: 0x4200 }],
    ['NMI', { dlm: 4 }, { address: 0xfee00000n, data: 0x4400 }],
    ['INIT', { dlm: 5 }, { address: 0xfee00000n, data: 0x4500 }],
    ['ExtINT', { dlm: 7 }, { address: 0xfee00000n, data: 0x4700 }],
    ['bits 11:8 are software’s', { avail: 15 }, { address: 0xfee00000n, data: 0x4000 }],
    ['FPD', { fpd: 1 }, { address: 0xfee00000n, data: 0x4000 }],
  ])('%s', (_, fields, message) => {
    expect(withEntry(fields).interrupt(SID, remappable(INDEX))).toEqual(message);
  });

  test('x2APIC mode: all 32 bits of the destination', () => {
    const bench = withEntry({ ...PLAIN, dst: 0x89abcdef, dm: 1 }, { extended: true });
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ address: 0x89abcd00_feeef004n, data: 0x4051 });
    expect(bench.unit.remapped.destination).toBe(0x89abcdef);
    expect(bench.unit.remapped.logical).toBe(true);
    expect(bench.unit.remapped.vector).toBe(0x51);
  });

  test.each([...Array.from({ length: 8 }, (_, i) => i), ...Array.from({ length: 16 }, (_, i) => 16 + i)])(
    'destination bit %i is reserved in xAPIC mode (0x24), and a destination’s in x2APIC mode',
    (bit) => {
      const dst = (1 << bit) >>> 0;
      expect(withEntry({ dst }).interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x24 });
      const extended = withEntry({ dst }, { extended: true });
      expect(extended.interrupt(SID, remappable(INDEX))).toMatchObject({ data: 0x4000 });
      expect(extended.unit.remapped.destination).toBe(dst);
    },
  );

  const RESERVED = [
    12,
    13,
    14,
    ...Array.from({ length: 8 }, (_, i) => 24 + i),
    ...Array.from({ length: 44 }, (_, i) => 84 + i),
  ];
  test.each(RESERVED)('bit %i is reserved (0x24)', (bit) => {
    for (const extended of [false, true]) {
      const bench = remapping({ extended });
      const [lo, hi] = entry(PLAIN);
      const one = 1n << BigInt(bit & 63);
      bench.setEntry(INDEX, bit < 64 ? [lo | one, hi] : [lo, hi | one]);
      expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x24 });
      expect(bench.record()).toEqual({ reason: 0x24, sid: SID, fi: BigInt(INDEX) << 48n, type: 0 });
      // Only where it is present.
      bench.setEntry(INDEX, bit < 64 ? [(lo & ~1n) | one, hi] : [lo & ~1n, hi | one]);
      expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x22 });
    }
  });

  test.each([
    ['IM, without CAP.PI', { im: 1 }],
    ['SVT 3', { svt: 3 }],
    ['delivery mode 3', { dlm: 3 }],
    ['delivery mode 6', { dlm: 6 }],
  ])('%s is reserved (0x24)', (_, fields) => {
    expect(withEntry(fields).interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x24 });
  });

  test('P = 0: 0x22', () => {
    const bench = withEntry({ ...PLAIN, p: 0 });
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x22 });
    expect(bench.record()).toEqual({ reason: 0x22, sid: SID, fi: BigInt(INDEX) << 48n, type: 0 });
  });
});

describe('9.9 SVT, SQ, SID: who may use the entry (0x26)', () => {
  /** Source ids that differ from {@link SID} in function bits, device, bus. */
  const requesters = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0x80, 0x100, 0x8000].map((bits) => SID ^ bits);

  test('SVT 0: anybody', () => {
    const bench = withEntry({ ...PLAIN, sid: SID, sq: 0 });
    for (const sid of requesters) expect(bench.interrupt(sid, remappable(INDEX))).toEqual(MESSAGE);
  });

  test.each([
    [0, 0],
    [1, 4],
    [2, 6],
    [3, 7],
  ])('SVT 1, SQ %i: function bits %i are not compared', (sq, ignored) => {
    const bench = withEntry({ ...PLAIN, sid: SID, svt: 1, sq });
    for (const sid of requesters) {
      const allowed = ((sid ^ SID) & ~ignored) === 0;
      expect(bench.interrupt(sid, remappable(INDEX)), `${sid ^ SID}`).toEqual(allowed ? MESSAGE : { fault: 0x26 });
    }
  });

  test.each([
    ['a range of buses', 0x2040],
    ['one bus', 0x3030],
    ['all buses', 0x00ff],
    ['a range that ends before it starts: nobody', 0x4020],
  ])('SVT 2, %s', (_, range) => {
    const bench = withEntry({ ...PLAIN, sid: range, svt: 2, sq: 3 });
    for (const bus of [0, 0x1f, 0x20, 0x21, 0x2f, 0x30, 0x31, 0x3f, 0x40, 0x41, 0xff]) {
      const allowed = bus >= range >>> 8 && bus <= (range & 0xff);
      const outcome = bench.interrupt((bus << 8) | 0x15, remappable(INDEX));
      expect(outcome, `bus ${bus}`).toEqual(allowed ? MESSAGE : { fault: 0x26 });
    }
  });

  test('it is recorded with the requester’s source id, not the entry’s', () => {
    const bench = withEntry({ ...PLAIN, sid: SID, svt: 1 });
    bench.interrupt(0x1234, remappable(INDEX));
    expect(bench.record()).toEqual({ reason: 0x26, sid: 0x1234, fi: BigInt(INDEX) << 48n, type: 0 });
  });
});

describe('5.1.4 the table', () => {
  test('0x23: nothing answers where the entry is', () => {
    const bench = remapping();
    bench.setTable(bench.lastPage + 0x1000n);
    expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x23 });
    expect(bench.record()).toEqual({ reason: 0x23, sid: SID, fi: BigInt(INDEX) << 48n, type: 0 });
  });

  test.each([36, 48, 52])('host address width %i: an entry beyond it is 0x21, one below is read', (haw) => {
    const bench = remapping({ haw, size: 15 });
    const end = 1n << BigInt(haw);
    // The table begins in the last page; its entry 256 would be the first one beyond.
    bench.setTable(end - 4096n);
    expect(bench.interrupt(SID, remappable(255))).toEqual({ fault: 0x23 });
    expect(bench.interrupt(SID, remappable(256))).toEqual({ fault: 0x21 });
    expect(bench.record(1)).toEqual({ reason: 0x21, sid: SID, fi: 256n << 48n, type: 0 });
    bench.setTable(end);
    expect(bench.interrupt(SID, remappable(0))).toEqual({ fault: 0x21 });
  });

  test('address bits 63:52 are above every host address width', () => {
    const bench = remapping({ haw: 52 });
    for (const bit of [52n, 63n]) {
      bench.setTable(IRT | (1n << bit));
      expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x21 });
    }
  });

  test('each entry is at index · 16, over several pages', () => {
    const bench = remapping({ size: 11 });
    for (const index of [0, 1, 255, 256, 257, 4095]) {
      bench.setEntry(index, entry({ ...PLAIN, vector: index & 0xff, dst: (index & 0xf00) << 4 }));
      const want = { address: 0xfee00000n | (BigInt((index & 0xf00) >> 4) << 12n), data: 0x4000 | (index & 0xff) };
      expect(bench.interrupt(SID, remappable(index))).toEqual(want);
    }
  });
});

test('11.4.10 IRTA takes effect at SIRTP only: table, size and mode', () => {
  const bench = withEntry(PLAIN);
  bench.write64(IRTA, 0x50000n | EIME);
  expect(bench.interrupt(SID, remappable(INDEX))).toEqual(MESSAGE);
  bench.write32(REG.GCMD, IRE | SIRTP);
  expect(bench.interrupt(SID, remappable(INDEX))).toEqual({ fault: 0x21 });
  bench.setEntry(1, entry({ dst: 0x1000000 }), 0x50000n);
  expect(bench.interrupt(SID, remappable(1))).toEqual({ address: 0x1000000_fee00000n, data: 0x4000 });
});
