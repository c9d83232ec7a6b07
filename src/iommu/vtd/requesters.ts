import type { Arena } from '../../machine/index.ts';

const MOST = 8;

/**
 * Which requesters may have translations in the IOTLB, as long as they are few: an invalidation of few pages then looks where those would be,
 * not at every entry. It is part of the state, like the cache that it is about.
 */
export class Requesters {
  /** Words: how many, MOST + 1 for "too many"; then their source ids. */
  private readonly at: number;
  private readonly arena: Arena;
  private readonly words: Int32Array;

  constructor(arena: Arena) {
    this.arena = arena;
    this.words = arena.words;
    this.at = arena.region('vtd.iotlb-requesters', [
      'count',
      ...Array.from({ length: MOST }, (_, i) => `sid${i}`),
    ]).base;
  }

  /** How many they are; −1 where they are too many to be known. */
  get count(): number {
    const count = this.words[this.at];
    return count > MOST ? -1 : count;
  }

  sid(i: number): number {
    return this.words[this.at + 1 + i];
  }

  /** A translation of this requester is filled in. */
  note(sid: number): void {
    const { arena, at, words } = this;
    const count = words[at];
    if (count > MOST) return;
    for (let i = 1; i <= count; i++) if (words[at + i] === sid) return;
    if (count < MOST) arena.set(at + 1 + count, sid);
    arena.set(at, count + 1);
  }

  /** The IOTLB is empty. */
  forget(): void {
    this.arena.set(this.at, 0);
  }
}
