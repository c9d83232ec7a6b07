/** The stack of the depth-first search: a frame for each state on the way to the one at hand. */

/** Words of a frame of the stack. */
export const FRAME = {
  /** Decision that led here. */
  decision: 0,
  /** Agent whose choices are taken now, −1 before the first one. */
  agent: 1,
  /** Its next choice, and how many it has. */
  choice: 2,
  choices: 3,
  /** The one agent that has to be expanded; −1 for all. */
  only: 4,
  /** Agent that was expanded as the only one, in vain. */
  done: 5,
  /** Bits of {@link FLAG}. */
  flags: 6,
  /** Where the journal was, and the state's fingerprint; not part of a saved stack. */
  mark: 7,
  fpA: 8,
  fpB: 9,
} as const;

export const FRAME_WORDS = 10;
/** Words of a frame that a saved stack has. */
export const SAVED_WORDS = FRAME.mark;

/** Bits of {@link FRAME.flags}. */
export const FLAG = {
  /** Somebody can step; somebody who has to. */
  enabled: 1,
  owed: 4,
  /** Some step of it came to a state that was known. */
  seenBefore: 2,
  /** Another stack has it, too, and finds out whether anybody can step. */
  elsewhere: 8,
} as const;
