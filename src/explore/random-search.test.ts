import { describe, expect, test } from 'vitest';
import { crossedLocks } from '../../test/crossed-locks.ts';
import { INVARIANTS } from '../cases/invariants.ts';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { FACT, Machine } from '../machine/index.ts';
import { Instance } from './instance.ts';
import { countPreemptions } from './preemption-bounded.ts';
import type { RandomSearchOptions } from './random-search.ts';
import { RandomSearch } from './random-search.ts';
import { breaks, replay } from './replay.ts';
import type { Property } from './search.ts';
import { Search } from './search.ts';
import { OutsideStateError } from './twice.ts';

function instanceOf(id: string, variant: string): Instance {
  const definition = CASES.find((c) => c.id === id);
  if (definition === undefined) throw new Error(`no ${id}`);
  return new Instance(definition.build({ variant, profile: PROFILES[0], mutant: null }));
}

function searchOf(machine: Machine, runs: number, options: Partial<RandomSearchOptions> = {}): RandomSearch {
  const search = new RandomSearch(new Instance(machine), { seed: 1, properties: [], maxSteps: 1000, ...options });
  search.advance(runs);
  return search;
}

const LOST: Property = { id: 'lost update', broken: (facts) => (facts & FACT.lostDirty) !== 0 };

/** Two CPUs that read a counter and write it back plus one: the update of one is lost if the other reads in between. */
function lostUpdate(): Machine {
  const machine = new Machine();
  const [word, ends] = [machine.word('counter'), machine.word('ends')];
  for (const name of ['cpu0', 'cpu1']) {
    machine.actor(name, function* () {
      const value = yield* word.get([0, 1]);
      yield* word.set(value + 1);
      yield {
        name: 'end',
        join: 'after',
        run: () => {
          ends.value++;
          if (ends.value === 2 && word.value === 1) machine.facts.bits |= FACT.lostDirty;
        },
      };
    });
  }
  return machine;
}

describe('random runs', () => {
  test.each([
    ['D1', 'linux-5.11', INVARIANTS.I2],
    ['A1', 'queue/no-drain', INVARIANTS.I3],
  ])('of %s %s break it, and the seed alone does it again', (id, variant, property) => {
    const options = { properties: [property], maxSteps: 1000 };
    const search = new RandomSearch(instanceOf(id, variant), { ...options, seed: 7 });
    while (!search.advance(10)) expect(search.runs).toBeLessThan(5000);
    const [{ run, seed }] = search.violations;
    expect(breaks(search.instance, run, property)).toBe(true);
    const again = new RandomSearch(instanceOf(id, variant), { ...options, seed });
    expect(again.advance(1)).toBe(true);
    expect(again.violations[0]).toEqual({ property: property.id, run, seed });
  });

  test('of what holds break nothing', () => {
    const options = { properties: Object.values(INVARIANTS), maxSteps: 1000, seed: 3 };
    const search = new RandomSearch(instanceOf('D1', 'ideal'), options);
    expect(search.advance(300)).toBe(false);
    expect(search.runs).toBe(300);
    expect(search.violations).toEqual([]);
    expect(search.states).toBeGreaterThan(300);
    expect(search.states).toBeLessThan(search.steps);
  });

  test('delay a DMA for long: two preemptions, far apart, in a few hundred runs', () => {
    let runs = 0;
    for (let seed = 0; seed < 4; seed++) {
      const options = { properties: [INVARIANTS.I3], maxSteps: 1000, seed };
      const search = new RandomSearch(instanceOf('A7', 'write/read-back-first'), options);
      while (!search.advance(10)) expect(search.runs).toBeLessThan(3000);
      runs += search.runs;
    }
    expect(runs).toBeLessThan(2500);
  });

  test('see every state of a small machine', () => {
    const all = new Search(new Instance(lostUpdate()), { properties: [] });
    while (!all.advance(100)) {}
    const search = searchOf(lostUpdate(), 200);
    expect(search.states).toBe(all.states);
    expect([search.runs, search.steps, search.cut]).toEqual([200, 800, 0]);
  });

  test('without a preemption no update is lost; with one it may be', () => {
    const none = searchOf(lostUpdate(), 300, { properties: [LOST], maxPreemptions: 0 });
    expect(none.violations).toEqual([]);
    const one = searchOf(lostUpdate(), 300, { properties: [LOST], maxPreemptions: 1 });
    expect(one.violations).toHaveLength(1);
    expect(countPreemptions(one.instance, one.violations[0].run)).toBe(1);
  });

  test('keep to their bound of preemptions, and use it', () => {
    const counts = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const machine = new Machine();
      const word = machine.word('w');
      for (const name of ['cpu0', 'cpu1', 'cpu2']) {
        machine.actor(name, function* () {
          for (let i = 0; i < 10; i++) yield* word.set(i);
        });
      }
      // Waits for what does not come, so that every run is one that breaks I9.
      machine.actor('waiter', () => word.until(99));
      const search = searchOf(machine, 1, { seed, properties: [INVARIANTS.I9], maxPreemptions: 3 });
      counts.add(countPreemptions(search.instance, search.violations[0].run));
    }
    expect([...counts].sort()).toEqual([0, 1, 2, 3]);
  });

  test('that end while somebody waits are I9', () => {
    const machine = crossedLocks();
    const search = searchOf(machine, 100, { properties: [INVARIANTS.I9] });
    expect(search.violations.map((v) => v.property)).toEqual(['I9']);
    expect(replay(search.instance, search.violations[0].run).deadlocked).toBe(true);
  });

  test('that never end are cut off', () => {
    const timer = () => {
      const machine = new Machine();
      const word = machine.word('w');
      machine.hardware.push({ name: 'timer', lane: 'iommu', choices: () => 1, step: () => word.value++ });
      return machine;
    };
    const search = searchOf(timer(), 5, { maxSteps: 40 });
    expect([search.runs, search.steps, search.cut, search.states]).toEqual([5, 200, 5, 41]);
    expect(searchOf(timer(), 5, { maxSteps: 40, maxStates: 10 }).states).toBe(10);
  });

  test('find out an operation that keeps something outside the machine', () => {
    const machine = new Machine();
    const word = machine.word('w');
    let outside = 0;
    machine.hardware.push({
      name: 'timer',
      lane: 'iommu',
      choices: () => 1,
      step: () => {
        outside++;
        word.value = outside;
      },
    });
    expect(() => searchOf(machine, 1)).toThrow(OutsideStateError);
  });
});
