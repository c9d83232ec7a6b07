import type { Decision } from './decision.ts';
import type { Instance } from './instance.ts';

/** Most steps that a run under a conduct may have. */
const MAX_STEPS = 100_000;

/** A deterministic generator of 32-bit numbers (splitmix32). @returns a function of n that gives 0 … n−1 */
export function randomFrom(seed: number): (n: number) => number {
  let state = seed | 0;
  return (n) => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % n;
  };
}

/**
 * Runs the machine once as `prompt` does: hardware does everything at once, a DMA is translated and performed when it is issued, and
 * actors take turns.
 * @param turn chooses among the actors that can step; the first one, if absent
 */
export function runPrompt(instance: Instance, turn: (n: number) => number = () => 0): void {
  const { machine, actors, hardware } = instance;
  instance.rewind();
  machine.dma.immediate = true;
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const busy = hardware.find((agent) => agent.choices() > 0);
    if (busy !== undefined) {
      busy.step(0);
      continue;
    }
    const able = actors.filter((actor) => actor.choices() > 0);
    if (able.length === 0) break;
    const actor = able[turn(able.length)];
    actor.step(turn(actor.choices()));
  }
  machine.dma.immediate = false;
}

/**
 * Runs the machine once as an adversary would: legal, but nasty. Hardware is put off for as long as software can go on without it,
 * DMA in flight for longest of all; cached entries, stale ones included, are used rather than not.
 * @returns the run, for replay
 */
export function runAdversary(instance: Instance, seed: number): Decision[] {
  const { actors, agents, machine } = instance;
  const random = randomFrom(seed);
  const run: Decision[] = [];
  const dmaFrom = agents.length - machine.dma.agents.length;
  instance.rewind();
  while (run.length < MAX_STEPS) {
    const able = agents.map((_, i) => i).filter((i) => agents[i].choices() > 0);
    if (able.length === 0) break;
    // Mostly: actors first, then queues, then DMA; now and then something else, or the same orders would come up always.
    const rank = (i: number) => (i < actors.length ? 0 : i < dmaFrom ? 1 : 2);
    const first = Math.min(...able.map(rank));
    const pool = random(4) === 0 ? able : able.filter((i) => rank(i) === first);
    const agent = pool[random(pool.length)];
    const choices = agents[agent].choices();
    const choice = agent >= actors.length && random(4) !== 0 ? 0 : random(choices);
    agents[agent].step(choice);
    run.push({ agent, choice });
  }
  return run;
}
