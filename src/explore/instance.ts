import type { Agent, Machine } from '../machine/index.ts';
import { Tracker } from '../machine/index.ts';
import type { Guarded } from './actor-agent.ts';
import { ActorAgent } from './actor-agent.ts';

export interface InstanceOptions {
  /** Wraps every resumption of a program, to interrupt one that never comes back. */
  readonly guarded?: Guarded;
  /** Every operation is a step of its own: no atomic blocks, no joined reads. For cross-checks. */
  readonly split?: boolean;
}

/** A machine made ready to run: its actors became agents, every write is tracked, the start can be gone back to. */
export class Instance {
  readonly machine: Machine;
  readonly tracker: Tracker;
  readonly actors: readonly ActorAgent[];
  /** Everything that can step: actors, then hardware, then DMA in flight. */
  readonly agents: readonly Agent[];
  /** Agents that are not actors. */
  readonly hardware: readonly Agent[];
  private readonly start: Int32Array;

  constructor(machine: Machine, options: InstanceOptions = {}) {
    this.machine = machine;
    machine.start();
    const positions = machine.arena.region('actors', machine.actors.map((a) => a.name).concat('end'));
    const guarded: Guarded = options.guarded ?? ((call) => call());
    this.actors = machine.actors.map(
      (actor, i) => new ActorAgent(machine, actor, positions.base + i, { guarded, split: options.split ?? false }),
    );
    this.hardware = [...machine.hardware, ...machine.dma.agents];
    this.agents = [...this.actors, ...this.hardware];
    this.tracker = new Tracker(machine.arena);
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
}
