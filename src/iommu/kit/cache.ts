import type { Arena, Region } from '../../machine/index.ts';

/**
 * A cache of entries of a few words each, in sets of ways. Word 0 of an entry is its tag, 0 when the entry is empty. Ways are
 * interchangeable. What an entry means, and when it matches, its owner knows.
 */
export class Cache {
  readonly region: Region;
  readonly sets: number;
  readonly ways: number;
  private readonly arena: Arena;
  private readonly size: number;
  private readonly replaces: boolean;
  private victim = 0;

  /** @param replaces a full set replaces its entries in turn; otherwise it is an error (see {@link room}) */
  constructor(arena: Arena, name: string, fields: readonly string[], sets: number, ways: number, replaces: boolean) {
    this.arena = arena;
    this.sets = sets;
    this.ways = ways;
    this.replaces = replaces;
    this.size = fields.length;
    this.region = arena.region(name, fields, sets * ways, true);
  }

  /** Number of entries, empty ones included. */
  get entries(): number {
    return this.sets * this.ways;
  }

  /** Offset of entry `i` in the arena. */
  at(i: number): number {
    return this.region.base + i * this.size;
  }

  /** Word 0 of an entry; 0 when it is empty. */
  tag(entry: number): number {
    return this.arena.words[entry];
  }

  isEmpty(): boolean {
    for (let i = 0; i < this.entries; i++) if (this.arena.words[this.at(i)] !== 0) return false;
    return true;
  }

  drop(entry: number): void {
    for (let i = 0; i < this.size; i++) this.arena.set(entry + i, 0);
  }

  dropAll(): void {
    for (let i = 0; i < this.entries; i++) if (this.arena.words[this.at(i)] !== 0) this.drop(this.at(i));
  }

  /**
   * Offset of an entry to fill in a set: an empty one, if there is one. For a cache that is explored, the victim of a full set would be
   * one more free decision: it is large enough, or the case is told so.
   */
  room(set: number): number {
    const first = set * this.ways;
    for (let i = first; i < first + this.ways; i++) if (this.arena.words[this.at(i)] === 0) return this.at(i);
    if (!this.replaces)
      throw new RangeError(`${this.region.name} of ${this.ways} entries is too small for this case; give it more`);
    this.victim = (this.victim + 1) % this.ways;
    return this.at(first + this.victim);
  }
}
