import { hex, hex64, high, low } from '../bits/index.ts';
import type { Machine } from './machine.ts';
import type { Op, Program } from './op.ts';
import type { StoreOrder } from './store-buffer.ts';
import { StoreBuffer } from './store-buffer.ts';

/** A register block that a CPU can reach: an IOMMU's. */
export interface MmioBlock {
  readonly name: string;
  /** Name of the register at the offset, for the story. */
  registerName(offset: number): string;
  read(offset: number, size: 4 | 8): { lo: number; hi: number };
  /** What a read would find, without what it sets off; as {@link read}, if absent. */
  peek?(offset: number, size: 4 | 8): { lo: number; hi: number };
  write(offset: number, size: 4 | 8, lo: number, hi: number): void;
}

/** Loads, stores and register accesses of one CPU, as operations for driver code. Addresses are byte addresses. */
export class Cpu {
  readonly name: string;
  private readonly machine: Machine;
  private readonly buffer: StoreBuffer | null;
  /** Of its store buffer among all hardware. */
  private readonly number: number;
  /** Guards of stores and of what is uncached: one function each for all operations, so that all their waits are known to be one. */
  private readonly hasRoom = (): boolean => this.buffer === null || !this.buffer.isFull();
  private readonly isDrained = (): boolean => this.buffer === null || this.buffer.count() === 0;

  constructor(machine: Machine, name: string, order: StoreOrder = 'sequential', depth = 4) {
    this.machine = machine;
    this.name = name;
    this.buffer = order === 'sequential' ? null : new StoreBuffer(machine, name, order, depth);
    this.number = machine.hardware.length;
    const { buffer } = this;
    if (buffer === null) return;
    machine.hardware.push(buffer.agent);
    machine.dma.otherWrites.push(() => buffer.agent.left());
  }

  /** Whether its stores are seen at once. */
  get isSequential(): boolean {
    return this.buffer === null;
  }

  /** A 64-bit store. @param note what the story says of it, instead of the bare word; nothing, if empty */
  *write64(addr: bigint, value: bigint, note?: string): Program {
    const at = this.wordAt(addr);
    yield {
      name: `${this.name} write64 ${hex(addr)} ${hex(value)}`,
      ready: this.hasRoom,
      run: () => this.store(at, value, note),
    };
  }

  /**
   * A locked instruction on a 64-bit word: nobody comes between its load and its store, and earlier stores are visible first.
   * @param keep bits of the old value that stay. @param set bits that are set then
   * @returns the old value
   */
  *locked64(addr: bigint, keep: bigint, set: bigint, note: string): Program<bigint> {
    const at = this.wordAt(addr);
    const { memory, result, log } = this.machine;
    const [keepLo, keepHi, setLo, setHi] = [low(keep), high(keep), low(set), high(set)];
    return (yield {
      name: `${this.name} locked64 ${hex(addr)} ${hex(BigInt.asUintN(64, keep))} ${hex(set)}`,
      ready: this.isDrained,
      returns: 'word',
      run: () => {
        result.lo = memory.lo(at);
        result.hi = memory.hi(at);
        memory.store(at, (result.lo & keepLo) | setLo, (result.hi & keepHi) | setHi);
        if (log.on) log.say('driver', `${note}: it was ${hex64(result.lo, result.hi)}`);
      },
    }) as bigint;
  }

  /** As {@link write64}, left out where the case names no such word and the value is zero, as that word is already. */
  *clear64(addr: bigint, note?: string): Program {
    if (this.named(addr)) yield* this.write64(addr, 0n, note);
  }

  /** Whether the case has this word; loops over a table skip the words that a scaled-down case leaves out. */
  named(addr: bigint): boolean {
    return this.machine.memory.has(Number(addr >> 12n), Number(addr & 0xfffn) >> 3);
  }

  /** A 64-bit load, a step of its own. */
  *read64(addr: bigint): Program<bigint> {
    return (yield this.load(addr)) as bigint;
  }

  /** A load of a word that only this program writes: it takes no step of its own. */
  *readOwn64(addr: bigint): Program<bigint> {
    return (yield { ...this.load(addr), join: 'after' }) as bigint;
  }

  /** Writes the cache line of the word back, so that a walker that does not snoop sees it. A no-op for one that does. */
  *clflush(addr: bigint): Program {
    if (this.machine.memory.coherent || !this.named(addr)) return;
    const at = this.wordAt(addr);
    yield {
      name: `${this.name} clflush ${hex(addr)}`,
      ready: () => this.buffer === null || this.buffer.find(at) < 0,
      on: [this.number, at],
      run: () => {
        if (this.machine.log.on) this.machine.log.say('driver', `clflush ${this.machine.memory.label(at)}`);
        this.machine.memory.writeBack(at);
      },
    };
  }

  /** Waits until all earlier stores are visible (`mb`, `dma_wmb`, the implicit fence of an uncached access). */
  *fence(): Program {
    if (this.buffer === null) return;
    yield { name: `${this.name} fence`, ready: this.isDrained, run: () => {} };
  }

  /** Writes a register. Uncached: earlier stores are visible first. @param note what the story adds; nothing is told, if null */
  *mmioWrite(block: MmioBlock, offset: number, size: 4 | 8, value: bigint, note: string | null = ''): Program {
    const lo = low(value);
    const hi = high(value);
    yield {
      name: `${this.name} write ${block.name}+${hex(offset)} ${hex(value)}`,
      ready: this.isDrained,
      run: () => {
        if (this.machine.log.on && note !== null)
          this.machine.log.say('driver', `${block.registerName(offset)} = ${hex(value)}${note}`);
        block.write(offset, size, lo, hi);
      },
    };
  }

  /** Reads a register of 32 bits. */
  *mmioRead32(block: MmioBlock, offset: number): Program<number> {
    return Number(
      yield {
        name: `${this.name} read ${block.name}+${hex(offset)}`,
        returns: 'number',
        run: () => block.read(offset, 4).lo >>> 0,
      },
    );
  }

  /**
   * Waits until `test` holds of the register's halves. A poll loop, written as the guard that it amounts to.
   * @param on what `test` depends on beside the register, if that is all: see `Op.on`
   */
  *mmioWait(
    block: MmioBlock,
    offset: number,
    size: 4 | 8,
    what: string,
    test: (lo: number, hi: number) => boolean,
    on?: readonly number[],
  ): Program {
    yield {
      name: `${this.name} wait ${what}`,
      ...(on === undefined ? {} : { on }),
      ready: () => {
        const { lo, hi } = block.peek === undefined ? block.read(offset, size) : block.peek(offset, size);
        return test(lo, hi);
      },
      run: () => {
        if (block.peek !== undefined) block.read(offset, size);
        if (this.machine.log.on) this.machine.log.say('driver', `sees that ${what}`);
      },
    };
  }

  /** Waits until the low half of the word has the value. */
  *waitFor32(addr: bigint, value: number, what: string): Program {
    const at = this.wordAt(addr);
    yield {
      name: `${this.name} wait ${hex(addr)} = ${hex(value)}`,
      ready: () => this.machine.memory.lo(at) === (value | 0),
      on: [at, value],
      run: () => {
        if (this.machine.log.on) this.machine.log.say('driver', `sees that ${what}`);
      },
    };
  }

  private load(addr: bigint): Op {
    const at = this.wordAt(addr);
    const { memory, result } = this.machine;
    return {
      name: `${this.name} read64 ${hex(addr)}`,
      returns: 'word',
      run: () => {
        const own = this.buffer === null ? -1 : this.buffer.find(at);
        const words = this.machine.arena.words;
        result.lo = own < 0 ? memory.lo(at) : words[own + 1];
        result.hi = own < 0 ? memory.hi(at) : words[own + 2];
      },
    };
  }

  private store(at: number, value: bigint, note: string | undefined): void {
    if (this.buffer === null) this.machine.memory.store(at, low(value), high(value));
    else this.buffer.push(at, low(value), high(value));
    if (this.machine.log.on && note !== '') {
      this.machine.log.say('driver', note ?? `${this.machine.memory.label(at)} = ${hex(value)}`);
    }
  }

  private wordAt(addr: bigint): number {
    const pfn = Number(addr >> 12n);
    const word = Number(addr & 0xfffn) >> 3;
    if ((addr & 7n) !== 0n) throw new RangeError(`${this.name}: ${hex(addr)} is not 8-byte aligned`);
    const at = this.machine.memory.locate(pfn, word);
    if (at < 0)
      throw new RangeError(`${this.name}: ${hex(addr)} is in no frame of this case; declare it with machine.frame()`);
    if (!this.machine.memory.has(pfn, word)) {
      throw new RangeError(`${this.name}: word ${word} at ${hex(addr)} is not named; give it to machine.frame()`);
    }
    return at;
  }
}
