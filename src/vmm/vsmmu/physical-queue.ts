import type { Program } from '../../machine/index.ts';
import type { Command } from './invalidation-plan.ts';

/** The command queue of a physical SMMU, as the host's driver has it. */
export interface PhysicalQueue {
  /** Issues commands and a CMD_SYNC behind them, and waits for that. @param what they are, for the story */
  issueWithSync(commands: readonly Command[], what: string): Program;
}
