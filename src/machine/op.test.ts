import { describe, expect, test } from 'vitest';
import type { Op, Program } from './op.ts';
import { atomic, choose, operation } from './op.ts';

const op = (name: string, join?: Op['join']): Op => ({ name, run: () => {}, ...(join ? { join } : {}) });

describe('atomic', () => {
  test('binds every operation to the one before it, but for the first', () => {
    const block = atomic(function* () {
      yield op('first');
      yield op('second');
      yield op('third', 'after');
    });
    expect([...block].map((o) => [o.name, o.bound ?? false])).toEqual([
      ['first', false],
      ['second', true],
      ['third', true],
    ]);
  });

  test('the first may wait', () => {
    let open = false;
    const [first] = atomic(function* () {
      yield { ...op('lock'), ready: () => open };
    });
    expect(first.ready?.()).toBe(false);
    open = true;
    expect(first.ready?.()).toBe(true);
  });

  test('what joins the step before or after does not count as the first', () => {
    const block = atomic(function* () {
      yield op('note', 'before');
      yield op('lock');
      yield op('store');
    });
    expect([...block].map((o) => o.bound ?? false)).toEqual([false, false, true]);
  });

  test('in another one, the inner first is bound too', () => {
    const block = atomic(function* () {
      yield op('a');
      yield* atomic(function* () {
        yield op('b');
        yield op('c');
      });
    });
    expect([...block].map((o) => o.bound ?? false)).toEqual([false, true, true]);
  });

  test('hands results in and the value out', () => {
    const block: Program<number> = atomic(function* () {
      const first = Number(yield op('read'));
      const second = Number(yield op('read again'));
      return first + second;
    });
    block.next();
    block.next(3);
    expect(block.next(4)).toEqual({ done: true, value: 7 });
  });

  test('one that turns out to be empty is no step', () => {
    const block = atomic(function* (): Program<string> {
      for (const name of [] as string[]) yield op(name);
      return 'nothing';
    });
    expect(block.next()).toEqual({ done: true, value: 'nothing' });
  });
});

describe('choose', () => {
  test('offers so many ways and returns the one taken', () => {
    const program = choose('a page', 3);
    const next = program.next();
    const taken = next.value as Op;
    expect(taken).toMatchObject({ name: 'choose a page of 3', choices: 3, returns: 'number' });
    expect([0, 1, 2].map((choice) => taken.run(choice))).toEqual([0, 1, 2]);
    expect(program.next(2)).toEqual({ done: true, value: 2 });
  });
});

describe('operation', () => {
  test('with results hands its number to the program', () => {
    const program = operation('read', { run: () => 1, results: [0, 1] });
    const next = program.next();
    expect(next.value).toMatchObject({ name: 'read', returns: 'number', results: [0, 1] });
    expect(program.next(1)).toEqual({ done: true, value: 1 });
  });

  test('without results declares no number, so a conduct can refuse one', () => {
    const program = operation('write', { run: () => {} });
    expect((program.next().value as Op).returns).toBeUndefined();
    expect(program.next(undefined)).toEqual({ done: true, value: 0 });
  });

  test('keeps its guard', () => {
    const [wait] = operation('wait', { ready: () => false, run: () => {} });
    expect(wait.ready?.()).toBe(false);
  });
});
