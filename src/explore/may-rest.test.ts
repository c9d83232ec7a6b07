/** Hardware that need not ever do what it can do: a wait for it may be for ever, and every search says so. */
import { describe, expect, test } from 'vitest';
import { FACT, Machine } from '../machine/index.ts';
import { DepthFirst } from './depth-first.ts';
import { Instance } from './instance.ts';
import type { LivelockOptions } from './livelock.ts';
import { LivelockSearch } from './livelock.ts';
import { PreemptionBounded } from './preemption-bounded.ts';
import { RandomSearch } from './random-search.ts';
import { replay } from './replay.ts';
import { Search } from './search.ts';
import { shrink } from './shrink.ts';

function livelockOf(machine: Machine, options: LivelockOptions = {}): LivelockSearch {
  const search = new LivelockSearch(machine, options);
  while (!search.advance(100)) {}
  return search;
}

describe('a run that ends while somebody waits', () => {
  /** The driver's store reaches the walker only when the CPU's cache writes it back. */
  const uncoherent = () => {
    const machine = new Machine({ coherentWalker: false });
    const page = machine.frame('page', 0x1000n, machine.owner('the kernel', 'other'), [0]);
    const cpu = machine.cpu();
    const done = machine.word('done');
    const seen = () => machine.memory.walkerView().lo(machine.memory.locate(page.pfn, 0));
    machine.hardware.push({
      name: 'walker',
      lane: 'iommu',
      choices: () => (done.value === 0 && seen() === 1 ? 1 : 0),
      step: () => {
        done.value = 1;
      },
      left: () => 1 - done.value,
    });
    machine.actor('driver', function* () {
      yield* cpu.write64(0x1000n, 1n);
      yield* done.until(1);
    });
    return machine;
  };

  const DEADLOCK = { id: 'I9', broken: (facts: number) => (facts & FACT.deadlock) !== 0 };

  test('a cache need not ever write back', () => {
    const search = livelockOf(uncoherent());
    expect(search.isCyclic).toBe(false);
    expect(search.verdict).toBe('violated');
    expect(search.found?.path).toHaveLength(1);
    expect(search.found?.cycle).toEqual([]);
    expect(search.found?.waiting).toEqual(['driver']);
  });

  test('and the searches find that, though no run comes back to where it was', () => {
    const properties = [DEADLOCK];
    const depthFirst = new DepthFirst(new Instance(uncoherent()), { properties });
    depthFirst.begin();
    while (!depthFirst.advance(100)) {}
    expect([depthFirst.violations.length, depthFirst.cyclic]).toEqual([1, false]);
    const search = new Search(new Instance(uncoherent()), { properties });
    while (!search.advance(100)) {}
    expect(search.violations.map(({ run }) => run.length)).toEqual([1]);
  });

  test('and random and preemption-bounded runs, which then go on as if it did', () => {
    const bounded = new PreemptionBounded(uncoherent(), { properties: [DEADLOCK], maxPreemptions: 0 });
    while (!bounded.advance(100)) {}
    expect(bounded.violations.map(({ run, preemptions }) => [run.length, preemptions])).toEqual([[1, 0]]);
    const random = new RandomSearch(new Instance(uncoherent()), { seed: 1, properties: [DEADLOCK], maxSteps: 100 });
    random.advance(1);
    expect(random.violations.map(({ run }) => run.length)).toEqual([1]);
    // Store, write back, walker, done: nothing was left out because of what was found on the way.
    expect([random.depth, random.cut]).toEqual([4, 0]);
    expect(replay(new Instance(uncoherent()), random.violations[0].run).deadlocked).toBe(true);
  });

  test('and it can be shrunk to where the wait begins', () => {
    const machine = uncoherent();
    const noise = machine.word('noise');
    machine.actor('other', function* () {
      for (let i = 1; i <= 5; i++) yield* noise.set(i);
    });
    const instance = new Instance(machine);
    const cache = instance.agents.findIndex(({ name }) => name === 'cpu cache');
    const run = [1, 0, 1, 1, 1, 1].map((agent) => ({ agent, choice: 0 }));
    // The driver waits; the store is in the cache, and nobody else has anything left to do.
    const shrunk = shrink(instance, run, DEADLOCK);
    expect(shrunk.run.map(({ agent }) => agent).sort()).toEqual([0, 1, 1, 1, 1, 1]);
    // What comes after it has nothing to do with it.
    const longer = [...run, { agent: cache, choice: 0 }];
    expect(shrink(instance, longer, DEADLOCK).run).toHaveLength(6);
  });

  test('if it must, the wait ends', () => {
    expect(livelockOf(uncoherent(), { mayRest: [] }).verdict).toBe('holds');
  });

  test('a deadlock is left to the search', () => {
    const machine = new Machine();
    const go = machine.word('go');
    machine.actor('driver', () => go.until(1));
    expect(livelockOf(machine).verdict).toBe('holds');
  });
});
