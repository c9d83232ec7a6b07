/** The interrupt entry cache (VT-d 6.4): whole entries of the interrupt remapping table, tagged by interrupt index. */
import { hex64 } from '../../bits/index.ts';
import type { Arena } from '../../machine/index.ts';
import { Cache } from '../kit/cache.ts';

/** Words of an entry: valid 0 and index 16:1; then the table's entry as it was read. */
const FIELDS = ['tag', 'w0', 'w1', 'w2', 'w3'] as const;

function tagOf(index: number): number {
  return (index << 1) | 1;
}

export class InterruptCache {
  readonly cache: Cache;
  private readonly arena: Arena;

  /** @param sets a power of two. @param ways entries of each. @param replaces a full set replaces; see {@link Cache} */
  constructor(arena: Arena, sets: number, ways: number, replaces: boolean) {
    this.arena = arena;
    this.cache = new Cache(arena, 'vtd.interrupts', FIELDS, sets, ways, replaces);
  }

  private setAt(index: number): number {
    const { cache } = this;
    return cache.at((index & (cache.sets - 1)) * cache.ways);
  }

  /** Offset of the entry of an interrupt index, −1 for none. */
  find(index: number): number {
    return this.cache.find(this.setAt(index), 0, tagOf(index));
  }

  load(at: number, into: Int32Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.arena.words[at + 1 + i];
  }

  fill(index: number, entry: Int32Array): void {
    const known = this.find(index);
    const at = known >= 0 ? known : this.cache.room(this.setAt(index));
    this.arena.set(at, tagOf(index));
    for (let i = 0; i < entry.length; i++) this.arena.set(at + 1 + i, entry[i]);
  }

  drop(at: number): void {
    this.cache.drop(at);
  }

  /** Drops the entries of an aligned block of 2^mask indexes; of every index where `mask` is 16 or more. */
  invalidate(index: number, mask: number): void {
    const { cache } = this;
    for (let i = 0; i < cache.entries; i++) {
      const at = cache.at(i);
      const tag = cache.tag(at);
      if (tag !== 0 && sameBlock(tag >>> 1, index, mask)) cache.drop(at);
    }
  }

  /** A line for each entry that is held. */
  describe(): string[] {
    const out: string[] = [];
    const { words } = this.arena;
    for (let i = 0; i < this.cache.entries; i++) {
      const at = this.cache.at(i);
      if (words[at] === 0) continue;
      const entry = `${hex64(words[at + 3], words[at + 4])}:${hex64(words[at + 1], words[at + 2])}`;
      out.push(`interrupt entry cache: index ${words[at] >>> 1}, ${entry}`);
    }
    return out;
  }
}

/** Whether two interrupt indexes lie in one aligned block of 2^mask (VT-d 6.5.2.8, table 25). */
export function sameBlock(a: number, b: number, mask: number): boolean {
  return mask >= 16 || a >>> mask === b >>> mask;
}
