import { join } from '../bits/index.ts';
import type { Actor, Agent, Arena, Lane, Machine, Op, Program } from '../machine/index.ts';
import { mixA, mixB } from '../machine/index.ts';
import type { Neutral } from './automaton.ts';
import { END_KEY, minimalKeys } from './automaton.ts';
import type { Footprints, MaskOf } from './footprints.ts';
import { footprintsOf, UNKNOWN } from './footprints.ts';
import { JOIN, Position, RETURNS } from './position.ts';
import { ProgramError } from './program-error.ts';

/** Most operations that one run of a program may have. A wait is a guard, so only a program that never ends has more. */
export const MAX_OPERATIONS = 10_000;

/** Paths of a program that are taken once more when a search is over. */
const VERIFIED = 50;

/** Most positions of a program that is compiled; one with more is followed as it goes. */
const MAX_COMPILED = 4096;

export interface ActorOptions {
  readonly guarded: Guarded;
  /** Every operation is a step of its own. */
  readonly split: boolean;
  /** Makes a minimal automaton of the program where it can. */
  readonly compile: boolean;
  /** The equal device whose program it is. */
  readonly twin: Neutral | null;
  /** Whether an operation may be about a requester. */
  readonly mayName?: (requester: number) => boolean;
}

/** Lower halves of the results that an operation may have, null where it does not declare them. */
function resultsOf(op: Op): readonly number[] | null {
  if (op.returns === 'word') return null;
  if (op.returns === 'number') return op.results ?? null;
  return [0];
}

/** Calls a function of a user's; a caller that can interrupt one that never returns wraps it. */
export type Guarded = <T>(call: () => T) => T;

/**
 * A program as an agent. Its position is one word of the arena: the number of a node in a tree that grows as results
 * come in. Programs run only where the tree grows, never in the search itself.
 */
export class ActorAgent implements Agent {
  readonly name: string;
  readonly lane: Lane;
  private readonly machine: Machine;
  private readonly arena: Arena;
  private readonly actor: Actor;
  /** Offset of the word that has the node's number: no part of the state, as two processes number nodes differently. */
  private readonly position: number;
  /** Offset of the two words that have the node's key. */
  private readonly key: number;
  private readonly guarded: Guarded;
  private readonly nodes: Position[] = [];
  /** A running program and the node that it stands at. */
  private running: { program: Program; node: number } | null = null;
  /** Undoes atomic blocks and joins, so that every op is a step: the cross-check of both. */
  private readonly split: boolean;
  private readonly mayName: ActorOptions['mayName'];

  constructor(machine: Machine, actor: Actor, at: { position: number; key: number }, options: ActorOptions) {
    this.machine = machine;
    this.arena = machine.arena;
    this.actor = actor;
    this.name = actor.name;
    this.lane = actor.lane;
    this.position = at.position;
    this.key = at.key;
    this.guarded = options.guarded;
    this.split = options.split;
    this.mayName = options.mayName;
    const program = this.start();
    this.nodes.push(new Position(this.resume(program, null, 0, 0), -1, 0, 0, 0, this.split));
    this.running = { program, node: 0 };
    if (options.compile) this.compile(options.twin);
    this.arena.set(this.key, this.nodes[0].keyA);
    this.arena.set(this.key + 1, this.nodes[0].keyB);
  }

  /** Whether all positions are known, and those with one future are one. */
  compiled = false;

  /** Runs the program in isolation over the results that its operations declare, if all do and there are few enough. */
  private compile(twin: Neutral | null): void {
    for (let at = 0; at < this.nodes.length; at++) {
      const { op } = this.nodes[at];
      if (op === null) continue;
      const results = resultsOf(op);
      if (results === null || this.nodes.length + results.length > MAX_COMPILED) return;
      try {
        for (const result of results) this.child(at, result, 0);
      } catch (error) {
        // A path that the machine never takes may be wrong: then positions are found as they are reached.
        if (error instanceof ProgramError) return;
        throw error;
      }
    }
    this.compiled = true;
    minimalKeys(this.nodes, twin);
  }

  /** Number of the position that it stands at; any number in a program that is not {@link compiled}. */
  get at(): number {
    return this.compiled ? this.arena.words[this.position] : 0;
  }

  /**
   * Footprints by position: of the step that begins there (what is joined to it included), and of everything that can still come. In a
   * program that is not known as a whole there is one position, which may touch anything.
   */
  footprints(maskOf: MaskOf): Footprints {
    return this.compiled ? footprintsOf(this.nodes, maskOf) : UNKNOWN;
  }

  /** Positions known, and those that differ. */
  get positions(): { nodes: number; distinct: number } {
    const keys = new Set(this.nodes.map((node) => `${node.keyA} ${node.keyB}`));
    return { nodes: this.nodes.length, distinct: keys.size };
  }

  /** Runs what joins the step before the first one. */
  settle(): void {
    if (this.nodes[0].follows) this.run(0, true);
  }

  hasFinished(): boolean {
    return this.nodes[this.arena.words[this.position]].op === null;
  }

  /** The operation that comes next, for messages. */
  next(): string | null {
    return this.nodes[this.arena.words[this.position]].op?.name ?? null;
  }

  choices(): number {
    const here = this.nodes[this.arena.words[this.position]];
    if (here.run === null) return 0;
    let at = this.arena.words[this.position];
    while (this.nodes[at].join === JOIN.before) at = this.child(at, 0, 0);
    const node = this.nodes[at];
    // Behind a read that joins, what comes next is known only after it.
    if (node.run === null || node.join === JOIN.after) return 1;
    if (node.ready !== null && !node.ready()) return 0;
    return node.choices;
  }

  step(choice: number): void {
    this.run(choice, false);
  }

  /** Runs the next operation and what is joined to it. @param done the step's own operation is over already */
  private run(choice: number, done: boolean): void {
    let at = this.arena.words[this.position];
    let main = done;
    let read = false;
    for (let node = this.nodes[at]; node.run !== null; node = this.nodes[at]) {
      let taken = 0;
      if (main) {
        if (!node.follows) break;
        if (!node.isPlain()) throw this.notPlain(at);
      } else if (node.join !== JOIN.none) {
        if (node.join === JOIN.after) read = true;
      } else {
        // Behind a joined read, the operation may turn out to wait, or to be a choice: then it is the next step's.
        if (read && !node.isPlain()) break;
        main = true;
        taken = choice;
      }
      const value = node.run(taken);
      if (node.returns === RETURNS.word) at = this.child(at, this.machine.result.lo, this.machine.result.hi);
      else if (node.returns === RETURNS.number) at = this.child(at, this.declared(at, value as number), 0);
      else if (node.returns === RETURNS.undeclared && value !== undefined) throw this.undeclared(at, value as number);
      else at = this.child(at, 0, 0);
    }
    this.moveTo(at);
  }

  private moveTo(at: number): void {
    this.arena.set(this.position, at);
    this.arena.set(this.key, this.nodes[at].keyA);
    this.arena.set(this.key + 1, this.nodes[at].keyB);
  }

  /**
   * Positions that are one with this one in the minimal automaton: a step taken from there must come to the same state, or two operations
   * of one name are two things. All of them at first, as a search may never stand at any other of them; then one.
   */
  twins(choice: number): readonly number[] {
    const here = this.nodes[this.arena.words[this.position]];
    if (here.twin < 0) return [];
    if (here.compared > choice) return [here.twin];
    here.compared = choice + 1;
    const all: number[] = [];
    for (let at = here.twin; this.nodes[at] !== here; at = this.nodes[at].twin) {
      this.nodes[at].compared = choice + 1;
      all.push(at);
    }
    return all;
  }

  /** Whether {@link twins} has all that there are: nobody has asked for them where it stands. */
  isUncompared(choice: number): boolean {
    const here = this.nodes[this.arena.words[this.position]];
    return here.twin >= 0 && here.compared <= choice;
  }

  /** Goes to one of the {@link twins}. */
  standAt(twin: number): void {
    this.arena.set(this.position, twin);
  }

  private wrong(at: number, message: (name: string) => string): ProgramError {
    const name = this.nodes[at].op?.name ?? '';
    return new ProgramError(this.name, name, message(name), { suspended: this.rerun(at) });
  }

  private notPlain(at: number): ProgramError {
    return this.wrong(at, (name) => `'${name}' waits or chooses inside atomic(); only its first operation may`);
  }

  private undeclared(at: number, value: number): ProgramError {
    return this.wrong(at, (name) => `'${name}' returns ${value} but declares no results; add results: [...]`);
  }

  /** The result of an operation, if it is one of those that it may have. */
  private declared(at: number, value: number): number {
    const results = this.nodes[at].op?.results;
    if (results === undefined || results.includes(value)) return value;
    const among = results.join(', ');
    throw this.wrong(
      at,
      (name) => `'${name}' returned ${value}, which is not among its results [${among}]; add it there`,
    );
  }

  /** The program once more, suspended at the operation that comes next. */
  suspended(): Program {
    return this.rerun(this.arena.words[this.position]);
  }

  private child(parent: number, lo: number, hi: number): number {
    const { children } = this.nodes[parent];
    for (let i = 0; i < children.length; i++) {
      const known = this.nodes[children[i]];
      if (known.lo === lo && known.hi === hi) return children[i];
    }
    return this.grow(parent, lo, hi);
  }

  private grow(parent: number, lo: number, hi: number): number {
    const at = this.running?.node === parent ? this.running : { program: this.rerun(parent), node: parent };
    // A program that throws, or is interrupted, goes on no more.
    this.running = null;
    const from = this.nodes[parent];
    const op = this.resume(at.program, from.op, lo, hi, () => this.rerun(parent));
    if (from.depth + 1 > MAX_OPERATIONS) {
      throw new ProgramError(
        this.name,
        from.op?.name ?? null,
        `it never ends: more than ${MAX_OPERATIONS} operations; bound its loop, and wait with a guard instead of polling`,
        { suspended: at.program },
      );
    }
    if (this.compiled) throw new Error(`[internal] ${this.name} has a position that was not compiled`);
    const next = new Position(op, parent, lo, hi, from.depth + 1, this.split);
    // All ends are one.
    next.keyA = op === null ? END_KEY : mixA(from.keyA, mixA(lo, hi));
    next.keyB = op === null ? END_KEY : mixB(from.keyB, mixB(lo, hi));
    const node = this.nodes.push(next) - 1;
    from.children.push(node);
    this.running = { program: at.program, node };
    return node;
  }

  private start(): Program {
    try {
      return this.actor.program();
    } catch (thrown) {
      throw new ProgramError(this.name, null, `it threw: ${messageOf(thrown)}`, { thrown });
    }
  }

  /** Goes on with the result of the operation that it yielded last, if there was one. @returns the next, null at the end */
  private resume(program: Program, last: Op | null, lo: number, hi: number, before?: () => Program): Op | null {
    let next: IteratorResult<Op, void>;
    try {
      next = this.guarded(() => (last === null ? program.next() : program.next(toValue(last, lo, hi))));
    } catch (thrown) {
      const suspended = before === undefined ? this.actor.program : before();
      throw new ProgramError(this.name, last?.name ?? null, `it threw: ${messageOf(thrown)}`, { thrown, suspended });
    }
    if (next.done) return null;
    const op = next.value;
    if (op === null || typeof op !== 'object' || typeof op.run !== 'function') {
      throw new ProgramError(
        this.name,
        last?.name ?? null,
        'it yields something that is no operation; write yield* cpu.write64(…), not yield',
        { suspended: program },
      );
    }
    if (op.requester !== undefined && this.mayName?.(op.requester) === false) {
      const what = 'is about one of several twins; only its own program may be, or declare no twins';
      throw new ProgramError(this.name, last?.name ?? null, `'${op.name}' ${what}`, { suspended: program });
    }
    return op;
  }

  /** Positions known so far, parents first. */
  get known(): readonly Position[] {
    return this.nodes;
  }

  /** Number of the position that it stands at. */
  get node(): number {
    return this.arena.words[this.position];
  }

  /** Positions on the way from the start to where it stands, for {@link follow}. */
  way(): Position[] {
    return this.path(this.node).map((node) => this.nodes[node]);
  }

  /** Goes to where the same results lead from the start. */
  follow(way: readonly Position[]): void {
    this.moveTo(way.slice(1).reduce((at, { lo, hi }) => this.child(at, lo, hi), 0));
  }

  private path(node: number): number[] {
    const path: number[] = [];
    for (let n = node; n >= 0; n = this.nodes[n].parent) path.push(n);
    return path.reverse();
  }

  /** Runs the program again up to a node. Every operation must be what it was. */
  private rerun(node: number): Program {
    const program = this.start();
    this.compare(program, node, 'it is not the same program twice', 'what is free, take from choose()');
    return program;
  }

  private compare(program: Program, node: number, what: string, mend: string): void {
    const path = this.path(node);
    for (let i = 0; i < path.length; i++) {
      const before = i === 0 ? null : this.nodes[path[i - 1]];
      const { op: known, lo, hi } = this.nodes[path[i]];
      const op = this.resume(program, before?.op ?? null, lo, hi);
      if (op?.name === known?.name) continue;
      const [was, is] = [known?.name ?? 'its end', op?.name ?? 'its end'];
      throw new ProgramError(
        this.name,
        before?.op?.name ?? null,
        `${what}: after ${i} operations it went on with '${was}', now with '${is}'; keep what must last or is shared in machine.word(); ${mend}`,
        { suspended: op === null ? this.actor.program : program },
      );
    }
  }

  /**
   * Runs the longest path that was seen once more, and others up to {@link VERIFIED}; and each by `alone`, the same program in a machine in
   * which nothing else has run. A program that depends on anything else than its results shows.
   */
  verify(alone: () => Program): void {
    const ends = this.nodes.flatMap((node, i) => (node.children.length === 0 ? [i] : []));
    const deepest = ends.reduce((best, i) => (this.nodes[i].depth > this.nodes[best].depth ? i : best), ends[0]);
    const stride = Math.ceil(ends.length / VERIFIED);
    for (const end of [deepest, ...ends.filter((_, i) => i % stride === 0)]) {
      this.rerun(end);
      this.rerun(end);
      this.compare(
        alone(),
        end,
        'alone it is another program than beside the others',
        'actors share nothing but the machine',
      );
    }
  }
}

function toValue(op: Op, lo: number, hi: number): number | bigint | undefined {
  if (op.returns === 'number') return lo;
  if (op.returns === 'word') return join(lo, hi);
  return undefined;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
