import { FingerprintSet } from './fingerprint-set.ts';
import type { Instance } from './instance.ts';

/** States that are looked at; beyond, there may be a way. */
const MAX_STATES = 1_000_000;

/**
 * Whether hardware alone may lead from the state at hand to another. The instance is left as it was.
 * @param fpA fingerprint of the other
 */
export function mayLeadTo(instance: Instance, fpA: number, fpB: number): boolean {
  const { actors, agents, machine, tracker } = instance;
  const { fired } = machine.rules;
  const counts = [...fired];
  const seen = new FingerprintSet();
  const start = tracker.mark();
  const search = (): boolean => {
    for (let a = actors.length; a < agents.length; a++) {
      const mark = tracker.mark();
      const choices = agents[a].choices();
      for (let choice = 0; choice < choices; choice++) {
        agents[a].step(choice);
        if ((tracker.fpA === fpA && tracker.fpB === fpB) || seen.size > MAX_STATES) return true;
        if (seen.add(tracker.fpA, tracker.fpB) && search()) return true;
        tracker.undo(mark);
      }
    }
    return false;
  };
  const found = search();
  tracker.undo(start);
  counts.forEach((n, i) => {
    fired[i] = n;
  });
  return found;
}
