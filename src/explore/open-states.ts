/** Slots of each half's counters; a stack has some dozens of states. */
const SLOTS = 1 << 15;
const MASK = SLOTS - 1;

/**
 * Which states somebody has not finished: those on a thread's stack, or in a piece of a stack that nobody has taken yet. A cycle that several stacks
 * have parts of is on none of them as a whole; but whoever takes the last of its steps comes to a state that is open. Counters, two
 * for each state, which others may share: "no" is certain, "yes" is not.
 */
export class OpenStates {
  static readonly BYTES = 2 * SLOTS * 2;
  readonly buffer: ArrayBufferLike;
  private readonly byA: Uint16Array;
  private readonly byB: Uint16Array;

  /** @param buffer zeroed, of {@link BYTES}; shared by all threads of a search */
  constructor(buffer: ArrayBufferLike) {
    this.buffer = buffer;
    this.byA = new Uint16Array(buffer, 0, SLOTS);
    this.byB = new Uint16Array(buffer, 2 * SLOTS, SLOTS);
  }

  /** One stack more has the state. */
  open(a: number, b: number): void {
    Atomics.add(this.byA, a & MASK, 1);
    Atomics.add(this.byB, b & MASK, 1);
  }

  /** One stack less has it. */
  close(a: number, b: number): void {
    Atomics.sub(this.byA, a & MASK, 1);
    Atomics.sub(this.byB, b & MASK, 1);
  }

  has(a: number, b: number): boolean {
    return Atomics.load(this.byA, a & MASK) !== 0 && Atomics.load(this.byB, b & MASK) !== 0;
  }
}
