/** Random small programs, each of a seed: what several searches or conducts must agree on. */
import { VtdScene } from '../src/cases/vtd-scene.ts';
import { randomFrom } from '../src/explore/index.ts';
import { LEAF, VERSIONS } from '../src/guest/index.ts';
import { PROFILES } from '../src/iommu/vtd/index.ts';
import { FRCD_HI, FSTS } from '../src/iommu/vtd/registers.ts';
import type { Program } from '../src/machine/index.ts';
import { atomic, choose, Machine } from '../src/machine/index.ts';

const PT = 0x1a30a72000n;
const FRAMES = [0x21d200000n, 0x21d201000n];

/** A machine, and what of its end counts. */
export interface Subject {
  readonly machine: Machine;
  outcome(): string;
}

/**
 * Page-table stores, invalidations of all kinds by either interface, DMA, stray DMA, canaries: the random VT-d program of a seed. Built
 * anew for every run, always the same.
 */
export function randomVtd(seed: number): Subject {
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

/** Values that words of random software take. */
const VALUES = [0, 1, 2];

/** One operation of random software, as data, so that programs are the same whenever they run. */
type Part =
  | { readonly kind: 'set'; readonly word: number; readonly value: number }
  | { readonly kind: 'increment'; readonly word: number; readonly atomic: boolean }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number; readonly declared: boolean }
  | { readonly kind: 'await'; readonly word: number; readonly value: number }
  /** Waits with one name and one text, whatever they have captured. */
  | { readonly kind: 'wait'; readonly word: number; readonly least: number }
  | { readonly kind: 'locked'; readonly parts: readonly Part[] }
  | { readonly kind: 'if'; readonly word: number; readonly value: number; readonly parts: readonly Part[] }
  | { readonly kind: 'choose'; readonly ways: readonly (readonly Part[])[] };

/**
 * Actors that share some words and keep others to themselves: locks, waits (some for ever), choices, atomic blocks, branches that rejoin.
 * @param captures often, what was chosen decides what the next operation waits for, and nothing but what its guard has captured tells
 */
export function randomSoftware(seed: number, captures = false): Subject {
  const random = randomFrom(seed);
  const machine = new Machine({ dmaSlots: 0 });
  const actors = 2 + random(2);
  const lock = machine.word('lock');
  const shared = [machine.word('s0'), machine.word('s1')];
  // In some programs every word is everybody's, in most of them each actor has one of its own.
  const own = Array.from({ length: actors }, (_, i) => machine.word(`own ${i}`));
  const apart = random(4) !== 0;
  const words = [...shared, ...own];
  // Undeclared results keep a program from being known as a whole.
  const declares = random(4) !== 0;

  const wordOf = (actor: number): number => {
    if (random(2) === 0) return random(shared.length);
    return shared.length + (apart ? actor : random(own.length));
  };
  const partsOf = (actor: number, depth: number, count: number): Part[] =>
    Array.from({ length: count }, (): Part => {
      const kind = random(depth > 0 ? (captures ? 14 : 10) : 6);
      const word = wordOf(actor);
      const value = random(VALUES.length);
      const inner = () => partsOf(actor, 0, 1 + random(2));
      if (kind < 2) return { kind: 'set', word, value };
      if (kind < 4) return { kind: 'increment', word, atomic: random(2) === 0 };
      if (kind === 4) return { kind: 'copy', from: word, to: wordOf(actor), declared: declares || random(2) === 0 };
      if (kind === 5) return random(3) === 0 ? { kind: 'await', word, value } : { kind: 'set', word, value };
      if (kind === 6) return { kind: 'locked', parts: inner() };
      if (kind < 9) return { kind: 'if', word, value, parts: inner() };
      if (kind === 9) return { kind: 'choose', ways: [inner(), inner()] };
      const wait = (): Part => ({ kind: 'wait', word: random(2) === 0 ? word : wordOf(actor), least: random(3) });
      return { kind: 'choose', ways: [[wait()], [wait()], [wait()]] };
    });

  const modulo = (value: number) => value % VALUES.length;
  function* run(part: Part): Program {
    switch (part.kind) {
      case 'set':
        return yield* words[part.word].set(part.value);
      case 'increment': {
        const increment = function* (): Program {
          const value = yield* words[part.word].get(VALUES);
          yield* words[part.word].set(modulo(value + 1));
        };
        return yield* part.atomic ? atomic(increment) : increment();
      }
      case 'copy':
        return yield* words[part.to].set(yield* words[part.from].get(part.declared ? VALUES : undefined));
      case 'await':
        return yield* words[part.word].until(part.value);
      case 'wait':
        yield { name: 'wait', ready: () => words[part.word].value >= part.least, run: () => {} };
        return;
      case 'locked':
        yield* lock.lock();
        yield* all(part.parts);
        return yield* lock.unlock();
      case 'if':
        if ((yield* words[part.word].get(VALUES)) === part.value) yield* all(part.parts);
        return;
      case 'choose':
        return yield* all(part.ways[yield* choose('a way', part.ways.length)]);
    }
  }
  function* all(parts: readonly Part[]): Program {
    for (const part of parts) yield* run(part);
  }

  for (let actor = 0; actor < actors; actor++) {
    const parts = partsOf(actor, 1, 2 + random(2));
    machine.actor(`cpu${actor}`, () => all(parts));
  }
  return { machine, outcome: () => [lock, ...words].map((word) => word.value).join(' ') };
}
