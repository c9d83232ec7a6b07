/** The depth-first search by itself: what it finds, bounds, and how it is cut into parts. `test/reductions.test.ts` compares it with the others. */
import { describe, expect, test } from 'vitest';
import { crossedLocks } from '../../test/crossed-locks.ts';
import { INVARIANTS } from '../cases/invariants.ts';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import type { Agent } from '../machine/index.ts';
import { FACT, Machine } from '../machine/index.ts';
import { DepthFirst } from './depth-first.ts';
import type { DepthFirstOptions } from './depth-first-options.ts';
import { FingerprintSet } from './fingerprint-set.ts';
import { Instance } from './instance.ts';
import { breaks, replay } from './replay.ts';
import type { Property } from './search.ts';
import { OutsideStateError } from './twice.ts';

const NEVER: Property = { id: 'never', broken: () => false };

function machineOf(id: string, variant: string): Machine {
  const definition = CASES.find((c) => c.id === id);
  if (definition === undefined) throw new Error(`no ${id}`);
  return definition.build({ variant, profile: PROFILES[0], mutant: null });
}

function searchOf(machine: Machine, options: Partial<DepthFirstOptions> = {}): DepthFirst {
  return new DepthFirst(new Instance(machine), { properties: [NEVER], ...options });
}

/** Takes portions of so many transitions to the end. */
function finish(search: DepthFirst, portion = 1000): DepthFirst {
  while (!search.advance(portion)) {}
  return search;
}

function finished(machine: Machine, options: Partial<DepthFirstOptions> = {}): DepthFirst {
  const search = searchOf(machine, options);
  search.begin();
  return finish(search);
}

/** All that a search has come to. */
function known({ states, transitions, depth, reduced, cyclic, exhausted, violations, instance }: DepthFirst) {
  const { fired } = instance.machine.rules;
  return { states, transitions, depth, reduced, cyclic, exhausted, violations, fired: [...fired] };
}

describe('what it finds', () => {
  test.each([
    ['D1', 'linux-5.11', INVARIANTS.I2],
    ['A1', 'queue/no-drain', INVARIANTS.I3],
    ['D3', 'ih-1', INVARIANTS.I4],
  ])('%s %s: a run that does break it', (id, variant, property) => {
    const { violations, instance } = finished(machineOf(id, variant), { properties: [property, NEVER] });
    expect(violations.map((v) => v.property)).toEqual([property.id]);
    expect(breaks(instance, violations[0].run, property)).toBe(true);
  });

  test('a deadlock, with a run that leads to it', () => {
    const machine = crossedLocks();
    const search = finished(machine, { properties: [INVARIANTS.I9, NEVER] });
    expect(search.violations.map((v) => v.property)).toEqual(['I9']);
    const replayed = replay(search.instance, search.violations[0].run);
    expect([replayed.deadlocked, replayed.failedAt]).toEqual([true, -1]);
  });

  test('that an operation keeps something outside the machine', () => {
    const machine = new Machine();
    const word = machine.word('w');
    let outside = 0;
    machine.actor('cpu0', function* () {
      yield {
        name: 'count',
        run: () => {
          outside++;
          word.value = outside;
        },
      };
    });
    expect(() => finished(machine)).toThrow(OutsideStateError);
  });
});

describe('when it ends', () => {
  test('with nothing left that could break; with what others found, sooner', () => {
    const properties = [INVARIANTS.I2, INVARIANTS.I4];
    const whole = finished(machineOf('D1', 'linux-5.11'), { properties: [...properties, NEVER] });
    const search = finished(machineOf('D1', 'linux-5.11'), { properties });
    expect([search.allBroken, search.exhausted, whole.exhausted]).toEqual([true, false, true]);
    expect(search.states).toBeLessThan(whole.states);
    const [first] = search.violations;
    const other = properties.filter((p) => p.id !== first.property).map((p) => p.id);
    const closed = searchOf(machineOf('D1', 'linux-5.11'), { properties });
    closed.begin();
    closed.close(other);
    finish(closed, 1);
    expect(closed.violations).toEqual([first]);
    expect(closed.transitions).toBeLessThanOrEqual(search.transitions);
  });

  test('at a bound, which is never taken for a proof', () => {
    const search = finished(machineOf('D1', 'ideal'), { maxStates: 500 });
    expect([search.states, search.bounded, search.exhausted]).toEqual([500, true, false]);
  });
});

/** Hardware that moves a word from one value to another. */
function mover(machine: Machine, name: string, moves: readonly (readonly [number, number])[]): void {
  const word = machine.word(name);
  const agent: Agent = {
    name,
    lane: 'iommu',
    choices: () => (moves.some(([from]) => from === word.value) ? 1 : 0),
    step: () => {
      word.value = moves.find(([from]) => from === word.value)?.[1] ?? 0;
    },
  };
  machine.hardware.push(agent);
}

describe('a run that comes back to where it was', () => {
  const isCyclic = (...moves: (readonly (readonly [number, number])[])[]) => {
    const machine = new Machine({ dmaSlots: 0 });
    moves.forEach((m, i) => {
      mover(machine, `unit ${i}`, m);
    });
    const word = machine.word('w');
    machine.actor('cpu0', function* () {
      yield* word.set(1);
      yield* word.set(0);
    });
    return finished(machine).cyclic;
  };

  test('is seen: a step that changes nothing, two that undo each other, three in a circle', () => {
    expect(isCyclic([[0, 0]])).toBe(true);
    expect(
      isCyclic([
        [0, 1],
        [1, 0],
      ]),
    ).toBe(true);
    expect(
      isCyclic([
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 1],
      ]),
    ).toBe(true);
    expect(
      isCyclic(
        [[0, 1]],
        [
          [0, 1],
          [1, 2],
          [2, 1],
        ],
      ),
    ).toBe(true);
  });

  test('is not one that only meets another run', () => {
    expect(
      isCyclic([
        [0, 1],
        [1, 2],
      ]),
    ).toBe(false);
    expect(
      isCyclic(
        [
          [0, 1],
          [1, 2],
        ],
        [
          [0, 1],
          [1, 2],
        ],
      ),
    ).toBe(false);
  });
});

describe('cut into parts', () => {
  const build = () => machineOf('D1', 'linux-6.12.117');
  const properties = [INVARIANTS.I2, INVARIANTS.I4, NEVER];
  const whole = finished(build(), { properties });

  test('in portions of any size it is the same', () => {
    for (const portion of [1, 7, 100_000]) {
      const search = searchOf(build(), { properties });
      search.begin();
      expect(known(finish(search, portion))).toEqual(known(whole));
    }
  });

  test('saved and gone on with in a machine of its own, again and again, it is the same to the bit', () => {
    for (const portion of [1999, 5003]) {
      let search = searchOf(build(), { properties });
      search.begin();
      let cuts = 0;
      while (!search.advance(portion)) {
        const saved = JSON.parse(JSON.stringify({ ...search.whole(), entries: [...search.whole().entries] }));
        search = searchOf(build(), { properties });
        search.restore({ ...saved, entries: Int32Array.from(saved.entries) });
        expect(search.isDone).toBe(false);
        cuts++;
      }
      expect(cuts).toBeGreaterThan(3);
      expect(known(search)).toEqual(known(whole));
      expect(search.whole().stacks).toEqual([]);
    }
  });

  /** Two searches over one set take turns; who has nothing to do gets a piece of what the other has left. */
  function shared(turns: number): { searches: DepthFirst[]; given: number } {
    const visited = new FingerprintSet();
    const searches = [0, 1].map(() => searchOf(build(), { properties, visited, ample: false }));
    searches[0].begin();
    let given = 0;
    for (let turn = 0; turn < turns && searches.some((s) => !s.isDone); turn++) {
      const [mine, other] = turn % 2 === 0 ? searches : [searches[1], searches[0]];
      if (mine.isDone) {
        const piece = other.give();
        if (piece === null) continue;
        given++;
        mine.resume(piece);
      }
      mine.advance(50);
    }
    return { searches, given };
  }

  test('given away piece by piece, nothing is done twice and nothing is left out', () => {
    const { searches, given } = shared(Number.MAX_SAFE_INTEGER);
    const full = finished(build(), { properties, ample: false });
    expect(given).toBeGreaterThan(5);
    expect(searches[0].states).toBe(full.states);
    expect(searches[0].transitions + searches[1].transitions).toBe(full.transitions);
    expect(Math.min(...searches.map((s) => s.transitions))).toBeGreaterThan(full.transitions / 10);
    const broken = new Set(searches.flatMap((s) => s.violations.map((v) => v.property)));
    expect([...broken].sort()).toEqual(full.violations.map((v) => v.property).sort());
    const sum = searches[0].instance.machine.rules.fired.map((n, i) => n + searches[1].instance.machine.rules.fired[i]);
    expect(sum.map((n) => n > 0)).toEqual(full.instance.machine.rules.fired.map((n) => n > 0));
  });

  test('what two had left is gone on with by one', () => {
    const { searches } = shared(40);
    const [first, second] = searches.map((s) => s.whole());
    expect([first.stacks.length, second.stacks.length]).toEqual([1, 1]);
    const alone = searchOf(build(), { properties, ample: false });
    alone.restore({
      ...first,
      stacks: [...first.stacks, ...second.stacks],
      transitions: first.transitions + second.transitions,
    });
    expect(alone.whole().stacks).toHaveLength(2);
    finish(alone);
    const full = finished(build(), { properties, ample: false });
    expect([alone.states, alone.transitions, alone.exhausted]).toEqual([full.states, full.transitions, true]);
  });

  test('a search that has only begun has nothing to give', () => {
    const search = searchOf(build());
    search.begin();
    expect(search.give()).toBeNull();
  });
});

test('facts of a step count, whether or not its state was seen before', () => {
  const machine = new Machine({ dmaSlots: 0 });
  const word = machine.word('w');
  machine.actor('cpu0', () => word.set(1));
  machine.actor('cpu1', function* () {
    yield {
      name: 'look',
      run: () => {
        if (word.value === 1) machine.facts.bits |= FACT.lostDirty;
      },
    };
  });
  const lost = { id: 'lost', broken: (facts: number) => (facts & FACT.lostDirty) !== 0 };
  // Whoever comes last comes to the same state; only one of the two shows it.
  expect(finished(machine, { properties: [lost, NEVER] }).violations.map((v) => v.property)).toEqual(['lost']);
});
