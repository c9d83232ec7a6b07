import { hex64 } from '../bits/index.ts';
import type { Arena, Region } from './arena.ts';
import type { EventLog } from './event-log.ts';
import type { Frame, Frames } from './frames.ts';
import type { Memory } from './memory.ts';

/** Most 64-bit words that a case names; its state would be too large to explore with more. */
const MAX_WORDS = 512;

/**
 * The sparse memory of a case: only named words exist, all others of a declared frame read as zero and cannot be
 * given another value. Addresses outside every frame are not memory at all.
 *
 * With a *non-coherent* walker each word has two copies: what the CPU and snooping devices see, and what the IOMMU's
 * page walk sees. The second follows at a write-back, which the CPU cache may do at any time and `clflush` does at once.
 */
export class CaseMemory implements Memory {
  readonly coherent: boolean;
  /** Whatever holds a store back from walks, and what it does in the end: for the story. */
  holder = 'cache writes back';
  private readonly watchers: ((at: number) => void)[] = [];
  private readonly arena: Arena;
  private readonly frames: Frames;
  private readonly log: EventLog;
  private readonly region: Region;
  private readonly cells: number;
  /** Handle of word w of frame f at f * 512 + w, 0 where the word is not named. */
  private readonly handles: Int32Array;
  private readonly named: { frame: Frame; word: number }[] = [];
  /** The zero that unnamed words read. */
  private readonly constant: number;

  constructor(arena: Arena, frames: Frames, log: EventLog, coherent: boolean) {
    this.arena = arena;
    this.frames = frames;
    this.log = log;
    this.coherent = coherent;
    const fields = coherent ? ['lo', 'hi'] : ['lo', 'hi', 'walkerLo', 'walkerHi'];
    this.cells = fields.length;
    // One more than there are named words: the constant.
    this.region = arena.region('memory', fields, MAX_WORDS + 1);
    this.handles = new Int32Array(64 * 512);
    this.constant = this.region.base;
    this.named.push({ frame: { name: 'nothing', pfn: -1, index: -1 }, word: 0 });
  }

  /** Names a word: from now on it can hold a value. */
  name(frame: Frame, word: number): number {
    if (!Number.isInteger(word) || word < 0 || word > 511) throw new RangeError(`${frame.name} has no word ${word}`);
    const slot = frame.index * 512 + word;
    if (this.handles[slot] === 0) {
      if (this.named.length > MAX_WORDS) throw new RangeError(`a case names at most ${MAX_WORDS} words of memory`);
      this.handles[slot] = this.region.base + this.named.length * this.cells;
      this.named.push({ frame, word });
    }
    return this.handles[slot];
  }

  /** Whether the word was named. */
  has(pfn: number, word: number): boolean {
    const frame = this.frames.find(pfn);
    return frame >= 0 && this.handles[frame * 512 + word] !== 0;
  }

  locate(pfn: number, word: number): number {
    const frame = this.frames.find(pfn);
    if (frame < 0) return -1;
    return this.handles[frame * 512 + word] || this.constant;
  }

  lo(at: number): number {
    return this.arena.words[at];
  }

  hi(at: number): number {
    return this.arena.words[at + 1];
  }

  /** A write that everybody sees, as a device's or the IOMMU's: it snoops. Unnamed words stay as they are. */
  write(at: number, lo: number, hi: number): void {
    this.store(at, lo, hi);
    this.writeBack(at);
  }

  /** A CPU's store: a non-coherent walker does not see it yet. */
  store(at: number, lo: number, hi: number): void {
    const { words } = this.arena;
    if (at === this.constant || (words[at] === lo && words[at + 1] === hi)) return;
    this.arena.set(at, lo);
    this.arena.set(at + 1, hi);
    if (this.coherent) this.tell(at);
  }

  /** Tells whoever {@link watch}es that walks see another value. */
  private tell(at: number): void {
    for (const changed of this.watchers) changed(at);
  }

  watch(changed: (at: number) => void): void {
    this.watchers.push(changed);
  }

  /** Every named word of the frame becomes zero, for everybody. */
  zero(frame: Frame): void {
    for (let word = 0; word < 512; word++) {
      const at = this.handles[frame.index * 512 + word];
      if (at !== 0) this.write(at, 0, 0);
    }
  }

  /** The walker's copy of the word becomes what the CPU sees. */
  writeBack(at: number): void {
    if (this.coherent || at === this.constant) return;
    const { words } = this.arena;
    if (words[at] === words[at + 2] && words[at + 1] === words[at + 3]) return;
    this.arena.set(at + 2, words[at]);
    this.arena.set(at + 3, words[at + 1]);
    this.tell(at);
  }

  /** The memory that a page walk reads. */
  walkerView(): Memory {
    if (this.coherent) return this;
    const words = this.arena.words;
    return {
      locate: (pfn, word) => this.locate(pfn, word),
      lo: (at) => words[at + 2],
      hi: (at) => words[at + 3],
      write: (at, lo, hi) => this.write(at, lo, hi),
      watch: (changed) => this.watch(changed),
    };
  }

  /** Handles of the words whose two copies differ. */
  dirtyCount(): number {
    let count = 0;
    if (!this.coherent) for (let i = 1; i < this.named.length; i++) if (this.differs(i)) count++;
    return count;
  }

  /** Writes back the `n`th word whose two copies differ. */
  writeBackNth(n: number): void {
    for (let i = 1; i < this.named.length; i++) {
      if (!this.differs(i) || n-- > 0) continue;
      const at = this.region.base + i * this.cells;
      if (this.log.on) this.log.say('memory', `${this.holder} ${this.describe(at)}`);
      this.writeBack(at);
      return;
    }
  }

  /** Writes everything back at once. */
  writeBackAll(): void {
    for (let i = 1; i < this.named.length; i++) this.writeBack(this.region.base + i * this.cells);
  }

  private differs(index: number): boolean {
    const at = this.region.base + index * this.cells;
    const words = this.arena.words;
    return words[at] !== words[at + 2] || words[at + 1] !== words[at + 3];
  }

  /** `name[word] = value` of a handle. */
  describe(at: number): string {
    const { frame, word } = this.named[(at - this.region.base) / this.cells];
    return `${frame.name}[${word}] = ${hex64(this.lo(at), this.hi(at))}`;
  }

  /** `name[word] = value` of every named word of a frame that is not zero. */
  contents(frame: Frame): string[] {
    const out: string[] = [];
    for (let word = 0; word < 512; word++) {
      const at = this.handles[frame.index * 512 + word];
      if (at !== 0 && (this.lo(at) !== 0 || this.hi(at) !== 0)) out.push(this.describe(at));
    }
    return out;
  }

  /** `name[word]` of a handle. */
  label(at: number): string {
    const { frame, word } = this.named[(at - this.region.base) / this.cells];
    return `${frame.name}[${word}]`;
  }
}
