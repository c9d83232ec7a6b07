import type { Agent } from './agent.ts';
import type { Arena, Region } from './arena.ts';
import type { CaseMemory } from './case-memory.ts';
import type { EventLog } from './event-log.ts';

/** In which order a CPU's stores become visible to others. */
export type StoreOrder =
  /** At once. */
  | 'sequential'
  /** Later, in program order (x86). */
  | 'tso'
  /** Later, in any order but for stores to one word (Arm, Power, RISC-V). */
  | 'relaxed';

/** The stores of one CPU that nobody else sees yet. */
export class StoreBuffer {
  readonly agent: Agent & Required<Pick<Agent, 'left'>>;
  private readonly arena: Arena;
  private readonly memory: CaseMemory;
  private readonly region: Region;
  private readonly depth: number;
  private readonly order: StoreOrder;

  constructor(
    parts: { arena: Arena; memory: CaseMemory; log: EventLog },
    cpu: string,
    order: StoreOrder,
    depth: number,
  ) {
    this.arena = parts.arena;
    this.memory = parts.memory;
    this.order = order;
    this.depth = depth;
    this.region = parts.arena.region(`${cpu}.stores`, ['at', 'lo', 'hi'], depth);
    this.agent = {
      name: `${cpu} store buffer`,
      lane: 'memory',
      sparesSoftware: true,
      choices: () => this.drainable(),
      // A store that becomes visible may have a cache line written back then.
      left: () => 2 * this.count(),
      step: (choice) => {
        const at = this.drain(choice);
        if (parts.log.on) parts.log.say('memory', `the store of ${cpu} becomes visible: ${this.memory.describe(at)}`);
      },
    };
  }

  private at(i: number): number {
    return this.region.base + i * 3;
  }

  /** Number of stores waiting. */
  count(): number {
    let n = 0;
    while (n < this.depth && this.arena.words[this.at(n)] !== 0) n++;
    return n;
  }

  isFull(): boolean {
    return this.count() === this.depth;
  }

  push(at: number, lo: number, hi: number): void {
    if (this.isFull()) throw new Error('no room in the store buffer');
    const slot = this.at(this.count());
    this.arena.set(slot, at);
    this.arena.set(slot + 1, lo);
    this.arena.set(slot + 2, hi);
  }

  /** Offset of the youngest waiting store to the word, −1 for none: a CPU sees its own stores. */
  find(at: number): number {
    for (let i = this.count() - 1; i >= 0; i--) if (this.arena.words[this.at(i)] === at) return this.at(i);
    return -1;
  }

  private drainable(): number {
    const n = this.count();
    if (this.order !== 'relaxed') return Math.min(n, 1);
    let free = 0;
    for (let i = 0; i < n; i++) if (this.isOldest(i)) free++;
    return free;
  }

  private isOldest(i: number): boolean {
    for (let j = 0; j < i; j++) if (this.arena.words[this.at(j)] === this.arena.words[this.at(i)]) return false;
    return true;
  }

  /** Makes the `choice`th drainable store visible. @returns the word's handle */
  private drain(choice: number): number {
    const n = this.count();
    let i = 0;
    for (let left = choice; i < n; i++) if (this.isOldest(i) && left-- === 0) break;
    const words = this.arena.words;
    const at = words[this.at(i)];
    this.memory.store(at, words[this.at(i) + 1], words[this.at(i) + 2]);
    for (let j = i; j < n; j++) {
      for (let k = 0; k < 3; k++) this.arena.set(this.at(j) + k, j + 1 < n ? words[this.at(j + 1) + k] : 0);
    }
    return at;
  }
}
