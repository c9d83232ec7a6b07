import { describe, expect, test } from 'vitest';
import { KINDS } from './random-tables.ts';
import type { BenchOptions, Descriptor, Flight } from './unit.ts';
import {
  Bench,
  CONTEXT,
  contextInv,
  iotlbInv,
  modelOnly,
  QIE,
  QUEUE,
  Random,
  REG,
  ROOT,
  SRTP,
  STATUS,
  TE,
  WRITE,
  wait,
} from './unit.ts';

/** Most steps after one operation: each descriptor of the largest queue fetched and executed, an error, the ends of commands. */
function stepLimit(bench: Bench): number {
  return 2 * (256 << (bench.read32(REG.IQA) & 7)) + 8;
}

const OFFSETS = Object.values(REG);
/** Reasons and other answers of requests, and how often each came up. */
const answers = new Map<number, number>();
const figures = { operations: 0, accesses: 0, odd: 0, steps: 0, walks: 0, queueErrors: 0, messages: 0 };
const SIDS = [0, 1, 8, 0xff, 0x100, 0x1234, 0xfffe, 0xffff];

/** What units may be: with and without everything that is optional. */
const MAKES: readonly BenchOptions[] = [
  {},
  { cap: { NFR: 7, ZLR: 1, PLMR: 1, PHMR: 1, ESRTPS: 1, RWBF: 1 } },
  { cap: { CM: 1, SAGAW: 0b01110, MGAW: 56, NFR: 255 }, ver: { MAX: 5 } },
  { cap: { PSI: 0, ND: 0, SSLPS: 0, PHMR: 1, FRO: 0x3ff }, ecap: { PT: 0, SC: 0, IRO: 0x20 }, haw: 36 },
  { ver: { MAX: 6 }, cap: { CM: 1, PLMR: 1, MAMV: 9 } },
  { ecap: { QI: 0 }, cap: { NFR: 1 } },
];

const NONSENSE = [Number.NaN, Number.POSITIVE_INFINITY, -1, -4, -(2 ** 31), 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 9, 16];

/** A value that means something more often than not. */
function word(random: Random): number {
  const kind = random.below(8);
  if (kind === 0) return 0;
  if (kind === 1) return 0xffffffff;
  if (kind === 2) return random.below(0x40) << 12;
  if (kind === 3) return 1 << random.below(32);
  if (kind === 4) return (random.word() & 0xf8000000) >>> 0;
  return random.word();
}

function descriptor(random: Random): Descriptor {
  const kind = random.below(100);
  const addr = random.big(25) & ~0xfffn;
  if (kind < 40) return iotlbInv({ g: 1 + random.below(3), did: 1, addr, am: random.below(10), ih: random.below(2) });
  if (kind < 60) return contextInv(1 + random.below(3), random.below(2), random.pick(SIDS), random.below(4));
  return wait({ sw: random.below(2), flag: random.below(2), fn: random.below(2), data: 1n, addr: STATUS + addr });
}

/** Tables that translate and a queue full of good descriptors. */
function prepare(random: Random, options: BenchOptions): Bench {
  const caches = { context: 16, iotlbSets: 1, iotlbWays: 128, pagingStructure: 64 };
  const bench = new Bench({ frames: 64, caches, ...options });
  const tree = bench.tree(3 + random.below(2));
  for (const sid of SIDS) {
    bench.attach(sid, tree, 1);
    bench.setRoot(sid >> 8, CONTEXT | 1n);
  }
  for (let i = 0; i < 40; i++) {
    const level = 1 + random.below(3);
    const page = (random.big(30) >> BigInt(3 + 9 * level)) << BigInt(3 + 9 * level);
    const iova = (random.big(2) << 30n) | (random.big(2) << 21n) | (random.big(2) << 12n);
    const at = tree.levels === 4 || level < 3 || i < 4 ? level : 1;
    try {
      bench.map(tree, iova, page | 0x83n, at);
    } catch {
      // A large page is in the way: as good.
    }
  }
  for (let i = 0; i < 1024; i++) {
    const [lo, hi] = descriptor(random);
    bench.poke(QUEUE + BigInt(16 * i), lo);
    bench.poke(QUEUE + BigInt(16 * i + 8), hi);
  }
  bench.start();
  return random.chance(70) ? bench.startQueue(random.below(3)) : bench;
}

/** Spoils or mends a few words. */
function scribble(bench: Bench, random: Random): void {
  for (let i = 0; i < 4; i++) {
    const page = random.chance(50) ? 16 + random.below(4) : random.below(bench.ram.frames);
    const at = bench.ram.locate(page, random.below(512));
    const kind = random.below(10);
    if (kind < 3) bench.ram.write(at, word(random) | 0, word(random) | 0);
    else if (kind < 6) bench.ram.write(at, (random.below(bench.ram.frames) << 12) | random.below(4), 0);
    else if (kind < 8) bench.ram.write(at, bench.ram.lo(at) ^ (1 << random.below(32)), bench.ram.hi(at));
    else bench.ram.write(at, bench.ram.lo(at), bench.ram.hi(at) ^ (1 << random.below(32)));
  }
}

/** What a driver would do, with a tail that need not be in the queue. */
function sensible(bench: Bench, random: Random): void {
  const kind = random.below(16);
  if (kind >= 14) bench.write32(REG.PMEN, random.below(2) << 31);
  else if (kind >= 12) bench.write32(random.pick([REG.FECTL, REG.IECTL]), random.below(2) << 31);
  else if (kind >= 10) bench.startQueue(random.below(3));
  else if (kind < 2) bench.write32(REG.FSTS, 0x7f);
  else if (kind < 3) bench.write32(REG.FRCD + 12, 1 << 31);
  else if (kind < 4) bench.write64(REG.IQA, QUEUE | BigInt(random.below(3)));
  else if (kind < 8) bench.write32(REG.IQT, 16 * random.below(random.chance(90) ? 256 : 0x8000));
  else if (kind < 9) bench.write64(REG.RTADDR, random.chance(90) ? ROOT : random.big(18));
  else bench.write32(REG.GCMD, random.chance(85) ? TE | QIE | SRTP : random.word());
}

/** An access of any size at any offset, or what is none. */
function access(bench: Bench, random: Random): void {
  figures.accesses++;
  const near = random.pick(OFFSETS) + random.below(16) - 4;
  const odd = random.chance(10);
  if (odd) figures.odd++;
  const offset =
    odd && random.chance(50) ? random.pick(NONSENSE) : random.chance(80) ? near : random.below(1 << random.below(29));
  const size = odd ? random.pick([...NONSENSE, 0, 4, 8]) : 1 + random.below(8);
  if (random.chance(50)) {
    bench.unit.write(offset, size, random.chance(1) ? Number.NaN : word(random), word(random));
    return;
  }
  const { lo, hi } = bench.unit.read(offset, size);
  const bits = Number.isInteger(size) && size >= 1 && size <= 8 ? 8 * size : 0;
  const fits =
    bits >= 32 ? bits === 64 || hi >>> (bits - 32) === 0 : hi === 0 && (bits === 0 ? lo === 0 : lo >>> bits === 0);
  if (!Number.isInteger(lo) || !Number.isInteger(hi) || !fits) expect([lo, hi], `${size} bytes at ${offset}`).toBe(0);
}

function count(answer: number): void {
  answers.set(answer, (answers.get(answer) ?? 0) + 1);
}

function page(random: Random): bigint {
  if (random.chance(30)) return random.big(random.below(46));
  if (random.chance(3)) return 0xfee00n + random.big(8);
  return (random.big(2) << 18n) | (random.big(2) << 9n) | random.big(2);
}

function request(bench: Bench, random: Random): void {
  const vpn = page(random);
  const kind = random.chance(80) ? 1 + random.below(2) : random.pick(KINDS)[1];
  const [hi, lo] = [Number(vpn >> 18n), Number(vpn & 0x3ffffn)];
  const sid = random.pick(SIDS);
  const fault = kind <= WRITE ? bench.unit.translate(sid, hi, lo, kind) : bench.unit.request(sid, hi, lo, kind);
  if (!((fault >= 0 && fault <= 0xe) || fault === 0x30 || fault === 0x100)) expect(fault).toBe(0);
  count(fault);
}

/** One operation; `translate` is what requests do meanwhile. */
function operate(bench: Bench, random: Random, translate: () => void): void {
  const kind = random.below(32);
  if (kind < 12) sensible(bench, random);
  else if (kind < 18) access(bench, random);
  else if (kind < 20) scribble(bench, random);
  else translate();
  figures.operations++;
}

function note(bench: Bench): void {
  figures.messages += bench.forgetMessages();
  if ((bench.read32(REG.FSTS) & 0x10) !== 0) figures.queueErrors++;
}

/** Everything at once, as `prompt` does. */
function atOnce(bench: Bench, random: Random): void {
  operate(bench, random, () => request(bench, random));
  const limit = stepLimit(bench);
  const steps = bench.run(limit + 10);
  if (steps > limit) expect(steps, 'steps after one operation').toBeLessThanOrEqual(limit);
  figures.steps += steps;
}

/** Requests and the unit's own agents in steps, each step a random choice. */
class Stepwise {
  private readonly bench: Bench;
  private readonly random: Random;
  private readonly flights: Flight[] = [];
  private sinceFlush = 0;

  constructor(bench: Bench, random: Random) {
    this.bench = bench;
    this.random = random;
  }

  operate(): void {
    const { bench, random } = this;
    operate(bench, random, () => this.step());
    for (const agent of bench.unit.agents) {
      const choices = agent.choices();
      if (choices === 0 || random.chance(30)) continue;
      agent.step(random.below(choices));
      figures.steps++;
    }
    // An explored cache is as large as its case needs: entries may be gone at any time, here every now and then.
    if (++this.sinceFlush < 40) return;
    this.sinceFlush = 0;
    const { context, iotlb, paging } = bench.unit.caches;
    for (const cache of [context, iotlb, ...paging]) cache.dropAll();
  }

  private step(): void {
    const { bench, flights, random } = this;
    if (flights.length < 3 && random.chance(50)) {
      flights.push(bench.issue(random.pick(SIDS), page(random) << 12n, 1 + random.below(2), random.chance(90) ? 1 : 2));
    }
    for (let i = flights.length - 1; i >= 0; i--) {
      const flight = flights[i] as Flight;
      for (let n = random.below(4); n > 0 && flight.state !== 'over'; n--) {
        flight.step((choices) => random.below(choices));
        figures.walks++;
      }
      if (flight.state === 'over') flights.splice(i, 1);
    }
  }
}

const PARTS = [1, 2, 3, 4, 5, 6];
const OPERATIONS = 1500;

describe('VT-d 11.2, 6.5.2, 7.1: whatever is written has an answer', () => {
  test.each(PARTS)('random operations: nothing throws or runs on, at once (part %i of 6)', (seed) => {
    const random = new Random(seed);
    for (let part = 0; part < 200; part++) {
      const bench = prepare(random, MAKES[part % MAKES.length] as BenchOptions);
      for (let i = 0; i < OPERATIONS; i++) {
        try {
          atOnce(bench, random);
        } catch (error) {
          throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${error}`, { cause: error });
        }
      }
      note(bench);
    }
  });

  test.each(PARTS)('random operations: nothing throws or runs on, in steps (part %i of 6)', (seed) => {
    const random = new Random(1000 + seed);
    for (let part = 0; part < 200; part++) {
      const fetchAhead = random.below(4);
      const bench = prepare(random, { ...(MAKES[part % MAKES.length] as BenchOptions), dmaSlots: 3, fetchAhead });
      const stepwise = new Stepwise(bench, random);
      for (let i = 0; i < OPERATIONS; i++) {
        try {
          stepwise.operate();
        } catch (error) {
          throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${error}`, { cause: error });
        }
      }
      note(bench);
    }
  });

  test('and everything came up', () => {
    modelOnly('figures of tests that were skipped');
    expect(figures.operations).toBeGreaterThanOrEqual(3_000_000);
    expect(figures.queueErrors).toBeGreaterThan(50);
    expect(figures.accesses).toBeGreaterThan(100_000);
    expect(figures.odd).toBeGreaterThan(10_000);
    expect(figures.steps).toBeGreaterThan(100_000);
    expect(figures.walks).toBeGreaterThan(100_000);
    expect(figures.messages).toBeGreaterThan(100);
    for (const reason of [0, 1, 2, 4, 5, 6, 7, 8, 0xa, 0xb, 0xc, 0xd, 0xe, 0x30, 0x100])
      expect(answers.get(reason) ?? 0, `answer 0x${reason.toString(16)}`).toBeGreaterThan(20);
  });
});
