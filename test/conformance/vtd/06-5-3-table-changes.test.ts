import { describe, expect, test } from 'vitest';
import { kindOf, MAKES, optionsOf, referenceOf, WORLD_FRAMES, World } from './random-tables.ts';
import { translate } from './reference-walker.ts';
import type { Descriptor } from './unit.ts';
import { Bench, contextInv, iotlbInv, Random, REG, SRTP, STATUS, TE, wait } from './unit.ts';

/**
 * Random changes of tables, each followed by the invalidation that table 28 asks for and no more: afterwards requests see
 * the tables as they are now, whatever was cached before. The second translator has no cache to be wrong.
 */
function runWorld(bench: Bench, number: number, seed: number): { changed: number; requests: number } {
  const make = MAKES[number];
  const random = new Random(seed);
  const world = new World(seed, make, bench, false);
  bench.write64(REG.RTADDR, world.root);
  bench.write32(REG.GCMD, TE | SRTP);
  bench.startQueue();
  const done = wait({ sw: 1, data: BigInt(seed), addr: STATUS });
  bench.submit(contextInv(1), iotlbInv({ g: 1 }), done);
  const reference = referenceOf(make, bench, world.root);
  const count = { changed: 0, requests: 0 };
  const requests = Array.from({ length: 30 }, () => world.request());
  for (let round = 0; round < 25; round++) {
    for (const { sid, iova, access } of requests) {
      const want = translate(reference, sid, iova, kindOf(access));
      const got = bench.translate(sid, iova, access);
      const what = `seed ${seed} round ${round}: ${sid.toString(16)} at 0x${iova.toString(16)}`;
      const fault = 'fault' in got ? got.fault : 0;
      if (fault !== want.fault || ('page' in got && got.page !== want.page)) expect(got, what).toEqual(want);
      count.requests++;
    }
    const descriptors: Descriptor[] = [];
    if (random.chance(20) && world.contexts.length > 0) {
      const { at, sid } = random.pick(world.contexts);
      const did = Number((bench.peek(at + 8n) >> 8n) & 0xffffn);
      world.contextEntry(at);
      descriptors.push(contextInv(3, did, sid), iotlbInv({ g: 2, did }));
    } else {
      const place = random.pick(world.places);
      const before = bench.peek(place.at);
      const after = random.chance(40) ? 0n : world.entry(place);
      bench.poke(place.at, after);
      const isLeaf = (entry: bigint) => place.level === 1 || (entry & 3n) === 0n || (entry & 0x80n) !== 0n;
      const onlyLeaves = isLeaf(before) && isLeaf(after);
      const am = 9 * (place.level - 1);
      const { did, base: addr } = place;
      if (am > 18) descriptors.push(iotlbInv({ g: 2, did }));
      else descriptors.push(iotlbInv({ g: 3, did, addr, am, ih: onlyLeaves ? 1 : 0 }));
    }
    count.changed++;
    bench.submit(...descriptors, done);
    expect(bench.read32(REG.FSTS) & 0x70, 'no queue error').toBe(0);
    expect(bench.peek(STATUS)).toBe(BigInt(seed));
  }
  return count;
}

describe('VT-d 6.5.3.3: after the invalidation of table 28 requests see the changed tables', () => {
  test.each(MAKES.map((make, i) => [make.name, i] as const))('%s', (_, i) => {
    const bench = new Bench({ ...optionsOf(MAKES[i]), frames: WORLD_FRAMES });
    let requests = 0;
    for (let seed = 1; seed <= 20; seed++) requests += runWorld(bench, i, i * 1000 + seed).requests;
    expect(requests).toBe(15_000);
  });
});
