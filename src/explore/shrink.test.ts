import { describe, expect, test } from 'vitest';
import { INVARIANTS } from '../cases/invariants.ts';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { Machine } from '../machine/index.ts';
import type { Decision } from './decision.ts';
import { Instance } from './instance.ts';
import { RandomSearch } from './random-search.ts';
import { breaks, countBlocks, replay } from './replay.ts';
import type { Property } from './search.ts';
import { Search } from './search.ts';
import { shrink } from './shrink.ts';

function instanceOf(id: string, variant: string): Instance {
  const definition = CASES.find((c) => c.id === id);
  if (definition === undefined) throw new Error(`no ${id}`);
  return new Instance(definition.build({ variant, profile: PROFILES[0], mutant: null }));
}

/** Random runs that break the property, from seeds that follow each other. */
function brokenRuns(instance: Instance, property: Property, count: number): (readonly Decision[])[] {
  const runs: (readonly Decision[])[] = [];
  for (let seed = 0; runs.length < count; seed++) {
    const search = new RandomSearch(instance, { seed, properties: [property], maxSteps: 1000 });
    search.advance(100);
    runs.push(...search.violations.map((v) => v.run));
  }
  return runs;
}

const without = (run: readonly Decision[], i: number) => run.filter((_, j) => j !== i);

describe('a random run that breaks a property', () => {
  test.each([
    ['D1', 'linux-5.11', INVARIANTS.I2],
    ['A1', 'queue/no-drain', INVARIANTS.I3],
  ])('of %s %s becomes one that is about as short as can be', (id, variant, property) => {
    const search = new Search(instanceOf(id, variant), { properties: [property] });
    while (!search.advance(10_000)) {}
    const shortest = search.violations[0].run.length;
    const instance = instanceOf(id, variant);
    const lengths: number[] = [];
    let longest = 0;
    for (const run of brokenRuns(instance, property, 6)) {
      const shrunk = shrink(instance, run, property);
      expect(shrunk.isMinimal).toBe(true);
      expect(breaks(instance, shrunk.run, property)).toBe(true);
      expect(countBlocks(shrunk.run)).toBeLessThanOrEqual(countBlocks(run));
      shrunk.run.forEach((_, i) => expect(breaks(instance, without(shrunk.run, i), property)).toBe(false));
      lengths.push(shrunk.run.length);
      longest = Math.max(longest, run.length);
    }
    expect(longest).toBeGreaterThan(shortest + 4);
    expect(Math.min(...lengths)).toBe(shortest);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(shortest + 4);
  });

  test('gives the same result each time, within its bound of replays', () => {
    const instance = instanceOf('D1', 'linux-5.11');
    const [run] = brokenRuns(instance, INVARIANTS.I2, 1);
    const once = shrink(instance, run, INVARIANTS.I2);
    expect(shrink(instanceOf('D1', 'linux-5.11'), run, INVARIANTS.I2)).toEqual(once);
    expect(once.replays).toBeLessThan(2000);
    const cut = shrink(instance, run, INVARIANTS.I2, { maxReplays: 5 });
    expect([cut.isMinimal, cut.replays]).toEqual([false, 5]);
    expect(breaks(instance, cut.run, INVARIANTS.I2)).toBe(true);
    expect(cut.run.length).toBeGreaterThan(once.run.length);
  });

  test('that goes on after the violation ends with it', () => {
    const instance = instanceOf('D1', 'linux-5.11');
    const [run] = brokenRuns(instance, INVARIANTS.I2, 1);
    replay(instance, run, false);
    const more = instance.agents.findIndex((agent) => agent.choices() > 0);
    const longer = [...run, { agent: more, choice: 0 }];
    expect(shrink(instance, longer, INVARIANTS.I2)).toEqual(shrink(instance, run, INVARIANTS.I2));
  });
});

test('a deadlock is shrunk, too', () => {
  const machine = new Machine();
  const [a, b, noise] = [machine.word('a'), machine.word('b'), machine.word('noise')];
  for (const [name, first, second] of [
    ['cpu0', a, b],
    ['cpu1', b, a],
  ] as const) {
    machine.actor(name, function* () {
      for (let i = 0; i < 3; i++) {
        yield* first.lock();
        yield* second.lock();
        yield* second.unlock();
        yield* first.unlock();
      }
    });
  }
  machine.hardware.push({
    name: 'timer',
    lane: 'iommu',
    choices: () => (noise.value < 3 && (a.value === 0 || b.value === 0) ? 1 : 0),
    step: () => noise.value++,
  });
  const instance = new Instance(machine);
  for (const run of brokenRuns(instance, INVARIANTS.I9, 10)) {
    const shrunk = shrink(instance, run, INVARIANTS.I9);
    expect(shrunk.run.map((d) => d.agent).sort()).toEqual([0, 1]);
    expect(replay(instance, shrunk.run).deadlocked).toBe(true);
  }
});

test('a run that breaks nothing is refused', () => {
  const instance = instanceOf('D1', 'ideal');
  expect(() => shrink(instance, [], INVARIANTS.I2)).toThrow('the run does not break I2');
});
