import { describe, expect, test } from 'vitest';
import type { InterruptBenchOptions } from './interrupt-bench.ts';
import { CFI, EIME, entry, InterruptBench, IRE, IRT, IRTA, iecInv, remappable, SIRTP } from './interrupt-bench.ts';
import type { Flight } from './unit.ts';
import { modelOnly, QIE, QUEUE, Random, REG, SRTP, STATUS, TE, wait } from './unit.ts';

/** Units with interrupt remapping, with and without what is optional. */
const MAKES: readonly InterruptBenchOptions[] = [
  {},
  { ecap: { EIM: 0 }, cap: { CM: 1, NFR: 7 } },
  { ecap: { EIMER: 1 }, cap: { ESIRTPS: 1, ESRTPS: 1, RWBF: 1 } },
  { ecap: { IRREQ: 1, MHMV: 3 }, haw: 36, cap: { CM: 1, ESIRTPS: 1 } },
  { ver: { MAX: 6 }, cap: { NFR: 255 }, haw: 52 },
];

const OFFSETS = [...Object.values(REG), IRTA, IRTA + 4];
const SIDS = [0, 8, 0x10, 0x2013, 0xffff];
const NONSENSE = [Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 2 ** 32, 2 ** 53, -(2 ** 31)];
const REASONS = [0, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x2a, 0x2b];

const answers = new Map<number, number>();
const figures = { operations: 0, steps: 0, arrived: 0, queueErrors: 0, refused: 0 };

function count(answer: number): void {
  if (!REASONS.includes(answer)) expect(REASONS).toContain(answer);
  answers.set(answer, (answers.get(answer) ?? 0) + 1);
}

function prepare(random: Random, options: InterruptBenchOptions): InterruptBench {
  const bench = new InterruptBench({ frames: 96, caches: { interrupts: 256 }, size: 9, ...options });
  for (let i = 0; i < 1024; i++) {
    const svt = random.pick([0, 0, 1, 2]);
    bench.setEntry(
      i,
      entry({ p: random.chance(80) ? 1 : 0, vector: i & 0xff, dst: (i & 0xff) << 8, svt, sid: random.pick(SIDS) }),
    );
  }
  for (let i = 0; i < 256; i++) {
    const good = random.chance(70);
    const [lo, hi] = good
      ? iecInv(random.below(2), random.below(0x10000), random.below(4))
      : wait({ sw: 1, addr: STATUS });
    bench.poke(QUEUE + BigInt(16 * i), random.chance(97) ? lo : lo ^ (1n << BigInt(random.below(64))));
    bench.poke(QUEUE + BigInt(16 * i + 8), hi);
  }
  bench.remap(random.chance(50) ? CFI : 0);
  bench.write64(REG.IQA, QUEUE);
  return bench;
}

function word(random: Random): number {
  const kind = random.below(6);
  if (kind === 0) return 0;
  if (kind === 1) return 0xffffffff;
  if (kind === 2) return (random.below(0x80) << 12) | random.below(16);
  if (kind === 3) return 1 << random.below(32);
  return random.word();
}

function sensible(bench: InterruptBench, random: Random): void {
  const kind = random.below(12);
  if (kind < 3)
    bench.write32(
      REG.GCMD,
      (random.chance(90) ? IRE : 0) | QIE | (random.chance(50) ? CFI : 0) | (random.chance(20) ? SIRTP : 0),
    );
  else if (kind < 4) bench.write32(REG.GCMD, random.chance(50) ? random.word() : IRE | QIE | TE | SRTP);
  else if (kind < 5) bench.write64(IRTA, IRT | BigInt(random.below(16)) | (random.chance(30) ? EIME : 0n));
  else if (kind < 6) bench.write64(IRTA, random.chance(50) ? random.big(64) : IRT | 9n);
  else if (kind < 9) bench.write32(REG.IQT, 16 * random.below(random.chance(95) ? 256 : 0x8000));
  else if (kind < 10) bench.write32(REG.FSTS, 0x7f);
  else if (kind < 11) bench.write32(REG.FRCD + 12, 1 << 31);
  else bench.write32(REG.FECTL, random.below(2) << 31);
}

function access(bench: InterruptBench, random: Random): void {
  const odd = random.chance(10);
  const offset = odd ? random.pick(NONSENSE) : random.pick(OFFSETS) + random.below(12) - 4;
  const size = odd ? random.pick(NONSENSE) : 1 + random.below(8);
  if (random.chance(50)) return bench.unit.write(offset, size, word(random), word(random));
  const { lo, hi } = bench.unit.read(offset, size);
  if (!Number.isInteger(lo) || !Number.isInteger(hi)) expect([lo, hi]).toEqual([0, 0]);
}

function scribble(bench: InterruptBench, random: Random): void {
  const page = random.chance(70) ? 0x40 + random.below(4) : random.below(bench.ram.frames);
  const at = bench.ram.locate(page, random.below(512));
  if (random.chance(50)) bench.ram.write(at, bench.ram.lo(at) ^ (1 << random.below(32)), bench.ram.hi(at));
  else bench.ram.write(at, word(random) | 0, word(random) | 0);
}

function address(random: Random): number {
  const kind = random.below(10);
  if (kind < 6) return remappable(random.below(1100), random.below(2));
  if (kind < 9) return 0xfee00000 + 4 * random.below(0x40000);
  return remappable(random.below(0x10000), 1);
}

const data = (random: Random) => (random.chance(60) ? random.below(16) : random.word());

function operate(bench: InterruptBench, random: Random, interrupt: () => void): void {
  const kind = random.below(20);
  if (kind < 5) sensible(bench, random);
  else if (kind < 7) access(bench, random);
  else if (kind < 9) scribble(bench, random);
  else interrupt();
  figures.operations++;
}

function settle(bench: InterruptBench): void {
  const limit = 2 * (256 << (bench.read32(REG.IQA) & 7)) + 8;
  const steps = bench.run(limit + 10);
  if (steps > limit) expect(steps, 'steps after one operation').toBeLessThanOrEqual(limit);
  figures.steps += steps;
  if ((bench.read32(REG.FSTS) & 0x10) !== 0) figures.queueErrors++;
}

const PARTS = [1, 2, 3];
const RUNS = 200;
const OPERATIONS = 1500;

describe('VT-d 5.1, 6.5.2.8, 11.4: whatever is written has an answer', () => {
  test.each(PARTS)('random operations with interrupts: nothing throws or runs on, at once (part %i of 3)', (seed) => {
    const random = new Random(500 + seed);
    for (let run = 0; run < RUNS; run++) {
      const bench = prepare(random, MAKES[run % MAKES.length] as InterruptBenchOptions);
      for (let i = 0; i < OPERATIONS; i++) {
        operate(bench, random, () => {
          const odd = random.chance(1);
          const at = odd ? random.pick(NONSENSE) : address(random);
          count(bench.unit.interrupt(random.pick(SIDS), at, odd ? random.pick(NONSENSE) : data(random)));
          const { addressHi, addressLo, data: sent, destination } = bench.unit.remapped;
          const all = [addressHi, addressLo, sent, destination];
          if (!all.every((n) => Number.isInteger(n) && n >= 0 && n <= 0xffffffff)) expect(all).toEqual([]);
        });
        settle(bench);
      }
    }
  });

  test.each(PARTS)('random operations with interrupts: nothing throws or runs on, in steps (part %i of 3)', (seed) => {
    const random = new Random(900 + seed);
    for (let run = 0; run < RUNS; run++) {
      const make = MAKES[run % MAKES.length] as InterruptBenchOptions;
      const bench = prepare(random, { ...make, dmaSlots: 3, fetchAhead: random.below(4) });
      const flights: Flight[] = [];
      for (let i = 0; i < OPERATIONS; i++) {
        operate(bench, random, () => {
          if (flights.length < 3 && random.chance(60)) {
            if (random.chance(80)) flights.push(bench.send(random.pick(SIDS), address(random), data(random)));
            else
              flights.push(
                bench.issue(random.pick(SIDS), 0xfee00000n + BigInt(8 * random.below(512)), 1 + random.below(2)),
              );
          }
          for (let f = flights.length - 1; f >= 0; f--) {
            const flight = flights[f] as Flight;
            for (let n = random.below(4); n > 0 && flight.state !== 'over' && flight.choices > 0; n--)
              flight.step((choices) => random.below(choices));
            if (flight.state === 'over') flights.splice(f, 1);
          }
        });
        for (const agent of bench.unit.agents) {
          const choices = agent.choices();
          if (choices > 0 && random.chance(70)) agent.step(random.below(choices));
        }
        // An explored cache is as large as its case needs.
        if (i % 50 === 0) bench.unit.interruptCache?.cache.dropAll();
        if (i % 50 === 0) for (const cache of [bench.unit.caches.context, bench.unit.caches.iotlb]) cache.dropAll();
      }
      // Whatever is in flight comes to an end: nothing waits for ever, in whatever order.
      for (let n = 0; flights.length > 0; n++) {
        expect(n).toBeLessThan(100);
        for (const flight of flights) if (flight.state !== 'over' && flight.choices > 0) flight.step();
        flights.splice(0, flights.length, ...flights.filter((one) => one.state !== 'over'));
      }
      figures.arrived += bench.arrived.length;
      if (bench.record() !== null) figures.refused++;
    }
  });

  test('and everything came up', () => {
    modelOnly('figures of tests that were skipped');
    expect(figures.operations).toBe(2 * PARTS.length * RUNS * OPERATIONS);
    expect(figures.steps).toBeGreaterThan(10_000);
    expect(figures.arrived).toBeGreaterThan(2_000);
    expect(figures.queueErrors).toBeGreaterThan(100);
    expect(figures.refused).toBeGreaterThan(50);
    for (const reason of REASONS)
      expect(answers.get(reason) ?? 0, `answer 0x${reason.toString(16)}`).toBeGreaterThan(50);
  });
});
