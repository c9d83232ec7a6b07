import type { Lane } from './event-log.ts';

/** Whatever can take a step of the machine: an actor's next operation, a DMA in flight, the invalidation queue, … */
export interface Agent {
  readonly name: string;
  readonly lane: Lane;
  /** In how many ways it can step now; 0 when it cannot. */
  choices(): number;
  /** Takes the step. @param choice 0 … choices() − 1; 0 is what hardware that does everything at once would do */
  step(choice: number): void;
  /**
   * Whether its next step is nobody else's business: until it is taken, it commutes with every step that any other agent may take, none
   * of them can prevent it or change its choices, and it shows no fact. Then the explorer tries it alone. Verified at the first
   * steps of every search. Never, if absent.
   */
  isLocal?(): boolean;
  /**
   * An upper bound of the steps that it can still take before software acts: the sum over all hardware falls with each step that any of it takes, so
   * that none goes on for ever. Verified at some steps of every search. Absent, or negative, where nobody can tell.
   */
  left?(): number;
  /** It neither reads nor writes software's own words (`machine.word`). */
  readonly sparesSoftware?: boolean;
}
