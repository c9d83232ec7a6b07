import { describe, expect, test } from 'vitest';
import { pasidCacheInv, pasidEntry, pasidIotlbInv, ScalableBench } from './scalable-unit.ts';
import type { BenchOptions, Flight } from './unit.ts';
import { modelOnly, QIE, QUEUE, Random, REG, ROOT, SRTP, STATUS, TE } from './unit.ts';

const OFFSETS = Object.values(REG);
const SIDS = [0, 1, 0x7f, 0x80, 0xff];
const figures = { operations: 0, translated: 0, refused: 0, queueErrors: 0, steps: 0, walks: 0 };
const reasons = new Map<number, number>();

const MAKES: readonly BenchOptions[] = [
  {},
  { cap: { SAGAW: 0b01110, MGAW: 56, FS5LP: 1, ZLR: 1, ESRTPS: 1, NFR: 3 }, haw: 52, ecap: { ADMS: 1 } },
  { ecap: { SMPWCS: 0, EAFS: 0, SSADS: 0 }, cap: { ND: 1 } },
  { ecap: { FSTS: 0, NEST: 0, EAFS: 0, SRS: 0, RPRIVS: 0 }, cap: { FS1GP: 0, PSI: 0 } },
  { ecap: { SSTS: 0, NEST: 0, SSADS: 0, PASID: 0, PSS: 0, RPS: 0 }, ver: { MAX: 8 } },
];

function word(random: Random): bigint {
  const kind = random.below(6);
  if (kind === 0) return 0n;
  if (kind === 1) return random.big(64);
  if (kind === 2) return 1n << BigInt(random.below(64));
  return (BigInt(random.below(64)) << 12n) | random.big(12);
}

function descriptor(random: Random): bigint[] {
  const kind = random.below(100);
  const [did, pasid] = [random.below(4), random.below(8)];
  const addr = random.big(48);
  if (kind < 25)
    return pasidIotlbInv({ g: 2 + random.below(2), did, pasid, addr, am: random.below(64), ih: random.below(2) });
  if (kind < 45) return pasidCacheInv(random.pick([0, 1, 3]), did, pasid);
  if (kind < 60) return [2n | (BigInt(1 + random.below(3)) << 4n) | (BigInt(did) << 16n), addr & ~0xfc0n & ~0x20n];
  if (kind < 75) return [1n | (BigInt(1 + random.below(3)) << 4n) | (random.big(16) << 32n)];
  if (kind < 95) return [5n | (BigInt(random.below(8)) << 4n), STATUS];
  return [random.big(12), random.big(64), random.chance(20) ? 1n : 0n];
}

function prepare(random: Random, options: BenchOptions): ScalableBench {
  const bench = new ScalableBench({
    frames: 80,
    caches: { context: 16, iotlbSets: 1, iotlbWays: 96, pagingStructure: 32 },
    ...options,
  });
  for (const sid of SIDS) bench.setDevice(sid, { ridPasid: options.ecap?.RPS === 0 ? 0 : random.below(3) });
  bench.poke(ROOT + 8n, 0x4001n);
  const [first, second] = [bench.newTable(), bench.newTable()];
  bench.identity(second);
  bench.put(second, 4, 0x40_0000n, 0x12000n | 3n, 1, 3n);
  bench.put(first, 4, 0x1000n, 0x13000n | 7n);
  bench.put(first, 4, 0x20_0000n, 0x87n | 0x20_0000n, 2);
  for (let pasid = 0; pasid < 8; pasid++) {
    bench.pokeAll(
      bench.entryAtPasid(pasid),
      pasidEntry({ pgtt: 1 + random.below(4), did: 1 + (pasid & 1), first, second, ssade: random.below(2), sre: 0 }),
    );
  }
  for (let i = 0; i < 128; i++) bench.pokeAll(QUEUE + BigInt(32 * i), [...descriptor(random), 0n, 0n, 0n].slice(0, 4));
  return bench.startScalable();
}

/** Spoils or mends a few words of tables and queue. */
function scribble(bench: ScalableBench, random: Random): void {
  for (let i = 0; i < 3; i++) {
    const page = random.chance(50) ? 1 + random.below(6) : random.below(80);
    const at = (BigInt(page) << 12n) + BigInt(8 * random.below(random.chance(50) ? 16 : 512));
    const old = bench.peek(at);
    bench.poke(at, random.chance(50) ? old ^ (1n << BigInt(random.below(64))) : word(random));
  }
}

function software(bench: ScalableBench, random: Random): void {
  const kind = random.below(14);
  if (kind < 5)
    bench.write32(REG.IQT, 32 * random.below(random.chance(90) ? 128 : 0x800) + (random.chance(3) ? 16 : 0));
  else if (kind < 7) bench.write32(REG.FSTS, 0x7f);
  else if (kind < 8) bench.write32(REG.FRCD + 12, 1 << 31);
  else if (kind < 9)
    bench.write64(REG.RTADDR, random.chance(80) ? ROOT | 0x400n : ROOT | (BigInt(random.below(4)) << 10n));
  else if (kind < 10) bench.write32(REG.GCMD, random.chance(85) ? TE | QIE | SRTP : random.word());
  else if (kind < 11) bench.startScalable();
  else if (kind < 12) bench.write64(REG.IQA, QUEUE | (random.chance(90) ? 0x800n : 0n) | BigInt(random.below(3)));
  else {
    const offset = random.pick(OFFSETS) + random.below(16) - 4;
    bench.unit.write(offset, 1 + random.below(8), random.word() | 0, random.word() | 0);
  }
}

function address(random: Random): bigint {
  const kind = random.below(10);
  if (kind < 6) return random.pick([0x1000n, 0x20_0000n, 0x40_0000n, 0n]) | (random.big(2) << 12n);
  if (kind < 7) return 0xfee00000n + (random.big(8) << 12n);
  if (kind < 8) return BigInt.asUintN(64, BigInt.asIntN(random.pick([47, 48, 57]), random.big(64)));
  return random.big(random.below(65));
}

function ask(bench: ScalableBench, random: Random): void {
  const access = random.pick([1, 1, 2, 2, 3, 4, 10, 17, 33]);
  const pasid = random.chance(60) ? random.below(random.chance(90) ? 8 : 1 << 20) : -1;
  const answer = bench.ask(random.pick(SIDS), address(random), {
    access,
    pasid,
    prefix: random.chance(80) ? 0 : random.below(4),
  });
  if (!('fault' in answer)) figures.translated++;
  else {
    figures.refused++;
    reasons.set(answer.fault, (reasons.get(answer.fault) ?? 0) + 1);
    if (!Number.isInteger(answer.fault) || answer.fault < 1 || answer.fault > 0x100) expect(answer.fault).toBe(1);
  }
}

/** One operation; `request` is what devices do meanwhile. */
function operate(bench: ScalableBench, random: Random, request: () => void): void {
  const kind = random.below(20);
  if (kind < 4) software(bench, random);
  else if (kind < 6) scribble(bench, random);
  else request();
  figures.operations++;
}

const PARTS = [1, 2, 3, 4];
const OPERATIONS = 1300;
const WORLDS = 120;

describe('VT-d 6.5.2, 7.1, 9: scalable mode, whatever is written has an answer', () => {
  test.each(PARTS)('random operations: nothing throws or runs on, at once (part %i of 4)', (seed) => {
    const random = new Random(seed);
    for (let part = 0; part < WORLDS; part++) {
      const bench = prepare(random, MAKES[part % MAKES.length] as BenchOptions);
      for (let i = 0; i < OPERATIONS; i++) {
        try {
          operate(bench, random, () => ask(bench, random));
        } catch (error) {
          throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${error}`, { cause: error });
        }
        const limit = 2 * (256 << (bench.read32(REG.IQA) & 7)) + 8;
        const steps = bench.run(limit + 10);
        if (steps > limit) expect(steps, 'steps after one operation').toBeLessThanOrEqual(limit);
        figures.steps += steps;
      }
      if ((bench.read32(REG.FSTS) & 0x10) !== 0) figures.queueErrors++;
    }
  });

  test.each(PARTS)('random operations: nothing throws or runs on, in steps (part %i of 4)', (seed) => {
    const random = new Random(1000 + seed);
    for (let part = 0; part < WORLDS; part++) {
      const make = MAKES[part % MAKES.length] as BenchOptions;
      const bench = prepare(random, { ...make, dmaSlots: 3, fetchAhead: random.below(4) });
      const flights: Flight[] = [];
      for (let i = 0; i < OPERATIONS; i++) {
        try {
          operate(bench, random, () => {
            if (flights.length < 3) {
              const pasid = random.chance(60) ? random.below(8) : undefined;
              const iova = BigInt.asUintN(57, address(random));
              flights.push(bench.issue(random.pick(SIDS), iova, 1 + random.below(2), 1, pasid));
            }
            for (let n = flights.length - 1; n >= 0; n--) {
              const flight = flights[n] as Flight;
              for (let left = random.below(8); left > 0 && flight.state !== 'over'; left--) {
                flight.step((choices) => random.below(choices));
                figures.walks++;
              }
              if (flight.state === 'over') flights.splice(n, 1);
            }
          });
          for (const agent of bench.unit.agents) {
            const choices = agent.choices();
            if (choices > 0 && random.chance(70)) agent.step(random.below(choices));
          }
          // An explored cache is as large as its case needs: entries may be gone at any time, here every now and then.
          if (i % 20 === 19) bench.dropCaches();
        } catch (error) {
          throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${error}`, { cause: error });
        }
      }
    }
  });

  test('and everything came up', () => {
    modelOnly('figures of tests that were skipped');
    expect(figures.operations).toBeGreaterThanOrEqual(1_000_000);
    expect(figures.translated).toBeGreaterThan(20_000);
    expect(figures.refused).toBeGreaterThan(100_000);
    expect(figures.queueErrors).toBeGreaterThan(20);
    expect(figures.steps).toBeGreaterThan(50_000);
    expect(figures.walks).toBeGreaterThan(200_000);
    for (const reason of [
      0x31, 0x33, 0x38, 0x39, 0x3a, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x48, 0x51, 0x59, 0x5a, 0x5b, 0x71,
    ])
      expect(reasons.get(reason) ?? 0, `reason 0x${reason.toString(16)}`).toBeGreaterThan(5);
  });
});
