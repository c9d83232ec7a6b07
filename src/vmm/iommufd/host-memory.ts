/** The host's own memory for tables and queues: frames that it takes from a range, and words in them. */
import type { Memory } from '../../machine/index.ts';

export class HostMemory {
  readonly memory: Memory;
  private next: number;
  private readonly last: number;
  private readonly returned: number[] = [];

  /** @param first, last page frame numbers that are the host's */
  constructor(memory: Memory, first: number, last: number) {
    this.memory = memory;
    this.next = first;
    this.last = last;
  }

  /** A frame of zeros. */
  take(): number {
    const frame = this.returned.pop() ?? this.takeAligned(1);
    this.clear(frame);
    return frame;
  }

  /** Frames that follow one another, the first a multiple of their number, which is a power of two. They are not given back. */
  takeAligned(count: number): number {
    const frame = Math.ceil(this.next / count) * count;
    if (frame + count - 1 > this.last) throw new RangeError(`the host has no ${count} frames left`);
    this.next = frame + count;
    for (let i = 0; i < count; i++) this.clear(frame + i);
    return frame;
  }

  give(frame: number): void {
    this.returned.push(frame);
  }

  private clear(frame: number): void {
    for (let word = 0; word < 512; word++) this.set(frame, word, 0, 0);
  }

  /** @param word of 64 bits, in the frame or behind it */
  set(frame: number, word: number, lo: number, hi: number): void {
    this.memory.write(this.at(frame, word), lo, hi);
  }

  lo(frame: number, word: number): number {
    return this.memory.lo(this.at(frame, word));
  }

  hi(frame: number, word: number): number {
    return this.memory.hi(this.at(frame, word));
  }

  /** Writes halves from a word on. */
  setAll(frame: number, word: number, halves: ArrayLike<number>): void {
    for (let i = 0; i < halves.length; i += 2) this.set(frame, word + i / 2, halves[i], halves[i + 1]);
  }

  private at(frame: number, word: number): number {
    const at = this.memory.locate(frame + (word >> 9), word & 511);
    if (at < 0) throw new RangeError(`frame 0x${frame.toString(16)} is no memory`);
    return at;
  }
}
