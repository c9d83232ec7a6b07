/** What an emulator or a VMM does with an IOMMU of whatever model besides translating: a guest's register accesses, and keeping its state. */
import type { Agent } from '../../machine/index.ts';
import { Arena } from '../../machine/index.ts';
import type { ReadValue } from './access.ts';
import { Settling } from './settle.ts';

/** The model's own unit. */
export interface Unit {
  /** What steps by itself. */
  readonly agents: readonly Agent[];
  readonly registerBytes: number;
  read(offset: number, size: number): ReadValue;
  /** @param lo bytes 3:0. @param hi bytes 7:4 */
  write(offset: number, size: number, lo: number, hi: number): void;
}

export class EmulatedUnit<U extends Unit> {
  /** The unit itself, for what is not offered here. */
  readonly unit: U;
  private readonly arena: Arena;
  private readonly fresh: Int32Array;
  /** Queues and commands under way. A queue ends: its tail stays meanwhile. */
  private readonly settling: Settling;

  /** @param words of its state at most. @param build makes the unit as it is after a reset */
  constructor(words: number, build: (arena: Arena) => U) {
    this.arena = new Arena(words);
    this.unit = build(this.arena);
    this.settling = new Settling(this.unit.agents);
    this.fresh = this.arena.snapshot();
  }

  /** Bytes of the register block that have registers; what a VMM maps is this, rounded up to whole pages. */
  get registerBytes(): number {
    return this.unit.registerBytes;
  }

  /**
   * A guest's read of registers.
   * @param size 1 to 8 bytes; which of them, at which offsets, the model says
   * @returns an unsigned number up to 4 bytes, a bigint above; 0 where there is no register
   */
  read(offset: number, size: 5 | 6 | 7 | 8): bigint;
  read(offset: number, size: 1 | 2 | 3 | 4): number;
  read(offset: number, size: number): number | bigint;
  read(offset: number, size: number): number | bigint {
    const { lo, hi } = this.unit.read(offset, size);
    return size > 4 ? (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0) : lo >>> 0;
  }

  /** A guest's write; what it sets off (an invalidation, all of a queue) is done when this returns. @param value its low `size` bytes are written */
  write(offset: number, size: number, value: number | bigint): void {
    if (typeof value === 'bigint')
      this.unit.write(offset, size, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
    else this.unit.write(offset, size, value | 0, Math.floor(value / 2 ** 32) | 0);
    this.settling.run();
  }

  /** What a power-on reset leaves. */
  reset(): void {
    this.arena.restore(this.fresh);
  }

  /** All of the unit's state, caches included, for {@link restore} of a unit with the same options. */
  save(): Int32Array {
    return this.arena.snapshot();
  }

  /** @throws RangeError for a state of a unit with other options, as far as its size tells */
  restore(state: Int32Array): void {
    if (state.length !== this.fresh.length)
      throw new RangeError(`a state of ${state.length} words; this unit has ${this.fresh.length}`);
    this.arena.restore(state);
  }
}
