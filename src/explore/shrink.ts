import { FACT } from '../machine/index.ts';
import type { Decision } from './decision.ts';
import type { Instance } from './instance.ts';
import { tidy } from './replay.ts';
import type { Property } from './search.ts';

/**
 * Parts of up to so many steps are left out wherever they begin, and of one agent alone, too: what undoes itself (once round a loop, a lock
 * that is given back) can be spared only as a whole.
 */
const EVERYWHERE = 8;

export interface ShrinkOptions {
  /** Replays that may be made of the run and its parts, except for tidying up; 20,000 if absent. */
  readonly maxReplays?: number;
}

export interface Shrunk {
  readonly run: readonly Decision[];
  /** No single step can be left out. False where {@link ShrinkOptions.maxReplays} came first. */
  readonly isMinimal: boolean;
  /** Replays that were made, except for tidying up. */
  readonly replays: number;
}

/**
 * A short run that breaks the property, made of a long one by leaving steps out (delta debugging): halves first, then ever smaller parts,
 * down to single steps, until none can be spared. What could not be taken any more after something is gone is left out with it, and so
 * is all that comes after the violation. A choice may become 0, what prompt hardware would do, where that spares steps. At last the
 * blocks are put in order (`tidy`). Not shortest, but near it; the same run always gives the same result.
 * @param run breaks the property, in its last step or earlier, or by a deadlock at its end
 */
export function shrink(
  instance: Instance,
  run: readonly Decision[],
  property: Property,
  options: ShrinkOptions = {},
): Shrunk {
  const shrinker = new Shrinker(instance, property, options.maxReplays ?? 20_000);
  const first = shrinker.attempt(run);
  if (first === null) throw new Error(`the run does not break ${property.id}`);
  shrinker.best = first;
  shrinker.minimize();
  // Tidying up makes new neighbours, so that steps may be to spare again.
  for (;;) {
    const tidied = tidy(instance, shrinker.best, property);
    shrinker.best = tidied;
    shrinker.minimize();
    if (shrinker.best === tidied) break;
  }
  return { run: shrinker.best, isMinimal: !shrinker.isSpent, replays: shrinker.replays };
}

class Shrinker {
  /** The shortest run so far that breaks the property in its last step, or by a deadlock at its end. */
  best: readonly Decision[] = [];
  replays = 0;
  /** No replay is left. */
  isSpent = false;
  private readonly instance: Instance;
  private readonly property: Property;
  private readonly maxReplays: number;
  /** Index of the first DMA slot's agent. */
  private readonly firstSlot: number;

  constructor(instance: Instance, property: Property, maxReplays: number) {
    this.instance = instance;
    this.property = property;
    this.maxReplays = maxReplays;
    this.firstSlot = instance.agents.length - instance.machine.dma.agents.length;
  }

  /** Leaves out whatever can be spared, until no single step can. */
  minimize(): void {
    for (let improved = true; improved && !this.isSpent; ) {
      improved = false;
      let size = Math.max(this.best.length >> 1, Math.min(this.best.length, EVERYWHERE));
      while (size >= 1) {
        const stride = size > EVERYWHERE ? size : 1;
        // From the end: what came late was less often needed for something else.
        for (let from = this.best.length - size; from > -stride && !this.isSpent; from -= stride) {
          const start = Math.max(from, 0);
          if (start >= this.best.length) continue;
          if (this.replace(start, this.best.slice(start + size))) improved = true;
          else if (stride === 1 && this.withoutOwn(start, size)) improved = true;
        }
        size = size > EVERYWHERE ? size >> 1 : size - 1;
      }
      if (this.promptly()) improved = true;
    }
  }

  /** Leaves out so many steps of the agent that takes the step at `from`, with steps of others in between. @returns whether it could */
  private withoutOwn(from: number, size: number): boolean {
    const { agent } = this.best[from];
    let left = size;
    let last = from;
    const tail: Decision[] = [];
    for (let i = from; i < this.best.length; i++) {
      if (left === 0 || this.best[i].agent !== agent) tail.push(this.best[i]);
      else {
        left--;
        last = i;
      }
    }
    // Fewer are another size's; without others in between, it was tried before.
    return left === 0 && last !== from + size - 1 && this.replace(from, tail);
  }

  /** Takes other steps from `from` on. @returns whether that is a better run */
  private replace(from: number, tail: readonly Decision[]): boolean {
    const head = this.best.slice(0, from);
    if (this.take(head, tail)) return true;
    // A DMA takes the first free slot. Without one before it, a later one is in another slot, and its steps are another agent's.
    const slots = this.instance.machine.dma.agents.length;
    for (let a = 0; a < slots; a++) {
      for (let b = a + 1; b < slots; b++) {
        const [x, y] = [this.firstSlot + a, this.firstSlot + b];
        const isUsed = tail.some(({ agent }) => agent === x || agent === y);
        if (isUsed && this.take(head, exchanged(tail, x, y))) return true;
      }
    }
    return false;
  }

  /** Makes choices 0 where that spares steps, which then nobody can take. */
  private promptly(): boolean {
    let improved = false;
    for (let i = 0; i < this.best.length && !this.isSpent; i++) {
      const { agent, choice } = this.best[i];
      if (choice > 0 && this.take([...this.best.slice(0, i), { agent, choice: 0 }], this.best.slice(i + 1)))
        improved = true;
    }
    return improved;
  }

  /** Makes it the best run, if it breaks the property in fewer steps. */
  private take(head: readonly Decision[], tail: readonly Decision[]): boolean {
    if (this.replays >= this.maxReplays) {
      this.isSpent = true;
      return false;
    }
    const run = this.attempt([...head, ...tail]);
    if (run === null || run.length >= this.best.length) return false;
    this.best = run;
    return true;
  }

  /** Takes what can be taken of the steps, up to the violation. @returns the steps taken, null where the property does not break */
  attempt(run: readonly Decision[]): Decision[] | null {
    const { instance, property } = this;
    const { agents, machine } = instance;
    const taken: Decision[] = [];
    this.replays++;
    const isStuck = () => property.broken(FACT.deadlock) && instance.isStuck();
    instance.rewind();
    for (const decision of run) {
      if (isStuck()) return taken;
      const agent = agents[decision.agent];
      if (agent === undefined || decision.choice >= agent.choices()) continue;
      machine.facts.bits = 0;
      agent.step(decision.choice);
      taken.push(decision);
      if (property.broken(machine.facts.bits)) return taken;
    }
    return isStuck() ? taken : null;
  }
}

/** The run with two agents in each other's place. */
function exchanged(run: readonly Decision[], x: number, y: number): Decision[] {
  return run.map((decision) => {
    if (decision.agent === x) return { agent: y, choice: decision.choice };
    return decision.agent === y ? { agent: x, choice: decision.choice } : decision;
  });
}
