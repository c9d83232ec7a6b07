import type { Agent, Machine } from '../machine/index.ts';
import { Tracker } from '../machine/index.ts';
import type { Guarded } from './actor-agent.ts';
import { ActorAgent } from './actor-agent.ts';
import { MAY_REST } from './may-rest.ts';
import { deviceOf, mayName, Twins, withoutName } from './twins.ts';

export interface InstanceOptions {
  /** Wraps every resumption of a program, to interrupt one that never comes back. */
  readonly guarded?: Guarded;
  /** Every operation is a step of its own: no atomic blocks, no joined reads. For cross-checks. */
  readonly split?: boolean;
  /** Reductions to do without, for cross-checks. */
  readonly without?: readonly Reduction[];
}

/**
 * What makes a search smaller without changing its verdict. `symmetry`: what can change places (cache ways, DMA slots,
 * equal devices) does. `automata`: positions of a program with one future are one. `ample`: partial-order reduction.
 */
export const REDUCTIONS = ['symmetry', 'automata', 'ample'] as const;

export type Reduction = (typeof REDUCTIONS)[number];

/** Region of the actors' node numbers. */
const POSITIONS = 'actor nodes';

/** A machine made ready to run: its actors became agents, every write is tracked, the start can be gone back to. */
export class Instance {
  readonly machine: Machine;
  readonly tracker: Tracker;
  readonly actors: readonly ActorAgent[];
  /** Everything that can step: actors, then hardware, then DMA in flight. */
  readonly agents: readonly Agent[];
  /** Agents that are not actors. */
  readonly hardware: readonly Agent[];
  /** By agent: whether it need not ever do what it can do ({@link MAY_REST}). */
  readonly mayRest: readonly boolean[];
  private readonly start: Int32Array;

  constructor(machine: Machine, options: InstanceOptions = {}) {
    this.machine = machine;
    machine.start();
    const names = machine.actors.map((a) => a.name).concat('end');
    const positions = machine.arena.region(POSITIONS, names);
    const keys = machine.arena.region(
      'actors',
      names.flatMap((name) => [`${name} A`, `${name} B`]),
    );
    const guarded: Guarded = options.guarded ?? ((call) => call());
    const { split = false, without = [] } = options;
    const compile = !split && !without.includes('automata');
    const symmetry = !without.includes('symmetry');
    const hasTwins = symmetry && machine.twinGroups.length > 0;
    this.actors = machine.actors.map((actor, i) => {
      const at = { position: positions.base + i, key: keys.base + 2 * i };
      const device = deviceOf(machine, i);
      const twin = device < 0 ? null : { device, neutral: withoutName(machine.dma.requesters[device].name) };
      const apart = hasTwins ? { mayName: mayName(machine, i) } : {};
      return new ActorAgent(machine, actor, at, { guarded, split, compile, twin, ...apart });
    });
    const twins = hasTwins ? new Twins(machine, this.actors, (actor) => keys.base + 2 * actor) : null;
    const layout = twins === null ? {} : { twins: twins.layout };
    this.tracker = new Tracker(machine.arena, { symmetry, derived: [POSITIONS], ...layout });
    this.hardware = [...machine.hardware, ...machine.dma.agents];
    const agents = [...this.actors, ...this.hardware];
    this.agents = twins === null ? agents : twins.watched(agents, this.tracker);
    this.mayRest = this.agents.map(({ name }) => MAY_REST.includes(name));
    for (const actor of this.actors) actor.settle();
    this.start = machine.arena.snapshot();
    this.tracker.journaling = true;
  }

  /** Back to the start. */
  rewind(): void {
    this.tracker.forget();
    this.machine.arena.restore(this.start);
    this.tracker.forget();
  }

  /** Whether some actor has not come to its end. */
  hasWaiting(): boolean {
    for (const actor of this.actors) if (!actor.hasFinished()) return true;
    return false;
  }

  /** Whether an actor waits, and nobody who can step has to: the wait may be for ever. */
  isStuck(): boolean {
    const { agents, mayRest } = this;
    for (let a = 0; a < agents.length; a++) if (!mayRest[a] && agents[a].choices() > 0) return false;
    return this.hasWaiting();
  }
}
