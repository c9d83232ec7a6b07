import { describe, expect, test } from 'vitest';
import { INVARIANTS } from '../cases/invariants.ts';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { FACT, Machine, operation } from '../machine/index.ts';
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

describe('what is left out', () => {
  /** An actor whose end, and nothing else, breaks I8. */
  const breaking = (machine: Machine) =>
    operation('break', {
      run: () => {
        machine.facts.bits |= FACT.lostFault;
      },
    });
  const at = (agent: number, choice = 0): Decision => ({ agent, choice });

  test('a DMA before the one that matters, which then is in another slot', () => {
    const machine = new Machine();
    machine.frame('page', 0x1000n, machine.owner('another process', 'other'));
    machine.device('gpu', 0x100, 1, [0x1000n]).stray([0x1000n], 'read', 1);
    machine.device('nic', 0x200, 2, [0x1000n]).stray([0x1000n], 'write', 1);
    const [gpu, nic, slot0, slot1] = [0, 1, 2, 3];
    const run = [gpu, nic, slot0, slot1, slot1].map((agent) => at(agent));
    const instance = new Instance(machine);
    expect(breaks(instance, run, INVARIANTS.I3)).toBe(true);
    const shrunk = shrink(instance, run, INVARIANTS.I3);
    expect(shrunk.run).toEqual([nic, slot0, slot0].map((agent) => at(agent)));
  });

  test('what a choice leads to, if another spares it', () => {
    const machine = new Machine();
    const word = machine.word('w');
    machine.actor('driver', function* () {
      yield* word.until(3);
      yield* breaking(machine);
    });
    machine.hardware.push({
      name: 'unit',
      lane: 'iommu',
      choices: () => (word.value === 0 ? 2 : 0),
      step: (choice) => {
        word.value = choice === 0 ? 3 : 1;
      },
    });
    machine.hardware.push({
      name: 'detour',
      lane: 'iommu',
      choices: () => (word.value === 1 || word.value === 2 ? 1 : 0),
      step: () => word.value++,
    });
    const run = [at(1, 1), at(2), at(2), at(0), at(0)];
    expect(shrink(new Instance(machine), run, INVARIANTS.I8).run).toEqual([at(1), at(0), at(0)]);
  });

  test('once round a loop of one agent, with a step of another in between', () => {
    const machine = new Machine();
    const [a, b] = [machine.word('a'), machine.word('b')];
    machine.actor('cpu0', function* () {
      for (let i = 0; i < 2; i++) {
        yield* a.lock();
        yield* b.lock();
        yield* b.unlock();
        yield* a.unlock();
      }
    });
    machine.actor('cpu1', function* () {
      yield* operation('look round', { run: () => {} });
      yield* b.lock();
      yield* a.lock();
    });
    const instance = new Instance(machine);
    const shrunk = shrink(
      instance,
      [0, 0, 1, 0, 0, 0, 1].map((agent) => at(agent)),
      INVARIANTS.I9,
    );
    expect(shrunk.run).toHaveLength(3);
    expect(replay(instance, shrunk.run).deadlocked).toBe(true);
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
