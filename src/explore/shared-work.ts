import type { DepthFirst } from './depth-first.ts';
import type { SharedFingerprintSet } from './fingerprint-set.ts';

/** Words of the control block. */
const CONTROL = {
  /** 1: everybody ends; 2: everybody stands still until it is 0 again. */
  order: 0,
  lock: 1,
  /** Threads that wait for work. */
  idle: 2,
  /** Pieces of work in the ring. */
  queued: 3,
  workers: 4,
  /** All work is done. */
  done: 5,
  /** Counts what idle threads wait for: a piece of work, an order, the end. */
  bell: 6,
  /** Properties that broke, by index; at most 31. */
  broken: 7,
  /** Threads whose first stacks are announced. */
  ready: 8,
  /** Counts orders that let go of who stands. Who waits for its next value misses no order to stand again, however soon that comes. */
  gone: 9,
} as const;

const CONTROL_WORDS = 16;

/** Words of a thread's figures. */
const FIGURE = { transitionsLo: 0, transitionsHi: 1, depth: 2 } as const;
const FIGURE_WORDS = 4;

/** Threads that can share a search. */
export const MAX_WORKERS = 64;

/**
 * Pieces of work that wait at most, and their largest size in words: a stack of 2,340 steps. Cases are some hundred steps deep. Where the lowest
 * open branch lies deeper than that, nothing is given away until it is finished: that search is slower, not another one.
 */
const RING = 64;
export const PIECE_WORDS = 16384;

const ORDER = { go: 0, stop: 1, stand: 2 } as const;

/** Transitions between two looks at what the others need. */
const PORTION = 2000;

/**
 * What several threads that search one state space share beside the visited set: pieces of work, and orders from whoever started them. A
 * thread that has nothing to do sleeps until another gives it the lowest open branch of its stack; when all sleep, the search is over.
 */
export class SharedWork {
  readonly buffer: SharedArrayBuffer;
  private readonly control: Int32Array;
  private readonly figures: Int32Array;
  private readonly ring: Int32Array;

  static readonly BYTES = (CONTROL_WORDS + MAX_WORKERS * FIGURE_WORDS + RING * (PIECE_WORDS + 1)) * 4;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.figures = new Int32Array(buffer, CONTROL_WORDS * 4, MAX_WORKERS * FIGURE_WORDS);
    this.ring = new Int32Array(buffer, (CONTROL_WORDS + MAX_WORKERS * FIGURE_WORDS) * 4);
  }

  /** Once, before any thread begins. */
  prepare(workers: number): void {
    this.control[CONTROL.workers] = workers;
  }

  // ---- orders ---------------------------------------------------------------------------------------------------

  /** Everybody ends with what they have. */
  stop(): void {
    Atomics.store(this.control, CONTROL.order, ORDER.stop);
    this.letGo();
  }

  /** Everybody stands still, so that the whole search can be saved; unless they end already. */
  stand(): void {
    if (this.order(ORDER.go, ORDER.stand)) this.wake();
  }

  /** Everybody goes on who stands still. */
  go(): void {
    if (this.order(ORDER.stand, ORDER.go)) this.letGo();
  }

  /** Never takes {@link stop} back: who has ended would be waited for. @returns whether it is so now */
  private order(from: number, to: number): boolean {
    return this.locked(() => Atomics.compareExchange(this.control, CONTROL.order, from, to) === from);
  }

  /** Who stands looks for what is ordered now. */
  private letGo(): void {
    Atomics.add(this.control, CONTROL.gone, 1);
    Atomics.notify(this.control, CONTROL.gone);
    this.wake();
  }

  private wake(): void {
    Atomics.add(this.control, CONTROL.bell, 1);
    Atomics.notify(this.control, CONTROL.bell);
  }

  get isStopped(): boolean {
    return Atomics.load(this.control, CONTROL.order) === ORDER.stop;
  }

  /** Threads that wait for work. */
  get idle(): number {
    return Atomics.load(this.control, CONTROL.idle);
  }

  get isDone(): boolean {
    return Atomics.load(this.control, CONTROL.done) !== 0;
  }

  /** Bits of the properties that broke, by their index. */
  get broken(): number {
    return Atomics.load(this.control, CONTROL.broken);
  }

  /** Transitions of all threads, and steps of their deepest state. */
  totals(): { transitions: number; depth: number } {
    let transitions = 0;
    let depth = 0;
    for (let i = 0; i < this.control[CONTROL.workers]; i++) {
      const at = i * FIGURE_WORDS;
      transitions +=
        (this.figures[at + FIGURE.transitionsLo] >>> 0) + this.figures[at + FIGURE.transitionsHi] * 0x100000000;
      depth = Math.max(depth, this.figures[at + FIGURE.depth]);
    }
    return { transitions, depth };
  }

  // ---- pieces of work -------------------------------------------------------------------------------------------

  private locked<T>(run: () => T): T {
    const { control } = this;
    while (Atomics.compareExchange(control, CONTROL.lock, 0, 1) !== 0) Atomics.wait(control, CONTROL.lock, 1, 1);
    try {
      return run();
    } finally {
      Atomics.store(control, CONTROL.lock, 0);
      Atomics.notify(control, CONTROL.lock, 1);
    }
  }

  /** Puts a piece of work where a thread that waits finds it. @returns false where there is no room */
  put(piece: readonly number[]): boolean {
    const { control, ring } = this;
    const taken = this.locked(() => {
      const n = control[CONTROL.queued];
      if (n === RING || piece.length > PIECE_WORDS) return false;
      const at = n * (PIECE_WORDS + 1);
      ring[at] = piece.length;
      ring.set(piece, at + 1);
      control[CONTROL.queued] = n + 1;
      return true;
    });
    if (taken) this.wake();
    return taken;
  }

  private takeOne(): Int32Array | null {
    const { control, ring } = this;
    const n = control[CONTROL.queued] - 1;
    if (n < 0) return null;
    control[CONTROL.queued] = n;
    const at = n * (PIECE_WORDS + 1);
    return ring.slice(at + 1, at + 1 + ring[at]);
  }

  /** All pieces that wait; they stay. */
  waiting(): number[][] {
    return this.locked(() => {
      const out: number[][] = [];
      for (let n = 0; n < this.control[CONTROL.queued]; n++) {
        const at = n * (PIECE_WORDS + 1);
        out.push([...this.ring.subarray(at + 1, at + 1 + this.ring[at])]);
      }
      return out;
    });
  }

  /**
   * Waits for a piece of work. @returns null when all is done, or everybody is to end
   * @param onStand called once each time that everybody is to stand still
   */
  private take(onStand: () => void): Int32Array | null {
    const { control } = this;
    let counted = false;
    let stood = -1;
    for (;;) {
      const bell = Atomics.load(control, CONTROL.bell);
      const gone = Atomics.load(control, CONTROL.gone);
      if (this.isStopped) return null;
      const piece = this.locked(() => {
        // Read under the lock, so that no piece is taken any more once everybody is to stand: it would be in nobody's hands when they are saved.
        const found = Atomics.load(control, CONTROL.order) === ORDER.stand ? null : this.takeOne();
        if (found !== null) {
          if (counted) Atomics.sub(control, CONTROL.idle, 1);
          return found;
        }
        if (!counted) {
          counted = true;
          const idle = Atomics.add(control, CONTROL.idle, 1) + 1;
          if (idle === control[CONTROL.workers] && control[CONTROL.queued] === 0)
            Atomics.store(control, CONTROL.done, 1);
        }
        return null;
      });
      if (piece !== null) return piece;
      if (this.isDone) {
        this.wake();
        return null;
      }
      if (stood !== gone && Atomics.load(control, CONTROL.order) === ORDER.stand) {
        stood = gone;
        onStand();
      }
      Atomics.wait(control, CONTROL.bell, bell, 1000);
    }
  }

  /** Until every thread has announced what it begins with: before that, nobody knows which states are open. */
  private waitForAll(): void {
    const { control } = this;
    Atomics.add(control, CONTROL.ready, 1);
    Atomics.notify(control, CONTROL.ready);
    for (let n = 0; n < control[CONTROL.workers]; ) {
      n = Atomics.load(control, CONTROL.ready);
      if (n < control[CONTROL.workers]) Atomics.wait(control, CONTROL.ready, n);
    }
  }

  /** Somebody waits, and nothing is there for him. */
  private get isHungry(): boolean {
    return this.control[CONTROL.idle] > this.control[CONTROL.queued];
  }

  // ---- a thread ---------------------------------------------------------------------------------------------------

  /**
   * One thread's part of the search, until all is done or everybody is to end.
   * @param thread number from 0
   * @param search over the shared set, with nothing to do yet
   * @param own pieces of work to begin with
   * @param properties those of the search, at most 31, in the same order in all threads
   * @param onStand called with the stacks that are left when everybody is to stand still; at every such order, by every thread that has not ended
   * @param maxStates states at which everybody ends
   * @returns the stacks that are left, where everybody was to end before all was done
   */
  run(
    thread: number,
    search: DepthFirst,
    own: number[][],
    visited: SharedFingerprintSet,
    properties: readonly string[],
    maxStates: number,
    onStand: (stacks: number[][]) => void,
  ): number[][] {
    const { control } = this;
    for (const stack of own) search.announce(stack);
    this.waitForAll();
    let told = 0;
    for (;;) {
      const mine = search.isDone ? own.pop() : undefined;
      if (mine !== undefined) search.resume(mine);
      else if (search.isDone) {
        visited.settle();
        visited.park();
        const piece = this.take(() => onStand([]));
        // Who is asleep for good stays parked.
        if (piece === null) return [];
        visited.unpark();
        search.resume(piece);
      }
      const gone = Atomics.load(control, CONTROL.gone);
      const order = Atomics.load(control, CONTROL.order);
      if (order === ORDER.stand) {
        visited.settle();
        visited.park();
        onStand([...own, search.save()]);
        Atomics.wait(control, CONTROL.gone, gone);
        visited.unpark();
        continue;
      }
      if (order === ORDER.stop) break;
      search.advance(PORTION);
      this.figure(thread, search);
      for (; told < search.violations.length; told++) {
        Atomics.or(control, CONTROL.broken, 1 << properties.indexOf(search.violations[told].property));
      }
      const broken = this.broken;
      search.close(properties.filter((_, i) => ((broken >> i) & 1) !== 0));
      if (search.allBroken || visited.size >= maxStates || visited.isFull) this.stop();
      if (this.isHungry) {
        const piece = search.give(PIECE_WORDS);
        if (piece !== null && !this.put(piece)) own.push(piece);
      }
    }
    visited.settle();
    visited.park();
    return [...own, ...(search.isDone ? [] : [search.save()])];
  }

  private figure(thread: number, search: DepthFirst): void {
    const at = thread * FIGURE_WORDS;
    this.figures[at + FIGURE.transitionsLo] = search.transitions % 0x100000000;
    this.figures[at + FIGURE.transitionsHi] = Math.floor(search.transitions / 0x100000000);
    this.figures[at + FIGURE.depth] = search.depth;
  }
}
