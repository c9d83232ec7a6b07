/** The search against a plain one: states as strings, no undo, no fingerprints, units sorted instead of summed. */
import { describe, expect, test } from 'vitest';
import { INVARIANTS } from '../cases/invariants.ts';
import { MODELS } from '../cases/models.ts';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { atomic, FACT, Machine, operation } from '../machine/index.ts';
import { Instance } from './instance.ts';
import { replay, tidy } from './replay.ts';
import { Search } from './search.ts';
import { OutsideStateError } from './twice.ts';

/**
 * A state as text; units of interchangeable regions in sorted order. Positions of actors are left out: two at which the same is left to do
 * are one to a search, and where programs branch, as in vtd-syncmap-race, there are such.
 */
function textOf(machine: Machine): string {
  const parts: string[] = [];
  for (const region of machine.arena.regions) {
    if (region.name === 'actor nodes') continue;
    const size = region.fields.length;
    const units: string[] = [];
    for (let u = 0; u < region.units; u++) {
      units.push(machine.arena.words.slice(region.base + u * size, region.base + (u + 1) * size).join(','));
    }
    if (region.interchangeable) units.sort();
    parts.push(units.join(';'));
  }
  return parts.join('|');
}

/** Breadth-first with copies. @returns number of states, and the depth at which each fact was first seen */
function plainSearch(instance: Instance): { states: number; firstSeen: Map<number, number> } {
  const { machine, agents } = instance;
  instance.tracker.journaling = false;
  const seen = new Set([textOf(machine)]);
  const firstSeen = new Map<number, number>();
  let level = [machine.arena.snapshot()];
  for (let depth = 1; level.length > 0; depth++) {
    const next: Int32Array[] = [];
    for (const state of level) {
      machine.arena.restore(state);
      let owed = false;
      for (const [a, agent] of agents.entries()) {
        const choices = agent.choices();
        owed ||= choices > 0 && !instance.mayRest[a];
        for (let choice = 0; choice < choices; choice++) {
          machine.facts.bits = 0;
          agent.step(choice);
          for (const fact of Object.values(FACT)) {
            if ((machine.facts.bits & fact) !== 0 && !firstSeen.has(fact)) firstSeen.set(fact, depth);
          }
          const text = textOf(machine);
          if (!seen.has(text)) {
            seen.add(text);
            next.push(machine.arena.snapshot());
          }
          machine.arena.restore(state);
        }
      }
      const deadlocked = !owed && instance.hasWaiting();
      if (deadlocked && !firstSeen.has(FACT.deadlock)) firstSeen.set(FACT.deadlock, depth - 1);
    }
    level = next;
  }
  return { states: seen.size, firstSeen };
}

/** The plain search takes a millisecond a state and more: larger cases are many states of the same kind, and the others suffice. */
const MOST_STATES = 8000;

describe('the search finds what a plain search finds', () => {
  for (const definition of CASES) {
    for (const variant of Object.keys(definition.variants)) {
      test(`${definition.id} ${variant}`, ({ skip }) => {
        const setup = { variant, profile: MODELS[definition.model].profiles[0], mutant: null };
        const found = new Map<number, number>();
        const instance = new Instance(definition.build(setup));
        const search = new Search(instance, {
          properties: Object.values(FACT).map((fact) => ({
            id: String(fact),
            broken: (facts) => (facts & fact) !== 0,
          })),
        });
        while (!search.advance(10_000)) {}
        for (const { property, run } of search.violations) found.set(Number(property), run.length);
        expect(search.exhausted).toBe(true);
        if (search.states > MOST_STATES) skip(`more than ${MOST_STATES} states`);
        const plain = plainSearch(new Instance(definition.build(setup)));
        expect(search.states).toBe(plain.states);
        expect([...found].sort()).toEqual([...plain.firstSeen].sort());
      });
    }
  }
});

function searchOf(machine: Machine): Search {
  const search = new Search(new Instance(machine), { properties: Object.values(INVARIANTS) });
  while (!search.advance(1000)) {}
  return search;
}

describe('what a search says', () => {
  test('two lost updates: every interleaving of read and write', () => {
    const machine = new Machine();
    const word = machine.word('counter');
    for (const name of ['cpu0', 'cpu1']) {
      machine.actor(name, function* () {
        const value = yield* word.get();
        yield* word.set(value + 1);
      });
    }
    const ends = new Set<number>();
    const search = new Search(new Instance(machine), { properties: [], onEnd: () => ends.add(word.value) });
    while (!search.advance(10)) {}
    expect([...ends].sort()).toEqual([1, 2]);
  });

  test('atomic leaves one outcome', () => {
    const machine = new Machine();
    const word = machine.word('counter');
    for (const name of ['cpu0', 'cpu1']) {
      machine.actor(name, () =>
        atomic(function* () {
          const value = yield* word.get();
          yield* word.set(value + 1);
        }),
      );
    }
    const ends = new Set<number>();
    const search = new Search(new Instance(machine), { properties: [], onEnd: () => ends.add(word.value) });
    while (!search.advance(10)) {}
    expect([...ends]).toEqual([2]);
  });

  test('a deadlock is I9, with the run that leads to it', () => {
    const machine = new Machine();
    const [a, b] = [machine.word('a'), machine.word('b')];
    machine.actor('cpu0', function* () {
      yield* a.lock();
      yield* b.lock();
    });
    machine.actor('cpu1', function* () {
      yield* b.lock();
      yield* a.lock();
    });
    const search = searchOf(machine);
    expect(search.violations.map((v) => v.property)).toEqual(['I9']);
    const replayed = replay(search.instance, search.violations[0].run);
    expect(replayed.deadlocked).toBe(true);
    expect(replayed.steps).toHaveLength(2);
  });

  test('a bound is never taken for a proof', () => {
    const machine = new Machine();
    const word = machine.word('counter');
    machine.actor('cpu0', function* () {
      for (let i = 0; i < 100; i++) yield* word.set(i);
    });
    const search = new Search(new Instance(machine), { properties: [], maxStates: 10 });
    while (!search.advance(1)) {}
    expect(search.bounded).toBe(true);
    expect(search.exhausted).toBe(false);
  });

  test('an operation that keeps something outside the machine is found out', () => {
    const machine = new Machine();
    const word = machine.word('counter');
    let outside = 0;
    machine.actor(
      'cpu0',
      () =>
        operation('count', {
          run: () => {
            outside++;
            word.value = outside;
          },
        }) as never,
    );
    expect(() => searchOf(machine)).toThrow(OutsideStateError);
  });

  test('an actor that is another program each time is found out', () => {
    const machine = new Machine();
    const word = machine.word('w');
    let runs = 0;
    const program = function* () {
      runs++;
      yield* word.set(runs);
    };
    machine.actor('cpu0', program);
    const search = searchOf(machine);
    expect(() => search.instance.actors[0].verify(program)).toThrow(
      "it is not the same program twice: after 0 operations it went on with 'w = 1', now with 'w = 2'",
    );
  });

  test('an actor that shares a variable with another is found out', () => {
    const build = () => {
      const machine = new Machine();
      const word = machine.word('w');
      let shared = 0;
      machine.actor('cpu0', function* () {
        yield* word.set(1);
        shared = 1;
        yield* word.set(2);
      });
      machine.actor('cpu1', function* () {
        yield* word.set(3);
        yield* word.set(4 + shared);
      });
      return machine;
    };
    const { actors } = searchOf(build()).instance;
    expect(() => actors.forEach((actor, i) => actor.verify(build().actors[i].program))).toThrow(
      "alone it is another program than beside the others: after 1 operations it went on with 'w = 5', now with 'w = 4'",
    );
  });

  test('and so is one that does so on a shorter path than its longest', () => {
    const build = () => {
      const machine = new Machine();
      const word = machine.word('w');
      let shared = 0;
      machine.actor('cpu0', function* () {
        yield* word.set(1);
        shared = 1;
        yield* word.set(2);
      });
      machine.actor('cpu1', function* () {
        if ((yield* word.get()) === 0) for (let i = 0; i < 5; i++) yield* word.set(3);
        else yield* word.set(4 + shared);
      });
      return machine;
    };
    const { actors } = searchOf(build()).instance;
    expect(() => actors[1].verify(build().actors[1].program)).toThrow(
      "alone it is another program than beside the others: after 1 operations it went on with 'w = 5', now with 'w = 4'",
    );
  });

  test('an actor that never ends is found out', () => {
    const machine = new Machine();
    const word = machine.word('w');
    machine.actor('cpu0', function* () {
      for (let i = 0; ; i++) yield* word.set(i % 2);
    });
    expect(() => searchOf(machine)).toThrow('it never ends: more than 10000 operations');
  });

  test('an undeclared result is found out', () => {
    const machine = new Machine();
    machine.actor('cpu0', () => operation('ask', { results: [0, 1], run: () => 2 }) as never);
    expect(() => searchOf(machine)).toThrow("'ask' returned 2, which is not among its results [0, 1]");
    const other = new Machine();
    other.actor('cpu0', () => operation('ask', { run: () => 2 }) as never);
    expect(() => searchOf(other)).toThrow("'ask' returns 2 but declares no results");
  });
});

test('tidy keeps the length and the violation, and changes agents less often', () => {
  const definition = CASES.find((c) => c.id === 'D1');
  if (definition === undefined) throw new Error('no D1');
  const setup = { variant: 'linux-5.11', profile: PROFILES[0], mutant: null };
  const instance = new Instance(definition.build(setup));
  const search = new Search(instance, { properties: [INVARIANTS.I2] });
  while (!search.advance(10_000)) {}
  const [{ run }] = search.violations;
  const tidied = tidy(instance, run, INVARIANTS.I2);
  expect(tidied).toHaveLength(run.length);
  const changes = (r: typeof run) => r.filter((d, i) => i > 0 && r[i - 1].agent !== d.agent).length;
  expect(changes(tidied)).toBeLessThan(changes(run));
});
