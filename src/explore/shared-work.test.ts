/** What threads share beside the visited set, here in one thread; `test/cli/shared.test.ts` has several. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import { FACT, Machine } from '../machine/index.ts';
import { DepthFirst } from './depth-first.ts';
import { FingerprintSet, SharedFingerprintSet } from './fingerprint-set.ts';
import { Instance } from './instance.ts';
import { OpenStates } from './open-states.ts';
import type { Property } from './search.ts';
import { SharedWork } from './shared-work.ts';

const PROPERTIES: readonly Property[] = [
  ...Object.entries(FACT).map(([id, fact]) => ({ id, broken: (facts: number) => (facts & fact) !== 0 })),
  { id: 'never', broken: () => false },
];
const IDS = PROPERTIES.map((p) => p.id);

function instance(): Instance {
  const definition = CASES.find((c) => c.id === 'D1');
  if (definition === undefined) throw new Error('no D1');
  return new Instance(definition.build({ variant: 'linux-5.11', profile: PROFILES[0], mutant: null }));
}

/** Alone, as it would be without threads. */
function alone(): DepthFirst {
  const search = new DepthFirst(instance(), { properties: PROPERTIES });
  search.begin();
  while (!search.advance(10_000)) {}
  return search;
}

/** One thread of one, from a search that has begun elsewhere. */
function thread(maxStates = 100_000): {
  work: SharedWork;
  visited: SharedFingerprintSet;
  search: DepthFirst;
  begun: number[];
} {
  const first = new DepthFirst(instance(), { properties: PROPERTIES });
  first.begin();
  first.advance(300);
  const { stacks, entries } = first.whole();
  const visited = new SharedFingerprintSet(new SharedArrayBuffer(SharedFingerprintSet.bytesFor(maxStates)));
  visited.prepare(1, entries);
  const work = new SharedWork(new SharedArrayBuffer(SharedWork.BYTES));
  work.prepare(1);
  return { work, visited, search: new DepthFirst(instance(), { properties: PROPERTIES, visited }), begun: stacks[0] };
}

const noStand = () => {
  throw new Error('nobody was to stand');
};

describe('a thread', () => {
  test('that is the only one does the whole search', () => {
    const { work, visited, search, begun } = thread();
    work.run(0, search, [begun], visited, IDS, 100_000, noStand);
    const whole = alone();
    expect([work.isDone, work.isStopped, work.idle]).toEqual([true, false, 1]);
    expect([visited.size, search.transitions + 300]).toEqual([whole.states, whole.transitions]);
    expect(work.totals()).toEqual({ transitions: search.transitions, depth: search.depth });
    // Bits of the properties are in their order; the first 300 steps broke none.
    const broken = IDS.filter((_, i) => ((work.broken >> i) & 1) !== 0);
    expect(broken).toEqual(IDS.filter((id) => whole.violations.some((v) => v.property === id)));
    expect(broken.length).toBeGreaterThan(0);
  });

  test('finds pieces of work that wait', () => {
    const { work, visited, search, begun } = thread();
    expect(work.put(begun)).toBe(true);
    expect(work.waiting()).toEqual([begun]);
    work.run(0, search, [], visited, IDS, 100_000, noStand);
    expect(work.waiting()).toEqual([]);
    expect(visited.size).toBe(alone().states);
  });

  test('stands still to be saved, and what it saves is all that is left', () => {
    const { work, visited, search, begun } = thread();
    work.stand();
    let saved: { stacks: number[][]; entries: Int32Array } | null = null;
    let stands = 0;
    work.run(0, search, [[...begun]], visited, IDS, 100_000, (stacks) => {
      stands++;
      saved = { stacks, entries: visited.entries() };
      work.go();
    });
    expect([stands, work.isDone]).toEqual([1, true]);
    const { stacks, entries } = saved as unknown as { stacks: number[][]; entries: Int32Array };
    const again = new FingerprintSet();
    again.load(entries);
    const rest = new DepthFirst(instance(), { properties: PROPERTIES, visited: again });
    rest.resume(stacks[0]);
    while (!rest.advance(1000)) {}
    expect([stacks.length, rest.states]).toEqual([1, visited.size]);
  });

  test('ends when it is told to, at a bound, and where nothing is left that could break', () => {
    const told = thread();
    told.work.stop();
    told.work.run(0, told.search, [told.begun], told.visited, IDS, 100_000, noStand);
    expect([told.search.transitions, told.work.isDone]).toEqual([0, false]);

    const bounded = thread();
    bounded.work.run(0, bounded.search, [bounded.begun], bounded.visited, IDS, 1000, noStand);
    expect([bounded.work.isStopped, bounded.work.isDone]).toEqual([true, false]);
    expect(bounded.visited.size).toBeGreaterThanOrEqual(1000);
    expect(bounded.visited.size).toBeLessThan(3000);

    const broken = thread();
    broken.search.close(IDS);
    broken.work.run(0, broken.search, [broken.begun], broken.visited, IDS, 100_000, noStand);
    expect([broken.work.isStopped, broken.work.isDone]).toEqual([true, false]);
  });

  test('ends where the table is full, though it was promised fewer states', () => {
    const { work, visited, search, begun } = thread(500);
    work.run(0, search, [begun], visited, IDS, 100_000, noStand);
    expect([visited.isFull, work.isStopped, work.isDone]).toEqual([true, true, false]);
  });
});

describe('a thread that would sleep', () => {
  // In one thread, whoever sleeps is never woken: what would wake it is done where it would fall asleep.
  const sleeps: number[] = [];
  let awake: () => void = () => {};
  const asleep = (array: Int32Array, index: number, value: number) => {
    if (Atomics.load(array, index) !== value) return 'not-equal' as const;
    sleeps.push(index);
    if (sleeps.length > 100) throw new Error('nobody wakes it');
    awake();
    return 'ok' as const;
  };
  beforeEach(() => {
    sleeps.length = 0;
    vi.spyOn(Atomics, 'wait').mockImplementation(asleep as typeof Atomics.wait);
  });
  afterEach(() => void vi.restoreAllMocks());

  test('stands again where the next order comes before it has fallen asleep', () => {
    const { work, visited, search, begun } = thread();
    work.stand();
    let stands = 0;
    work.run(0, search, [[...begun]], visited, IDS, 100_000, () => {
      stands++;
      work.go();
      if (stands < 3) work.stand();
    });
    expect([stands, work.isDone, sleeps]).toEqual([3, true, []]);
    expect(visited.size).toBe(alone().states);
  });

  test('sleeps while it stands, and goes on or ends as it is told', () => {
    const { work, visited, search, begun } = thread();
    work.stand();
    const standing: number[] = [];
    awake = () => {
      standing.push(search.transitions);
      work.go();
    };
    const left = work.run(0, search, [[...begun]], visited, IDS, 100_000, () => {});
    expect([standing, left, work.isDone]).toEqual([[0], [], true]);

    const other = thread();
    other.work.stand();
    awake = () => other.work.stop();
    const rest = other.work.run(0, other.search, [[...other.begun]], other.visited, IDS, 100_000, () => {});
    // What is left is all that it was given.
    expect([rest, other.search.transitions]).toEqual([[other.begun], 0]);
  });

  test('for want of work is asked to stand like all others, once each time', () => {
    const { work, visited, search, begun } = thread();
    // The other of two threads has never anything to spare, and never ends.
    work.prepare(2);
    visited.prepare(2, new Int32Array());
    Atomics.add(new Int32Array(work.buffer), 8, 1);
    const said: [number, number][] = [];
    const script = [
      () => work.stand(),
      () => work.go(),
      () => work.stand(),
      () => {},
      () => work.go(),
      () => work.stop(),
    ];
    awake = () => {
      expect([search.isDone, work.idle]).toEqual([true, 1]);
      script[sleeps.length - 1]();
    };
    const left = work.run(0, search, [begun], visited, IDS, 100_000, (stacks) =>
      said.push([stacks.length, sleeps.length]),
    );
    expect(said).toEqual([
      [0, 1],
      [0, 3],
    ]);
    expect(left).toEqual([]);
  });
});

describe('orders', () => {
  test('nobody who was told to end is made to stand, or to go on', () => {
    const { work } = thread();
    work.stop();
    work.stand();
    expect(work.isStopped).toBe(true);
    work.go();
    expect(work.isStopped).toBe(true);
  });

  test('who stands can be told to end', () => {
    const { work } = thread();
    work.stand();
    expect(work.isStopped).toBe(false);
    work.stop();
    expect(work.isStopped).toBe(true);
  });
});

describe('a branch that is given away', () => {
  test('is not judged by who gave it away: who has to take a step there may be among what was given', () => {
    // The cache can write back, and need not; behind it, other hardware can step, and has to. Whoever takes the first alone knows nothing of the other.
    const build = () => {
      const machine = new Machine({ coherentWalker: false, dmaSlots: 0 });
      machine.frame('page', 0x1000n, machine.owner('kernel', 'other'), [0]);
      const done = machine.word('done');
      const ticks = machine.word('ticks');
      machine.hardware.push({
        name: 'clock',
        lane: 'iommu',
        choices: () => (ticks.value < 3 ? 1 : 0),
        step: () => {
          ticks.value++;
          if (ticks.value === 3) done.value = 1;
        },
      });
      const cpu = machine.cpu();
      machine.actor('driver', function* () {
        yield* cpu.write64(0x1000n, 1n);
        yield* done.until(1);
      });
      return new Instance(machine);
    };
    const deadlock = PROPERTIES.filter((p) => p.id === 'deadlock');
    const visited = new FingerprintSet();
    const search = new DepthFirst(build(), { properties: deadlock, visited, ample: false });
    search.begin();
    const pieces: number[][] = [];
    for (let over = false; !over; ) {
      over = search.advance(1);
      const piece = search.give();
      if (piece !== null) pieces.push(piece);
    }
    expect(pieces.length).toBeGreaterThan(0);
    for (const piece of pieces) {
      search.resume(piece);
      while (!search.advance(100)) {}
    }
    const whole = new DepthFirst(build(), { properties: deadlock, ample: false });
    whole.begin();
    while (!whole.advance(100)) {}
    expect([search.violations, whole.violations]).toEqual([[], []]);
    expect(search.states).toBe(whole.states);
  });

  test('is none that is larger than there is room for; it stays where it is', () => {
    const search = new DepthFirst(instance(), { properties: PROPERTIES });
    search.begin();
    search.advance(300);
    const [before] = search.whole().stacks;
    expect(search.give(6)).toBeNull();
    expect(search.whole().stacks).toEqual([before]);
    const piece = search.give() ?? [];
    expect(piece.length).toBeGreaterThan(6);
    while (!search.advance(10_000)) {}
    search.resume(piece);
    while (!search.advance(10_000)) {}
    const whole = alone();
    expect([search.states, search.transitions]).toEqual([whole.states, whole.transitions]);
  });
});

test('no more pieces of work than there is room for, and none that is too large', () => {
  const { work } = thread();
  expect(work.put(new Array(20_000).fill(1))).toBe(false);
  const pieces = Array.from({ length: 70 }, (_, i) => new Array(i * 7).fill(i));
  expect(pieces.filter((piece) => work.put(piece))).toHaveLength(64);
  expect(work.waiting()).toEqual(pieces.slice(0, 64));
});

// A cycle whose states two stacks came to first is on neither of them as a whole.
describe('a cycle that two stacks find one half each of', () => {
  /** Software begins at 1 or at 2; hardware leads from each of them to the other, if `back`, else only from 1 to 2. */
  const build = (back: boolean) => {
    const machine = new Machine({ dmaSlots: 0 });
    const word = machine.word('w');
    for (const [from, to] of back
      ? [
          [1, 2],
          [2, 1],
        ]
      : [[1, 2]]) {
      machine.hardware.push({
        name: `from ${from}`,
        lane: 'iommu',
        choices: () => (word.value === from ? 1 : 0),
        step: () => {
          word.value = to;
        },
      });
    }
    machine.actor('cpu0', function* () {
      yield {
        name: 'begin',
        choices: 2,
        run: (way) => {
          word.value = 1 + way;
        },
      };
    });
    return new Instance(machine);
  };

  /** Two searches over one set, each of which has come to one half. */
  function halves(back: boolean): { visited: FingerprintSet; searches: DepthFirst[] } {
    const visited = new FingerprintSet();
    visited.open = new OpenStates(new ArrayBuffer(OpenStates.BYTES));
    const [first, second] = [0, 1].map(() => new DepthFirst(build(back), { properties: [PROPERTIES[0]], visited }));
    first.begin();
    while (first.position < 1) first.advance(1);
    const piece = first.give();
    expect(piece).not.toBeNull();
    second.resume(piece ?? []);
    while (second.position < 1) second.advance(1);
    return { visited, searches: [first, second] };
  }

  test.each([
    [true, 'is one'],
    [false, 'is none without its second half'],
  ])('%s: %s', (back) => {
    const { visited, searches } = halves(back);
    for (const search of searches) while (!search.advance(1)) {}
    expect(visited.size).toBe(3);
    expect(searches.some((search) => search.cyclic)).toBe(back);
  });

  test.each([true, false])('one thread goes on with both stacks: %s', (back) => {
    const { searches } = halves(back);
    const [{ stacks, ...saved }, other] = searches.map((search) => search.whole());
    const search = new DepthFirst(build(back), { properties: [PROPERTIES[0]] });
    search.restore({ ...saved, stacks: [...stacks, ...other.stacks] });
    while (!search.advance(1)) {}
    expect([search.states, search.cyclic]).toEqual([3, back]);
  });
});
