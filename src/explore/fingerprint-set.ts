import type { OpenStates } from './open-states.ts';

/** The set of states that were seen. */
export interface Visited {
  /** @returns whether it is new */
  add(a: number, b: number): boolean;
  readonly size: number;
  readonly bytes: number;
  readonly expectedCollisions: number;
  /** There is no room for more: a search has to end with what it has. */
  readonly isFull: boolean;
  load(entries: Int32Array): void;
  entries(): Int32Array;
  /** Told of each state that is added; null where one stack has all that are open. */
  open: OpenStates | null;
}

/** Fullest that the table gets, and how much larger it becomes then: between 10 and 14.3 bytes an entry. */
const LOAD = 0.8;
const GROWTH = 1.4;

const FIRST_SLOTS = 1 << 11;

/** Most slots: a typed array of Node 20 has less than 2^32 words. */
const MAX_SLOTS = 2 ** 31 - 64;

/**
 * A set of 64-bit fingerprints, open addressing, 8 bytes a slot. Exact over fingerprints: nothing is ever dropped. Halves of 0
 * are taken as 1, so that an empty slot is 0.
 */
export class FingerprintSet {
  size = 0;
  /** It cannot grow any more. What is left of it is room for the steps that a search is in the middle of. */
  isFull = false;
  /** Told of each state that is added. */
  open: OpenStates | null = null;
  private slots: Int32Array;
  private capacity: number;
  private readonly most: number;

  /** @param capacity slots to begin with @param most slots that it may ever have */
  constructor(capacity = FIRST_SLOTS, most = MAX_SLOTS) {
    this.capacity = capacity;
    this.most = most;
    this.slots = new Int32Array(capacity * 2);
  }

  /** Adds it. @returns false if it was there */
  add(a: number, b: number): boolean {
    if (this.size >= this.capacity * LOAD) this.grow();
    if (!this.insert(a === 0 ? 1 : a, b === 0 ? 1 : b)) return false;
    if (this.open !== null) this.open.open(a, b);
    return true;
  }

  private insert(a: number, b: number): boolean {
    const { slots, capacity } = this;
    for (let i = homeOf(a, capacity); ; ) {
      const slotA = slots[2 * i];
      if (slotA === 0) {
        slots[2 * i] = a;
        slots[2 * i + 1] = b;
        this.size++;
        return true;
      }
      if (slotA === a && slots[2 * i + 1] === b) return false;
      if (++i === capacity) i = 0;
    }
  }

  private grow(): void {
    if (this.isFull) return;
    const old = this.slots;
    const capacity = Math.min(Math.ceil(this.capacity * GROWTH), this.most);
    const slots = capacity === this.capacity ? null : roomFor(capacity);
    if (slots === null) {
      this.isFull = true;
      return;
    }
    this.capacity = capacity;
    this.slots = slots;
    this.size = 0;
    for (let i = 0; i < old.length; i += 2) if (old[i] !== 0) this.insert(old[i], old[i + 1]);
  }

  /** Adds what {@link entries} gave. */
  load(entries: Int32Array): void {
    // They come in the order of their slots, which would pile them up in a small table: as large as it will be, at once.
    const last = this.size + entries.length / 2 - 1;
    let capacity = this.capacity;
    while (last >= capacity * LOAD) capacity = Math.ceil(capacity * GROWTH);
    if (this.size === 0 && capacity > this.capacity) {
      this.capacity = capacity;
      this.slots = new Int32Array(capacity * 2);
    }
    for (let i = 0; i < entries.length; i += 2) this.add(entries[i], entries[i + 1]);
  }

  /** Every fingerprint, two halves each, in no order. */
  entries(): Int32Array {
    return entriesOf(this.slots, this.capacity, this.size);
  }

  get expectedCollisions(): number {
    return expectedCollisions(this.size);
  }

  get bytes(): number {
    return this.slots.byteLength;
  }
}

/** An empty table; null where the machine has no memory for it. */
function roomFor(capacity: number): Int32Array | null {
  try {
    return new Int32Array(capacity * 2);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Expected number of states lost because two had one fingerprint: n² / 2^65. */
export function expectedCollisions(size: number): number {
  return size ** 2 / 2 ** 65;
}

/** Slot at which the search for a fingerprint begins: its upper half, scaled to the capacity. */
function homeOf(a: number, capacity: number): number {
  return Math.floor((a >>> 0) * 2 ** -32 * capacity);
}

function entriesOf(slots: Int32Array, capacity: number, size: number): Int32Array {
  const out = new Int32Array(size * 2);
  let n = 0;
  for (let i = 0; i < capacity && n < out.length; i++) {
    if (slots[2 * i] === 0) continue;
    out[n++] = slots[2 * i];
    out[n++] = slots[2 * i + 1];
  }
  return out;
}

/** Words of the shared table's head. */
const HEAD = { capacity: 0, size: 1, growing: 2, parked: 3, workers: 4, full: 5 } as const;
const HEAD_WORDS = 16;

/**
 * The same set, shared by several threads. Its buffer is as large as it may ever get, but only the part in use is touched, so that the
 * operating system gives no more memory than that. A slot is claimed by its first half; who finds it claimed waits for the second. To
 * grow, everybody stops at the next {@link add} (or sleeps, see {@link park}), and one moves all entries.
 */
export class SharedFingerprintSet {
  readonly buffer: SharedArrayBuffer;
  /** Told of each state that is added, before any other thread can see that it was. */
  open: OpenStates | null = null;
  private readonly head: Int32Array;
  private readonly slots: Int32Array;
  /** Insertions since the shared count was brought up to date. */
  private fresh = 0;

  /** Bytes of the buffer for at most so many states; there is none for more than some 1,700 million. */
  static bytesFor(maxStates: number): number {
    return (HEAD_WORDS + 2 * slotsFor(maxStates)) * 4;
  }

  /**
   * A buffer for at most so many states, or for as many as the machine has room for; then the table gets full before ({@link isFull}).
   * @param least states that there must be room for @throws RangeError where there is none for these
   */
  static bufferFor(maxStates: number, least: number): SharedArrayBuffer {
    for (let states = maxStates; ; states = Math.max(least, Math.floor(states / 2))) {
      try {
        return new SharedArrayBuffer(SharedFingerprintSet.bytesFor(states));
      } catch (error) {
        if (!(error instanceof RangeError) || states <= least) throw error;
      }
    }
  }

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.head = new Int32Array(buffer, 0, HEAD_WORDS);
    this.slots = new Int32Array(buffer, HEAD_WORDS * 4);
  }

  /** Makes it ready for so many threads, with what {@link entries} gave; once, before any of them begins. */
  prepare(workers: number, entries: Int32Array): void {
    const wanted = Math.max(FIRST_SLOTS * 8, Math.ceil((entries.length / 2 / LOAD) * GROWTH));
    this.head[HEAD.capacity] = Math.min(wanted, this.slots.length / 2);
    this.head[HEAD.workers] = 1;
    this.load(entries);
    this.head[HEAD.workers] = workers;
  }

  /** As {@link FingerprintSet.add}; false, too, for what is new where the table is full ({@link isFull}). */
  add(a: number, b: number): boolean {
    if (this.head[HEAD.growing] !== 0) this.pause();
    const { slots } = this;
    const keyA = a === 0 ? 1 : a;
    const keyB = b === 0 ? 1 : b;
    const capacity = this.head[HEAD.capacity];
    for (let i = homeOf(keyA, capacity); ; ) {
      let slotA = slots[2 * i];
      if (slotA === 0) {
        if (this.head[HEAD.full] !== 0) return false;
        slotA = Atomics.compareExchange(slots, 2 * i, 0, keyA);
        if (slotA === 0) {
          if (this.open !== null) this.open.open(a, b);
          Atomics.store(slots, 2 * i + 1, keyB);
          this.inserted();
          return true;
        }
      }
      if (slotA === keyA) {
        let slotB = Atomics.load(slots, 2 * i + 1);
        while (slotB === 0) slotB = Atomics.load(slots, 2 * i + 1);
        if (slotB === keyB) return false;
      }
      if (++i === capacity) i = 0;
    }
  }

  private inserted(): void {
    if (++this.fresh < 64) return;
    this.settle();
    while (this.size >= this.head[HEAD.capacity] * LOAD && this.head[HEAD.full] === 0) this.grow();
  }

  /** Counts what this thread has inserted. */
  settle(): void {
    Atomics.add(this.head, HEAD.size, this.fresh);
    this.fresh = 0;
  }

  private grow(): void {
    const { head, slots } = this;
    if (Atomics.compareExchange(head, HEAD.growing, 0, 1) !== 0) return this.pause();
    while (Atomics.load(head, HEAD.parked) < head[HEAD.workers] - 1) {
      // The others stop at their next insertion.
    }
    const old = slots.slice(0, 2 * head[HEAD.capacity]);
    const capacity = Math.min(Math.ceil(head[HEAD.capacity] * GROWTH), slots.length / 2);
    if (capacity === head[HEAD.capacity]) head[HEAD.full] = 1;
    else {
      slots.fill(0, 0, old.length);
      head[HEAD.capacity] = capacity;
      for (let i = 0; i < old.length; i += 2) if (old[i] !== 0) this.move(old[i], old[i + 1]);
    }
    Atomics.store(head, HEAD.growing, 0);
    Atomics.notify(head, HEAD.growing);
  }

  private move(a: number, b: number): void {
    const { slots } = this;
    const capacity = this.head[HEAD.capacity];
    let i = homeOf(a, capacity);
    while (slots[2 * i] !== 0) if (++i === capacity) i = 0;
    slots[2 * i] = a;
    slots[2 * i + 1] = b;
  }

  private pause(): void {
    this.park();
    this.unpark();
  }

  /** This thread touches the table no more until {@link unpark}: it may sleep. */
  park(): void {
    Atomics.add(this.head, HEAD.parked, 1);
  }

  unpark(): void {
    for (;;) {
      while (Atomics.load(this.head, HEAD.growing) !== 0) Atomics.wait(this.head, HEAD.growing, 1, 50);
      Atomics.sub(this.head, HEAD.parked, 1);
      // Somebody may have begun to grow in between, counting on us.
      if (Atomics.load(this.head, HEAD.growing) === 0) return;
      Atomics.add(this.head, HEAD.parked, 1);
    }
  }

  /** States, but for the last few of each thread. */
  get size(): number {
    return Atomics.load(this.head, HEAD.size);
  }

  /** It cannot grow any more, and is as full as it may get. */
  get isFull(): boolean {
    return this.head[HEAD.full] !== 0;
  }

  load(entries: Int32Array): void {
    for (let i = 0; i < entries.length; i += 2) this.add(entries[i], entries[i + 1]);
    this.settle();
  }

  entries(): Int32Array {
    return entriesOf(this.slots, this.head[HEAD.capacity], this.size);
  }

  get expectedCollisions(): number {
    return expectedCollisions(this.size);
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.head[HEAD.capacity] * 8;
  }
}

function slotsFor(maxStates: number): number {
  return Math.min(Math.ceil(maxStates / LOAD) + 1024, MAX_SLOTS);
}
