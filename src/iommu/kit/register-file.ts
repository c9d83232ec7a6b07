import type { Register } from '../../bits/index.ts';
import { afterWrite, get, put } from '../../bits/index.ts';
import type { Arena, Region } from '../../machine/index.ts';

type AnyRegister = Register<Record<string, never>>;

/**
 * A block of 32- and 64-bit registers over a region of the arena, with the access semantics of their declarations.
 * Offsets that no register has read as zero and drop writes. A 64-bit access is its two halves, low one first.
 */
export class RegisterFile {
  readonly region: Region;
  /** Bytes from offset 0 to the end of the last register. */
  readonly size: number;
  private readonly arena: Arena;
  private readonly byWord: (AnyRegister | undefined)[];
  private readonly scratch = new Int32Array(2);

  /** @param size bytes of the block */
  constructor(arena: Arena, name: string, size: number, registers: readonly object[]) {
    this.arena = arena;
    this.size = size;
    const names: string[] = [];
    this.byWord = new Array(size / 4);
    for (const register of registers as AnyRegister[]) {
      for (let half = 0; half < register.width / 32; half++) {
        const word = register.offset / 4 + half;
        if (this.byWord[word] !== undefined)
          throw new RangeError(`${register.name} and ${this.byWord[word].name} overlap`);
        this.byWord[word] = register;
      }
    }
    for (let word = 0; word < size / 4; word++) names.push(this.byWord[word]?.name ?? `+0x${(word * 4).toString(16)}`);
    this.region = arena.region(name, names);
  }

  /** The register at a byte offset, if one is there. */
  at(offset: number): AnyRegister | undefined {
    return this.byWord[Math.floor(offset / 4)];
  }

  /** What hardware holds in the 32-bit word at a byte offset, write-only fields included. */
  read32(offset: number): number {
    const word = Math.floor(offset / 4);
    return word < this.byWord.length ? this.arena.words[this.region.base + word] : 0;
  }

  /** Software's read of the 32-bit word at a byte offset, a multiple of 4: write-only fields are zero. */
  load32(offset: number): number {
    const register = this.byWord[offset >> 2];
    if (register === undefined) return 0;
    return this.arena.words[this.region.base + (offset >> 2)] & ~register.masks.hidden[(offset - register.offset) >> 2];
  }

  /**
   * Software's write to the 32-bit word at a byte offset, a multiple of 4: read-only bits stay, write-1-to-clear bits
   * clear, one-shot bits are not kept. @param lanes the bits that the write carries: those of its enabled bytes
   */
  write32(offset: number, value: number, lanes = -1): void {
    const register = this.byWord[offset >> 2];
    if (register === undefined) return;
    const half = (offset - register.offset) >> 2;
    const at = this.region.base + (offset >> 2);
    this.arena.set(at, afterWrite(register, half, this.arena.words[at], value, lanes));
  }

  /** Hardware's own write. */
  force32(offset: number, value: number): void {
    this.arena.set(this.region.base + (offset >> 2), value);
  }

  get(register: { offset: number }, field: Parameters<typeof get>[0]): number {
    return get(field, this.arena.words, this.region.base + (register.offset >> 2));
  }

  /** Hardware sets a field. */
  put(register: { offset: number }, field: Parameters<typeof put>[0], value: number): void {
    const half = field.lo >> 5;
    const at = this.region.base + (register.offset >> 2);
    for (let i = half; i <= field.hi >> 5; i++) this.scratch[i] = this.arena.words[at + i];
    put(field, this.scratch, value);
    for (let i = half; i <= field.hi >> 5; i++) this.arena.set(at + i, this.scratch[i]);
  }
}
