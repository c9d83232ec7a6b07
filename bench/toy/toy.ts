import type { Agent, Arena, Facts, Region } from '../../src/machine/index.ts';
import { FACT, Machine, operation } from '../../src/machine/index.ts';

/** What the toy is built with; every part that is left out breaks it. */
export interface ToyOptions {
  /** DMA actors, 1 to 8. */
  readonly actors: number;
  /** Equal actors may change places without a new state; false if absent, which is what Spin counts. */
  readonly symmetric?: boolean;
  /** The invalidation drains reads; true if absent. */
  readonly drainReads?: boolean;
  /** The invalidation drains writes; true if absent. */
  readonly drainWrites?: boolean;
  /** The driver invalidates before it waits; true if absent. */
  readonly flush?: boolean;
}

/** A property for the explorer: no DMA lands in a page that was freed. */
export const NO_LATE_DMA = Object.freeze({
  id: 'NO-LATE-DMA',
  broken: (facts: number) => (facts & (FACT.foreignWrite | FACT.leakedRead)) !== 0,
});

/** Positions of a DMA actor, in the order of its life. A walk reads the root, the directory, the leaf. */
const AT = { idle: 0, lookUp: 1, root: 2, directory: 3, leaf: 4, fill: 5, land: 6, done: 7 } as const;

/** Words of a DMA actor. `word` is the table entry read last, or the page; `held`: an invalidation met it on its way. */
const ACTOR = { at: 0, access: 1, va: 2, word: 3, held: 4 } as const;

const READ = 0;
const WRITE = 1;
const ROOT = 1;
const DIRECTORY = 2;
const COMMAND = { none: 0, invalidate: 1, wait: 2 } as const;

/** Words that all share: tables, IOTLB (page of each address), pages by number, a queue of two commands, wait's status. */
const SHARED = ['dir', 'leaf0', 'leaf1', 'tlb0', 'tlb1', 'freed1', 'freed2', 'freed3', 'queue0', 'queue1', 'status'];

/**
 * The toy VT-d: stray DMA actors that each send one DMA (look-up in a small IOTLB, or a walk of three steps, which may fill it), an
 * invalidation unit that drains, and a driver that unmaps pages and frees them. `../peers/toy.pml` is the same toy for
 * Spin; not symmetric, the two have equally many states and transitions.
 */
export function toy(options: ToyOptions): Machine {
  const { actors, symmetric = false, drainReads = true, drainWrites = true, flush = true } = options;
  if (!Number.isInteger(actors) || actors < 1 || actors > 8) throw new RangeError('the toy has 1 to 8 DMA actors');
  const machine = new Machine();
  const { arena, facts } = machine;
  const shared = new Shared(arena);
  const region = arena.region('toy dma', Object.keys(ACTOR), actors, symmetric);
  const dmas = Array.from({ length: actors }, (_, i) => new ToyDma(`dma[${i}]`, { arena, facts }, shared, region, i));
  machine.hardware.push(new Unit(shared, dmas, [drainReads, drainWrites]), ...dmas);
  driver(machine, shared, flush);
  return machine;
}

/** The words that all actors share. */
class Shared {
  readonly arena: Arena;
  readonly dir: number;
  readonly leaf: number;
  readonly tlb: number;
  readonly status: number;
  private readonly freed: number;
  private readonly queue: number;

  constructor(arena: Arena) {
    this.arena = arena;
    const { base } = arena.region('toy', SHARED);
    const at = (name: string) => base + SHARED.indexOf(name);
    this.dir = at('dir');
    this.leaf = at('leaf0');
    this.tlb = at('tlb0');
    this.freed = at('freed1') - 1;
    this.queue = at('queue0');
    this.status = at('status');
    arena.set(this.dir, DIRECTORY);
    arena.set(this.leaf, 1);
    arena.set(this.leaf + 1, 2);
  }

  free(page: number): void {
    this.arena.set(this.freed + page, 1);
  }

  isFreed(page: number): boolean {
    return this.arena.words[this.freed + page] !== 0;
  }

  /** The command that is next. */
  next(): number {
    return this.arena.words[this.queue];
  }

  hasRoom(): boolean {
    return this.arena.words[this.queue + 1] === COMMAND.none;
  }

  submit(command: number): void {
    this.arena.set(this.next() === COMMAND.none ? this.queue : this.queue + 1, command);
  }

  take(): void {
    this.arena.set(this.queue, this.arena.words[this.queue + 1]);
    this.arena.set(this.queue + 1, COMMAND.none);
  }
}

/** A device's one DMA, of a kind and to an address that the explorer chooses. */
class ToyDma implements Agent {
  readonly name: string;
  readonly lane = 'iommu';
  private readonly arena: Arena;
  private readonly facts: Facts;
  private readonly shared: Shared;
  private readonly base: number;

  constructor(name: string, parts: { arena: Arena; facts: Facts }, shared: Shared, region: Region, unit: number) {
    this.name = name;
    this.arena = parts.arena;
    this.facts = parts.facts;
    this.shared = shared;
    this.base = region.base + unit * region.fields.length;
  }

  choices(): number {
    const { words } = this.arena;
    switch (words[this.base]) {
      case AT.idle:
        return 4;
      // An entry that could be used may as well be declined: hardware may evict whenever it likes.
      case AT.lookUp:
        return words[this.shared.tlb + words[this.base + ACTOR.va]] === 0 ? 1 : 2;
      // A walk that an invalidation has met may not fill; any other may, or not.
      case AT.fill:
        return words[this.base + ACTOR.held] === 0 ? 2 : 1;
      case AT.done:
        return 0;
      default:
        return 1;
    }
  }

  step(choice: number): void {
    const { arena, base, shared } = this;
    const { words } = arena;
    const va = words[base + ACTOR.va];
    switch (words[base]) {
      case AT.idle:
        arena.set(base + ACTOR.access, choice >> 1);
        arena.set(base + ACTOR.va, choice & 1);
        return arena.set(base, AT.lookUp);
      case AT.lookUp:
        if (choice === 0) return arena.set(base, AT.root);
        return this.go(AT.land, words[shared.tlb + va]);
      case AT.root:
        return this.go(AT.directory, ROOT);
      case AT.directory:
        return this.go(AT.leaf, words[shared.dir]);
      case AT.leaf:
        return this.go(AT.fill, words[shared.leaf + va]);
      case AT.fill:
        if (choice === 1) arena.set(shared.tlb + va, words[base + ACTOR.word]);
        return arena.set(base, AT.land);
      default:
        if (shared.isFreed(words[base + ACTOR.word])) {
          this.facts.bits |= words[base + ACTOR.access] === WRITE ? FACT.foreignWrite : FACT.leakedRead;
        }
        return this.end();
    }
  }

  /** Choosing where to go, and reading the root, which never changes, are nobody else's business. */
  isLocal(): boolean {
    const at = this.arena.words[this.base];
    return at === AT.idle || at === AT.root;
  }

  /** Whether the last invalidation met it, and it is still on its way. */
  isHeld(access: number): boolean {
    const { words } = this.arena;
    return words[this.base + ACTOR.held] !== 0 && words[this.base + ACTOR.access] === access;
  }

  /** An invalidation meets it, if it is on its way. */
  meet(): void {
    const at = this.arena.words[this.base];
    if (at > AT.lookUp && at < AT.done) this.arena.set(this.base + ACTOR.held, 1);
  }

  /** On to a position with the entry that was read; to the end, if that is not present. */
  private go(at: number, word: number): void {
    if (word === 0) return this.end();
    this.arena.set(this.base + ACTOR.word, word);
    this.arena.set(this.base, at);
  }

  /** What it knew is forgotten, so that all that are over are alike. */
  private end(): void {
    const { arena, base } = this;
    arena.set(base + ACTOR.access, 0);
    arena.set(base + ACTOR.va, 0);
    arena.set(base + ACTOR.word, 0);
    arena.set(base + ACTOR.held, 0);
    arena.set(base, AT.done);
  }
}

/** The invalidation unit: one step a command. */
class Unit implements Agent {
  readonly name = 'invalidation unit';
  readonly lane = 'iommu';
  private readonly shared: Shared;
  private readonly dmas: readonly ToyDma[];
  /** Whether it drains, by access. */
  private readonly drains: readonly boolean[];

  constructor(shared: Shared, dmas: readonly ToyDma[], drains: readonly boolean[]) {
    this.shared = shared;
    this.dmas = dmas;
    this.drains = drains;
  }

  choices(): number {
    const next = this.shared.next();
    if (next !== COMMAND.wait) return next === COMMAND.none ? 0 : 1;
    return this.isHeld(READ) || this.isHeld(WRITE) ? 0 : 1;
  }

  step(): void {
    const { shared } = this;
    const { arena } = shared;
    const command = shared.next();
    shared.take();
    if (command === COMMAND.wait) return arena.set(shared.status, 1);
    arena.set(shared.tlb, 0);
    arena.set(shared.tlb + 1, 0);
    for (let i = 0; i < this.dmas.length; i++) this.dmas[i].meet();
  }

  private isHeld(access: number): boolean {
    if (!this.drains[access]) return false;
    for (let i = 0; i < this.dmas.length; i++) if (this.dmas[i].isHeld(access)) return true;
    return false;
  }
}

function driver(machine: Machine, shared: Shared, flush: boolean): void {
  const { arena } = machine;
  const write = (name: string, offset: number, value: number) =>
    operation(`${name} = ${value}`, { run: () => arena.set(offset, value) });
  const submit = (name: string, command: number) =>
    operation(`submit ${name}`, { ready: () => shared.hasRoom(), run: () => shared.submit(command) });
  function* invalidate() {
    if (flush) yield* submit('invalidate', COMMAND.invalidate);
    yield* submit('wait', COMMAND.wait);
    yield* operation('wait until status = 1', {
      ready: () => arena.words[shared.status] === 1,
      run: () => arena.set(shared.status, 0),
    });
  }
  machine.actor('driver', function* () {
    yield* write('leaf[0]', shared.leaf, 0);
    yield* invalidate();
    yield* operation('free page 1', { run: () => shared.free(1) });
    yield* write('leaf[0]', shared.leaf, 3);
    yield* write('leaf[1]', shared.leaf + 1, 0);
    yield* write('dir', shared.dir, 0);
    yield* invalidate();
    yield* operation('free pages 2 and 3', {
      run: () => {
        shared.free(2);
        shared.free(3);
      },
    });
  });
}
