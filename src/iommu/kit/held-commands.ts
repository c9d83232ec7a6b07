import type { Arena, Region } from '../../machine/index.ts';

/**
 * Commands that a queue's head has passed and that are not done yet. Without gaps, in the order of the queue; an empty place is all zero, which no
 * command is in its first word.
 */
export class HeldCommands {
  /** How many there can be. */
  readonly places: number;
  private readonly arena: Arena;
  private readonly region: Region | null;
  /** Words of a command. */
  private readonly size: number;

  /**
   * @param places with 0 there is no region
   * @param ordered whether their order counts: if not, states that differ in it alone are one
   */
  constructor(arena: Arena, region: string, words: number, places: number, ordered: boolean) {
    this.arena = arena;
    this.places = places;
    this.size = words;
    const names = Array.from({ length: words }, (_, i) => `w${i}`);
    this.region = places === 0 ? null : arena.region(region, names, places, !ordered);
  }

  word(place: number, i: number): number {
    return this.arena.words[(this.region as Region).base + place * this.size + i];
  }

  get count(): number {
    let n = 0;
    while (n < this.places && this.word(n, 0) !== 0) n++;
    return n;
  }

  get hasRoom(): boolean {
    return this.count < this.places;
  }

  /** Behind the others; there has to be room. */
  add(command: Int32Array): void {
    const base = (this.region as Region).base + this.count * this.size;
    for (let i = 0; i < this.size; i++) this.arena.set(base + i, command[i]);
  }

  /** Takes one out. */
  take(place: number, into: Int32Array): void {
    for (let i = 0; i < this.size; i++) into[i] = this.word(place, i);
    this.remove(place);
  }

  remove(place: number): void {
    const { size } = this;
    const last = this.count - 1;
    const { base } = this.region as Region;
    for (let to = place; to <= last; to++) {
      for (let i = 0; i < size; i++) this.arena.set(base + to * size + i, to < last ? this.word(to + 1, i) : 0);
    }
  }
}
