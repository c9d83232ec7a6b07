import type { Actor, Agent, Arena, Lane, Machine, Op, Program } from '../machine/index.ts';

/** Most operations that one run of a program may have. A wait is a guard, so only a program that never ends has more. */
export const MAX_OPERATIONS = 10_000;

/** What can be wrong with a program; the message says what, and how to mend it. */
export class ProgramError extends Error {
  readonly actor: string;
  /** Name of the last operation before the trouble, null if there was none. */
  readonly operation: string | null;
  /** What the program threw, if it threw. */
  readonly thrown: unknown;

  constructor(actor: string, operation: string | null, message: string, thrown?: unknown) {
    super(message);
    this.name = 'ProgramError';
    this.actor = actor;
    this.operation = operation;
    this.thrown = thrown;
  }
}

/** Calls a function of a user's; a caller that can interrupt one that never returns wraps it. */
export type Guarded = <T>(call: () => T) => T;

interface Result {
  readonly lo: number;
  readonly hi: number;
}

/** One position of a program: it is known by the results that it has had so far. */
interface Node {
  readonly op: Op | null;
  readonly parent: number;
  /** Result of the parent's op that leads here. */
  readonly result: Result;
  readonly depth: number;
  /** Positions after this one, by result. */
  readonly children: number[];
}

const NOTHING: Result = { lo: 0, hi: 0 };

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
  private readonly position: number;
  private readonly guarded: Guarded;
  private readonly nodes: Node[] = [];
  /** A running program and the node that it stands at. */
  private running: { program: Program; node: number } | null = null;
  /** Undoes atomic blocks and joins, so that every op is a step: the cross-check of both. */
  private readonly split: boolean;

  constructor(machine: Machine, actor: Actor, position: number, options: { guarded: Guarded; split: boolean }) {
    this.machine = machine;
    this.arena = machine.arena;
    this.actor = actor;
    this.name = actor.name;
    this.lane = actor.lane;
    this.position = position;
    this.guarded = options.guarded;
    this.split = options.split;
    const program = this.start();
    const op = this.resume(program, undefined, null);
    this.nodes.push({ op, parent: -1, result: NOTHING, depth: 0, children: [] });
    this.running = { program, node: 0 };
  }

  /** Number of positions that were seen. */
  get positions(): number {
    return this.nodes.length;
  }

  /** Runs what joins the step before the first one. */
  settle(): void {
    const op = this.nodes[0].op;
    if (op !== null && this.follows(op)) this.run(0, true);
  }

  hasFinished(): boolean {
    return this.nodes[this.arena.words[this.position]].op === null;
  }

  /** The operation that comes next, for messages. */
  next(): string | null {
    return this.nodes[this.arena.words[this.position]].op?.name ?? null;
  }

  choices(): number {
    let node = this.arena.words[this.position];
    let op = this.nodes[node].op;
    while (op !== null && op.join === 'before' && !this.split) {
      node = this.child(node, NOTHING);
      op = this.nodes[node].op;
    }
    if (op === null) return this.nodes[this.arena.words[this.position]].op === null ? 0 : 1;
    // Behind a read that joins: what comes next is known only after it.
    if (op.join === 'after' && !this.split) return 1;
    if (op.ready !== undefined && !op.ready()) return 0;
    return op.choices ?? 1;
  }

  step(choice: number): void {
    this.run(choice, false);
  }

  private follows(op: Op): boolean {
    return !this.split && (op.join === 'after' || op.bound === true);
  }

  /** Runs the next operation and what is joined to it. @param done the step's own operation is over already */
  private run(choice: number, done: boolean): void {
    let node = this.arena.words[this.position];
    let main = done;
    let read = false;
    for (let op = this.nodes[node].op; op !== null; op = this.nodes[node].op) {
      let taken = 0;
      if (main) {
        if (!this.follows(op)) break;
        this.mustBeReady(op);
      } else if (!this.split && op.join !== undefined) {
        if (op.join === 'after') read = true;
      } else {
        // Behind a joined read, the operation may turn out to wait, or to be a choice: then it is the next step's.
        if (read && !isPlain(op)) break;
        main = true;
        taken = choice;
      }
      const value = op.run(taken);
      node = this.child(node, this.resultOf(op, value));
    }
    this.arena.set(this.position, node);
  }

  private mustBeReady(op: Op): void {
    if (isPlain(op)) return;
    throw new ProgramError(
      this.name,
      op.name,
      `'${op.name}' waits or chooses inside atomic(); only its first operation may`,
    );
  }

  private resultOf(op: Op, value: number | void): Result {
    if (op.returns === 'word') return { lo: this.machine.result.lo, hi: this.machine.result.hi };
    if (op.returns !== 'number') {
      if (value === undefined || op.returns === 'nothing') return NOTHING;
      throw new ProgramError(
        this.name,
        op.name,
        `'${op.name}' returns ${value} but declares no results; add results: [...]`,
      );
    }
    const lo = value as number;
    if (op.results !== undefined && !op.results.includes(lo)) {
      throw new ProgramError(
        this.name,
        op.name,
        `'${op.name}' returned ${lo}, which is not among its results [${op.results.join(', ')}]`,
      );
    }
    return { lo, hi: 0 };
  }

  private child(node: number, result: Result): number {
    const { children } = this.nodes[node];
    for (let i = 0; i < children.length; i++) {
      const known = this.nodes[children[i]].result;
      if (known.lo === result.lo && known.hi === result.hi) return children[i];
    }
    return this.grow(node, result);
  }

  private grow(parent: number, result: Result): number {
    const at = this.running?.node === parent ? this.running : { program: this.rerun(parent), node: parent };
    const from = this.nodes[parent];
    const op = this.resume(at.program, from, result);
    const node = this.nodes.push({ op, parent, result, depth: from.depth + 1, children: [] }) - 1;
    if (from.depth + 1 > MAX_OPERATIONS) {
      throw new ProgramError(
        this.name,
        from.op?.name ?? null,
        `it never ends: more than ${MAX_OPERATIONS} operations; bound its loop, and wait with a guard instead of polling`,
      );
    }
    from.children.push(node);
    this.running = { program: at.program, node };
    return node;
  }

  private start(): Program {
    try {
      return this.actor.program();
    } catch (thrown) {
      throw new ProgramError(this.name, null, `it threw: ${messageOf(thrown)}`, thrown);
    }
  }

  private resume(program: Program, from: Node | undefined | null, result: Result | null): Op | null {
    const last = from?.op ?? null;
    let next: IteratorResult<Op, void>;
    try {
      next = this.guarded(() =>
        last === null || result === null ? program.next() : program.next(toValue(last, result)),
      );
    } catch (thrown) {
      throw new ProgramError(this.name, last?.name ?? null, `it threw: ${messageOf(thrown)}`, thrown);
    }
    if (next.done) return null;
    const op = next.value;
    if (op === null || typeof op !== 'object' || typeof op.run !== 'function') {
      throw new ProgramError(
        this.name,
        last?.name ?? null,
        'it yields something that is no operation; write yield* cpu.write64(…), not yield',
      );
    }
    return op;
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
      const op = this.resume(program, before, this.nodes[path[i]].result);
      const known = this.nodes[path[i]].op;
      if (op?.name === known?.name) continue;
      const [was, is] = [known?.name ?? 'its end', op?.name ?? 'its end'];
      throw new ProgramError(
        this.name,
        before?.op?.name ?? null,
        `${what}: after ${i} operations it went on with '${was}', now with '${is}'; keep what must last or is shared in machine.word(); ${mend}`,
      );
    }
  }

  /**
   * Runs the longest path that was seen once more, and once by `alone`, the same program in a machine in which nothing else has
   * run. A program that depends on anything else than its results shows.
   */
  verify(alone: Program): void {
    let deepest = 0;
    this.nodes.forEach((node, i) => {
      if (node.depth > this.nodes[deepest].depth) deepest = i;
    });
    this.rerun(deepest);
    this.rerun(deepest);
    this.compare(
      alone,
      deepest,
      'alone it is another program than beside the others',
      'actors share nothing but the machine',
    );
  }
}

/** Whether the operation can happen now, in one way. */
function isPlain(op: Op): boolean {
  return (op.ready === undefined || op.ready()) && (op.choices ?? 1) === 1;
}

function toValue(op: Op, result: Result): number | bigint | undefined {
  if (op.returns === 'number') return result.lo;
  if (op.returns === 'word') return (BigInt(result.hi >>> 0) << 32n) | BigInt(result.lo >>> 0);
  return undefined;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
