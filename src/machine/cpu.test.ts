import { describe, expect, test } from 'vitest';
import { join } from '../bits/index.ts';
import type { MmioBlock } from './cpu.ts';
import { Machine } from './machine.ts';
import type { Op, Program } from './op.ts';
import type { StoreOrder } from './store-buffer.ts';

/** Runs a program that never has to wait. */
function run<T>(machine: Machine, program: Program<T>): T {
  let next = program.next();
  while (!next.done) {
    const op: Op = next.value;
    if (op.ready?.() === false) throw new Error(`${op.name} waits`);
    const value = op.run(0);
    const { lo, hi } = machine.result;
    next = program.next(op.returns === 'word' ? join(lo, hi) : op.returns === 'number' ? Number(value) : undefined);
  }
  return next.value;
}

/** The operations of a program that does not branch. */
const ops = (program: Program<unknown>): Op[] => [...program];

function cpuOf(order: StoreOrder = 'sequential', coherentWalker = true) {
  const machine = new Machine({ coherentWalker });
  machine.frame('pte', 0x1000n, 0, [0, 3]);
  return { machine, cpu: machine.cpu('cpu0', order), walker: machine.memory.walkerView() };
}

class Registers implements MmioBlock {
  readonly name = 'IOMMU';
  readonly writes: string[] = [];
  value = 0;
  registerName(offset: number): string {
    return `REG_${offset}`;
  }
  read(_offset: number, size: 4 | 8): { lo: number; hi: number } {
    return { lo: this.value, hi: size === 8 ? 1 : 0 };
  }
  write(offset: number, size: 4 | 8, lo: number, hi: number): void {
    this.writes.push([offset, size, lo, hi].join());
  }
}

describe('memory', () => {
  test.each(['sequential', 'tso', 'relaxed'] as const)('%s: a load returns the 64 bits last stored', (order) => {
    const { machine, cpu } = cpuOf(order);
    run(machine, cpu.write64(0x1018n, 0xfedcba9876543210n));
    expect(run(machine, cpu.read64(0x1018n))).toBe(0xfedcba9876543210n);
    expect(run(machine, cpu.readOwn64(0x1018n))).toBe(0xfedcba9876543210n);
  });

  test('a load of an own word takes no step', () => {
    const { cpu } = cpuOf();
    expect(ops(cpu.readOwn64(0x1000n))[0].join).toBe('after');
    expect(ops(cpu.read64(0x1000n))[0].join).toBeUndefined();
  });

  test('clear64 takes no step where the case has no such word', () => {
    const { machine, cpu } = cpuOf();
    machine.poke(0x1000n, 5n);
    run(machine, cpu.clear64(0x1000n));
    expect(run(machine, cpu.read64(0x1000n))).toBe(0n);
    expect(ops(cpu.clear64(0x1008n))).toEqual([]);
  });

  test.each([
    [0x1004n, 'not 8-byte aligned'],
    [0x9000n, 'in no frame of this case'],
    [0x1008n, 'word 1 at 0x1008 is not named'],
  ])('a store to %i is refused', (addr, message) => {
    const { cpu } = cpuOf();
    expect(() => ops(cpu.write64(addr, 1n))).toThrow(message);
  });

  test('the story has the word, a note instead of it, or nothing', () => {
    const { machine, cpu } = cpuOf();
    machine.log.on = true;
    run(machine, cpu.write64(0x1000n, 0x803n));
    run(machine, cpu.write64(0x1000n, 0n, 'clears the PTE'));
    run(machine, cpu.write64(0x1000n, 0n, ''));
    expect(machine.log.take().map((line) => line.text)).toEqual(['pte[0] = 0x803', 'clears the PTE']);
  });
});

describe('a walker that does not snoop', () => {
  test('sees a store after clflush, not before', () => {
    const { machine, cpu, walker } = cpuOf('sequential', false);
    const at = walker.locate(1, 0);
    run(machine, cpu.write64(0x1000n, 0x803n));
    expect(walker.lo(at)).toBe(0);
    run(machine, cpu.clflush(0x1000n));
    expect(walker.lo(at)).toBe(0x803);
  });

  test('clflush of a store that is still in the buffer waits for it', () => {
    const { machine, cpu, walker } = cpuOf('tso', false);
    run(machine, cpu.write64(0x1000n, 0x803n));
    const [flush] = ops(cpu.clflush(0x1000n));
    expect(flush.ready?.()).toBe(false);
    machine.hardware.find((agent) => agent.name === 'cpu0 store buffer')?.step(0);
    expect(flush.ready?.()).toBe(true);
    flush.run(0);
    expect(walker.lo(walker.locate(1, 0))).toBe(0x803);
  });

  test('a walker that snoops needs no clflush, and a word that is not there neither', () => {
    expect(ops(cpuOf('sequential', true).cpu.clflush(0x1000n))).toEqual([]);
    expect(ops(cpuOf('sequential', false).cpu.clflush(0x1008n))).toEqual([]);
  });
});

describe('order', () => {
  test('a sequential CPU needs no fence', () => {
    const { cpu } = cpuOf();
    expect(cpu.isSequential).toBe(true);
    expect(ops(cpu.fence())).toEqual([]);
  });

  test('a fence, as a register write, waits until all stores are visible', () => {
    const { machine, cpu } = cpuOf('tso');
    const [fence] = ops(cpu.fence());
    const [doorbell] = ops(cpu.mmioWrite(new Registers(), 0x88, 4, 1n));
    expect([fence.ready?.(), doorbell.ready?.()]).toEqual([true, true]);
    run(machine, cpu.write64(0x1000n, 1n));
    expect([fence.ready?.(), doorbell.ready?.()]).toEqual([false, false]);
    machine.hardware[0].step(0);
    expect([fence.ready?.(), doorbell.ready?.()]).toEqual([true, true]);
  });
});

describe('registers', () => {
  test('a write reaches the block as halves', () => {
    const { machine, cpu } = cpuOf();
    const block = new Registers();
    run(machine, cpu.mmioWrite(block, 0x28, 8, 0x8000000000000001n));
    expect(block.writes).toEqual([`40,8,1,${-(2 ** 31)}`]);
  });

  test('a read of 32 bits is unsigned', () => {
    const { machine, cpu } = cpuOf();
    const block = new Registers();
    block.value = -1;
    expect(run(machine, cpu.mmioRead32(block, 0x34))).toBe(0xffffffff);
  });

  test('a poll loop is a guard', () => {
    const { cpu } = cpuOf();
    const block = new Registers();
    const [wait] = ops(cpu.mmioWait(block, 0x28, 8, 'ICC = 0', (lo, hi) => lo === 7 && hi === 1));
    expect(wait.ready?.()).toBe(false);
    block.value = 7;
    expect(wait.ready?.()).toBe(true);
  });

  test('a wait for a status word ends when memory has the value', () => {
    const { machine, cpu } = cpuOf();
    const [wait] = ops(cpu.waitFor32(0x1000n, 0x80000001, 'the status was written'));
    expect(wait.ready?.()).toBe(false);
    machine.poke(0x1000n, 0x80000001n);
    expect(wait.ready?.()).toBe(true);
  });

  test('the story names the register', () => {
    const { machine, cpu } = cpuOf();
    machine.log.on = true;
    run(machine, cpu.mmioWrite(new Registers(), 0x18, 4, 0x80000000n, ' (TE)'));
    expect(machine.log.take()).toEqual([{ lane: 'driver', text: 'REG_24 = 0x80000000 (TE)' }]);
  });
});
