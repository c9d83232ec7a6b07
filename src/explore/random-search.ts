import { FACT, mixA } from '../machine/index.ts';
import { randomFrom } from './conduct.ts';
import { packed, unpacked } from './decision.ts';
import { FingerprintSet } from './fingerprint-set.ts';
import type { Instance } from './instance.ts';
import { IntList } from './int-list.ts';
import type { Property, Violation } from './search.ts';
import { isDue, takeTwice } from './twice.ts';

export interface RandomSearchOptions {
  /** 32 bits. The first run has this seed itself, each later one a seed made of it and of the run's number. */
  readonly seed: number;
  readonly properties: readonly Property[];
  /** Preemptions that a run may have: changes away from an agent that could have gone on. Absent for no bound. */
  readonly maxPreemptions?: number;
  /** Steps after which a run is cut off. */
  readonly maxSteps: number;
  /** Distinct states to remember, for the count; 4 million (40 to 57 MB) if absent. */
  readonly maxStates?: number;
}

export interface RandomViolation extends Violation {
  /** Seed of the run that broke it: the first run of a search with this seed does it again. */
  readonly seed: number;
}

/** Longest mean time between two occasions for somebody else to run is 2^(this − 1) steps. */
const PERSISTENCES = 6;

/**
 * Random runs, for machines that are too large to be searched. Choices are uniform. Who runs is decided in one of two ways, as a coin says
 * for each run: whoever comes up, or whoever comes first in a random order, in which an agent is put last now and then (as in PCT,
 * "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010, but for the number of those occasions): races of a few steps
 * want the one, a DMA that is late by twenty steps the other. How often there is an occasion is drawn for each run, too: at every step, at
 * every second, … at every 32nd. Nothing is ever proved here, and no probability is promised.
 */
export class RandomSearch {
  readonly instance: Instance;
  /** What broke: for each property the first run that broke it. */
  readonly violations: RandomViolation[] = [];
  runs = 0;
  steps = 0;
  /** Steps of the longest run. */
  depth = 0;
  /** Runs that were cut off by {@link RandomSearchOptions.maxSteps}. */
  cut = 0;
  private readonly options: RandomSearchOptions;
  private readonly visited = new FingerprintSet();
  private readonly maxStates: number;
  private readonly run = new IntList();
  /** Agents that can step, and how many choices each agent has. */
  private readonly able: Int32Array;
  private readonly choices: Int32Array;
  /** Somebody can step who has to. */
  private owed = false;
  /** Who goes before whom in a run that has an order: by agent, the greatest first. */
  private readonly rank: Int32Array;
  private open: readonly Property[];

  constructor(instance: Instance, options: RandomSearchOptions) {
    this.instance = instance;
    this.options = options;
    this.maxStates = options.maxStates ?? 1 << 22;
    this.open = options.properties;
    this.able = new Int32Array(instance.agents.length);
    this.choices = new Int32Array(instance.agents.length);
    this.rank = new Int32Array(instance.agents.length);
  }

  /** Distinct states seen; a lower bound once there are as many as are remembered. */
  get states(): number {
    return this.visited.size;
  }

  /** Takes up to `runs` runs. @returns whether the search is over: every property is broken */
  advance(runs: number): boolean {
    const { seed, properties } = this.options;
    for (let i = 0; i < runs; i++) {
      if (this.open.length === 0 && properties.length > 0) return true;
      this.take(this.runs === 0 ? seed >>> 0 : mixA(this.runs, seed) >>> 0);
      this.runs++;
    }
    return this.open.length === 0 && properties.length > 0;
  }

  private take(seed: number): void {
    const { instance, run, choices } = this;
    const { agents, machine, tracker } = instance;
    const { maxSteps, maxPreemptions = Number.POSITIVE_INFINITY } = this.options;
    const random = randomFrom(seed);
    const persistence = 1 << random(PERSISTENCES);
    const isOrdered = random(2) === 0;
    if (isOrdered) this.order(random);
    let running = -1;
    let preemptions = 0;
    instance.rewind();
    run.length = 0;
    this.see();
    for (let count = this.look(); count > 0; count = this.look()) {
      // Whoever may rest need not end anybody's wait; but the run goes on with it.
      if (!this.owed && instance.hasWaiting()) this.check(FACT.deadlock, seed);
      if (run.length === maxSteps) {
        this.cut++;
        return;
      }
      const goesOn = running >= 0 && choices[running] > 0;
      const isOccasion = random(persistence) === 0;
      if (!goesOn || preemptions < maxPreemptions) {
        let next = running;
        if (isOrdered) {
          if (goesOn && isOccasion) this.rank[running] = -1 - run.length;
          next = this.foremost(count);
        } else if (!goesOn || isOccasion) next = this.able[random(count)];
        if (goesOn && next !== running) preemptions++;
        running = next;
      }
      const choice = choices[running] === 1 ? 0 : random(choices[running]);
      const mark = tracker.mark();
      machine.facts.bits = 0;
      const isCompared = isDue(instance, running, choice, this.steps);
      agents[running].step(choice);
      if (isCompared) takeTwice(instance, running, choice, mark);
      this.steps++;
      run.push(packed(running, choice));
      if (run.length > this.depth) this.depth = run.length;
      if (machine.facts.bits !== 0) this.check(machine.facts.bits, seed);
      this.see();
    }
    if (instance.hasWaiting()) this.check(FACT.deadlock, seed);
  }

  /** Asks every agent what it can do. @returns how many can step */
  private look(): number {
    const { agents } = this.instance;
    let count = 0;
    this.owed = false;
    for (let a = 0; a < agents.length; a++) {
      this.choices[a] = agents[a].choices();
      if (this.choices[a] === 0) continue;
      this.able[count++] = a;
      if (!this.instance.mayRest[a]) this.owed = true;
    }
    return count;
  }

  /** Puts the agents in a random order. */
  private order(random: (n: number) => number): void {
    const { rank } = this;
    for (let a = 0; a < rank.length; a++) {
      const b = random(a + 1);
      rank[a] = rank[b];
      rank[b] = a;
    }
  }

  /** The agent that comes first among the `count` that can step. */
  private foremost(count: number): number {
    const { able, rank } = this;
    let first = able[0];
    for (let i = 1; i < count; i++) if (rank[able[i]] > rank[first]) first = able[i];
    return first;
  }

  private see(): void {
    const { tracker } = this.instance;
    if (this.visited.size < this.maxStates && !this.visited.isFull) this.visited.add(tracker.fpA, tracker.fpB);
  }

  private check(facts: number, seed: number): void {
    const broken = this.open.filter((property) => property.broken(facts));
    if (broken.length === 0) return;
    const run = Array.from(this.run.at.subarray(0, this.run.length), unpacked);
    this.open = this.open.filter((property) => !broken.includes(property));
    for (const { id } of broken) this.violations.push({ property: id, run, seed });
  }
}
