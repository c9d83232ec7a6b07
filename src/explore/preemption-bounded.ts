import type { Machine } from '../machine/index.ts';
import { FACT, mixA, mixB } from '../machine/index.ts';
import type { Decision } from './decision.ts';
import { packed, unpacked } from './decision.ts';
import { FingerprintMap } from './fingerprint-map.ts';
import { FingerprintSet } from './fingerprint-set.ts';
import type { InstanceOptions, Reduction } from './instance.ts';
import { Instance } from './instance.ts';
import type { Property, Violation } from './search.ts';
import { isDue, takeTwice } from './twice.ts';

export interface PreemptionBoundedOptions {
  readonly properties: readonly Property[];
  /** Preemptions that a run may have at most; the search stops after this bound. Absent for no limit: until all is explored. */
  readonly maxPreemptions?: number;
  /** Distinct states to stop at; absent for none. */
  readonly maxStates?: number;
  readonly instance?: InstanceOptions;
}

export interface PreemptedViolation extends Violation {
  /** Fewest preemptions with which it breaks. */
  readonly preemptions: number;
}

/** Words of a frame of the stack. */
const FRAME = {
  /** Decision that led here. */
  decision: 0,
  /** Agent that took the last step, −1 at the start. */
  running: 1,
  /** Preemptions so far. */
  used: 2,
  /** What it costs to let another agent step: 1 if the running one could go on. */
  cost: 3,
  /** Agent whose choices are taken now. */
  agent: 4,
  /** Its next choice, and how many it has. */
  choice: 5,
  choices: 6,
  /** Somebody can step who has to. */
  owed: 7,
  mark: 8,
} as const;

const FRAME_WORDS = 9;

/**
 * All runs with no preemption, then all with at most one, and so on: most mistakes need few, and a run with few is easy to read. A
 * preemption is a change away from an agent that could have gone on. Depth-first with undo; a state is entered again only with fewer
 * preemptions than before, as what comes of it depends on them and on who runs. So every transition that some run within the bound has is
 * taken, and nothing is assumed of the machine.
 *
 * It is over, with a proof, when one more preemption led nowhere new.
 */
export class PreemptionBounded {
  /** Made for this search: who runs is part of what is remembered, so the fingerprint tells apart which of two equal agents is where. */
  readonly instance: Instance;
  /** What broke, each with some run that has as few preemptions as can be (not as few steps). */
  readonly violations: PreemptedViolation[] = [];
  transitions = 0;
  /** Steps of the longest run. */
  depth = 0;
  /** Preemptions that runs may have now. */
  bound = 0;
  /** No bound cuts anything off: whatever can happen was looked at. */
  exhausted = false;
  /** Stopped by a bound of the options. */
  bounded = false;
  private readonly options: PreemptionBoundedOptions;
  private readonly seen = new FingerprintSet();
  /** Fewest preemptions by state and running agent; of the bound at hand. */
  private used = new FingerprintMap();
  /** Entries of {@link used} at the end of the bound before. */
  private before = 0;
  /** The bound forbade a step. */
  private cut = false;
  private frames = new Int32Array(256 * FRAME_WORDS);
  /** Offset of the top frame, −FRAME_WORDS when there is none. */
  private top = -FRAME_WORDS;
  private open: readonly Property[];

  constructor(machine: Machine, options: PreemptionBoundedOptions) {
    const without: readonly Reduction[] = [...(options.instance?.without ?? []), 'symmetry'];
    this.instance = new Instance(machine, { ...options.instance, without });
    this.options = options;
    this.open = options.properties;
    this.begin();
  }

  /** Distinct states seen. */
  get states(): number {
    return this.seen.size;
  }

  /** Takes up to `count` transitions. @returns whether the search is over */
  advance(count: number): boolean {
    const { properties, maxStates = Number.POSITIVE_INFINITY } = this.options;
    for (let end = this.transitions + count; this.transitions < end; ) {
      if (this.exhausted || this.bounded) return true;
      if (this.open.length === 0 && properties.length > 0) return true;
      if (this.seen.isFull || this.seen.size >= maxStates) this.bounded = true;
      else if (this.top < 0) this.deepen();
      else this.follow();
    }
    return this.exhausted || this.bounded;
  }

  private begin(): void {
    const { tracker } = this.instance;
    this.instance.rewind();
    this.used = new FingerprintMap();
    this.cut = false;
    this.seen.add(tracker.fpA, tracker.fpB);
    this.enter(0, -1, 0);
  }

  /**
   * The next bound, if there is more to be found with it. If a bound reaches no more states and running agents than the one before, each of
   * them is reached with one preemption to spare: every step that is possible there was taken, and no bound reaches more.
   */
  private deepen(): void {
    if (!this.cut || this.used.size === this.before) {
      this.exhausted = true;
      return;
    }
    if (this.bound === this.options.maxPreemptions) {
      this.bounded = true;
      return;
    }
    this.before = this.used.size;
    this.bound++;
    this.begin();
  }

  private enter(decision: number, running: number, used: number): void {
    const { agents, tracker } = this.instance;
    this.top += FRAME_WORDS;
    if (this.top + FRAME_WORDS > this.frames.length) {
      const bigger = new Int32Array(this.frames.length * 2);
      bigger.set(this.frames);
      this.frames = bigger;
    }
    const { frames, top } = this;
    frames[top + FRAME.decision] = decision;
    frames[top + FRAME.running] = running;
    frames[top + FRAME.used] = used;
    frames[top + FRAME.cost] = running >= 0 && agents[running].choices() > 0 ? 1 : 0;
    frames[top + FRAME.agent] = -1;
    frames[top + FRAME.choice] = 0;
    frames[top + FRAME.choices] = 0;
    frames[top + FRAME.owed] = 0;
    frames[top + FRAME.mark] = tracker.mark();
    if (top > this.depth * FRAME_WORDS) this.depth = top / FRAME_WORDS;
  }

  private follow(): void {
    const { frames, top, instance } = this;
    const choice = frames[top + FRAME.choice];
    if (choice === frames[top + FRAME.choices]) {
      this.nextAgent();
      return;
    }
    const { machine, tracker } = instance;
    const agent = frames[top + FRAME.agent];
    const mark = frames[top + FRAME.mark];
    const cost = agent === frames[top + FRAME.running] ? 0 : frames[top + FRAME.cost];
    const used = frames[top + FRAME.used] + cost;
    frames[top + FRAME.choice] = choice + 1;
    machine.facts.bits = 0;
    const isCompared = isDue(instance, agent, choice, this.transitions);
    instance.agents[agent].step(choice);
    if (isCompared) takeTwice(instance, agent, choice, mark);
    this.transitions++;
    if (machine.facts.bits !== 0) this.check(machine.facts.bits, packed(agent, choice));
    this.seen.add(tracker.fpA, tracker.fpB);
    const keyA = mixA(agent, tracker.fpA);
    const keyB = mixB(agent, tracker.fpB);
    const known = this.used.get(keyA, keyB);
    if (known >= 0 && known <= used) {
      tracker.undo(mark);
      return;
    }
    this.used.set(keyA, keyB, used);
    this.enter(packed(agent, choice), agent, used);
  }

  private nextAgent(): void {
    const { frames, top } = this;
    const { agents } = this.instance;
    const agent = frames[top + FRAME.agent] + 1;
    if (agent === agents.length) {
      this.leave();
      return;
    }
    let choices = agents[agent].choices();
    if (choices > 0 && !this.instance.mayRest[agent]) frames[top + FRAME.owed] = 1;
    const cost = agent === frames[top + FRAME.running] ? 0 : frames[top + FRAME.cost];
    if (choices > 0 && frames[top + FRAME.used] + cost > this.bound) {
      this.cut = true;
      choices = 0;
    }
    frames[top + FRAME.agent] = agent;
    frames[top + FRAME.choice] = 0;
    frames[top + FRAME.choices] = choices;
  }

  private leave(): void {
    const { frames, instance } = this;
    // Whoever may rest need not end anybody's wait.
    if (frames[this.top + FRAME.owed] === 0 && instance.hasWaiting()) this.check(FACT.deadlock, -1);
    this.top -= FRAME_WORDS;
    if (this.top >= 0) instance.tracker.undo(frames[this.top + FRAME.mark]);
  }

  private check(facts: number, decision: number): void {
    const broken = this.open.filter((property) => property.broken(facts));
    if (broken.length === 0) return;
    const run: Decision[] = [];
    for (let f = FRAME_WORDS; f <= this.top; f += FRAME_WORDS) run.push(unpacked(this.frames[f + FRAME.decision]));
    if (decision >= 0) run.push(unpacked(decision));
    this.open = this.open.filter((property) => !broken.includes(property));
    for (const { id } of broken) this.violations.push({ property: id, run, preemptions: this.bound });
  }
}

/** Changes away from an agent that could have gone on. Leaves the instance in the run's last state. */
export function countPreemptions(instance: Instance, run: readonly Decision[]): number {
  let count = 0;
  let running = -1;
  instance.rewind();
  for (const { agent, choice } of run) {
    if (running >= 0 && running !== agent && instance.agents[running].choices() > 0) count++;
    instance.agents[agent].step(choice);
    running = agent;
  }
  return count;
}
