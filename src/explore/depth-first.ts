import { FACT } from '../machine/index.ts';
import { Ample } from './ample.ts';
import { packed, unpacked } from './decision.ts';
import { FLAG, FRAME, FRAME_WORDS, SAVED_WORDS } from './depth-first-frame.ts';
import type { DepthFirstOptions } from './depth-first-options.ts';
import { Ends } from './ends.ts';
import type { Visited } from './fingerprint-set.ts';
import { FingerprintSet } from './fingerprint-set.ts';
import type { Instance } from './instance.ts';
import { OpenStates } from './open-states.ts';
import type { SavedSearch } from './saved-search.ts';
import type { Property, Violation } from './search.ts';
import { isChecked, isDue, takeTwice } from './twice.ts';
import { mayLeadTo } from './way-back.ts';

/**
 * Depth-first search that takes steps back instead of copying states: for each state it keeps its fingerprint alone. It decides
 * verdicts; the shortest run of a violation is then found breadth-first (`Search`). It can be cut into parts: a {@link save}d
 * stack goes on elsewhere, or later, exactly as it would have here.
 */
export class DepthFirst {
  readonly instance: Instance;
  readonly visited: Visited;
  transitions = 0;
  /** Steps of the deepest state. */
  depth = 0;
  exhausted = false;
  bounded = false;
  /** What broke, with some run that breaks it. */
  readonly violations: Violation[] = [];
  /** States of which only one agent was expanded. */
  reduced = 0;
  /** Some run comes back to where it was, so a run may go on for ever: whether that is a livelock, `LivelockSearch` tells. */
  cyclic = false;
  private readonly options: DepthFirstOptions;
  private readonly ample: Ample | null;
  /** Not null where hardware comes to an end by itself, so that there are no cycles. */
  private readonly ends: Ends | null;
  private open: Property[];
  private frames = new Int32Array(256 * FRAME_WORDS);
  /** Offset of the top frame, −FRAME_WORDS when there is none. */
  private top = -FRAME_WORDS;
  /** Stacks that are gone on with once this one is empty: several threads left them ({@link restore}). */
  private later: readonly number[][] = [];

  constructor(instance: Instance, options: DepthFirstOptions) {
    this.instance = instance;
    this.options = options;
    this.visited = options.visited ?? new FingerprintSet();
    this.open = [...options.properties];
    this.ample = options.ample === false ? null : Ample.of(instance);
    this.ends = Ends.of(instance);
  }

  /** Begins at the instance's start. */
  begin(): void {
    const { tracker } = this.instance;
    this.visited.add(tracker.fpA, tracker.fpB);
    this.push(0);
  }

  get states(): number {
    return this.visited.size;
  }

  get bytesPerState(): number {
    return this.visited.bytes / this.states;
  }

  get expectedCollisions(): number {
    return this.visited.expectedCollisions;
  }

  /** Steps from the start to the state at hand. */
  get position(): number {
    return this.top / FRAME_WORDS;
  }

  get isDone(): boolean {
    return this.top < 0 && this.later.length === 0;
  }

  /** Nothing is left that could break. */
  get allBroken(): boolean {
    return this.open.length === 0 && this.options.properties.length > 0;
  }

  /** Properties that somebody else found broken are not looked for any more. */
  close(properties: readonly string[]): void {
    this.open = this.open.filter((p) => !properties.includes(p.id));
  }

  /** Takes up to `count` transitions. @returns whether the search is over */
  advance(count: number): boolean {
    const { maxStates } = this.options;
    for (let end = this.transitions + count; this.transitions < end; ) {
      if (this.isDone) {
        this.exhausted = !this.bounded;
        return true;
      }
      if (this.allBroken) return true;
      if (this.visited.isFull || (maxStates !== undefined && this.visited.size >= maxStates)) {
        this.bounded = true;
        return true;
      }
      if (this.top < 0) {
        const [stack, ...later] = this.later;
        this.later = later;
        this.resume(stack);
        continue;
      }
      this.next();
    }
    return false;
  }

  /** The next transition of the top frame, or its end. */
  private next(): void {
    const { frames, top, instance } = this;
    const choice = frames[top + FRAME.choice];
    if (choice === frames[top + FRAME.choices]) {
      this.nextAgent();
      return;
    }
    frames[top + FRAME.choice] = choice + 1;
    const a = frames[top + FRAME.agent];
    const { machine, tracker } = instance;
    const { facts } = machine;
    const mark = frames[top + FRAME.mark];
    facts.bits = 0;
    const checked = isDue(instance, a, choice, this.transitions);
    const left = checked && this.ends !== null && a >= instance.actors.length ? this.ends.left() : -1;
    instance.agents[a].step(choice);
    if (checked) takeTwice(instance, a, choice, mark);
    if (left >= 0) this.ends?.check(left, instance.agents[a].name);
    this.transitions++;
    if (facts.bits !== 0) this.check(facts.bits, packed(a, choice));
    if (this.visited.add(tracker.fpA, tracker.fpB)) this.push(packed(a, choice));
    else {
      frames[top + FRAME.flags] |= FLAG.seenBefore;
      // Actors only go on, so that a cycle is of hardware's steps alone.
      if (!this.cyclic && a >= instance.actors.length) this.cyclic = this.isOnStack() || this.comesBack();
      tracker.undo(mark);
    }
  }

  /** Whether the state at hand is one of those that hardware's last steps came from. */
  private isOnStack(): boolean {
    const { frames, instance } = this;
    const { fpA, fpB } = instance.tracker;
    for (let f = this.top; f >= 0; f -= FRAME_WORDS) {
      if (frames[f + FRAME.fpA] === fpA && frames[f + FRAME.fpB] === fpB) return true;
      if (unpacked(frames[f + FRAME.decision]).agent < instance.actors.length) return false;
    }
    return false;
  }

  /**
   * Whether hardware alone may lead from the state at hand, which some other stack has not finished, back to the top frame's. Then each of the two
   * stacks may have a part of the cycle, and neither the whole.
   */
  private comesBack(): boolean {
    const { instance, frames, top, visited } = this;
    const { fpA, fpB } = instance.tracker;
    if (this.ends !== null || visited.open === null || !visited.open.has(fpA, fpB)) return false;
    return mayLeadTo(instance, frames[top + FRAME.fpA], frames[top + FRAME.fpB]);
  }

  private room(): void {
    this.top += FRAME_WORDS;
    if (this.top + FRAME_WORDS > this.frames.length) this.growFrames();
    const { tracker } = this.instance;
    this.frames[this.top + FRAME.mark] = tracker.mark();
    this.frames[this.top + FRAME.fpA] = tracker.fpA;
    this.frames[this.top + FRAME.fpB] = tracker.fpB;
  }

  private push(decision: number): void {
    this.room();
    const { frames, top } = this;
    frames[top + FRAME.decision] = decision;
    frames[top + FRAME.choice] = 0;
    frames[top + FRAME.choices] = 0;
    frames[top + FRAME.done] = -1;
    frames[top + FRAME.flags] = 0;
    let only = -1;
    if (this.ample !== null) {
      only = this.ample.pick();
      if (only >= 0 && isChecked(this.transitions)) this.ample.verify(only);
    }
    frames[top + FRAME.only] = only;
    frames[top + FRAME.agent] = only < 0 ? -1 : only - 1;
    if (this.position > this.depth) this.depth = this.position;
  }

  private nextAgent(): void {
    const { frames, top, instance } = this;
    const { agents } = instance;
    const only = frames[top + FRAME.only];
    let a = frames[top + FRAME.agent] + 1;
    if (only >= 0 && a > only) {
      // The one agent suffices unless a successor was known: else a cycle could leave the others out for ever.
      if ((frames[top + FRAME.flags] & FLAG.seenBefore) === 0) {
        this.reduced++;
        this.pop();
        return;
      }
      frames[top + FRAME.only] = -1;
      frames[top + FRAME.done] = only;
      a = 0;
    }
    if (a === frames[top + FRAME.done]) a++;
    if (a >= agents.length) {
      this.pop();
      return;
    }
    const choices = agents[a].choices();
    if (choices > 0) frames[top + FRAME.flags] |= instance.mayRest[a] ? FLAG.enabled : FLAG.enabled | FLAG.owed;
    frames[top + FRAME.agent] = a;
    frames[top + FRAME.choice] = 0;
    frames[top + FRAME.choices] = choices;
  }

  private pop(): void {
    const { frames, top, instance } = this;
    const flags = frames[top + FRAME.flags];
    // Whoever may rest need not end anybody's wait.
    if ((flags & (FLAG.owed | FLAG.elsewhere)) === 0 && instance.hasWaiting()) this.check(FACT.deadlock, -1);
    if ((flags & (FLAG.enabled | FLAG.elsewhere)) === 0) this.options.onEnd?.();
    this.visited.open?.close(frames[top + FRAME.fpA], frames[top + FRAME.fpB]);
    this.top -= FRAME_WORDS;
    if (this.top >= 0) instance.tracker.undo(this.frames[this.top + FRAME.mark]);
  }

  private growFrames(): void {
    const bigger = new Int32Array(this.frames.length * 2);
    bigger.set(this.frames);
    this.frames = bigger;
  }

  private check(facts: number, decision: number): void {
    for (let i = this.open.length - 1; i >= 0; i--) {
      if (!this.open[i].broken(facts)) continue;
      const run = this.path().map(unpacked);
      if (decision >= 0) run.push(unpacked(decision));
      this.violations.push({ property: this.open[i].id, run });
      this.open.splice(i, 1);
    }
  }

  /** Decisions that lead to the top frame. */
  private path(): number[] {
    const path: number[] = [];
    for (let f = FRAME_WORDS; f <= this.top; f += FRAME_WORDS) path.push(this.frames[f + FRAME.decision]);
    return path;
  }

  /** Everything that this search knows, to go on later or in several threads. */
  whole(): SavedSearch {
    const { transitions, depth, reduced, cyclic, violations, visited, instance } = this;
    const entries = visited.entries();
    const fired = [...instance.machine.rules.fired];
    return {
      stacks: [...(this.top < 0 ? [] : [this.save()]), ...this.later],
      entries,
      transitions,
      depth,
      reduced,
      cyclic,
      violations,
      fired,
    };
  }

  /** Goes on from {@link whole}, or from what several threads had left; into a search that has seen nothing. */
  restore(saved: SavedSearch): void {
    this.visited.load(saved.entries);
    this.transitions = saved.transitions;
    this.depth = saved.depth;
    this.reduced = saved.reduced;
    this.cyclic = saved.cyclic;
    this.violations.push(...saved.violations);
    this.close(saved.violations.map((v) => v.property));
    if (saved.stacks.length > 1) {
      this.follow(new OpenStates(new ArrayBuffer(OpenStates.BYTES)));
      for (const stack of saved.stacks) this.announce(stack);
    }
    this.later = saved.stacks;
    this.countFired(saved.fired);
  }

  // ---- cutting the search into parts ------------------------------------------------------------------------------

  /** All that is left to do, as numbers; {@link resume} goes on from it. */
  save(): number[] {
    return this.saved(this.top);
  }

  /** Frames up to one, each with the words that count. */
  private saved(last: number): number[] {
    const out: number[] = [];
    for (let f = 0; f <= last; f += FRAME_WORDS) {
      for (let i = 0; i < SAVED_WORDS; i++) out.push(this.frames[f + i]);
    }
    return out;
  }

  /** Goes on from what {@link save} or {@link give} made, in an instance of the same machine. Its states are open already. */
  resume(saved: ArrayLike<number>): void {
    const { agents, machine } = this.instance;
    const fired = [...machine.rules.fired];
    this.instance.rewind();
    this.top = -FRAME_WORDS;
    for (let at = 0; at < saved.length; at += SAVED_WORDS) {
      const { agent, choice } = unpacked(saved[at + FRAME.decision]);
      if (at > 0) agents[agent].step(choice);
      this.room();
      for (let i = 0; i < SAVED_WORDS; i++) this.frames[this.top + i] = saved[at + i];
    }
    // These steps were counted where they were taken first.
    this.countFired(fired);
  }

  /** The search has one of several stacks, whose open states are here. Before anything is announced. */
  follow(open: OpenStates): void {
    if (this.ends === null) this.visited.open = open;
  }

  /** Opens the states of a stack that somebody will {@link resume}. */
  announce(saved: ArrayLike<number>): void {
    this.resume(saved);
    for (; this.top >= 0; this.top -= FRAME_WORDS) this.openFrame(this.top);
  }

  private openFrame(f: number): void {
    this.visited.open?.open(this.frames[f + FRAME.fpA], this.frames[f + FRAME.fpB]);
  }

  private countFired(counts: readonly number[]): void {
    const { fired } = this.instance.machine.rules;
    counts.forEach((n, i) => {
      fired[i] = n;
    });
  }

  /**
   * Gives away what is left of the lowest frame that has something left.
   * @param most words that it may have @returns null where there is nothing to spare, or that is larger
   */
  give(most = Number.POSITIVE_INFINITY): number[] | null {
    const { frames } = this;
    // The top frame is kept: something must be left to do here.
    for (let f = 0; f < this.top; f += FRAME_WORDS) {
      if (frames[f + FRAME.only] >= 0 || frames[f + FRAME.agent] >= this.instance.agents.length) continue;
      if ((f / FRAME_WORDS + 1) * SAVED_WORDS > most) return null;
      const piece = this.saved(f);
      // Below it, nothing is left: neither for who gets it nor for who gives it.
      for (let at = 0; at < piece.length - SAVED_WORDS; at += SAVED_WORDS) {
        piece[at + FRAME.agent] = this.instance.agents.length;
        piece[at + FRAME.only] = -1;
        piece[at + FRAME.choice] = 0;
        piece[at + FRAME.choices] = 0;
        piece[at + FRAME.flags] |= FLAG.elsewhere;
      }
      frames[f + FRAME.agent] = this.instance.agents.length;
      frames[f + FRAME.choice] = 0;
      frames[f + FRAME.choices] = 0;
      // Who finishes the frame knows who can step there; here, some agents were not asked.
      frames[f + FRAME.flags] |= FLAG.elsewhere;
      for (let g = 0; g <= f; g += FRAME_WORDS) this.openFrame(g);
      return piece;
    }
    return null;
  }
}
