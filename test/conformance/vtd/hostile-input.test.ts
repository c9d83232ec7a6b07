import { describe, expect, test } from 'vitest';
import type { Descriptor } from './unit.ts';
import { Bench, CONTEXT, contextInv, iotlbInv, QIE, QUEUE, Random, REG, ROOT, SRTP, STATUS, TE, wait } from './unit.ts';

/** Most descriptors that a queue of the size in IQA holds, with one to spare for the error at its end. */
function queueLimit(bench: Bench): number {
  return (256 << (bench.read32(REG.IQA) & 7)) + 4;
}

const OFFSETS = Object.values(REG);
const done = new Map<number, number>();
const SIDS = [0, 1, 8, 0xff, 0x100, 0x1234, 0xfffe, 0xffff];

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
  if (kind < 40) return iotlbInv({ g: 1 + random.below(3), did: 1, addr, am: random.below(19), ih: random.below(2) });
  if (kind < 60) return contextInv(1 + random.below(3), 1, random.pick(SIDS), random.below(4));
  return wait({ sw: random.below(2), flag: random.below(2), fn: random.below(2), data: 1n, addr: STATUS + addr });
}

/** Tables that translate and a queue full of good descriptors. */
function prepare(random: Random): Bench {
  const bench = new Bench({ frames: 64, caches: { context: 16, iotlbSets: 16, iotlbWays: 4, pagingStructure: 64 } });
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
  const kind = random.below(12);
  if (kind >= 10) bench.startQueue(random.below(3));
  else if (kind < 2) bench.write32(REG.FSTS, 0x7f);
  else if (kind < 3) bench.write32(REG.FRCD + 12, 1 << 31);
  else if (kind < 4) bench.write64(REG.IQA, QUEUE | BigInt(random.below(3)));
  else if (kind < 8) bench.write32(REG.IQT, 16 * random.below(random.chance(90) ? 256 : 0x8000));
  else if (kind < 9) bench.write64(REG.RTADDR, random.chance(80) ? ROOT : random.big(18));
  else bench.write32(REG.GCMD, random.chance(80) ? TE | QIE | SRTP : random.word());
}

function step(bench: Bench, random: Random): number {
  const kind = random.below(16);
  if (kind < 3 || kind >= 12) {
    sensible(bench, random);
  } else if (kind < 4) {
    const offset = random.chance(80)
      ? random.pick(OFFSETS) + 4 * random.below(4)
      : 4 * random.below(1 << random.below(29));
    bench.unit.write(offset, random.chance(50) ? 4 : 8, word(random) | 0, word(random) | 0);
  } else if (kind < 6) {
    const offset = random.chance(80) ? random.pick(OFFSETS) : 4 * random.below(1 << random.below(29));
    const { lo, hi } = bench.unit.read(offset, random.chance(50) ? 4 : 8);
    if (!Number.isInteger(lo) || !Number.isInteger(hi)) expect([lo, hi], `read at 0x${offset.toString(16)}`).toBe(0);
  } else if (kind < 7) {
    scribble(bench, random);
  } else {
    const vpn = random.chance(50)
      ? random.big(random.below(46))
      : (random.big(2) << 18n) | (random.big(2) << 9n) | random.big(2);
    const access = 1 + random.below(2);
    const fault = bench.unit.translate(random.pick(SIDS), Number(vpn >> 18n), Number(vpn & 0x3ffffn), access);
    if (!(fault >= 0 && fault <= 0xe) && fault !== 0x30) expect(fault).toBe(0);
    done.set(fault, (done.get(fault) ?? 0) + 1);
  }
  const limit = queueLimit(bench);
  const steps = bench.run(limit + 10);
  if (steps > limit) expect(steps, 'steps after one write').toBeLessThanOrEqual(limit);
  return steps;
}

describe('VT-d 11.2, 6.5.2, 7.1: whatever is written has an answer', () => {
  test.each([1, 2, 3, 4])(
    '200,000 random accesses, requests and tables in all: nothing throws or runs on (part %i)',
    (seed) => {
      const random = new Random(seed);
      let steps = 0;
      for (let part = 0; part < 25; part++) {
        const bench = prepare(random);
        for (let i = 0; i < 2000; i++) {
          try {
            steps += step(bench, random);
          } catch (error) {
            throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${error}`, { cause: error });
          }
        }
      }
      expect(steps).toBeGreaterThan(20_000);
      for (const reason of [0, 1, 2, 4, 5, 6, 7, 8, 0xa, 0xb, 0xc])
        expect(done.get(reason) ?? 0, `reason ${reason}`).toBeGreaterThan(20);
    },
  );
});
