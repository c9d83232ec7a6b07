import { describe, expect, test } from 'vitest';
import { crossedLocks } from '../../test/crossed-locks.ts';
import { INVARIANTS } from '../cases/invariants.ts';
import { MODELS } from '../cases/models.ts';
import { CASES } from '../cases/registry.ts';
import { FACT, Machine } from '../machine/index.ts';
import { randomFrom } from './conduct.ts';
import { Instance } from './instance.ts';
import type { PreemptionBoundedOptions } from './preemption-bounded.ts';
import { countPreemptions, PreemptionBounded } from './preemption-bounded.ts';
import { breaks, replay } from './replay.ts';
import type { Property } from './search.ts';
import { Search } from './search.ts';

function searchOf(machine: Machine, options: PreemptionBoundedOptions): PreemptionBounded {
  const search = new PreemptionBounded(machine, options);
  while (!search.advance(100)) {}
  return search;
}

/** A property for each fact. */
const EVERY: readonly Property[] = Object.entries(FACT).map(([id, fact]) => ({
  id,
  broken: (facts) => (facts & fact) !== 0,
}));

/** Actors that write small random numbers to a word, or wait for one; who wrote last, and who before, is a fact. */
function randomMachine(seed: number): Machine {
  const random = randomFrom(seed);
  const machine = new Machine({ dmaSlots: 0 });
  const [word, writers] = [machine.word('w'), machine.word('writers')];
  const facts = Object.values(FACT).filter((fact) => fact !== FACT.deadlock);
  for (let actor = 0; actor < 2 + random(2); actor++) {
    const ops = Array.from({ length: 2 + random(2) }, () => ({ value: random(3), waits: random(6) === 0 }));
    machine.actor(`actor ${actor}`, function* () {
      for (const [i, { value, waits }] of ops.entries()) {
        if (waits) yield* word.until(value);
        else {
          yield {
            name: `step ${i}: ${value}`,
            run: () => {
              word.value = value;
              writers.value = (writers.value * 3 + actor) % 3 ** 5;
              machine.facts.bits |= facts[(writers.value * 7 + value) % facts.length];
            },
          };
        }
      }
    });
  }
  return machine;
}

/** By trying every run: the fewest preemptions with which each property breaks. */
function fewest(instance: Instance): Map<string, number> {
  const { agents, machine, tracker } = instance;
  const best = new Map<string, number>();
  const note = (facts: number, used: number) => {
    for (const { id, broken } of EVERY) if (broken(facts) && used < (best.get(id) ?? 99)) best.set(id, used);
  };
  const go = (running: number, used: number): void => {
    const goesOn = running >= 0 && agents[running].choices() > 0;
    const able = agents.map((_, a) => a).filter((a) => agents[a].choices() > 0);
    if (able.length === 0 && instance.hasWaiting()) note(FACT.deadlock, used);
    for (const a of able) {
      const mark = tracker.mark();
      machine.facts.bits = 0;
      agents[a].step(0);
      const now = used + (goesOn && a !== running ? 1 : 0);
      note(machine.facts.bits, now);
      go(a, now);
      tracker.undo(mark);
    }
  };
  go(-1, 0);
  return best;
}

describe('against every run, one by one', () => {
  test('200 random machines: what breaks, and with how few preemptions', () => {
    const spread = new Set<number>();
    for (let seed = 0; seed < 200; seed++) {
      const expected = fewest(new Instance(randomMachine(seed)));
      const search = searchOf(randomMachine(seed), { properties: EVERY });
      expect(search.exhausted || search.violations.length === EVERY.length).toBe(true);
      const found = new Map(search.violations.map((v) => [v.property, v.preemptions]));
      expect([...found].sort(), `seed ${seed}`).toEqual([...expected].sort());
      for (const { run, preemptions } of search.violations) {
        expect(countPreemptions(search.instance, run)).toBe(preemptions);
        spread.add(preemptions);
      }
    }
    expect([...spread].sort()).toEqual([0, 1, 2, 3]);
  });
});

describe('against the search of all states', () => {
  const SMALL = ['D2', 'K5', 'A2'];
  for (const definition of CASES.filter((c) => SMALL.includes(c.id))) {
    const [variant] = Object.keys(definition.variants);
    test(`${definition.id} ${variant}`, () => {
      const build = () => definition.build({ variant, profile: MODELS[definition.model].profiles[0], mutant: null });
      const all = new Search(new Instance(build(), { without: ['symmetry'] }), { properties: [...EVERY] });
      while (!all.advance(10_000)) {}
      const search = searchOf(build(), { properties: EVERY });
      expect(search.exhausted).toBe(true);
      expect(search.states).toBe(all.states);
      const ids = (violations: readonly { property: string }[]) => violations.map((v) => v.property).sort();
      expect(ids(search.violations)).toEqual(ids(all.violations));
      for (const { property, run, preemptions } of search.violations) {
        const [fact] = EVERY.filter((p) => p.id === property);
        if (property !== 'deadlock') expect(breaks(search.instance, run, fact)).toBe(true);
        expect(countPreemptions(search.instance, run)).toBe(preemptions);
      }
    });
  }
});

describe('bounds', () => {
  const d1 = (variant: string) => {
    const definition = CASES.find((c) => c.id === 'D1');
    if (definition === undefined) throw new Error('no D1');
    return definition.build({ variant, profile: MODELS[definition.model].profiles[0], mutant: null });
  };

  test('D1: few preemptions suffice to break it', () => {
    const search = searchOf(d1('linux-5.11'), { properties: [INVARIANTS.I2], maxPreemptions: 3 });
    const [{ run, preemptions }] = search.violations;
    expect(breaks(search.instance, run, INVARIANTS.I2)).toBe(true);
    expect(preemptions).toBeLessThanOrEqual(2);
    expect([search.exhausted, search.bounded]).toEqual([false, false]);
  });

  test('what was cut off is never taken for a proof', () => {
    const search = searchOf(d1('ideal'), { properties: [INVARIANTS.I2], maxPreemptions: 1 });
    expect([search.exhausted, search.bounded, search.bound]).toEqual([false, true, 1]);
    expect(search.violations).toEqual([]);
    const few = searchOf(d1('ideal'), { properties: [INVARIANTS.I2], maxStates: 500 });
    expect([few.exhausted, few.bounded, few.states]).toEqual([false, true, 500]);
  });

  test('one actor cannot be preempted: no bound cuts anything', () => {
    const machine = new Machine();
    const word = machine.word('w');
    machine.actor('cpu0', function* () {
      for (let i = 1; i < 5; i++) yield* word.set(i);
    });
    const search = searchOf(machine, { properties: [], maxPreemptions: 0 });
    expect([search.exhausted, search.bounded, search.bound, search.states]).toEqual([true, false, 0, 5]);
  });

  test('a deadlock needs one preemption', () => {
    const machine = crossedLocks();
    const search = searchOf(machine, { properties: [INVARIANTS.I9] });
    expect(search.violations.map((v) => [v.property, v.preemptions])).toEqual([['I9', 1]]);
    expect(replay(search.instance, search.violations[0].run).deadlocked).toBe(true);
  });
});
