import { describe, expect, test } from 'vitest';
import { Machine } from './machine.ts';

function memoryOf(options: { coherentWalker?: boolean } = {}) {
  const machine = new Machine(options);
  const frame = machine.frame('pte', 0x5000n, 0, [0, 3]);
  const { memory } = machine;
  const read = (word: number, from = memory as { locate: typeof memory.locate; lo: typeof memory.lo }) =>
    from.lo(from.locate(5, word));
  return { machine, memory, frame, read };
}

describe('case memory', () => {
  test('a named word holds a value', () => {
    const { memory } = memoryOf();
    const at = memory.locate(5, 3);
    memory.write(at, 7, -8);
    expect([memory.lo(at), memory.hi(at)]).toEqual([7, -8]);
    expect(memory.describe(at)).toBe('pte[3] = 0xfffffff800000007');
    expect(memory.label(at)).toBe('pte[3]');
  });

  test('a word without a name reads zero and cannot be changed', () => {
    const { machine, memory } = memoryOf();
    const at = memory.locate(5, 1);
    const before = machine.arena.snapshot();
    memory.write(at, 1, 1);
    memory.store(at, 1, 1);
    memory.writeBack(at);
    expect([memory.lo(at), memory.hi(at)]).toEqual([0, 0]);
    expect(machine.arena.snapshot()).toEqual(before);
  });

  test('outside every frame there is no memory', () => {
    const { memory } = memoryOf();
    expect([memory.locate(4, 0), memory.locate(2 ** 40, 0)]).toEqual([-1, -1]);
    expect([memory.has(5, 0), memory.has(5, 1), memory.has(4, 0)]).toEqual([true, false, false]);
  });

  test('one word of one frame has one name', () => {
    const { memory, frame } = memoryOf();
    const handles = [memory.name(frame, 0), memory.name(frame, 3), memory.name(frame, 511)];
    expect(new Set(handles).size).toBe(3);
    expect(memory.name(frame, 3)).toBe(handles[1]);
  });

  test.each([-1, 512, 0.5])('word %d is in no page', (word) => {
    const { machine } = memoryOf();
    expect(() => machine.frame('next', 0x6000n, 0, [word])).toThrow(`next has no word ${word}`);
  });

  test('zero clears the named words of one frame', () => {
    const { machine, memory, frame, read } = memoryOf();
    machine.frame('other', 0x6000n, 0, [0]);
    machine.poke(0x5000n, 1n);
    machine.poke(0x5018n, 2n);
    machine.poke(0x6000n, 3n);
    memory.zero(frame);
    expect([read(0), read(3), memory.lo(memory.locate(6, 0))]).toEqual([0, 0, 3]);
  });

  test('contents lists what is not zero', () => {
    const { machine, memory, frame } = memoryOf();
    machine.poke(0x5018n, 0x21d200883n);
    expect(memory.contents(frame)).toEqual(['pte[3] = 0x21d200883']);
  });

  test('a case has room for 512 named words and no more', () => {
    const machine = new Machine();
    const all = Array.from({ length: 512 }, (_, i) => i);
    const full = machine.frame('full', 0x1000n, 0, all);
    machine.memory.write(machine.memory.locate(1, 511), 5, 6);
    expect(machine.memory.contents(full)).toEqual(['full[511] = 0x600000005']);
    expect(() => machine.frame('more', 0x2000n, 0, [0])).toThrow('at most 512 words');
  });
});

describe('a walker that snoops', () => {
  test('sees every store at once', () => {
    const { memory } = memoryOf();
    expect(memory.walkerView()).toBe(memory);
  });

  test('leaves nothing to write back', () => {
    const { machine, memory } = memoryOf();
    memory.store(memory.locate(5, 0), 1, 0);
    expect(memory.dirtyCount()).toBe(0);
    expect(machine.hardware).toEqual([]);
  });
});

describe('a walker that does not snoop', () => {
  test('sees a store only after it was written back', () => {
    const { memory, read } = memoryOf({ coherentWalker: false });
    const walker = memory.walkerView();
    const at = memory.locate(5, 3);
    memory.store(at, 9, 0);
    expect([read(3), read(3, walker)]).toEqual([9, 0]);
    memory.writeBack(at);
    expect(read(3, walker)).toBe(9);
  });

  test('sees neither half before, and both after', () => {
    const { memory } = memoryOf({ coherentWalker: false });
    const walker = memory.walkerView();
    const at = memory.locate(5, 0);
    memory.store(at, 1, 2);
    expect([walker.lo(at), walker.hi(at)]).toEqual([0, 0]);
    memory.writeBack(at);
    expect([walker.lo(at), walker.hi(at)]).toEqual([1, 2]);
  });

  test('sees a device write at once: it snoops', () => {
    const { memory, read } = memoryOf({ coherentWalker: false });
    memory.write(memory.locate(5, 0), 4, 0);
    expect(read(0, memory.walkerView())).toBe(4);
    expect(memory.dirtyCount()).toBe(0);
  });

  test('writes through its own view for everybody', () => {
    const { memory, read } = memoryOf({ coherentWalker: false });
    const walker = memory.walkerView();
    walker.write(walker.locate(5, 0), 4, 0);
    expect([read(0), read(0, walker)]).toEqual([4, 4]);
  });

  test('reads zero where no word is named, and nothing outside frames', () => {
    const { memory } = memoryOf({ coherentWalker: false });
    const walker = memory.walkerView();
    const at = walker.locate(5, 1);
    expect([walker.lo(at), walker.hi(at), walker.locate(4, 0)]).toEqual([0, 0, -1]);
  });

  test('the cache may write back any dirty word, at any time, in any order', () => {
    const { machine, memory, read } = memoryOf({ coherentWalker: false });
    const walker = memory.walkerView();
    const [cache] = machine.hardware;
    memory.store(memory.locate(5, 0), 1, 0);
    memory.store(memory.locate(5, 3), 2, 0);
    expect(cache.choices()).toBe(2);
    machine.log.on = true;
    cache.step(1);
    expect([read(0, walker), read(3, walker)]).toEqual([0, 2]);
    expect(machine.log.take()).toEqual([{ lane: 'memory', text: 'cache writes back pte[3] = 0x2' }]);
    cache.step(0);
    expect(cache.choices()).toBe(0);
    expect(read(0, walker)).toBe(1);
  });
});
