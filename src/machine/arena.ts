import type { Tracker } from './tracker.ts';

/** A run of equal units in the arena; a unit's words have names. */
export interface Region {
  readonly name: string;
  /** Offset of the first word. */
  readonly base: number;
  readonly units: number;
  /** Names of a unit's words, in order. */
  readonly fields: readonly string[];
  /** Units can change places without anybody noticing (cache ways, DMA slots): the fingerprint ignores their order. */
  readonly interchangeable: boolean;
}

/**
 * All mutable state of a machine, as named regions of one buffer. Components are classes over their region; every
 * write goes through {@link set}, so snapshots, fingerprints, undo and diffs need no code in any component.
 */
export class Arena {
  /** The state. Read it directly; write it through {@link set} (but see {@link tracked}). */
  readonly words: Int32Array;
  readonly regions: Region[] = [];
  /** Words in use; the rest of the buffer is not yet any region's. */
  used = 0;
  private tracker: Tracker | null = null;

  /** @param capacity words that all regions together may have */
  constructor(capacity = 8192) {
    this.words = new Int32Array(capacity);
  }

  /** Declares a region of `units` units with the given words each, all zero. */
  region(name: string, fields: readonly string[], units = 1, interchangeable = false): Region {
    if (this.tracker !== null) throw new Error(`region ${name} declared after the machine started`);
    const end = this.used + units * fields.length;
    if (end > this.words.length) throw new RangeError(`arena of ${this.words.length} words is too small for ${name}`);
    const region = { name, base: this.used, units, fields, interchangeable };
    this.used = end;
    this.regions.push(region);
    return region;
  }

  set(offset: number, value: number): void {
    if (this.tracker === null) this.words[offset] = value;
    else if (this.words[offset] !== value) this.tracker.change(offset, value);
  }

  /** Whether anybody follows the writes. While nobody does, {@link words} may be written as they are, where speed matters. */
  get tracked(): boolean {
    return this.tracker !== null;
  }

  /** Every later write is seen by `tracker`. */
  attach(tracker: Tracker): void {
    this.tracker = tracker;
  }

  snapshot(): Int32Array {
    return this.words.slice(0, this.used);
  }

  restore(snapshot: Int32Array): void {
    for (let i = 0; i < snapshot.length; i++) this.set(i, snapshot[i]);
  }

  /** The words in which two snapshots differ. */
  diff(before: Int32Array, after: Int32Array): { word: string; from: number; to: number }[] {
    const out: { word: string; from: number; to: number }[] = [];
    for (let i = 0; i < before.length; i++) {
      if (before[i] !== after[i]) out.push({ word: this.nameOf(i), from: before[i], to: after[i] });
    }
    return out;
  }

  /** `region[unit].field` of a word. */
  nameOf(offset: number): string {
    for (const region of this.regions) {
      const at = offset - region.base;
      if (at < 0 || at >= region.units * region.fields.length) continue;
      const field = region.fields[at % region.fields.length];
      const unit = region.units > 1 ? `[${Math.floor(at / region.fields.length)}]` : '';
      return `${region.name}${unit}.${field}`;
    }
    return `word ${offset}`;
  }
}
