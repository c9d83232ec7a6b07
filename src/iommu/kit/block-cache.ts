/**
 * A cache of aligned blocks of an address space, of several sizes, which may overlap: translations, or tables that cover blocks. Addresses are
 * byte addresses in two int32 halves. An entry's words: a tag (bit 0: there is one; bits 6:1: log2 of its bytes, less 12; the rest is its
 * owner's), whose it is, and halves of where it begins and of what it gives; then, where one word does not say whose it is, a second one, and words that only
 * its owner knows.
 */
import type { Arena } from '../../machine/index.ts';
import { Cache } from './cache.ts';

/** Offsets in an entry. */
export const BLOCK = { tag: 0, id: 1, hi: 2, lo: 3, outHi: 4, outLo: 5, second: 6 } as const;

/** Where the owner's bits of a tag begin. */
export const BLOCK_TAG = { valid: 0, size: 1, owner: 7 } as const;

/** Blocks have 2^12 bytes at least, and where several sizes are looked for 2^(12 + 31) at most: a bit each in one word. */
const SMALLEST = 12;

// Again as this module's own, which V8 folds.
const ID = BLOCK.id;
const HI = BLOCK.hi;
const LO = BLOCK.lo;
const OUT_HI = BLOCK.outHi;
const OUT_LO = BLOCK.outLo;
const SECOND = BLOCK.second;
const SIZE = BLOCK_TAG.size;
const SALT = 0x85ebca6b | 0;

/** Bits of a tag that say that there is an entry, and its size. */
const VALID_AND_SIZE = 0x7f;

/** log2 of an entry's bytes. */
export function blockBits(tag: number): number {
  return ((tag >>> SIZE) & 0x3f) + SMALLEST;
}

/** Tag of an entry of 2^bits bytes, but for the owner's bits. */
export function blockTag(bits: number): number {
  return 1 | ((bits - SMALLEST) << SIZE);
}

/** A word with the bits of some sizes set, by their log2. */
export function sizesOf(bits: Iterable<number>): number {
  let sizes = 0;
  for (const size of bits) sizes |= 1 << (size - SMALLEST);
  return sizes;
}

/** Lower half of where the block of 2^bits bytes around an address begins. */
export function blockLo(bits: number, lo: number): number {
  return bits >= 32 ? 0 : lo & (-1 << bits);
}

/** Upper half. */
export function blockHi(bits: number, hi: number): number {
  return bits <= 32 ? hi : hi & (-1 << (bits - 32));
}

/** Whether two addresses lie in one block of 2^bits bytes. */
export function sameBytes(bits: number, hiA: number, loA: number, hiB: number, loB: number): boolean {
  if (bits >= 64) return true;
  if (bits >= 32) return (hiA ^ hiB) >>> (bits - 32) === 0;
  return hiA === hiB && (loA ^ loB) >>> bits === 0;
}

/** Which entries an invalidation is about. */
export interface Concern {
  /** @param at offset of an entry that is held */
  concerns(at: number): boolean;
}

export interface BlockCacheOptions {
  /** A power of two. */
  readonly sets: number;
  readonly ways: number;
  /** That entries can have; see {@link sizesOf}. Absent where they are looked up by size, which is then any. */
  readonly sizes?: number;
  /** A full set replaces its entries in turn; otherwise it is an error. */
  readonly replaces: boolean;
  /** What the id is, for those who look at regions. */
  readonly id: string;
  /** Names of more words, the first at {@link BLOCK.second}: the second id, if there is any, and the owner's. */
  readonly more?: readonly string[];
}

export class BlockCache {
  readonly cache: Cache;
  private readonly words: Int32Array;
  private readonly arena: Arena;
  private readonly base: number;
  private readonly mask: number;
  /** Words of an entry. */
  private readonly size: number;
  /** Words of a set. */
  private readonly stride: number;
  private readonly setBits: number;
  private readonly sizes: number;
  /**
   * Offset of a word with the bits of sizes that may be there: the others need no look. −1 where the owner is explored: the word would tell apart
   * states that nobody can tell apart.
   */
  private readonly sizesAt: number;

  constructor(arena: Arena, name: string, { sets, ways, sizes = 0, replaces, id, more = [] }: BlockCacheOptions) {
    const fields = ['tag', id, 'hi', 'lo', 'outHi', 'outLo', ...more];
    this.arena = arena;
    this.words = arena.words;
    this.sizes = sizes;
    this.sizesAt = replaces && sizes !== 0 ? arena.region(`${name}-sizes`, ['sizes']).base : -1;
    this.cache = new Cache(arena, name, fields, sets, ways, replaces);
    this.base = this.cache.base;
    this.mask = sets - 1;
    this.size = fields.length;
    this.stride = ways * fields.length;
    this.setBits = Math.log2(sets);
  }

  /** Offset of the first entry of the set in which a block of 2^bits bytes is. Neighbouring blocks get different sets: a buffer of as many pages as there are sets fits. */
  private setAt(bits: number, id: number, hi: number, lo: number): number {
    const block = bits >= 32 ? hi >>> (bits - 32) : (lo >>> bits) | (hi << (32 - bits));
    // `| 0`: operands of Math.imul that V8 does not know to be integers go through floating point.
    const hash = block ^ (block >>> this.setBits) ^ Math.imul(id | 0, SALT);
    return this.base + (hash & this.mask) * this.stride;
  }

  /**
   * Offset of the first entry that covers the address, smaller blocks first; −1 for none.
   * @param second id; −1 where there is none, or any does
   * @param kind bits of the tag that `kindMask` selects must be these
   * @param need bits of the tag that must be set
   */
  find(id: number, second: number, hi: number, lo: number, kind: number, kindMask: number, need: number): number {
    // The smallest ones, which most are, with a size that V8 folds.
    const smallest = this.findBlock(SMALLEST, id, second, hi, lo, kind, kindMask, need);
    if (smallest >= 0) return smallest;
    for (let sizes = this.present & -2; sizes !== 0; sizes &= sizes - 1) {
      const at = this.findBlock(31 - Math.clz32(sizes & -sizes) + SMALLEST, id, second, hi, lo, kind, kindMask, need);
      if (at >= 0) return at;
    }
    return -1;
  }

  /** {@link find} among the blocks of 2^bits bytes. */
  findBlock(
    bits: number,
    id: number,
    second: number,
    hi: number,
    lo: number,
    kind: number,
    kindMask: number,
    need: number,
  ): number {
    const { size, words } = this;
    const mask = kindMask | need | VALID_AND_SIZE;
    const wanted = kind | need | blockTag(bits);
    let startHi = hi;
    let startLo = 0;
    let block: number;
    if (bits < 32) {
      block = (lo >>> bits) | (hi << (32 - bits));
      startLo = lo & (-1 << bits);
    } else {
      block = hi >>> (bits - 32);
      startHi = block << (bits - 32);
    }
    let at = this.base + ((block ^ (block >>> this.setBits) ^ Math.imul(id | 0, SALT)) & this.mask) * this.stride;
    for (const end = at + this.stride; at < end; at += size) {
      if (words[at + LO] !== startLo || words[at + HI] !== startHi || words[at + ID] !== id) continue;
      if ((words[at] & mask) === wanted && (second < 0 || words[at + SECOND] === second)) return at;
    }
    return -1;
  }

  /**
   * The `n`th of what {@link find} finds the first of; −1 when there are no more.
   * @param some bits of the tag of which one must be set; 0 for none
   */
  nth(
    id: number,
    second: number,
    hi: number,
    lo: number,
    kind: number,
    kindMask: number,
    need: number,
    some: number,
    n: number,
  ): number {
    const { size, words } = this;
    const mask = kindMask | need | VALID_AND_SIZE;
    let left = n;
    for (let sizes = this.present; sizes !== 0; sizes &= sizes - 1) {
      const bits = 31 - Math.clz32(sizes & -sizes) + SMALLEST;
      const startHi = blockHi(bits, hi);
      const startLo = blockLo(bits, lo);
      const wanted = kind | need | blockTag(bits);
      let at = this.setAt(bits, id, hi, lo);
      for (const end = at + this.stride; at < end; at += size) {
        if (words[at + LO] !== startLo || words[at + HI] !== startHi || words[at + ID] !== id) continue;
        if ((words[at] & mask) !== wanted || (some !== 0 && (words[at] & some) === 0)) continue;
        if (second >= 0 && words[at + SECOND] !== second) continue;
        if (left-- === 0) return at;
      }
    }
    return -1;
  }

  /** What an entry gives, and for translations where the address in its block leads. */
  outHi(at: number, hi: number): number {
    const bits = blockBits(this.words[at]);
    return bits <= 32 ? this.words[at + OUT_HI] : this.words[at + OUT_HI] | (hi & ~(-1 << (bits - 32)));
  }

  outLo(at: number, lo: number): number {
    const bits = blockBits(this.words[at]);
    return bits >= 32 ? lo : this.words[at + OUT_LO] | (lo & ~(-1 << bits));
  }

  /**
   * Takes the place of the entry of the same block, or of one that makes room.
   * @param tag with {@link blockTag}. @param kindMask bits of the tag by which entries of the same block differ
   * @param outHi aligned to the block, if it is a translation
   * @returns where it is: the owner's words are to be set. @param second id, −1 where there is none
   */
  fill(
    tag: number,
    kindMask: number,
    id: number,
    second: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
  ): number {
    const { arena, size, words } = this;
    const bits = blockBits(tag);
    const mask = kindMask | VALID_AND_SIZE;
    let startHi = hi;
    let startLo = 0;
    let block: number;
    if (bits < 32) {
      block = (lo >>> bits) | (hi << (32 - bits));
      startLo = lo & (-1 << bits);
    } else {
      block = hi >>> (bits - 32);
      startHi = block << (bits - 32);
    }
    const hash = block ^ (block >>> this.setBits) ^ Math.imul(id | 0, SALT);
    const first = this.base + (hash & this.mask) * this.stride;
    const end = first + this.stride;
    let entry = -1;
    let empty = -1;
    for (let at = first; at < end; at += size) {
      if (words[at] === 0) {
        if (empty < 0) empty = at;
        continue;
      }
      if (words[at + LO] !== startLo || words[at + HI] !== startHi || words[at + ID] !== id) continue;
      if (((words[at] ^ tag) & mask) !== 0 || (second >= 0 && words[at + SECOND] !== second)) continue;
      entry = at;
      break;
    }
    if (entry < 0) entry = empty >= 0 ? empty : this.cache.replaced(first);
    if (arena.tracked) {
      arena.set(entry, tag);
      arena.set(entry + ID, id);
      arena.set(entry + HI, startHi);
      arena.set(entry + LO, startLo);
      arena.set(entry + OUT_HI, outHi);
      arena.set(entry + OUT_LO, outLo);
      if (second >= 0) arena.set(entry + SECOND, second);
    } else {
      words[entry] = tag;
      words[entry + ID] = id;
      words[entry + HI] = startHi;
      words[entry + LO] = startLo;
      words[entry + OUT_HI] = outHi;
      words[entry + OUT_LO] = outLo;
      if (second >= 0) words[entry + SECOND] = second;
    }
    const { sizesAt } = this;
    const bit = 1 << (bits - SMALLEST);
    if (sizesAt >= 0 && (words[sizesAt] & bit) === 0) arena.set(sizesAt, words[sizesAt] | bit);
    return entry;
  }

  /** Drops the entries around an address that a concern is about. */
  dropAround(id: number, hi: number, lo: number, of: Concern): void {
    for (let sizes = this.present; sizes !== 0; sizes &= sizes - 1) {
      const first = this.setAt(31 - Math.clz32(sizes & -sizes) + SMALLEST, id, hi, lo);
      this.dropIn(first, first + this.stride, of);
    }
  }

  /** Drops all entries that a concern is about. */
  dropWhere(of: Concern): void {
    this.dropIn(this.base, this.cache.at(this.cache.entries), of);
  }

  private dropIn(first: number, end: number, of: Concern): void {
    const { cache, size, words } = this;
    for (let at = first; at < end; at += size) if (words[at] !== 0 && of.concerns(at)) cache.drop(at);
  }

  dropAll(): void {
    this.cache.dropAll();
    if (this.sizesAt >= 0) this.arena.set(this.sizesAt, 0);
  }

  /** Sizes that may be there; see {@link sizesOf}. */
  private get present(): number {
    return this.sizesAt < 0 ? this.sizes : this.words[this.sizesAt];
  }

  word(at: number, field: number): number {
    return this.words[at + field];
  }
}
