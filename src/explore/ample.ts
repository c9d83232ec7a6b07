/**
 * Partial-order reduction. In a state in which some agent's next step commutes with all that the others can ever do before it, is never
 * prevented by them and shows no fact, that agent alone is expanded (an ample set of one agent: Peled, Holzmann). Deadlocks
 * and facts are preserved; cycles are the search's affair (`DepthFirst`: a reduced state whose successor was seen is expanded in full).
 */
import type { Agent, Region } from '../machine/index.ts';
import type { ActorAgent } from './actor-agent.ts';
import type { Instance } from './instance.ts';

/** Thrown where a step that was declared to be nobody else's business is not; a bug of whoever declared it. */
export class FootprintError extends Error {
  override readonly name = 'FootprintError';
}

/** Footprints of one actor's positions as masks over the words that footprints name; all ones: anything. */
interface Footprints {
  readonly actor: ActorAgent;
  /** Of the step that begins at a position, −1 for anything. */
  readonly steps: Int32Array;
  /** Of everything that can still come. */
  readonly futures: Int32Array;
}

const ANYTHING = -1;

/** Words that footprints may name, with the sign bit left for {@link ANYTHING}; what is beyond counts as anything. */
const MAX_WORDS = 31;

export class Ample {
  private readonly instance: Instance;
  private readonly actors: readonly Footprints[];
  /** Agents that may have local steps. */
  private readonly hardware: readonly number[];

  /** Null where nothing can be reduced. */
  static of(instance: Instance): Ample | null {
    const ample = new Ample(instance);
    return ample.hardware.length === 0 && ample.actors.length === 0 ? null : ample;
  }

  private constructor(instance: Instance) {
    this.instance = instance;
    const locals: number[] = [];
    instance.agents.forEach((agent, i) => {
      if (agent.isLocal !== undefined) locals.push(i);
    });
    this.hardware = locals;
    this.actors = softwareIsApart(instance) ? footprintsOf(instance) : [];
  }

  /** The one agent that has to be expanded in the state at hand; −1 for all. */
  pick(): number {
    const { agents } = this.instance;
    for (let i = 0; i < this.hardware.length; i++) {
      const a = this.hardware[i];
      if ((agents[a] as Required<Agent>).isLocal() && agents[a].choices() > 0) return a;
    }
    for (let i = 0; i < this.actors.length; i++) if (this.isApart(i)) return i;
    return -1;
  }

  /** Whether the actor can step, and what it touches then no other actor will ever touch. */
  private isApart(i: number): boolean {
    const { actor, steps } = this.actors[i];
    const step = steps[actor.at];
    if (step === ANYTHING || actor.choices() === 0) return false;
    for (let j = 0; j < this.actors.length; j++) {
      const { actor: other, futures } = this.actors[j];
      if (j !== i && (futures[other.at] & step) !== 0 && !other.hasFinished()) return false;
    }
    return true;
  }

  /**
   * Takes each step of the picked agent and each of every other one in both orders: they must come to one state, show the same facts, and
   * leave each other's choices as they were.
   */
  verify(picked: number): void {
    const { agents } = this.instance;
    const choices = agents[picked].choices();
    for (let other = 0; other < agents.length; other++) {
      if (other === picked) continue;
      const others = agents[other].choices();
      for (let c = 0; c < choices; c++) for (let o = 0; o < others; o++) this.commute(picked, c, other, o);
    }
  }

  private commute(picked: number, c: number, other: number, o: number): void {
    const { agents, tracker } = this.instance;
    const mark = tracker.mark();
    const there = this.twoSteps(picked, c, other, o);
    const here = [tracker.fpA, tracker.fpB];
    tracker.undo(mark);
    const back = this.twoSteps(other, o, picked, c);
    const same = there === back && tracker.fpA === here[0] && tracker.fpB === here[1];
    tracker.undo(mark);
    if (same) return;
    const name = (a: number) => this.instance.actors[a]?.next() ?? agents[a].name;
    throw new FootprintError(
      `'${name(picked)}' of ${agents[picked].name} is declared to be nobody else's business, but '${name(other)}' of ${agents[other].name} before it is not the same as after it; correct touches or isLocal()`,
    );
  }

  /** @returns the facts of the second agent's step and of the first's, in the order of agents; −1 where the second cannot step any more */
  private twoSteps(first: number, c: number, second: number, o: number): number {
    const { agents, machine } = this.instance;
    machine.facts.bits = 0;
    agents[first].step(c);
    if (agents[second].choices() <= o) return -1;
    agents[second].step(o);
    return machine.facts.bits;
  }
}

/** No hardware touches software's words, so that footprints of actors among themselves are all that counts. */
function softwareIsApart(instance: Instance): boolean {
  return instance.hardware.every((agent) => agent.sparesSoftware === true);
}

function footprintsOf(instance: Instance): Footprints[] {
  const { arena } = instance.machine;
  const software = arena.regions.find((region) => region.name === 'software') as Region;
  const bit = new Map<number, number>();
  const maskOf = (touches: readonly number[] | undefined): number => {
    if (touches === undefined) return ANYTHING;
    let mask = 0;
    for (const offset of touches) {
      const inside = offset >= software.base && offset < software.base + software.units;
      if (!bit.has(offset) && bit.size < MAX_WORDS && inside) bit.set(offset, bit.size);
      const n = bit.get(offset);
      if (n === undefined) return ANYTHING;
      mask |= 1 << n;
    }
    return mask;
  };
  return instance.actors.map((actor) => ({ actor, ...actor.footprints(maskOf) }));
}
