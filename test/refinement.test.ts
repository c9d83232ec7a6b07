/**
 * The three conducts are one model (DESIGN §1): what `prompt` and every `adversary` seed come to is among the outcomes that the
 * exhaustive search finds. 10,000 random small programs: page-table stores, invalidations of all kinds by either interface, DMA, stray DMA, canaries.
 */
import { describe, expect, test } from 'vitest';
import { VtdScene } from '../src/cases/vtd-scene.ts';
import { Instance, randomFrom, runAdversary, runPrompt, Search } from '../src/explore/index.ts';
import { LEAF, VERSIONS } from '../src/guest/index.ts';
import { PROFILES } from '../src/iommu/vtd/index.ts';
import { FRCD_HI, FSTS } from '../src/iommu/vtd/registers.ts';
import type { Machine, Program } from '../src/machine/index.ts';

const PROGRAMS = 10_000;
const SHARDS = 10;
const ADVERSARIES = 3;
const PT = 0x1a30a72000n;
const FRAMES = [0x21d200000n, 0x21d201000n];
const MAX_STATES = 20_000;

interface Subject {
  readonly machine: Machine;
  outcome(): string;
}

/** The random program of a seed. Built anew for every run, always the same. */
function build(seed: number): Subject {
  const random = randomFrom(seed);
  const scene = new VtdScene({
    profile: PROFILES[random(4) === 0 ? 1 : 0],
    version: VERSIONS.ideal,
    via: random(3) === 0 ? 'register' : 'queue',
    drain: { reads: random(2) === 0, writes: random(2) === 0 },
    recordFaults: random(2) === 0,
    pdEntries: [0],
    ptEntries: [0, 1],
  });
  const { machine, cpu, domain, unit } = scene;
  FRAMES.forEach((addr, i) => scene.buffer(`F${i}`, addr, [0]));
  scene.premap(0n, FRAMES[0], 1);
  const device = scene.device('nic', [0n, 0x1000n]);
  const statuses = [
    machine.word('status 0'),
    machine.word('status 1'),
    machine.word('status 2'),
    machine.word('status 3'),
  ];

  const steps: (() => Program)[] = [];
  const length = 2 + random(3);
  for (let i = 0; i < length; i++) {
    const page = random(5) === 0 ? 1 : 0;
    const frame = FRAMES[random(2)];
    const rights = [LEAF, LEAF & ~2n, LEAF & ~1n, 0n][random(4)];
    const kind = random(2) === 0 ? 'read' : 'write';
    const status = statuses[i % 4];
    const hint = random(2) === 0;
    const step: () => Program = [
      () => cpu.write64(PT + 8n * BigInt(page), rights === 0n ? 0n : frame | rights),
      () => cpu.write64(PT + 8n * BigInt(page), 0n),
      () => domain.flush(page, 1, hint),
      () => domain.flush(0, 2, false),
      () => cpu.write64(frame, BigInt(i + 1)),
      function* () {
        const ok = yield* device.dmaStatus(BigInt(page * 4096), kind);
        yield* status.set(1 + ok);
      },
    ][random(6)];
    steps.push(step);
  }
  const hints = random(2) === 0;
  const aims = [0n, BigInt(random(3) === 0 ? 4096 : 0)].slice(0, random(3) === 0 ? 2 : 1);
  machine.actor('driver', function* () {
    for (const step of steps) yield* step();
    if (hints) yield* domain.flush(0, 1, true);
  });
  machine.actor(
    'stray',
    function* () {
      for (const aim of aims) yield* device.issue(aim, 'write');
    },
    'device',
  );

  const outcome = (): string => {
    const words = FRAMES.map((addr) => machine.memory.lo(machine.memory.locate(Number(addr >> 12n), 0)));
    const faults = [
      unit.regs.read32(FSTS.offset),
      unit.regs.read32(FRCD_HI.offset),
      unit.regs.read32(FRCD_HI.offset + 4),
    ];
    return [...words, ...statuses.map((s) => s.value), ...faults].join(' ');
  };
  return { machine, outcome };
}

/** Every outcome that the exhaustive search finds; null if there are too many states. */
function explored(seed: number): Set<string> | null {
  const subject = build(seed);
  const outcomes = new Set<string>();
  const search = new Search(new Instance(subject.machine), {
    properties: [],
    maxStates: MAX_STATES,
    onEnd: () => outcomes.add(subject.outcome()),
  });
  while (!search.advance(10_000)) {}
  return search.exhausted ? outcomes : null;
}

function conducted(seed: number, conduct: (instance: Instance) => void): string {
  const subject = build(seed);
  conduct(new Instance(subject.machine));
  return subject.outcome();
}

describe('prompt and adversary refine explore', () => {
  for (let shard = 0; shard < SHARDS; shard++) {
    test(`${PROGRAMS / SHARDS} random programs, shard ${shard}`, () => {
      let outcomes = 0;
      let nasty = 0;
      for (let i = 0; i < PROGRAMS / SHARDS; i++) {
        const seed = shard * 1_000_003 + i;
        const all = explored(seed);
        if (all === null) throw new Error(`program ${seed} has more than ${MAX_STATES} states`);
        outcomes += all.size;
        const turn = randomFrom(seed + 7);
        const prompt = conducted(seed, (instance) => runPrompt(instance, turn));
        expect(all, `prompt, seed ${seed}`).toContain(prompt);
        for (let a = 0; a < ADVERSARIES; a++) {
          const adversary = conducted(seed, (instance) => runAdversary(instance, seed * ADVERSARIES + a));
          expect(all, `adversary ${a}, seed ${seed}`).toContain(adversary);
          if (adversary !== prompt) nasty++;
        }
      }
      // The test would be worth nothing if programs had one outcome, or the adversary did what prompt does.
      expect(outcomes / (PROGRAMS / SHARDS)).toBeGreaterThan(1.5);
      expect(nasty).toBeGreaterThan(PROGRAMS / SHARDS / 10);
    });
  }
});
