import type { Program } from '../machine/index.ts';
import type { Instance } from './instance.ts';

/** Whether a transition is taken twice: all of the first ones, where a mistake shows soonest, and some of all others. */
export function isChecked(transition: number): boolean {
  return transition < 500 || (transition & 63) === 0;
}

/**
 * The same for a step that is about to be taken, and besides: whatever was not yet compared with the positions that are one with it.
 * So no two operations of one name are taken for one unseen, however late a search comes to them.
 */
export function isDue({ actors }: Instance, agent: number, choice: number, transition: number): boolean {
  return isChecked(transition) || (agent < actors.length && actors[agent].isUncompared(choice));
}

/**
 * Takes a step that was just taken once more from where it began, and from positions that are one with the actor's in its minimal automaton.
 * What an operation keeps outside the machine, and two operations of one name that do two things, show as another outcome.
 * @param mark where the step began
 */
export function takeTwice(instance: Instance, agent: number, choice: number, mark: number): void {
  const { agents, actors, tracker, machine } = instance;
  const { fpA, fpB } = tracker;
  const { bits } = machine.facts;
  const again = (twin: number): boolean => {
    tracker.undo(mark);
    if (twin >= 0) actors[agent].standAt(twin);
    if (agents[agent].choices() <= choice) return false;
    machine.facts.bits = 0;
    agents[agent].step(choice);
    return tracker.fpA === fpA && tracker.fpB === fpB;
  };
  const actor = actors[agent];
  tracker.undo(mark);
  const twins = actor?.twins(choice) ?? [];
  if (actor !== undefined && !twins.every(again)) {
    tracker.undo(mark);
    throw new OutsideStateError(
      actor.name,
      actor.next() ?? actor.name,
      actor.suspended(),
      'is the name of two operations that do two things; give them two names',
    );
  }
  if (!again(-1)) {
    tracker.undo(mark);
    throw new OutsideStateError(
      agents[agent].name,
      actor?.next() ?? agents[agent].name,
      actor?.suspended() ?? null,
      'does two things when it is taken twice from one state; keep what it changes in machine.word()',
    );
  }
  machine.facts.bits |= bits;
}

/** An operation changed something that is not the machine's: taken twice from one state, it did two things. */
export class OutsideStateError extends Error {
  readonly actor: string;
  readonly operation: string;
  /** The actor's program, suspended at the operation. */
  readonly suspended: Program | null;

  constructor(actor: string, operation: string, suspended: Program | null, what: string) {
    super(`'${operation}' ${what}`);
    this.name = 'OutsideStateError';
    this.actor = actor;
    this.operation = operation;
    this.suspended = suspended;
  }
}
