/** SMMUv3 3.5.1, 6.3.26 – 6.3.29, 6.3.33, 6.3.95 – 6.3.98, 7.4: bases, sizes and indexes of queues; wrapping at every size, overflow. */
import { describe, expect, test } from 'vitest';
import { hex, titled } from './titled.ts';
import type { BenchOptions } from './unit.ts';
import { Bench, MEMORY } from './unit.ts';

const ALL = 0xffff_ffffn;
const [SMMUEN, EVENTQEN, CMDQEN] = [1n, 4n, 8n];
const [CMDQ_ERR] = [1n];
const CMDQ = { base: 0x90, prod: 0x98, cons: 0x9c };
const EVENTQ = { base: 0xa0, prod: 0x100a8, cons: 0x100ac };
const PRIQ = { base: 0xc0, prod: 0x100c8, cons: 0x100cc };
const [GERROR, GERRORN] = [0x60, 0x64];
const C_BAD_STREAMID = 2n;
const PRI: BenchOptions = { idr0: { PRI: 1 } };
const AT = MEMORY + 0x2_0000n;
const SYNC = 0x46n;
/** A reserved opcode. */
const WRONG = 0n;

function disabled(options: BenchOptions = {}): Bench {
  const bench = new Bench({ ...options, idr0: { ATS: 1, PRI: 1, ...options.idr0 } }, options);
  control(bench, 0n);
  return bench;
}

function control(bench: Bench, cr0: bigint): void {
  bench.write(0x20, 4, cr0);
  bench.run();
}

/** A queue of entries of so many bytes behind as many bytes as it has: memory for both. */
function sized(log2: number, bytes: number, options: BenchOptions = {}): { bench: Bench; base: bigint } {
  const size = Math.max(bytes * 2 ** log2, 0x1_0000);
  return { bench: disabled({ frames: (2 * size) / 4096 + 8, ...options }), base: MEMORY + BigInt(size) };
}

/** Indexes that SMMUs keep are RAZ above the wrap bit; software's have no meaning there. */
const KEPT = [
  ['CMDQ_CONS.RD', CMDQ.base, CMDQ.cons, 0n],
  ['EVENTQ_PROD.WR', EVENTQ.base, EVENTQ.prod, 1n << 31n],
  ['PRIQ_PROD.WR', PRIQ.base, PRIQ.prod, 1n << 31n],
] as const;
const SIZES = Array.from({ length: 20 }, (_, log2) => log2);

describe('6.3.28, 6.3.95, 6.3.97 bits above the wrap bit read as zero', () => {
  const cases = KEPT.flatMap(([name, base, index, more]) =>
    SIZES.map((log2): [string, number, number, number, bigint] => [name, log2, base, index, more]),
  );
  test.each(cases)('%s, LOG2SIZE %i, has no more bits', (_, log2, base, index, more) => {
    const bench = disabled(base === PRIQ.base ? PRI : {});
    bench.write(base, 8, BigInt(log2));
    bench.write(index, 4, 0x800f_ffffn);
    // CMDQ_CONS.ERR may take what is written, or not (6.3.28).
    expect(bench.read(index, 4) & 0x80ff_ffffn).toBe(((2n << BigInt(log2)) - 1n) | more);
  });

  test.each(KEPT)('%s is truncated where LOG2SIZE becomes less', (_, base, index, more) => {
    const bench = disabled(base === PRIQ.base ? PRI : {});
    bench.write(base, 8, 10n);
    bench.write(index, 4, 0x555n | more);
    for (const log2 of [9, 8, 4, 0]) {
      bench.write(base, 8, BigInt(log2));
      expect(bench.read(index, 4) & 0x80ff_ffffn).toBe((0x555n & ((2n << BigInt(log2)) - 1n)) | more);
    }
  });
});

describe('6.3.26 the command queue wraps at every size', () => {
  test.each(SIZES)('LOG2SIZE %i', (log2) => {
    const { bench, base } = sized(log2, 16);
    const size = 1n << BigInt(log2);
    bench.write(CMDQ.base, 8, base | BigInt(log2));
    const last = base + 16n * (size - 1n);
    for (const [from, to] of [
      [size - 1n, size],
      [2n * size - 1n, 0n],
    ]) {
      for (const [command, rd, error] of [
        [SYNC, to, 0n],
        [WRONG, from, CMDQ_ERR],
      ]) {
        control(bench, 0n);
        bench.poke(base, WRONG);
        bench.poke(last, command);
        bench.write(CMDQ.cons, 4, from);
        bench.write(CMDQ.prod, 4, to);
        control(bench, CMDQEN);
        expect(bench.read(CMDQ.cons, 4) & 0xf_ffffn).toBe(rd);
        expect(bench.read(GERROR, 4) ^ bench.read(GERRORN, 4)).toBe(error);
        control(bench, 0n);
        bench.write(GERRORN, 4, bench.read(GERROR, 4));
      }
    }
  });

  test.each([
    [0, 4, 4],
    [3, 3, 3],
    [4, 3, 3],
    [19, 3, 3],
    [31, 19, 19],
  ])('LOG2SIZE %i, IDR1.CMDQS %i: as %i, and reads as written', (written, CMDQS, counts) => {
    const { bench, base } = sized(Math.min(written, counts), 16, { idr1: { CMDQS } });
    const size = 1n << BigInt(Math.min(written, counts));
    bench.write(CMDQ.base, 8, base | BigInt(written));
    bench.poke(base + 16n * (size - 1n), SYNC);
    bench.write(CMDQ.cons, 4, size - 1n);
    bench.write(CMDQ.prod, 4, size);
    control(bench, CMDQEN);
    expect([bench.read(CMDQ.cons, 4) & 0xf_ffffn, bench.read(CMDQ.base, 8) & 31n]).toEqual([size, BigInt(written)]);
  });

  test.each(
    titled(
      [
        [0, 0x20n, 0x20n],
        [1, 0x20n, 0x20n],
        [2, 0x20n, 0n],
        [2, 0x40n, 0x40n],
        [8, 0xfe0n, 0n],
        [8, 0x1000n, 0x1000n],
        [9, 0x1000n, 0n],
      ],
      (log2, low, at) => `LOG2SIZE ${log2}: a base of ${hex(low)} is at ${hex(at)}`,
    ),
  )('6.3.26 %s', (_, log2, low, at) => {
    const bench = disabled();
    bench.write(CMDQ.base, 8, AT | low | BigInt(log2));
    bench.write(CMDQ.cons, 4, 0n);
    bench.write(CMDQ.prod, 4, 1n);
    bench.poke(AT + at, SYNC);
    control(bench, CMDQEN);
    expect(bench.read(CMDQ.cons, 4) & 0xf_ffffn).toBe(1n);
  });

  test('6.3.27 bits of CMDQ_PROD above the wrap bit mean nothing', () => {
    const bench = disabled();
    bench.write(CMDQ.base, 8, AT | 2n);
    bench.write(CMDQ.cons, 4, 0n);
    bench.poke(AT, SYNC);
    bench.write(CMDQ.prod, 4, 0xf_fff9n);
    control(bench, CMDQEN);
    expect(bench.read(CMDQ.cons, 4) & 0xf_ffffn).toBe(1n);
  });

  /** PROD, CONS, entries: of a queue of 4 entries (3.5.1). */
  const states: [bigint, bigint, number][] = [
    [0n, 0n, 0],
    [4n, 4n, 0],
    [3n, 3n, 0],
    [1n, 0n, 1],
    [4n, 3n, 1],
    [0n, 7n, 1],
    [3n, 0n, 3],
    [2n, 7n, 3],
    [4n, 0n, 4],
    [0n, 4n, 4],
    [7n, 3n, 4],
    [1n, 5n, 4],
  ];
  test.each(states)('3.5.1 PROD %s, CONS %s: %i commands', (prod, cons, count) => {
    const bench = disabled();
    bench.write(CMDQ.base, 8, AT | 2n);
    for (let i = 0n; i < 4n; i++) bench.poke(AT + 16n * i, i === (prod & 3n) && count < 4 ? WRONG : SYNC);
    bench.write(CMDQ.cons, 4, cons);
    bench.write(CMDQ.prod, 4, prod);
    control(bench, CMDQEN);
    expect(bench.read(CMDQ.cons, 4)).toBe(prod);
    expect(bench.read(GERROR, 4)).toBe(0n);
  });

  test.each([
    [5n, 0n],
    [6n, 1n],
    [1n, 4n],
    [0n, 1n],
    [3n, 7n - 1n],
  ])('decision (3.5.1): nothing is consumed of PROD %s, CONS %s, which cannot be', (prod, cons) => {
    const bench = disabled();
    bench.write(CMDQ.base, 8, AT | 2n);
    for (let i = 0n; i < 4n; i++) bench.poke(AT + 16n * i, SYNC);
    bench.write(CMDQ.cons, 4, cons);
    bench.write(CMDQ.prod, 4, prod);
    control(bench, CMDQEN);
    expect(bench.read(CMDQ.cons, 4)).toBe(cons);
  });
});

describe('6.3.29 the event queue wraps at every size', () => {
  /** An event: of a StreamID beyond the table. */
  const provoke = (bench: Bench) => bench.ask(0x1234, 0n);

  test.each(SIZES)('LOG2SIZE %i', (log2) => {
    const { bench, base } = sized(log2, 32);
    const size = 1n << BigInt(log2);
    bench.write(EVENTQ.base, 8, base | BigInt(log2));
    const last = base + 32n * (size - 1n);
    for (const [from, to] of [
      [size - 1n, size],
      [2n * size - 1n, 0n],
    ]) {
      control(bench, 0n);
      bench.poke(last, 0n);
      bench.write(EVENTQ.prod, 4, from);
      bench.write(EVENTQ.cons, 4, from);
      control(bench, EVENTQEN | SMMUEN);
      provoke(bench);
      expect([bench.read(EVENTQ.prod, 4), bench.peek(last) & 0xffn]).toEqual([to, C_BAD_STREAMID]);
    }
  });

  test.each(SIZES)('LOG2SIZE %i: a full queue keeps what it has, and overflows', (log2) => {
    const { bench, base } = sized(log2, 32);
    const size = 1n << BigInt(log2);
    bench.write(EVENTQ.base, 8, base | BigInt(log2));
    bench.write(EVENTQ.prod, 4, size);
    bench.write(EVENTQ.cons, 4, 0n);
    bench.poke(base, 0x55n);
    control(bench, EVENTQEN | SMMUEN);
    provoke(bench);
    expect([bench.read(EVENTQ.prod, 4), bench.peek(base)]).toEqual([(1n << 31n) | size, 0x55n]);
    // One less is not full.
    bench.write(EVENTQ.cons, 4, (1n << 31n) | 1n);
    provoke(bench);
    expect([bench.read(EVENTQ.prod, 4), bench.peek(base) & 0xffn]).toEqual([
      (1n << 31n) | ((size + 1n) & (2n * size - 1n)),
      C_BAD_STREAMID,
    ]);
  });

  test.each([
    [4, 3, 3],
    [19, 3, 3],
    [31, 5, 5],
  ])('LOG2SIZE %i, IDR1.EVENTQS %i: as %i', (written, EVENTQS, counts) => {
    const { bench, base } = sized(counts, 32, { idr1: { EVENTQS } });
    const size = 1n << BigInt(counts);
    bench.write(EVENTQ.base, 8, base | BigInt(written));
    bench.write(EVENTQ.prod, 4, size - 1n);
    bench.write(EVENTQ.cons, 4, size - 1n);
    control(bench, EVENTQEN | SMMUEN);
    provoke(bench);
    expect([bench.read(EVENTQ.prod, 4), bench.read(EVENTQ.base, 8) & 31n]).toEqual([size, BigInt(written)]);
  });

  test.each(
    titled(
      [
        [0, 0x20n, 0x20n],
        [1, 0x20n, 0n],
        [1, 0x40n, 0x40n],
        [7, 0xfe0n, 0n],
        [7, 0x1000n, 0x1000n],
      ],
      (log2, low, at) => `LOG2SIZE ${log2}: a base of ${hex(low)} is at ${hex(at)}`,
    ),
  )('%s', (_, log2, low, at) => {
    const bench = disabled();
    bench.write(EVENTQ.base, 8, AT | low | BigInt(log2));
    bench.write(EVENTQ.prod, 4, 0n);
    bench.write(EVENTQ.cons, 4, 0n);
    control(bench, EVENTQEN | SMMUEN);
    provoke(bench);
    expect(bench.peek(AT + at) & 0xffn).toBe(C_BAD_STREAMID);
  });

  test.each([
    [0n, 0n, 1n],
    [1n, 1n, 0n],
    [1n, 0n, 1n],
    [0n, 1n, 0n],
  ])('7.4 a full queue with OVFLG %s, OVACKFLG %s: OVFLG %s after an event', (flag, ack, becomes) => {
    const bench = disabled();
    bench.write(EVENTQ.base, 8, AT | 1n);
    bench.write(EVENTQ.prod, 4, (flag << 31n) | 2n);
    bench.write(EVENTQ.cons, 4, ack << 31n);
    control(bench, EVENTQEN | SMMUEN);
    provoke(bench);
    provoke(bench);
    expect(bench.read(EVENTQ.prod, 4)).toBe((becomes << 31n) | 2n);
    expect(bench.read(GERROR, 4)).toBe(0n);
  });

  test('7.4 neither EVENTQEN 0 nor room is an overflow', () => {
    const bench = disabled();
    bench.write(EVENTQ.base, 8, AT | 1n);
    bench.write(EVENTQ.prod, 4, 2n);
    bench.write(EVENTQ.cons, 4, 0n);
    control(bench, SMMUEN);
    provoke(bench);
    expect(bench.read(EVENTQ.prod, 4)).toBe(2n);
    control(bench, 0n);
    bench.write(EVENTQ.cons, 4, 1n);
    control(bench, EVENTQEN | SMMUEN);
    provoke(bench);
    expect(bench.read(EVENTQ.prod, 4)).toBe(3n);
    expect(bench.read(EVENTQ.cons, 4) & ALL).toBe(1n);
  });
});
