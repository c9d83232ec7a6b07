import type { Arena } from './arena.ts';
import { mixA, mixB } from './mix.ts';
import type { Naming } from './naming.ts';

/** Which words belong to which member of a group of twins: equal devices that can change places as a whole. */
export interface TwinLayout {
  /** By member: its group. */
  readonly groups: readonly number[];
  /** By member: offsets of the words that are its own, in one order for all members of a group. */
  readonly own: readonly (readonly number[])[];
  /** Units that are a member's as long as they name it, each with the member that a name means. */
  readonly units: readonly { readonly naming: Naming; readonly members: ReadonlyMap<number, number> }[];
  /** Words that must stay as they are, or twins would not be equal any more. */
  readonly fixed: readonly number[];
}

/** {@link TwinSums.kind} of a word that must stay. */
const FIXED = -0x80000000;

/** Words of a journal entry: unit, its two sums, its two parts, its owner, then twice a member and its two sums. */
const ENTRY = 12;

/**
 * The part of the fingerprint that twins have in it: for each member a sum of its own words and of the units that name it, the name itself left
 * out; of each member's sum a mix. So two states in which whole devices changed places have one fingerprint, and two in which only parts of
 * devices did have two.
 */
export class TwinSums {
  /** What the last {@link change} adds to the fingerprint. */
  deltaA = 0;
  deltaB = 0;
  private readonly arena: Arena;
  private readonly words: Int32Array;
  /** By offset: the number of the word's unit, the complement of the member whose own it is, or {@link FIXED}. */
  private readonly kind: Int32Array;
  /** By offset: what the word is hashed at; −1 for a name and what it implies. */
  private readonly position: Int32Array;
  private readonly memberA: Int32Array;
  private readonly memberB: Int32Array;
  /** By unit: sum of its words but the name, and what it adds to its owner's sum, or to the fingerprint where nobody is. */
  private readonly unitA: Int32Array;
  private readonly unitB: Int32Array;
  private readonly partA: Int32Array;
  private readonly partB: Int32Array;
  /** By unit: the member that it names, −1 for none. */
  private readonly owner: Int32Array;
  /** By unit: offset of its first word, its layout, what its name is hashed at. */
  private readonly first: number[] = [];
  private readonly layoutOf: TwinLayout['units'][number][] = [];
  private readonly nameAt: number[] = [];
  private journal = new Int32Array(256 * ENTRY);
  private journalEnd = 0;

  constructor(arena: Arena, layout: TwinLayout) {
    this.arena = arena;
    this.words = arena.words;
    this.kind = new Int32Array(arena.used);
    this.position = new Int32Array(arena.used).fill(-1);
    // Members of two groups have different sums, whatever belongs to them.
    this.memberA = Int32Array.from(layout.groups, (group) => mixA(group, group));
    this.memberB = Int32Array.from(layout.groups, (group) => mixB(group, group));
    for (const offset of layout.fixed) this.kind[offset] = FIXED;
    layout.own.forEach((offsets, member) => {
      offsets.forEach((offset, i) => {
        this.kind[offset] = ~member;
        this.position[offset] = 0x10000000 + i;
      });
    });
    layout.units.forEach((units, n) => {
      const { base, length, owner, ordered, implied } = units.naming;
      for (let i = 0; i < units.naming.units; i++) {
        const first = base + i * length;
        for (let word = 0; word < length; word++) {
          this.kind[first + word] = this.first.length;
          const named = word === owner || implied.includes(word);
          this.position[first + word] = named ? -1 : ordered ? first + word : 0x20000000 + n * 0x10000 + word;
        }
        this.nameAt.push(ordered ? first + owner : 0x20000000 + n * 0x10000 + owner);
        this.first.push(first);
        this.layoutOf.push(units);
      }
    });
    const units = this.first.length;
    this.unitA = new Int32Array(units);
    this.unitB = new Int32Array(units);
    this.partA = new Int32Array(units);
    this.partB = new Int32Array(units);
    this.owner = new Int32Array(units);
    this.begin(layout);
  }

  /** Sums of the content that there is. */
  private begin(layout: TwinLayout): void {
    const { words, position } = this;
    layout.own.forEach((offsets, member) => {
      for (const offset of offsets) {
        this.memberA[member] += mixA(position[offset], words[offset]);
        this.memberB[member] += mixB(position[offset], words[offset]);
      }
    });
    for (let u = 0; u < this.first.length; u++) {
      const first = this.first[u];
      for (let offset = first; offset < first + this.layoutOf[u].naming.length; offset++) {
        if (position[offset] < 0) continue;
        this.unitA[u] += mixA(position[offset], words[offset]);
        this.unitB[u] += mixB(position[offset], words[offset]);
      }
      this.owner[u] = this.ownerOf(u);
      this.weigh(u);
      this.add(this.owner[u], this.partA[u], this.partB[u]);
    }
  }

  /** Offsets of all words that are followed here, and nowhere else. */
  *offsets(): Generator<number> {
    for (let offset = 0; offset < this.kind.length; offset++)
      if (this.position[offset] >= 0 || this.kind[offset] === FIXED) yield offset;
    for (let u = 0; u < this.first.length; u++)
      for (let i = 0; i < this.layoutOf[u].naming.length; i++)
        if (this.position[this.first[u] + i] < 0) yield this.first[u] + i;
  }

  private ownerOf(unit: number): number {
    const { naming, members } = this.layoutOf[unit];
    const first = this.first[unit];
    if (naming.valid >= 0 && this.words[first + naming.valid] === 0) return -1;
    return members.get(this.words[first + naming.owner]) ?? -1;
  }

  /** What the unit adds: with its name, where that is not a member's. */
  private weigh(unit: number): void {
    let a = this.unitA[unit];
    let b = this.unitB[unit];
    if (this.owner[unit] < 0) {
      const name = this.words[this.first[unit] + this.layoutOf[unit].naming.owner];
      a = (a + mixA(this.nameAt[unit], name)) | 0;
      b = (b + mixB(this.nameAt[unit], name)) | 0;
    }
    this.partA[unit] = mixA(a, b);
    this.partB[unit] = mixB(a, b);
  }

  /** Adds to the member's sum, or to the fingerprint for −1. */
  private add(member: number, a: number, b: number): void {
    if (member < 0) {
      this.deltaA = (this.deltaA + a) | 0;
      this.deltaB = (this.deltaB + b) | 0;
      return;
    }
    const oldA = this.memberA[member];
    const oldB = this.memberB[member];
    const newA = (oldA + a) | 0;
    const newB = (oldB + b) | 0;
    this.memberA[member] = newA;
    this.memberB[member] = newB;
    this.deltaA = (this.deltaA + mixA(newA, newB) - mixA(oldA, oldB)) | 0;
    this.deltaB = (this.deltaB + mixB(newA, newB) - mixB(oldA, oldB)) | 0;
  }

  /** A word was written. @param old what it was */
  change(offset: number, old: number, journaling: boolean): void {
    this.deltaA = 0;
    this.deltaB = 0;
    const kind = this.kind[offset];
    const value = this.words[offset];
    const position = this.position[offset];
    if (kind < 0) {
      const member = kind === FIXED ? -1 : ~kind;
      if (journaling) this.record(-1, member, -1);
      if (kind === FIXED) {
        const word = this.arena.nameOf(offset);
        throw new RangeError(`${word} is what hardware knows of a twin and may not change; declare no twins here`);
      }
      this.add(
        member,
        (mixA(position, value) - mixA(position, old)) | 0,
        (mixB(position, value) - mixB(position, old)) | 0,
      );
      return;
    }
    const before = this.owner[kind];
    const after = this.ownerOf(kind);
    if (journaling) this.record(kind, before, after);
    if (position >= 0) {
      this.unitA[kind] += mixA(position, value) - mixA(position, old);
      this.unitB[kind] += mixB(position, value) - mixB(position, old);
    }
    this.add(before, -this.partA[kind], -this.partB[kind]);
    this.owner[kind] = after;
    this.weigh(kind);
    this.add(after, this.partA[kind], this.partB[kind]);
  }

  private record(unit: number, one: number, other: number): void {
    if (this.journalEnd === this.journal.length) {
      const bigger = new Int32Array(this.journal.length * 2);
      bigger.set(this.journal);
      this.journal = bigger;
    }
    const { journal, journalEnd: at } = this;
    journal[at] = unit;
    if (unit >= 0) {
      journal[at + 1] = this.unitA[unit];
      journal[at + 2] = this.unitB[unit];
      journal[at + 3] = this.partA[unit];
      journal[at + 4] = this.partB[unit];
      journal[at + 5] = this.owner[unit];
    }
    journal[at + 6] = one;
    journal[at + 9] = other;
    if (one >= 0) {
      journal[at + 7] = this.memberA[one];
      journal[at + 8] = this.memberB[one];
    }
    if (other >= 0) {
      journal[at + 10] = this.memberA[other];
      journal[at + 11] = this.memberB[other];
    }
    this.journalEnd = at + ENTRY;
  }

  /** Takes the sums of the last change that was journaled back. */
  undo(): void {
    this.journalEnd -= ENTRY;
    const { journal, journalEnd: at } = this;
    const unit = journal[at];
    if (unit >= 0) {
      this.unitA[unit] = journal[at + 1];
      this.unitB[unit] = journal[at + 2];
      this.partA[unit] = journal[at + 3];
      this.partB[unit] = journal[at + 4];
      this.owner[unit] = journal[at + 5];
    }
    for (let i = at + 6; i < at + ENTRY; i += 3) {
      const member = journal[i];
      if (member < 0) continue;
      this.memberA[member] = journal[i + 1];
      this.memberB[member] = journal[i + 2];
    }
  }

  forget(): void {
    this.journalEnd = 0;
  }
}
