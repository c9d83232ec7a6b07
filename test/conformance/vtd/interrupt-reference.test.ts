import { describe, expect, test } from 'vitest';
import { CFI, EIME, entry, InterruptBench, IRE, IRT, IRTA, iecInv, remappable, SIRTP } from './interrupt-bench.ts';
import type { InterruptReference, InterruptResult } from './interrupt-reference.ts';
import { remapInterrupt } from './interrupt-reference.ts';
import { modelOnly, Random, REG } from './unit.ts';

const ENTRIES = 512;
/** What came up, and how often: reasons, 0 for what passed or was remapped. */
const seen = new Map<string, number>();

function note(what: string): void {
  seen.set(what, (seen.get(what) ?? 0) + 1);
}

const SIDS = [0, 1, 8, 0x10, 0x13, 0x1f, 0x110, 0x2013, 0x20ff, 0xfffe, 0xffff];

/** An entry that is good more often than not, with at most a few bits wrong. */
function randomEntry(random: Random): [bigint, bigint] {
  const dst = random.chance(60) ? random.below(256) << 8 : random.word();
  let [lo, hi] = entry({
    p: random.chance(85) ? 1 : 0,
    fpd: random.chance(30) ? 1 : 0,
    dm: random.below(2),
    rh: random.below(2),
    tm: random.below(2),
    dlm: random.chance(80) ? random.pick([0, 1, 2, 4, 5, 7]) : random.below(8),
    avail: random.below(16),
    vector: random.below(256),
    dst,
    sid: random.chance(70) ? random.pick(SIDS) : random.below(0x10000),
    sq: random.below(4),
    svt: random.chance(90) ? random.below(3) : 3,
  });
  if (random.chance(20)) lo ^= 1n << BigInt(random.below(64));
  if (random.chance(15)) hi ^= 1n << BigInt(random.below(64));
  return [lo, hi];
}

function request(random: Random): { address: bigint; data: number } {
  const kind = random.below(10);
  const data = random.chance(70) ? random.below(40) : random.word();
  if (kind < 4) return { address: BigInt(remappable(random.below(ENTRIES + 8))), data };
  if (kind < 7) return { address: BigInt(remappable(random.below(ENTRIES), 1)), data };
  // Sums of more than 16 bits.
  if (kind < 8) return { address: BigInt(remappable(0xfff0 + random.below(16), 1)), data: random.below(0x10000) };
  return { address: 0xfee00000n + BigInt(random.below(0x100000)), data };
}

interface World {
  readonly bench: InterruptBench;
  readonly unit: InterruptReference;
}

function world(random: Random): World {
  const haw = random.pick([36, 48, 52]);
  const [EIMER, IRREQ] = [random.chance(15) ? 1 : 0, random.chance(20) ? 1 : 0];
  const bench = new InterruptBench({ haw, ecap: { EIMER, IRREQ }, cap: { NFR: 0 }, caches: { interrupts: 8 } });
  for (let i = 0; i < ENTRIES; i++) bench.setEntry(i, randomEntry(random));
  const size = BigInt(random.chance(60) ? 8 : random.below(16));
  const high = random.chance(10) ? 1n << BigInt(36 + random.below(28)) : 0n;
  const base = random.chance(85) ? IRT : random.pick([0xff000n, 0x3f000n, (1n << BigInt(haw)) - 0x1000n]);
  const irta = base | high | size | (random.chance(40) ? EIME : 0n);
  bench.write64(IRTA, irta);
  bench.write32(REG.GCMD, SIRTP);
  const enabled = random.chance(90);
  const compatibility = random.chance(50);
  bench.write32(REG.GCMD, (enabled ? IRE : 0) | (compatibility ? CFI : 0));
  const read = (address: bigint) => (address < BigInt(bench.ram.frames * 4096) ? bench.peek(address) : null);
  const flags = { extendedRequired: EIMER === 1, remappingRequired: IRREQ === 1 };
  return { bench, unit: { enabled, compatibility, irta, haw, ...flags, read } };
}

function check({ bench }: World, sid: number, outcome: unknown, want: InterruptResult, what: string): void {
  const record = bench.record();
  if ('fault' in want) {
    note(`0x${want.fault.toString(16)}${want.recorded ? '' : ' FPD'}`);
    expect(outcome, what).toEqual({ fault: want.fault });
    const fi = BigInt(want.index ?? 0) << 48n;
    expect(record, what).toEqual(want.recorded ? { reason: want.fault, sid, fi, type: 0 } : null);
    bench.write32(REG.FRCD + 12, 1 << 31);
  } else {
    note('sent');
    expect(outcome, what).toEqual(want);
    expect(record, what).toBeNull();
  }
}

const SHARDS = 4;
const WORLDS = 150;
const REQUESTS = 150;

describe('5.1.4 against a second implementation, on random tables', () => {
  test.each(Array.from({ length: SHARDS }, (_, i) => i))(
    `at once, ${WORLDS} tables, ${REQUESTS} requests each; entries change and are invalidated (part %i of ${SHARDS})`,
    (shard) => {
      for (let seed = shard * WORLDS; seed < (shard + 1) * WORLDS; seed++) {
        const random = new Random(seed);
        const one = world(random);
        const state = one.bench.read32(REG.GSTS) & (IRE | CFI);
        one.bench.startQueue();
        one.bench.write32(REG.GCMD, state | (1 << 26));
        for (let i = 0; i < REQUESTS; i++) {
          if (random.chance(20)) {
            const index = random.below(ENTRIES);
            one.bench.setEntry(index, randomEntry(random));
            const mask = random.below(5);
            one.bench.submit(random.chance(30) ? iecInv(0) : iecInv(1, index, mask));
          }
          const { address, data } = request(random);
          const sid = random.chance(80) ? random.pick(SIDS) : random.below(0x10000);
          const want = remapInterrupt(one.unit, sid, address, data);
          const outcome = one.bench.interrupt(sid, Number(address), data);
          check(one, sid, outcome, want, `seed ${seed}, request ${i}: ${address.toString(16)} ${data.toString(16)}`);
        }
      }
    },
  );

  test('in steps: an empty cache comes to the same', () => {
    for (let seed = 0; seed < 80; seed++) {
      const random = new Random(10_000 + seed);
      const made = world(random);
      const steps = new InterruptBench({
        haw: made.unit.haw,
        ecap: { EIMER: made.unit.extendedRequired ? 1 : 0, IRREQ: made.unit.remappingRequired ? 1 : 0 },
        cap: { NFR: 0 },
        dmaSlots: 1,
      });
      for (let i = 0; i < 2 * ENTRIES; i++) {
        const at = IRT + BigInt(8 * i);
        steps.poke(at, made.bench.peek(at));
      }
      steps.write64(IRTA, made.unit.irta);
      steps.write32(REG.GCMD, SIRTP);
      steps.write32(REG.GCMD, (made.unit.enabled ? IRE : 0) | (made.unit.compatibility ? CFI : 0));
      const read = (address: bigint) => (address < BigInt(steps.ram.frames * 4096) ? steps.peek(address) : null);
      for (let i = 0; i < 60; i++) {
        const { address, data } = request(random);
        const aligned = (address / 4n) * 4n;
        const sid = random.pick(SIDS);
        const want = remapInterrupt({ ...made.unit, read }, sid, aligned, data);
        const flight = steps.send(sid, Number(aligned), data);
        const lands = flight.walk();
        if (lands) flight.perform();
        const last = steps.arrived.at(-1);
        const outcome = lands
          ? { address: last?.address, data: last?.data }
          : { fault: 'fault' in want ? want.fault : 0 };
        check({ bench: steps, unit: made.unit }, sid, outcome, want, `seed ${seed}, request ${i}`);
        steps.unit.interruptCache?.cache.dropAll();
      }
    }
  });

  test('and everything came up', () => {
    modelOnly('figures of tests that were skipped');
    const wanted = [
      '0x20',
      '0x21',
      '0x22',
      '0x22 FPD',
      '0x23',
      '0x24',
      '0x24 FPD',
      '0x25',
      '0x26',
      '0x26 FPD',
      '0x2a',
      '0x2b',
      'sent',
    ];
    for (const what of wanted) expect(seen.get(what) ?? 0, what).toBeGreaterThan(100);
    expect([...seen.keys()].sort()).toEqual(wanted.sort());
  });
});
