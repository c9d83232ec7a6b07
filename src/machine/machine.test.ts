import { describe, expect, test } from 'vitest';
import { Machine } from './machine.ts';
import type { Op, Program } from './op.ts';

function first(program: Program<unknown>): Op {
  const { done, value } = program.next();
  if (done) throw new Error('the program has no operation');
  return value;
}

describe('a case declares', () => {
  test('frames at page boundaries', () => {
    const machine = new Machine();
    expect(() => machine.frame('odd', 0x1008n, 0)).toThrow('frame odd: 0x1008 is not page aligned');
  });

  test('words of memory before the start, naming them', () => {
    const machine = new Machine();
    const frame = machine.frame('pml4', 0x1000n, 0);
    machine.poke(0x1ff8n, 0x19db5c1003n);
    expect(machine.memory.contents(frame)).toEqual(['pml4[511] = 0x19db5c1003']);
    expect(() => machine.poke(0x2000n, 1n)).toThrow('0x2000 is in no frame of this case');
  });

  test('devices with the addresses that they aim at', () => {
    const machine = new Machine();
    machine.device('nic', 0x0200, 1, [0x5000n, 0x5008n]);
    machine.device('disk', 0x0300, 2, [0x5000n]);
    expect(machine.dma.requesters.map((r) => r.name)).toEqual(['nic', 'disk']);
    expect(machine.grants.targets).toEqual([
      { device: 0, did: 1, vpn: 5 },
      { device: 1, did: 2, vpn: 5 },
    ]);
  });

  test.each([1n << 57n, 1n << 62n, -4096n])('no aim at %i: its page number has no room', (iova) => {
    const machine = new Machine();
    expect(() => machine.device('nic', 0, 1, [iova])).toThrow('is not an address of 57 bits');
    expect(machine.dma.requesters).toEqual([]);
    expect(() => machine.device('nic', 0, 1, [(1n << 57n) - 8n])).not.toThrow();
  });

  test('what is to be done at the start: once', () => {
    const machine = new Machine();
    let started = 0;
    machine.onStart(() => started++);
    machine.start();
    machine.start();
    expect(started).toBe(1);
  });

  test('notes that take no step', () => {
    const machine = new Machine();
    let noted = 0;
    const op = first(machine.note('unmap returns', 'before', () => noted++));
    expect(op.join).toBe('before');
    op.run(0);
    machine.log.on = true;
    op.run(0);
    first(machine.note('')).run(0);
    expect(noted).toBe(2);
    expect(machine.log.take()).toEqual([{ lane: 'driver', text: 'unmap returns' }]);
  });
});

describe("a word of software's", () => {
  test('begins as it was declared, is set and read', () => {
    const machine = new Machine();
    const count = machine.word('count', 3);
    const read = count.get([3, 4]);
    expect(first(read)).toMatchObject({ results: [3, 4], returns: 'number' });
    expect(first(count.get()).run(0)).toBe(3);
    first(count.set(4)).run(0);
    expect(count.value).toBe(4);
    expect(first(count.getOwn())).toMatchObject({ join: 'after' });
  });

  test('is state: undone with everything else', () => {
    const machine = new Machine();
    const count = machine.word('count');
    const before = machine.arena.snapshot();
    count.value = 9;
    machine.arena.restore(before);
    expect(count.value).toBe(0);
  });

  test('can be waited for', () => {
    const machine = new Machine();
    const flag = machine.word('flag');
    const wait = first(flag.until(1));
    expect(wait.ready?.()).toBe(false);
    flag.value = 1;
    expect(wait.ready?.()).toBe(true);
  });

  test('as a lock lets one in at a time', () => {
    const machine = new Machine();
    const lock = machine.word('lock');
    const [a, b] = [first(lock.lock()), first(lock.lock())];
    expect([a.ready?.(), b.ready?.()]).toEqual([true, true]);
    a.run(0);
    expect(b.ready?.()).toBe(false);
    first(lock.unlock()).run(0);
    expect(b.ready?.()).toBe(true);
  });

  test('there are at most 64', () => {
    const machine = new Machine();
    for (let i = 0; i < 64; i++) machine.word(`w${i}`);
    expect(() => machine.word('w64')).toThrow('at most 64 words');
  });
});

describe('a pool', () => {
  function poolOf() {
    const machine = new Machine();
    const frames = [0x1000n, 0x2000n].map((addr) => machine.frame(`page${addr >> 12n}`, addr, 0, [0]));
    const owner = machine.owner('tables', 'table', 1);
    return { machine, frames, owner, pool: machine.pool(frames) };
  }

  /** Runs an allocation. @returns the address */
  function alloc({ pool, owner }: ReturnType<typeof poolOf>): bigint {
    const program = pool.alloc(owner);
    return program.next(first(program).run(0) as number).value as bigint;
  }

  test('hands out the first free frame', () => {
    const p = poolOf();
    expect([alloc(p), alloc(p)]).toEqual([0x1000n, 0x2000n]);
    first(p.pool.release(0x1000n)).run(0);
    expect(alloc(p)).toBe(0x1000n);
  });

  test('gives it to its owner', () => {
    const p = poolOf();
    alloc(p);
    expect(p.frames.map((f) => p.machine.frames.ownerOf(f.index))).toEqual([p.owner, 0]);
  });

  test('hands it out zeroed, for a walker that does not snoop too', () => {
    const machine = new Machine({ coherentWalker: false });
    const pool = machine.pool([machine.frame('page', 0x1000n, 0, [0])]);
    machine.poke(0x1000n, 0x803n);
    first(pool.alloc(machine.owner('tables', 'table', 1))).run(0);
    const at = machine.memory.locate(1, 0);
    expect([machine.memory.lo(at), machine.memory.walkerView().lo(at)]).toEqual([0, 0]);
  });

  test('leaves the content of a frame that is given back', () => {
    const p = poolOf();
    alloc(p);
    p.machine.poke(0x1000n, 0x803n);
    first(p.pool.release(0x1000n)).run(0);
    expect(p.machine.memory.contents(p.frames[0])).toEqual(['page1[0] = 0x803']);
  });

  test('waits while there is none', () => {
    const p = poolOf();
    alloc(p);
    alloc(p);
    const op = first(p.pool.alloc(p.owner));
    expect(op.ready?.()).toBe(false);
    first(p.pool.release(0x2000n)).run(0);
    expect(op.ready?.()).toBe(true);
  });

  test('declares which frames it may hand out', () => {
    const p = poolOf();
    expect(first(p.pool.alloc(p.owner)).results).toEqual([1, 2]);
  });

  test('takes back frames only', () => {
    expect(() => first(poolOf().pool.release(0x9000n))).toThrow('0x9000 is in no frame of this case');
  });
});
