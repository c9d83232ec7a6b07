/** VT-d chapters 4, 6.5.2.5, 6.5.2.6, 7.4 – 7.10: devices with ATS and page requests, and what a guest writes for them, whatever it is. */
import { describe, expect, test } from 'vitest';
import { pasidEntry, ScalableBench } from './scalable-unit.ts';
import type { BenchOptions, Flight } from './unit.ts';
import { modelOnly, QIE, QUEUE, Random, REG, ROOT, SRTP, STATUS, TE } from './unit.ts';

modelOnly('devices with ATS');

const SIDS = [0, 1, 0x7f, 0x80];
const PASIDS = 4;
const PRQ = 0x24000n;
const PAGE_REGISTERS = { PQH: 0xc0, PQT: 0xc8, PQA: 0xd0, PRS: 0xdc, PECTL: 0xe0, PEDATA: 0xe4, PEADDR: 0xe8 };
const OFFSETS = [...Object.values(REG), ...Object.values(PAGE_REGISTERS)];
const figures = {
  operations: 0,
  answers: 0,
  asked: 0,
  queued: 0,
  dropped: 0,
  queueErrors: 0,
  timeOuts: 0,
  hardware: 0,
};

const DEVICES = { DT: 1, PRS: 1, PDS: 1 } as const;
const MAKES: readonly BenchOptions[] = [
  { ecap: DEVICES },
  { ecap: { ...DEVICES, DIT: 1, NWFS: 1 }, cap: { ESRTPS: 1, NFR: 3 } },
  { ecap: { ...DEVICES, PDS: 0, NEST: 0 }, cap: { CM: 1, ND: 1 } },
];

function descriptor(random: Random): bigint[] {
  const kind = random.below(100);
  const sid = BigInt(random.pick(SIDS));
  const pasid = BigInt(random.below(PASIDS));
  const address = (random.chance(30) ? random.big(64) : 0x40_0000n) & ~0xffen;
  if (kind < 20) return [3n | (sid << 32n) | (random.big(5) << 16n), address & ~0xffen];
  if (kind < 40) return [8n | (sid << 16n) | (pasid << 32n) | (random.big(5) << 4n), address | BigInt(random.below(2))];
  if (kind < 65)
    return [
      9n | (BigInt(random.below(2)) << 4n) | (random.big(4) << 12n) | (sid << 16n) | (pasid << 32n),
      random.big(2) << 3n,
    ];
  if (kind < 85) return [5n | (random.big(4) << 4n) | (7n << 32n), STATUS];
  if (kind < 95) return random.pick([[0x11n], [0x12n], [0x37n]]);
  return [random.big(13), random.big(64), random.chance(20) ? 1n : 0n];
}

function prepare(random: Random, options: BenchOptions): ScalableBench {
  const bench = new ScalableBench({
    frames: 80,
    caches: { context: 32, iotlbSets: 1, iotlbWays: 96, pagingStructure: 32 },
    ...options,
  });
  for (const sid of SIDS) {
    bench.setDevice(sid, { ridPasid: 9 });
    const at = bench.contextAt(sid);
    bench.poke(at, bench.peek(at) | (random.chance(90) ? 4n : 0n) | (random.chance(80) ? 16n : 0n));
  }
  bench.poke(ROOT + 8n, 0x4001n);
  const [first, second] = [bench.newTable(), bench.newTable()];
  bench.identity(second);
  bench.put(first, 4, 0x40_0000n, 0x12000n | (random.chance(50) ? 7n : 5n));
  bench.put(first, 4, 0x20_0000n, 0x87n | 0x20_0000n, 2);
  for (const pasid of [0, 1, 2, 3, 9]) {
    const pgtt = 1 + random.below(4);
    bench.pokeAll(bench.entryAtPasid(pasid), pasidEntry({ pgtt, did: 1 + (pasid & 1), first, second, sre: pasid & 1 }));
  }
  for (let i = 0; i < 128; i++) bench.pokeAll(QUEUE + BigInt(32 * i), [...descriptor(random), 0n, 0n, 0n].slice(0, 4));
  bench.startScalable();
  bench.write64(PAGE_REGISTERS.PQA, PRQ);
  bench.write32(PAGE_REGISTERS.PECTL, 0);
  return bench;
}

function scribble(bench: ScalableBench, random: Random): void {
  const page = random.chance(50) ? 1 + random.below(6) : random.below(80);
  const at = (BigInt(page) << 12n) + BigInt(8 * random.below(random.chance(50) ? 16 : 512));
  bench.poke(at, random.chance(60) ? bench.peek(at) ^ (1n << BigInt(random.below(64))) : random.big(64));
}

function software(bench: ScalableBench, random: Random): void {
  const kind = random.below(16);
  if (kind < 5) bench.write32(REG.IQT, 32 * random.below(128));
  else if (kind < 7) {
    if ((bench.read32(REG.FSTS) & 0x10) !== 0) figures.queueErrors++;
    if ((bench.read32(REG.FSTS) & 0x40) !== 0) figures.timeOuts++;
    bench.write32(REG.FSTS, 0x7f);
  } else if (kind < 9) bench.write32(PAGE_REGISTERS.PRS, random.below(4));
  else if (kind < 11)
    bench.write32(PAGE_REGISTERS.PQH, random.chance(80) ? bench.read32(PAGE_REGISTERS.PQT) : random.word());
  else if (kind < 12) bench.write32(REG.GCMD, random.chance(90) ? TE | QIE | SRTP : random.word());
  else if (kind < 13) bench.startScalable();
  else if (kind < 14) bench.write64(PAGE_REGISTERS.PQA, random.chance(80) ? PRQ : random.big(64));
  else {
    const offset = random.pick(OFFSETS) + random.below(16) - 4;
    if (random.chance(50)) bench.unit.write(offset, 1 + random.below(8), random.word() | 0, random.word() | 0);
    else bench.unit.read(offset, 1 + random.below(8));
  }
}

const address = (random: Random): bigint =>
  random.chance(80)
    ? random.pick([0x40_0000n, 0x20_1000n, 0x1000n, 0xfee0_0000n, 0n])
    : BigInt.asUintN(64, BigInt.asIntN(random.pick([47, 48, 57, 64]), random.big(64)));

/** Guards the explorer's proof that hardware comes to an end: a step that is not counted names itself. */
function counted(bench: ScalableBench, hardware: readonly { left?(): number }[], step: () => void): void {
  const left = () => hardware.reduce((sum, agent) => sum + (agent.left?.() ?? Number.NaN), 0);
  const before = left();
  step();
  figures.hardware++;
  if (!(left() < before))
    throw new Error(`${left()} steps are left, and ${before} were; GSTS ${bench.read32(REG.GSTS)}`);
}

const WORLDS = 60;
const OPERATIONS = 900;

describe('whatever devices and guests do, it has an answer', () => {
  test.each([1, 2, 3])('at once (part %i of 3)', (seed) => {
    const random = new Random(seed);
    for (let part = 0; part < WORLDS; part++) {
      const completes = random.chance(80);
      const bench = prepare(random, {
        ...MAKES[part % MAKES.length],
        invalidateDeviceTlb: () => completes || random.chance(50),
        pageGroupResponse: () => void figures.answers++,
      });
      for (let i = 0; i < OPERATIONS; i++) {
        const kind = random.below(20);
        const sid = random.pick(SIDS);
        const pasid = random.chance(60) ? random.below(random.chance(90) ? PASIDS : 1 << 20) : -1;
        if (kind < 6) software(bench, random);
        else if (kind < 8) scribble(bench, random);
        else if (kind < 14) {
          bench.ask(sid, address(random), {
            access: random.pick([1, 17, 81, 33, 34, 35]),
            pasid,
            prefix: random.below(4),
          });
          figures.asked++;
        } else if (kind < 19) {
          const [read, write] = [random.chance(50), random.chance(50)];
          const request = {
            sid,
            pasid,
            address: random.big(64),
            read,
            write,
            group: random.below(512),
            last: random.chance(70),
          };
          const flags = { execute: random.chance(10), privileged: random.chance(20) };
          if (bench.unit.pageRequest({ ...request, ...flags })) figures.queued++;
          else figures.dropped++;
        } else bench.unit.unexpectedCompletion(sid);
        figures.operations++;
        const limit = 2 * (256 << (bench.read32(REG.IQA) & 7)) + 8;
        const steps = bench.run(limit + 10);
        if (steps > limit) throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${steps} steps`);
      }
    }
  });

  test.each([1, 2, 3])('in steps, each of which is counted (part %i of 3)', (seed) => {
    const random = new Random(100 + seed);
    for (let part = 0; part < WORLDS; part++) {
      const bench = prepare(random, {
        ...MAKES[part % MAKES.length],
        ...{ dmaSlots: 3, atcEntries: 64, pageRequests: 2, itags: 2 },
        ...{ deviceTlbTimesOut: random.chance(30), fetchAhead: random.below(3) },
      });
      const machine = bench.machine as NonNullable<typeof bench.machine>;
      const { dma } = machine;
      for (const sid of SIDS)
        for (const pasid of [null, 0, 1, 2, 3])
          dma.declare({
            ...{
              name: `${sid}/${pasid}`,
              sid,
              did: 1,
              ats: true,
              pageRequests: random.below(4),
              privileged: sid === 1,
            },
            ...(pasid === null ? {} : { pasid }),
          });
      const flights: Flight[] = [];
      const hardware = [...bench.unit.agents, ...machine.hardware, ...dma.agents];
      for (let i = 0; i < OPERATIONS; i++) {
        try {
          const kind = random.below(20);
          if (kind < 5) software(bench, random);
          else if (kind < 6) scribble(bench, random);
          else if (kind < 12 && dma.hasFree()) {
            const pasid = random.chance(70) ? random.below(PASIDS) : undefined;
            const iova = BigInt.asUintN(57, address(random));
            flights.push(bench.issue(random.pick(SIDS), iova, 1 + random.below(2), 1, pasid));
          } else if (kind < 13) dma.ats?.pages?.forget(random.below(dma.requesters.length));
          for (let n = random.below(12); n > 0; n--) {
            const ready = hardware.filter((agent) => agent.choices() > 0);
            if (ready.length === 0) break;
            const agent = random.pick(ready);
            counted(bench, hardware, () => agent.step(random.below(agent.choices())));
          }
          figures.operations++;
          // An explored cache is as large as its case needs: entries may be gone at any time, here every now and then.
          if (i % 20 === 19) {
            bench.dropCaches();
            for (const sid of SIDS) dma.ats?.invalidate({ sid, pasid: -2, vpnHi: 0, vpnLo: 0, am: 52 });
          }
        } catch (error) {
          throw new Error(`seed ${seed}, part ${part}, operation ${i}: ${error}`, { cause: error });
        }
      }
    }
  });

  test('and everything came up', () => {
    expect(figures.operations).toBeGreaterThanOrEqual(6 * WORLDS * OPERATIONS);
    for (const [name, least] of [
      ['answers', 2000],
      ['asked', 20_000],
      ['queued', 1000],
      ['dropped', 5000],
      ['queueErrors', 100],
      ['timeOuts', 100],
      ['hardware', 100_000],
    ] as const)
      expect(figures[name], name).toBeGreaterThan(least);
  });
});
