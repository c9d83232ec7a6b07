import { MAX_CHOICES } from '../machine/index.ts';

/** One step of a run: which agent, and which of its choices. */
export interface Decision {
  readonly agent: number;
  readonly choice: number;
}

/** Both in one number. */
export function packed(agent: number, choice: number): number {
  return agent * MAX_CHOICES + choice;
}

export function unpacked(decision: number): Decision {
  return { agent: Math.floor(decision / MAX_CHOICES), choice: decision % MAX_CHOICES };
}
