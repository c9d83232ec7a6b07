import type { Arena } from './arena.ts';
import { mixA, mixB } from './mix.ts';
import type { TwinLayout } from './twin-sums.ts';
import { TwinSums } from './twin-sums.ts';

/** Words of a journal entry: offset, old value, old sums of its unit, old fingerprint. */
const ENTRY = 6;

/** Unit of a word that {@link TwinSums} follows. */
const TWIN = -2;

export interface TrackerOptions {
  /** Units of interchangeable regions may change places; true if absent. */
  readonly symmetry?: boolean;
  /** Regions that say nothing about the state: indices and hints that other words determine. */
  readonly derived?: readonly string[];
  /** Equal devices that may change places as a whole. */
  readonly twins?: TwinLayout;
}

/**
 * Follows every write to an arena: a 64-bit fingerprint kept up to date word by word (Zobrist-like: a sum of a mixed
 * value per word, so the order of writes does not matter), a journal to take writes back, and the list of words that
 * ever changed (it only grows).
 *
 * Units of an interchangeable region enter the fingerprint as a sum over units of a mix of the unit's own sum, so two
 * states that differ only in the order of such units are one. What belongs to twins is in the care of {@link TwinSums}.
 */
export class Tracker {
  /** Fingerprint halves; 0 for the state in which the tracker was attached. */
  fpA = 0;
  fpB = 0;
  /** Offsets that ever changed, in order of first change. */
  readonly live: number[] = [];
  /** Value of each word when the tracker was attached. */
  readonly initial: Int32Array;
  /** While true, {@link undo} can take writes back. */
  journaling = false;

  private readonly words: Int32Array;
  private readonly isLive: Uint8Array;
  /** Position that a word is hashed at: its offset, or its place within its interchangeable unit; −1 if it is derived, or a twin's. */
  private readonly position: Int32Array;
  /** Interchangeable unit of a word, −1 for none, {@link TWIN} for what is a twin's. */
  private readonly unit: Int32Array;
  private readonly unitA: Int32Array;
  private readonly unitB: Int32Array;
  private readonly twins: TwinSums | null;
  private journal = new Int32Array(1024 * ENTRY);
  private journalEnd = 0;

  constructor(arena: Arena, options: TrackerOptions = {}) {
    const { symmetry = true, derived = [], twins } = options;
    const size = arena.used;
    this.words = arena.words;
    this.initial = arena.snapshot();
    this.isLive = new Uint8Array(size);
    this.position = new Int32Array(size);
    this.unit = new Int32Array(size).fill(-1);
    let units = 0;
    arena.regions.forEach((region, r) => {
      const length = region.fields.length;
      const interchangeable = region.interchangeable && symmetry;
      for (let i = 0; i < region.units * length; i++) {
        const offset = region.base + i;
        this.position[offset] = interchangeable ? (r + 1) * 0x10000 + (i % length) : offset;
        if (derived.includes(region.name)) this.position[offset] = -1;
        else if (interchangeable) this.unit[offset] = units + Math.floor(i / length);
      }
      if (interchangeable) units += region.units;
    });
    this.twins = twins === undefined || !symmetry ? null : new TwinSums(arena, twins);
    for (const offset of this.twins?.offsets() ?? []) {
      this.position[offset] = -1;
      this.unit[offset] = TWIN;
    }
    this.unitA = new Int32Array(units);
    this.unitB = new Int32Array(units);
    // Units start from sums of their real content, so that equal units are equal whatever they began as.
    for (let offset = 0; offset < size; offset++) {
      const u = this.unit[offset];
      if (u < 0) continue;
      this.unitA[u] += mixA(this.position[offset], this.words[offset]);
      this.unitB[u] += mixB(this.position[offset], this.words[offset]);
    }
    arena.attach(this);
  }

  /** Writes a word that differs from `value`. Called by {@link Arena.set}. */
  change(offset: number, value: number): void {
    if (this.isLive[offset] === 0) {
      this.isLive[offset] = 1;
      this.live.push(offset);
    }
    const old = this.words[offset];
    const u = this.unit[offset];
    if (this.journaling) {
      const { journal } = this;
      const at = this.journalEnd;
      journal[at] = offset;
      journal[at + 1] = old;
      journal[at + 4] = this.fpA;
      journal[at + 5] = this.fpB;
      if (u >= 0) {
        journal[at + 2] = this.unitA[u];
        journal[at + 3] = this.unitB[u];
      }
      this.journalEnd = at + ENTRY;
      if (this.journalEnd === journal.length) this.growJournal();
    }
    const position = this.position[offset];
    this.words[offset] = value;
    if (position < 0) {
      if (u === TWIN) this.changeTwin(offset, old);
      return;
    }
    const a = (mixA(position, value) - mixA(position, old)) | 0;
    const b = (mixB(position, value) - mixB(position, old)) | 0;
    if (u < 0) {
      this.fpA = (this.fpA + a) | 0;
      this.fpB = (this.fpB + b) | 0;
      return;
    }
    const oldA = this.unitA[u];
    const oldB = this.unitB[u];
    const newA = (oldA + a) | 0;
    const newB = (oldB + b) | 0;
    this.unitA[u] = newA;
    this.unitB[u] = newB;
    this.fpA = (this.fpA + mixA(newA, newB) - mixA(oldA, oldB)) | 0;
    this.fpB = (this.fpB + mixB(newA, newB) - mixB(oldA, oldB)) | 0;
  }

  private changeTwin(offset: number, old: number): void {
    const twins = this.twins as TwinSums;
    twins.change(offset, old, this.journaling);
    this.fpA = (this.fpA + twins.deltaA) | 0;
    this.fpB = (this.fpB + twins.deltaB) | 0;
  }

  private growJournal(): void {
    const bigger = new Int32Array(this.journal.length * 2);
    bigger.set(this.journal);
    this.journal = bigger;
  }

  /** A place in the journal to {@link undo} to. */
  mark(): number {
    return this.journalEnd;
  }

  /** Empties the journal: what was written cannot be taken back any more. */
  forget(): void {
    this.journalEnd = 0;
    this.twins?.forget();
  }

  /** Takes back every write since `mark`. Nothing is hashed: the journal has the sums. */
  undo(mark: number): void {
    const { journal, words, unit, unitA, unitB } = this;
    let at = this.journalEnd;
    if (at === mark) return;
    while (at > mark) {
      at -= ENTRY;
      const offset = journal[at];
      words[offset] = journal[at + 1];
      const u = unit[offset];
      if (u >= 0) {
        unitA[u] = journal[at + 2];
        unitB[u] = journal[at + 3];
      } else if (u === TWIN) (this.twins as TwinSums).undo();
    }
    this.fpA = journal[at + 4];
    this.fpB = journal[at + 5];
    this.journalEnd = at;
  }
}
