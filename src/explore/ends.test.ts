import { expect, test } from 'vitest';
import { MODELS } from '../cases/models.ts';
import { CASES } from '../cases/registry.ts';
import { Machine } from '../machine/index.ts';
import { FootprintError } from './ample.ts';
import { DepthFirst } from './depth-first.ts';
import { Ends } from './ends.ts';
import { Instance } from './instance.ts';

const NEVER = [{ id: 'never', broken: () => false }];

/** Hardware that counts a word down; what it says that is left is the word's value, and what is given for 0. */
function countdown(left: (value: number) => number): Instance {
  const machine = new Machine({ dmaSlots: 1 });
  const word = machine.word('w');
  machine.hardware.push({
    name: 'counter',
    lane: 'iommu',
    choices: () => (word.value > 0 ? 1 : 0),
    step: () => {
      word.value--;
    },
    left: () => left(word.value),
  });
  machine.actor('cpu0', function* () {
    yield* word.set(3);
  });
  return new Instance(machine);
}

function search(instance: Instance): DepthFirst {
  const found = new DepthFirst(instance, { properties: NEVER });
  found.begin();
  while (!found.advance(1000)) {}
  return found;
}

test('every case of ours has hardware that comes to an end by itself, counts every step of it, and no run comes back', () => {
  const untold: string[] = [];
  for (const definition of CASES) {
    for (const variant of Object.keys(definition.variants)) {
      for (const profile of MODELS[definition.model].profiles) {
        const instance = new Instance(definition.build({ variant, profile, mutant: null }));
        if (Ends.of(instance) === null) {
          untold.push(`${definition.id} ${variant}`);
          continue;
        }
        const { ends, every } = everyStepCounted(instance);
        expect([definition.id, variant, ends, every > 0]).toEqual([definition.id, variant, true, true]);
      }
    }
  }
  // A stalled transaction begins anew as often as CMD_RESUME says: whether it goes on for ever is looked for (livelock.ts).
  const waits = ['bbm', 'swap', 'nt'].flatMap((how) => [0, 1, 2].map((bbml) => `D4 ${how}/fault/bbml-${bbml}`));
  expect([...new Set(untold)]).toEqual(waits);
}, 120_000);

/** Takes up to so many steps of all there are, and compares what is left before and after each one of hardware's. */
function everyStepCounted(instance: Instance): { ends: boolean; every: number } {
  const { actors, agents, tracker } = instance;
  const left = Ends.of(instance) as Ends;
  const seen = new Set<string>();
  let every = 0;
  const walk = (depth: number): boolean => {
    if (seen.size > 1500 || depth > 400) return true;
    for (let a = agents.length - 1; a >= 0; a--) {
      const mark = tracker.mark();
      for (let choice = 0; choice < agents[a].choices(); choice++) {
        const before = left.left();
        agents[a].step(choice);
        if (a >= actors.length) {
          every++;
          if (left.left() >= before) return false;
        }
        const key = `${tracker.fpA} ${tracker.fpB}`;
        if (!seen.has(key)) {
          seen.add(key);
          if (!walk(depth + 1)) return false;
        }
        tracker.undo(mark);
      }
    }
    return true;
  };
  return { ends: walk(0), every };
}

test('hardware that does not say what is left, or cannot tell, may go on for ever', () => {
  expect(Ends.of(countdown((value) => value))).not.toBeNull();
  expect(Ends.of(countdown(() => -1))).toBeNull();
  const machine = new Machine({ dmaSlots: 0 });
  machine.hardware.push({ name: 'timer', lane: 'iommu', choices: () => 0, step: () => {} });
  expect(Ends.of(new Instance(machine))).toBeNull();
});

test('a step that is not counted is found, and named', () => {
  expect(search(countdown((value) => value)).states).toBe(5);
  expect(() => search(countdown(() => 7))).toThrow(FootprintError);
  expect(() => search(countdown((value) => 9 - value))).toThrow(/after a step of counter, .* correct left\(\)/);
});
