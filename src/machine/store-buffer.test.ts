/** Litmus tests: every interleaving of two CPUs and their store buffers, against what the order permits. */
import { describe, expect, test } from 'vitest';
import type { Cpu } from './cpu.ts';
import { Machine } from './machine.ts';
import type { Op, Program } from './op.ts';
import type { StoreOrder } from './store-buffer.ts';
import { StoreBuffer } from './store-buffer.ts';

const X = 0x1000n;
const Y = 0x1008n;
const ORDERS: readonly StoreOrder[] = ['sequential', 'tso', 'relaxed'];

type Thread = (cpu: Cpu) => Program;

/** What the loads of all threads returned, in program order, then what is left in X and Y: of every run there is. */
function outcomes(order: StoreOrder, ...threads: Thread[]): string[] {
  const machine = new Machine();
  machine.frame('shared', 0x1000n, 0, [0, 1]);
  const programs: Op[][] = threads.map((thread, i) => [...thread(machine.cpu(`cpu${i}`, order))]);
  const { arena, memory } = machine;
  const found = new Set<string>();
  const final = (addr: bigint) => memory.lo(memory.locate(1, Number(addr & 0xfffn) >> 3));

  const visit = (positions: readonly number[], loads: readonly string[]): void => {
    const here = arena.snapshot();
    let stuck = true;
    positions.forEach((position, t) => {
      const op = programs[t][position];
      if (op === undefined || op.ready?.() === false) return;
      stuck = false;
      op.run(0);
      const seen = op.returns === 'word' ? loads.with(t, `${loads[t]}${machine.result.lo}`) : loads;
      visit(positions.with(t, position + 1), seen);
      arena.restore(here);
    });
    for (const agent of machine.hardware) {
      for (let choice = 0; choice < agent.choices(); choice++) {
        stuck = false;
        agent.step(choice);
        visit(positions, loads);
        arena.restore(here);
      }
    }
    if (!stuck) return;
    expect(positions).toEqual(programs.map((ops) => ops.length));
    found.add(`${loads.join('')} ${final(X)}${final(Y)}`);
  };
  visit(
    programs.map(() => 0),
    programs.map(() => ''),
  );
  return [...found].sort();
}

const loadsOf = (found: readonly string[]) => [...new Set(found.map((outcome) => outcome.split(' ')[0]))].sort();
const leftBy = (found: readonly string[]) => [...new Set(found.map((outcome) => outcome.split(' ')[1]))].sort();

/** Stores and loads, in this order; `fence` between. */
function thread(
  ...steps: readonly (readonly ['store', bigint, bigint] | readonly ['load', bigint] | 'fence')[]
): Thread {
  return function* (cpu) {
    for (const step of steps) {
      if (step === 'fence') yield* cpu.fence();
      else if (step[0] === 'store') yield* cpu.write64(step[1], step[2]);
      else yield* cpu.read64(step[1]);
    }
  };
}

describe('message passing: data, then flag; the reader loads flag, then data', () => {
  const reader = thread(['load', Y], ['load', X]);
  const writer = thread(['store', X, 1n], ['store', Y, 1n]);
  const fenced = thread(['store', X, 1n], 'fence', ['store', Y, 1n]);

  test.each(['sequential', 'tso'] as const)('%s: the flag never comes before the data', (order) => {
    expect(loadsOf(outcomes(order, writer, reader))).toEqual(['00', '01', '11']);
  });

  test('relaxed: it may', () => {
    expect(loadsOf(outcomes('relaxed', writer, reader))).toEqual(['00', '01', '10', '11']);
  });

  test.each(ORDERS)('%s: not behind a fence', (order) => {
    expect(loadsOf(outcomes(order, fenced, reader))).toEqual(['00', '01', '11']);
  });
});

describe('store buffering: each stores one word, then loads the other', () => {
  const sb = (...between: 'fence'[]) => [
    thread(['store', X, 1n], ...between, ['load', Y]),
    thread(['store', Y, 1n], ...between, ['load', X]),
  ];

  test('sequential: one of them sees the other', () => {
    expect(loadsOf(outcomes('sequential', ...sb()))).toEqual(['01', '10', '11']);
  });

  test.each(['tso', 'relaxed'] as const)('%s: both may miss it', (order) => {
    expect(loadsOf(outcomes(order, ...sb()))).toEqual(['00', '01', '10', '11']);
  });

  test.each(ORDERS)('%s: not behind a fence', (order) => {
    expect(loadsOf(outcomes(order, ...sb('fence')))).toEqual(['01', '10', '11']);
  });
});

describe('two writers of two words, in opposite order', () => {
  const writers = [thread(['store', X, 1n], ['store', Y, 2n]), thread(['store', Y, 1n], ['store', X, 2n])];

  test.each(['sequential', 'tso'] as const)('%s: not both first stores are the last', (order) => {
    expect(leftBy(outcomes(order, ...writers))).toEqual(['12', '21', '22']);
  });

  test('relaxed: they may be', () => {
    expect(leftBy(outcomes('relaxed', ...writers))).toEqual(['11', '12', '21', '22']);
  });
});

describe('one word', () => {
  test.each(ORDERS)('%s: its stores are seen in their order', (order) => {
    const found = outcomes(order, thread(['store', X, 1n], ['store', X, 2n]), thread(['load', X], ['load', X]));
    expect(found).toEqual(['00 20', '01 20', '02 20', '11 20', '12 20', '22 20']);
  });

  test.each(ORDERS)('%s: its writer sees its own youngest store at once', (order) => {
    const own = thread(['store', X, 1n], ['load', X], ['store', Y, 3n], ['store', X, 2n], ['load', X], ['load', Y]);
    expect(outcomes(order, own)).toEqual(['123 23']);
  });

  test.each(ORDERS)('%s: stores of two writers leave one of them', (order) => {
    expect(outcomes(order, thread(['store', X, 1n]), thread(['store', X, 2n]))).toEqual([' 10', ' 20']);
  });
});

test.each(ORDERS)('%s: loads happen in program order and never before an earlier load (load buffering)', (order) => {
  const found = outcomes(order, thread(['load', X], ['store', Y, 1n]), thread(['load', Y], ['store', X, 1n]));
  expect(loadsOf(found)).toEqual(['00', '01', '10']);
});

describe('a full buffer', () => {
  test('holds up the next store until one has become visible', () => {
    const machine = new Machine();
    machine.frame('page', 0x1000n, 0, [0, 1, 2, 3, 4]);
    const cpu = machine.cpu('cpu0', 'tso');
    const stores = [0, 1, 2, 3, 4].flatMap((w) => [...cpu.write64(X + BigInt(w * 8), 1n)]);
    for (const op of stores.slice(0, 4)) op.run(0);
    expect(stores[4].ready?.()).toBe(false);
    machine.hardware[0].step(0);
    expect(stores[4].ready?.()).toBe(true);
  });

  test('is never overrun', () => {
    const machine = new Machine();
    machine.frame('page', 0x1000n, 0, [0]);
    const buffer = new StoreBuffer(machine, 'cpu0', 'tso', 1);
    const at = machine.memory.locate(1, 0);
    buffer.push(at, 1, 0);
    expect(buffer.isFull()).toBe(true);
    expect(() => buffer.push(at, 2, 0)).toThrow('no room in the store buffer');
  });
});

test('an empty buffer is all zero: what went through it leaves no trace', () => {
  const machine = new Machine();
  machine.frame('page', 0x1000n, 0, [0, 1]);
  const cpu = machine.cpu('cpu0', 'relaxed');
  const before = machine.arena.snapshot();
  for (const op of [...cpu.write64(X, 5n), ...cpu.write64(Y, 6n)]) op.run(0);
  machine.hardware[0].step(1);
  machine.hardware[0].step(0);
  expect(machine.arena.diff(before, machine.arena.snapshot()).map((d) => d.word)).toEqual([
    'memory[1].lo',
    'memory[2].lo',
  ]);
});

test('the story tells when a store becomes visible', () => {
  const machine = new Machine();
  machine.frame('pte', 0x1000n, 0, [0]);
  const cpu = machine.cpu('cpu0', 'tso');
  for (const op of cpu.write64(X, 0x803n)) op.run(0);
  machine.log.on = true;
  machine.hardware[0].step(0);
  expect(machine.log.take()).toEqual([{ lane: 'memory', text: 'the store of cpu0 becomes visible: pte[0] = 0x803' }]);
});
