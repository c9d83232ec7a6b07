/** Whatever is in registers, tables and queues, and whatever devices ask for: translations end, and nothing throws. */
import { describe, expect, test } from 'vitest';
import { encodeHalves } from '../../../src/bits/index.ts';
import {
  CD,
  CMDQ_BASE,
  COMMANDS,
  CR0,
  EVENTQ_BASE,
  PROFILES,
  STE,
  STRTAB_BASE,
  STRTAB_BASE_CFG,
} from '../../../src/iommu/smmuv3/index.ts';
import { ACCESS, PHASE, SLOT } from '../../../src/machine/index.ts';
import { modelOnly } from '../drivers/needs-model.ts';
import { Random } from '../vtd/random.ts';
import type { BenchOptions } from './drivers/driver.ts';
import { ModelDriver } from './drivers/model.ts';

modelOnly('a million requests and accesses, at once and in steps');

const FRAMES = 64;
const PAGE = 4096n;
const STREAMS = 0n;
const COMMANDS_AT = 62n * PAGE;
const EVENTS_AT = 63n * PAGE;
const QUEUE_LOG2 = 8n;
const OPERATIONS = 1_050_000;

const SMALL = { ste: 4, cd: 4, levelOne: 2, tlbWays: 8, ipaWays: 8, walk: 8 };
/** In steps caches replace nothing: they are emptied now and then. */
const LARGE = { ste: 32, cd: 64, levelOne: 64, tlbWays: 64, ipaWays: 256, walk: 256 };
const EMPTIED_AFTER = 150;
const MAKES: readonly BenchOptions[] = [
  {},
  { idr0: { ATS: 1, NS1ATS: 1, PRI: 1 }, idr3: { BBML: 1, FWB: 1, E0PD: 1, EPAN: 1 }, idr5: { OAS: 6, VAX: 1 } },
  { idr0: { ATS: 1, TTENDIAN: 3, HTTU: 0 }, idr3: { BBML: 0, STT: 0 }, idr5: { OAS: 0, GRAN4K: 0 } },
  { idr0: { S2P: 0, VMID16: 0, ST_LEVEL: 0, STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 } },
  { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0, STALL_MODEL: 2 }, idr5: { GRAN64K: 0 } },
  ...PROFILES.slice(1).map((profile) => ({ profile, idr0: { ATS: 1 } })),
];

const figures = { operations: 0, translated: 0, faults: new Set<number>(), silent: 0, commands: 0, steps: 0, ended: 0 };

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));

/** An STE or a CD: a legal one in which a few fields are anything, pointers mostly into memory. */
function structure(random: Random, of: typeof STE | typeof CD): Int32Array {
  const values: Record<string, number | bigint> = { V: 1, ...(of === STE ? ste(random) : cd(random)) };
  const fields = Object.entries(of.fields) as [string, { hi: number; lo: number }][];
  for (let left = random.pick([0, 0, 1, 2, 12]); left > 0; left--) {
    const [name, { hi, lo }] = random.pick(fields);
    values[name] = hi - lo > 31 ? page(random) : random.below(2 ** Math.min(hi - lo + 1, 31));
  }
  return encodeHalves(of as typeof STE, values as never);
}

const page = (random: Random): bigint => BigInt(random.below(FRAMES)) * PAGE;

function ste(random: Random): Record<string, number | bigint> {
  const [S2T0SZ, S2SL0] = random.pick([
    [39, 0],
    [32, 0],
    [28, 1],
    [25, 1],
    [36, 0],
  ] as const);
  return {
    ...{ Config: random.pick([4, 5, 5, 6, 6, 7, 7, 7]), S1ContextPtr: BigInt(1 + random.below(7)) * PAGE },
    ...{ S1CDMax: random.below(3), S1DSS: random.below(3), S2T0SZ, S2SL0, S2AA64: 1, S2PS: 5, S2TTB: page(random) },
    ...{ S2VMID: random.below(3), S2R: random.below(2), S2S: random.below(8) === 0 ? 1 : 0, EATS: random.below(3) },
    ...{ S2PTW: random.below(2), S2AFFD: random.below(2) },
  };
}

function cd(random: Random): Record<string, number | bigint> {
  return {
    ...{ AA64: 1, T0SZ: random.pick([39, 32, 25, 16]), T1SZ: 25, TG1: 2, EPD1: random.below(2), IPS: random.below(7) },
    ...{ TTB0: page(random), TTB1: page(random), ASID: random.below(3), ASET: random.below(2), A: 1 },
    ...{ R: random.below(2), S: random.below(8) === 0 ? 1 : 0, TBI0: random.below(2), AFFD: random.below(2) },
  };
}

/** A descriptor, more often than not: most point into memory. */
function descriptor(random: Random): bigint {
  const kind = random.below(8);
  if (kind === 0) return (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);
  let value = (BigInt(random.below(FRAMES)) * PAGE) | BigInt(random.pick([3, 3, 3, 1, 0, 2]));
  value |= BigInt(random.word() & 0xffc);
  if (kind < 4) value |= 0x440n;
  if (kind < 3) value &= ~0x380n;
  if (kind === 5) value |= BigInt(random.word() >>> 0) << 32n;
  return value;
}

class World extends ModelDriver {
  private readonly random: Random;
  private readonly inSteps: boolean;

  constructor(options: BenchOptions, seed: number, inSteps: boolean) {
    super({ ...options, frames: FRAMES, stalls: 3, caches: inSteps ? LARGE : SMALL, dmaSlots: inSteps ? 4 : 0 });
    this.random = new Random(seed);
    this.inSteps = inSteps;
    this.fill();
    this.start();
  }

  private put(at: bigint, halves: Int32Array): void {
    for (let i = 0; i < halves.length; i += 2) {
      const value = (BigInt(halves[i + 1] >>> 0) << 32n) | BigInt(halves[i] >>> 0);
      this.poke((at + BigInt(4 * i)) % (BigInt(FRAMES) * PAGE), value);
    }
  }

  private fill(): void {
    const { random } = this;
    for (let at = 0n; at < BigInt(FRAMES) * PAGE; at += 8n) this.poke(at, descriptor(random));
    for (let i = 0n; i < 64n; i++) this.put(STREAMS + 64n * i, structure(random, STE));
    for (let page = 1n; page < 8n; page++)
      for (let i = 0n; i < 16n; i++) this.put(page * PAGE + 64n * i, structure(random, CD));
  }

  start(): void {
    const { random } = this;
    this.write(CR0.offset, 4, 0n);
    this.run();
    this.write(CMDQ_BASE.offset, 8, COMMANDS_AT | QUEUE_LOG2);
    this.write(EVENTQ_BASE.offset, 8, EVENTS_AT | 7n);
    const wild = random.below(12) === 0;
    this.write(STRTAB_BASE.offset, 8, wild ? BigInt(random.word() >>> 0) : STREAMS);
    const split = random.pick([0, 6, 8, 10, 3]);
    this.write(
      STRTAB_BASE_CFG.offset,
      4,
      BigInt(
        random.pick([5, 5, 6, 16, random.below(64)]) |
          (split << 6) |
          (random.pick([0, 0, 0, 0, 0, 0, 0, 1, 1, 2]) << 16),
      ),
    );
    this.write(CR0.offset, 4, BigInt(random.pick([0xffff, 0x1d, 0xd, 0xd, 0xd, 0xd, 0xd, 0xc])));
    this.run();
  }

  private address(): bigint {
    const { random } = this;
    const any = (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);
    return BigInt.asUintN(64, BigInt.asIntN(random.pick([16, 22, 22, 24, 24, 24, 31, 33, 40, 48, 56, 64]), any));
  }

  private sid(): number {
    return this.random.below(8) === 0 ? this.random.word() >>> 0 : this.random.below(32);
  }

  private command(): void {
    const { random } = this;
    const prod = this.read(0x98, 4);
    const opcodes = Object.keys(COMMANDS).map(Number);
    const first = ((random.word() & random.word()) << 8) | random.pick(opcodes);
    this.poke(COMMANDS_AT + (prod & 0xffn) * 16n, (BigInt(random.below(32)) << 32n) | BigInt(first >>> 0));
    this.poke(COMMANDS_AT + (prod & 0xffn) * 16n + 8n, descriptor(random));
    this.write(0x98, 4, (prod + 1n) & 0x1ffn);
    this.run();
    // What was refused: the error is acknowledged, the command made a CMD_SYNC.
    if (((this.read(0x60, 4) ^ this.read(0x64, 4)) & 1n) !== 0n) {
      const cons = this.read(0x9c, 4) & 0xffn;
      this.poke(COMMANDS_AT + cons * 16n, 0x46n);
      this.poke(COMMANDS_AT + cons * 16n + 8n, 0n);
      this.write(0x64, 4, this.read(0x60, 4));
      this.run();
    }
    figures.commands++;
  }

  private atOnce(): void {
    const { random } = this;
    const address = this.address();
    const ssid = random.below(2) === 0 ? -1 : random.below(random.below(8) === 0 ? 1 << 20 : 8);
    const event = this.unit.translate(this.sid(), ssid, low(address >> 32n), low(address), random.below(64));
    expect(Number.isInteger(event)).toBe(true);
    if (event === 0) figures.translated++;
    else if (event < 0) figures.silent++;
    else figures.faults.add(event);
  }

  private empty(): void {
    const { cd, ipa, l1cd, l1std, ste, tlb, walk1, walk2 } = this.unit.caches;
    for (const cache of [ste, cd, l1std, l1cd]) cache.dropAll();
    for (const { cache } of [tlb, ipa, walk1, walk2]) cache.dropAll();
  }

  private step(): void {
    const { random } = this;
    if (figures.steps % EMPTIED_AFTER === 0) this.empty();
    const { dma } = this.machine as NonNullable<typeof this.machine>;
    const at = dma.at(random.below(dma.slots));
    const phase = dma.get(at, SLOT.phase);
    if (phase === PHASE.free) {
      const sid = random.below(32);
      const ssid = random.below(3);
      let who = dma.requesters.findIndex((r) => r.sid === sid && (r.pasid ?? -1) === ssid - 1);
      if (who < 0) who = dma.declare({ name: `${sid}/${ssid}`, sid, did: 0, ...(ssid > 0 ? { pasid: ssid - 1 } : {}) });
      dma.issue(who, this.address() & ~7n, random.pick([ACCESS.read, ACCESS.write]), true);
      return;
    }
    if (phase === PHASE.issued || phase === PHASE.translating) {
      const choices = this.unit.choices(at);
      const left = this.unit.left(at);
      if (choices === 0) {
        // A stall, that a command may end.
        if (random.below(4) === 0) this.start();
        return;
      }
      this.unit.step(at, random.below(choices));
      if (dma.get(at, SLOT.phase) === PHASE.translating && this.unit.choices(at) > 0)
        expect(this.unit.left(at)).toBeLessThan(left);
      figures.steps++;
      return;
    }
    if (phase === PHASE.translated) {
      dma.abort(at);
      figures.translated++;
    }
    dma.collect(at);
    figures.ended++;
  }

  operation(): void {
    const { random } = this;
    const kind = random.below(100);
    if (kind < 3) this.poke(8n * PAGE + BigInt(random.below((FRAMES - 8) * 512)) * 8n, descriptor(random));
    else if (kind === 3) this.put(64n * BigInt(random.below(32)), structure(random, STE));
    else if (kind === 4) this.put(PAGE + 64n * BigInt(random.below(7 * 64)), structure(random, CD));
    else if (kind < 9) this.command();
    else if (kind === 9) {
      if (random.below(5) === 0) this.start();
      else this.unit.caches.describe();
    } else if (this.inSteps) this.step();
    else this.atOnce();
    figures.operations++;
  }
}

describe('hostile tables, commands and requests', () => {
  test.each(MAKES.flatMap((make, i) => [[i, 'at once', make] as const, [i, 'in steps', make] as const]))(
    'implementation %i, %s',
    (i, how, make) => {
      const inSteps = how === 'in steps';
      const worlds = 8;
      const each = Math.ceil(OPERATIONS / (2 * MAKES.length * worlds));
      for (let seed = 0; seed < worlds; seed++) {
        const world = new World(make, 1000 * i + seed, inSteps);
        for (let n = 0; n < each; n++) world.operation();
      }
    },
    120_000,
  );

  test('and they get everywhere', () => {
    expect(figures.operations).toBeGreaterThan(1_000_000);
    expect(figures.translated).toBeGreaterThan(20_000);
    expect(figures.faults.size).toBeGreaterThan(12);
    expect(figures.silent).toBeGreaterThan(1000);
    expect(figures.commands).toBeGreaterThan(20_000);
    expect(figures.ended).toBeGreaterThan(10_000);
  });
});
