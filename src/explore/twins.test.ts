/** Twins against brute force: all states without symmetry, each brought into the least of its forms under all permutations. */
import { describe, expect, test } from 'vitest';
import { INVARIANTS } from '../cases/invariants.ts';
import { VtdScene } from '../cases/vtd-scene.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import type { Device, Program } from '../machine/index.ts';
import { choose, FACT, Machine, operation, SLOT } from '../machine/index.ts';
import { DepthFirst } from './depth-first.ts';
import type { Reduction } from './instance.ts';
import { Instance } from './instance.ts';
import { Search } from './search.ts';

const PROPERTIES = Object.values(FACT).map((fact) => ({
  id: String(fact),
  broken: (facts: number) => (facts & fact) !== 0,
}));

function permutations(of: readonly number[]): number[][] {
  if (of.length === 0) return [[]];
  return of.flatMap((first) => permutations(of.filter((n) => n !== first)).map((rest) => [first, ...rest]));
}

/** Regions in which nothing is any device's; of them, only what changed is told. */
const PLAIN = new Set(['memory', 'frames', 'software', 'call', 'vtd.internal', 'vtd.PDE', 'vtd.PDPE', 'vtd.PML4E']);

/** States as texts, by nothing that the fingerprint is made with; written for the machines of this file: twins are all their devices. */
class Plain {
  readonly instance: Instance;
  private readonly machine: Machine;
  private readonly orders: number[][];
  private readonly start: Int32Array;

  constructor(machine: Machine) {
    this.machine = machine;
    this.instance = new Instance(machine, { without: ['symmetry'] });
    this.instance.tracker.journaling = false;
    this.start = machine.arena.snapshot();
    this.orders = permutations(machine.dma.requesters.map((_, i) => i));
  }

  /** All states that can be reached, each as its words; units of interchangeable regions in any order are one. */
  states(): Int32Array[] {
    const { arena } = this.machine;
    const identity = this.orders[0];
    const seen = new Set([this.text(identity)]);
    const all = [arena.snapshot()];
    for (let next = 0; next < all.length; next++) {
      arena.restore(all[next]);
      for (const agent of this.instance.agents) {
        const choices = agent.choices();
        for (let choice = 0; choice < choices; choice++) {
          agent.step(choice);
          const text = this.text(identity);
          if (!seen.has(text)) {
            seen.add(text);
            all.push(arena.snapshot());
          }
          arena.restore(all[next]);
        }
      }
    }
    return all;
  }

  /** The least text under all changes of places. */
  canonical(state: Int32Array): string {
    this.machine.arena.restore(state);
    return this.orders.map((order) => this.text(order)).sort()[0];
  }

  /** The state in which device d has the place of device to[d]. */
  private text(to: readonly number[]): string {
    const { machine } = this;
    const { words } = machine.arena;
    const { requesters } = machine.dma;
    const sidOf = new Map(requesters.map(({ sid }, d) => [sid, requesters[to[d]].sid]));
    const parts: string[] = [];
    for (const region of machine.arena.regions) {
      const { base, fields, units: count } = region;
      if (PLAIN.has(region.name)) {
        for (let at = base; at < base + count * fields.length; at++)
          if (words[at] !== this.start[at]) parts.push(`${at}=${words[at]}`);
        continue;
      }
      const units = Array.from({ length: count }, (_, u) => [
        ...words.slice(base + u * fields.length, base + (u + 1) * fields.length),
      ]);
      if (region.name === 'actors') {
        const [own, rest] = [machine.actors.length * 2, units[0]];
        const placed = [...rest];
        machine.actors.forEach(({ name }, a) => {
          const d = requesters.findIndex((r) => r.name === name);
          const at = d < 0 ? a : machine.actors.findIndex((x) => x.name === requesters[to[d]].name);
          placed[2 * at] = rest[2 * a];
          placed[2 * at + 1] = rest[2 * a + 1];
        });
        parts.push(`${placed.slice(0, own)}`);
        continue;
      }
      if (region.name === 'actor nodes') continue;
      if (region.name === 'grants') {
        parts.push(`${machine.grants.targets.map((t, i) => `${to[t.device]} ${t.vpn} ${units[i]}`).sort()}`);
        continue;
      }
      if (region.name === 'dma') {
        for (const slot of units) {
          if (slot[SLOT.phase] !== 0) slot[SLOT.device] = to[slot[SLOT.device]];
          const target = slot[SLOT.target];
          if (target > 0) slot[SLOT.target] = machine.grants.targets[target - 1].vpn + 1;
        }
      }
      const sid = region.interchangeable ? fields.indexOf('sid') : -1;
      if (sid >= 0) for (const entry of units) entry[sid] = sidOf.get(entry[sid]) ?? entry[sid];
      // The fault record's upper quad-word; its SID is the low half.
      const record = fields.indexOf('FRCD_REG.hi');
      if (region.name === 'vtd.regs') {
        if (record < 0) throw new Error(`no fault record among ${fields}`);
        units[0][record] = sidOf.get(units[0][record]) ?? units[0][record];
      }
      if (region.interchangeable) units.sort((a, b) => (String(a) < String(b) ? -1 : 1));
      parts.push(units.map(String).join(';'));
    }
    return parts.join('|');
  }
}

/** Depth-first to the end: no run breaks all properties, so none is stopped early. */
function searched(machine: Machine, without: readonly Reduction[]): { states: number; broken: string[] } {
  const instance = new Instance(machine, { without });
  const search = new DepthFirst(instance, { properties: PROPERTIES, ample: !without.includes('ample') });
  search.begin();
  while (!search.advance(100_000)) {}
  expect(search.exhausted).toBe(true);
  return { states: search.states, broken: search.violations.map((v) => v.property).sort() };
}

/** The same states, one by one: the fingerprints are as many as the orbits, and each is one orbit's. */
function compareWithOrbits(build: () => Machine): { orbits: number; states: number } {
  const plain = new Plain(build());
  const states = plain.states();
  const { machine, tracker } = new Instance(build());
  tracker.journaling = false;
  const byOrbit = new Map<string, string>();
  const byFingerprint = new Map<string, string>();
  for (const state of states) {
    const orbit = plain.canonical(state);
    machine.arena.restore(state);
    const fingerprint = `${tracker.fpA} ${tracker.fpB}`;
    if ((byOrbit.get(orbit) ?? fingerprint) !== fingerprint) throw new Error(`two fingerprints of one orbit: ${orbit}`);
    if ((byFingerprint.get(fingerprint) ?? orbit) !== orbit) throw new Error(`one fingerprint of two orbits: ${orbit}`);
    byOrbit.set(orbit, fingerprint);
    byFingerprint.set(fingerprint, orbit);
  }
  return { orbits: byOrbit.size, states: states.length };
}

const IOVA = 0x1000n;
const PHYS = 0x21d200000n;

interface Shape {
  readonly twins: number;
  readonly slots: number;
  readonly recordFaults?: boolean;
  readonly noUnmapFlush?: boolean;
  readonly kind?: 'read' | 'write';
  /** DMAs of each; 1 if absent. */
  readonly times?: number;
}

/** A page that was mapped is unmapped, and mapped elsewhere, while twins do DMA. */
function vtdMachine(shape: Shape): Machine {
  const { twins, slots, recordFaults = false, kind = 'write', times = 1 } = shape;
  const scene = new VtdScene({
    profile: PROFILES[0],
    machine: { dmaSlots: slots },
    recordFaults,
    pdEntries: [0],
    ptEntries: [1],
    mutation: shape.noUnmapFlush ? { noUnmapFlush: true } : {},
  });
  const { machine, domain } = scene;
  scene.buffer('page', PHYS, [0]);
  scene.premap(IOVA, PHYS, 1);
  machine.twins(scene.devices('nic', twins, [IOVA]), (nic) => nic.strays([IOVA], kind, times));
  machine.actor('driver', function* () {
    yield* domain.unmap(IOVA, 0x1000n);
  });
  return machine;
}

describe('twins before a VT-d unit', () => {
  test.each<[string, Shape]>([
    ['two', { twins: 2, slots: 2 }],
    ['two that wait for one slot', { twins: 2, slots: 1 }],
    ['two whose faults are recorded', { twins: 2, slots: 2, recordFaults: true }],
    [
      'two, and an unmap without invalidation',
      { twins: 2, slots: 1, times: 2, noUnmapFlush: true, recordFaults: true },
    ],
    ['three, two at a time', { twins: 3, slots: 2, kind: 'read' }],
    ['three whose faults are recorded, one at a time', { twins: 3, slots: 1, recordFaults: true }],
  ])('%s: one state an orbit', (_, shape) => {
    const { orbits, states } = compareWithOrbits(() => vtdMachine(shape));
    const merged = searched(vtdMachine(shape), ['ample']);
    const apart = searched(vtdMachine(shape), ['ample', 'symmetry']);
    expect(merged.states).toBe(orbits);
    expect(orbits).toBeLessThan(states);
    // Nearly all states are in orbits of as many as there are orders of the twins.
    expect(states / orbits).toBeGreaterThan(shape.twins === 2 ? 1.8 : 4);
    expect(apart.states).toBeGreaterThanOrEqual(states);
    expect(merged.broken).toEqual(apart.broken);
    expect(searched(vtdMachine(shape), []).broken).toEqual(apart.broken);
    expect(merged.broken.includes(String(FACT.staleTranslation))).toBe(shape.noUnmapFlush === true);
  });

  test('positions known by their paths alone come to the same', () => {
    const shape = { twins: 2, slots: 2 } as const;
    const compiled = searched(vtdMachine(shape), ['ample']);
    const followed = searched(vtdMachine(shape), ['ample', 'automata']);
    const apart = searched(vtdMachine(shape), ['ample', 'automata', 'symmetry']);
    expect(followed.broken).toEqual(compiled.broken);
    expect(followed.states).toBeGreaterThanOrEqual(compiled.states);
    expect(followed.states * 1.8).toBeLessThan(apart.states);
  });

  test('the shortest runs are as long as without symmetry', () => {
    const lengths = (without: readonly Reduction[]) => {
      const machine = vtdMachine({ twins: 2, slots: 1, times: 2, noUnmapFlush: true });
      const search = new Search(new Instance(machine, { without }), { properties: Object.values(INVARIANTS) });
      while (!search.advance(10_000)) {}
      return search.violations.map((v) => `${v.property} ${v.run.length}`).sort();
    };
    expect(lengths([])).toEqual(lengths(['symmetry']));
    expect(lengths([]).length).toBeGreaterThan(0);
  });
});

// ---- random programs --------------------------------------------------------------------------------------------------

function randomOf(seed: number): (n: number) => number {
  let state = seed * 2654435761 + 1;
  return (n) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state >>> 8) ^ (state >>> 20)) % n;
  };
}

type Step = (device: Device) => Program;

/** A random machine: two or three twins with one random program, shared words, a driver. Same seed, same machine. */
function randomMachine(seed: number): Machine {
  const random = randomOf(seed);
  const count = random(3) === 0 ? 3 : 2;
  const machine = new Machine({ dmaSlots: 1 + random(2) });
  const buffer = machine.owner('buffer', 'buffer', 1);
  machine.frame('page', IOVA, random(3) === 0 ? machine.owner('kernel', 'other') : buffer, [0]);
  const words = [machine.word('x'), machine.word('y')];
  const lock = machine.word('lock');
  const devices = Array.from({ length: count }, (_, i) => machine.device(`nic${i}`, 0x100 + i, 1, [IOVA]));
  const kind = () => (random(2) === 0 ? ('read' as const) : ('write' as const));

  const software = (allowed: number): Step => {
    const word = words[random(2)];
    const value = random(3);
    switch (random(allowed)) {
      case 0:
        return () => word.set(value);
      case 1:
        return function* () {
          const got = yield* word.get([0, 1, 2]);
          if (got === value) yield* words[0].set((value + 1) % 3);
        };
      case 2:
        return function* () {
          yield* operation(`fact if ${word.name} = ${value}`, {
            run: () => {
              if (word.value === value) machine.facts.bits |= 1 << value;
            },
          });
        };
      case 3:
        return function* () {
          yield* lock.lock();
          yield* word.set(value);
          yield* lock.unlock();
        };
      case 4:
        return () => word.until(value);
      default:
        return function* () {
          if ((yield* choose('way', 2)) === 1) yield* word.set(value);
        };
    }
  };
  const step = (): Step => {
    const how = kind();
    switch (random(5)) {
      case 0:
        return (device) => device.issue(IOVA, how);
      case 1:
        return (device) => device.dma(IOVA, how);
      case 2: {
        const after = software(4);
        return function* (device) {
          if ((yield* device.dmaStatus(IOVA, how)) === 1) yield* after(device);
        };
      }
      case 3:
        return (device) => device.pushed();
      default:
        return software(6);
    }
  };
  const steps = Array.from({ length: 2 + random(2) }, step);
  machine.twins(devices, function* (device) {
    for (const one of steps) yield* one(device);
  });
  const own = Array.from({ length: random(3) }, () => software(6));
  machine.actor('driver', function* () {
    for (const one of own) yield* one(devices[0]);
  });
  return machine;
}

test('200 random programs: one state an orbit, and the same facts', { timeout: 240_000 }, () => {
  let merged = 0;
  let broken = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const { orbits, states } = compareWithOrbits(() => randomMachine(seed));
    const with_ = searched(randomMachine(seed), ['ample']);
    const apart = searched(randomMachine(seed), ['ample', 'symmetry']);
    expect(with_.states, `seed ${seed}`).toBe(orbits);
    expect(with_.broken, `seed ${seed}`).toEqual(apart.broken);
    expect(searched(randomMachine(seed), []).broken, `seed ${seed}, reduced`).toEqual(apart.broken);
    if (orbits < states) merged++;
    if (with_.broken.length > 0) broken++;
  }
  // In the others everybody waits from the start.
  expect(merged).toBeGreaterThan(180);
  expect(broken).toBeGreaterThan(50);
  expect(broken).toBeLessThan(200);
});
