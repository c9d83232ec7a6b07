/** Whatever software writes to registers, queues and devices send: nothing throws, nothing hangs, each step is bounded. */
import { expect, test } from 'vitest';
import { CMD_SYNC, COMMANDS } from '../../../src/iommu/smmuv3/commands.ts';
import { EVENT, eventSource } from '../../../src/iommu/smmuv3/event-record.ts';
import { PROFILES } from '../../../src/iommu/smmuv3/profiles.ts';
import { MARK, Machine, PHASE, SLOT } from '../../../src/machine/index.ts';
import { Random } from '../vtd/random.ts';
import type { Options } from './interface-bench.ts';
import { CMDQ, EVENTQ, InterfaceBench, modelOnly, PRIQ, REG } from './interface-bench.ts';

modelOnly('steps, and what each of them sets off');

const OFFSETS = Object.values(REG);
const OPCODES = Object.keys(COMMANDS).map(Number);
const EVENTS = Object.values(EVENT);
const NONSENSE = [Number.NaN, Number.POSITIVE_INFINITY, -1, -4, -(2 ** 31), 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 3, 9, 16];

/** What SMMUs may be: with and without everything that is optional. */
const MAKES: readonly Options[] = [
  {},
  { idr0: { ATS: 1, PRI: 1 }, mergesEvents: true, ppar: 1 },
  { idr0: { S2P: 0, VMID16: 0, MSI: 0, SEV: 0, VMW: 0, STALL_MODEL: 1 }, idr5: { STALL_MAX: 0 }, idr3: { RIL: 0 } },
  { idr0: { S1P: 0, ASID16: 0, CD2L: 0, Hyp: 0, ST_LEVEL: 0, STALL_MODEL: 2 }, idr5: { STALL_MAX: 2 } },
  { idr0: { ATS: 1, PRI: 1, TERM_MODEL: 1 }, idr1: { CMDQS: 0, EVENTQS: 0, PRIQS: 0, SSIDSIZE: 0, SIDSIZE: 0 } },
  ...PROFILES.slice(1).map((profile) => ({ profile, idr0: { ATS: 1, PRI: 1 } })),
];

const figures = {
  operations: 0,
  accesses: 0,
  commands: 0,
  errors: 0,
  events: 0,
  stalls: 0,
  requests: 0,
  answers: 0,
  steps: 0,
};

/** A value that means something more often than not. */
function word(random: Random): number {
  const kind = random.below(9);
  if (kind === 0) return 0;
  if (kind === 1) return 0xffffffff;
  if (kind === 2) return random.pick([CMDQ, EVENTQ, PRIQ]) | random.below(8);
  if (kind === 3) return 1 << random.below(32);
  if (kind === 4) return random.below(32);
  if (kind === 5) return 0x80000000 | random.below(32);
  return random.word();
}

function access(bench: InterfaceBench, random: Random): void {
  const odd = random.below(20) === 0;
  const near = random.pick(OFFSETS) + (random.below(8) === 0 ? random.below(9) - 4 : 0);
  const offset = odd ? random.pick([...NONSENSE, random.word(), random.below(0x20000)]) : near;
  const size = odd ? random.pick([...NONSENSE, 1, 2, 4, 8]) : random.pick([4, 4, 4, 8]);
  const { lo, hi } = bench.unit.read(offset, size);
  expect(Number.isInteger(lo) && Number.isInteger(hi)).toBe(true);
  if (random.below(4) > 0) bench.unit.write(offset, size, word(random), word(random));
  figures.accesses++;
}

/** A command somewhere in the queue, and one more entry, mostly. */
function submit(bench: InterfaceBench, random: Random): void {
  const at = CMDQ + 16 * random.below(16);
  const op =
    random.below(8) === 0
      ? random.below(256)
      : random.pick(random.below(3) === 0 ? [CMD_SYNC.OPCODE.fixed ?? 0] : OPCODES);
  const plain = random.below(2) === 0;
  const [first, second] = plain ? [random.big(4) << 32n, random.big(8) << 12n] : [random.big(64), random.big(64)];
  bench.poke(at, (first & ~0xffn) | BigInt(op));
  bench.poke(at + 8, second);
  bench.unit.write(REG.CMDQ_PROD, 4, bench.read32(REG.CMDQ_PROD) + random.below(3), 0);
  figures.commands++;
}

function fault(bench: InterfaceBench, random: Random): void {
  const bit = () => random.below(2);
  const of = {
    ...eventSource(),
    ...{ event: random.pick(EVENTS), sid: random.pick([0, 1, 5, 0xffffffff]), ssid: random.pick([-1, 0, 0xfffff]) },
    ...{ rnw: bit(), pnu: bit(), ind: bit(), s2: bit(), class: random.below(3), mev: bit(), r: bit(), a: bit() },
    ...{ hi: word(random) | 0, lo: word(random) | 0, ipaHi: word(random) | 0, fetchHi: word(random) | 0 },
    s: bench.core.has.stalls ? bit() : 0,
  };
  if (bench.core.events.record(of) === 2) figures.stalls++;
  figures.events++;
}

function request(bench: InterfaceBench, random: Random): void {
  const bit = () => random.below(2) === 1;
  const one = {
    sid: random.word(),
    ssid: random.pick([-1, 3]),
    hi: word(random),
    lo: word(random),
    read: bit(),
    write: bit(),
  };
  bench.unit.pageRequest({ ...one, group: random.below(512), last: bit(), execute: bit(), privileged: bit() });
  figures.requests++;
}

/** Queues that work, mostly, and everything enabled. */
function setUp(bench: InterfaceBench, random: Random): void {
  bench.write32(REG.CR0, 0);
  bench.write64(REG.CMDQ_BASE, BigInt(CMDQ | random.below(5)));
  bench.write64(REG.EVENTQ_BASE, BigInt(EVENTQ | random.below(5)));
  bench.write64(REG.PRIQ_BASE, BigInt(PRIQ | random.below(5)));
  bench.write32(REG.CMDQ_CONS, bench.read32(REG.CMDQ_PROD));
  bench.write32(REG.IRQ_CTRL, 7);
  bench.write32(REG.CR0, 0xf);
}

function operate(bench: InterfaceBench, random: Random): void {
  const kind = random.below(100);
  if (kind < 35) access(bench, random);
  else if (kind < 65) submit(bench, random);
  else if (kind < 80) fault(bench, random);
  else if (kind < 88) request(bench, random);
  else if (kind < 92) bench.unit.write(REG.GERRORN, 4, bench.read32(REG.GERROR), 0);
  else if (kind < 96) bench.unit.write(REG.EVENTQ_CONS, 4, bench.read32(REG.EVENTQ_PROD), 0);
  else if (kind < 98) bench.unit.write(REG.PRIQ_CONS, 4, bench.read32(REG.PRIQ_PROD), 0);
  else setUp(bench, random);
  figures.operations++;
}

/** Takes all steps that there are, in random ways; each run of them is bounded by what `left` says. */
function settle(bench: InterfaceBench, random: Random): void {
  for (const agent of bench.unit.agents) {
    const left = agent.left?.() ?? 0;
    let steps = 0;
    for (; agent.choices() > 0; steps++) {
      agent.step(random.below(agent.choices()));
      // A step of one may free another; of this one alone, what it says is left is the bound.
      expect(steps).toBeLessThan(Math.max(left, 1));
    }
    figures.steps += steps;
  }
}

function clear(bench: InterfaceBench): void {
  figures.answers += bench.responses.length + bench.atcRequests.length;
  if (((bench.read32(REG.GERROR) ^ bench.read32(REG.GERRORN)) & 1) !== 0) figures.errors++;
  bench.forgetCalls();
}

const AT_ONCE = 700_000;
const IN_STEPS = 400_000;

test(`${AT_ONCE} operations at once`, { timeout: 240_000 }, () => {
  for (const [n, options] of MAKES.entries()) {
    const random = new Random(271828 + n);
    const bench = new InterfaceBench(options);
    setUp(bench, random);
    for (let i = 0; i < AT_ONCE / MAKES.length; i++) {
      operate(bench, random);
      bench.completes = random.below(4) > 0;
      settle(bench, random);
      if (i % 64 === 0) clear(bench);
    }
  }
});

test(`${IN_STEPS} operations in steps, with transactions in flight`, { timeout: 240_000 }, () => {
  for (const [n, options] of MAKES.entries()) {
    const random = new Random(314159 + n);
    const { arena, dma, rules } = new Machine({ dmaSlots: 2, atcEntries: 1 });
    const bench = new InterfaceBench({
      ...options,
      arena,
      dma,
      rules,
      fetchAhead: n % 3,
      stalls: 2,
      atcTimesOut: n % 2 === 1,
    });
    bench.settles = false;
    const device = dma.declare({ name: 'device', sid: 5, did: 0, ats: true });
    for (let i = 0; i < IN_STEPS / MAKES.length; i++) {
      operate(bench, random);
      const slot = dma.at(random.below(2));
      dma.set(slot, SLOT.phase, random.pick([PHASE.free, PHASE.translating, PHASE.translated]));
      dma.set(slot, SLOT.device, device);
      dma.set(slot, SLOT.flags, random.pick([0, 0, MARK.holdWalk, MARK.holdDrain, MARK.holdAtc]));
      const { stalls } = bench.core;
      // Transactions act on what has become of them.
      for (let stag = 0; stag < stalls.places; stag++) if (stalls.stateOf(stag) > 2) stalls.end(stag);
      if (random.below(3) === 0) settle(bench, random);
      if (i % 64 === 0) clear(bench);
    }
  }
});

test('all kinds of it came up', () => {
  expect(figures.operations).toBeGreaterThanOrEqual(1_000_000);
  for (const [name, count] of Object.entries(figures)) expect(count, name).toBeGreaterThan(1000);
});
