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
  private readonly arena: Arena;
  private readonly byWord: (AnyRegister | undefined)[];
  private readonly scratch = new Int32Array(2);

  /** @param size bytes of the block */
  constructor(arena: Arena, name: string, size: number, registers: readonly object[]) {
    this.arena = arena;
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

  /** The 32-bit word at a byte offset. */
  read32(offset: number): number {
    const word = Math.floor(offset / 4);
    return word < this.byWord.length ? this.arena.words[this.region.base + word] : 0;
  }

  /** Software's write to a 32-bit word: read-only bits stay, write-1-to-clear bits clear, one-shot bits are not kept. */
  write32(offset: number, value: number): void {
    const register = this.byWord[Math.floor(offset / 4)];
    if (register === undefined) return;
    const half = (offset - register.offset) >> 2;
    const at = this.region.base + (offset >> 2);
    this.arena.set(at, afterWrite(register, half, this.arena.words[at], value));
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
