/** Minimal automata of programs: fewer positions, never another program. */
import { describe, expect, test } from 'vitest';
import type { Cpu, Op, Program, SoftwareWord } from '../machine/index.ts';
import { choose, FACT, Machine, operation } from '../machine/index.ts';
import type { ActorAgent } from './actor-agent.ts';
import { DepthFirst } from './depth-first.ts';
import type { Reduction } from './instance.ts';
import { Instance } from './instance.ts';
import { PreemptionBounded } from './preemption-bounded.ts';
import { ProgramError } from './program-error.ts';
import { RandomSearch } from './random-search.ts';
import type { Property, Violation } from './search.ts';
import { Search } from './search.ts';
import { StateGraph } from './state-graph.ts';
import { OutsideStateError } from './twice.ts';

/** A machine with one actor, and one word `out` whose last values are what comes of it. */
function machineOf(program: (out: SoftwareWord, machine: Machine) => Program): Machine {
  const machine = new Machine({ dmaSlots: 0 });
  const out = machine.word('out');
  machine.actor('cpu0', () => program(out, machine));
  return machine;
}

interface Searched {
  readonly actor: ActorAgent;
  readonly states: number;
  /** Values of `out` in the end. */
  readonly ends: number[];
}

function searched(machine: Machine, without: readonly Reduction[] = []): Searched {
  const instance = new Instance(machine, { without });
  const out = machine.arena.regions.find((r) => r.name === 'software')?.base ?? -1;
  const ends = new Set<number>();
  const onEnd = () => ends.add(machine.arena.words[out]);
  const search = new DepthFirst(instance, { properties: [], ample: false, onEnd });
  search.begin();
  while (!search.advance(1000)) {}
  return { actor: instance.actors[0], states: search.states, ends: [...ends].sort((a, b) => a - b) };
}

function assign(word: SoftwareWord, value: number): void {
  word.value = value;
}

/** A number operation that yields `value`. */
function* asked(name: string, results: readonly number[], value: () => number): Program<number> {
  return yield* operation(name, { results, run: value });
}

describe('a program whose branches rejoin', () => {
  /** Three choices that leave nothing behind, then one that does. */
  function* rejoining(out: SoftwareWord): Program {
    for (let i = 0; i < 3; i++) yield* choose(`way ${i}`, 4);
    if ((yield* choose('last', 2)) === 1) yield* out.set(5);
    yield* out.set(7);
  }

  test('has as many distinct positions as it has futures', () => {
    const { actor } = searched(machineOf(rejoining));
    expect(actor.compiled).toBe(true);
    // 1 + 4 + 16 + 64 paths to the last choice, then two ways for each: out = 7, end; out = 5, out = 7, end.
    expect(actor.positions.nodes).toBe(1 + 4 + 16 + 64 + 64 * 2 + 64 * 3);
    // way 0, way 1, way 2, last, out = 5, out = 7, end.
    expect(actor.positions.distinct).toBe(7);
  });

  test('has fewer states, and the same ends', () => {
    const [with_, without] = [searched(machineOf(rejoining)), searched(machineOf(rejoining), ['automata'])];
    // way 0, way 1, way 2 and last to come; out = 5 to come; out = 7 to come, before 5 and after; the end.
    expect(with_.states).toBe(8);
    expect(without.states).toBeGreaterThan(64);
    expect(with_.ends).toEqual(without.ends);
    expect(with_.ends).toEqual([7]);
  });

  test('a choice that is remembered is not forgotten', () => {
    function* remembering(out: SoftwareWord): Program {
      const first = yield* choose('first', 3);
      const second = yield* choose('second', 3);
      yield* out.set(first * 10 + second);
    }
    for (const without of [[], ['automata']] as const) {
      expect(searched(machineOf(remembering), without).ends).toEqual([0, 1, 2, 10, 11, 12, 20, 21, 22]);
    }
  });
});

describe('two operations of one name', () => {
  /** What is chosen decides what the next operation does, and nothing but its text could tell. */
  const twoThings = (second: Partial<Op>) =>
    machineOf(function* (out) {
      const way = yield* choose('way', 2);
      const first: Op = { name: 'the same', run: () => assign(out, 1) };
      yield way === 0 ? first : { ...first, ...second };
    });

  test('that do two things are found', () => {
    const machine = twoThings({});
    expect(searched(machine).ends).toEqual([1]);
    const wrong = machineOf(function* (out) {
      const way = yield* choose('way', 2);
      yield { name: 'the same', run: () => assign(out, 1 + way) };
    });
    let thrown: unknown;
    try {
      searched(wrong);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(OutsideStateError);
    expect(thrown).toMatchObject({ actor: 'cpu0', operation: 'the same' });
    expect((thrown as Error).message).toBe(
      "'the same' is the name of two operations that do two things; give them two names",
    );
  });

  test('are two where one waits, chooses or belongs to the step before', () => {
    const distinct = (second: Partial<Op>) => searched(twoThings(second)).actor.positions.distinct;
    // way, the same, end.
    expect(distinct({})).toBe(3);
    expect(distinct({ ready: () => true })).toBe(4);
    expect(distinct({ choices: 2 })).toBe(4);
    expect(distinct({ join: 'after' })).toBe(4);
    expect(distinct({ returns: 'number', results: [1], run: () => 1 })).toBe(4);
  });
});

describe('a program that throws', () => {
  /** Asked for a value that is always `value`, it throws on 1 and goes on otherwise. */
  const throwing = (value: number) =>
    machineOf(function* (out) {
      const got = yield* asked('ask', [0, 1, 2], () => value);
      if (got === 1) throw new Error('not this way');
      yield* out.set(10 + got);
      yield* out.set(20 + got);
    });

  test('on a path that is never taken is fine, and goes on to its end on the others', () => {
    for (const value of [0, 2]) {
      const { actor, ends, states } = searched(throwing(value));
      expect(actor.compiled).toBe(false);
      expect(ends).toEqual([20 + value]);
      expect(states).toBe(4);
    }
  });

  test('on a path that is taken is refused', () => {
    expect(() => searched(throwing(1))).toThrow(ProgramError);
    expect(() => searched(throwing(1))).toThrow('it threw: not this way');
  });
});

describe('a program that is not known as a whole', () => {
  test('has more than 4,096 positions: its positions are found as they are reached', () => {
    function* wide(ways: number, out: SoftwareWord): Program {
      const first = yield* choose('first', ways);
      const second = yield* choose('second', ways);
      yield* out.set(first === second ? 1 : 2);
    }
    // 1 + n + n² positions, then two more for each pair.
    const small = searched(machineOf((out) => wide(36, out)));
    expect(small.actor.compiled).toBe(true);
    expect(small.actor.positions.nodes).toBe(1 + 36 + 36 * 36 * 2);
    const large = searched(machineOf((out) => wide(70, out)));
    expect(large.actor.compiled).toBe(false);
    expect([small.ends, large.ends]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    // In the small one, what was chosen second is forgotten but for whether it was the first. All ends are one, for each value.
    expect(small.states).toBe(1 + 36 + 2 + 2);
    expect(large.states).toBe(1 + 70 + 70 * 70 + 2);
  });

  test('asks for a value that it does not declare', () => {
    const { actor, ends } = searched(
      machineOf(function* (out) {
        const before = yield* out.get();
        yield* out.set(before + 3);
      }),
    );
    expect(actor.compiled).toBe(false);
    expect(ends).toEqual([3]);
  });
});

test('a position is the same in every machine that is built anew', () => {
  const keys = () => {
    const machine = machineOf(function* (out) {
      yield* choose('way', 3);
      yield* out.set(1);
    });
    const instance = new Instance(machine);
    const region = machine.arena.regions.find((r) => r.name === 'actors');
    return [...machine.arena.words.subarray(region?.base, (region?.base ?? 0) + 2), instance.tracker.fpA];
  };
  expect(keys()).toEqual(keys());
});

/** One actor waits, by a guard that has captured what was chosen; another sets `x` to 1, and ends. */
function captured(wait: (x: SoftwareWord, least: number) => Partial<Op>): { machine: Machine; x: SoftwareWord } {
  const machine = new Machine({ dmaSlots: 0 });
  const x = machine.word('x');
  machine.actor('waiter', function* () {
    const least = 1 + (yield* choose('least', 2));
    yield { name: 'wait', run: () => {}, ...wait(x, least) };
  });
  machine.actor('other', function* () {
    yield* x.set(1);
  });
  return { machine, x };
}

describe('two waits of one name and one text that have captured two values', () => {
  const DEADLOCK: Property = { id: 'I9', broken: (facts) => (facts & FACT.deadlock) !== 0 };
  const options = { properties: [DEADLOCK] };
  const build = () => captured((x, least) => ({ ready: () => x.value >= least })).machine;
  /** Every search, to its end. @returns what broke */
  const searches: Readonly<Record<string, () => readonly Violation[]>> = {
    'breadth-first': () => ended(new Search(new Instance(build()), options)).violations,
    'depth-first': () => {
      const search = new DepthFirst(new Instance(build()), options);
      search.begin();
      return ended(search).violations;
    },
    'preemption-bounded': () => ended(new PreemptionBounded(build(), options)).violations,
    random: () => {
      const search = new RandomSearch(new Instance(build()), { ...options, seed: 1, maxSteps: 100 });
      search.advance(50);
      return search.violations;
    },
  };

  test.each(Object.entries(searches))('are two: %s', (_, search) => {
    // Whoever waits for 2 waits for ever.
    expect(search().map((v) => v.property)).toEqual(['I9']);
  });

  test('are two in the graph of all states', () => {
    const graph = new StateGraph(new Instance(build(), { without: ['symmetry'] }));
    while (!graph.advance(1000)) {}
    // Least to be chosen, or waiting for 1, or for 2, or its end: with x = 0 and x = 1, but no end with x = 0.
    expect(graph.states).toBe(7);
  });

  const distinct = (wait: Parameters<typeof captured>[0]) => new Instance(captured(wait).machine).actors[0].positions;

  test('are one where they are known to wait for one thing, and two wherever they are not', () => {
    // Least to be chosen, waiting, the end; the three nodes more are twins.
    expect(distinct(() => ({}))).toEqual({ nodes: 5, distinct: 3 });
    expect(distinct((x) => ({ ready: () => x.value >= 1 })).distinct).toBe(4);
    expect(distinct((x) => ({ ready: () => x.value >= 1, on: [1] })).distinct).toBe(3);
    expect(distinct((x, least) => ({ ready: () => x.value >= least, on: [least] })).distinct).toBe(4);
    const isSet = () => true;
    expect(distinct(() => ({ ready: isSet })).distinct).toBe(3);
    // Equal operands of two texts say nothing.
    expect(distinct((x, n) => ({ ready: n === 1 ? () => x.value > 0 : () => x.value > 1, on: [] })).distinct).toBe(4);
  });

  test("are one where they are the machine's own", () => {
    const merged = (wait: (machine: Machine, n: number) => Program) => {
      const machine = new Machine({ dmaSlots: 1 });
      machine.actor('cpu0', function* () {
        const n = yield* choose('n', 2);
        yield* wait(machine, n);
      });
      machine.frame('F', 0x1000n, machine.owner('kernel', 'other'), [0]);
      return machine;
    };
    const count = (wait: (machine: Machine, n: number) => Program, prepare: (machine: Machine) => void = () => {}) => {
      const machine = merged(wait);
      prepare(machine);
      return new Instance(machine).actors[0].positions.distinct;
    };
    let word: SoftwareWord;
    let cpu: Cpu;
    const withWord = (machine: Machine) => {
      word = machine.word('w');
      cpu = machine.cpu('cpu0', 'tso');
    };
    expect(count(() => word.until(1), withWord)).toBe(3);
    expect(count((_, n) => word.until(n), withWord)).toBe(4);
    expect(count(() => word.lock(), withWord)).toBe(3);
    expect(count(() => cpu.write64(0x1000n, 1n), withWord)).toBe(3);
    expect(count(() => cpu.fence(), withWord)).toBe(3);
    expect(count(() => cpu.waitFor32(0x1000n, 1, 'it is 1'), withWord)).toBe(3);
    expect(count((_, n) => cpu.waitFor32(0x1000n, n, 'it is so'), withWord)).toBe(4);
  });
});

function ended<T extends { advance(count: number): boolean }>(search: T): T {
  while (!search.advance(1000)) {}
  return search;
}

test('operations of one name are compared however late a search comes to them', () => {
  // 700 states of another actor's come first, so that no step of theirs is among those that are taken twice anyway, but for one in 64.
  const found = Array.from({ length: 40 }, (_, shift) => {
    const machine = new Machine({ dmaSlots: 0 });
    const [x, n] = [machine.word('x'), machine.word('n')];
    machine.actor('first', function* () {
      for (let i = 0; i < 700 + shift; i++) yield* n.set(i + 1);
    });
    machine.actor('second', function* () {
      yield { name: 'until then', ready: () => n.value === 700 + shift, run: () => {} };
      const way = yield* choose('way', 2);
      yield { name: 'the same', run: () => assign(x, 1 + way) };
    });
    const search = new DepthFirst(new Instance(machine), { properties: [], ample: false });
    search.begin();
    try {
      ended(search);
      return 'nothing';
    } catch (error) {
      return (error as Error).name;
    }
  });
  expect(new Set(found)).toEqual(new Set(['OutsideStateError']));
});

test('two waits of one name that wait for two things are two', () => {
  const ends = (without: readonly Reduction[]) => {
    const found = new Set<number>();
    const machine = new Machine({ dmaSlots: 0 });
    const x = machine.word('x');
    const early = machine.word('early');
    machine.actor('cpu0', function* () {
      yield* x.set(1);
      yield* x.set(2);
    });
    machine.actor('cpu1', function* () {
      if ((yield* choose('way', 2)) === 0)
        yield { name: 'wait', returns: 'nothing', ready: () => x.value >= 2, run: () => {} };
      else yield { name: 'wait', returns: 'nothing', ready: () => x.value >= 1, run: () => {} };
      const mark = () => {
        if (x.value === 1) early.value = 1;
      };
      yield { name: 'mark', returns: 'nothing', run: mark };
    });
    const instance = new Instance(machine, { without });
    const search = new DepthFirst(instance, { properties: [], ample: false, onEnd: () => found.add(early.value) });
    search.begin();
    while (!search.advance(1000)) {}
    return [...found].sort();
  };
  expect(ends(['automata'])).toEqual([0, 1]);
  expect(ends([])).toEqual([0, 1]);
});
