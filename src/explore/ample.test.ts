/** Partial-order reduction: what it leaves out, and wrong declarations of what is nobody else's business. */
import { describe, expect, test } from 'vitest';
import type { Agent, Op, SoftwareWord } from '../machine/index.ts';
import { atomic, FACT, Machine } from '../machine/index.ts';
import { FootprintError } from './ample.ts';
import { DepthFirst } from './depth-first.ts';
import { Instance } from './instance.ts';
import type { Property } from './search.ts';

const LOST: Property = { id: 'lost', broken: (facts) => (facts & FACT.lostDirty) !== 0 };
const STUCK: Property = { id: 'stuck', broken: (facts) => (facts & FACT.deadlock) !== 0 };
const NEVER: Property = { id: 'never', broken: () => false };

interface Searched {
  readonly search: DepthFirst;
  readonly ends: string[];
}

function searched(machine: Machine, words: readonly SoftwareWord[] = [], ample = true): Searched {
  const ends = new Set<string>();
  const onEnd = () => ends.add(words.map((word) => word.value).join(' '));
  const search = new DepthFirst(new Instance(machine), { properties: [LOST, STUCK, NEVER], ample, onEnd });
  search.begin();
  while (!search.advance(1000)) {}
  return { search, ends: [...ends].sort() };
}

/** Software alone, so that no hardware forbids a reduction. */
const software = () => new Machine({ dmaSlots: 0 });

/** What the operations of a word declare that they touch. */
const touchesOf = (word: SoftwareWord): readonly number[] => ([...word.set(0)] as Op[])[0].touches ?? [];

/** An operation that assigns to a word and says that it touches `declared`. */
function assignment(name: string, declared: readonly SoftwareWord[], run: () => void, ready?: () => boolean): Op {
  return { name, touches: declared.flatMap(touchesOf), run, ...(ready && { ready }) };
}

describe('what is left out', () => {
  test('of actors that share nothing, all orders but one', () => {
    const build = () => {
      const machine = software();
      const words = [0, 1, 2].map((i) => machine.word(`w${i}`));
      words.forEach((word, i) => {
        machine.actor(`cpu${i}`, function* () {
          for (let n = 1; n <= 3; n++) yield* word.set(n);
        });
      });
      return { machine, words };
    };
    const { machine, words } = build();
    const full = searched(machine, words, false);
    const again = build();
    const reduced = searched(again.machine, again.words);
    expect(full.search.states).toBe(4 ** 3);
    expect(reduced.search.states).toBe(1 + 3 * 3);
    // All but the end, where nothing is left to choose from.
    expect(reduced.search.reduced).toBe(9);
    expect([full.ends, reduced.ends]).toEqual([['3 3 3'], ['3 3 3']]);
  });

  test('nothing of what two actors both touch, now or later', () => {
    const find = (ample: boolean) => {
      const machine = software();
      const [word, own] = [machine.word('w'), machine.word('own')];
      machine.actor('cpu0', function* () {
        yield* word.set(1);
        yield* word.set(2);
      });
      machine.actor('cpu1', function* () {
        yield* own.set(1);
        yield* word.set(3);
      });
      return searched(machine, [word], ample);
    };
    const [reduced, full] = [find(true), find(false)];
    expect([reduced.ends, full.ends]).toEqual([
      ['2', '3'],
      ['2', '3'],
    ]);
    // Only own = 1 is nobody else's business: it is taken before all else.
    expect(reduced.search.reduced).toBeGreaterThan(0);
    expect(reduced.search.states).toBeLessThan(full.search.states);
  });

  test('an atomic block touches all that its operations touch', () => {
    const machine = software();
    const [own, common] = [machine.word('own'), machine.word('common')];
    machine.actor('cpu0', () =>
      atomic(function* () {
        yield* own.set(1);
        yield* common.set(1);
      }),
    );
    machine.actor('cpu1', function* () {
      yield* common.set(2);
    });
    expect(searched(machine, [own, common]).ends).toEqual(['1 1', '1 2']);
  });

  test('nothing where hardware may touch words of software', () => {
    const machine = software();
    const word = machine.word('w');
    machine.actor('cpu0', function* () {
      yield* word.set(1);
      yield* word.set(2);
    });
    // It does not say that it spares them; it is not asked about footprints at all.
    machine.hardware.push({
      name: 'doubler',
      lane: 'iommu',
      choices: () => (word.value === 1 ? 1 : 0),
      step: () => {
        word.value = 7;
      },
    });
    const { search, ends } = searched(machine, [word]);
    expect(search.reduced).toBe(0);
    expect(ends).toEqual(['2']);
    expect(search.states).toBe(4);
  });

  test('not the others, where what is taken alone runs in a circle', () => {
    const machine = software();
    const [turn, word] = [machine.word('turn'), machine.word('w')];
    const spinner: Agent = {
      name: 'spinner',
      lane: 'iommu',
      choices: () => 1,
      step: () => {
        turn.value = (turn.value + 1) % 3;
      },
      isLocal: () => true,
    };
    machine.hardware.push(spinner);
    machine.actor('cpu0', function* () {
      yield* word.set(1);
      yield {
        ...assignment('lose', [word], () => {
          machine.facts.bits |= FACT.lostDirty;
        }),
      };
    });
    const { search } = searched(machine);
    expect(search.violations.map((v) => v.property)).toEqual(['lost']);
    expect(search.states).toBeGreaterThanOrEqual(5);
  });
});

describe('a wrong footprint is found', () => {
  /** One actor takes `op` first, the other sets `common` or waits for it. */
  function declared(op: (own: SoftwareWord, common: SoftwareWord, machine: Machine) => Op): Machine {
    const machine = software();
    const [own, common] = [machine.word('own'), machine.word('common')];
    machine.actor('cpu0', function* () {
      yield op(own, common, machine);
      yield* own.set(9);
    });
    machine.actor('cpu1', function* () {
      yield* common.set(2);
      yield* common.set(0);
    });
    return machine;
  }
  const name =
    "'step' of cpu0 is declared to be nobody else's business, but 'common = 2' of cpu1 before it is not the same as after it; correct touches or isLocal()";

  test('that leaves out what is written', () => {
    const machine = declared((own, common) =>
      assignment('step', [own], () => {
        common.value = 1;
      }),
    );
    expect(() => searched(machine)).toThrow(new FootprintError(name));
  });

  test('that leaves out what is read', () => {
    const machine = declared((own, common) =>
      assignment('step', [own], () => {
        own.value = common.value;
      }),
    );
    expect(() => searched(machine)).toThrow(new FootprintError(name));
  });

  test('that leaves out what it waits for', () => {
    const machine = declared((own, common) =>
      assignment(
        'step',
        [own],
        () => {
          own.value = 1;
        },
        () => common.value === 0,
      ),
    );
    expect(() => searched(machine)).toThrow(new FootprintError(name));
  });

  test('that shows a fact only in one order', () => {
    const machine = declared((own, common, { facts }) =>
      assignment('step', [own], () => {
        if (common.value === 0) facts.bits |= FACT.lostDirty;
      }),
    );
    expect(() => searched(machine)).toThrow(new FootprintError(name));
  });

  test('and a right one is not', () => {
    const machine = declared((own, common) =>
      assignment('step', [own, common], () => {
        own.value = common.value;
      }),
    );
    expect(searched(machine).search.exhausted).toBe(true);
  });
});

describe('a wrong isLocal is found', () => {
  function withHardware(step: (word: SoftwareWord) => Partial<Agent>): Machine {
    const machine = software();
    const [word, done] = [machine.word('w'), machine.word('done')];
    machine.hardware.push({
      name: 'unit',
      lane: 'iommu',
      choices: () => (done.value === 0 ? 1 : 0),
      step: () => {
        done.value = 1;
      },
      isLocal: () => true,
      ...step(word),
    });
    machine.actor('cpu0', () => word.set(5));
    return machine;
  }

  test('where it writes what others do', () => {
    const machine = withHardware((word) => ({
      choices: () => (word.value === 0 || word.value === 5 ? 1 : 0),
      step: () => {
        word.value = word.value === 0 ? 1 : 6;
      },
    }));
    expect(() => searched(machine)).toThrow(
      "of unit is declared to be nobody else's business, but 'w = 5' of cpu0 before it",
    );
  });

  test('where others prevent it', () => {
    const machine = withHardware((word) => ({ choices: () => (word.value === 0 ? 1 : 0) }));
    expect(() => searched(machine)).toThrow(FootprintError);
  });

  test('and a right one is taken alone', () => {
    const { search } = searched(withHardware(() => ({})));
    expect([search.states, search.reduced]).toEqual([3, 1]);
    expect(searched(withHardware(() => ({ isLocal: () => false }))).search.states).toBe(4);
  });
});
