import type { Lane, LogLine } from '../machine/index.ts';
import type { Decision } from './decision.ts';
import type { Instance } from './instance.ts';
import type { Property } from './search.ts';

/** What one step of a run did, in lines of the event log. */
export interface Step {
  readonly agent: string;
  readonly lane: Lane;
  readonly lines: readonly LogLine[];
}

export interface Replay {
  readonly steps: readonly Step[];
  /** Facts of the last step that was taken. */
  readonly facts: number;
  /** Index of the first step that could not be taken, −1 if all were. */
  readonly failedAt: number;
  /** Nothing could happen after the last step while an actor waited; or nothing but what need not. */
  readonly deadlocked: boolean;
  /** An actor waits, and the last state is the one after this many steps: the steps since then can go on for ever. −1 if none. */
  readonly recurs: number;
  /** Fingerprint of the last state, as 16 hexadecimal digits. */
  readonly fingerprint: string;
}

/** Takes the steps of a run from the start, with the event log on. The instance stays in the last state. */
export function replay(instance: Instance, run: readonly Decision[], tell = true): Replay {
  const { machine, agents, tracker } = instance;
  instance.rewind();
  machine.log.take();
  machine.log.on = tell;
  const steps: Step[] = [];
  let failedAt = -1;
  machine.facts.bits = 0;
  const hex = (n: number) => (n >>> 0).toString(16).padStart(8, '0');
  const fingerprints = [hex(tracker.fpA) + hex(tracker.fpB)];
  for (let i = 0; i < run.length; i++) {
    const agent = agents[run[i].agent];
    if (agent === undefined || run[i].choice >= agent.choices()) {
      failedAt = i;
      break;
    }
    machine.facts.bits = 0;
    agent.step(run[i].choice);
    fingerprints.push(hex(tracker.fpA) + hex(tracker.fpB));
    if (tell) steps.push({ agent: agent.name, lane: agent.lane, lines: machine.log.take() });
  }
  machine.log.on = false;
  const fingerprint = fingerprints[fingerprints.length - 1];
  const before = fingerprints.indexOf(fingerprint);
  return {
    steps,
    facts: machine.facts.bits,
    failedAt,
    deadlocked: instance.isStuck(),
    recurs: instance.hasWaiting() && before < fingerprints.length - 1 ? before : -1,
    fingerprint,
  };
}

/** Number of uninterrupted runs of one agent. */
export function countBlocks(run: readonly Decision[]): number {
  let blocks = 0;
  run.forEach((d, i) => {
    if (i === 0 || run[i - 1].agent !== d.agent) blocks++;
  });
  return blocks;
}

/**
 * The same run with fewer changes of agent, if there is one: blocks are moved to an earlier or later block of their agent as
 * long as every step can still be taken and the property still breaks in the last one. Shorter it does not get; easier to read it does.
 */
export function tidy(instance: Instance, run: readonly Decision[], property: Property): Decision[] {
  let best = [...run];
  for (let improved = true; improved; ) {
    improved = false;
    const ends = blockEnds(best);
    for (let b = 0; b + 1 < ends.length && !improved; b++) {
      const [from, to] = ends[b];
      for (let c = b + 2; c < ends.length && !improved; c++) {
        if (best[ends[c][0]].agent !== best[from].agent) continue;
        const block = best.slice(from, to);
        const between = best.slice(to, ends[c][0]);
        const rest = best.slice(ends[c][0]);
        const later = [...best.slice(0, from), ...between, ...block, ...rest];
        const target = best.slice(ends[c][0], ends[c][1]);
        const earlier = [...best.slice(0, to), ...target, ...between, ...best.slice(ends[c][1])];
        for (const candidate of [later, earlier]) {
          if (countBlocks(candidate) >= countBlocks(best) || !breaks(instance, candidate, property)) continue;
          best = candidate;
          improved = true;
          break;
        }
      }
    }
  }
  return best;
}

function blockEnds(run: readonly Decision[]): [number, number][] {
  const ends: [number, number][] = [];
  run.forEach((d, i) => {
    if (i > 0 && run[i - 1].agent === d.agent) ends[ends.length - 1][1] = i + 1;
    else ends.push([i, i + 1]);
  });
  return ends;
}

/**
 * Whether the run can be taken and its last step is the one that breaks the property. Not of I9, which no step shows: that is `deadlocked` and
 * `recurs` of a {@link Replay}.
 */
export function breaks(instance: Instance, run: readonly Decision[], property: Property): boolean {
  const { failedAt, facts } = replay(instance, run, false);
  return failedAt < 0 && property.broken(facts);
}
