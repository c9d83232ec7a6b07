/** Random memory for walks through dumps: trees of tables whose entries are as they should be, up to a flipped bit now and then, and lost words. */
import type { Words } from '../../src/decode/index.ts';
import { Tables } from '../../src/decode/index.ts';
import { Random } from '../conformance/vtd/random.ts';

/** Indices of a table that are filled: requests have them as well. */
export const FILLED = [0, 1, 2, 3] as const;

/** A level of a tree, top first. */
export interface TreeLevel {
  readonly shift: number;
  /** Of an entry. */
  readonly bytes: number;
}

export interface Tree {
  readonly levels: readonly TreeLevel[];
  /** Where a table may lie, by its level (0 is the top). */
  readonly place: (level: number) => bigint;
  /** The entry of a table of level `level` for `next`, and that of a page for the address that led to it. */
  readonly table: (next: bigint, level: number) => bigint;
  readonly page: (address: bigint, level: number) => bigint;
  /** How often an entry above the last level is a page, of a hundred. */
  readonly pages: number;
  readonly flips: number;
}

export class World extends Random {
  readonly words = new Map<bigint, bigint>();

  /** @param bits of the word @param often of a hundred */
  flipped(word: bigint, bits: number, often: number): bigint {
    let out = word;
    // The low bits say whether an entry counts, and what it lets pass.
    while (this.chance(often)) out ^= 1n << BigInt(this.below(this.chance(50) ? 8 : bits));
    return out;
  }

  set(at: bigint, word: bigint, bytes = 8): void {
    if (bytes === 8) this.words.set(at, word);
    else {
      const whole = at & ~7n;
      const shift = (at & 4n) * 8n;
      const rest = (this.words.get(whole) ?? 0n) & ~(0xffffffffn << shift);
      this.words.set(whole, rest | ((word & 0xffffffffn) << shift));
    }
  }

  /** Builds a whole tree. @returns where its top table is */
  tree({ flips, levels, page, pages, place, table }: Tree): bigint {
    const build = (level: number, address: bigint): bigint => {
      const base = place(level);
      const { bytes, shift } = levels[level] as TreeLevel;
      for (const index of FILLED) {
        const own = address | (BigInt(index) << BigInt(shift));
        const last = level === levels.length - 1;
        const word = last || this.chance(pages) ? page(own, level) : table(build(level + 1, own), level);
        this.set(base + BigInt(index * bytes), this.flipped(word, bytes * 8, flips), bytes);
      }
      return base;
    };
    return build(0, 0n);
  }

  /** Forgets some words. */
  lose(ofHundred: number): void {
    for (const at of [...this.words.keys()]) if (this.chance(ofHundred)) this.words.delete(at);
  }

  /** An address whose indices are filled, most of the time. */
  address(levels: readonly TreeLevel[]): bigint {
    if (this.chance(3)) return this.big(64);
    let out = BigInt(this.below(2 ** (levels.at(-1) as TreeLevel).shift));
    for (const { shift } of levels) out |= BigInt(this.pick(FILLED)) << BigInt(shift);
    return this.chance(3) ? out ^ (1n << BigInt(this.below(64))) : out;
  }

  /** As a dump of all of it would have it. */
  tables(): Tables {
    const words: Words = this.words;
    return new Tables(words);
  }
}

/** Counts what came up, so that a test can tell that it tested something. */
export class Seen {
  private readonly counts = new Map<string, number>();

  add(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0;
  }

  /** All, for a message. */
  get text(): string {
    return [...this.counts].map(([what, count]) => `${what} ${count}`).join(', ');
  }
}
