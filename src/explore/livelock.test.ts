import { describe, expect, test } from 'vitest';
import { CASES } from '../cases/registry.ts';
import { PROFILES } from '../iommu/vtd/index.ts';
import type { Agent, SoftwareWord } from '../machine/index.ts';
import { Machine, PHASE, SLOT } from '../machine/index.ts';
import { randomFrom } from './conduct.ts';
import type { Decision } from './decision.ts';
import { Instance } from './instance.ts';
import type { LivelockOptions } from './livelock.ts';
import { hasCycle, LivelockSearch } from './livelock.ts';
import { replay } from './replay.ts';
import { OutsideStateError } from './twice.ts';

/** Hardware that writes `to` when the word is `from`, as long as it may. */
function mover(name: string, word: SoftwareWord, from: number, to: number, may: () => boolean = () => true): Agent {
  return {
    name,
    lane: 'iommu',
    choices: () => (word.value === from && may() ? 1 : 0),
    step: () => {
      word.value = to;
    },
  };
}

function livelockOf(machine: Machine, options: LivelockOptions = {}): LivelockSearch {
  const search = new LivelockSearch(machine, options);
  while (!search.advance(100)) {}
  return search;
}

/** Takes the steps; what could step in each state, and who did. */
function follow(instance: Instance, run: readonly Decision[]): { enabled: boolean[][]; fingerprints: string[] } {
  const enabled: boolean[][] = [];
  const fingerprints: string[] = [];
  for (let n = 0; n <= run.length; n++) {
    const replayed = replay(instance, run.slice(0, n));
    expect(replayed.failedAt).toBe(-1);
    enabled.push(instance.agents.map((agent) => agent.choices() > 0));
    fingerprints.push(replayed.fingerprint);
  }
  return { enabled, fingerprints };
}

/** The cycle comes back to where it began, and everybody to whom it must be fair steps in it or cannot step at some time. */
function checkLasso({ instance, found }: LivelockSearch, mayRest: readonly string[] = []): void {
  if (found === null) throw new Error('no livelock');
  const { path, cycle } = found;
  expect(cycle.length).toBeGreaterThan(0);
  const { enabled, fingerprints } = follow(instance, [...path, ...cycle]);
  expect(fingerprints.at(-1)).toBe(fingerprints[path.length]);
  instance.agents.forEach((agent, a) => {
    if (mayRest.includes(agent.name)) return;
    const isServed = cycle.some((d) => d.agent === a) || enabled.slice(path.length).some((able) => !able[a]);
    expect(isServed, `fair to ${agent.name}`).toBe(true);
  });
}

/** Two movers that pass a word to and fro for ever, and a driver that waits for something else. */
function pingPong(): { machine: Machine; turn: SoftwareWord; go: SoftwareWord } {
  const machine = new Machine();
  const [turn, go] = [machine.word('turn'), machine.word('go')];
  machine.hardware.push(mover('ping', turn, 0, 1), mover('pong', turn, 1, 0));
  return { machine, turn, go };
}

describe('a cycle on which somebody waits for ever', () => {
  test('ping-pong while the driver waits: violated, with the lasso', () => {
    const { machine, go } = pingPong();
    machine.actor('driver', function* () {
      yield* go.set(1);
      yield* go.until(2);
    });
    machine.actor('other', () => go.set(1));
    const search = livelockOf(machine);
    expect(search.verdict).toBe('violated');
    expect(search.isCyclic).toBe(true);
    expect(search.found?.waiting).toEqual(['driver']);
    // Both must have come as far as they can: an actor that can always step is owed a step.
    expect(search.found?.path).toHaveLength(2);
    expect(search.found?.cycle).toHaveLength(2);
    checkLasso(search);
  });

  test('a guard that comes and goes may be missed each time: weak fairness', () => {
    const { machine, turn } = pingPong();
    machine.actor('driver', () => turn.until(1));
    const search = livelockOf(machine);
    expect(search.verdict).toBe('violated');
    checkLasso(search);
  });

  test('ping-pong that waits for the driver: holds, though it goes on for ever afterwards', () => {
    const machine = new Machine();
    const [turn, seen] = [machine.word('turn'), machine.word('seen')];
    machine.hardware.push(
      mover('ping', turn, 0, 1),
      mover('pong', turn, 1, 0, () => seen.value === 1),
    );
    machine.actor('driver', function* () {
      yield* turn.until(1);
      yield* seen.set(1);
    });
    const search = livelockOf(machine);
    expect(search.isCyclic).toBe(true);
    expect(search.verdict).toBe('holds');
    expect(search.found).toBeNull();
  });

  test('a cycle that is unfair to an actor holds', () => {
    const { machine, go } = pingPong();
    machine.actor('driver', () => go.set(1));
    const search = livelockOf(machine);
    expect(search.isCyclic).toBe(true);
    expect(search.verdict).toBe('holds');
  });

  test('a cycle that is unfair to hardware holds, unless that hardware may rest', () => {
    const build = () => {
      const { machine, go } = pingPong();
      machine.hardware.push(mover('cache', go, 0, 1));
      machine.actor('driver', () => go.until(1));
      return machine;
    };
    expect(livelockOf(build()).verdict).toBe('holds');
    const search = livelockOf(build(), { mayRest: ['cache'] });
    expect(search.verdict).toBe('violated');
    checkLasso(search, ['cache']);
    expect(search.found?.path).toHaveLength(0);
  });

  test('one step that changes nothing is a cycle', () => {
    const machine = new Machine();
    const go = machine.word('go');
    machine.hardware.push(mover('timer', go, 0, 0));
    machine.actor('driver', () => go.until(1));
    const search = livelockOf(machine);
    expect(search.verdict).toBe('violated');
    expect(search.found?.cycle).toHaveLength(1);
    checkLasso(search);
  });

  test('two DMAs that hold each other up in turn: who is in which slot matters', () => {
    const machine = new Machine();
    const { dma } = machine;
    machine.device('nic', 0x100, 1, [0x1000n]).stray([0x1000n], 'read', 2);
    machine.actor('driver', function* () {
      yield {
        name: 'wait for both',
        ready: () => dma.inFlight(0) === 0,
        run: () => {},
      };
    });
    const [first, second] = [dma.at(0), dma.at(1)];
    const isTurn = (slot: number) => dma.get(slot, SLOT.step) === 1;
    machine.dma.translator = {
      choices: () => 1,
      immediate: () => {},
      step: (slot) => {
        const other = slot === first ? second : first;
        if (dma.get(slot, SLOT.phase) === PHASE.issued) {
          dma.set(slot, SLOT.phase, PHASE.translating);
          dma.set(slot, SLOT.step, isTurn(other) ? 0 : 1);
        } else if (isTurn(slot) && dma.get(other, SLOT.phase) === PHASE.translating) {
          // Up to a change of places this is a step to where it was, and the other's would be one that never comes.
          dma.set(slot, SLOT.step, 0);
          dma.set(other, SLOT.step, 1);
        } else dma.abort(slot);
      },
    };
    const search = livelockOf(machine);
    expect(search.verdict).toBe('violated');
    expect(search.found?.waiting).toEqual(['driver']);
    checkLasso(search);
  });

  test('who may go on for ever need not end', () => {
    const { machine, go } = pingPong();
    machine.actor('server', () => go.until(2));
    expect(livelockOf(machine, { endless: ['server'] }).verdict).toBe('holds');
  });
});

describe('bounds', () => {
  /** A counter that must be followed for long, then a ping-pong. */
  const late = () => {
    const { machine, turn, go } = pingPong();
    turn.value = 2;
    machine.actor('driver', function* () {
      for (let i = 0; i < 20; i++) yield* go.set(i);
      yield* turn.set(0);
      yield* turn.until(3);
    });
    return machine;
  };

  test('a bound is never taken for a proof', () => {
    expect(livelockOf(late()).verdict).toBe('violated');
    const cut = livelockOf(late(), { maxStates: 10 });
    expect(cut.states).toBe(10);
    expect(cut.verdict).toBe('bounded');
  });

  test('a livelock among the states that are known is one', () => {
    const build = () => {
      const { machine, go } = pingPong();
      machine.actor('driver', () => go.until(1));
      machine.hardware.push({ name: 'counter', lane: 'iommu', choices: () => 1, step: () => go.value-- });
      return machine;
    };
    // The counter is owed a step, which leads on for ever: no cycle is fair to it, unless it may rest.
    expect(livelockOf(build(), { maxStates: 1000 }).verdict).toBe('bounded');
    expect(livelockOf(build(), { maxStates: 1000, mayRest: ['counter'] }).verdict).toBe('violated');
  });

  test('before the end, nothing is claimed', () => {
    const search = new LivelockSearch(pingPong().machine);
    expect(search.advance(1)).toBe(false);
    expect(search.verdict).toBe('bounded');
  });
});

test('an operation that keeps something outside the machine is found out', () => {
  const machine = new Machine();
  const word = machine.word('w');
  let outside = 0;
  const step = () => {
    outside++;
    word.value = outside;
  };
  machine.hardware.push({ name: 'timer', lane: 'iommu', choices: () => 1, step });
  expect(() => livelockOf(machine, { maxStates: 100 })).toThrow(OutsideStateError);
});

describe('whether there is a cycle at all', () => {
  test.each(['D3', 'A1'])('%s has none', (id) => {
    const definition = CASES.find((c) => c.id === id);
    if (definition === undefined) throw new Error(`no ${id}`);
    const [variant] = Object.keys(definition.variants);
    const build = () => definition.build({ variant, profile: PROFILES[0], mutant: null });
    expect(hasCycle(new Instance(build()))).toBe(false);
    expect(hasCycle(new Instance(build()), 100)).toBe('bounded');
  });

  test('of D3, the whole graph: no livelock', () => {
    const definition = CASES.find((c) => c.id === 'D3');
    if (definition === undefined) throw new Error('no D3');
    const search = livelockOf(definition.build({ variant: 'ih-1', profile: PROFILES[0], mutant: null }));
    expect([search.verdict, search.isCyclic]).toEqual(['holds', false]);
    expect(search.states).toBeGreaterThan(1000);
  });

  test('ping-pong has one, whoever waits', () => {
    expect(hasCycle(new Instance(pingPong().machine))).toBe(true);
  });
});

/** Agents as tables: by agent and state, the states that a step may lead to. */
type Tables = readonly (readonly (readonly number[])[])[];

function tableMachine(tables: Tables): Machine {
  const machine = new Machine({ dmaSlots: 0 });
  const state = machine.word('state');
  const never = machine.word('never');
  tables.forEach((table, a) => {
    machine.hardware.push({
      name: `agent ${a}`,
      lane: 'iommu',
      choices: () => table[state.value].length,
      step: (choice) => {
        state.value = table[state.value][choice];
      },
    });
  });
  machine.actor('driver', () => never.until(1));
  return machine;
}

/** By definition: some set of states that are reached, all from each other within the set, is fair to all agents. */
function hasFairCycle(tables: Tables, states: number): boolean {
  const edges = (from: number, within: number) =>
    tables.flatMap((table) => table[from].filter((to) => ((within >> to) & 1) === 1));
  const reach = (from: number, within: number) => {
    let seen = 0;
    const grow = (s: number): void => {
      for (const to of edges(s, within)) {
        if (((seen >> to) & 1) === 1) continue;
        seen |= 1 << to;
        grow(to);
      }
    };
    grow(from);
    return seen;
  };
  const all = (1 << states) - 1;
  const reached = reach(0, all) | 1;
  for (let set = 1; set <= all; set++) {
    if ((set & ~reached) !== 0) continue;
    const members = Array.from({ length: states }, (_, s) => s).filter((s) => ((set >> s) & 1) === 1);
    if (!members.every((s) => (reach(s, set) & set) === set)) continue;
    const isFair = tables.every((table) =>
      members.some((s) => table[s].length === 0 || table[s].some((to) => ((set >> to) & 1) === 1)),
    );
    if (isFair) return true;
  }
  return false;
}

test('3,000 random graphs against the definition; each lasso is fair', () => {
  const counts = { violated: 0, holds: 0, bounded: 0 };
  let cyclicButFairless = 0;
  for (let seed = 0; seed < 3000; seed++) {
    const random = randomFrom(seed);
    const states = 2 + random(5);
    const tables = Array.from({ length: 1 + random(3) }, () =>
      Array.from({ length: states }, () => Array.from({ length: Math.max(0, random(5) - 2) }, () => random(states))),
    );
    const search = livelockOf(tableMachine(tables));
    expect(search.verdict, `seed ${seed}`).toBe(hasFairCycle(tables, states) ? 'violated' : 'holds');
    counts[search.verdict]++;
    if (search.verdict === 'violated') checkLasso(search);
    else if (search.isCyclic) cyclicButFairless++;
  }
  expect(Math.min(counts.violated, counts.holds, cyclicButFairless)).toBeGreaterThan(50);
});
