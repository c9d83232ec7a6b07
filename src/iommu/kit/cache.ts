import type { Arena, Region } from '../../machine/index.ts';

/**
 * A cache of entries of a few words each, in sets of ways. Word 0 of an entry is its tag, 0 when the entry is empty. Ways are
 * interchangeable. What an entry means, its owner knows.
 *
 * Entries are looked up here by one or two words of them; blocks of an address space are a {@link BlockCache}'s.
 */
export class Cache {
  readonly region: Region;
  /** A power of two. */
  readonly sets: number;
  readonly ways: number;
  /** Offset of entry 0 in the arena. */
  readonly base: number;
  /** Words of an entry. */
  readonly size: number;
  /** Number of entries, empty ones included. */
  readonly entries: number;
  private readonly arena: Arena;
  private readonly replaces: boolean;
  private readonly words: Int32Array;
  /** Words from a set's first entry to the one that was replaced last. */
  private victim = 0;

  /** @param replaces a full set replaces its entries in turn; otherwise it is an error (see {@link room}) */
  constructor(arena: Arena, name: string, fields: readonly string[], sets: number, ways: number, replaces: boolean) {
    if (sets < 1 || (sets & (sets - 1)) !== 0) throw new RangeError(`${name}: ${sets} sets; it is a power of two`);
    this.arena = arena;
    this.words = arena.words;
    this.sets = sets;
    this.ways = ways;
    this.replaces = replaces;
    this.size = fields.length;
    this.entries = sets * ways;
    this.region = arena.region(name, fields, sets * ways, true);
    this.base = this.region.base;
  }

  /** Offset of entry `i` in the arena. */
  at(i: number): number {
    return this.base + i * this.size;
  }

  /** Word 0 of an entry; 0 when it is empty. */
  tag(entry: number): number {
    return this.words[entry];
  }

  isEmpty(): boolean {
    for (let i = 0; i < this.entries; i++) if (this.words[this.at(i)] !== 0) return false;
    return true;
  }

  /**
   * Offset of an entry of a set by a word of it, −1 for none.
   * @param set offset of the set's first entry. @param field of the entry that is to be `key`
   */
  find(set: number, field: number, key: number): number {
    const { size, words } = this;
    const end = set + this.ways * size;
    for (let at = set; at < end; at += size) if (words[at + field] === key && words[at] !== 0) return at;
    return -1;
  }

  /** {@link find} by two words. */
  findBoth(set: number, field: number, key: number, other: number, otherKey: number): number {
    const { size, words } = this;
    const end = set + this.ways * size;
    for (let at = set; at < end; at += size) {
      if (words[at + field] === key && words[at + other] === otherKey && words[at] !== 0) return at;
    }
    return -1;
  }

  drop(entry: number): void {
    for (let i = 0; i < this.size; i++) this.arena.set(entry + i, 0);
  }

  dropAll(): void {
    for (let i = 0; i < this.entries; i++) if (this.words[this.at(i)] !== 0) this.drop(this.at(i));
  }

  /**
   * Offset of an entry to fill in a set: an empty one, if there is one.
   * @param first offset of the set's first entry
   */
  room(first: number): number {
    const { size, words } = this;
    const end = first + this.ways * size;
    for (let at = first; at < end; at += size) if (words[at] === 0) return at;
    return this.replaced(first);
  }

  /**
   * Offset of an entry of a full set that makes room. For a cache that is explored, the victim would be one more free decision: it is
   * large enough, or the case is told so.
   */
  replaced(first: number): number {
    if (!this.replaces) this.tooSmall();
    this.victim += this.size;
    if (this.victim >= this.ways * this.size) this.victim = 0;
    return first + this.victim;
  }

  private tooSmall(): never {
    throw new RangeError(`${this.region.name} of ${this.ways} entries is too small for this case; give it more`);
  }
}
