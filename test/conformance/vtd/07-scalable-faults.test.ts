// Long because a fault and its record are one clause each, and share one set-up.
import { describe, expect, test } from 'vitest';
import type { Context, Entry, Kind } from './scalable-unit.ts';
import { DIRECTORY, FIRST, NESTED, PASS, ScalableBench, SECOND, USED } from './scalable-unit.ts';
import type { Answer, BenchOptions } from './unit.ts';
import { READ, REG, ROOT, SRTP, TE, WRITE } from './unit.ts';

const SID = 0x18;
const IOVA = 0x1000n;
const ATOMIC = 3;
const ZERO_LENGTH = 4;
const SUPERVISOR = 1;
const EXECUTE = 2;

interface Set {
  readonly bench: ScalableBench;
  readonly first: bigint;
  readonly second: bigint;
}

/** A PASID with tables that are empty but for what a nested one needs to read its own; requests without PASID, where those have one, are another’s. */
function setUp(pgtt: number, entry: Entry = {}, options: BenchOptions = {}, context: Context = {}): Set {
  const bench = new ScalableBench(options).startScalable();
  bench.setDevice(SID, { ridPasid: USED.rid, ...context });
  const [first, second] = [bench.newTable(), bench.newTable()];
  if (pgtt === NESTED) bench.identity(second);
  bench.setPasid(USED.entry, {
    pgtt,
    first: pgtt === SECOND ? 0n : first,
    second: pgtt === FIRST ? 0n : second,
    ...entry,
  });
  return { bench, first, second };
}

const ask = (bench: ScalableBench, kind: Kind = {}, address = IOVA): Answer =>
  bench.ask(SID, address, { pasid: USED.request, ...kind });

describe('3.6.1 access rights of the first stage', () => {
  const GRANTED = { page: 0x7000n };
  // U/S, R/W, WPE; then what user read, user write, supervisor read, supervisor write get (SRE = 1).
  test.each([
    [1, 1, 0, [GRANTED, GRANTED, GRANTED, GRANTED]],
    [1, 1, 1, [GRANTED, GRANTED, GRANTED, GRANTED]],
    [1, 0, 0, [GRANTED, { fault: 0x85 }, GRANTED, GRANTED]],
    [1, 0, 1, [GRANTED, { fault: 0x85 }, GRANTED, { fault: 0x85 }]],
    [0, 1, 0, [{ fault: 0x81 }, { fault: 0x81 }, GRANTED, GRANTED]],
    [0, 1, 1, [{ fault: 0x81 }, { fault: 0x81 }, GRANTED, GRANTED]],
    [0, 0, 0, [{ fault: 0x81 }, { fault: 0x81 }, GRANTED, GRANTED]],
    [0, 0, 1, [{ fault: 0x81 }, { fault: 0x81 }, GRANTED, { fault: 0x85 }]],
  ] as const)('U/S %i, R/W %i, WPE %i, at every level, in any order of requests', (us, rw, wpe, want) => {
    for (let level = 1; level <= 4; level++) {
      const { bench, first } = setUp(FIRST, { sre: 1, wpe });
      bench.put(first, 4, IOVA, 0x7067n);
      const at = bench.put(first, 4, IOVA, 0n, level);
      bench.put(first, 4, IOVA, 0x7067n);
      bench.poke(at, (bench.peek(at) & ~6n) | BigInt(us << 2) | BigInt(rw << 1));
      const kinds = [
        [READ, 0],
        [WRITE, 0],
        [READ, SUPERVISOR],
        [WRITE, SUPERVISOR],
      ] as const;
      for (const order of [
        [0, 1, 2, 3],
        [3, 2, 1, 0],
        [2, 0, 3, 1],
      ]) {
        bench.flushAll();
        for (const i of order) {
          const [access, prefix] = kinds[i] as (typeof kinds)[number];
          expect(ask(bench, { access, prefix }), `level ${level}, request ${i}`).toEqual(want[i]);
        }
      }
    }
  });

  test('9.6 SRE = 0: supervisors are refused with 0x5d (SPT.6), though a user has brought the translation', () => {
    const { bench, first } = setUp(FIRST);
    bench.put(first, 4, IOVA, 0x7067n);
    expect(ask(bench)).toEqual(GRANTED);
    expect(ask(bench, { prefix: SUPERVISOR })).toEqual({ fault: 0x5d });
  });

  test('9.4 RID_PRIV: requests without PASID are a supervisor’s', () => {
    const { bench, first } = setUp(FIRST, { sre: 1 }, {}, { ridPasid: 3, ridPriv: 1 });
    bench.put(first, 4, IOVA, 0x7061n);
    expect(bench.ask(SID, IOVA)).toEqual(GRANTED);
    expect(bench.ask(SID, IOVA, { access: WRITE })).toEqual(GRANTED);
    bench.setPasid(USED.entry, { pgtt: FIRST, first, sre: 0 });
    bench.flushAll();
    expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x5d });
  });
});

describe('3.6.2, 3.7.2, 3.10 flags', () => {
  /** Addresses of the four entries of {@link IOVA}, the leaf first. */
  function path(bench: ScalableBench, top: bigint, leaf: bigint, bits: bigint): bigint[] {
    const at = [bench.put(top, 4, IOVA, leaf, 1, bits)];
    for (let table = top, level = 4; level > 1; level--) {
      const entry = table + ((IOVA >> BigInt(12 + 9 * (level - 1))) & 511n) * 8n;
      at.splice(1, 0, entry);
      table = bench.peek(entry) & ~0xfffn;
    }
    return at;
  }

  // EAFE, access; A 0x20, D 0x40, EA 0x400.
  test.each([
    [0, READ, 0x20n],
    [0, WRITE, 0x60n],
    [0, ATOMIC, 0x60n],
    [1, READ, 0x420n],
    [1, WRITE, 0x460n],
  ])(
    '3.6.2 first stage, EAFE %i, access %i: A and EA at every level, D in the leaf of a write',
    (eafe, access, flags) => {
      for (const pgtt of [FIRST, NESTED]) {
        const { bench, first } = setUp(pgtt, { eafe });
        const entries = path(bench, first, 0x7007n, 7n);
        expect(ask(bench, { access })).toEqual({ page: 0x7000n });
        const got = entries.map((at) => bench.peek(at) & 0x460n);
        expect(got, `PGTT ${pgtt}`).toEqual([flags, flags & ~0x40n, flags & ~0x40n, flags & ~0x40n]);
      }
    },
  );

  test.each([
    [0, WRITE, [0n, 0n, 0n, 0n]],
    [1, READ, [0x100n, 0x100n, 0x100n, 0x100n]],
    [1, WRITE, [0x300n, 0x100n, 0x100n, 0x100n]],
  ])('3.7.2 second stage, SSADE %i, access %i', (ssade, access, want) => {
    const { bench, second } = setUp(SECOND, { ssade });
    const entries = path(bench, second, 0x7003n, 3n);
    expect(ask(bench, { access })).toEqual({ page: 0x7000n });
    expect(entries.map((at) => bench.peek(at) & 0x300n)).toEqual(want);
  });

  test.each([
    ['A', READ, 0x47n, 0x90],
    ['D', WRITE, 0x27n, 0x90],
    ['D of a read', READ, 0x27n, 0],
    ['none', WRITE, 0x67n, 0],
  ])('3.10 PWSNP 0, %s is to be set in a first-stage leaf (SFS.9)', (_, access, leaf, fault) => {
    const { bench, first } = setUp(FIRST, { snoop: 0 });
    path(bench, first, 0x7000n | leaf, 0x27n);
    expect(ask(bench, { access })).toEqual(fault === 0 ? { page: 0x7000n } : { fault });
  });

  test.each([
    ['A', READ, 0x203n, 0x7c],
    ['D', WRITE, 0x103n, 0x7c],
    ['D of a read', READ, 0x103n, 0],
    ['none', WRITE, 0x303n, 0],
  ])('3.10 PWSNP 0, %s is to be set in a second-stage leaf (SSS.5)', (_, access, leaf, fault) => {
    const { bench, second } = setUp(SECOND, { snoop: 0, ssade: 1 });
    path(bench, second, 0x7000n | leaf, 0x103n);
    expect(ask(bench, { access })).toEqual(fault === 0 ? { page: 0x7000n } : { fault });
  });

  test('3.6.2, 3.8.1 nested: a write that the second stage refuses leaves the first-stage leaf clean', () => {
    const { bench, first, second } = setUp(NESTED);
    const entries = path(bench, first, 0x40_0007n, 7n);
    bench.put(second, 4, 0x40_0000n, 0x7001n, 1, 3n);
    expect(ask(bench, { access: WRITE })).toEqual({ fault: 0x85 });
    expect(bench.peek(entries[0] as bigint) & 0x60n).toBe(0x20n);
    expect(ask(bench)).toEqual({ page: 0x7000n });
  });
});

describe('3.8 nested translation: what the second stage says of first-stage tables', () => {
  /** The leaf table lies at guest address 4 MiB; the second stage maps that with `rights`. */
  function nested(rights: bigint, entry: Entry = {}, leaf = 0x7007n) {
    const { bench, first, second } = setUp(NESTED, entry);
    const real = bench.newTable();
    bench.put(first, 4, IOVA, 0x40_0000n | 0x27n, 2, 0x27n);
    bench.poke(real + 8n, leaf);
    bench.put(second, 4, 0x40_0000n, real | rights, 1, 3n);
    return { bench, first, second };
  }

  test.each([
    ['read and write', 3n, {}, 0x7007n, READ, 0],
    ['no right at all', 0n, {}, 0x7067n, READ, 0x79],
    ['write alone', 2n, {}, 0x7067n, READ, 0x76],
    ['read alone, A to be set', 1n, {}, 0x7007n, READ, 0x77],
    ['read alone, D to be set', 1n, {}, 0x7027n, WRITE, 0x77],
    ['read alone, nothing to be set', 1n, {}, 0x7067n, WRITE, 0],
    ['read alone, SSADE: tables have to be writable', 1n, { ssade: 1 }, 0x7067n, READ, 0x77],
  ] as const)('3.8.1 %s', (_, rights, entry, leaf, access, fault) => {
    const { bench } = nested(rights, entry, leaf);
    expect(ask(bench, { access })).toEqual(fault === 0 ? { page: 0x7000n } : { fault });
  });

  test('SFS.6: the top table may not be read', () => {
    const { bench, second } = setUp(NESTED, { first: 0x40_0000n });
    bench.setPasid(USED.entry, { pgtt: NESTED, first: 0x40_0000n, second });
    bench.put(second, 4, 0x40_0000n, 0x7002n, 1, 3n);
    expect(ask(bench)).toEqual({ fault: 0x75 });
  });

  test.each([
    [39, 1],
    [48, 2],
  ])('SFS.5: an address of the first stage fits the second, %i bits', (width, aw) => {
    for (const [at, fault] of [
      [(1n << BigInt(width)) - 0x1000n, 0x79],
      [1n << BigInt(width), 0x74],
    ] as const) {
      const bench = new ScalableBench({ haw: 52, cap: { MGAW: 56, SAGAW: 0b01110 } }).startScalable();
      bench.setDevice(SID, { ridPasid: USED.rid });
      const [first, second] = [bench.newTable(), bench.newTable()];
      bench.identity(second, aw + 2);
      bench.setPasid(USED.entry, { pgtt: NESTED, first, second, aw });
      bench.put(first, 4, IOVA, at | 0x67n);
      expect(ask(bench)).toEqual({ fault });
    }
  });
});

describe('7.1.3 addresses, both sides of each boundary', () => {
  const bit = (n: number) => 1n << BigInt(n);

  test.each([
    [FIRST, 0, bit(47) - 0x1000n, 0x71],
    [FIRST, 0, bit(47), 0x80],
    [FIRST, 0, bit(64) - bit(47), 0x71],
    [FIRST, 0, bit(64) - bit(47) - 0x1000n, 0x80],
    [FIRST, 1, bit(56) - 0x1000n, 0x71],
    [FIRST, 1, bit(56), 0x80],
    [FIRST, 1, bit(64) - bit(56), 0x71],
    [FIRST, 1, bit(64) - bit(56) - 0x1000n, 0x80],
    [NESTED, 0, bit(47) - 0x1000n, 0x71],
    [NESTED, 0, bit(47), 0x80],
    [SECOND, 0, bit(48) - 0x1000n, 0x79],
    [SECOND, 0, bit(48), 0x84],
    [SECOND, 0, bit(64) - 0x1000n, 0x84],
    [PASS, 0, bit(46) - 0x1000n, 0],
    [PASS, 0, bit(46), 0x83],
    [PASS, 0, bit(64) - 0x1000n, 0x83],
  ])('SGN.1, SGN.4, SGN.5: PGTT %i, FSPM %i, 0x%s', (pgtt, fspm, address, fault) => {
    const { bench } = setUp(pgtt, { fspm }, { ...(pgtt === PASS ? { haw: 46 } : {}), cap: { FS5LP: fspm } });
    expect(ask(bench, {}, address)).toEqual(fault === 0 ? { page: address } : bench.refused(fault));
  });

  test.each([
    ['first stage', FIRST],
    ['second stage', SECOND],
    ['nested', NESTED],
  ])('SGN.8: a translation into the interrupt range, %s', (_, pgtt) => {
    for (const [page, fault] of [
      [0xfedff000n, 0],
      [0xfee00000n, 0x87],
      [0xfeeff000n, 0x87],
      [0xfef00000n, 0],
    ] as const) {
      const { bench, first, second } = setUp(pgtt);
      if (pgtt !== SECOND) bench.put(first, 4, IOVA, (pgtt === NESTED ? 0x40_0000n : page) | 0x67n);
      if (pgtt !== FIRST) bench.put(second, 4, pgtt === NESTED ? 0x40_0000n : IOVA, page | 3n, 1, 3n);
      expect(ask(bench), `0x${page.toString(16)}`).toEqual(fault === 0 ? { page } : { fault });
    }
  });

  test('3.15 requests to the interrupt range: without PASID interrupts and zero-length reads pass, with PASID all are translated', () => {
    const address = 0xfee01000n;
    const { bench, first } = setUp(FIRST, {}, {}, { ridPasid: 3 });
    bench.put(first, 4, address, 0x7067n);
    expect(bench.ask(SID, address, { access: WRITE })).toEqual({ page: address });
    expect(bench.ask(SID, address, { access: ZERO_LENGTH })).toEqual({ page: address });
    for (const access of [READ, ATOMIC, 10]) expect(bench.ask(SID, address, { access })).toEqual({ fault: 0x87 });
    bench.setDevice(SID, { ridPasid: USED.rid });
    bench.flushAll();
    for (const access of [READ, WRITE, ATOMIC]) expect(ask(bench, { access }, address)).toEqual({ page: 0x7000n });
    bench.setPasid(USED.entry, { pgtt: PASS });
    bench.flushAll();
    expect(ask(bench, { access: WRITE }, address)).toEqual({ fault: 0x87 });
  });

  test.each([0, 1])('3.14, SGN.7 zero-length reads of a page that may only be written, ZLR %i', (ZLR) => {
    const { bench, second } = setUp(SECOND, {}, { cap: { ZLR } });
    bench.put(second, 4, IOVA, 0x7002n, 1, 3n);
    expect(ask(bench, { access: ZERO_LENGTH })).toEqual(ZLR === 1 ? { page: 0x7000n } : { fault: 0x86 });
  });
});

describe('7.1.3 requests that are refused for what they are', () => {
  test.each([
    [6, {}, 127, 0x71, 128, 0x89],
    [19, {}, 0x1fff, 0x71, 0x2000, 0x46],
  ])('SGN.10, SCT.7: PSS %i', (PSS, _, inside, ok, beyond, fault) => {
    const { bench } = setUp(FIRST, {}, { ecap: { PSS } });
    expect(ask(bench, { pasid: 3 })).toEqual({ fault: ok });
    expect(ask(bench, { pasid: inside })).not.toEqual({ fault });
    expect(ask(bench, { pasid: beyond })).toEqual({ fault });
  });

  test('SCT.6, SCT.9: PASIDE = 0; the PASID of requests without', () => {
    const { bench } = setUp(FIRST);
    expect(ask(bench, { pasid: 9 })).toEqual({ fault: 0x48 });
    bench.setDevice(SID, { ridPasid: 9, paside: 0 });
    bench.flushAll();
    expect(ask(bench)).toEqual({ fault: 0x45 });
    expect(bench.ask(SID, IOVA)).toEqual({ fault: 0x59 });
  });

  test.each([
    [7, 0x5c],
    [8, 0x34],
  ])('SPT.5, RTA.5: execution, version %i', (MAX, fault) => {
    const { bench } = setUp(FIRST, {}, { ver: { MAX } });
    expect(ask(bench, { prefix: EXECUTE })).toEqual({ fault });
  });

  test.each([17, 33])('SCT.5: AT other than 00b (kind %i) without device TLBs', (access) => {
    const { bench } = setUp(FIRST);
    expect(ask(bench, { access })).toEqual({ fault: 0x44 });
    expect(bench.ask(SID, IOVA, { access })).toEqual({ fault: 0x44 });
    bench.poke(bench.contextAt(SID), 0n);
    bench.flushAll();
    expect(ask(bench, { access })).toEqual({ fault: 0x41 });
  });

  test('RTA.2: a request with PASID in legacy mode', () => {
    const bench = new ScalableBench().start();
    expect(ask(bench, { pasid: 3 })).toEqual({ fault: 0x31 });
  });

  test.each([
    [0, 0x30],
    [1, 0x33],
  ])('RTA.1, RTA.4: abort-DMA mode with ADMS %i', (ADMS, fault) => {
    const bench = new ScalableBench({ ecap: { ADMS } });
    bench.write64(REG.RTADDR, ROOT | 0xc00n);
    bench.write32(REG.GCMD, SRTP);
    bench.write32(REG.GCMD, TE);
    for (const kind of [{}, { pasid: -1 }, { pasid: -1, access: WRITE }, { access: 17 }])
      expect(ask(bench, kind)).toEqual({ fault });
  });
});

describe('7.2, 11.4.7.6: what is recorded', () => {
  const high = (bench: ScalableBench) => bench.read64(REG.FRCD + 8);

  test.each([
    ['PASID 3', { pasid: 3 }, (3n << 40n) | (1n << 31n)],
    ['PASID 3, supervisor', { pasid: 3, prefix: SUPERVISOR }, (3n << 40n) | (1n << 31n) | (1n << 29n)],
    ['no PASID', { pasid: -1 }, 0n],
  ] as const)('PV, PP and PRIV: %s', (_, kind, want) => {
    const { bench } = setUp(FIRST, { sre: 1 });
    bench.setPasid(9, { pgtt: FIRST, first: 0x30000n });
    expect(ask(bench, kind)).toEqual({ fault: 0x71 });
    expect(high(bench)).toBe((1n << 63n) | (1n << 62n) | want | (0x71n << 32n) | BigInt(SID));
  });

  test('EXE: of a read for execution', () => {
    const { bench } = setUp(FIRST);
    ask(bench, { prefix: EXECUTE });
    expect((high(bench) >> 30n) & 1n).toBe(1n);
    bench.clearFaults();
    ask(bench, { prefix: EXECUTE, access: WRITE });
    expect((high(bench) >> 30n) & 1n).toBe(0n);
  });

  test('without ECAP.PASID its fields are reserved', () => {
    const { bench } = setUp(FIRST, {}, { ecap: { PASID: 0 } }, { paside: 0 });
    expect(ask(bench, { prefix: SUPERVISOR })).toEqual({ fault: 0x45 });
    expect(high(bench)).toBe((1n << 63n) | (1n << 62n) | (0x45n << 32n) | BigInt(SID));
  });

  /** Sets FPD in one of the three structures. */
  const FPD = {
    context: (bench: ScalableBench) => bench.poke(bench.contextAt(SID), bench.peek(bench.contextAt(SID)) | 2n),
    directory: (bench: ScalableBench) => bench.poke(DIRECTORY, bench.peek(DIRECTORY) | 2n),
    entry: (bench: ScalableBench) =>
      bench.poke(bench.entryAtPasid(USED.entry), bench.peek(bench.entryAtPasid(USED.entry)) | 2n),
  };

  test.each(['context', 'directory', 'entry'] as const)(
    '9.4 – 9.6 FPD of the %s: qualified faults are not recorded, at first and from the caches',
    (where) => {
      const { bench } = setUp(FIRST);
      FPD[where](bench);
      for (let i = 0; i < 2; i++) {
        expect(ask(bench)).toEqual({ fault: 0x71 });
        expect(bench.recordedReason()).toBe(0);
      }
    },
  );

  test('FPD counts where P = 0', () => {
    for (const at of ['context', 'directory', 'entry'] as const) {
      const { bench } = setUp(FIRST);
      FPD[at](bench);
      const place = { context: bench.contextAt(SID), directory: DIRECTORY, entry: bench.entryAtPasid(USED.entry) }[at];
      bench.poke(place, bench.peek(place) & ~1n);
      expect('fault' in ask(bench), at).toBe(true);
      expect(bench.recordedReason(), at).toBe(0);
    }
  });

  test.each([
    [0x39, (bench: ScalableBench) => bench.poke(ROOT, 0n)],
    [0x3a, (bench: ScalableBench) => bench.poke(ROOT, bench.peek(ROOT) | 2n)],
    [0x40, (bench: ScalableBench) => bench.poke(ROOT, 0x7fff_0001n)],
    [0x50, (bench: ScalableBench) => bench.poke(bench.contextAt(SID), 0x7fff_000bn)],
    [0x58, (bench: ScalableBench) => bench.poke(DIRECTORY, 0x7fff_0003n)],
  ] as const)('reason %i is recorded whatever FPD says', (reason, spoil) => {
    const { bench } = setUp(FIRST);
    FPD.context(bench);
    spoil(bench);
    expect(ask(bench)).toEqual({ fault: reason });
    expect(bench.recordedReason()).toBe(reason);
  });
});
